//! The server's version, and whether it fits this program's.
//!
//! It is that of the server's OpenAPI document, which anyone may read already: it reveals nothing new, and needs no right,
//! no route and no header of its own.

use serde::Deserialize;

use super::{Server, ServerError};

/// This program's.
pub const OWN: &str = env!("CARGO_PKG_VERSION");

#[derive(Deserialize)]
struct Document {
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    title: String,
    version: String,
}

impl Server {
    /// Which version it is. No credentials are sent.
    ///
    /// # Errors
    /// What the server refuses, or why it did not answer.
    pub async fn version(&self) -> Result<String, ServerError> {
        let Document { info } = self.get("/openapi.json").await?;
        if info.title != "certcourier" {
            return Err(ServerError::Strange { base: self.place.base.clone() });
        }
        Ok(info.version.chars().filter(|c| !c.is_control()).take(64).collect())
    }
}

/// Why a plugin and a server of these versions may not understand each other. `None`: they do.
pub fn misfit(client: &str, server: &str) -> Option<String> {
    let (Some(own), Some(other)) = (numbers(client), numbers(server)) else {
        return (client != server)
            .then(|| format!("versions {client} (client) and {server} (server) cannot be compared"));
    };
    let fits = match (own, other) {
        ((0, minor), (0, other)) => minor == other,
        ((major, minor), (other_major, other)) => major == other_major && minor.abs_diff(other) <= 1,
    };
    let older = if own < other { "the plugin" } else { "the server" };
    (!fits).then(|| format!("client {client} and server {server} do not fit: update {older}"))
}

/// Major and minor.
fn numbers(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fit_within_a_minor_and_before_one_only_within_the_same() {
        for (client, server) in
            [("0.1.0", "0.1.9"), ("1.2.0", "1.3.4"), ("1.3.0", "1.2.0"), ("2.0.0-rc.1", "2.1.0"), ("v1.0.0", "1.0.0")]
        {
            assert_eq!(misfit(client, server), None, "{client} {server}");
        }
        for (client, server, older) in [
            ("0.1.0", "0.2.0", "the plugin"),
            ("0.2.0", "0.1.0", "the server"),
            ("0.9.0", "1.0.0", "the plugin"),
            ("1.1.0", "1.3.0", "the plugin"),
            ("2.0.0", "1.9.0", "the server"),
        ] {
            let warning = misfit(client, server).unwrap();
            assert!(warning.ends_with(&format!("do not fit: update {older}")), "{warning}");
        }
        assert!(misfit("0.1.0", "main").unwrap().contains("cannot be compared"));
    }
}
