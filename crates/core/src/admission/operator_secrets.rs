//! Policy `operator-secrets`: which Secrets the operator may make and delete.
//!
//! It may create and get Secrets, so it could make one of type `kubernetes.io/service-account-token` and read from it
//! the token of any `ServiceAccount`; and it may delete them, so it could delete anyone's. Neither is what it has the
//! right for, and RBAC cannot say so.

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::{
    Identity, cel,
    draft::{Draft, on, right},
    name,
};
use crate::api::names::{SERVING, SESSION, TOKEN};

pub(super) fn draft(identity: &Identity) -> Draft {
    let mut draft =
        Draft::new(name::OPERATOR_SECRETS, vec![on("", "v1", &["CREATE", "UPDATE", "DELETE"], &["secrets"])])
            .variable("it", "object == null ? oldObject : object")
            // The guard's probe is of a third type; by the label it would be one of policy `tokens`.
            .rule(right(
                "request.operation == 'DELETE' || object.?type.orValue('Opaque') in ['Opaque', 'kubernetes.io/tls']",
                "the operator may only write Secrets of type Opaque and kubernetes.io/tls",
            ))
            // The two Secrets besides: the certificate that the servers make for themselves, and the key of the web
            // page's sessions. They are there already, so that no one needs the right to create others.
            .rule(right(
                format!(
                    "{token} in variables.it.metadata.?labels.orValue({{}}) ||
                     (request.operation == 'UPDATE' && request.namespace == {namespace} &&
                      variables.it.metadata.name in [{serving}, {session}])",
                    namespace = cel::text(identity.namespace()),
                    serving = cel::text(SERVING),
                    session = cel::text(SESSION),
                    token = cel::text(TOKEN),
                ),
                "the operator may only write and delete Secrets that hold a token (label certcourier.io/token), and \
                 update its serving certificate and the key of its sessions",
            ));
    draft.conditions =
        vec![MatchCondition { name: "by-the-operator".to_owned(), expression: cel::caller_in(identity.users()) }];
    draft
}
