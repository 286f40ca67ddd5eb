//! The ZIP files: `zip` of one environment, `der-zip` of all.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::error::RenderError;
use super::{manifest, text};
use crate::environment::EnvironmentMaterial;
use crate::file_name::environment_entry_name;
use crate::zip_writer::{self, Access, Entry, Packing, TooLarge};

impl From<TooLarge> for RenderError {
    fn from(_: TooLarge) -> Self {
        RenderError::TooLarge
    }
}

/// `der-zip`: the leaf of every environment, sorted by file name, so that the order in which
/// environments are listed does not change the bytes.
pub(super) fn every_environment(
    environments: &[EnvironmentMaterial<'_>],
    certificate_name: &str,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    if environments.is_empty() {
        return Err(RenderError::NoEnvironment);
    }
    // Windows and macOS do not tell `A` from `a`.
    let mut owners: HashMap<String, &str> = HashMap::with_capacity(environments.len());
    let mut entries = Vec::with_capacity(environments.len());
    for one in environments {
        let name = environment_entry_name(certificate_name, one.environment);
        if let Some(first) = owners.insert(name.to_lowercase(), one.environment) {
            return Err(RenderError::NameClash { first: first.to_owned(), second: one.environment.to_owned(), name });
        }
        entries.push(Entry {
            name,
            content: one.material.leaf_der(),
            packing: Packing::Stored,
            access: Access::Everyone,
        });
    }
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(zip_writer::write(&entries)?)
}

/// `zip`: every file of one environment and a manifest of them. `chain.pem` is left out if there is
/// no intermediate.
pub(super) fn bundle(
    one: EnvironmentMaterial<'_>,
    key: &[u8],
    pkcs12: &[u8],
    certificate_name: &str,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let material = one.material;
    let mut files = vec![File::text("cert.pem", text::certificate(material))];
    if material.chain_length() > 0 {
        files.push(File::text("chain.pem", text::chain(material)?));
    }
    files.push(File::text("fullchain.pem", text::fullchain(material)?));
    files.push(File { access: Access::Owner, ..File::text("key.pem", text::key(key)) });
    files.push(File {
        name: "bundle.p12",
        content: Zeroizing::new(pkcs12.to_vec()),
        packing: Packing::Stored,
        access: Access::Owner,
    });
    let listed = files.iter().map(|file| (file.name, file.content.as_slice()));
    let manifest = manifest::write(certificate_name, one, listed)?;
    files.push(File::text("MANIFEST.json", manifest));
    let entries: Vec<Entry<'_>> = files
        .iter()
        .map(|file| Entry {
            name: file.name.to_owned(),
            content: &file.content,
            packing: file.packing,
            access: file.access,
        })
        .collect();
    Ok(zip_writer::write(&entries)?)
}

struct File {
    name: &'static str,
    content: Zeroizing<Vec<u8>>,
    packing: Packing,
    access: Access,
}

impl File {
    fn text(name: &'static str, content: Zeroizing<Vec<u8>>) -> Self {
        Self { name, content, packing: Packing::Deflated, access: Access::Everyone }
    }
}
