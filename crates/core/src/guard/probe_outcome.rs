//! What became of a probe.

use super::reason::quoted;
use crate::admission;

/// How the API server answered a probe that one policy must refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// That policy refused it: it is alive.
    Refused,
    /// Something else refused it; of the policy nothing is known.
    Foreign {
        /// What the API server said.
        said: String,
    },
    /// Nothing refused it.
    Accepted,
    /// No answer, or one that says nothing about policies.
    NoAnswer {
        /// What came instead.
        cause: String,
    },
}

impl Outcome {
    /// The outcome of a probe of `policy` that was answered with this status code and message.
    #[must_use]
    pub fn of_status(policy: &str, code: u16, message: &str) -> Self {
        // A webhook may say what it likes, but only behind these words.
        let by_webhook = message.contains("admission webhook \"");
        match code {
            _ if !by_webhook && admission::refused_by(message) == Some(policy) => Self::Refused,
            401 | 408 | 409 | 429 | 500.. => Self::NoAnswer { cause: quoted(message) },
            _ => Self::Foreign { said: quoted(message) },
        }
    }
}
