//! Signing in at an identity provider that the API server trusts, too: authorization code with PKCE (RFC 6749, RFC 7636,
//! `OpenID` Connect Core 1.0 §3.1).
//!
//! What is had from it is an ID token, and that is used as the person's bearer token. The API server verifies it at every
//! call, so it is not verified here; it comes from the provider itself over TLS (§3.1.3.7). Only that it belongs to this
//! sign-in is looked at: its nonce.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use reqwest::{Certificate, Client, redirect};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::args::OidcArgs;
use crate::{api::http::SecretText, randomness, redact::Redacted};

/// How long the provider may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it is not asked again where to sign in, after it did not say so.
const GIVEN_UP_FOR: Duration = Duration::from_secs(5);
/// The path of the page to which the provider leads back, below the external URL.
pub const CALLBACK: &str = "/ui/sign-in/callback";

/// Why the server did not start with these flags.
#[derive(Debug, thiserror::Error)]
pub enum OidcFlagError {
    /// A file cannot be read.
    #[error("{flag}: read {}", path.display())]
    Read {
        /// The flag.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds no certificate.
    #[error("--oidc-ca-file: {} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// The provider leads people back to the external URL.
    #[error("--oidc-issuer needs --external-url, because the provider leads people back there")]
    NoExternalUrl,
    /// No client.
    #[error("make a client for --oidc-issuer")]
    Client(#[source] reqwest::Error),
}

/// Why someone could not sign in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider does not answer as it should.
    #[error("the identity provider does not answer")]
    Unavailable(#[source] Arc<reqwest::Error>),
    /// Its discovery document is another issuer's.
    #[error("the identity provider calls itself by another issuer than --oidc-issuer")]
    OtherIssuer,
    /// It gave no ID token.
    #[error("the identity provider gave no ID token; scope `openid` must be among --oidc-scopes")]
    NoToken,
    /// The token belongs to another sign-in.
    #[error("the identity provider's token belongs to another sign-in")]
    OtherNonce,
    /// No random numbers.
    #[error("begin to sign in")]
    Randomness,
}

/// What the provider says of itself, asked for once for all who wait for it; and when it did not say so.
type Discovering = Shared<BoxFuture<'static, Result<Discovered, (OidcError, Instant)>>>;

/// The provider.
#[derive(Debug)]
pub struct Oidc {
    issuer: String,
    client_id: String,
    secret: Option<Redacted<Zeroizing<String>>>,
    scopes: String,
    redirect_uri: String,
    http: Client,
    discovering: Mutex<Option<Discovering>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

/// What only the browser that began to sign in knows. It is sealed into a cookie.
#[derive(Clone, Serialize, Deserialize)]
pub struct Begun {
    /// Comes back with the code.
    pub state: String,
    nonce: String,
    verifier: String,
    /// The page to come back to.
    pub next: String,
    /// Seconds since 1970 until which it can go on.
    pub until: i64,
}

impl Begun {
    /// A sign-in that begins now.
    ///
    /// # Errors
    /// [`OidcError::Randomness`].
    pub fn new(next: &str, until: i64) -> Result<Self, OidcError> {
        Ok(Self { state: random()?, nonce: random()?, verifier: random()?, next: next.to_owned(), until })
    }
}

fn random() -> Result<String, OidcError> {
    let mut bytes = [0; 32];
    randomness::fill(&mut bytes).map_err(|_| OidcError::Randomness)?;
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    id_token: Option<SecretText>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    nonce: String,
}

impl Oidc {
    /// As the flags say; None without them.
    ///
    /// # Errors
    /// [`OidcFlagError`].
    pub fn new(args: &OidcArgs, external_url: Option<&str>) -> Result<Option<Self>, OidcFlagError> {
        let (Some(issuer), Some(client_id)) = (&args.oidc_issuer, &args.oidc_client_id) else { return Ok(None) };
        let external_url = external_url.ok_or(OidcFlagError::NoExternalUrl)?;
        let read = |flag, path: &PathBuf| {
            fs::read_to_string(path).map_err(|source| OidcFlagError::Read { flag, path: path.clone(), source })
        };
        let secret = args.oidc_client_secret_file.as_ref().map(|path| read("--oidc-client-secret-file", path));
        let secret = secret.transpose()?.map(Zeroizing::new);
        // The first caller has chosen the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("certcourier/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &args.oidc_ca_file {
            let pem = read("--oidc-ca-file", path)?;
            let roots = Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|roots| !roots.is_empty());
            builder = builder.tls_certs_only(roots.ok_or_else(|| OidcFlagError::NoCertificate(path.clone()))?);
        }
        Ok(Some(Self {
            issuer: issuer.trim_end_matches('/').to_owned(),
            client_id: client_id.clone(),
            secret: secret.map(|secret| Redacted::new(Zeroizing::new(secret.trim().to_owned()))),
            scopes: args.oidc_scopes.join(" "),
            redirect_uri: format!("{external_url}{CALLBACK}"),
            http: builder.build().map_err(OidcFlagError::Client)?,
            discovering: Mutex::default(),
        }))
    }

    /// The client id, which must be an audience that the API server accepts.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where a browser is sent to sign in.
    ///
    /// # Errors
    /// [`OidcError::Unavailable`], [`OidcError::OtherIssuer`].
    pub async fn authorization(&self, begun: &Begun) -> Result<String, OidcError> {
        let endpoint = self.discovered().await?.authorization_endpoint;
        let challenge = Base64UrlUnpadded::encode_string(&Sha256::digest(begun.verifier.as_bytes()));
        let query = serde_urlencoded::to_string([
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("scope", self.scopes.as_str()),
            ("state", begun.state.as_str()),
            ("nonce", begun.nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]);
        let separator = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{separator}{}", query.unwrap_or_default()))
    }

    /// The ID token for a code.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn token(&self, begun: &Begun, code: &str) -> Result<Redacted<String>, OidcError> {
        let endpoint = self.discovered().await?.token_endpoint;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &begun.verifier),
        ];
        let mut request = self.http.post(endpoint);
        match &self.secret {
            Some(secret) => request = request.basic_auth(encoded(&self.client_id), Some(encoded(secret.expose()))),
            None => form.push(("client_id", &self.client_id)),
        }
        let answer = request.form(&form).send().await.and_then(reqwest::Response::error_for_status);
        let tokens: Tokens = answer.map_err(silent)?.json().await.map_err(silent)?;
        let token = tokens.id_token.ok_or(OidcError::NoToken)?.into_redacted();
        if nonce(token.expose()).as_deref() != Some(begun.nonce.as_str()) {
            return Err(OidcError::OtherNonce);
        }
        Ok(Redacted::new(token.expose().as_str().to_owned()))
    }

    async fn discovered(&self) -> Result<Discovered, OidcError> {
        let discovering = self.discovering();
        discovering.await.map_err(|(error, _)| error)
    }

    /// The one call of all who sign in now, or what became of it.
    fn discovering(&self) -> Discovering {
        let mut known = self.discovering.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(discovering) = known.as_ref() {
            let failed = discovering.peek().and_then(|found| found.as_ref().err());
            if failed.is_none_or(|(_, at)| at.elapsed() < GIVEN_UP_FOR) {
                return discovering.clone();
            }
        }
        let found = discover(self.http.clone(), self.issuer.clone());
        let discovering = found.map(|found| found.map_err(|error| (error, Instant::now()))).boxed().shared();
        // It goes on where the one who began it has gone away.
        tokio::spawn(discovering.clone());
        known.insert(discovering).clone()
    }
}

