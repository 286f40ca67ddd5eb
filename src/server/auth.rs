//! Who asks: the [`identity`] behind a bearer token, and the [`caller`] of a route with what the API server lets them do.

pub(crate) mod caller;
pub(crate) mod identity;
