//! What is under review, and who has agreed to it.

use sha2::{Digest, Sha256};

use crate::{
    api::{Approval, Decision, DownloadRequest},
    hex,
};

/// SHA-256 over what people agree to: this very request, the round, the certificates, the policy values that grant, and
/// the guard's epoch. Lower-case hexadecimal. Each part is led by its length, so that no two lists read the same.
#[must_use]
pub fn digest(
    request: &DownloadRequest,
    round: i32,
    fingerprints: &[String],
    granting: &str,
    epoch: Option<&str>,
) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update(text.len().to_be_bytes());
        hash.update(text.as_bytes());
    };
    part("certcourier review v1");
    part(request.metadata.uid.as_deref().unwrap_or_default());
    // The spec has no map and no float in it: its JSON is the same each time.
    part(&serde_json::to_string(&request.spec).unwrap_or_default());
    part(&round.to_string());
    part(&fingerprints.join(","));
    part(granting);
    part(epoch.unwrap_or_default());
    hex::encode(&hash.finalize())
}

/// The distinct people whose approval counts for this digest, in the order of their votes: never the requester, never a
/// program, and upper case makes nobody a second person.
#[must_use]
pub fn voters<'a>(approvals: &'a [Approval], digest: &str, requester: &str) -> Vec<&'a str> {
    let mut people: Vec<&str> = Vec::new();
    for vote in approvals {
        let counts = vote.decision == Decision::Approve
            && vote.digest == digest
            && !digest.is_empty()
            && !same_person(&vote.username, requester)
            && !vote.username.to_lowercase().starts_with("system:");
        if counts && !people.iter().any(|known| same_person(known, &vote.username)) {
            people.push(&vote.username);
        }
    }
    people
}

/// Whether two user names mean one person: some authenticators ignore case, and then `BOB` is `bob`.
#[must_use]
pub fn same_person(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
