//! Passes requests on to the server, and answers back, from the first byte on: a download and a stream of events go
//! through as they come. The browser's credentials stay here, and the server's: to it, each request is one with a bearer
//! token and without a cookie. Where the pages are made here, it gets only what needs no one's identity but a download
//! token, and no bearer token.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};
use reqwest::Body;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::{
    gate::{Admitted, Gate, Refusal},
    words,
};
use crate::{
    api::names,
    plugin::{
        client::{Known, Published, Server, ServerError},
        context::Ctx,
        error::PluginError,
    },
    server::of_one::SaidServer,
};

/// What belongs to one connection and not to what is sent over it (RFC 9110, 7.6.1).
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What a browser says of itself or of this address, and is not for the server.
const OF_THE_BROWSER: [HeaderName; 10] = [
    header::HOST,
    header::COOKIE,
    header::AUTHORIZATION,
    header::ORIGIN,
    header::REFERER,
    header::FORWARDED,
    // Which way a request came is the plugin's to say.
    HeaderName::from_static(names::DOOR_HEADER),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// What the server says to a browser that would come to its own address.
const OF_THE_SERVER: [HeaderName; 3] =
    [header::SET_COOKIE, header::STRICT_TRANSPORT_SECURITY, HeaderName::from_static("alt-svc")];

/// What is served here: the page, and the downloads that it leads to. Everything else of the HTTP API is for programs.
const SERVED: [&str; 2] = ["/ui", "/api/v1/downloads"];

/// The page behind a link: it is about a download token, and so the server's alone.
const OF_A_LINK: &str = "/ui/t";

/// Where styles and scripts are.
const STATIC: &str = "/ui/static/";

/// Where the pages are made.
pub enum Pages {
    /// At the server, for the person's bearer token.
    There(Box<Server>),
    /// In this process, with the person's own clients.
    Here {
        /// They.
        pages: Router,
        /// Where the server is, as far as token Secrets said.
        said: Said,
    },
}

type Said = Arc<Mutex<Option<SaidServer>>>;

/// One run of the command.
pub struct Relay<'a> {
    ctx: &'a Ctx,
    gate: Gate,
    pages: Option<Router>,
    said: Said,
    /// Found when something is asked of it: without it, people can still vote.
    server: Mutex<Option<Arc<Server>>>,
    asked: Mutex<Instant>,
}

impl<'a> Relay<'a> {
    pub fn new(ctx: &'a Ctx, pages: Pages, gate: Gate) -> Self {
        let (pages, said, server) = match pages {
            Pages::There(server) => (None, Said::default(), Some(Arc::from(server))),
            Pages::Here { pages, said } => (Some(pages), said, None),
        };
        Self { ctx, gate, pages, said, server: Mutex::new(server), asked: Mutex::new(Instant::now()) }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>, is_ours: bool) -> Response<Body> {
        let admitted = if is_ours {
            self.gate.admit(request.method(), request.uri().path(), request.headers())
        } else {
            Err(Refusal::OtherUser)
        };
        match admitted {
            Err(refusal) => {
                tracing::debug!(?refusal, "refused");
                words::sentence(refusal.status(), refusal.words())
            }
            Ok(Admitted::Link { cookie }) => {
                self.is_used();
                words::welcome(&cookie)
            }
            Ok(Admitted::Again) => words::to_the_page(),
            Ok(Admitted::Page) => self.page(request).await,
        }
    }

    /// Ends when no page was asked for in this time.
    pub async fn idle(&self, limit: Duration) {
        loop {
            let end = *self.asked.lock().unwrap_or_else(PoisonError::into_inner) + limit;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    fn is_used(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn page(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if path == "/" {
            return words::to_the_page();
        }
        if !is_served(request.uri().path()) {
            return words::sentence(StatusCode::NOT_FOUND, "There is no such page. The page is at /ui/");
        }
        // A tab that is left open asks for its events again and again; no one looks at it.
        if !is_for_events(request.headers()) {
            self.is_used();
        }
        let (head, body) = request.into_parts();
        let answered = match &self.pages {
            Some(pages) if is_made_here(head.uri.path()) => self.make(pages, head, body).await,
            _ => self.pass(head, Body::wrap(body)).await,
        };
        match answered {
            Ok(answer) => answer,
            Err(error) => {
                let words = [error.words(), error.next_step().unwrap_or_default()].join(". ");
                words::sentence(StatusCode::BAD_GATEWAY, words.trim_end_matches([' ', '.']))
            }
        }
    }

    /// A page that is made here.
    async fn make(&self, pages: &Router, mut head: Parts, body: Incoming) -> Result<Response<Body>, PluginError> {
        let spare = head.clone();
        clean(&mut head.headers, &OF_THE_BROWSER);
        let Ok(made) = pages.clone().oneshot(Request::from_parts(head, body)).await;
        if made.status() == StatusCode::NOT_FOUND && spare.uri.path().starts_with(STATIC) {
            // The page behind a link is of the server's version, which may be another.
            return self.pass(spare, Body::default()).await;
        }
        let mut answer = made.map(|body| Body::wrap_stream(body.into_data_stream()));
        clean(answer.headers_mut(), &OF_THE_SERVER);
        Ok(answer)
    }

    async fn pass(&self, mut head: Parts, body: Body) -> Result<Response<Body>, PluginError> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        clean(&mut head.headers, &OF_THE_BROWSER);
        let mut server = match self.known() {
            Some(server) => server,
            None => self.reach().await?,
        };
        let again = (head.method == Method::GET).then(|| head.headers.clone());
        let mut answer = self.send(&server, (head.method, &path), head.headers, body).await;
        if matches!(answer, Err(Failed::Server(ServerError::Unreachable { .. }))) && server.is_forwarded() {
            // The pod behind the forwarded port is gone, and perhaps there is another one.
            server = self.reach().await?;
            if let Some(headers) = again {
                answer = self.send(&server, (Method::GET, &path), headers, Body::default()).await;
            }
        }
        let mut answer = Response::<Body>::from(answer?);
        clean(answer.headers_mut(), &OF_THE_SERVER);
        stay_here(answer.headers_mut(), &server);
        // The server may speak HTTP/2, the browser does not over this connection.
        *answer.version_mut() = hyper::Version::HTTP_11;
        Ok(answer)
    }

    fn known(&self) -> Option<Arc<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn reach(&self) -> Result<Arc<Server>, PluginError> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let secret = said.map(|said| Published { url: Some(said.url), ca: said.ca, service: None });
        let server = Arc::new(Server::reach_patiently(self.ctx, Known { secret, ..Known::default() }).await?);
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&server));
        Ok(server)
    }

    /// The bearer token is asked for each time: one that is about to end is replaced, as for kubectl.
    async fn send(
        &self,
        server: &Server,
        (method, path): (Method, &str),
        mut headers: HeaderMap,
        body: Body,
    ) -> Result<reqwest::Response, Failed> {
        if method != Method::GET
            && method != Method::HEAD
            && let Ok(origin) = HeaderValue::from_str(server.origin())
        {
            // The gate has seen that it is this page that asks, and this page is the server's.
            headers.insert(header::ORIGIN, origin);
        }
        let bearer = match self.pages {
            Some(_) => None,
            None => Some(self.ctx.bearer().await.map_err(Failed::Here)?.ok_or_else(|| Failed::Here(no_bearer()))?),
        };
        let Some(url) = server.exactly(path) else {
            return Err(Failed::Here(PluginError::new("there is no such page")));
        };
        server.pass((method, url), headers, body, bearer.as_ref()).await.map_err(Failed::Server)
    }
}

