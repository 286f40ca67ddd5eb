//! Policy `tokens`: a Secret with our label holds a live link, so only the controller makes and removes it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::{
    Identity, cel,
    draft::{Draft, on, right},
    name,
};
use crate::api::names::TOKEN;

pub(super) fn draft(identity: &Identity) -> Draft {
    let matches = vec![on("", "v1", &["CREATE", "UPDATE", "DELETE"], &["secrets"])];
    let mut draft = Draft::new(name::TOKENS, matches)
        .variable("controller", cel::caller_in([identity.controller()]))
        .variable("kubernetes", cel::caller_is_kubernetes())
        .variable("unchanged", unchanged())
        .refuse_probes()
        .rule(right(
            "request.operation != 'CREATE' || variables.controller",
            "only the certcourier controller creates token Secrets: leave label certcourier.io/token out",
        ))
        // Re-encryption writes every Secret back as it is.
        .rule(right(
            "request.operation != 'UPDATE' || variables.unchanged",
            "a token Secret must not be changed, and label certcourier.io/token must not be added or removed",
        ))
        // Without an owner its request is gone, and the token with it: anyone who may delete Secrets may tidy up.
        .rule(right(
            "request.operation != 'DELETE' || variables.controller || variables.kubernetes ||
             size(oldObject.metadata.?ownerReferences.orValue([])) == 0",
            "only the certcourier controller deletes token Secrets: annotate the DownloadRequest with \
             certcourier.io/revoke, and the Secret is deleted too",
        ));
    // Matches when the old object or the new one has the label: taking it away and adding it are both seen.
    draft.objects = LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: TOKEN.to_owned(),
            operator: "Exists".to_owned(),
            values: None,
        }]),
        match_labels: None,
    };
    draft
}

/// As it was; the garbage collector may take away finalizers and owners, or a deletion would hang.
fn unchanged() -> String {
    format!(
        "object.?data.orValue({{}}) == oldObject.?data.orValue({{}}) && object.?type == oldObject.?type &&
         {labels} && {annotations} && (variables.kubernetes || ({finalizers} && {owners}))",
        labels = cel::same_map("labels"),
        annotations = cel::same_map("annotations"),
        finalizers = cel::same_list("finalizers"),
        owners = cel::same_list("ownerReferences"),
    )
}
