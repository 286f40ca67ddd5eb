//! Policy `token-readers`: which Roles and `RoleBinding`s the operator may make and delete.
//!
//! RBAC cannot say "create and delete, but only your own": whoever may create Roles may create any. So the API server is
//! told the rest: a Role that reads one token Secret, and a binding of it to one person.

use k8s_openapi::api::admissionregistration::v1::{MatchCondition, Validation};

use super::{
    Identity, cel,
    draft::{Draft, on, right},
    name,
};
use crate::api::names::TOKEN_SECRET_SUFFIX;

pub(super) fn draft(identity: &Identity) -> Draft {
    let group = "rbac.authorization.k8s.io";
    let matches = vec![on(group, "v1", &["CREATE", "UPDATE", "DELETE"], &["roles", "rolebindings"])];
    let mut draft = Draft::new(name::TOKEN_READERS, matches)
        .variable("name", "(object == null ? oldObject : object).metadata.name")
        // Roles and bindings have different fields, which type checking would warn of.
        .variable("made", "dyn(object)")
        .variable("named", format!("variables.name.endsWith({})", cel::text(TOKEN_SECRET_SUFFIX)))
        .refuse_probes()
        .rule(role_reads_one_token())
        .rule(binding_is_for_one_person())
        .rule(others_roles_stay());
    draft.conditions =
        vec![MatchCondition { name: "by-the-operator".to_owned(), expression: cel::caller_in(identity.users()) }];
    draft
}

fn role_reads_one_token() -> Validation {
    right(
        "request.resource.resource != 'roles' || request.operation == 'DELETE' ||
         (variables.named && size(variables.made.?rules.orValue([])) == 1 &&
          variables.made.rules[0].?apiGroups.orValue([]) == [''] &&
          variables.made.rules[0].?resources.orValue([]) == ['secrets'] &&
          variables.made.rules[0].verbs == ['get'] &&
          variables.made.rules[0].?resourceNames.orValue([]) == [variables.name])",
        "the operator may only grant the reading of one token Secret",
    )
}

fn binding_is_for_one_person() -> Validation {
    right(
        "request.resource.resource != 'rolebindings' || request.operation == 'DELETE' ||
         (variables.named && variables.made.roleRef.kind == 'Role' && variables.made.roleRef.name == variables.name &&
          size(variables.made.?subjects.orValue([])) == 1 && variables.made.subjects[0].kind in ['User', 'ServiceAccount'])",
        "the operator may only bind one person to the Role that reads one token Secret",
    )
}

fn others_roles_stay() -> Validation {
    right(
        "request.operation != 'DELETE' || variables.named",
        "the operator may only delete Roles and RoleBindings that it made for a token Secret",
    )
}
