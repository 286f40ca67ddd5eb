//! What was found, as data: what `-o json` prints, and what the table is made from. Stable order throughout.

use serde::Serialize;

pub use super::check::Check;

/// Everything that the doctor has to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The operator's own namespace.
    pub operator_namespace: String,
    /// Who the live admission policies take for the operator.
    pub operator: Vec<String>,
    /// The namespaces with Certificates among those checked.
    pub namespaces: Vec<Examined>,
    /// The safeguards between a forged object and a key.
    pub guard: GuardReport,
    /// Who holds what certcourier gives people. No finding by itself.
    pub holders: Vec<Holder>,
    /// Who holds more than that and is not listed as a finding: Kubernetes itself, the operator, `--trust`.
    pub set_aside: Vec<SetAside>,
    /// What someone should look at, the worst first.
    pub findings: Vec<Finding>,
    /// Rights that reach past certcourier and that an installation needs. No findings.
    pub notes: Vec<Finding>,
    /// How much was checked.
    pub looks: Looks,
    /// What could not be checked.
    pub not_looked_at: Vec<Gap>,
    /// Commands that an administrator runs so that it can be checked.
    pub grant: Vec<String>,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was checked, and nothing was found.
    Clean,
    /// Everything was checked, and something was found.
    Findings,
    /// Something could not be checked, so there may be more than what was found.
    Incomplete,
}

impl Report {
    /// What all of it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.not_looked_at.is_empty(), self.findings.is_empty()) {
            (false, _) => Verdict::Incomplete,
            (true, false) => Verdict::Findings,
            (true, true) => Verdict::Clean,
        }
    }
}

/// The calls by which the doctor looks: one for each list and each object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Looks {
    /// How many were tried.
    pub tried: usize,
    /// How many of these failed.
    pub failed: usize,
}

/// A namespace with Certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// Its name.
    pub name: String,
    /// How many Certificates there are.
    pub certificates: usize,
    /// The Secrets behind them.
    pub secrets: Vec<String>,
}

/// The guard and the admission policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardReport {
    /// What the leading controller last wrote: Intact or Broken; nothing when it wrote nothing, or that is not known.
    pub state: Option<String>,
    /// Why it is broken, in one word.
    pub reason: Option<String>,
    /// Why it is broken, in a sentence.
    pub message: Option<String>,
    /// The epoch; requests for keys of another one are dead.
    pub epoch: Option<String>,
    /// When the epoch began.
    pub since: Option<String>,
    /// How long ago the last probe was, by the API server's clock.
    pub probe_age_seconds: Option<i64>,
    /// The live policies and bindings, as the doctor compared them itself.
    pub objects: Vec<GuardObject>,
}

/// One admission policy or binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardObject {
    /// `ValidatingAdmissionPolicy` or `ValidatingAdmissionPolicyBinding`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How it compares with what this version of certcourier applies.
    pub state: ObjectState,
}

/// How a live object compares with the one that should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ObjectState {
    /// The same.
    Intact,
    /// Of another revision of certcourier: this one cannot judge it.
    OtherRevision,
    /// Something of its spec is different.
    Changed,
    /// A binding that does not refuse.
    NotDenying,
    /// Not there.
    Missing,
}

/// The rights that are listed with their holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum HeldRight {
    /// To vote on requests.
    #[serde(rename = "approve")]
    Approve,
    /// To ask for files that hold a key.
    #[serde(rename = "exportkey")]
    ExportKey,
    /// To change what is allowed.
    #[serde(rename = "edit policies")]
    EditPolicies,
}

impl HeldRight {
    /// Every one, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Approve, Self::ExportKey, Self::EditPolicies];

    /// As people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::ExportKey => "exportkey",
            Self::EditPolicies => "edit policies",
        }
    }
}

/// Who holds a right of certcourier's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// Which right.
    pub right: HeldRight,
    /// Who.
    pub subject: String,
    /// In which namespaces; `*` for all.
    pub namespaces: Vec<String>,
    /// Which Certificates, where the right is limited to some.
    pub certificates: Vec<String>,
    /// Through which bindings and roles.
    pub via: Vec<String>,
}

/// Why someone's rights are not a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SetAsideReason {
    /// Kubernetes itself: no one takes a key past those who run the API server.
    #[serde(rename = "control plane")]
    ControlPlane,
    /// certcourier's own programs.
    #[serde(rename = "operator")]
    Operator,
    /// Named with `--trust`.
    #[serde(rename = "trusted")]
    Trusted,
}

/// Who is not listed as a finding, and why not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SetAside {
    /// Why not.
    pub because: SetAsideReason,
    /// Who.
    pub subject: String,
}

/// How bad something is; what comes first is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// What certcourier promises does not hold now.
    Critical,
    /// One person can take a key past certcourier.
    High,
    /// A step in between is needed, or some keys only.
    Medium,
    /// Something will not work, or should be tidied.
    Low,
    /// As it should be, and worth knowing.
    Note,
}

impl Severity {
    /// Its name, as people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Note => "note",
        }
    }
}

/// Something that someone should look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked for: the id to look up and to filter by.
    pub check: Check,
    /// Who or what: a subject as `User/mallory`, or an object.
    pub subject: String,
    /// In which namespaces; `*` for all; empty where that has no meaning.
    pub namespaces: Vec<String>,
    /// The objects that the right is limited to; empty: all.
    pub names: Vec<String>,
    /// What is the case.
    pub what: String,
    /// Why that matters.
    pub why: String,
    /// What to do about it.
    #[serde(rename = "do")]
    pub remedy: String,
    /// Through which bindings and roles.
    pub via: Vec<String>,
}

/// Something that could not be checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// What would have been found there.
    pub what: String,
    /// The right that is missing, as `list roles.rbac.authorization.k8s.io in namespace payments`; nothing when the
    /// failure is another one.
    pub right: Option<String>,
    /// What the API server said.
    pub cause: String,
}
