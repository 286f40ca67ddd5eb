//! Policy `token-readers`: the Roles and `RoleBinding`s through which a requester reads a token Secret are the
//! controller's alone, and it makes and deletes no others.
//!
//! RBAC cannot say "create and delete, but only your own": a right to create Roles is a right to create any. So the API server is
//! told the rest: a Role that reads one token Secret, and a binding of it to one person. Every other user is kept
//! from these names and this label; from bindings of these Roles, with which a requester could pass the right on; and from
//! Roles that name a token Secret, with which a requester could keep the right to the next token of that name.

use k8s_openapi::api::admissionregistration::v1::{MatchCondition, Validation};

use super::{
    Identity, cel,
    draft::{Draft, on, right},
    name,
};
use crate::api::{
    GROUP,
    names::{TOKEN, TOKEN_READER_BYTES, TOKEN_READER_PREFIX, TOKEN_SECRET_SUFFIX},
};

pub(super) fn draft(identity: &Identity) -> Draft {
    let group = "rbac.authorization.k8s.io";
    let matches = vec![on(group, "v1", &["CREATE", "UPDATE", "DELETE"], &["roles", "rolebindings"])];
    let pattern = format!("^{TOKEN_READER_PREFIX}[0-9a-f]{{{}}}$", 2 * TOKEN_READER_BYTES);
    let operator = cel::caller_in(identity.users());
    let mut draft = Draft::new(name::TOKEN_READERS, matches)
        .variable("operator", &operator)
        .variable("controller", cel::caller_in([identity.controller()]))
        .variable("kubernetes", cel::caller_is_kubernetes())
        // Roles and bindings have different fields, which type checking would warn of.
        .variable("made", "dyn(object)")
        .variable("old", "dyn(oldObject)")
        .variable("named", format!("variables.made.metadata.name.matches({})", cel::text(&pattern)))
        .variable("owners", "variables.made.metadata.?ownerReferences.orValue([])")
        .variable("whole", is_whole())
        .variable("sameGrant", same_grant())
        .refuse_probes()
        .rule(role_reads_one_token())
        .rule(binding_is_for_one_person())
        .rule(operator_deletes_its_own())
        .rule(others_make_none())
        .rule(others_change_none())
        .rule(others_delete_none());
    // This policy leaves all other Roles alone.
    let concerns = format!("(o != null && ({} || {}))", is_reserved("o"), grants_a_token("o"));
    draft.conditions = vec![MatchCondition {
        name: "of-a-token-or-by-the-operator".to_owned(),
        expression: cel::lines(&format!("{operator} || [dyn(object), dyn(oldObject)].exists(o, {concerns})")),
    }];
    draft
}

/// Whether an object bears a name or the label that only the controller's may have.
fn is_reserved(object: &str) -> String {
    format!(
        "({object}.metadata.name.startsWith({prefix}) || {label} in {object}.metadata.?labels.orValue({{}}))",
        prefix = cel::text(TOKEN_READER_PREFIX),
        label = cel::text(TOKEN),
    )
}

/// Whether an object grants the right to read a token Secret: a binding of such a Role, or a Role that names the Secret. The
/// API server writes a Role without rules as `rules: null`.
fn grants_a_token(object: &str) -> String {
    format!(
        "({object}.?roleRef.?name.orValue('').startsWith({prefix}) ||
          (has({object}.rules) && {object}.rules != null &&
           {object}.rules.exists(r, r.?resourceNames.orValue([]).exists(n, n.endsWith({suffix})))))",
        prefix = cel::text(TOKEN_READER_PREFIX),
        suffix = cel::text(TOKEN_SECRET_SUFFIX),
    )
}

