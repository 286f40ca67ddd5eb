//! The session of the web page: the person's bearer token, sealed into cookies that only the servers can open.
//!
//! No server remembers a session. The cookies hold the token, who it is, and when the session ends; the key is in a
//! Secret that all replicas share. What the token may do is asked of the API server at every call, so a session gives
//! nothing that its token does not.

pub mod begun;
mod cookies;
mod keys;
mod packed;
mod seal;

use std::{fmt, time::Duration};

use axum::http::HeaderMap;
use certcourier_bundle::{RandomnessError, hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use cookies::{clearing, is_there, setting};
pub use keys::{KeyError, Keys};
use packed::Packed;
use seal::Purpose;

use crate::{randomness, redact::Redacted};

/// The longest session, whatever its token says.
const LONGEST: Duration = Duration::from_hours(12);
/// Bytes of a header that a browser sends besides the session.
const OTHER_HEADERS: usize = 2 * 1024;
/// Random bytes that tell sessions apart.
const ID_BYTES: usize = 16;

/// Someone who signed in.
#[derive(Clone)]
pub struct Session {
    /// Their bearer token.
    pub bearer: Redacted<String>,
    /// Who the API server said they are, for display alone.
    pub who: String,
    /// When it ends.
    pub ends: Timestamp,
    /// Tells it apart from every other session; forms are bound to it.
    pub id: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("who", &self.who).field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// A session as it is sealed.
#[derive(Serialize, Deserialize)]
struct Content {
    id: String,
    who: String,
    ends: i64,
    token: Packed,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The cookies would be larger than a browser keeps, or than this server reads.
    #[error("the token is too large for a session")]
    TooLarge,
    /// The key is not to be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The operating system has no random numbers.
    #[error("draw a session's id")]
    Randomness(#[from] RandomnessError),
    /// It cannot be written down, which never happens.
    #[error("seal the session")]
    Seal,
}

impl Session {
    /// A session that begins now and ends with its token, after twelve hours at the latest.
    ///
    /// # Errors
    /// [`SessionError::Randomness`].
    pub fn begin(bearer: Redacted<String>, who: String, now: Timestamp) -> Result<Self, SessionError> {
        let mut id = [0; ID_BYTES];
        randomness::fill(&mut id)?;
        let latest = now.checked_add(LONGEST).unwrap_or(now);
        let ends = packed::expiry(bearer.expose()).map_or(latest, |expiry| expiry.min(latest));
        Ok(Self { bearer, who, ends, id: hex::encode(&id) })
    }

    /// The values of its cookies. `max_header_bytes` is what this server reads of a request's header.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn sealed(&self, keys: &Keys, max_header_bytes: u32) -> Result<Vec<String>, SessionError> {
        let content = Content {
            id: self.id.clone(),
            who: self.who.clone(),
            ends: self.ends.as_second(),
            token: Packed::of(self.bearer.expose()),
        };
        let plain = packed::deflate(&content).map_err(|_| SessionError::Seal)?;
        let sealed = keys.ring().await?.seal(Purpose::Session, &plain).ok_or(SessionError::Seal)?;
        let room = (max_header_bytes as usize).saturating_sub(OTHER_HEADERS);
        cookies::split(&sealed, room).ok_or(SessionError::TooLarge)
    }

    /// The session of a request, if its cookies hold one that has not ended. None also for cookies that someone else
    /// sealed, or changed.
    ///
    /// # Errors
    /// [`KeyError`] where there are cookies and the key is not to be had.
    pub async fn of(headers: &HeaderMap, keys: &Keys, now: Timestamp) -> Result<Option<Self>, KeyError> {
        let Some(sealed) = cookies::join(headers) else { return Ok(None) };
        let Some(plain) = keys.ring_for(&sealed).await?.open(Purpose::Session, &sealed) else { return Ok(None) };
        let Some(content) = packed::inflate::<Content>(&plain) else { return Ok(None) };
        let Ok(ends) = Timestamp::from_second(content.ends) else { return Ok(None) };
        let session = Self { bearer: Redacted::new(content.token.token()), who: content.who, ends, id: content.id };
        Ok((now < ends).then_some(session))
    }
}

#[cfg(test)]
mod tests;
