//! Whether a block printed what the page shows behind it.

use serde_json::Value;

/// Whether a shown answer has the fields of the real one. Null stands for any value, an empty list for any list.
pub fn same_fields(example: &Value, answer: &Value) -> Result<(), String> {
    match (example, answer) {
        (Value::Null, _) | (_, Value::Null) => Ok(()),
        (Value::Object(example), Value::Object(answer)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            if names(example) != names(answer) {
                return Err(format!("{:?} are not {:?}", names(answer), names(example)));
            }
            example
                .iter()
                .try_for_each(|(name, value)| same_fields(value, &answer[name]).map_err(|e| format!("{name}: {e}")))
        }
        (Value::Array(example), Value::Array(answer)) => {
            example.first().zip(answer.first()).map_or(Ok(()), |(example, answer)| same_fields(example, answer))
        }
        (example, answer) if std::mem::discriminant(example) == std::mem::discriminant(answer) => Ok(()),
        (example, answer) => Err(format!("{answer} is not like {example}")),
    }
}

/// The first JSON value that was printed.
pub fn json(printed: &str) -> Result<Value, String> {
    let from = printed.find('{').ok_or_else(|| "there is no JSON".to_owned())?;
    let mut values = serde_json::Deserializer::from_str(&printed[from..]).into_iter::<Value>();
    values.next().ok_or_else(|| "there is no JSON".to_owned())?.map_err(|error| error.to_string())
}

/// An answer as JSON: its fields, and the code of a refusal.
pub fn same_answer(shown: &str, printed: &str) -> Result<(), String> {
    let example: Value = serde_json::from_str(shown).map_err(|error| format!("{error}: {shown}"))?;
    let answer = json(printed)?;
    same_fields(&example, &answer)?;
    if example.get("error") == answer.get("error") { Ok(()) } else { Err("it is another error".to_owned()) }
}

/// Lines as text: in this order, `…` for anything, however wide the columns are.
pub fn same_lines(shown: &str, printed: &str) -> Result<(), String> {
    let narrow = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = printed.lines().map(narrow);
    for wanted in shown.lines().map(narrow) {
        if !lines.any(|line| is_like(&wanted, &line)) {
            return Err(format!("`{wanted}` is not there, or not in its place"));
        }
    }
    Ok(())
}

fn is_like(wanted: &str, line: &str) -> bool {
    let mut pieces = wanted.split('…');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut last = first;
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
        last = piece;
    }
    rest.is_empty() || (wanted.contains('…') && last.is_empty())
}

/// The fields that a table behind a block explains: its first column, if its head begins with `field`.
pub fn fields_of_a_table(prose: &str) -> Option<(bool, Vec<&str>)> {
    let table = prose.trim_start().strip_prefix("| field of ")?;
    let each = table.starts_with("each item");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    Some((each, cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()))
}

/// An answer, or each of its items, has just the fields of the table.
pub fn same_table(each: bool, fields: &[&str], printed: &str) -> Result<(), String> {
    let answer = json(printed)?;
    let object = if each { answer.pointer("/items/0").unwrap_or(&Value::Null) } else { &answer };
    let mut names: Vec<&str> = object.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let mut fields = fields.to_vec();
    names.sort_unstable();
    fields.sort_unstable();
    if names == fields { Ok(()) } else { Err(format!("it has {names:?}, and the table {fields:?}")) }
}
