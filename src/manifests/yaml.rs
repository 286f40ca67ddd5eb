//! Kubernetes objects as YAML text. Knows nothing of what they are.

use serde::Serialize;
use serde_json::{Number, Value};

/// The object as JSON, with whole numbers written as such (`maximum: 8`, not `8.0`).
///
/// # Errors
/// When the object has no JSON form, which no Kubernetes type allows.
pub(super) fn value(object: &impl Serialize) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(object)?;
    write_whole_numbers(&mut value);
    Ok(value)
}

/// One YAML document without its `---`.
pub(super) fn document(object: &Value) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string_with_options(object, serde_saphyr::ser_options! { folded_wrap_chars: 120 })
}

fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                // Every bound of a schema is far below 2^53, where a float still counts in ones.
                if let Ok(whole) = format!("{float:.0}").parse::<i64>() {
                    *number = Number::from(whole);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers),
        _ => {}
    }
}
