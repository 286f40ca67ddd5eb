//! Who uses a token, as far as that can be known.

use std::sync::Arc;

use crate::redact::Redacted;
use crate::server::{connection::Connection, http::request_id::RequestId, net::client_address::ClientAddress};

/// Who uses a token, as far as that can be known.
#[derive(Clone, Debug)]
pub struct Redeemer {
    /// Address of the client.
    pub client: ClientAddress,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// The bearer token that came along.
    pub bearer: Option<Redacted<String>>,
    /// Whose it was lately. It decides who pays for a lookup, and nothing else.
    pub person: Option<String>,
    /// Id of the HTTP request.
    pub request_id: RequestId,
    /// The connection to close when the file is not taken; None without a network.
    pub connection: Option<Arc<Connection>>,
}
