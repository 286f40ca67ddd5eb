//! What the API server's audit log says: who did what, and how it ended.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
};

use serde_json::Value;

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct Event(Value);

impl Event {
    /// The whole event, `audit.k8s.io/v1`.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The user name of the caller.
    #[must_use]
    pub fn user(&self) -> &str {
        self.text("/user/username")
    }

    /// The verb, for example `create`.
    #[must_use]
    pub fn verb(&self) -> &str {
        self.text("/verb")
    }

    /// The resource with its subresource, for example `downloadrequests/status`; empty for calls to other paths.
    #[must_use]
    pub fn resource(&self) -> String {
        match self.text("/objectRef/subresource") {
            "" => self.text("/objectRef/resource").to_owned(),
            subresource => format!("{}/{subresource}", self.text("/objectRef/resource")),
        }
    }

    /// The namespace of the object; empty if it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("/objectRef/namespace")
    }

    /// The name of the object; empty where the call names none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/objectRef/name")
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn code(&self) -> Option<u64> {
        self.0.pointer("/responseStatus/code").and_then(Value::as_u64)
    }

    /// What RBAC said: `allow` or `forbid`; empty where it was not asked.
    #[must_use]
    pub fn decision(&self) -> &str {
        self.0.get("annotations").and_then(|all| all.get("authorization.k8s.io/decision")).map_or("", as_text)
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).map_or("", as_text)
    }
}

fn as_text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The events of a log so far, oldest first. A line that is still being written is left out.
pub(crate) fn read(log: &Path) -> io::Result<impl Iterator<Item = Event> + use<>> {
    let lines = BufReader::new(File::open(log)?).lines();
    Ok(lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).map(Event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_at_the_end_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("audit.log");
        let whole = r#"{"verb":"get","user":{"username":"carol"},"objectRef":{"resource":"pods","subresource":"log"},
            "responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}"#
            .replace('\n', "");
        std::fs::write(&log, format!("{whole}\n{}", &whole[..40])).unwrap();
        let events: Vec<Event> = read(&log).unwrap().collect();
        assert_eq!(events.len(), 1);
        let event = &events[0];
        assert_eq!(
            (event.user(), event.verb(), event.resource().as_str(), event.code(), event.decision(), event.name()),
            ("carol", "get", "pods/log", Some(403), "forbid", "")
        );
    }
}
