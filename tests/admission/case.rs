//! One case of the matrix: who calls what, and how it must end.

use axum::http::Method;
use certcourier::admission;
use serde_json::{Value, json};

use crate::world::{Session, Who};

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// An HTTP request to the API server.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub content_type: &'static str,
    pub body: Value,
    /// Read the object first, edit it, and send that: the way of whoever may `update` and not `patch`.
    pub edit: Option<Edit>,
}

type Edit = fn(&mut Value, &Value);

/// A resource in a namespace, such as the requests of `payments`.
#[derive(Clone, Debug)]
pub struct Place {
    collection: String,
}

impl Place {
    /// Resources of certcourier.
    pub fn of(namespace: &str, plural: &str) -> Self {
        Self { collection: format!("/apis/certcourier.io/v1alpha1/namespaces/{namespace}/{plural}") }
    }

    /// Resources of the core group.
    pub fn core(namespace: &str, plural: &str) -> Self {
        Self { collection: format!("/api/v1/namespaces/{namespace}/{plural}") }
    }

    /// Roles and their bindings.
    pub fn rbac(namespace: &str, plural: &str) -> Self {
        Self { collection: format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{plural}") }
    }

    fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.collection)
    }

    pub fn create(&self, object: Value) -> Call {
        Call::new(Method::POST, &self.collection, object)
    }

    pub fn get(&self, name: &str) -> Call {
        Call::new(Method::GET, &self.object(name), Value::Null)
    }

    pub fn list(&self) -> Call {
        Call::new(Method::GET, &self.collection, Value::Null)
    }

    /// `name` may end in `/status`.
    pub fn merge(&self, name: &str, patch: Value) -> Call {
        Call { content_type: MERGE_PATCH, ..Call::new(Method::PATCH, &self.object(name), patch) }
    }

    /// An update that carries the resourceVersion of what it read, with this merged into it; null takes a field away.
    /// `name` may end in `/status`.
    pub fn update(&self, name: &str, changes: Value) -> Call {
        Call { edit: Some(merge), ..Call::new(Method::PUT, &self.object(name), changes) }
    }

    /// The same, with this appended to the list at `/status/approvals`.
    pub fn update_with_vote(&self, name: &str, vote: Value) -> Call {
        Call { edit: Some(append_vote), ..Call::new(Method::PUT, &self.object(name), vote) }
    }

    /// The same, with the first entry taken from the list at `/status/approvals`.
    pub fn update_without_first_vote(&self, name: &str) -> Call {
        Call { edit: Some(remove_first_vote), ..Call::new(Method::PUT, &self.object(name), Value::Null) }
    }

    /// `name` may end in `/status`.
    pub fn patch(&self, name: &str, operations: Value) -> Call {
        Call { content_type: JSON_PATCH, ..Call::new(Method::PATCH, &self.object(name), operations) }
    }

    pub fn annotate(&self, name: &str, key: &str, value: impl Into<Value>) -> Call {
        self.merge(name, json!({"metadata": {"annotations": {key: value.into()}}}))
    }

    pub fn label(&self, name: &str, key: &str, value: impl Into<Value>) -> Call {
        self.merge(name, json!({"metadata": {"labels": {key: value.into()}}}))
    }

    pub fn delete(&self, name: &str) -> Call {
        Call::new(Method::DELETE, &self.object(name), Value::Null)
    }

    /// `Foreground`, `Orphan` or `Background`.
    pub fn delete_with(&self, name: &str, propagation: &str) -> Call {
        Call::new(Method::DELETE, &self.object(name), json!({"propagationPolicy": propagation}))
    }

    pub fn delete_all(&self) -> Call {
        Call::new(Method::DELETE, &self.collection, Value::Null)
    }
}

impl Call {
    pub fn new(method: Method, path: &str, body: Value) -> Self {
        Self { method, path: path.to_owned(), content_type: JSON, body, edit: None }
    }

    /// The same as a dry run.
    pub fn dry(mut self) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{separator}dryRun=All", self.path);
        self
    }

    /// Server-side apply of an object that says itself where it belongs.
    pub fn apply(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let version = text("/apiVersion");
        let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        let place = match text("/metadata/namespace") {
            "" => root,
            namespace => format!("{root}/namespaces/{namespace}"),
        };
        let kind = text("/kind").to_lowercase();
        let plural = match kind.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{kind}s"),
        };
        let path = format!("{place}/{plural}/{}?fieldManager=kubectl&force=true", text("/metadata/name"));
        Self { content_type: APPLY_PATCH, ..Self::new(Method::PATCH, &path, object.clone()) }
    }
}

fn merge(target: &mut Value, changes: &Value) {
    let Value::Object(changes) = changes else {
        *target = changes.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let fields = target.as_object_mut().unwrap();
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), change);
        }
    }
}

fn append_vote(object: &mut Value, vote: &Value) {
    object["status"]["approvals"].as_array_mut().expect("a list of votes").push(vote.clone());
}

fn remove_first_vote(object: &mut Value, _: &Value) {
    object["status"]["approvals"].as_array_mut().expect("a list of votes").remove(0);
}

/// What the API server said.
#[derive(Clone, Debug)]
pub struct Answer {
    pub code: u16,
    pub body: Value,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The policy that refused.
    pub fn refused_by(&self) -> Option<&'static str> {
        if self.is_success() { None } else { admission::refused_by(self.message()) }
    }
}

/// How a case must end.
#[derive(Clone, Debug)]
pub enum Expect {
    /// It passes.
    Allowed,
    /// It passes, and the object then holds this value at this JSON pointer.
    Gives(&'static str, Value),
    /// This policy refuses, in these words.
    Refused(&'static str, &'static str),
    /// The kind's own schema or CEL rules refuse, in these words.
    Invalid(&'static str),
    /// RBAC refuses before any policy is asked, in these words.
    Forbidden(&'static str),
    /// The object has changed, or exists already.
    Conflict,
}

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Case {
    pub what: String,
    pub who: Who,
    pub call: Call,
    pub expect: Expect,
}

pub fn case(what: impl Into<String>, who: Who, call: Call, expect: Expect) -> Case {
    Case { what: what.into(), who, call, expect }
}

/// Runs a table in order and fails with every line that went wrong.
pub async fn run(session: &Session, cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for case in cases {
        let answer = session.send(&case.who, &case.call).await;
        if let Err(reason) = check(&case.expect, &answer) {
            wrong.push(format!(
                "- {} ({:?} {} {}):\n    {reason}",
                case.what, case.who, case.call.method, case.call.path
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn check(expect: &Expect, answer: &Answer) -> Result<(), String> {
    let by = answer.refused_by();
    let says = |words: &str| answer.message().contains(words);
    let met = match expect {
        Expect::Allowed => answer.is_success(),
        Expect::Gives(pointer, value) => answer.is_success() && answer.body.pointer(pointer) == Some(value),
        Expect::Refused(policy, words) => [403, 422].contains(&answer.code) && by == Some(*policy) && says(words),
        Expect::Invalid(words) => answer.code == 422 && by.is_none() && says(words),
        Expect::Forbidden(words) => answer.code == 403 && by.is_none() && says(words),
        Expect::Conflict => answer.code == 409,
    };
    if met { Ok(()) } else { Err(format!("expected {expect:?}, but the answer was {} {}", answer.code, shown(answer))) }
}

fn shown(answer: &Answer) -> String {
    let text = if answer.message().is_empty() { answer.body.to_string() } else { answer.message().to_owned() };
    text.chars().take(600).collect()
}
