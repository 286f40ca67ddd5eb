//! Policy `downloadreceipts`: the server writes the record, the controller ends it, and no one else touches it.

use super::{
    Identity, cel,
    draft::{self, Draft, on, right},
    name,
};
use crate::api::GROUP;

pub(super) fn draft(identity: &Identity) -> Draft {
    let matches = vec![
        on(GROUP, "*", &["CREATE", "UPDATE", "DELETE"], &["downloadreceipts"]),
        on(GROUP, "*", &["UPDATE"], &["downloadreceipts/status"]),
    ];
    Draft::new(name::RECEIPTS, matches)
        .variable("controller", cel::caller_in([identity.controller()]))
        .variable("server", cel::caller_in([identity.server()]))
        .variable("kubernetes", cel::caller_is_kubernetes())
        .variable("unchanged", unchanged())
        .refuse_probes()
        .rule(right(
            "request.operation != 'CREATE' || variables.server",
            "only the certcourier server creates receipts, one for each delivery",
        ))
        .rule(right(
            "request.operation != 'DELETE' || variables.controller || variables.kubernetes",
            "only the certcourier controller deletes receipts, after spec.retainUntil",
        ))
        .rule(right(
            "request.operation != 'UPDATE' || request.?subResource.orValue('') != 'status' ||
             variables.server || variables.controller",
            "only certcourier writes the outcome of a delivery",
        ))
        // Storage migration writes every object back as it is.
        .rule(right(
            "request.operation != 'UPDATE' || request.?subResource.orValue('') == 'status' || variables.unchanged",
            "a receipt is never changed",
        ))
        .rule(draft::status_stays())
}

/// As it was; Kubernetes' own controllers may take away finalizers and owners, or a deletion would hang.
fn unchanged() -> String {
    format!(
        "object.spec == oldObject.spec && {labels} && {annotations} &&
         (variables.kubernetes || ({finalizers} && {owners}))",
        labels = cel::same_map("labels"),
        annotations = cel::same_map("annotations"),
        finalizers = cel::same_list("finalizers"),
        owners = cel::same_list("ownerReferences"),
    )
}
