//! Who may use the page. Everything on the internet that a browser shows can make it send requests to 127.0.0.1, so what
//! arrives must prove that it comes from the page itself, in the browser that opened the link.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hyper::{HeaderMap, Method, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::{browser, plugin::error::PluginError, redact::Redacted};

/// As long as certcourier's own tokens.
const SECRET_BYTES: usize = 32;

/// What a request is let in for.
#[derive(Debug, PartialEq, Eq)]
pub enum Admitted {
    /// To be passed on to the server.
    Page,
    /// It opened the link: this cookie lets its browser in from now on.
    Link {
        /// The value of `Set-Cookie`.
        cookie: String,
    },
    /// It opened the link again, in the browser that was let in.
    Again,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another name than ours stands in `Host`: a name that was made to lead here.
    Host,
    /// Another user of this machine asks.
    OtherUser,
    /// Another page makes the browser ask.
    OtherPage,
    /// A browser opens the link before anyone has asked it to.
    TooEarly,
    /// The link was opened before.
    LinkUsed,
    /// The browser did not open the link.
    NoSession,
}

impl Refusal {
    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::LinkUsed => StatusCode::GONE,
            Self::TooEarly => StatusCode::BAD_REQUEST,
            Self::OtherUser | Self::OtherPage | Self::NoSession => StatusCode::FORBIDDEN,
        }
    }

    /// What happened, and what to do.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Host => {
                "This is not the address that `kubectl certcourier web` printed. Open the page by its link, which begins \
                 with http://127."
            }
            Self::OtherUser => {
                "This page belongs to another user of this machine, or Linux does not say whose your connection is. Run \
                 `kubectl certcourier web` as yourself"
            }
            Self::OtherPage => {
                "Another page made your browser ask for this, so nothing was done. Go on in the page that \
                 `kubectl certcourier web` opened"
            }
            Self::TooEarly => "This link works once and is not fetched ahead. Open it: it is as good as before",
            Self::LinkUsed => {
                "This link works once, and was opened before. If that was not you, end `kubectl certcourier web` with \
                 Ctrl-C. Run it again for a new link"
            }
            Self::NoSession => {
                "This browser has not opened the link that `kubectl certcourier web` printed. Open that link; it works \
                 once. If it is used, run the command again"
            }
        }
    }
}

/// One run of the command: its address, its link and its cookie.
pub struct Gate {
    host: String,
    link: Redacted<String>,
    session: Redacted<String>,
    is_used: AtomicBool,
}

impl Gate {
    /// A new link, and a new cookie.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn new(address: SocketAddr) -> Result<Self, PluginError> {
        Ok(Self { host: address.to_string(), link: secret()?, session: secret()?, is_used: AtomicBool::new(false) })
    }

    /// The link to be opened once.
    pub fn link(&self) -> String {
        format!("http://{}/{}", self.host, self.link.expose())
    }

    /// Decides.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admit(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        if text(headers, header::HOST) != Some(&self.host) {
            return Err(Refusal::Host);
        }
        if path.strip_prefix('/').is_some_and(|path| same(path, self.link.expose())) {
            return self.open(method, headers);
        }
        if !self.is_of_this_page(method, headers) {
            return Err(Refusal::OtherPage);
        }
        if !self.has_cookie(headers) {
            return Err(Refusal::NoSession);
        }
        Ok(Admitted::Page)
    }

    /// The link may be clicked anywhere, but only once. Looking ahead does not use it up.
    fn open(&self, method: &Method, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        if browser::asks_ahead_of_time(headers) {
            return Err(Refusal::TooEarly);
        }
        if method == Method::GET && self.has_cookie(headers) {
            return Ok(Admitted::Again);
        }
        if method != Method::GET || self.is_used.swap(true, Ordering::AcqRel) {
            return Err(Refusal::LinkUsed);
        }
        // Without `Secure`, which not every browser takes from a loopback address.
        let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie(), self.session.expose());
        Ok(Admitted::Link { cookie })
    }

    /// Cookies of one host are shared by its ports, so the port is in the name.
    fn cookie(&self) -> String {
        let port = self.host.rsplit(':').next().unwrap_or_default();
        format!("certcourier-web-{port}")
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let name = self.cookie();
        browser::cookies(headers).any(|(key, value)| key == name && same(value, self.session.expose()))
    }

    /// Whether the browser says that no other page is behind a request. What changes something must say so itself; a
    /// program that is no browser does so by `Origin`.
    fn is_of_this_page(&self, method: &Method, headers: &HeaderMap) -> bool {
        let site = text(headers, "sec-fetch-site");
        let origin = text(headers, header::ORIGIN);
        // A page that sends no referrer sends the origin `null` with its forms; then `Sec-Fetch-Site` alone says it.
        let is_ours = origin.and_then(|origin| origin.strip_prefix("http://")) == Some(&self.host);
        if origin.is_some_and(|origin| origin != "null") && !is_ours {
            return false;
        }
        if method == Method::GET || method == Method::HEAD {
            return matches!(site, None | Some("same-origin" | "none"));
        }
        match site {
            Some(site) => site == "same-origin",
            None => is_ours,
        }
    }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        // One that says two things says nothing.
        (Some(_), Some(_)) => Some(""),
        (None, _) => None,
    }
}

