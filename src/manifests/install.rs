//! The whole list, in the order in which it is applied: a role before its binding, kinds before policies about them.

use serde::Serialize;
use serde_json::Value;

use super::{operator_roles::operator_roles, people_roles::people_roles, yaml};
use crate::{
    admission::{self, Identity, Object},
    api::crds,
};

/// What the manifests depend on.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Who the operator is.
    pub identity: Identity,
    /// The namespaces it works in; empty for all.
    pub watch_namespaces: Vec<String>,
    /// Whether the API server has `MutatingAdmissionPolicy` (Kubernetes 1.36 and later).
    pub stamp: bool,
}

/// Every object, as JSON.
///
/// # Errors
/// When an object has no JSON form, which none of these lacks.
pub fn objects(installation: &Installation) -> Result<Vec<Value>, serde_json::Error> {
    let mut list = List::default();
    list.add(&crds())?;
    let operator = operator_roles(&installation.identity, &installation.watch_namespaces);
    list.add(&operator.cluster_roles)?;
    list.add(&people_roles())?;
    list.add(&operator.roles)?;
    list.add(&operator.cluster_bindings)?;
    list.add(&operator.bindings)?;
    for object in admission::objects(&installation.identity) {
        match object {
            Object::Policy(policy) => list.add(&[policy])?,
            Object::Binding(binding) => list.add(&[binding])?,
        }
    }
    if installation.stamp {
        list.add(&admission::stamp())?;
    }
    Ok(list.0)
}

#[derive(Default)]
struct List(Vec<Value>);

impl List {
    fn add(&mut self, objects: &[impl Serialize]) -> Result<(), serde_json::Error> {
        for object in objects {
            self.0.push(yaml::value(object)?);
        }
        Ok(())
    }
}
