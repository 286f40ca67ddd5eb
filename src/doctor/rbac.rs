//! What RBAC objects grant, and to whom: bindings and roles in, one line for each rule and subject out.
//!
//! Reads rules as kube-apiserver's RBAC authorizer does. Knows nothing of certcourier, and nothing of other authorizers.

use std::{collections::BTreeSet, fmt, str::FromStr};

use k8s_openapi::{
    api::rbac::v1::{
        AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject as RawSubject,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// What kube-apiserver labels the roles and bindings with that it keeps by itself.
const BOOTSTRAP_LABEL: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");

/// Every role and binding that was read.
#[derive(Clone, Debug, Default)]
pub struct Rbac {
    /// All of the cluster.
    pub cluster_roles: Vec<ClusterRole>,
    /// All of the cluster.
    pub cluster_role_bindings: Vec<ClusterRoleBinding>,
    /// Those of the namespaces checked, of the operator's, of kube-system and of default.
    pub roles: Vec<Role>,
    /// Those of the namespaces checked, of the operator's, of kube-system and of default.
    pub role_bindings: Vec<RoleBinding>,
    /// Whether something of it could not be read: then a role that is not here may be there.
    pub has_gaps: bool,
}

/// Whom a binding names. Written and read as `User/alice`, `Group/ops`, `ServiceAccount/ci/deployer`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// By user name.
    User(String),
    /// Everyone in it.
    Group(String),
    /// A `ServiceAccount`, whichever way the binding spells it.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Subject {
    /// A user by the name that the API server knows; a `ServiceAccount` is one too.
    #[must_use]
    pub fn user(name: &str) -> Self {
        match name.strip_prefix(SERVICE_ACCOUNT_PREFIX).and_then(|rest| rest.split_once(':')) {
            Some((namespace, name)) => Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() },
            None => Self::User(name.to_owned()),
        }
    }

    fn bound(raw: &RawSubject, namespace: Option<&str>) -> Option<Self> {
        match raw.kind.as_str() {
            "User" => Some(Self::user(&raw.name)),
            "Group" => Some(Self::Group(raw.name.clone())),
            // Without a namespace the authorizer takes the binding's; a ClusterRoleBinding has none to give.
            "ServiceAccount" => {
                let namespace = raw.namespace.as_deref().filter(|namespace| !namespace.is_empty()).or(namespace)?;
                Some(Self::ServiceAccount { namespace: namespace.to_owned(), name: raw.name.clone() })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "User/{name}"),
            Self::Group(name) => write!(f, "Group/{name}"),
            Self::ServiceAccount { namespace, name } => write!(f, "ServiceAccount/{namespace}/{name}"),
        }
    }
}

/// A text that names no subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a subject: write User/NAME, Group/NAME or ServiceAccount/NAMESPACE/NAME")]
pub struct SubjectError(String);

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || SubjectError(text.to_owned());
        let (kind, name) = text.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(refuse)?;
        match (kind, name.split_once('/')) {
            ("User", _) => Ok(Self::user(name)),
            ("Group", _) => Ok(Self::Group(name.to_owned())),
            ("ServiceAccount", Some((namespace, name))) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(refuse()),
        }
    }
}

/// One rule that one subject has.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// Who has it.
    pub subject: Subject,
    /// Where; `None`: everywhere, objects without a namespace included.
    pub namespace: Option<&'a str>,
    /// What it allows.
    pub rule: &'a PolicyRule,
    /// Through which objects, as `RoleBinding payments/x -> ClusterRole edit`.
    pub via: String,
    /// Whether the binding is one that kube-apiserver keeps by itself, for this subject.
    pub by_default: bool,
}

/// A RoleBinding or a ClusterRoleBinding.
#[derive(Clone, Debug)]
pub struct Binding<'a> {
    /// `RoleBinding payments/x`.
    pub named: String,
    /// Where it holds; `None`: everywhere.
    pub namespace: Option<&'a str>,
    /// Whom it names, each once.
    pub subjects: BTreeSet<Subject>,
    /// What it gives them.
    pub role: &'a RoleRef,
    metadata: &'a ObjectMeta,
}

