//! Policy `guard-state`: the guard's findings are worth something only while no one else can write them.

use k8s_openapi::{api::admissionregistration::v1::MatchCondition, apimachinery::pkg::apis::meta::v1::LabelSelector};

use super::{
    Identity, cel,
    draft::{Draft, on, right},
    name,
};
use crate::api::names::GUARD;

pub(super) fn draft(identity: &Identity) -> Draft {
    let mut draft = Draft::new(name::GUARD_STATE, vec![on("", "v1", &["CREATE", "UPDATE", "DELETE"], &["configmaps"])])
        .variable("kubernetes", cel::caller_is_kubernetes())
        .refuse_probes()
        .rule(right(
            format!(
                "{controller} || (variables.kubernetes && (request.operation == 'DELETE' ||
                     (request.operation == 'UPDATE' && object.?data == oldObject.?data)))",
                controller = cel::caller_in([identity.controller()])
            ),
            "only the certcourier controller writes the guard's state",
        ));
    // The API server keeps this label true of every namespace.
    draft.namespaces = LabelSelector {
        match_labels: Some([("kubernetes.io/metadata.name".to_owned(), identity.namespace().to_owned())].into()),
        match_expressions: None,
    };
    // Not by resourceNames: a deletion of the whole collection carries no name.
    draft.conditions = vec![MatchCondition {
        name: "the-guard".to_owned(),
        expression: format!("(object == null ? oldObject : object).metadata.name == {}", cel::text(GUARD)),
    }];
    draft
}
