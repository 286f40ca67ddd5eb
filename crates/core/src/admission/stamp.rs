//! The mutating policy that writes `spec.requestedBy` for the caller, and who revokes a request. As JSON, because
//! `k8s-openapi` with the oldest API that we support does not know the kind.

use serde_json::{Value, json};

use super::{cel, draft, name};
use crate::api::{
    GROUP,
    names::{REVOKE, REVOKED_BY},
};

/// Writes the caller over whatever a client wrote.
const ON_CREATE: &str = r#"[JSONPatch{op: "add", path: "/spec/requestedBy", value: Object.spec.requestedBy{
    username: request.userInfo.username,
    uid: request.userInfo.?uid.orValue(""),
    groups: request.userInfo.?groups.orValue([])}}]"#;

/// Puts back what a client left out that sends the whole object, as `kubectl replace` and re-applying do.
const ON_UPDATE: &str = r#"[JSONPatch{op: "add", path: "/spec/requestedBy", value: Object.spec.requestedBy{
    username: oldObject.spec.requestedBy.?username.orValue(""),
    uid: oldObject.spec.requestedBy.?uid.orValue(""),
    groups: oldObject.spec.requestedBy.?groups.orValue([])}}]"#;

/// Writes who revokes beside the reason, when that is new.
fn on_revocation() -> String {
    let (revoke, by) = (cel::text(REVOKE), cel::text(REVOKED_BY));
    format!(
        r#"has(object.metadata.annotations) && {revoke} in object.metadata.annotations &&
           !(oldObject != null && {revoke} in oldObject.metadata.?annotations.orValue({{}}))
           ? [JSONPatch{{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey({by}), value: request.userInfo.username}}]
           : []"#
    )
}

/// The `MutatingAdmissionPolicy` and its binding, for Kubernetes 1.36 and later. Without them clients write
/// `spec.requestedBy` themselves, and who revoked is told where they wrote it; [`name::REQUESTS`] checks it either way.
#[must_use]
pub fn stamp() -> [Value; 2] {
    let expression = cel::lines(&format!(
        "!has(object.spec) ? [] :
         (request.operation == 'CREATE' ? {ON_CREATE} :
          has(object.spec.requestedBy) || !has(oldObject.spec.requestedBy) ? [] : {ON_UPDATE}) +
         ({})",
        on_revocation()
    ));
    let spec = json!({
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "resourceRules": [draft::on(GROUP, "*", &["CREATE", "UPDATE"], &["downloadrequests"])],
        },
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    });
    let bound = json!({"policyName": name::STAMP});
    [object("MutatingAdmissionPolicy", &spec), object("MutatingAdmissionPolicyBinding", &bound)]
}

fn object(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": draft::metadata(name::STAMP, spec),
        "spec": spec,
    })
}
