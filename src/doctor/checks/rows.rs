//! The table of rights that reach past certcourier: verbs on resources, where they count, and what is said of them.
//!
//! A row is one consequence with its id. It lists the ways to it; a way is what someone must hold all of, in one place.
//! What is missing here, the doctor does not see: `tests/integration/attacks/doctor.rs` gives each right to someone.

mod certificates;
mod cluster;
mod operator;
mod stops;

use crate::doctor::{check::Check, rbac::Right, report::Severity};

/// One thing that someone may be able to do.
pub(super) struct Row {
    pub(super) check: Check,
    pub(super) severity: Severity,
    /// How bad it is where the right is limited to some objects.
    pub(super) limited: Severity,
    pub(super) ways: &'static [Way],
    /// What it allows.
    pub(super) why: &'static str,
    pub(super) remedy: &'static str,
    /// Whether those who keep Certificates need it, as long as it is no more than `get` of Secrets by name.
    pub(super) keepers_need_it: bool,
    /// Who has one of these findings for the same places gains nothing by this one.
    pub(super) adds_nothing_to: &'static [Check],
}

/// All of these together.
pub(super) type Way = &'static [Part];

/// Any of these rights, in any of these places, on the target.
pub(super) struct Part {
    pub(super) rights: &'static [Right],
    pub(super) places: &'static [Place],
    pub(super) target: Target,
}

/// Where a right counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the namespaces with Certificates.
    Certificates,
    /// In the operator's namespace.
    Operator,
    /// Where Kubernetes' own controllers have their `ServiceAccount`s.
    KubeSystem,
    /// In namespace `default`, where Service `kubernetes` is.
    Default,
    /// For objects without a namespace: through a ClusterRoleBinding alone.
    Cluster,
    /// In any namespace that was checked.
    Anywhere,
}

/// Which objects a right that is limited to some must name to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Any.
    Any,
    /// A Secret behind a Certificate.
    Secret,
    /// A Certificate.
    Certificate,
    /// A ServiceAccount of the operator.
    OperatorAccount,
    /// The operator's namespace, or one with Certificates.
    Namespace,
    /// One of these.
    Named(&'static [&'static str]),
    /// Any, where the right is given in this namespace; one of these, where it is given in all.
    Local(&'static [&'static str]),
}

/// The whole table.
pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    operator::ROWS.iter().chain(&stops::ROWS).chain(&certificates::ROWS).chain(&cluster::ROWS)
}

impl Row {
    /// Whether it is about objects without a namespace alone.
    pub(super) fn is_of_the_cluster(&self) -> bool {
        self.ways.iter().flat_map(|way| way.iter()).all(|part| part.places == [Place::Cluster])
    }
}

const fn right(verbs: &'static [&'static str], group: &'static str, resources: &'static [&'static str]) -> Right {
    Right { verbs, group, resources }
}

const fn part(rights: &'static [Right], places: &'static [Place], target: Target) -> Part {
    Part { rights, places, target }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const WRITE: &[&str] = &["create", "update", "patch"];
const CHANGE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

/// A dry run of a patch answers with the whole object, and so does one of a deletion of many, or of one with
/// propagationPolicy Foreground or Orphan. `update` answers with what the caller has sent.
pub(super) const READ_SECRETS: &[Right] =
    &[right(&["get", "list", "watch", "patch", "delete", "deletecollection"], "", &["secrets"])];

const CREATE_SECRETS: &[Right] = &[right(&["create"], "", &["secrets"])];

const MINT_TOKENS: &[Right] = &[right(&["create"], "", &["serviceaccounts/token"])];

const BE_SERVICE_ACCOUNTS: &[Right] = &[
    right(&["impersonate"], "", &["serviceaccounts"]),
    right(&["impersonate:serviceaccount"], "authentication.k8s.io", &["serviceaccounts"]),
];

/// Who starts a pod chooses which Secrets it mounts and whose ServiceAccount it has; who gets into one finds both. The
/// image of a running container can be changed. `get` is enough for exec and attach before Kubernetes 1.35.
const RUN_PODS: &[Right] = &[
    right(WRITE, "", &["pods", "replicationcontrollers"]),
    right(&["get", "create"], "", &["pods/attach", "pods/exec"]),
    right(&["update", "patch"], "", &["pods/ephemeralcontainers"]),
    right(WRITE, "apps", &["daemonsets", "deployments", "replicasets", "statefulsets"]),
    right(&["create"], "batch", &["jobs"]),
    right(WRITE, "batch", &["cronjobs"]),
];

#[cfg(test)]
mod tests;
