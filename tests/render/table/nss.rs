//! NSS (Firefox, Thunderbird, Chrome on Linux): what `pk12util` lists, and what it takes over into a database.

use std::fs;

use super::{facts::Facts, made::Made, openssl};
use crate::Folder;

pub(super) fn list(folder: &Folder, made: &[&Made]) -> Vec<Result<Facts, String>> {
    made.iter()
        .map(|made| folder.try_check("pk12util", &["-l", &made.path, "-w", "pass"]).map(|text| listed(&text)))
        .collect()
}

fn listed(text: &str) -> Facts {
    let mut facts = Facts::default();
    // Each part begins at the edge; a name, if there is one, is its last line but one.
    let mut parts: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("Certificate") || line.starts_with("Key") {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    for part in parts {
        let name = part.iter().find_map(|line| line.strip_prefix("    Friendly Name: ")).unwrap_or("-");
        if part[0].starts_with("Key") {
            facts.add("key-name", name);
            continue;
        }
        let title = part.iter().position(|line| line.trim() == "Fingerprint (SHA-256):");
        let digest = title.and_then(|title| part.get(title + 1)).unwrap_or(&"no digest");
        facts.add("certificate", digest.trim().replace(':', "").to_lowercase());
        facts.add("name", name);
    }
    facts
}

/// Into a database of its own, and out of it into another file, which openssl opens.
pub(super) fn import(folder: &Folder, made: &[&Made]) -> Vec<Result<Facts, String>> {
    made.iter()
        .map(|made| {
            let database = format!("{}-nss", made.path);
            fs::create_dir(folder.path(&database)).unwrap();
            let (place, again) = (format!("sql:{database}"), format!("{}-by-nss", made.path));
            folder.check("certutil", &["-N", "-d", &place, "--empty-password"]);
            folder.try_check("pk12util", &["-i", &made.path, "-w", "pass", "-d", &place, "-K", ""])?;
            // Its own file need not be hard to guess: 600,000 rounds for each part are most of this test.
            let out = ["-o", &again, "-n", "api", "-w", "pass", "-d", &place, "-K", "", "-C", "NONE"];
            folder.try_check("pk12util", &out)?;
            openssl::pkcs12(folder, &again, &["-nomacver"])
        })
        .collect()
}
