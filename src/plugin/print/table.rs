//! Tables as kubectl prints them: a head in capitals, columns three spaces apart, nothing cut off.

use jiff::{SignedDuration, Timestamp};

use super::style::{Style, Tone};
use crate::text;

/// Between two columns.
const GAP: usize = 3;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text that strikes.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }

    /// Its text in its tone, in lines of at most so many columns.
    pub fn lines(&self, style: Style, columns: Option<usize>) -> Vec<String> {
        let text = plain(&self.text);
        let lines = columns.map_or_else(|| vec![text.clone()], |columns| wrapped(&text, columns));
        lines.iter().map(|line| style.paint(self.tone, line)).collect()
    }
}

/// What is not known is `<none>`, as kubectl has it.
impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        text.map_or_else(|| Self::toned(Tone::Faint, "<none>"), Self::from)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), tone: Tone::Plain }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: Tone::Plain }
    }
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Columns by name.
    pub fn new(head: impl IntoIterator<Item = &'static str>) -> Self {
        Self { head: head.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row, a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text. Names and reasons come from people: what would move the cursor or break a line is not printed.
    pub fn render(&self, style: Style, with_head: bool) -> String {
        let head: Vec<Cell> = self.head.iter().map(|&name| Cell::from(name)).collect();
        let rows: Vec<Vec<Cell>> = with_head
            .then_some(head)
            .into_iter()
            .chain(self.rows.iter().cloned())
            .map(|row| row.into_iter().map(|cell| Cell { text: plain(&cell.text), ..cell }).collect())
            .collect();
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = String::new();
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                text.push_str(&style.paint(cell.tone, &cell.text));
                if column + 1 < row.len() {
                    let pad = widths.get(column).map_or(0, |width| width - cell.text.chars().count());
                    text.push_str(&" ".repeat(pad + GAP));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The text on one line; what would move the cursor, or no one would see, is made visible. Blanks in a row are one, so
/// that no text looks like two columns, or fills a line and begins another.
pub fn plain(text: &str) -> String {
    let text = text::shown(text);
    let mut one = String::with_capacity(text.len());
    let mut blank = false;
    for c in text.chars() {
        if !c.is_whitespace() {
            one.push(c);
        } else if !blank {
            one.push(if c == '\u{a0}' || c == '\u{202f}' { c } else { ' ' });
        }
        blank = c.is_whitespace();
    }
    one
}

/// The text in lines of at most so many columns, broken at blanks where there are any.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let needed: usize = word.chars().map(width).sum();
        if used > 0 && used + 1 + needed > columns {
            lines.push(String::new());
            used = 0;
        }
        let blank = (used > 0).then_some(' ');
        for c in blank.into_iter().chain(word.chars()) {
            if used > 0 && used + width(c) > columns {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += width(c);
        }
    }
    lines
}

/// No letter is wider on a terminal; to take some for wider than they are does no harm.
const fn width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// How long ago, or how far ahead, in one or two units: `45s`, `7m`, `3h`, `12d`.
pub fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().unsigned_abs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The age of what came to be then.
pub fn age(created: Option<Timestamp>, now: Timestamp) -> Cell {
    created.map_or_else(|| Cell::from(None), |created| Cell::from(span(now.duration_since(created))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_and_nothing_moves_the_cursor() {
        let mut table = Table::new(["NAME", "REASON"]);
        table.row(["api".into(), "line\nbreak".into()]);
        table.row(["a-longer-name".into(), Cell::from(None)]);
        table.row(["turned".into(), "a\u{202e}b\u{200b}c\u{1b}[2J".into()]);
        assert_eq!(
            table.render(Style::default(), true),
            "NAME            REASON\napi             line break\na-longer-name   <none>\n\
             turned          a\u{fffd}b\u{fffd}c [2J\n"
        );
        assert_eq!(table.render(Style::default(), false).lines().count(), 3);
    }

    #[test]
    fn a_span_is_said_in_its_largest_unit() {
        for (seconds, said) in [(0, "0s"), (119, "119s"), (-90, "90s"), (600, "10m"), (10_000, "2h"), (200_000, "2d")] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), said);
        }
    }
}
