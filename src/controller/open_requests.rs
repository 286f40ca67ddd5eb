//! Which requests are open, by namespace and requester and in the order of their creation: so many that one requester may
//! have only some. Kept by the watch; knows no limit of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::api::DownloadRequest;

/// Namespace and user name.
type Whose = (String, String);
/// Creation and uid: the API server gives the time in whole seconds.
type Place = (Timestamp, String);

/// The open requests of a scope. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct OpenRequests(Arc<Mutex<BTreeMap<Whose, BTreeSet<Place>>>>);

impl OpenRequests {
    /// This request is there, or has changed.
    pub(crate) fn seen(&self, request: &DownloadRequest) {
        let Some((whose, place)) = of(request) else { return };
        if !request.is_open() {
            return self.gone(request);
        }
        self.change(|open| open.entry(whose).or_default().insert(place));
    }

    /// This one is not there any more.
    pub(crate) fn gone(&self, request: &DownloadRequest) {
        let Some((whose, place)) = of(request) else { return };
        self.change(|open| {
            if let Some(places) = open.get_mut(&whose) {
                places.remove(&place);
                if places.is_empty() {
                    open.remove(&whose);
                }
            }
        });
    }

    /// These are all there are.
    pub(crate) fn only<'a>(&self, requests: impl IntoIterator<Item = &'a DownloadRequest>) {
        self.change(BTreeMap::clear);
        requests.into_iter().for_each(|request| self.seen(request));
    }

    /// How many open requests of the same requester in the same namespace are older; counted up to `most`.
    pub(crate) fn ahead_of(&self, request: &DownloadRequest, most: u32) -> usize {
        let Some((whose, place)) = of(request) else { return 0 };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.change(|open| open.get(&whose).map_or(0, |places| places.range(..place).take(most).count()))
    }

    fn change<R>(&self, change: impl FnOnce(&mut BTreeMap<Whose, BTreeSet<Place>>) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn of(request: &DownloadRequest) -> Option<(Whose, Place)> {
    let metadata = &request.metadata;
    let requester = request.spec.requested_by.as_ref()?.username.clone();
    let created = metadata.creation_timestamp.as_ref()?.0;
    Some(((metadata.namespace.clone()?, requester), (created, metadata.uid.clone()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Phase, controller::fixtures};

    fn request(number: u8, requester: &str, seconds: i64) -> DownloadRequest {
        let mut request = fixtures::request(requester, seconds);
        request.metadata.uid = Some(format!("uid-{number}"));
        request
    }

    #[test]
    fn only_older_open_requests_of_the_same_requester_and_namespace_count() {
        let open = OpenRequests::default();
        let (first, second, third) = (request(1, "alice", 0), request(2, "alice", 0), request(3, "alice", 5));
        let mut elsewhere = request(4, "alice", 0);
        elsewhere.metadata.namespace = Some("web".to_owned());
        for seen in [&third, &second, &first, &elsewhere, &request(5, "bob", 0), &third] {
            open.seen(seen);
        }
        assert_eq!([&first, &second, &third, &elsewhere].map(|request| open.ahead_of(request, 200)), [0, 1, 2, 0]);
        assert_eq!(open.ahead_of(&third, 1), 1, "counted no further than asked");
        let mut closed = first.clone();
        closed.status.get_or_insert_default().phase = Some(Phase::Consumed);
        open.seen(&closed);
        assert_eq!(open.ahead_of(&third, 200), 1);
        open.gone(&second);
        assert_eq!(open.ahead_of(&third, 200), 0);
        open.only([&first, &third]);
        assert_eq!([open.ahead_of(&third, 200), open.ahead_of(&request(6, "bob", 9), 200)], [1, 0]);
    }
}