fn secret() -> Result<Redacted<String>, PluginError> {
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random).map_err(|error| PluginError::new(format!("cannot draw a random number: {error}")))?;
    Ok(Redacted::new(Base64UrlUnpadded::encode_string(&random)))
}

/// Compares hashes: how long that takes says nothing of the secret.
fn same(given: &str, secret: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "127.0.0.1:8001";

    fn gate() -> Gate {
        Gate::new(HOST.parse().unwrap()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// A browser that has opened the link.
    fn asks(gate: &Gate, method: &Method, more: &[(&'static str, &str)]) -> Result<Admitted, Refusal> {
        let cookie = format!("other=1; {}={}", gate.cookie(), gate.session.expose());
        let own = [("host", HOST), ("cookie", cookie.as_str())];
        gate.admit(method, "/ui/", &headers(&[own.as_slice(), more].concat()))
    }

    #[test]
    fn a_link_lets_one_browser_in_and_is_dead_then() {
        let gate = gate();
        let link = format!("/{}", gate.link.expose());
        let open = |method, path: &str| gate.admit(&method, path, &headers(&[("host", HOST)]));
        assert_eq!(open(Method::GET, "/ui/"), Err(Refusal::NoSession));
        assert_eq!(open(Method::HEAD, &link), Err(Refusal::LinkUsed), "only opening it uses it");
        let Ok(Admitted::Link { cookie }) = open(Method::GET, &link) else { panic!("refused") };
        assert!(cookie.starts_with("certcourier-web-8001=") && cookie.ends_with("; HttpOnly; SameSite=Strict"));
        assert!(!cookie.contains(gate.link.expose()), "what the history keeps is not what lets in");
        assert_eq!(open(Method::GET, &link), Err(Refusal::LinkUsed));
        let pair = cookie.split(';').next().unwrap();
        let with = |pair: &str| gate.admit(&Method::GET, "/ui/", &headers(&[("host", HOST), ("cookie", pair)]));
        assert_eq!(with(pair), Ok(Admitted::Page));
        for wrong in [&pair[..pair.len() - 1], "certcourier-web-8001=", "certcourier-web-8002=x"] {
            assert_eq!(with(wrong), Err(Refusal::NoSession), "{wrong}");
        }
    }

    #[test]
    fn a_browser_that_fetches_the_link_ahead_does_not_use_it_up_and_one_that_is_in_is_led_on() {
        let gate = gate();
        let link = format!("/{}", gate.link.expose());
        let open = |more: &[(&'static str, &str)]| {
            gate.admit(&Method::GET, &link, &headers(&[[("host", HOST)].as_slice(), more].concat()))
        };
        for ahead in ["prefetch", "prefetch;prerender"] {
            assert_eq!(open(&[("sec-purpose", ahead)]), Err(Refusal::TooEarly), "{ahead}");
        }
        assert_eq!(open(&[("purpose", "prefetch")]), Err(Refusal::TooEarly));
        let Ok(Admitted::Link { cookie }) = open(&[]) else { panic!("refused") };
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(open(&[("cookie", pair)]), Ok(Admitted::Again));
        assert_eq!(open(&[("cookie", "certcourier-web-8001=x")]), Err(Refusal::LinkUsed));
        assert_eq!(open(&[]), Err(Refusal::LinkUsed));
    }

    #[test]
    fn a_cookie_of_another_program_on_this_machine_does_not_lock_the_browser_out() {
        let gate = gate();
        let ours = format!("{}={}", gate.cookie(), gate.session.expose());
        let mut with = headers(&[("host", HOST)]);
        let line = [b"x=\xe9; ".as_slice(), ours.as_bytes()].concat();
        with.insert("cookie", hyper::header::HeaderValue::from_bytes(&line).unwrap());
        assert_eq!(gate.admit(&Method::GET, "/ui/", &with), Ok(Admitted::Page));
    }

    #[test]
    fn a_name_that_leads_here_is_refused_whatever_else_it_brings() {
        let gate = gate();
        let cookie = format!("{}={}", gate.cookie(), gate.session.expose());
        for host in
            ["evil.example:8001", "127.0.0.1", "127.0.0.1:8002", "localhost:8001", "127.0.0.1.evil.example:8001"]
        {
            let with = headers(&[("host", host), ("cookie", &cookie)]);
            assert_eq!(gate.admit(&Method::GET, "/ui/", &with), Err(Refusal::Host), "{host}");
            let link = format!("/{}", gate.link.expose());
            assert_eq!(gate.admit(&Method::GET, &link, &with), Err(Refusal::Host), "{host}");
        }
        assert_eq!(gate.admit(&Method::GET, "/ui/", &HeaderMap::new()), Err(Refusal::Host));
        assert_eq!(asks(&gate, &Method::GET, &[("host", "evil.example")]), Err(Refusal::Host), "two hosts are none");
    }

    #[test]
    fn what_another_page_makes_the_browser_ask_is_refused() {
        let gate = gate();
        let site = |method: &Method, site| asks(&gate, method, &[("sec-fetch-site", site)]);
        for own in ["same-origin", "none"] {
            assert_eq!(site(&Method::GET, own), Ok(Admitted::Page), "{own}");
        }
        for other in ["cross-site", "same-site", ""] {
            assert_eq!(site(&Method::GET, other), Err(Refusal::OtherPage), "{other}");
            assert_eq!(site(&Method::POST, other), Err(Refusal::OtherPage), "{other}");
        }
        assert_eq!(site(&Method::POST, "same-origin"), Ok(Admitted::Page));
        assert_eq!(site(&Method::POST, "none"), Err(Refusal::OtherPage), "no page is behind it");
        let origin = |method: &Method, origin| asks(&gate, method, &[("origin", origin)]);
        assert_eq!(origin(&Method::POST, "http://127.0.0.1:8001"), Ok(Admitted::Page));
        for other in ["http://127.0.0.1:8002", "https://127.0.0.1:8001", "http://evil.example", "null", ""] {
            assert_eq!(origin(&Method::POST, other), Err(Refusal::OtherPage), "{other}");
        }
        assert_eq!(asks(&gate, &Method::POST, &[]), Err(Refusal::OtherPage), "silence is no proof");
        let form = [("origin", "null"), ("sec-fetch-site", "same-origin")];
        assert_eq!(asks(&gate, &Method::POST, &form), Ok(Admitted::Page), "a form of a page without a referrer");
        let both = [("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")];
        assert_eq!(asks(&gate, &Method::POST, &both), Err(Refusal::OtherPage));
        assert_eq!(asks(&gate, &Method::DELETE, &[]), Err(Refusal::OtherPage));
    }
}
