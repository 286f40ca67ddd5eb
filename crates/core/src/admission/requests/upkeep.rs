//! What keeps requests few, small and there: who deletes them, how much they may carry along, and whose the guard's is.

use k8s_openapi::api::admissionregistration::v1::Validation;

use super::LAST_APPLIED;
use crate::admission::{
    Identity, cel,
    draft::{right, rule, saying},
};
use crate::api::names::{GUARD, REVOKE, REVOKED_BY};

/// Everything that is kept of a request is kept by the operator, too: enough for labels of tools, a reason and a mint.
const MAX_ANNOTATIONS: usize = 4096;
/// kubectl repeats the whole object in it, groups of the requester included.
const MAX_LAST_APPLIED: usize = 16 * 1024;
/// The keys alone are up to 317 characters each.
const MAX_LABELS: usize = 4096;
/// An owner or two, and the finalizers of a few tools.
const MAX_LISTS: usize = 4096;

/// What some ten tools need that own every annotation, label and finalizer there may be.
pub(in crate::admission) const MAX_MANAGED_FIELDS: usize = 64 * 1024;
/// What one vote or revocation adds, so that no one can fill a request up to keep it from being denied.
pub(in crate::admission) const ONE_MORE: usize = 4096;

/// No one else asks for an annotation, so what a tool adds must fit beside it. What is there already does not keep an
/// object from being changed, as long as it does not grow.
pub(super) fn annotations_fit() -> Validation {
    let last = cel::text(LAST_APPLIED);
    // A map filtered is the list of its keys.
    // What revokes a request must fit whatever else the requester has put there.
    let apart = cel::list([LAST_APPLIED, REVOKE, REVOKED_BY]);
    let sum = |map: &str| format!("{map}.filter(k, !(k in {apart})).map(k, size(k) + size({map}[k])).sum()");
    let applied = |map: &str| format!("({last} in {map} ? size({map}[{last}]) : 0)");
    let (kept, old_kept) = (applied("variables.annotations"), applied("variables.oldAnnotations"));
    let (now, before) = (sum("variables.annotations"), sum("variables.oldAnnotations"));
    rule(
        format!(
            "request.operation == 'DELETE' ||
             (({now} <= {MAX_ANNOTATIONS} || {now} <= {before}) &&
              ({kept} <= {MAX_LAST_APPLIED} || {kept} <= {old_kept}))"
        ),
        &format!(
            "metadata.annotations of a request hold at most {MAX_ANNOTATIONS} characters together, and {LAST_APPLIED} \
             {MAX_LAST_APPLIED}: remove some"
        ),
    )
}

pub(super) fn labels_fit() -> Validation {
    let now = cel::characters("variables.request.metadata.?labels.orValue({})");
    let before = cel::characters("oldObject.metadata.?labels.orValue({})");
    rule(
        format!("request.operation == 'DELETE' || {now} <= {MAX_LABELS} || (oldObject != null && {now} <= {before})"),
        &format!("metadata.labels of a request hold at most {MAX_LABELS} characters together: remove some"),
    )
}

/// Finalizers and owners are bounded by no one else, and are kept twice: managedFields repeats them.
pub(super) fn lists_fit() -> Validation {
    let finalizers = |object: &str| format!("{object}.metadata.?finalizers.orValue([]).map(f, size(f)).sum()");
    let owners = |object: &str| {
        format!(
            "{object}.metadata.?ownerReferences.orValue([])
               .map(o, size(o.name) + size(o.kind) + size(o.apiVersion) + size(o.uid)).sum()"
        )
    };
    let (now, before) = ("variables.request", "oldObject");
    rule(
        format!(
            "request.operation == 'DELETE' ||
             ({new} + {new_owners} <= {MAX_LISTS} ||
              (oldObject != null && {new} + {new_owners} <= {old} + {old_owners}))",
            new = finalizers(now),
            new_owners = owners(now),
            old = finalizers(before),
            old_owners = owners(before),
        ),
        &format!(
            "metadata.finalizers and metadata.ownerReferences of a request hold at most {MAX_LISTS} characters \
             together: remove some"
        ),
    )
}

/// Nothing but the size of an object bounds it, and every list of requests reads it.
pub(super) fn managed_fields_fit() -> Validation {
    let (now, before) = ("variables.managedFields", "variables.oldManagedFields");
    let revoke = cel::text(REVOKE);
    rule(
        format!(
            "request.operation == 'DELETE' || variables.kubernetes || {now} <= {MAX_MANAGED_FIELDS} ||
             (oldObject != null && {now} <= {before} +
              ({revoke} in variables.annotations && !({revoke} in variables.oldAnnotations) ? {ONE_MORE} : 0))"
        ),
        &format!(
            "metadata.managedFields of a request holds at most {MAX_MANAGED_FIELDS} characters: do not write it \
             yourself, and use fewer field managers"
        ),
    )
}

/// With a request go its votes, its token and the answer to who denied it and why. RBAC's `delete` is held by everyone
/// who asks, for their own; who may delete others' is another verb.
pub(super) fn others_do_not_delete(identity: &Identity) -> Validation {
    saying(
        right(
            format!(
                "request.operation != 'DELETE' || variables.isRequester || variables.kubernetes || {controller} ||
                 authorizer.group('certcourier.io').resource('downloadrequests').namespace(request.namespace)
                   .name(oldObject.metadata.name).check('administer').allowed()",
                controller = cel::caller_in([identity.controller()])
            ),
            &format!(
                "only the requester and certcourier-admin may delete a request: to revoke it, annotate it with {REVOKE}"
            ),
        ),
        format!(
            r#"'only ' + oldObject.spec.?requestedBy.?username.orValue('its requester') + ', who asked, and who holds ' +
            'verb administer on downloadrequests.certcourier.io (ClusterRole certcourier-admin) may delete this ' +
            'request; to revoke it: kubectl annotate dlr ' + oldObject.metadata.name + ' {REVOKE}="why"'"#
        ),
    )
}

/// In the operator's namespace a request of this name is never reconciled, so no one else must take it.
pub(super) fn guards_request_is_the_controllers(identity: &Identity) -> Validation {
    right(
        format!(
            "request.operation != 'CREATE' || request.namespace != {namespace} || object.metadata.name != {guard} ||
             {controller}",
            namespace = cel::text(identity.namespace()),
            guard = cel::text(GUARD),
            controller = cel::caller_in([identity.controller()]),
        ),
        &format!("request {GUARD} of this namespace is the guard's own: choose another name"),
    )
}