async fn discover(http: Client, issuer: String) -> Result<Discovered, OidcError> {
    let url = format!("{issuer}/.well-known/openid-configuration");
    let answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let found: Discovered = answer.map_err(silent)?.json().await.map_err(silent)?;
    if found.issuer.trim_end_matches('/') != issuer {
        return Err(OidcError::OtherIssuer);
    }
    Ok(found)
}

#[cfg(test)]
impl Oidc {
    /// A provider at this address, which has so long to answer.
    pub(in crate::server) fn for_tests(issuer: String, timeout: Duration) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            issuer,
            client_id: "kubernetes".to_owned(),
            secret: None,
            scopes: "openid".to_owned(),
            redirect_uri: format!("https://certs.example.com{CALLBACK}"),
            http: Client::builder().no_proxy().timeout(timeout).build().unwrap(),
            discovering: Mutex::default(),
        }
    }
}

/// A URL could hold what is secret.
fn silent(error: reqwest::Error) -> OidcError {
    OidcError::Unavailable(Arc::new(error.without_url()))
}

/// Source: RFC 6749 §2.3.1.
fn encoded(text: &str) -> String {
    serde_urlencoded::to_string([("", text)]).unwrap_or_default().trim_start_matches('=').to_owned()
}

fn nonce(token: &str) -> Option<String> {
    let payload = Base64UrlUnpadded::decode_vec(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Claims>(&payload).ok().map(|claims| claims.nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oidc(external_url: Option<&str>) -> Result<Option<Oidc>, OidcFlagError> {
        let args = OidcArgs {
            oidc_issuer: Some("https://id.example.com/".to_owned()),
            oidc_client_id: Some("kubernetes".to_owned()),
            oidc_client_secret_file: None,
            oidc_scopes: vec!["openid".to_owned(), "groups".to_owned()],
            oidc_ca_file: None,
        };
        Oidc::new(&args, external_url)
    }

    #[tokio::test]
    async fn a_browser_is_sent_with_a_challenge_and_never_with_what_answers_it() {
        let oidc = oidc(Some("https://certs.example.com")).unwrap().unwrap();
        let found = Discovered {
            issuer: "https://id.example.com".to_owned(),
            authorization_endpoint: "https://id.example.com/auth".to_owned(),
            token_endpoint: "https://id.example.com/token".to_owned(),
        };
        *oidc.discovering.lock().unwrap() = Some(async { Ok(found) }.boxed().shared());
        let begun = Begun::new("projects/payments", 0).unwrap();
        let url = oidc.authorization(&begun).await.unwrap();
        for part in [
            "https://id.example.com/auth?response_type=code&client_id=kubernetes",
            "redirect_uri=https%3A%2F%2Fcerts.example.com%2Fui%2Fsign-in%2Fcallback",
            "scope=openid+groups",
            "code_challenge_method=S256",
            &format!("state={}", begun.state),
            &format!("nonce={}", begun.nonce),
        ] {
            assert!(url.contains(part), "{part}: {url}");
        }
        assert!(!url.contains(&begun.verifier), "{url}");
        assert!(oidc.client_id() == "kubernetes");
    }

    #[test]
    fn a_provider_needs_a_way_back() {
        assert!(matches!(oidc(None), Err(OidcFlagError::NoExternalUrl)));
        let none = OidcArgs {
            oidc_issuer: None,
            oidc_client_id: None,
            oidc_client_secret_file: None,
            oidc_scopes: vec![],
            oidc_ca_file: None,
        };
        assert!(Oidc::new(&none, None).unwrap().is_none());
    }

    #[test]
    fn the_nonce_of_a_token_is_read_and_nothing_else_is() {
        let payload = Base64UrlUnpadded::encode_string(br#"{"nonce":"n","sub":"carol"}"#);
        assert_eq!(nonce(&format!("h.{payload}.s")).as_deref(), Some("n"));
        for other in ["", "a.b.c", "opaque"] {
            assert_eq!(nonce(other), None, "{other}");
        }
        assert_eq!(encoded("a b:c"), "a+b%3Ac");
    }

    /// A provider that takes connections and says nothing: how often it was asked.
    async fn silent_provider() -> (String, Arc<std::sync::atomic::AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                open.push(connection);
            }
        });
        (issuer, asked)
    }

    #[tokio::test]
    async fn people_who_sign_in_while_the_provider_hangs_wait_together_and_not_for_each_other() {
        let (issuer, asked) = silent_provider().await;
        let oidc = Oidc::for_tests(issuer, Duration::from_millis(500));
        let begun = Begun::new("", 0).unwrap();
        let asking = || oidc.authorization(&begun);
        // One who goes away takes nothing from the others.
        assert!(tokio::time::timeout(Duration::from_millis(1), asking()).await.is_err());
        let start = Instant::now();
        let answers = futures::future::join_all((0..5).map(|_| asking())).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(OidcError::Unavailable(_)))), "{answers:?}");
        assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
        // And for some seconds no one else waits for it.
        assert!(asking().await.is_err());
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1, "asked once");
    }
}
