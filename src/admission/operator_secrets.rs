//! Policy `operator-secrets`: which Secrets the operator may make and delete.
//!
//! It may create and get Secrets, so it could make one of type `kubernetes.io/service-account-token` and read from it the
//! token of any `ServiceAccount`; and it may delete them, so it could delete anybody's. Neither is what it has the right
//! for, and RBAC cannot say so.

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::{
    Identity, cel,
    draft::{Draft, on, right},
    name,
};
use crate::api::names::TOKEN;

pub(super) fn draft(identity: &Identity) -> Draft {
    let mut draft =
        Draft::new(name::OPERATOR_SECRETS, vec![on("", "v1", &["CREATE", "UPDATE", "DELETE"], &["secrets"])])
            .variable("it", "object == null ? oldObject : object")
            // In its own namespace the operator keeps its serving certificate, too.
            .rule(right(
                format!(
                    "request.namespace == {namespace} || {token} in variables.it.metadata.?labels.orValue({{}})",
                    namespace = cel::text(identity.namespace()),
                    token = cel::text(TOKEN),
                ),
                "the operator may only write and delete Secrets that hold a token (label certcourier.io/token)",
            ))
            // The guard's probe is of a third type; by the label it would be one of policy `tokens`.
            .rule(right(
                "request.operation == 'DELETE' || object.?type.orValue('Opaque') in ['Opaque', 'kubernetes.io/tls']",
                "the operator may only write Secrets of type Opaque and kubernetes.io/tls",
            ));
    draft.conditions =
        vec![MatchCondition { name: "by-the-operator".to_owned(), expression: cel::caller_in(identity.users()) }];
    draft
}
