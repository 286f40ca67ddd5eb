//! How often a call to the API server failed, by what the failure means. A read that is tried again counts each time.

use hyper::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family},
};

use crate::cluster::error::{Failure, of_status};

/// On whose behalf a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are labels")]
pub(super) enum Caller {
    /// The operator's own.
    operator,
    /// That of someone whose bearer token was passed through.
    person,
}

/// The labels of a failed call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    caller: Caller,
    failure: &'static str,
}

/// Counts failed calls. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(Family<Labels, Counter>);

impl Failures {
    /// The metric, to be registered.
    pub(super) fn metric(&self) -> Family<Labels, Counter> {
        self.0.clone()
    }

    /// A call was answered with this status.
    pub(super) fn answered(&self, caller: Caller, status: StatusCode) {
        if status.is_client_error() || status.is_server_error() {
            self.failed(caller, of_status(status));
        }
    }

    /// A call failed.
    pub(super) fn failed(&self, caller: Caller, failure: Failure) {
        self.0.get_or_create(&Labels { caller, failure: failure.name() }).inc();
    }
}
