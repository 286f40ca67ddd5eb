//! Prints what is applied to a cluster before the operator runs: CRDs, roles, admission policies.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest};

/// Flags of `certcourier crds`.
#[derive(Debug, clap::Args)]
pub struct CrdsArgs {}

/// The four kinds, as the API server wants them.
#[must_use]
pub fn crds() -> [CustomResourceDefinition; 4] {
    [Certificate::crd(), CertificatePolicy::crd(), DownloadRequest::crd(), DownloadReceipt::crd()]
}

/// Prints the CRDs as one YAML stream.
pub fn print_crds(_: &CrdsArgs) -> ExitCode {
    let mut out = io::stdout().lock();
    for crd in crds() {
        let Ok(yaml) = serde_saphyr::to_string(&crd) else {
            return ExitCode::FAILURE;
        };
        if write!(out, "---\n{yaml}").is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
