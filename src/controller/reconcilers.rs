//! The three reconcilers: each observes one object, decides with the pure core, and acts with guarded writes.

pub(crate) mod certificate;
pub(crate) mod receipt;
pub(crate) mod request;
