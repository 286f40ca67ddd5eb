//! `MANIFEST.json` of a `zip` file: what is inside, and which certificate it is.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::RenderError;
use crate::environment::EnvironmentMaterial;
use crate::hex;
use crate::timestamp::rfc3339;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    certificate: &'a str,
    environment: &'a str,
    subject: &'a str,
    issuer: &'a str,
    serial_number: &'a str,
    sha256_fingerprint: &'a str,
    not_before: String,
    not_after: String,
    dns_names: &'a [String],
    files: Vec<ManifestFile<'a>>,
}

#[derive(Serialize)]
struct ManifestFile<'a> {
    name: &'a str,
    bytes: usize,
    sha256: String,
}

/// The manifest, ending in a line feed.
pub(super) fn write<'a>(
    certificate_name: &str,
    one: EnvironmentMaterial<'_>,
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let leaf = one.material.leaf();
    let manifest = Manifest {
        certificate: certificate_name,
        environment: one.environment,
        subject: &leaf.subject,
        issuer: &leaf.issuer,
        serial_number: &leaf.serial_number,
        sha256_fingerprint: &leaf.sha256_fingerprint,
        not_before: rfc3339(leaf.not_before_seconds),
        not_after: rfc3339(leaf.not_after_seconds),
        dns_names: &leaf.dns_names,
        files: files
            .map(|(name, content)| ManifestFile {
                name,
                bytes: content.len(),
                sha256: hex::encode(&Sha256::digest(content)),
            })
            .collect(),
    };
    let mut json = serde_json::to_vec_pretty(&manifest).map_err(RenderError::Manifest)?;
    json.push(b'\n');
    Ok(Zeroizing::new(json))
}
