//! Policy `certificates`: anyone who points a Certificate at a Secret must be allowed to read that Secret.
//!
//! Otherwise a person who may write Certificates but not read Secrets would read any Secret through certcourier.

use k8s_openapi::api::admissionregistration::v1::Validation;

use super::{
    Identity, cel,
    draft::{self, Draft, on, right, rule, saying},
    name,
};
use crate::api::GROUP;

/// As many as `spec.environments` can hold.
const MAX_ENVIRONMENTS: usize = 16;

pub(super) fn draft(identity: &Identity) -> Draft {
    let matches = vec![
        on(GROUP, "*", &["CREATE", "UPDATE"], &["certificates"]),
        on(GROUP, "*", &["UPDATE"], &["certificates/status"]),
    ];
    let draft = Draft::new(name::CERTIFICATES, matches)
        .variable("isStatus", "request.?subResource.orValue('') == 'status'")
        .variable("old", "oldObject == null ? [] : oldObject.spec.?environments.orValue([])")
        // An environment that is renamed or reads other keys counts as new: its policy may be another.
        .variable(
            "added",
            "variables.isStatus ? [] : object.spec.?environments.orValue([]).filter(e, !(e in variables.old))",
        )
        .refuse_probes()
        .rule(right(
            format!("!variables.isStatus || {}", cel::caller_in([identity.controller()])),
            "only the certcourier controller writes the status of a Certificate",
        ))
        .rule(draft::status_stays())
        .rule(environments_fit());
    (0..MAX_ENVIRONMENTS).fold(draft, |draft, index| draft.rule(secret_is_readable(index)))
}

/// The CRD says so too, and first. Where a CRD was edited, no rule would check what goes beyond.
fn environments_fit() -> Validation {
    rule(
        format!("size(variables.added) <= {MAX_ENVIRONMENTS}"),
        &format!("a Certificate has at most {MAX_ENVIRONMENTS} environments: create another one for the rest"),
    )
}

/// One rule for each place of the list: a rule may cost 1,000,000 units, and one look-up of a right costs 350,000.
fn secret_is_readable(index: usize) -> Validation {
    saying(
        right(
            format!(
                "size(variables.added) <= {index} ||
                 authorizer.group('').resource('secrets').namespace(request.namespace)
                   .name(variables.added[{index}].secretRef.name).check('get').allowed()"
            ),
            "you must be allowed to get each Secret that you name in a Certificate",
        ),
        format!(
            "'environment ' + variables.added[{index}].name + ' refers to Secret ' +
             variables.added[{index}].secretRef.name + ', which user ' + request.userInfo.username +
             ' is not allowed to get: name a Secret that you may get, or have this written by someone who may get it'"
        ),
    )
}
