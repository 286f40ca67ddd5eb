//! The key that the replicas share: in one Secret of the operator's namespace, made empty by the installation and filled
//! here, as the serving certificate is. Every day a new key is written over the very version that was read; the one
//! before it stays for another day, which is longer than any session lasts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding as _};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tracing::info;
use zeroize::Zeroizing;

use super::{
    packed,
    seal::{KEY_BYTES, Key, Ring},
};
use crate::{
    api::names::SESSION,
    cluster::{
        client::Clients,
        error::{ApiError, Failure},
        secrets::{self, SecretObject},
    },
    randomness,
    redact::Redacted,
};

/// Keys of the Secret.
const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";
const SINCE: &str = "since";

/// How long a key seals sessions.
const USED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How long what was read of the Secret is believed: so long sessions go on after the Secret was emptied or deleted.
const READ_EVERY: Duration = Duration::from_secs(5);
/// The same where a session names a key that is not known: it may be a new one, or the session may be made up.
const READ_AT_MOST_EVERY: Duration = Duration::from_secs(2);
/// How often another replica may have been faster.
const ATTEMPTS: usize = 5;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The API server refused to read it, or did not answer.
    #[error(transparent)]
    Api(#[from] Arc<ApiError>),
    /// A new key could not be written; the one that was read stays.
    #[error(transparent)]
    Write(Arc<ApiError>),
    /// The installation has not made the Secret.
    #[error(
        "Secret {SESSION} is not there: apply again what `certcourier manifests --ui` prints, or run `helm upgrade`"
    )]
    Missing,
    /// No key could be made.
    #[error("make a key")]
    Make,
    /// Others wrote it each time.
    #[error("other replicas changed Secret {SESSION} each time before it could be written")]
    Restless,
}

impl KeyError {
    /// Whether it says nothing of what is in the Secret.
    fn passes(&self) -> bool {
        match self {
            Self::Api(error) => matches!(error.failure(), Failure::Unavailable | Failure::Throttled(_)),
            Self::Write(_) | Self::Make | Self::Restless => true,
            Self::Missing => false,
        }
    }
}

impl From<ApiError> for KeyError {
    fn from(error: ApiError) -> Self {
        Self::Api(Arc::new(error))
    }
}

/// The shared key, as it was read last.
pub struct Keys {
    clients: Clients,
    namespace: String,
    read: Mutex<Option<Seen>>,
    /// Marks forms where there is no Secret: only this process knows its marks.
    own: Option<Ring>,
    /// Whether there may be a Secret at all.
    shared: bool,
}

struct Seen {
    ring: Option<Arc<Ring>>,
    at: Instant,
}

impl Keys {
    /// The keys in this namespace.
    #[must_use]
    pub fn new(clients: Clients, namespace: Option<&str>) -> Self {
        let namespace = namespace.unwrap_or_else(|| clients.default_namespace()).to_owned();
        let own = random().and_then(|secret| Key::new(&secret)).map(|current| Ring { current, previous: None });
        Self { clients, namespace, read: Mutex::default(), own, shared: true }
    }

    /// The same keys for one process alone: no Secret is read.
    #[must_use]
    pub fn unshared(self) -> Self {
        Self { shared: false, ..self }
    }

    /// The keys of now.
    ///
    /// # Errors
    /// [`KeyError`] when none was ever read.
    pub async fn ring(&self) -> Result<Arc<Ring>, KeyError> {
        self.ring_of(READ_EVERY, |_| true).await
    }

    /// The keys of now, read again where the one that a session names is not among those that are known.
    ///
    /// # Errors
    /// [`KeyError`] when none was ever read.
    pub async fn ring_for(&self, sealed: &[u8]) -> Result<Arc<Ring>, KeyError> {
        self.ring_of(READ_EVERY, |ring| ring.knows(sealed)).await
    }

