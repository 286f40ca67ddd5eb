//! Comma-separated values: RFC 4180, and harmless in a spreadsheet. Pure.

/// Characters that make a spreadsheet take a field for a formula. Source: OWASP, "CSV Injection".
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A table: fields with a comma, a quote or a line end are quoted, lines end with CR LF. What a spreadsheet would run as a
/// formula gets an apostrophe in front, which shows it as text.
pub fn csv(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = String::new();
    for row in rows {
        let fields: Vec<String> = row.iter().map(|field| quoted(field)).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

fn quoted(field: &str) -> String {
    let harmless = if field.starts_with(FORMULA) { format!("'{field}") } else { field.to_owned() };
    if harmless.contains([',', '"', '\r', '\n']) { format!("\"{}\"", harmless.replace('"', "\"\"")) } else { harmless }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be_and_no_formula_is_left() {
        let rows = [
            vec!["name".to_owned(), "reason".to_owned()],
            vec!["r-1".to_owned(), "INC-1, \"urgent\"\nsecond line".to_owned()],
            vec![String::new(), "=HYPERLINK(\"http://evil\",\"x\")".to_owned()],
            vec!["+1".to_owned(), "@SUM(A1)".to_owned()],
            vec!["-2".to_owned(), "\tx".to_owned()],
        ];
        assert_eq!(
            csv(rows),
            "name,reason\r\nr-1,\"INC-1, \"\"urgent\"\"\nsecond line\"\r\n,\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\"\r\n\
             '+1,'@SUM(A1)\r\n'-2,'\tx\r\n"
        );
    }
}
