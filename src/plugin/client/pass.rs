//! Passing on what a browser asks for, with the person's bearer token where they have one. What is asked and what is answered are not read.

use reqwest::{Body, Method, Url, header::HeaderMap};

use super::{Server, ServerError};
use crate::redact::Redacted;

impl Server {
    /// The URL of a path at this server, if it is that very path: a URL has no step upwards, so where one was made of the
    /// path it would lead to something else.
    pub fn exactly(&self, path: &str) -> Option<Url> {
        let base = Url::parse(&self.place.base).ok()?;
        let url = Url::parse(&format!("{}{path}", self.place.base)).ok()?;
        let asked = path.split(['?', '#']).next().unwrap_or_default();
        let wanted = format!("{}{asked}", base.path().trim_end_matches('/'));
        (url.origin() == base.origin() && url.path() == wanted).then_some(url)
    }

    /// Sends a request as it is to a URL of the server, and has its answer from the first byte on.
    ///
    /// # Errors
    /// When no answer begins.
    pub async fn pass(
        &self,
        (method, url): (Method, Url),
        headers: HeaderMap,
        body: Body,
        bearer: Option<&Redacted<String>>,
    ) -> Result<reqwest::Response, ServerError> {
        let request = self.http.request(method, url).headers(headers).body(body);
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

    /// Its address, with the path that it has.
    pub fn base(&self) -> &str {
        &self.place.base
    }
}
