//! What the doctor knows of a cluster, as of one moment. Data; gathered by `gather`, judged by `checks`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    rbac::{Rbac, Subject},
    report::{Gap, Looks},
};
use crate::{
    admission::Object,
    api::{Certificate, DownloadRequest},
};

/// Everything that findings are made from.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The API server's time.
    pub now: Timestamp,
    /// The operator's own namespace.
    pub operator_namespace: String,
    /// The Certificates of the namespaces checked.
    pub certificates: Vec<Certificate>,
    /// The requests of the namespaces checked.
    pub requests: Vec<DownloadRequest>,
    /// Roles and bindings, as far as they could be read.
    pub rbac: Rbac,
    /// The guard's ConfigMap.
    pub guard: Seen<BTreeMap<String, String>>,
    /// The live admission policies and bindings of certcourier's names; `None`: not read.
    pub admission: Option<Vec<Object>>,
    /// Subjects that the user vouches for.
    pub trusted: Vec<Subject>,
    /// How many lists and objects were asked for.
    pub looks: Looks,
    /// What could not be checked.
    pub gaps: Vec<Gap>,
    /// Commands that would help against that.
    pub grant: Vec<String>,
}

/// One object that was looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Seen<T> {
    /// No one could look.
    #[default]
    Unknown,
    /// It is not there.
    Missing,
    /// It is.
    There(T),
}