    async fn ring_of(&self, age: Duration, serves: impl Fn(&Ring) -> bool) -> Result<Arc<Ring>, KeyError> {
        if !self.shared {
            return Err(KeyError::Missing);
        }
        let mut read = self.read.lock().await;
        let known = read.as_ref().and_then(|seen| seen.ring.clone());
        let age = if known.as_deref().is_some_and(serves) { age } else { READ_AT_MOST_EVERY };
        if let Some(seen) = read.as_ref().filter(|seen| seen.at.elapsed() < age) {
            return seen.ring.clone().ok_or(KeyError::Missing);
        }
        let answer = now_known(known, self.settled().await);
        *read = Some(Seen { ring: answer.as_ref().ok().cloned(), at: Instant::now() });
        answer
    }

    /// The mark of the forms of a session, or of the holder of a bearer token that came along without one.
    pub async fn mark(&self, whose: &str) -> String {
        match (self.ring().await, &self.own) {
            (Ok(ring), _) => ring.mark(whose),
            (Err(_), Some(own)) => own.mark(whose),
            (Err(_), None) => String::new(),
        }
    }

    /// Whether a form carries that mark.
    pub async fn is_marked(&self, mark: &str, whose: &str) -> bool {
        match (self.ring().await, &self.own) {
            (Ok(ring), _) => ring.is_marked(mark, whose),
            (Err(_), Some(own)) => own.is_marked(mark, whose),
            (Err(_), None) => false,
        }
    }

    /// Whose the forms of the holder of a bearer token are, as long as they hold it or a renewed one.
    #[must_use]
    pub fn holder(bearer: &Redacted<String>) -> String {
        packed::holder(bearer.expose())
    }

    /// What the Secret holds, with a new key where the one in it is old.
    async fn settled(&self) -> Result<Arc<Ring>, KeyError> {
        for _ in 0..ATTEMPTS {
            let read =
                secrets::read(self.clients.reads(), &self.namespace, SESSION, &[CURRENT, PREVIOUS, SINCE]).await?;
            let found = read.ok_or(KeyError::Missing)?;
            let now = self.clients.clock().now();
            if let Some(ring) = ring_in(&found)
                && is_fresh(&found, now)
            {
                return Ok(Arc::new(ring));
            }
            let values = next(&found, now).ok_or(KeyError::Make)?;
            match secrets::replace(self.clients.writes(), &self.namespace, &found, values).await {
                Ok(()) => info!("a new key for sessions of the web page is in Secret {}/{SESSION}", self.namespace),
                Err(error) if error.failure() == Failure::Conflict => {}
                Err(error) => return Err(KeyError::Write(Arc::new(error))),
            }
        }
        Err(KeyError::Restless)
    }
}

/// What is known stays good while the API server does not answer: a session gives nothing then.
fn now_known(known: Option<Arc<Ring>>, read: Result<Arc<Ring>, KeyError>) -> Result<Arc<Ring>, KeyError> {
    match (read, known) {
        (Err(error), Some(known)) if error.passes() => Ok(known),
        (read, _) => read,
    }
}

fn random() -> Option<[u8; KEY_BYTES]> {
    let mut secret = [0; KEY_BYTES];
    randomness::fill(&mut secret).ok().map(|()| secret)
}

fn key_in(found: &SecretObject, name: &str) -> Option<Key> {
    let text = std::str::from_utf8(found.value(name)?.expose()).ok()?.trim().to_owned();
    let secret = Zeroizing::new(Base64::decode_vec(&text).ok()?);
    Key::new(secret.as_slice().try_into().ok()?)
}

fn ring_in(found: &SecretObject) -> Option<Ring> {
    Some(Ring { current: key_in(found, CURRENT)?, previous: key_in(found, PREVIOUS) })
}

/// Whether the key in use is younger than a day. One from the future is not.
fn is_fresh(found: &SecretObject, now: Timestamp) -> bool {
    let since = found.value(SINCE).and_then(|since| std::str::from_utf8(since.expose()).ok()?.parse().ok());
    since.is_some_and(|since: Timestamp| {
        let age = now.duration_since(since);
        age < USED_FOR && age > -USED_FOR
    })
}

