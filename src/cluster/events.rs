//! Events (events.k8s.io) beside the objects that people look at with `kubectl describe`.
//!
//! The name of an Event begins with the object's name and its time: `kubectl describe` lists Events without a
//! lastTimestamp, and events.k8s.io has none, in the order of their names. The rest is made from what it says. What
//! strangers can cause has the hour for its time, and is written once in it, however many replicas see it. Events are a
//! courtesy: one that cannot be written is logged, and nothing fails for it.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, Resource, api::PostParams};
use sha2::{Digest as _, Sha256};

use super::error::{Failure, failure, in_one_line};
use crate::{api::words::EventReason, hex, text};

/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1024;
/// So much of the object's name fits into an Event's, in front of a dot and 22 digits.
const LONGEST_NAME: usize = 230;
const HOUR: i64 = 3600;

/// The type of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// All is well.
    Normal,
    /// Needs attention.
    Warning,
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// Its type.
    pub event_type: EventType,
    /// Why it is told.
    pub reason: EventReason,
    /// What the operator was doing, one CamelCase word, such as `Mint`.
    pub action: &'a str,
    /// A sentence; cut after 1,024 bytes.
    pub text: String,
}

/// Writes Events in the name of one program.
#[derive(Clone)]
pub struct Events {
    client: Client,
    controller: &'static str,
    instance: String,
}

impl Events {
    /// `client` must be one that never retries; `controller` is `certcourier.io/<program>`, `instance` the pod.
    #[must_use]
    pub fn new(client: Client, controller: &'static str, instance: impl Into<String>) -> Self {
        Self { client, controller, instance: instance.into() }
    }

    /// Tells a note about an object.
    pub async fn tell<K: Resource<DynamicType = ()>>(&self, about: &K, note: Note<'_>, now: Timestamp) {
        let key = note.text.clone();
        self.write(about, note, (&key, now), now).await;
    }

    /// The same, but two notes of one hour about an object are the same if `key` is, whatever their text: what strangers
    /// can cause is told once, however they vary it.
    pub async fn tell_once<K: Resource<DynamicType = ()>>(&self, about: &K, note: Note<'_>, key: &str, now: Timestamp) {
        self.write(about, note, (key, end_of_hour(now)), now).await;
    }

    async fn write<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        note: Note<'_>,
        key: (&str, Timestamp),
        now: Timestamp,
    ) {
        let reference = about.object_ref(&());
        let Some(namespace) = reference.namespace.clone() else { return };
        let event = self.event(reference, &note, key, now);
        match Api::<Event>::namespaced(self.client.clone(), &namespace).create(&PostParams::default(), &event).await {
            Ok(_) => {}
            Err(error) if failure(&error) == Failure::Conflict => {}
            Err(error) => tracing::warn!(
                event.reason = event.reason.as_deref(),
                namespace,
                error = in_one_line(&error),
                "an Event could not be written"
            ),
        }
    }

    fn event(&self, regarding: ObjectReference, note: &Note<'_>, key: (&str, Timestamp), now: Timestamp) -> Event {
        // `kubectl describe` prints it as it is.
        let text = text::shown(&note.text);
        let text = cut(&text, LONGEST_NOTE);
        Event {
            metadata: ObjectMeta {
                name: Some(name(&regarding, note, key, self.controller)),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some(note.action.to_owned()),
            reason: Some(note.reason.name().to_owned()),
            note: Some(text.to_owned()),
            type_: Some(if note.event_type == EventType::Normal { "Normal" } else { "Warning" }.to_owned()),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(self.controller.to_owned()),
            reporting_instance: Some(cut(&self.instance, 128).to_owned()),
            regarding: Some(regarding),
            ..Event::default()
        }
    }
}

/// Behind everything else of the hour, so that it does not come before what led to it.
fn end_of_hour(now: Timestamp) -> Timestamp {
    let end = (now.as_second().div_euclid(HOUR) + 1) * HOUR;
    Timestamp::from_second(end).unwrap_or(now)
}

/// The same for the same key about the same object at the same time; in the order of time.
fn name(regarding: &ObjectReference, note: &Note<'_>, (key, at): (&str, Timestamp), controller: &str) -> String {
    let mut hash = Sha256::new();
    for part in [regarding.uid.as_deref().unwrap_or_default(), controller, note.reason.name(), note.action, key] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let object = cut(regarding.name.as_deref().unwrap_or("certcourier"), LONGEST_NAME).trim_end_matches(['.', '-']);
    format!("{object}.{:014x}{}", at.as_microsecond().max(0), hex::encode(&hash.finalize()[..4]))
}

fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str) -> ObjectReference {
        ObjectReference { name: Some(name.to_owned()), uid: Some("u".to_owned()), ..ObjectReference::default() }
    }

    /// Seconds after half past twelve.
    fn at(seconds: i64) -> Timestamp {
        "2026-11-22T12:30:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds)
    }

    fn note(text: &str) -> Note<'_> {
        Note { event_type: EventType::Normal, reason: EventReason::Usable, action: "A", text: text.to_owned() }
    }

    #[test]
    fn the_same_words_have_the_same_name_and_others_another() {
        let first = name(&about("api"), &note("one"), ("one", at(0)), "c");
        assert_eq!(first, name(&about("api"), &note("another text"), ("one", at(0)), "c"));
        assert_ne!(first, name(&about("api"), &note("one"), ("two", at(0)), "c"));
        let other = ObjectReference { uid: Some("v".to_owned()), ..about("api") };
        assert_ne!(first, name(&other, &note("one"), ("one", at(0)), "c"));
    }

    #[test]
    fn names_are_in_the_order_of_time_and_those_of_strangers_change_with_the_hour() {
        let named = |key: &'static str, when| name(&about("api"), &note("x"), (key, when), "c");
        let later = at(0) + jiff::SignedDuration::from_micros(1);
        for keys in [["one", "two"], ["two", "one"]] {
            assert!(named(keys[0], at(0)) < named(keys[1], later), "{keys:?}");
        }
        assert_eq!(end_of_hour(at(0)), end_of_hour(at(1799)));
        assert_eq!(end_of_hour(at(0)), at(1800), "the fixture begins half past");
        assert!(end_of_hour(at(0)) < end_of_hour(at(1800)));
    }

    #[test]
    fn names_and_notes_stay_within_what_the_api_server_takes() {
        let long = format!("{}.{}", "a".repeat(229), "b".repeat(23));
        let event_name = name(&about(&long), &note("x"), ("x", at(0)), "c");
        assert!(event_name.len() <= 253 && !event_name.contains(".."), "{event_name}");
        assert_eq!(cut(&"ü".repeat(600), LONGEST_NOTE).len(), 1024);
        assert_eq!(cut("short", LONGEST_NOTE), "short");
    }
}
