//! The Helm chart, judged by helm, by a real API server, and by the binary whose flags and policies it writes down.
//!
//! helm, helm-unittest and the CRDs of other projects are built or fetched once by the Makefile (`make chart`), which
//! names them in the environment. All tests share one control plane of this binary's own, because a chart can be
//! installed only once in a cluster.

#![cfg(test)]

mod accepted;
mod helm;
mod life;
mod operator;
mod refused;
mod rendered;
mod units;
mod world;