impl<'a> Binding<'a> {
    fn new(named: String, metadata: &'a ObjectMeta, subjects: Option<&'a [RawSubject]>, role: &'a RoleRef) -> Self {
        let namespace = metadata.namespace.as_deref();
        let subjects = subjects.unwrap_or_default().iter().filter_map(|raw| Subject::bound(raw, namespace)).collect();
        Self { named, namespace, subjects, role, metadata }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        text(self.metadata.name.as_ref())
    }

    /// Whether this is one of the bindings that kube-apiserver keeps by itself, for this subject. Anyone can write the
    /// label: it counts where binding and role have one name that Kubernetes uses, and a ServiceAccount has that name
    /// too, as in `system:controller:job-controller`.
    fn is_kubernetes_own(&self, subject: &Subject) -> bool {
        let name = self.name();
        let is_its = match subject {
            Subject::ServiceAccount { name: account, .. } => name.rsplit(':').next() == Some(account),
            Subject::User(_) | Subject::Group(_) => true,
        };
        has_label(self.metadata, BOOTSTRAP_LABEL) && name.starts_with("system:") && self.role.name == name && is_its
    }
}

/// Verbs on resources of one group; a resource may have a subresource, as in `pods/exec`.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// Any of these.
    pub verbs: &'static [&'static str],
    /// The API group; empty for the core one.
    pub group: &'static str,
    /// Any of these.
    pub resources: &'static [&'static str],
}

/// The objects that a rule applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names<'a> {
    /// All.
    All,
    /// These.
    Only(&'a [String]),
}

impl Rbac {
    /// Every binding.
    pub fn bindings(&self) -> impl Iterator<Item = Binding<'_>> {
        let cluster = self.cluster_role_bindings.iter().map(|binding| {
            let named = format!("ClusterRoleBinding {}", text(binding.metadata.name.as_ref()));
            Binding::new(named, &binding.metadata, binding.subjects.as_deref(), &binding.role_ref)
        });
        let namespaced = self.role_bindings.iter().map(|binding| {
            let metadata = &binding.metadata;
            let named = format!("RoleBinding {}/{}", text(metadata.namespace.as_ref()), text(metadata.name.as_ref()));
            Binding::new(named, metadata, binding.subjects.as_deref(), &binding.role_ref)
        });
        cluster.chain(namespaced)
    }

    /// Every rule of every subject. A binding whose role is not there grants nothing.
    #[must_use]
    pub fn grants(&self) -> Vec<Grant<'_>> {
        let mut grants = Vec::new();
        for binding in self.bindings() {
            for (rule, named) in self.rules(binding.role, binding.namespace) {
                let via = format!("{} -> {named}", binding.named);
                grants.extend(binding.subjects.iter().map(|subject| Grant {
                    subject: subject.clone(),
                    namespace: binding.namespace,
                    rule,
                    via: via.clone(),
                    by_default: binding.is_kubernetes_own(subject),
                }));
            }
        }
        grants
    }

    /// Whether the role of a binding is there.
    #[must_use]
    pub fn has_role(&self, binding: &Binding<'_>) -> bool {
        let name = Some(&binding.role.name);
        if binding.role.kind == "Role" {
            let here = |role: &&Role| role.metadata.namespace.as_deref() == binding.namespace;
            return self.roles.iter().filter(here).any(|role| role.metadata.name.as_ref() == name);
        }
        self.cluster_roles.iter().any(|role| role.metadata.name.as_ref() == name)
    }

    /// The rules of a role, each with where a change of it has to be made.
    fn rules<'a>(&'a self, role: &RoleRef, namespace: Option<&str>) -> Vec<(&'a PolicyRule, String)> {
        if role.kind == "Role" {
            let named = |found: &&Role| {
                found.metadata.name.as_ref() == Some(&role.name) && found.metadata.namespace.as_deref() == namespace
            };
            let rules = self.roles.iter().find(named).and_then(|found| found.rules.as_deref()).unwrap_or_default();
            let named = format!("Role {}/{}", namespace.unwrap_or_default(), role.name);
            return rules.iter().map(|rule| (rule, named.clone())).collect();
        }
        let Some(found) = self.cluster_roles.iter().find(|found| found.metadata.name.as_ref() == Some(&role.name))
        else {
            return Vec::new();
        };
        let named = |rule: &PolicyRule| match found.aggregation_rule.as_ref().map(|by| self.sources(by, rule)) {
            Some(sources) if !sources.is_empty() => {
                format!("ClusterRole {} (aggregated from {})", role.name, sources.join(", "))
            }
            _ => format!("ClusterRole {}", role.name),
        };
        found.rules.as_deref().unwrap_or_default().iter().map(|rule| (rule, named(rule))).collect()
    }

    /// The ClusterRoles that an aggregated rule comes from. What counts for the authorizer is the aggregate alone.
    fn sources(&self, aggregation: &AggregationRule, rule: &PolicyRule) -> Vec<&str> {
        let selectors = aggregation.cluster_role_selectors.as_deref().unwrap_or_default();
        let chosen = |role: &&ClusterRole| selectors.iter().any(|selector| selects(selector, &role.metadata));
        let brings = |role: &&ClusterRole| role.rules.as_deref().unwrap_or_default().contains(rule);
        let named = |role: &'_ ClusterRole| role.metadata.name.is_some();
        self.cluster_roles
            .iter()
            .filter(|role| named(role) && chosen(role) && brings(role))
            .filter_map(|role| role.metadata.name.as_deref())
            .collect()
    }
}

