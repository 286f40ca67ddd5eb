//! The four CRDs as the API server has them, beside those that this version of certcourier applies.
//!
//! Admission policies refer to requests and votes in the shape that the CRDs give them. Editing a CRD changes that
//! shape: without the status subresource votes are written through the main resource, a schema default or a conversion
//! webhook changes objects while they are read, and a field that the schema lacks is dropped on the way in and out.
//!
//! So everything that decides what is stored and read must be as it is here. What later versions may add is let
//! through, because they only grow: fields, values of an enum, and rules. Words, printer columns and selectable fields
//! decide nothing. Every edit, also one that is let through or undone, begins an epoch; see [`super::Live::epoch`].

use serde_json::{Map, Value};

use crate::api::{self, VERSION};

/// What a schema says to readers alone.
const WORDS: [&str; 4] = ["description", "title", "example", "externalDocs"];

/// The spec of each CRD by its name.
pub(super) fn specs() -> impl Iterator<Item = (String, Value)> {
    api::crds().into_iter().map(|crd| {
        // A spec without a JSON form has an empty one, which no live CRD is equal to.
        let spec = serde_json::to_value(&crd.spec).unwrap_or_default();
        (crd.metadata.name.unwrap_or_default(), spec)
    })
}

/// The first thing in which a live CRD's spec differs from ours, as the end of a sentence.
pub(super) fn difference(ours: &Value, live: &Value) -> Option<String> {
    let strategy = live["conversion"]["strategy"].as_str().unwrap_or("None");
    if strategy != "None" {
        return Some(format!("spec.conversion.strategy is {strategy}, so something else converts objects"));
    }
    let versions = |spec: &Value| spec["versions"].as_array().cloned().unwrap_or_default();
    let (mut own, others): (Vec<_>, Vec<_>) = versions(live).into_iter().partition(|v| v["name"] == VERSION);
    if let Some(other) = others.iter().find(|other| other["served"] == true) {
        return Some(format!("version {} is served too", other["name"].as_str().unwrap_or_default()));
    }
    let wanted = versions(ours).into_iter().find(|version| version["name"] == VERSION)?;
    let Some(version) = own.pop().filter(|own| own["served"] == true && own["storage"] == true) else {
        return Some(format!("version {VERSION} is not the one that is served and stored"));
    };
    let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
    subresources(&wanted["subresources"], &version["subresources"])
        .or_else(|| in_schema("", &schema(&wanted), &schema(&version)))
}

fn subresources(ours: &Value, live: &Value) -> Option<String> {
    let has = |all: &Value, name: &str| all.get(name).is_some_and(|found| !found.is_null());
    ["status", "scale"].into_iter().find_map(|name| match (has(ours, name), has(live, name)) {
        (true, false) => Some(format!("subresource {name} is off, so anyone who can update the object can write it")),
        (false, true) => Some(format!("subresource {name} is on")),
        _ => None,
    })
}

fn in_schema(path: &str, ours: &Value, live: &Value) -> Option<String> {
    let none = Map::new();
    let (ours, live) = (ours.as_object().unwrap_or(&none), live.as_object().unwrap_or(&none));
    let named = if path.is_empty() { "the object" } else { path };
    let null = Value::Null;
    let keys = ours.keys().chain(live.keys().filter(|key| !ours.contains_key(*key)));
    keys.filter(|key| !WORDS.contains(&key.as_str())).find_map(|key| {
        let (own, found) = (ours.get(key).unwrap_or(&null), live.get(key).unwrap_or(&null));
        match key.as_str() {
            "properties" => in_fields(path, own, found),
            "items" if own.is_object() => in_schema(&format!("{path}[]"), own, found),
            "x-kubernetes-validations" => {
                let rule = missing(own, found, same_rule)?["rule"].as_str().unwrap_or_default().to_owned();
                Some(format!("{named} lacks the rule `{rule}`"))
            }
            "enum" if own.is_array() => missing(own, found, same).map(|value| format!("{named} cannot be {value}")),
            _ => (!same(own, found)).then(|| format!("the schema has a different `{key}` for {named}")),
        }
    })
}

fn in_fields(path: &str, ours: &Value, live: &Value) -> Option<String> {
    ours.as_object()?.iter().find_map(|(name, own)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match live.get(name) {
            None => Some(format!("there is no field {path}, so its content is dropped")),
            Some(found) => in_schema(&path, own, found),
        }
    })
}

/// The first entry of one list that the other lacks.
fn missing<'a>(ours: &'a Value, live: &Value, same: impl Fn(&Value, &Value) -> bool) -> Option<&'a Value> {
    let found = live.as_array().map(Vec::as_slice).unwrap_or_default();
    ours.as_array()?.iter().find(|own| !found.iter().any(|other| same(own, other)))
}

/// With `optionalOldSelf` the same words mean something else.
fn same_rule(ours: &Value, live: &Value) -> bool {
    ours["rule"] == live["rule"] && ours["optionalOldSelf"] == live["optionalOldSelf"]
}

/// The API server writes 8 where others write 8.0, and leaves out what is null.
fn same(ours: &Value, live: &Value) -> bool {
    match (ours, live) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(some), Value::Array(others)) => {
            some.len() == others.len() && some.iter().zip(others).all(|(one, other)| same(one, other))
        }
        _ => ours == live,
    }
}
