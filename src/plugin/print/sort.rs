//! `--sort-by`: a path in the object, as kubectl takes it. Not a column: columns round (`AGE`), and objects have more
//! than any table. Pure.

use std::{cmp::Ordering, str::FromStr};

use serde::Serialize;
use serde_json::Value;

use crate::plugin::error::PluginError;

/// `.metadata.creationTimestamp`, with or without braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortBy(Vec<String>);

impl FromStr for SortBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let names: Vec<String> = bare.strip_prefix('.').unwrap_or_default().split('.').map(str::to_owned).collect();
        let known = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
        if names.iter().all(known) {
            return Ok(Self(names));
        }
        Err("write the path of a field, such as .metadata.creationTimestamp or .spec.format".to_owned())
    }
}

impl SortBy {
    /// Sorts, the smallest (the oldest) first; those that lack the field come before all others.
    ///
    /// # Errors
    /// When no object has the field: then it is a slip.
    pub fn sort<K: Serialize>(&self, objects: Vec<K>) -> Result<Vec<K>, PluginError> {
        let mut keyed: Vec<(Value, K)> = objects.into_iter().map(|object| (self.field(&object), object)).collect();
        if !keyed.is_empty() && keyed.iter().all(|(field, _)| field.is_null()) {
            let words = format!("--sort-by: nothing here has a field .{}", self.0.join("."));
            return Err(PluginError::usage(words).next("-o json shows the fields"));
        }
        keyed.sort_by(|(one, _), (other, _)| order(one, other));
        Ok(keyed.into_iter().map(|(_, object)| object).collect())
    }

    fn field<K: Serialize>(&self, object: &K) -> Value {
        let whole = serde_json::to_value(object).unwrap_or_default();
        self.0.iter().try_fold(&whole, |value, name| value.get(name)).cloned().unwrap_or_default()
    }
}

fn order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (one, other) => one.to_string().cmp(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sorted(path: &str, objects: &Value) -> Result<Vec<String>, PluginError> {
        let objects = objects.as_array().unwrap().clone();
        let sorted = path.parse::<SortBy>().unwrap().sort(objects)?;
        Ok(sorted.iter().map(|object| object["n"].as_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn objects_are_sorted_by_a_field_the_oldest_first() {
        let objects = json!([
            {"n": "b", "at": {"time": "2026-11-22T08:00:00Z"}, "bytes": 9},
            {"n": "a", "at": {"time": "2026-11-21T08:00:00Z"}, "bytes": 10},
            {"n": "none"},
        ]);
        assert_eq!(sorted(".at.time", &objects).unwrap(), ["none", "a", "b"]);
        assert_eq!(sorted("{.bytes}", &objects).unwrap(), ["none", "b", "a"], "numbers are numbers");
        assert_eq!(sorted(".n", &objects).unwrap(), ["a", "b", "none"]);
        assert!(sorted(".spec.none", &objects).unwrap_err().words().contains(".spec.none"));
        assert_eq!(sorted(".spec.none", &json!([])).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_path_is_refused_with_an_example() {
        for text in ["", "age", ".", "..a", ".a[0]", "{.a", "{range .items}"] {
            assert!(text.parse::<SortBy>().unwrap_err().contains(".metadata.creationTimestamp"), "{text}");
        }
    }
}