/// Why there is no answer.
enum Failed {
    Here(PluginError),
    Server(ServerError),
}

impl From<Failed> for PluginError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Here(error) => error,
            Failed::Server(error) => error.into(),
        }
    }
}

/// The credentials of the kubeconfig are of another kind than when the command began.
fn no_bearer() -> PluginError {
    PluginError::new("your credentials hold no bearer token any more").next("end this command, and start it again")
}

/// Whether a page is about what the person may see and do, and not about a download token.
fn is_made_here(path: &str) -> bool {
    let of_a_link = path.strip_prefix(OF_A_LINK).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !of_a_link && (path == "/ui" || path.starts_with("/ui/"))
}

/// Whether a path is one of those. What other programs make of dots and separators, written out or encoded, differs, and
/// no page has any: they lead nowhere. [`Server::pass`] looks at what is left once it is a URL.
fn is_served(path: &str) -> bool {
    let below = |served: &str| path.strip_prefix(served).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let lower = path.to_ascii_lowercase();
    SERVED.into_iter().any(below)
        && !path.split('/').any(|part| matches!(part, "." | ".."))
        && !["\\", "%2e", "%2f", "%5c"].iter().any(|hidden| lower.contains(hidden))
}

fn is_for_events(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept == "text/event-stream")
}

/// Removes what belongs to the connection, and what is not for the other side.
fn clean(headers: &mut HeaderMap, private: &[HeaderName]) {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> = named.flat_map(|names| names.split(',')).map(|name| name.trim().to_owned()).collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in OF_THE_CONNECTION.iter().chain(private) {
        headers.remove(name);
    }
}

/// A redirect to the server's own address leads to the same path here.
fn stay_here(headers: &mut HeaderMap, server: &Server) {
    let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
    let path = to.and_then(|to| to.strip_prefix(server.base())).filter(|path| path.starts_with('/'));
    if let Some(path) = path.and_then(|path| HeaderValue::from_str(path).ok()) {
        headers.insert(header::LOCATION, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_downloads_are_served_and_nothing_else() {
        for path in ["/ui", "/ui/", "/ui/p/payments", "/api/v1/downloads", "/api/v1/downloads/x"] {
            assert!(is_served(path), "{path}");
        }
        for path in ["/uix", "/api/v1/projects", "/openapi.json", "/metrics", "/ui/../api/v1/projects", "//ui"] {
            assert!(!is_served(path), "{path}");
        }
        for dots in ["..", "%2e%2e", "%2E%2e", ".%2e", "%2e.", "..%2f", "..%5c", "..\\..", ".", "%2e", "%2f"] {
            let path = format!("/ui/{dots}/api/v1/projects");
            assert!(!is_served(&path), "{path}");
            let path = format!("/api/v1/downloads/{dots}");
            assert!(!is_served(&path), "{path}");
        }
        assert!(is_served("/ui/projects/payments/certificates/api.example.com"), "dots in a name");
    }

    #[test]
    fn what_is_about_a_download_token_is_made_by_the_server_alone() {
        for path in ["/ui", "/ui/", "/ui/inbox", "/ui/static/certcourier.css", "/ui/tx"] {
            assert!(is_made_here(path), "{path}");
        }
        for path in ["/ui/t", "/ui/t/look", "/ui/t/download", "/api/v1/downloads"] {
            assert!(!is_made_here(path), "{path}");
        }
    }

    #[test]
    fn what_belongs_to_the_browser_or_its_connection_stays_here() {
        let pairs = [
            ("connection", "keep-alive, X-Own"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("cookie", "canary"),
            ("authorization", "Bearer canary"),
            ("referer", "http://127.0.0.1:8001/canary"),
            ("x-forwarded-for", "10.0.0.1"),
            ("accept", "text/html"),
            ("content-length", "3"),
        ];
        let mut headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
        clean(&mut headers, &OF_THE_BROWSER);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "content-length"]);
    }
}
