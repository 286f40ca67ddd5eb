//! Policy `downloadrequests`: a request names its caller, the caller holds the verb, and no one else touches or deletes
//! it.

pub(super) mod upkeep;

use k8s_openapi::api::admissionregistration::v1::{AuditAnnotation, Validation};

use super::{
    Identity, STAYS_REVOKED, cel,
    draft::{self, Draft, on, right, rule, saying},
    name,
};
use crate::{
    api::{
        Format, GROUP,
        names::{MAX_REQUEST_NAME, MINT, REVOKE, REVOKED_BY},
    },
    text::{NO_HIDDEN_MESSAGE, no_hidden},
};

/// What `kubectl apply` keeps for itself on every object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// As many groups as `spec.requestedBy.groups` can hold.
const MAX_GROUPS: usize = 1024;
/// Above it the groups of a refused caller are not printed: a message holds at most 5 kB.
const MAX_PRINTED_GROUPS: usize = 32;
/// The finalizer by which the API server remembers a deletion with `--cascade=orphan`, as a literal.
const ORPHAN: &str = "'orphan'";
/// As long as `status.token.observedMint`, and plenty for a reason.
const MAX_ANNOTATION: usize = 1024;

pub(super) fn draft(identity: &Identity) -> Draft {
    let public = cel::list(Format::ALL.into_iter().filter(|format| format.is_public()).map(Format::name));
    let mut draft =
        Draft::new(name::REQUESTS, vec![on(GROUP, "*", &["CREATE", "UPDATE", "DELETE"], &["downloadrequests"])])
            .variable("kubernetes", cel::caller_is_kubernetes())
            // A deletion has no new object.
            .variable("request", "object == null ? oldObject : object")
            .variable("isRequester", caller_is_requester())
            .variable("groups", "request.userInfo.?groups.orValue([])")
            .variable("by", "object.spec.?requestedBy.orValue({})")
            // A closed list: whatever is not on it holds a key.
            .variable("verb", format!("object.spec.format in {public} ? 'download' : 'exportkey'"))
            .variable("annotations", "variables.request.metadata.?annotations.orValue({})")
            .variable("oldAnnotations", "oldObject == null ? {} : oldObject.metadata.?annotations.orValue({})")
            // Evaluated once, and only where a rule asks.
            .variable("managedFields", cel::managed_fields("variables.request"))
            .variable("oldManagedFields", cel::managed_fields("oldObject"))
            .variable("free", cel::list([REVOKE, REVOKED_BY, LAST_APPLIED]))
            .refuse_probes()
            .rule(name_is_short())
            .rule(groups_fit())
            .rule(requester_is_caller())
            .rule(spec_stays())
            .rule(draft::status_stays())
            .rule(caller_holds_verb())
            .rule(caller_may_get_passphrase())
            .rule(others_may_only_revoke())
            .rule(revocation_stays())
            .rule(revocation_says_why())
            .rule(revocation_names_the_caller())
            .rule(mint_is_short())
            .rule(annotations_are_plain())
            .rule(deletion_takes_the_token_along())
            .rule(nothing_asks_to_be_orphaned())
            .rule(upkeep::annotations_fit())
            .rule(upkeep::labels_fit())
            .rule(upkeep::lists_fit())
            .rule(upkeep::managed_fields_fit())
            .rule(upkeep::others_do_not_delete(identity))
            .rule(upkeep::guards_request_is_the_controllers(identity));
    draft.audit = vec![AuditAnnotation {
        key: "reason".to_owned(),
        value_expression: "string(variables.request.spec.?reason.orValue(''))".to_owned(),
    }];
    draft
}

fn name_is_short() -> Validation {
    rule(
        format!("request.operation != 'CREATE' || size(object.metadata.name) <= {MAX_REQUEST_NAME}"),
        &format!(
            "metadata.name must be at most {MAX_REQUEST_NAME} characters, because the token Secret's name is made from \
             it: choose a shorter one"
        ),
    )
}

fn groups_fit() -> Validation {
    saying(
        right(
            format!("request.operation != 'CREATE' || size(variables.groups) <= {MAX_GROUPS}"),
            &format!("the caller is in more than {MAX_GROUPS} groups, more than a request can record"),
        ),
        format!(
            "'user ' + request.userInfo.username + ' is in ' + string(size(variables.groups)) + ' groups, and a \
             request records at most {MAX_GROUPS}: ask as a user with fewer groups'"
        ),
    )
}

