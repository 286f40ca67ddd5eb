//! The report for people: at most 100 columns, one block for each finding, the worst first.

use std::fmt::Write as _;

use super::report::{Finding, Gap, GuardReport, Holder, ObjectState, Report, SetAside, SetAsideReason};

/// How wide a line may be; a longer word is on a line of its own.
const WIDTH: usize = 100;
/// Where the text of the head begins.
const HEAD: usize = 14;
/// So many names of one kind are listed.
const LISTED: usize = 8;

/// The whole report.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut page = Page::default();
    incomplete(&mut page, report);
    head(&mut page, report);
    holders(&mut page, &report.holders);
    findings(&mut page, report);
    notes(&mut page, &report.notes);
    gaps(&mut page, report);
    page.0
}

/// The first thing to know: what follows is not all.
fn incomplete(page: &mut Page, report: &Report) {
    if report.not_looked_at.is_empty() {
        return;
    }
    let (tried, failed) = (report.looks.tried, report.looks.failed);
    let what = if failed > 0 {
        format!("INCOMPLETE: {failed} of {tried} checks could not be made.")
    } else {
        "INCOMPLETE: something could not be read.".to_owned()
    };
    page.wrapped(
        "",
        0,
        &format!("{what} There may be more to find than what is listed here; the end says what is missing."),
    );
    page.line("");
}

fn head(page: &mut Page, report: &Report) {
    page.field("GUARD", &guard(&report.guard));
    let operator = if report.operator.is_empty() { "unknown".to_owned() } else { report.operator.join(", ") };
    page.field("OPERATOR", &format!("{operator} (namespace {})", report.operator_namespace));
    let places: Vec<String> = report
        .namespaces
        .iter()
        .map(|place| format!("{} ({})", place.name, counted(place.certificates, "Certificate")))
        .collect();
    let places = if places.is_empty() { "none with Certificates".to_owned() } else { listed(&places) };
    page.field("NAMESPACES", &places);
    for (because, head) in [(SetAsideReason::ControlPlane, "CONTROL PLANE"), (SetAsideReason::Trusted, "TRUSTED")] {
        let of = |aside: &&SetAside| aside.because == because;
        let names: Vec<String> = report.set_aside.iter().filter(of).map(|aside| aside.subject.clone()).collect();
        if !names.is_empty() {
            page.field(head, &format!("{} (no findings)", listed(&names)));
        }
    }
}

fn guard(guard: &GuardReport) -> String {
    let state = guard.state.as_deref().unwrap_or("unknown");
    let mut parts = vec![match &guard.reason {
        Some(reason) => format!("{state} ({reason})"),
        None => state.to_owned(),
    }];
    if let Some(age) = guard.probe_age_seconds {
        parts.push(format!("probed {age} s ago"));
    }
    if let Some(epoch) = &guard.epoch {
        parts.push(format!("epoch {}", epoch.chars().take(12).collect::<String>()));
    }
    if !guard.objects.is_empty() {
        let intact = guard.objects.iter().filter(|object| object.state == ObjectState::Intact).count();
        parts.push(format!("{intact} of {} policies and bindings are in place", guard.objects.len()));
    }
    parts.join(", ")
}

fn holders(page: &mut Page, holders: &[Holder]) {
    if holders.is_empty() {
        return;
    }
    page.line("");
    let rows: Vec<[String; 3]> = holders
        .iter()
        .map(|holder| {
            let only = if holder.certificates.is_empty() {
                String::new()
            } else {
                format!(" (only {})", listed(&holder.certificates))
            };
            [holder.right.name().to_owned(), holder.subject.clone(), format!("{}{only}", places(&holder.namespaces))]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (right, subject) = (width(0).max("RIGHT".len()), width(1).clamp("WHO".len(), WIDTH / 2));
    for [a, b, c] in [&["RIGHT".to_owned(), "WHO".to_owned(), "WHERE".to_owned()]].into_iter().chain(&rows) {
        page.wrapped(&format!("{a:right$}  {b:subject$}  "), right + subject + 4, c);
    }
}

fn findings(page: &mut Page, report: &Report) {
    page.line("");
    match (report.findings.as_slice(), report.not_looked_at.is_empty()) {
        ([], true) => page.line("No findings."),
        ([], false) => page.line("Nothing was found in what could be checked."),
        (findings, _) => page.line(&counted(findings.len(), "finding")),
    }
    for finding in &report.findings {
        block(page, finding);
    }
}

fn notes(page: &mut Page, notes: &[Finding]) {
    if notes.is_empty() {
        return;
    }
    page.line("");
    page.line(&format!("{}: no finding, and worth knowing", counted(notes.len(), "note")));
    for note in notes {
        block(page, note);
    }
}

fn block(page: &mut Page, finding: &Finding) {
    page.line("");
    let place =
        if finding.namespaces.is_empty() { String::new() } else { format!(" in {}", places(&finding.namespaces)) };
    let head = format!("{} {}{place} [{}]", finding.subject, finding.what, finding.check.name());
    page.wrapped(&format!("{:<8}  ", finding.severity.name()), 10, &head);
    page.wrapped("          why  ", 15, &finding.why);
    page.wrapped("          do   ", 15, &finding.remedy);
    for via in finding.via.iter().take(LISTED) {
        page.wrapped("          via  ", 15, via);
    }
    if finding.via.len() > LISTED {
        page.line(&format!("          via  {} more: see -o json", finding.via.len() - LISTED));
    }
}

fn gaps(page: &mut Page, report: &Report) {
    if report.not_looked_at.is_empty() {
        return;
    }
    page.line("");
    page.line("Could not be checked:");
    for Gap { what, right, cause } in &report.not_looked_at {
        page.wrapped("  - ", 4, what);
        match right {
            Some(right) => page.wrapped("    missing right: ", 19, right),
            None => page.wrapped("    ", 4, cause),
        }
    }
    if !report.grant.is_empty() {
        page.line("An administrator grants what is missing with:");
        for command in &report.grant {
            // Not wrapped: it is to be copied.
            page.line(&format!("  {command}"));
        }
    }
}

fn places(namespaces: &[String]) -> String {
    match namespaces {
        [all] if all == "*" => "all namespaces".to_owned(),
        names => listed(names),
    }
}

fn listed(names: &[String]) -> String {
    if names.len() <= LISTED {
        return names.join(", ");
    }
    format!("{} and {} more", names[..LISTED].join(", "), names.len() - LISTED)
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[derive(Default)]
struct Page(String);

impl Page {
    /// Names come from people: what would move the cursor or colour the screen is not printed.
    fn line(&mut self, text: &str) {
        let plain = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
        self.0.extend(plain);
        self.0.truncate(self.0.trim_end_matches(' ').len());
        self.0.push('\n');
    }

    fn field(&mut self, name: &str, text: &str) {
        let mut head = String::new();
        // Writing to a String cannot fail.
        let _ = write!(head, "{name:<HEAD$}");
        self.wrapped(&head, HEAD, text);
    }

    /// The text behind `head`, and below itself where a line is full.
    fn wrapped(&mut self, head: &str, indent: usize, text: &str) {
        let mut line = head.to_owned();
        let mut width = head.chars().count().max(indent);
        let mut empty = true;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if !empty && width + 1 + length > WIDTH {
                self.line(&line);
                line = " ".repeat(indent);
                width = indent;
                empty = true;
            }
            if !empty {
                line.push(' ');
                width += 1;
            }
            line.push_str(word);
            width += length;
            empty = false;
        }
        self.line(&line);
    }
}

#[cfg(test)]
mod tests;
