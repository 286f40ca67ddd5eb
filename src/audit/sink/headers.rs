//! The headers that go along to the sink, from a file, because one of them is mostly a credential.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::audit::args::AuditError;

const FLAG: &str = "--audit-sink-headers";

/// Headers from a file, as it was when it last changed.
pub(super) struct Headers {
    path: PathBuf,
    changed: Option<SystemTime>,
    map: HeaderMap,
}

impl Headers {
    /// Reads the file.
    pub(super) fn load(path: PathBuf) -> Result<Self, AuditError> {
        let (changed, map) = (changed(&path), read(&path)?);
        Ok(Self { path, changed, map })
    }

    /// The headers as the file has them now; the last good ones while it is broken.
    pub(super) fn current(&mut self) -> &HeaderMap {
        let now = changed(&self.path);
        if now != self.changed {
            match read(&self.path) {
                Ok(map) => {
                    self.map = map;
                    self.changed = now;
                }
                Err(error) => tracing::warn!(%error, "the headers for the audit sink are unchanged"),
            }
        }
        &self.map
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn read(path: &Path) -> Result<HeaderMap, AuditError> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|source| AuditError::Read {
        flag: FLAG,
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|line| AuditError::File {
        flag: FLAG,
        path: path.to_owned(),
        problem: format!("line {line} is not a header: write `Name: value`"),
    })
}

/// The number of the line that is none, else the headers.
fn parse(text: &str) -> Result<HeaderMap, usize> {
    let mut map = HeaderMap::new();
    for (number, line) in (1_usize..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':').ok_or(number)?;
        let name: HeaderName = name.trim().parse().map_err(|_| number)?;
        let mut value: HeaderValue = value.trim().parse().map_err(|_| number)?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_headers_is_read_and_a_wrong_line_is_named_and_not_shown() {
        let map = parse("Authorization: Bearer canary\n\nX-Tenant:  payments \r\n").unwrap();
        assert_eq!(map["authorization"], "Bearer canary");
        assert_eq!(map["x-tenant"], "payments");
        assert!(!format!("{map:?}").contains("canary"));
        assert_eq!(parse("X-A: 1\nBearer canary\n"), Err(2));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "Bearer canary").unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 1 is not a header") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str, seconds: u64| {
            fs::write(file.path(), text).unwrap();
            let moment = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(file.path()).unwrap().set_modified(moment).unwrap();
        };
        write("X-Key: one", 1);
        let mut headers = Headers::load(file.path().to_owned()).unwrap();
        assert_eq!(headers.current()["x-key"], "one");
        write("nonsense", 2);
        assert_eq!(headers.current()["x-key"], "one");
        write("X-Key: two", 3);
        assert_eq!(headers.current()["x-key"], "two");
    }
}