impl Right {
    /// Each verb and resource of this right that a rule allows, and on which objects.
    pub fn within<'r>(&self, rule: &'r PolicyRule) -> Vec<(&'static str, &'static str, Names<'r>)> {
        if !contains(rule.api_groups.as_deref(), self.group) {
            return Vec::new();
        }
        let mut allowed = Vec::new();
        for verb in self.verbs {
            if !contains(Some(&rule.verbs), verb) {
                continue;
            }
            for resource in self.resources.iter().filter(|resource| has_resource(rule, resource)) {
                let names = match rule.resource_names.as_deref() {
                    None | Some([]) => Names::All,
                    // The name of an object to be made is not known when it is authorized, nor are those of a collection.
                    Some(_) if *verb == "deletecollection" || (*verb == "create" && !resource.contains('/')) => {
                        continue;
                    }
                    Some(names) => Names::Only(names),
                };
                allowed.push((*verb, *resource, names));
            }
        }
        allowed
    }
}

/// Whether a rule allows every verb on every resource of every group.
#[must_use]
pub fn is_everything(rule: &PolicyRule) -> bool {
    let all = |texts: Option<&[String]>| texts.unwrap_or_default().iter().any(|text| text == "*");
    all(Some(&rule.verbs))
        && all(rule.api_groups.as_deref())
        && all(rule.resources.as_deref())
        && rule.resource_names.as_deref().unwrap_or_default().is_empty()
}

/// Whether a rule allows every verb, also those that no one has thought of yet.
#[must_use]
pub fn has_every_verb(rule: &PolicyRule) -> bool {
    rule.verbs.iter().any(|verb| verb == "*")
}

fn contains(texts: Option<&[String]>, wanted: &str) -> bool {
    texts.unwrap_or_default().iter().any(|text| text == "*" || text == wanted)
}

/// `*` is every resource and subresource, `*/scale` that subresource of every resource; `pods` is not `pods/exec`.
fn has_resource(rule: &PolicyRule, wanted: &str) -> bool {
    let of_any = wanted.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
    contains(rule.resources.as_deref(), wanted)
        || of_any.is_some_and(|of_any| rule.resources.as_deref().unwrap_or_default().contains(&of_any))
}

/// Whether kube-apiserver keeps this ClusterRole by itself.
#[must_use]
pub fn is_kubernetes_role(role: &ClusterRole) -> bool {
    has_label(&role.metadata, BOOTSTRAP_LABEL) && text(role.metadata.name.as_ref()).starts_with("system:")
}

/// Whether an object has this label with this value.
#[must_use]
pub fn has_label(metadata: &ObjectMeta, (key, value): (&str, &str)) -> bool {
    metadata.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|found| found == value)
}

fn selects(selector: &LabelSelector, metadata: &ObjectMeta) -> bool {
    let value = |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let equal = selector.match_labels.iter().flatten().all(|(key, wanted)| value(key) == Some(wanted));
    let fits = selector.match_expressions.iter().flatten().all(|wanted| {
        let found = value(&wanted.key);
        let listed = found.is_some_and(|found| wanted.values.as_deref().unwrap_or_default().contains(found));
        match wanted.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => false,
        }
    });
    equal && fits
}

fn text(name: Option<&String>) -> &str {
    name.map_or("", String::as_str)
}

#[cfg(test)]
mod tests;
