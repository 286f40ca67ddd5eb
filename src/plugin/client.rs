//! certcourier's HTTP API, wherever it is, called with the person's own bearer token.
//!
//! A token or passphrase travels in a body and never in a URL, so it is in no log on the way.

mod discover;
mod error;
mod file;
mod forward;
mod pass;
mod route;
mod version;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, StatusCode, redirect};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub use self::{
    error::{Place, ServerError},
    file::Artifact,
    route::{Known, Published},
    version::{OWN, misfit},
};
use self::{forward::Forward, route::Route};
use super::{context::Ctx, error::PluginError};
use crate::{
    api::names,
    cluster::{client::CALLS, error::in_one_line},
    redact::Redacted,
    transport::of_place,
};

/// A server that is there must take a connection within this time.
const CONNECT: Duration = Duration::from_secs(10);

/// No answer in JSON of certcourier's is larger.
const LARGEST: usize = 1 << 20;

/// The way to the server.
pub struct Server {
    http: reqwest::Client,
    place: Place,
    bearer: Option<Redacted<String>>,
    limit: Duration,
    /// Ends with the server.
    forward: Option<Forward>,
}

impl Server {
    /// Finds the server, without calling it; through the API server only where nothing says where it is. `known` is what
    /// the command knows already, such as the link in a token Secret.
    ///
    /// # Errors
    /// When the server cannot be found, with what to do.
    pub async fn reach(ctx: &Ctx, known: Known) -> Result<Self, PluginError> {
        Self::reach_within(ctx, known, Some(ctx.global.request_timeout.limit())).await
    }

    /// The same, for answers that go on for as long as they like.
    ///
    /// # Errors
    /// When the server cannot be found, with what to do.
    pub async fn reach_patiently(ctx: &Ctx, known: Known) -> Result<Self, PluginError> {
        Self::reach_within(ctx, known, None).await
    }

    async fn reach_within(ctx: &Ctx, known: Known, silence: Option<Duration>) -> Result<Self, PluginError> {
        let mut known = Known { flag: ctx.global.server.clone(), forward: ctx.global.port_forward, ..known };
        if known.needs_config_map() {
            known.config_map = discover::config_map(ctx).await;
        }
        let route = route::choose(known);
        // Anybody who can change Secrets on their way writes what this one says.
        let bearer = if route.is_by_secret() { None } else { ctx.bearer().await? };
        let ca = match &ctx.global.server_ca {
            Some(path) => Some(Ca::of_file(path)?),
            None => route.ca().map(|pem| Ca { pem: pem.to_owned(), of: route.ca_said_by().to_owned(), by_flag: false }),
        };
        let limit = ctx.global.request_timeout.limit();
        let builder = client(ca.as_ref(), limit, silence)?;
        let (builder, base, way, forward) = match route {
            Route::Url { url, .. } if route::is_readable_on_the_way(&url) => {
                return Err(PluginError::new(format!(
                    "{url} is plain HTTP: your token and the file would cross the network unencrypted"
                ))
                .next("name an https:// address with --server, or go through the API server with --port-forward"));
            }
            Route::Url { url, said_by, .. } => (builder, url, said_by.to_owned(), None),
            Route::Forward { host, service, .. } => {
                let forward = Forward::open(ctx, service.as_deref().unwrap_or(names::SERVICE)).await?;
                let host = host.unwrap_or_else(|| forward.host.clone());
                let base = format!("{}://{host}:{}", forward.scheme, forward.address.port());
                let way = format!("port-forward to pod {}/{}", ctx.global.operator_namespace(), forward.pod);
                (builder.no_proxy().resolve(&host, forward.address), base, way, Some(forward))
            }
        };
        let unusable =
            |error: reqwest::Error| PluginError::new(format!("cannot prepare HTTPS: {}", in_one_line(&error)));
        let http = builder.build().map_err(unusable)?;
        tracing::debug!("certcourier's HTTP API: {base} ({way})");
        Ok(Self { http, place: Place { base, way, ca: ca.map(|ca| ca.of) }, bearer, limit, forward })
    }

    /// Whether the server is called without the person's bearer token.
    pub const fn is_anonymous(&self) -> bool {
        self.bearer.is_none()
    }

    /// Whether the way goes through the API server, and ends with this process.
    pub fn is_forwarded(&self) -> bool {
        self.forward.is_some()
    }

