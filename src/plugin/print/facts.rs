//! Facts about one thing, a label before each, as `kubectl describe` prints them.

use std::fmt::Write as _;

use super::{
    style::Style,
    table::{Cell, Table},
};

/// Between a label and what it says.
const GAP: usize = 2;
/// What a fact has on a narrow terminal.
const LEAST: usize = 20;

/// A page of facts.
#[derive(Clone, Debug, Default)]
pub struct Page(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Facts(&'static str, Vec<Cell>),
    Table(&'static str, Table),
}

impl Page {
    /// Adds a fact.
    pub fn fact(&mut self, label: &'static str, says: impl Into<Cell>) {
        self.0.push(Part::Facts(label, vec![says.into()]));
    }

    /// Adds a fact, if there is one.
    pub fn maybe(&mut self, label: &'static str, says: Option<impl Into<Cell>>) {
        if let Some(says) = says {
            self.fact(label, says);
        }
    }

    /// Adds several facts of one kind, one a line; `<none>` where there is none.
    pub fn facts(&mut self, label: &'static str, mut says: Vec<Cell>) {
        if says.is_empty() {
            says.push(Cell::from(None));
        }
        self.0.push(Part::Facts(label, says));
    }

    /// Adds a table below its label, unless it is empty.
    pub fn table(&mut self, label: &'static str, table: Table) {
        if !table.is_empty() {
            self.0.push(Part::Table(label, table));
        }
    }

    /// The text.
    pub fn render(&self, style: Style) -> String {
        let label = |part: &Part| match part {
            Part::Facts(label, _) => label.len(),
            Part::Table(..) => 0,
        };
        let indent = self.0.iter().map(label).max().unwrap_or(0) + 1 + GAP;
        // What people wrote begins no line: it would look like another fact.
        let columns = style.columns().map(|columns| columns.saturating_sub(indent).max(LEAST));
        // Writing to a String cannot fail.
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Facts(label, says) => {
                    let lines = says.iter().flat_map(|cell| cell.lines(style, columns));
                    for (index, line) in lines.enumerate() {
                        let head = if index == 0 { format!("{label}:") } else { String::new() };
                        let _ = writeln!(text, "{head:indent$}{line}");
                    }
                }
                Part::Table(label, table) => {
                    let _ = writeln!(text, "{label}:");
                    for line in table.render(style, true).lines() {
                        let _ = writeln!(text, "  {line}");
                    }
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_below_each_other_and_tables_are_indented() {
        let mut page = Page::default();
        page.fact("Name", "api");
        page.facts("Fingerprints", vec!["a".into(), "b\u{1b}[2J".into()]);
        page.facts("Policies", Vec::new());
        page.maybe("Reason", None::<&str>);
        page.table("Votes", Table::new(["WHO"]));
        let mut votes = Table::new(["WHO", "VOTE"]);
        votes.row(["bob".into(), "Approve".into()]);
        page.table("Votes", votes);
        assert_eq!(
            page.render(Style::default()),
            "Name:          api\nFingerprints:  a\n               b [2J\nPolicies:      <none>\nVotes:\n  WHO   VOTE\n  bob   Approve\n"
        );
    }

    #[test]
    fn what_people_wrote_pretends_to_be_no_fact_whatever_the_width_of_the_terminal() {
        let mut page = Page::default();
        let why = format!(
            "routine{}Fingerprints:  none{}Policies:\u{a0}\u{2003}none needed",
            " ".repeat(58),
            "重".repeat(70)
        );
        page.fact("Why", why.as_str());
        page.fact("Fingerprints", "a");
        for columns in (30..200).step_by(7) {
            let text = page.render(Style::wide(columns));
            let (says, rest) = text.split_at(text.find("\nFingerprints:").unwrap());
            assert_eq!(rest, "\nFingerprints:  a\n");
            for (index, line) in says.lines().enumerate() {
                assert!(line.starts_with(if index == 0 { "Why:  " } else { "               " }), "{line:?}");
                let taken: usize = line.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
                assert!(taken <= columns.max(35), "{taken} of {columns}: {line:?}");
                assert!(!line[15..].contains("  "), "blanks in a row are one: {line:?}");
            }
        }
        // Without an end of the line there is one line, and nothing is far from the rest.
        assert!(page.render(Style::default()).starts_with("Why:           routine Fingerprints: none重"));
    }
}
