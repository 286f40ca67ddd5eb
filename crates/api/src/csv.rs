//! Comma-separated values: RFC 4180, and harmless in a spreadsheet. Pure.

/// Characters that make a spreadsheet take a field for a formula. Source: OWASP, "CSV Injection".
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One line of a table: fields with a comma, a quote or a line end are quoted, and the line ends with CR LF. What a
/// spreadsheet would run as a formula gets an apostrophe in front, which shows it as text.
#[must_use]
pub fn line<Field: AsRef<str>>(fields: impl IntoIterator<Item = Field>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|field| quoted(field.as_ref())).collect();
    fields.join(",") + "\r\n"
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
        for (fields, written) in [
            (["name", "reason"], "name,reason\r\n"),
            (["r-1", "INC-1, \"urgent\"\nnow"], "r-1,\"INC-1, \"\"urgent\"\"\nnow\"\r\n"),
            (["", "=HYPERLINK(\"http://evil\",\"x\")"], ",\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\"\r\n"),
            (["+1", "@SUM(A1)"], "'+1,'@SUM(A1)\r\n"),
            (["-2", "\tx"], "'-2,'\tx\r\n"),
            (["ä", "1-2"], "ä,1-2\r\n"),
        ] {
            assert_eq!(line(fields), written);
        }
    }
}