/// Whom the stored request names, by the uid too where one was recorded: a ServiceAccount that was deleted and made again
/// has the same name.
fn caller_is_requester() -> &'static str {
    "oldObject != null && request.userInfo.username == oldObject.spec.?requestedBy.?username.orValue('') &&
     oldObject.spec.?requestedBy.?uid.orValue('') in ['', request.userInfo.?uid.orValue('')]"
}

/// The stamp writes it where there is one; elsewhere the client does, and the refusal says what to write.
fn requester_is_caller() -> Validation {
    saying(
        right(
            "request.operation != 'CREATE' ||
             (variables.by.?username.orValue('') == request.userInfo.username &&
              variables.by.?uid.orValue('') == request.userInfo.?uid.orValue('') &&
              variables.by.?groups.orValue([]) == variables.groups)",
            "spec.requestedBy must be the caller: write username, uid and groups as `kubectl auth whoami -o yaml` prints them",
        ),
        format!(
            r#"'spec.requestedBy must be the caller: write requestedBy: {{username: "' + request.userInfo.username + '"' +
            (request.userInfo.?uid.orValue('') == '' ? '' : ', uid: "' + request.userInfo.uid + '"') +
            ', groups: [' + (size(variables.groups) <= {MAX_PRINTED_GROUPS}
            ? variables.groups.map(g, '"' + string(g) + '"').join(', ')
            : 'all ' + string(size(variables.groups)) + ' groups that `kubectl auth whoami -o yaml` prints, in that order')
            + ']}}'"#
        ),
    )
}

/// The CRD says so too, and first; this holds where a CRD was replaced.
fn spec_stays() -> Validation {
    rule(
        "request.operation != 'UPDATE' || object.spec == oldObject.spec",
        "spec is immutable: a request is one delivery. Create one with another metadata.name, or delete this one first \
         (its receipt stays)",
    )
}

fn caller_holds_verb() -> Validation {
    saying(
        right(
            "request.operation != 'CREATE' ||
             authorizer.group('certcourier.io').resource('certificates').namespace(request.namespace)
               .name(object.spec.certificateRef.name).check(variables.verb).allowed()",
            "the caller lacks the verb for this format on this certificate",
        ),
        "'user ' + request.userInfo.username + ' lacks verb ' + variables.verb + ' on certificates.certcourier.io/' +
         object.spec.certificateRef.name + ' in namespace ' + request.namespace + ': ask for ClusterRole ' +
         (variables.verb == 'download' ? 'certcourier-downloader' : 'certcourier-operator') + ' there'",
    )
}

fn caller_may_get_passphrase() -> Validation {
    saying(
        right(
            "request.operation != 'CREATE' || !has(object.spec.passphraseSecretRef) ||
             authorizer.group('').resource('secrets').namespace(request.namespace)
               .name(object.spec.passphraseSecretRef.name).check('get').allowed()",
            "the caller is not allowed to get the Secret named in spec.passphraseSecretRef",
        ),
        "'user ' + request.userInfo.username + ' is not allowed to get Secret ' + object.spec.passphraseSecretRef.name +
         ', which spec.passphraseSecretRef names: name one that you may get, or leave the field out to have a passphrase generated'",
    )
}

/// A stranger who revokes a request, or re-applies it unchanged, harms no one. Finalizers and owners of a request
/// that is being deleted are free, so that it can go.
fn others_may_only_revoke() -> Validation {
    right(
        format!(
            "request.operation != 'UPDATE' || variables.kubernetes || variables.isRequester ||
             (variables.annotations.all(k, k in variables.free ||
                (k in variables.oldAnnotations && variables.oldAnnotations[k] == variables.annotations[k])) &&
              variables.oldAnnotations.all(k, k in variables.free || k in variables.annotations) &&
              {labels} &&
              (has(oldObject.metadata.deletionTimestamp) || ({finalizers} && {owners})))",
            labels = cel::same_map("labels"),
            finalizers = cel::same_list("finalizers"),
            owners = cel::same_list("ownerReferences"),
        ),
        "only the requester may change this request's metadata; anyone else may only annotate it with \
         certcourier.io/revoke",
    )
}

