//! The HTTP API as curl and CI use it, each with a Kubernetes token of their own.

mod credentials;
mod described;
mod documented;
mod doors;
mod export;
mod looks;
mod mint;
mod votes;