/// As the controller makes both: named at random, labelled, and owned by one request, so that it goes with it.
fn is_whole() -> String {
    format!(
        "variables.named && {label} in variables.made.metadata.?labels.orValue({{}}) &&
         size(variables.owners) == 1 && variables.owners[0].kind == 'DownloadRequest' &&
         variables.owners[0].apiVersion.startsWith({group}) && variables.owners[0].?controller.orValue(false)",
        label = cel::text(TOKEN),
        group = cel::text(&format!("{GROUP}/")),
    )
}

fn same_grant() -> &'static str {
    "variables.made.?rules == variables.old.?rules && variables.made.?roleRef == variables.old.?roleRef &&
     variables.made.?subjects == variables.old.?subjects"
}

fn role_reads_one_token() -> Validation {
    right(
        format!(
            "!variables.operator || request.resource.resource != 'roles' || request.operation == 'DELETE' ||
             (variables.controller && variables.whole && size(variables.made.?rules.orValue([])) == 1 &&
              variables.made.rules[0].?apiGroups.orValue([]) == [''] &&
              variables.made.rules[0].?resources.orValue([]) == ['secrets'] &&
              variables.made.rules[0].verbs == ['get'] &&
              variables.made.rules[0].?resourceNames.orValue([]) == [variables.owners[0].name + {}])",
            cel::text(TOKEN_SECRET_SUFFIX)
        ),
        "the operator may only grant the reading of one token Secret",
    )
}

fn binding_is_for_one_person() -> Validation {
    right(
        "!variables.operator || request.resource.resource != 'rolebindings' || request.operation == 'DELETE' ||
         (variables.controller && variables.whole && variables.made.roleRef.kind == 'Role' &&
          variables.made.roleRef.name == variables.made.metadata.name &&
          size(variables.made.?subjects.orValue([])) == 1 && variables.made.subjects[0].kind in ['User', 'ServiceAccount'])",
        "the operator may only bind one person to the Role that reads one token Secret",
    )
}

fn operator_deletes_its_own() -> Validation {
    right(
        format!(
            "!variables.operator || request.operation != 'DELETE' ||
             (variables.controller && variables.old.metadata.name.startsWith({}))",
            cel::text(TOKEN_READER_PREFIX)
        ),
        "the operator may only delete Roles and RoleBindings that it made for a token Secret",
    )
}

fn others_make_none() -> Validation {
    right(
        "request.operation != 'CREATE' || variables.operator",
        "only the certcourier controller grants the right to read a token Secret: leave out label certcourier.io/token, names \
         that begin with certcourier-token-, and Secrets whose name ends in -download-token",
    )
}

/// What does not touch a grant passes: storage migration writes every object back as it is, and the garbage collector
/// takes owners and finalizers away. Another user's Role that named such a Secret before may lose that rule.
fn others_change_none() -> Validation {
    let (new, old) = ("variables.made", "variables.old");
    right(
        format!(
            "request.operation != 'UPDATE' || variables.operator ||
             (!{new_reserved} && !{old_reserved} && (variables.sameGrant || !{grants})) ||
             (variables.sameGrant && {labels} && {annotations} && (variables.kubernetes || ({finalizers} && {owners})))",
            new_reserved = is_reserved(new),
            old_reserved = is_reserved(old),
            grants = grants_a_token(new),
            labels = cel::same_map("labels"),
            annotations = cel::same_map("annotations"),
            finalizers = cel::same_list("finalizers"),
            owners = cel::same_list("ownerReferences"),
        ),
        "only the certcourier controller changes the right to read a token Secret",
    )
}

/// Without an owner its request is gone, and no token needs it: any user who may delete Roles may tidy up.
fn others_delete_none() -> Validation {
    right(
        format!(
            "request.operation != 'DELETE' || variables.operator || variables.kubernetes || !{} ||
             size(variables.old.metadata.?ownerReferences.orValue([])) == 0",
            is_reserved("variables.old")
        ),
        "only the certcourier controller removes the right to read a token Secret: annotate the DownloadRequest with \
         certcourier.io/revoke, and Role and RoleBinding are deleted too",
    )
}