    /// The URL of a path at this server.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.place.base)
    }

    /// `POST` of JSON to a path below the base; the status tells answers apart.
    ///
    /// # Errors
    /// What the server refuses, or why it did not answer.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Zeroizing<Vec<u8>>,
    ) -> Result<(StatusCode, T), ServerError> {
        let mut request = self.http.post(format!("{}{path}", self.place.base)).timeout(self.limit);
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        let request = request.header("content-type", "application/json").body(body.to_vec());
        let answer = self.send("POST", path, request).await?;
        let status = answer.status();
        let bytes = self.body(answer, LARGEST).await?;
        if !status.is_success() {
            return Err(ServerError::refused(status, &bytes, &self.place));
        }
        // Of an answer that cannot be read nothing is repeated: it may hold a token.
        let answer =
            serde_json::from_slice(&bytes).map_err(|_| ServerError::Strange { base: self.place.base.clone() })?;
        Ok((status, answer))
    }

    /// `GET` of a path below the base that anyone may read; no credentials are sent.
    ///
    /// # Errors
    /// What the server refuses, or why it did not answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServerError> {
        let request = self.http.get(format!("{}{path}", self.place.base)).timeout(self.limit);
        let answer = self.send("GET", path, request).await?;
        let status = answer.status();
        let bytes = self.body(answer, LARGEST).await?;
        if !status.is_success() {
            return Err(ServerError::refused(status, &bytes, &self.place));
        }
        serde_json::from_slice(&bytes).map_err(|_| ServerError::Strange { base: self.place.base.clone() })
    }

    /// Sends, and logs the call in one line. `path` is of the API and never holds a token.
    async fn send(
        &self,
        method: &str,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, ServerError> {
        let (begun, base) = (Instant::now(), &self.place.base);
        let answer = request.send().await;
        let ms = begun.elapsed().as_millis();
        if let Ok(answer) = &answer {
            tracing::trace!(target: CALLS, "{method} {base}{path} {} in {ms} ms", answer.status());
        } else {
            tracing::trace!(target: CALLS, "{method} {base}{path} no answer after {ms} ms");
        }
        answer.map_err(|error| self.unanswered(&error))
    }

    /// Where it is, and how that is known.
    pub fn place(&self) -> String {
        format!("{} ({})", self.place.base, self.place.way)
    }

    /// An answer, whole. What is longer than any of certcourier's is of someone else, and is not read to its end.
    async fn body(&self, answer: reqwest::Response, largest: usize) -> Result<Zeroizing<Vec<u8>>, ServerError> {
        let mut bytes = Zeroizing::new(Vec::new());
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.unanswered(&error))?;
            if bytes.len() + piece.len() > largest {
                return Err(ServerError::Strange { base: self.place.base.clone() });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    fn unanswered(&self, error: &reqwest::Error) -> ServerError {
        ServerError::unanswered(error, &self.place, self.limit)
    }
}

/// What the server's certificate is checked with.
struct Ca {
    pem: String,
    /// Where it comes from.
    of: String,
    /// Whether --server-ca names it.
    by_flag: bool,
}

impl Ca {
    fn of_file(path: &Path) -> Result<Self, PluginError> {
        let of = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(pem) => Ok(Self { pem, of, by_flag: true }),
            Err(error) => Err(PluginError::usage(format!("--server-ca {of} cannot be read: {}", of_place(&error)))),
        }
    }
}

/// `silence` is how long an answer may pause.
fn client(ca: Option<&Ca>, limit: Duration, silence: Option<Duration>) -> Result<reqwest::ClientBuilder, PluginError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("kubectl-certcourier/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([(
            HeaderName::from_static(names::DOOR_HEADER),
            HeaderValue::from_static(names::DOOR_PLUGIN),
        )]))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT.min(limit));
    if let Some(silence) = silence {
        builder = builder.read_timeout(silence);
    }
    let Some(Ca { pem, of, by_flag }) = ca else { return Ok(builder) };
    let certificates = Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|found| !found.is_empty());
    let wrong = || {
        let place = if *by_flag { format!("--server-ca {of}") } else { format!("ca.crt of {of}") };
        PluginError::usage(format!("{place} holds no PEM certificate"))
            .next("name a file with the CA of the server's certificate with --server-ca")
    };
    Ok(builder.tls_certs_only(certificates.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A server that answers with this head and then writes for as long as it is listened to; how much it wrote.
    async fn flood(head: &'static str) -> (Server, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let (piece, mut written) = (vec![b' '; 64 << 10], 0);
            // The plugin ends it; a plugin that does not would read a GiB.
            while written < 1 << 30 && stream.write_all(&piece).await.is_ok() {
                written += piece.len();
            }
            written
        });
        let place = Place { base, way: "--server".to_owned(), ca: None };
        let limit = Duration::from_mins(1);
        let http = client(None, limit, Some(limit)).unwrap().no_proxy().build().unwrap();
        (Server { http, place, bearer: None, limit, forward: None }, server)
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_read_to_the_end_and_is_not_certcouriers() {
        for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 500 Internal Server Error\r\n\r\n"] {
            let (server, other) = flood(head).await;
            let body = Zeroizing::new(b"{}".to_vec());
            let error = server.post::<serde_json::Value>("/api/v1/x", &body).await.unwrap_err();
            assert!(matches!(error, ServerError::Strange { .. }), "{error}");
            drop(server);
            let written = other.await.unwrap();
            assert!(written < 64 << 20, "{written} bytes were taken");
        }
    }
}
