//! A real Kubernetes control plane on loopback ports, for certcourier's tests and its demo.
//!
//! etcd, kube-apiserver and kube-controller-manager as processes: RBAC is on, admission policies are real, the garbage
//! collector works. No nodes, no scheduler, no webhooks, and nothing of certcourier: what is applied to the cluster is
//! the caller's business. Used by the integration tests, by `make demo` and `make dev`, and from the shell through the
//! binary `test-cluster`.
//!
//! ```no_run
//! # async fn example() -> Result<(), test_cluster::Error> {
//! use test_cluster::{ControlPlane, Options};
//!
//! let plane = ControlPlane::start(Options::default().audit_log(true)).await?;
//! let carol = plane.person("carol", &[]).await?;
//! let answer = carol.run(["auth", "whoami"]).await?;
//! assert!(answer.stdout.contains("carol"));
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//! - [`ControlPlane`] starts, stops, restarts and attaches; [`Options`] says how.
//! - [`Person`] is someone with a bearer token and a kubeconfig; [`people`] lists who exists.
//! - [`Kubectl`] runs the matching kubectl, never for ever.
//! - [`audit`] reads the API server's audit log.
//! - [`binaries`] finds the four programs, or builds them once.
//! - [`pki`] makes certificates, [`waiting`] waits.
//!
//! # What outlives the test process
//! Nothing. Each program runs under a small shell that ends it when the pipe to the test process closes, so even a
//! test process killed by SIGKILL leaves no etcd behind.

#![deny(missing_docs)]

pub mod audit;
pub mod binaries;
mod control_plane;
mod description;
mod kubeconfig;
mod kubectl;
mod options;
pub mod people;
mod person;
pub mod pki;
mod port;
mod private_file;
mod process;
mod version;
pub mod waiting;

pub use control_plane::{ATTACH_VARIABLE, ControlPlane, Error};
pub use kubectl::{Kubectl, KubectlError, Output};
pub use options::Options;
pub use person::{Person, Token};
pub use port::free as free_ports;
pub use process::{Process, Program, Signal, processes_of};
pub use version::{Version, VersionError};
