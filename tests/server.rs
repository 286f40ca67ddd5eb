//! The server from outside: its routes on an API server in memory that can be made to fail, and its listener on real
//! sockets.

#[path = "server/certificates.rs"]
mod certificates;
#[path = "server/connections.rs"]
mod connections;
#[path = "server/fake_api.rs"]
mod fake_api;
#[path = "server/faults.rs"]
mod faults;
#[path = "server/redemption.rs"]
mod redemption;
#[path = "server/stage.rs"]
mod stage;
#[path = "server/streaming.rs"]
mod streaming;
