//! A policy as it is thought of — what it matches, which rules it has — and the two objects that the API server wants.

use k8s_openapi::{
    api::admissionregistration::v1::{
        AuditAnnotation, MatchCondition, MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
        Validation, Variable,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Object, PROBE_MESSAGE, REVISION, REVISION_ANNOTATION, cel};
use crate::hex;

/// Enough to tell two specs apart by eye; no one gains by a collision, which would have to be valid CEL too.
const DIGEST_BYTES: usize = 16;

/// One policy.
pub(super) struct Draft {
    pub(super) name: &'static str,
    pub(super) matches: Vec<NamedRuleWithOperations>,
    pub(super) namespaces: LabelSelector,
    pub(super) objects: LabelSelector,
    pub(super) conditions: Vec<MatchCondition>,
    pub(super) variables: Vec<Variable>,
    pub(super) rules: Vec<Validation>,
    pub(super) audit: Vec<AuditAnnotation>,
}

impl Draft {
    /// A policy that matches these resources and refuses nothing yet.
    pub(super) fn new(name: &'static str, matches: Vec<NamedRuleWithOperations>) -> Self {
        Self {
            name,
            matches,
            namespaces: LabelSelector::default(),
            objects: LabelSelector::default(),
            conditions: Vec::new(),
            variables: Vec::new(),
            rules: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// A name for an expression that several rules use; it is evaluated once, when it is first needed.
    pub(super) fn variable(mut self, name: &str, expression: impl AsRef<str>) -> Self {
        self.variables.push(Variable { name: name.to_owned(), expression: cel::lines(expression.as_ref()) });
        self
    }

    /// Refuses whatever carries the label of the guard's probes.
    pub(super) fn refuse_probes(self) -> Self {
        self.rule(rule(cel::is_no_probe(), PROBE_MESSAGE))
    }

    pub(super) fn rule(mut self, rule: Validation) -> Self {
        self.rules.push(rule);
        self
    }

    /// The policy and its binding, with every field that the API server would fill, so that both stay comparable.
    pub(super) fn into_objects(self) -> [Object; 2] {
        let spec = ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            match_constraints: Some(MatchResources {
                match_policy: Some("Equivalent".to_owned()),
                namespace_selector: Some(self.namespaces),
                object_selector: Some(self.objects),
                resource_rules: Some(self.matches),
                exclude_resource_rules: None,
            }),
            match_conditions: some(self.conditions),
            variables: some(self.variables),
            validations: Some(self.rules),
            audit_annotations: some(self.audit),
            param_kind: None,
        };
        let bound = ValidatingAdmissionPolicyBindingSpec {
            policy_name: Some(self.name.to_owned()),
            validation_actions: Some(vec!["Deny".to_owned(), "Audit".to_owned()]),
            match_resources: None,
            param_ref: None,
        };
        [
            Object::Policy(Box::new(ValidatingAdmissionPolicy {
                metadata: metadata(self.name, &spec),
                spec: Some(spec),
                status: None,
            })),
            Object::Binding(Box::new(ValidatingAdmissionPolicyBinding {
                metadata: metadata(self.name, &bound),
                spec: Some(bound),
            })),
        ]
    }
}

fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

/// The name, the label by which everything of certcourier is found, and the revision.
pub(super) fn metadata(name: &str, spec: &impl Serialize) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some([("app.kubernetes.io/name".to_owned(), "certcourier".to_owned())].into()),
        annotations: Some([(REVISION_ANNOTATION.to_owned(), format!("{REVISION}-{}", spec_digest(spec)))].into()),
        ..ObjectMeta::default()
    }
}

/// Some operations on some resources of one group, such as `downloadrequests` or `downloadrequests/status`.
pub(super) fn on(group: &str, version: &str, operations: &[&str], resources: &[&str]) -> NamedRuleWithOperations {
    let owned = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    NamedRuleWithOperations {
        api_groups: owned(&[group]),
        api_versions: owned(&[version]),
        operations: owned(operations),
        resources: owned(resources),
        scope: Some("*".to_owned()),
        resource_names: None,
    }
}

/// What must be true, and what the user is told otherwise.
pub(super) fn rule(expression: impl AsRef<str>, message: &str) -> Validation {
    Validation {
        expression: cel::lines(expression.as_ref()),
        message: Some(message.to_owned()),
        message_expression: None,
        reason: None,
    }
}

/// [`rule`]s about who may, as opposed to what is well formed: answered with 403 instead of 422.
pub(super) fn right(expression: impl AsRef<str>, message: &str) -> Validation {
    Validation { reason: Some("Forbidden".to_owned()), ..rule(expression, message) }
}

/// Status is written through its subresource alone, where the policies about it look.
///
/// The API server sees to that as long as the CRD has the subresource: it takes the status out of a creation, and puts
/// the old one into an update, before this is asked. While a CRD lacks it, anyone who may update the object could write
/// votes, tokens and outcomes.
pub(super) fn status_stays() -> Validation {
    right(
        "request.?subResource.orValue('') != '' ||
         (request.operation == 'CREATE' ? !has(object.status) :
          request.operation != 'UPDATE' || object.?status == oldObject.?status)",
        "status is written through the status subresource only, and the CRD lacks it: apply the CRDs that `certcourier \
         crds` prints",
    )
}

/// The rule with a message that names what is at hand; the fixed one is for when that would be too long.
pub(super) fn saying(rule: Validation, message_expression: impl AsRef<str>) -> Validation {
    Validation { message_expression: Some(cel::lines(message_expression.as_ref())), ..rule }
}

/// SHA-256 of the spec as JSON with sorted keys, the first 32 hexadecimal characters. Absent and null are the same.
#[must_use]
pub fn spec_digest(spec: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    // A type without a JSON form has an empty one, which is no one's digest.
    feed(&mut hash, &serde_json::to_value(spec).unwrap_or_default());
    hex::encode(&hash.finalize()[..DIGEST_BYTES])
}

/// The order of keys is ours, whatever `serde_json` does.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut present: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            present.sort_by_key(|(key, _)| *key);
            hash.update(b"{");
            for (key, value) in present {
                hash.update(Value::from(key.as_str()).to_string());
                hash.update(b":");
                feed(hash, value);
                hash.update(b",");
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            for item in items {
                feed(hash, item);
                hash.update(b",");
            }
            hash.update(b"]");
        }
        scalar => hash.update(scalar.to_string()),
    }
}