fn revocation_stays() -> Validation {
    let same = |key: &str| {
        let key = cel::text(key);
        format!(
            "({key} in variables.annotations ? [variables.annotations[{key}]] : []) ==
                 ({key} in variables.oldAnnotations ? [variables.oldAnnotations[{key}]] : [])"
        )
    };
    right(
        format!(
            "request.operation != 'UPDATE' || !({} in variables.oldAnnotations) || ({} && {})",
            cel::text(REVOKE),
            same(REVOKE),
            same(REVOKED_BY)
        ),
        &format!("{STAYS_REVOKED}: create another one"),
    )
}

fn revocation_says_why() -> Validation {
    let revoke = cel::text(REVOKE);
    rule(
        format!(
            "{} || (size(variables.annotations[{revoke}]) > 0 && size(variables.annotations[{revoke}]) <= {MAX_ANNOTATION})",
            is_not_new(REVOKE)
        ),
        &format!("annotation {REVOKE} must say why, in 1 to {MAX_ANNOTATION} characters: {REVOKE}=<why>"),
    )
}

/// An annotation that anyone may write does not say who wrote it, so it names the caller or is not there; and what was
/// revoked without a name gets none later.
fn revocation_names_the_caller() -> Validation {
    let (revoke, by) = (cel::text(REVOKE), cel::text(REVOKED_BY));
    saying(
        right(
            format!(
                "{} || {revoke} in variables.oldAnnotations ||
                 ({revoke} in variables.annotations && variables.annotations[{by}] == request.userInfo.username)",
                is_not_new(REVOKED_BY)
            ),
            &format!("annotation {REVOKED_BY} is written together with {REVOKE}, and names the caller"),
        ),
        format!(
            r#"'annotation {REVOKED_BY} is written together with {REVOKE}, and names the caller: leave it out, or ' +
            'write {REVOKED_BY}="' + request.userInfo.username + '"'"#
        ),
    )
}

/// What people write for others to read: `kubectl describe` prints it as it is. Annotations of tools are theirs, and may
/// hold whole documents; a user name is as the authenticator gives it. What is too long is refused for that, and costs no
/// comparison.
fn annotations_are_plain() -> Validation {
    let (ours, plain) = (cel::list([MINT, REVOKE]), no_hidden("variables.annotations[k]"));
    rule(
        format!(
            "request.operation == 'DELETE' ||
             {ours}.all(k, !(k in variables.annotations) || size(variables.annotations[k]) > {MAX_ANNOTATION} ||
               {plain} ||
               (k in variables.oldAnnotations && variables.oldAnnotations[k] == variables.annotations[k]))"
        ),
        &format!("annotations {MINT} and {REVOKE}: {NO_HIDDEN_MESSAGE}"),
    )
}

fn mint_is_short() -> Validation {
    rule(
        format!("{} || size(variables.annotations[{}]) <= {MAX_ANNOTATION}", is_not_new(MINT), cel::text(MINT)),
        &format!("annotation {MINT} must be at most {MAX_ANNOTATION} characters: a time or a number is enough"),
    )
}

/// `--cascade=orphan` would leave the token's Secret, and the right to read it, without an owner. Finalizer `orphan` has
/// the same effect on a deletion that does not say how. A request that is going already can be told so a second time.
fn deletion_takes_the_token_along() -> Validation {
    right(
        format!(
            "request.operation != 'DELETE' || variables.kubernetes ||
             (dyn(request).?options.?propagationPolicy.orValue('') != 'Orphan' &&
              !dyn(request).?options.?orphanDependents.orValue(false) &&
              !({ORPHAN} in oldObject.metadata.?finalizers.orValue([])))",
        ),
        "the token Secret and the right to read it are deleted with their request: delete it without \
         --cascade=orphan, and remove finalizer orphan first",
    )
}

/// An object that has the finalizer from a time without policies must not be stuck with it.
fn nothing_asks_to_be_orphaned() -> Validation {
    right(
        format!(
            "request.operation == 'DELETE' || !({ORPHAN} in object.metadata.?finalizers.orValue([])) ||
             (oldObject != null && {ORPHAN} in oldObject.metadata.?finalizers.orValue([]))"
        ),
        "finalizer orphan would leave the token Secret and the right to read it behind: leave it out",
    )
}

/// Whether the annotation is absent or as it was: whatever an object already has must not keep it from being deleted.
fn is_not_new(annotation: &str) -> String {
    let key = cel::text(annotation);
    format!(
        "request.operation == 'DELETE' || !({key} in variables.annotations) ||
         ({key} in variables.oldAnnotations && variables.oldAnnotations[{key}] == variables.annotations[{key}])"
    )
}
