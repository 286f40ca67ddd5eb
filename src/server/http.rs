//! What every route shares: what surrounds a request, how a body is read, the one kind of refusal, the document.
//!
//! # Layout
//! - [`middleware`] is around every request; [`request_id`] names it; [`headers`] go with its answer; [`origin`] is whose
//!   page made a browser ask.
//! - [`body`] reads a request's body, [`unread_body`] deals with what a handler did not read.
//! - [`json`] and [`page`] are the two forms of an answer that is not a file.
//! - [`error`] is the one kind of refusal; [`route`] describes a route, [`openapi`] makes the document of all.

pub(crate) mod body;
pub mod error;
pub(crate) mod headers;
pub(crate) mod json;
pub mod middleware;
pub(crate) mod openapi;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod path;
pub(crate) mod refusal;
pub mod request_id;
pub(crate) mod route;
pub(crate) mod unread_body;
