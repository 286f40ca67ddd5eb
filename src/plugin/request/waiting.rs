//! What is said to a person who waits for approvals: how many are missing, until when, and whom to ask. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::api::words::{ConditionReason, ConditionType};
use crate::{
    api::{DownloadRequest, Phase},
    lifecycle::Tally,
};

/// The approvals that a request waits for. Two are equal while nothing has happened but that time passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    missing: i32,
    required: i32,
    until: Option<Timestamp>,
    contacts: Vec<String>,
    lapsed: Vec<String>,
    is_new_round: bool,
    approve: String,
}

impl Approvals {
    /// What the request waits for; `None` where it is not approvals, or something else stops it.
    pub fn of(request: &DownloadRequest, flags: &str) -> Option<Self> {
        let status = request.status.as_ref()?;
        let review = request.review()?;
        let tally = Tally::shown(request)?;
        let is_stalled = status.condition_true(ConditionType::Stalled).is_some();
        if request.phase() != Phase::AwaitingApproval || is_stalled || tally.required == 0 {
            return None;
        }
        let changed = |reason: &str| *reason == *ConditionReason::ReviewChanged.name();
        Some(Self {
            missing: (tally.required - tally.given()).max(0),
            required: tally.required,
            until: review.expires_at.as_ref().map(|time| time.0),
            contacts: review.contacts.clone(),
            lapsed: tally.lapsed.iter().map(ToString::to_string).collect(),
            is_new_round: request.condition(ConditionType::Approved).is_some_and(|found| changed(&found.reason)),
            approve: format!("kubectl certcourier approve {} {flags}", request.key().name),
        })
    }

    /// `waiting for 2 of 2 approvals, until 16:43 UTC (59 min left). Approvers (…): kubectl …`.
    pub fn in_words(&self, now: Timestamp) -> String {
        let Self { missing, required, approve, .. } = self;
        if *missing == 0 {
            return format!("all {required} approvals are given; waiting for the controller to count them");
        }
        let until =
            self.until.map(|end| format!(", until {} ({})", clock(end, now), left(end, now))).unwrap_or_default();
        let ask = match self.contacts.as_slice() {
            [] => String::new(),
            contacts => format!("; ask {}", contacts.join(", ")),
        };
        let changed =
            if self.is_new_round { "what is under review has changed, and earlier votes are void: " } else { "" };
        let lapsed = match self.lapsed.as_slice() {
            [] => String::new(),
            people => format!(". Not counted: {}, who may no longer approve", people.join(", ")),
        };
        format!(
            "{changed}waiting for {missing} of {required} approvals{until}{lapsed}. Approvers (ClusterRole \
             certcourier-approver{ask}): {approve}"
        )
    }

    /// The part that changes by itself, for one line of a terminal that is written over.
    pub fn countdown(&self, now: Timestamp) -> Option<String> {
        let end = self.until.filter(|_| self.missing > 0)?;
        Some(format!("{} of {} approvals, {}", self.required - self.missing, self.required, left(end, now)))
    }
}

/// `16:43 UTC`; with the date where that is not today's.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_string(), now.to_string());
    let part = |range: std::ops::Range<usize>, text: &str| text.get(range).unwrap_or_default().to_owned();
    let (day, time) = (part(0..10, &at), part(11..16, &at));
    if day == part(0..10, &now) { format!("{time} UTC") } else { format!("{day} {time} UTC") }
}

/// `59 min left`, to the second where it is near.
fn left(end: Timestamp, now: Timestamp) -> String {
    let left = end.duration_since(now).max(SignedDuration::ZERO).as_secs();
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    match (hours, minutes) {
        (48.., _) => format!("{} days left", hours / 24),
        (1.., _) => format!("{hours} h {minutes} min left"),
        (_, 10..) => format!("{minutes} min left"),
        (_, 1..) => format!("{minutes} min {seconds} s left"),
        _ => format!("{seconds} s left"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::request::review::fixtures::{request, vote};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn waits(votes: &serde_json::Value, contacts: &[&str]) -> DownloadRequest {
        let mut request = request("AwaitingApproval", votes);
        let review = request.status.as_mut().unwrap().review.as_mut().unwrap();
        review.expires_at = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at("2026-11-22T13:00:00Z")));
        review.contacts = contacts.iter().map(ToString::to_string).collect();
        request
    }

    #[test]
    fn who_waits_is_told_until_when_and_whom_to_ask() {
        let of = |request: &DownloadRequest, now: &str| {
            Approvals::of(request, "-n payments").map(|waits| waits.in_words(at(now)))
        };
        let command = "kubectl certcourier approve key -n payments";
        let role = "Approvers (ClusterRole certcourier-approver";
        let none = waits(&json!([]), &[]);
        let one = waits(&json!([vote("Approve", "d1")]), &["#payments-oncall", "security@example.com"]);
        for (request, now, said) in [
            (
                &none,
                "2026-11-22T12:00:00Z",
                format!("waiting for 2 of 2 approvals, until 13:00 UTC (1 h 0 min left). {role}): {command}"),
            ),
            (
                &one,
                "2026-11-22T12:01:00Z",
                format!(
                    "waiting for 1 of 2 approvals, until 13:00 UTC (59 min left). {role}; ask #payments-oncall, \
                     security@example.com): {command}"
                ),
            ),
            (
                &none,
                "2026-11-22T12:59:30Z",
                format!("waiting for 2 of 2 approvals, until 13:00 UTC (30 s left). {role}): {command}"),
            ),
            (
                &none,
                "2026-11-21T23:59:30Z",
                format!(
                    "waiting for 2 of 2 approvals, until 2026-11-22 13:00 UTC (13 h 0 min left). {role}): {command}"
                ),
            ),
        ] {
            assert_eq!(of(request, now).as_deref(), Some(said.as_str()));
        }
        assert_eq!(of(&request("Approved", &json!([])), "2026-11-22T12:00:00Z"), None);
    }

    #[test]
    fn time_alone_is_no_change_and_counts_down() {
        let one = Approvals::of(&waits(&json!([]), &[]), "").unwrap();
        assert_eq!(one, Approvals::of(&waits(&json!([]), &[]), "").unwrap());
        assert_ne!(one, Approvals::of(&waits(&json!([vote("Approve", "d1")]), &[]), "").unwrap());
        let shown = |now: &str| one.countdown(at(now)).unwrap();
        assert_eq!(shown("2026-11-22T12:55:00Z"), "0 of 2 approvals, 5 min 0 s left");
        assert_eq!(shown("2026-11-22T14:00:00Z"), "0 of 2 approvals, 0 s left");
    }

    #[test]
    fn a_new_round_and_a_lost_right_are_said() {
        let mut request = waits(&json!([vote("Approve", "d1")]), &[]);
        let status = request.status.as_mut().unwrap();
        status.review.as_mut().unwrap().approvals.lapsed = vec!["bob".to_owned()];
        status.conditions =
            serde_json::from_value(json!([{"type": "Approved", "status": "False", "reason": "ReviewChanged",
            "message": "m", "lastTransitionTime": "2026-11-22T12:00:00Z"}]))
            .unwrap();
        let words = Approvals::of(&request, "").unwrap().in_words(at("2026-11-22T12:00:00Z"));
        for said in
            ["earlier votes are void: waiting for 2 of 2 approvals", "Not counted: bob, who may no longer approve"]
        {
            assert!(words.contains(said), "{words}");
        }
    }
}
