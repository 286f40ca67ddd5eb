//! One object that the guard looks at, and its kind.

use serde_json::Value;

use crate::{
    admission::name,
    api::{names, words},
};

words! {
    /// The kinds that are looked at, named as the API server names them.
    pub enum Kind {
        /// What refuses.
        Policy = "ValidatingAdmissionPolicy",
        /// That it refuses.
        Binding = "ValidatingAdmissionPolicyBinding",
        /// The stamp. Convenience: it may be missing, but what is there must be ours. Others of the kind may be
        /// [`super::Mutator`]s.
        Stamp = "MutatingAdmissionPolicy",
        /// That it stamps.
        StampBinding = "MutatingAdmissionPolicyBinding",
        /// What is stored.
        Crd = "CustomResourceDefinition",
        /// None is ours, each may be a [`super::Mutator`].
        Webhooks = "MutatingWebhookConfiguration",
    }
}

impl Kind {
    /// As it is in a path.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Policy => "validatingadmissionpolicies",
            Self::Binding => "validatingadmissionpolicybindings",
            Self::Stamp => "mutatingadmissionpolicies",
            Self::StampBinding => "mutatingadmissionpolicybindings",
            Self::Crd => "customresourcedefinitions",
            Self::Webhooks => "mutatingwebhookconfigurations",
        }
    }

    /// The API group of the kind.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::Crd => "apiextensions.k8s.io",
            _ => "admissionregistration.k8s.io",
        }
    }

    /// The field that says what the object does.
    #[must_use]
    pub const fn content(self) -> &'static str {
        match self {
            Self::Webhooks => "webhooks",
            _ => "spec",
        }
    }

    /// Whether Kubernetes has it only from 1.36 on, and certcourier does without where it is not there.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Stamp | Self::StampBinding)
    }

    pub(super) fn holds(self, name: &str) -> bool {
        match self {
            Self::Policy | Self::Binding => name::ALL.contains(&name),
            Self::Stamp | Self::StampBinding => name == name::STAMP,
            Self::Crd => names::CRDS.contains(&name),
            Self::Webhooks => false,
        }
    }
}

/// One object as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveObject {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Given by the API server, another one for an object made again.
    pub uid: String,
    /// Counted by the API server with each change of the spec.
    pub generation: i64,
    /// Changed by the API server with each write.
    pub resource_version: String,
    /// Its spec, or what takes its place; see [`Kind::content`].
    pub spec: Value,
}

impl LiveObject {
    /// A line of the epoch: never twice the same for an object that was changed or made again.
    pub(super) fn mark(&self) -> String {
        format!("{} {}", self.uid, self.generation)
    }
}
