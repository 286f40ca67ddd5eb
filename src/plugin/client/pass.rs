//! Passing on what a browser asks for, with the person's bearer token where they have one. What is asked and what is answered are not read.

use reqwest::{Body, Method, header::HeaderMap};

use super::{Server, ServerError};
use crate::redact::Redacted;

impl Server {
    /// Sends a request as it is to a path of the server, and has its answer from the first byte on.
    ///
    /// # Errors
    /// When no answer begins.
    pub async fn pass(
        &self,
        (method, path): (Method, &str),
        headers: HeaderMap,
        body: Body,
        bearer: Option<&Redacted<String>>,
    ) -> Result<reqwest::Response, ServerError> {
        let request = self.http.request(method, format!("{}{path}", self.place.base)).headers(headers).body(body);
        let request = match bearer {
            Some(bearer) => request.bearer_auth(bearer.expose()),
            None => request,
        };
        request.send().await.map_err(|error| self.unanswered(&error))
    }

    /// Scheme, host and port of the server, without a path: how browsers write an origin.
    pub fn origin(&self) -> &str {
        let host = self.place.base.find("://").map_or(0, |scheme| scheme + 3);
        let end = self.place.base[host..].find('/').map_or(self.place.base.len(), |path| host + path);
        &self.place.base[..end]
    }

    /// The path that the server's address has, without a slash at its end.
    pub fn path(&self) -> &str {
        &self.place.base[self.origin().len()..]
    }
}
