//! What is known of the one person who looks.

use std::sync::{Arc, Mutex, PoisonError};

/// The one person who looks at the pages that their own process makes.
pub struct OfOne {
    /// The namespace in which they work.
    pub namespace: String,
    /// Where the server is, as a token Secret of theirs said last.
    pub server: Arc<Mutex<Option<SaidServer>>>,
}

/// Where the server is, as a token Secret says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidServer {
    /// What its links begin with.
    pub url: String,
    /// The authority behind its certificate: PEM.
    pub ca: Option<String>,
}

impl OfOne {
    /// Remembers what a Secret said.
    pub(in crate::server) fn learn(&self, said: SaidServer) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }
}