type Values = Vec<(&'static str, Redacted<Zeroizing<String>>)>;

/// The content with a new key, and the one that was in use as the previous.
fn next(found: &SecretObject, now: Timestamp) -> Option<Values> {
    let secret = Zeroizing::new(random()?);
    let text = |text: String| Redacted::new(Zeroizing::new(text));
    let mut values = vec![(CURRENT, text(Base64::encode_string(secret.as_slice()))), (SINCE, text(now.to_string()))];
    if key_in(found, CURRENT).is_some()
        && let Some(current) = found.value(CURRENT)
    {
        values.push((PREVIOUS, text(String::from_utf8_lossy(current.expose()).into_owned())));
    }
    Some(values)
}

#[cfg(test)]
impl Keys {
    /// Keys that were just read and never change.
    pub(in crate::server) fn for_tests(clients: Clients) -> Self {
        let current = Key::new(&[7; KEY_BYTES]).unwrap();
        Self::with(clients, Ring { current, previous: None })
    }

    /// Keys that were just read.
    pub(super) fn with(clients: Clients, ring: Ring) -> Self {
        let keys = Self::new(clients, Some("certcourier-system"));
        let read = Mutex::new(Some(Seen { ring: Some(Arc::new(ring)), at: Instant::now() }));
        Self { read, ..keys }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::seal::Purpose, *};

    fn secret(values: &Values) -> SecretObject {
        let values: Vec<(&str, &[u8])> = values.iter().map(|(key, value)| (*key, value.expose().as_bytes())).collect();
        SecretObject::of("Opaque", &values)
    }

    #[test]
    fn a_key_is_used_for_a_day_and_known_for_another() {
        let now: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        let empty = SecretObject::of("Opaque", &[]);
        assert!(ring_in(&empty).is_none());
        let first = secret(&next(&empty, now).unwrap());
        assert!(is_fresh(&first, now + SignedDuration::from_hours(23)));
        assert!(!is_fresh(&first, now + USED_FOR) && !is_fresh(&first, now - USED_FOR));
        let sealed = ring_in(&first).unwrap().seal(Purpose::Session, b"content").unwrap();
        let second = secret(&next(&first, now + USED_FOR).unwrap());
        let ring = ring_in(&second).unwrap();
        assert_eq!(ring.open(Purpose::Session, &sealed).unwrap().as_slice(), b"content");
        assert_ne!(ring.seal(Purpose::Session, b"content").unwrap()[..5], sealed[..5], "another key seals");
        let third = secret(&next(&second, now + USED_FOR * 2).unwrap());
        assert!(ring_in(&third).unwrap().open(Purpose::Session, &sealed).is_none());
    }

    #[test]
    fn a_key_is_forgotten_with_its_secret_and_kept_while_the_api_server_does_not_answer() {
        let ring = |byte| Arc::new(Ring { current: Key::new(&[byte; KEY_BYTES]).unwrap(), previous: None });
        let (known, new) = (ring(1), ring(2));
        let after = |read| now_known(Some(Arc::clone(&known)), read);
        assert!(matches!(after(Err(KeyError::Missing)), Err(KeyError::Missing)), "the Secret was deleted");
        let refused = |code| {
            let status = kube::core::Status::failure("no", "").with_code(code).boxed();
            let object = "Secret certcourier-session".to_owned();
            ApiError { action: "read", object, source: kube::Error::Api(status) }
        };
        assert!(after(Err(refused(403).into())).is_err(), "the right to read it was taken away");
        let not_written = KeyError::Write(refused(403).into());
        for passes in [refused(503).into(), refused(429).into(), not_written, KeyError::Restless, KeyError::Make] {
            assert!(Arc::ptr_eq(&after(Err(passes)).unwrap(), &known));
        }
        assert!(Arc::ptr_eq(&after(Ok(Arc::clone(&new))).unwrap(), &new), "it was emptied, and filled again");
        assert!(now_known(None, Err(refused(503).into())).is_err());
    }

    #[test]
    fn what_is_not_a_key_is_replaced_and_not_kept() {
        let now: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        for wrong in ["", "c2hvcnQ=", "not base64"] {
            let found = SecretObject::of("Opaque", &[(CURRENT, wrong.as_bytes()), (SINCE, b"2026-11-22T18:00:00Z")]);
            assert!(ring_in(&found).is_none(), "{wrong}");
            assert!(next(&found, now).unwrap().iter().all(|(key, _)| *key != PREVIOUS), "{wrong}");
        }
    }
}
