//! Status writes that cannot undo what somebody else has written, and the conditions in them.
//!
//! Every write is an update carrying the resourceVersion of the object that the decision was made on. If the object has
//! changed since, nothing is written and the caller observes again.

use std::fmt::Debug;

use ::kube::{Api, Client, Resource, ResourceExt as _, api::PostParams, core::NamespaceResourceScope};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::{Serialize, de::DeserializeOwned};

use super::error::{ApiError, During as _, Failure};
use crate::api::condition_rank;

/// How a guarded write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written<K> {
    /// It is written; this is the object now.
    Done(K),
    /// The object has changed since it was observed, or is gone: nothing is written; observe again.
    Conflict,
}

/// Writes the status in `object` if the object is still the one that was observed (its resourceVersion says so).
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer; then it may be written or not.
pub async fn write<K>(client: &Client, object: &K) -> Result<Written<K>, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    // Without a version the API server would overwrite whatever is there; without a uid, a namesake.
    if object.resource_version().is_none() || object.uid().is_none() {
        return Ok(Written::Conflict);
    }
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let result = api
        .replace_status(&name, &PostParams::default(), object)
        .await
        .during("write the status of", || format!("{} {namespace}/{name}", K::kind(&())));
    match result {
        Ok(written) => Ok(Written::Done(written)),
        Err(error) if matches!(error.failure(), Failure::Conflict | Failure::NotFound) => Ok(Written::Conflict),
        Err(error) => Err(error),
    }
}

/// One condition as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCondition<'a> {
    /// Its type, such as `Ready`.
    pub kind: &'a str,
    /// `Some(true)` for True, `Some(false)` for False, `None` for Unknown.
    pub status: Option<bool>,
    /// One CamelCase word.
    pub reason: &'a str,
    /// A sentence.
    pub message: String,
}

/// Puts a condition in its place among the others. Its lastTransitionTime changes only when its status does.
pub fn set_condition(conditions: &mut Vec<Condition>, new: NewCondition<'_>, generation: Option<i64>, now: Timestamp) {
    let status = match new.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let known = conditions.iter().position(|condition| condition.type_ == new.kind);
    let old = known.map(|index| conditions.remove(index)).filter(|old| old.status == status);
    conditions.push(Condition {
        type_: new.kind.to_owned(),
        status: status.to_owned(),
        reason: new.reason.to_owned(),
        message: new.message,
        observed_generation: generation,
        last_transition_time: old.map_or_else(|| Time(now), |old| old.last_transition_time),
    });
    conditions.sort_by_key(|condition| condition_rank(&condition.type_));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn new(kind: &'static str, status: Option<bool>, reason: &'static str) -> NewCondition<'static> {
        NewCondition { kind, status, reason, message: "m".to_owned() }
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        set_condition(&mut conditions, new(condition::READY, Some(false), "Unusable"), Some(1), at(10));
        set_condition(&mut conditions, new(condition::READY, Some(false), "Other"), Some(2), at(20));
        assert_eq!(conditions[0].last_transition_time.0, at(10));
        assert_eq!((conditions[0].reason.as_str(), conditions[0].observed_generation), ("Other", Some(2)));
        set_condition(&mut conditions, new(condition::READY, Some(true), "Usable"), Some(2), at(30));
        assert_eq!(conditions[0].last_transition_time.0, at(30));
        set_condition(&mut conditions, new(condition::READY, None, "Usable"), Some(2), at(40));
        assert_eq!((conditions[0].status.as_str(), conditions.len()), ("Unknown", 1));
    }

    #[test]
    fn conditions_stand_in_a_fixed_order() {
        let mut conditions = Vec::new();
        for kind in [condition::STALLED, condition::FINISHED, condition::TOKEN_ISSUED, condition::APPROVED] {
            set_condition(&mut conditions, new(kind, Some(true), "R"), None, at(0));
        }
        let kinds: Vec<&str> = conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(kinds, ["Approved", "TokenIssued", "Finished", "Stalled"]);
    }
}
