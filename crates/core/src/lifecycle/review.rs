//! What is under review.

use sha2::{Digest, Sha256};

use crate::{api::DownloadRequest, hex};

/// SHA-256 of what people approve: this very request, the round, the certificates, the policy values that grant, and
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
    part(request.uid_text());
    // The spec has no map and no float in it: its JSON is the same each time.
    part(&serde_json::to_string(&request.spec).unwrap_or_default());
    part(&round.to_string());
    part(&fingerprints.join(","));
    part(granting);
    part(epoch.unwrap_or_default());
    hex::encode(&hash.finalize())
}

/// Whether two user names mean one person: some authenticators ignore case, and then `BOB` is `bob`.
#[must_use]
pub fn same_person(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
