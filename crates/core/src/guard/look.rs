//! What one look of the leading controller proves.

use super::{Live, Outcome, Reason, Wanted};
use crate::admission::name;

/// Everything that was seen in one look: the objects first, the probes after them.
#[derive(Clone, Debug)]
pub struct Look {
    /// The objects.
    pub live: Live,
    /// What became of the probe of each policy; empty where the objects are wrong anyway.
    pub probes: Vec<(&'static str, Outcome)>,
}

/// What a look proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookVerdict {
    /// The policies are as they should be, and refuse.
    Intact,
    /// They are not, or do not.
    Broken(Reason),
    /// Neither was proven.
    Unclear(Reason),
}

impl Look {
    /// Evidence against the policies counts more than the lack of evidence for them.
    #[must_use]
    pub fn verdict(&self, wanted: &Wanted) -> LookVerdict {
        if let Some(fault) = self.live.fault(wanted) {
            return LookVerdict::Broken(fault);
        }
        let broken = self.probes.iter().find_map(|(policy, outcome)| {
            let policy = (*policy).to_owned();
            match outcome {
                Outcome::Accepted => Some(Reason::NotRefused { policy }),
                Outcome::Foreign { said } => Some(Reason::ForeignRefusal { policy, said: said.clone() }),
                Outcome::Refused | Outcome::NoAnswer { .. } => None,
            }
        });
        if let Some(reason) = broken {
            return LookVerdict::Broken(reason);
        }
        let unclear = self.probes.iter().find_map(|(policy, outcome)| match outcome {
            Outcome::NoAnswer { cause } => {
                Some(Reason::NoAnswer { cause: format!("the probe of policy `{policy}`: {cause}") })
            }
            _ => None,
        });
        if self.probes.len() < name::ALL.len() {
            return LookVerdict::Unclear(Reason::NotLooked);
        }
        unclear.map_or(LookVerdict::Intact, LookVerdict::Unclear)
    }
}
