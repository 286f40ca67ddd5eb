//! Someone who talks to the API server with a bearer token: a person of the fixed list, or a `ServiceAccount`.

use std::{ffi::OsStr, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::kubectl::{Kubectl, KubectlError, Output};

/// A bearer token, which shows itself only through [`Token::as_str`].
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// A token that came from elsewhere, or that is none, for [`crate::ControlPlane::with_token`].
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The token itself, to be sent to a server and nowhere else.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(redacted)")
    }
}

/// Tokens are serialised into the description of a running control plane alone, a file of mode 0600.
impl Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Someone with a bearer token, a kubeconfig and a client.
#[derive(Clone)]
pub struct Person {
    /// The user name as the API server sees it, for example `alice` or `system:serviceaccount:ns:name`.
    pub name: String,
    /// For calls that this crate knows nothing of, such as certcourier's HTTP API.
    pub token: Token,
    /// A kubeconfig that holds the token.
    pub kubeconfig: PathBuf,
    /// A client that holds the token and retries nothing. It lives as long as the tokio runtime it was made in.
    pub client: kube::Client,
    pub(crate) kubectl: Kubectl,
}

impl Person {
    /// kubectl as this person, to be started by the caller; see [`Kubectl::command`].
    pub fn kubectl<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> tokio::process::Command {
        self.kubectl.command(arguments)
    }

    /// kubectl as this person with another limit than 30 s, for example for `kubectl wait`.
    #[must_use]
    pub fn kubectl_within(&self, limit: Duration) -> Kubectl {
        self.kubectl.clone().timeout(limit)
    }

    /// Runs kubectl as this person and waits for it; see [`Kubectl::run`].
    ///
    /// # Errors
    /// [`KubectlError`] when kubectl did not start or did not end in time.
    pub async fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Result<Output, KubectlError> {
        self.kubectl.run(arguments).await
    }

    /// Runs kubectl as this person with `input` as its stdin, for example for `apply -f -`; see [`Kubectl::run_with`].
    ///
    /// # Errors
    /// [`KubectlError`] when kubectl did not start or did not end in time.
    pub async fn run_with<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        arguments: I,
        input: &str,
    ) -> Result<Output, KubectlError> {
        self.kubectl.run_with(arguments, input).await
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, token, kubeconfig, client: _, kubectl: _ } = self;
        formatter
            .debug_struct("Person")
            .field("name", name)
            .field("token", token)
            .field("kubeconfig", kubeconfig)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let token = Token::new("canary".to_owned());
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        assert_eq!(token.as_str(), "canary");
    }
}
