//! What the leading controller finds of the admission policies. Pure.

use jiff::Timestamp;

use super::{
    fact::{Data, Fact, cut, moment, subject},
    kind::Kind,
};
use crate::{api::names, lifecycle::Guard};

/// That the admission policies are in force, or are not proven to. `None`: no one watches them.
#[must_use]
pub fn found(namespace: &str, guard: &Guard, now: Timestamp) -> Option<Fact> {
    let (kind, id, data) = match guard {
        Guard::Unwatched => return None,
        Guard::Intact { epoch, since } => {
            let data = Data { epoch: Some(epoch.clone()), since: Some(moment(*since)), ..Data::default() };
            (Kind::GuardIntact, format!("guard/{epoch}/{}", since.as_second()), data)
        }
        Guard::Broken { reason } => {
            let data = Data { message: Some(cut(reason)), ..Data::default() };
            (Kind::GuardFailed, format!("guard/failed/{}", now.as_millisecond()), data)
        }
    };
    let data = Data { namespace: Some(namespace.to_owned()), ..data };
    let subject = subject(Some(namespace), "configmaps", Some(names::GUARD));
    Some(Fact { kind, id: Some(id), time: now, subject, data: data.into() })
}
