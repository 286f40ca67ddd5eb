//! Colours: on a terminal that wants them, and never otherwise.

use std::{env, ffi::OsStr, io::IsTerminal, os::fd::AsFd};

/// How a word should strike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Like any other.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Someone has something to do.
    Waiting,
    /// Something is wrong, or over.
    Bad,
    /// Less important.
    Faint,
}

/// Whether a line of this stream can be written over: it is a terminal that moves its cursor.
pub fn moves_cursor(stream: &impl IsTerminal) -> bool {
    wants(stream.is_terminal(), None, env::var_os("TERM").filter(|term| !term.is_empty()).as_deref())
}

/// Whether a stream shows colours, and how wide it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    colours: bool,
    columns: Option<usize>,
}

impl Style {
    /// What this stream, and the environment, want (<https://no-color.org>).
    pub fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let colours = wants(stream.is_terminal(), set("NO_COLOR").as_deref(), set("TERM").as_deref());
        Self { colours, columns: width(stream).filter(|columns| *columns > 0) }
    }

    /// How many columns a line has; a stream that is not a terminal has no end.
    pub const fn columns(self) -> Option<usize> {
        self.columns
    }

    /// As on a terminal of this width.
    #[cfg(test)]
    pub fn wide(columns: usize) -> Self {
        Self { columns: Some(columns), ..Self::default() }
    }

    /// The text in its tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Waiting => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Plain => return text.to_owned(),
        };
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// How many characters fit on a line: of a terminal, or what COLUMNS says of it. A pipe has no width.
pub fn width(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let said = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let seen = || rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    said.or_else(seen).filter(|columns| *columns > 0)
}

fn wants(terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    terminal && no_color.is_none() && term.is_some_and(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let (xterm, dumb, one) = (Some(OsStr::new("xterm")), Some(OsStr::new("dumb")), Some(OsStr::new("1")));
        assert!(wants(true, None, xterm));
        for (terminal, no_color, term) in
            [(false, None, xterm), (true, one, xterm), (true, None, dumb), (true, None, None)]
        {
            assert!(!wants(terminal, no_color, term), "{terminal} {no_color:?} {term:?}");
        }
    }

    #[test]
    fn a_plain_style_adds_nothing() {
        assert_eq!(Style::default().paint(Tone::Bad, "Denied"), "Denied");
        assert_eq!(Style { colours: true, columns: None }.paint(Tone::Bad, "Denied"), "\u{1b}[31mDenied\u{1b}[0m");
        assert_eq!(Style { colours: true, columns: None }.paint(Tone::Plain, "x"), "x");
    }
}
