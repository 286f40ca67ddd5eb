//! Tables as kubectl prints them: a head in capitals, columns three spaces apart. On a terminal long cells are cut so that
//! a row stays one line; in a pipe nothing is cut.

use jiff::{SignedDuration, Timestamp};

use super::style::{Style, Tone};
use crate::text;

/// Between two columns.
const GAP: usize = 3;
/// No column is cut to less than this.
const NARROWEST: usize = 8;
/// Columns that are copied into the next command, and never cut.
const WHOLE: [&str; 4] = ["NAME", "NAMESPACE", "CONTEXT", "REQUEST"];

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

    /// The text, nothing cut. Names and reasons come from people: what would move the cursor or break a line is not
    /// printed.
    pub fn render(&self, style: Style, with_head: bool) -> String {
        self.fitted(style, with_head, None)
    }

    /// The text, its rows cut to a width where there is one.
    pub fn fitted(&self, style: Style, with_head: bool, width: Option<usize>) -> String {
        let rows = self.cells(with_head);
        let widths = self.widths(&rows, width);
        rows.iter().map(|row| line(row, &widths, style)).collect()
    }

    /// The text, and the text of rows that follow it later, as in a table that is watched.
    pub fn followed(&self, style: Style, with_head: bool, earlier: &[usize]) -> (String, Vec<usize>) {
        let rows = self.cells(with_head);
        let own = self.widths(&rows, None);
        let widths: Vec<usize> =
            own.iter().enumerate().map(|(column, own)| *own.max(earlier.get(column).unwrap_or(&0))).collect();
        (rows.iter().map(|row| line(row, &widths, style)).collect(), widths)
    }

    /// All cells, each on one line.
    fn cells(&self, with_head: bool) -> Vec<Vec<Cell>> {
        let head: Vec<Cell> = self.head.iter().map(|&name| Cell::from(name)).collect();
        let rows = with_head.then_some(head).into_iter().chain(self.rows.iter().cloned());
        rows.map(|row| row.into_iter().map(|cell| Cell { text: plain(&cell.text), ..cell }).collect()).collect()
    }

    /// How wide each column is: as its widest cell, or less where the row would not fit. The widest column gives way
    /// first.
    fn widths(&self, rows: &[Vec<Cell>], width: Option<usize>) -> Vec<usize> {
        let widest = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.head.len()).map(widest).collect();
        let Some(width) = width else { return widths };
        let least = |column: usize| match self.head.get(column) {
            Some(name) if WHOLE.contains(name) => usize::MAX,
            Some(name) => name.len().max(NARROWEST),
            None => usize::MAX,
        };
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            let giving = (0..widths.len()).filter(|column| widths[*column] > least(*column));
            let Some(column) = giving.max_by_key(|column| widths[*column]) else { break };
            widths[column] -= 1;
        }
        widths
    }
}

fn line(row: &[Cell], widths: &[usize], style: Style) -> String {
    let mut text = String::new();
    for (column, cell) in row.iter().enumerate() {
        let width = widths.get(column).copied().unwrap_or(usize::MAX);
        let (shown, length) = cut(&cell.text, width);
        text.push_str(&style.paint(cell.tone, &shown));
        if column + 1 < row.len() {
            text.push_str(&" ".repeat(width.saturating_sub(length) + GAP));
        }
    }
    text.push('\n');
    text
}

/// The text, and how many characters it has; where it is too long, its end is one character that says so.
fn cut(text: &str, width: usize) -> (String, usize) {
    let length = text.chars().count();
    if length <= width {
        return (text.to_owned(), length);
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    (format!("{kept}…"), width)
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

/// `2026-11-22T12:00:00Z (3m ago)`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let left = at.duration_since(now);
    if left.is_positive() { format!("{at} (in {})", span(left)) } else { format!("{at} ({} ago)", span(left)) }
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
    fn a_table_is_cut_to_the_terminal_its_widest_column_first_and_a_name_never() {
        let mut table = Table::new(["NAME", "SUBJECT", "REASON"]);
        table.row([
            "api-key-of-the-first-cluster".into(),
            "CN=api".into(),
            "INC-4211: the importer lost its file".into(),
        ]);
        assert_eq!(
            table.fitted(Style::default(), true, Some(60)),
            "NAME                           SUBJECT   REASON\napi-key-of-the-first-cluster   CN=api    INC-4211: the impo…\n"
        );
        let narrow = table.fitted(Style::default(), false, Some(10));
        assert!(narrow.starts_with("api-key-of-the-first-cluster   CN=api   INC-421…"), "{narrow}");
        assert_eq!(table.fitted(Style::default(), true, Some(500)), table.render(Style::default(), true));
    }

    #[test]
    fn rows_that_follow_stand_below_the_columns_that_are_there() {
        let mut first = Table::new(["NAME", "PHASE"]);
        first.row(["a-long-name".into(), "Pending".into()]);
        let (_, widths) = first.followed(Style::default(), true, &[]);
        let mut next = Table::new(["NAME", "PHASE"]);
        next.row(["b".into(), "Approved".into()]);
        assert_eq!(next.followed(Style::default(), false, &widths).0, "b             Approved\n");
    }

    #[test]
    fn a_span_is_said_in_its_largest_unit() {
        for (seconds, said) in [(0, "0s"), (119, "119s"), (-90, "90s"), (600, "10m"), (10_000, "2h"), (200_000, "2d")] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), said);
        }
    }
}
