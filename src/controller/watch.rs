//! From a change in the cluster to a reconcile: watches, stores and the queue of one namespace (or of all).
//!
//! # Layout
//! - [`watches`] are the watches and what each change enqueues; [`retained`] is what they keep of an object's metadata.
//! - [`stores`] is what is known without asking, and the queues.
//! - [`retire`] sees to what is over.
//! - [`worker`] runs them and the queue; [`reconcile`] bounds, classifies and repeats each reconcile.

pub(crate) mod reconcile;
pub(crate) mod retained;
mod retire;
pub(crate) mod stores;
pub(crate) mod watches;
pub(crate) mod worker;
