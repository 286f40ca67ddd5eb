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

    /// Its text on one line, in its tone.
    pub fn render(&self, style: Style) -> String {
        style.paint(self.tone, &plain(&self.text))
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

/// The text on one line; what would move the cursor, or no one would see, is made visible.
pub fn plain(text: &str) -> String {
    text::shown(text).into_owned()
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
