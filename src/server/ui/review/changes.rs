//! What changed between what someone saw and what is under review now. What they saw comes back with their vote and
//! decides nothing: the vote counts for the digest that it names.

use crate::{api::Review, server::ui::certificate::paired};

/// What was under review when the page was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The round.
    pub round: i32,
    /// Fingerprints of the leaves, separated by commas.
    pub fingerprints: String,
    /// The policies, separated by commas.
    pub policies: String,
    /// How many people must approve.
    pub required: i32,
}

impl Seen {
    /// Of a review.
    pub fn of(review: &Review) -> Self {
        Self {
            round: review.round,
            fingerprints: review.fingerprints.join(","),
            policies: review.policies.join(","),
            required: review.approvals.required,
        }
    }

    /// What is another now, a sentence each.
    pub fn changes(&self, review: &Review) -> Vec<String> {
        let now = Self::of(review);
        let mut changes = Vec::new();
        if self.fingerprints != now.fingerprints {
            let shown = |list: &str| list.split(',').map(paired).collect::<Vec<_>>().join(", ");
            changes.push(format!(
                "The certificate was renewed or replaced. Fingerprint before: {}. Now: {}.",
                shown(&self.fingerprints),
                shown(&now.fingerprints)
            ));
        }
        if self.required != now.required {
            let (before, now) = (self.required, now.required);
            changes.push(format!("The policies ask for {now} approvals; before, it was {before}."));
        }
        if self.policies != now.policies {
            let spaced = |list: &str| list.replace(',', ", ");
            changes.push(format!(
                "Other policies apply. Before: {}. Now: {}.",
                spaced(&self.policies),
                spaced(&now.policies)
            ));
        }
        if changes.is_empty() {
            changes.push(
                "A value of the policies changed, or the admission policies did: the policy in words is below."
                    .to_owned(),
            );
        }
        changes.push(format!("This is round {}; you saw round {}.", now.round, self.round));
        changes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn review(change: &serde_json::Value) -> Review {
        let mut review = json!({"digest": "d", "round": 2, "openedAt": "2026-11-22T12:00:00Z", "fingerprints": ["ab12"],
            "policies": ["two"], "approvals": {"required": 2, "given": 0, "by": []}});
        review.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(review).unwrap()
    }

    #[test]
    fn what_changed_is_named_and_nothing_else() {
        let seen = Seen { round: 1, ..Seen::of(&review(&json!({}))) };
        for (change, said) in [
            (json!({"fingerprints": ["cd34"]}), "Fingerprint before: AB:12. Now: CD:34."),
            (json!({"approvals": {"required": 3, "given": 0, "by": []}}), "ask for 3 approvals; before, it was 2"),
            (json!({"policies": ["two", "(operator)"]}), "Before: two. Now: two, (operator)."),
            (json!({}), "A value of the policies changed"),
        ] {
            let changes = seen.changes(&review(&change));
            assert!(changes[0].contains(said), "{changes:?}");
            assert_eq!(changes[1..], ["This is round 2; you saw round 1."]);
        }
    }
}
