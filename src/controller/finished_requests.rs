//! Which requests are finished, by namespace and requester and in the order of their end: each requester's newest stay,
//! so that no one fills the cache and the API server. Kept by the watch; what is beyond is deleted early, its receipt
//! stays.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{api::DownloadRequest, lifecycle};

/// Namespace and user name.
type Whose = (String, String);
/// End and uid.
type Place = (Timestamp, String);

/// The finished requests of a scope, each with its name. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct FinishedRequests(Arc<Mutex<BTreeMap<Whose, BTreeMap<Place, String>>>>);

impl FinishedRequests {
    /// This request is there, or has changed. Answers with the names of those of the same requester and namespace that
    /// are beyond the newest `most`, the oldest first.
    pub(crate) fn seen(&self, request: &DownloadRequest, most: u32) -> Vec<String> {
        let Some((whose, place)) = of(request) else { return Vec::new() };
        let name = request.key().name.to_owned();
        self.change(|finished| {
            let places = finished.entry(whose).or_default();
            places.insert(place, name);
            let beyond = places.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
            places.values().take(beyond).cloned().collect()
        })
    }

    /// This one is not there any more.
    pub(crate) fn gone(&self, request: &DownloadRequest) {
        let Some((whose, place)) = of(request) else { return };
        self.change(|finished| {
            if let Some(places) = finished.get_mut(&whose) {
                places.remove(&place);
                if places.is_empty() {
                    finished.remove(&whose);
                }
            }
        });
    }

    /// These are all there are.
    pub(crate) fn only<'a>(&self, requests: impl IntoIterator<Item = &'a DownloadRequest>) {
        self.change(BTreeMap::clear);
        for request in requests {
            self.seen(request, u32::MAX);
        }
    }

    /// Whether so many requests of the same requester and namespace have ended later.
    pub(crate) fn is_beyond(&self, request: &DownloadRequest, most: u32) -> bool {
        let Some((whose, place)) = of(request) else { return false };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.change(|finished| {
            finished.get(&whose).is_some_and(|places| {
                // From the end, so that it is counted no further than needed.
                places.keys().rev().take_while(|other| **other > place).take(most).count() >= most
            })
        })
    }

    fn change<R>(&self, change: impl FnOnce(&mut BTreeMap<Whose, BTreeMap<Place, String>>) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn of(request: &DownloadRequest) -> Option<(Whose, Place)> {
    let requester = request.spec.requested_by.as_ref()?.username.clone();
    let finished = lifecycle::finished_at(request)?;
    let metadata = &request.metadata;
    Some(((metadata.namespace.clone()?, requester), (finished, metadata.uid.clone()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures;

    fn finished(number: u8, requester: &str, seconds: i64) -> DownloadRequest {
        fixtures::finished(&format!("r{number}"), requester, seconds)
    }

    #[test]
    fn only_the_newest_finished_requests_of_a_requester_and_namespace_stay() {
        let known = FinishedRequests::default();
        let requests = [finished(1, "ci", 10), finished(2, "ci", 20), finished(3, "ci", 30)];
        let mut elsewhere = finished(4, "ci", 0);
        elsewhere.metadata.namespace = Some("web".to_owned());
        for other in [&finished(5, "bob", 0), &elsewhere, &fixtures::request("ci", 0)] {
            assert_eq!(known.seen(other, 2), Vec::<String>::new());
        }
        let beyond: Vec<Vec<String>> = requests.iter().map(|request| known.seen(request, 2)).collect();
        assert_eq!(beyond, [vec![], vec![], vec!["r1".to_owned()]]);
        assert_eq!(known.seen(&requests[0], 2), ["r1"], "said again until it is gone");
        assert_eq!([0, 1, 2].map(|at| known.is_beyond(&requests[at], 2)), [true, false, false]);
        assert!(!known.is_beyond(&elsewhere, 1) && !known.is_beyond(&fixtures::request("ci", 0), 1));
        known.gone(&requests[2]);
        assert!(!known.is_beyond(&requests[0], 2), "there is room again");
        known.only([&requests[0], &requests[2]]);
        assert_eq!([1, 2].map(|most| known.is_beyond(&requests[0], most)), [true, false]);
    }
}
