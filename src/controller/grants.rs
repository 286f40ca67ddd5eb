//! Who may read a token Secret: the Roles and RoleBindings that the controller makes for requesters.
//!
//! # Why a grant reaches no one but its requester
//! - **A RoleBinding may refer to a Role that does not exist yet**, and Kubernetes asks what a binding grants when it
//!   is written, not when its Role appears. So the Role of each mint has a random name that is recorded nowhere before
//!   it exists. Once it exists, Kubernetes refuses a binding of it by a user who lacks the right, and policy
//!   `token-readers` refuses every other.
//! - **Any user can write a label and an owner reference.** So nothing that is found under a name is taken for our own:
//!   it is compared whole ([`shape`]), and removed or left alone, never used.
//! - **The name of the Secret is known in advance**, so a right to read it must not outlive the request that it was
//!   made for. All such Roles are made by this process, or were there when it began to lead. It notes the ones that it
//!   makes before it makes them, and lists the others once: that is what [`Grants`] knows. A mint removes what is known
//!   for its Secret before it makes the Secret. That costs no call where nothing is known, which is nearly always.
//!
//! What is known is lost with the process, and listed again by the next leader. [`leftovers`] sweeps what has no living
//! owner.

pub(super) mod leftovers;
pub(super) mod remove;
pub(super) mod shape;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::rbac::v1::Role;
use kube::{Api, Client, api::ListParams};
use tokio::time::Instant;

use crate::{
    api::names,
    cluster::error::{ApiError, During as _},
};

/// As many Roles as one answer may hold.
const PAGE: u32 = 500;
/// A mint is over within this time, however slow the API server is; what it made is then in the status of its request.
const LONGEST_MINT: Duration = Duration::from_mins(5);

/// A Role that lets someone read a token Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    /// Its name, and that of its RoleBinding.
    pub(super) name: String,
    /// Uid of the request that it was made for, where that is known.
    pub(super) uid: Option<String>,
    /// Whether this process made it, or found it in a list.
    made_here: bool,
    /// The uids of what this process made for it, once all of it is there.
    pub(super) made: Option<Made>,
    since: Instant,
}

/// The uids of a token's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// Of the Secret.
    pub(super) secret: String,
    /// Of the Role.
    pub(super) role: String,
    /// Of the RoleBinding.
    pub(super) binding: String,
}

/// The readers that may exist, by namespace and Secret.
#[derive(Default)]
pub(super) struct Grants(Mutex<Known>);

#[derive(Default)]
struct Known {
    readers: HashMap<String, BTreeMap<String, Vec<Reader>>>,
    listed: HashSet<String>,
    all_listed: bool,
}

impl Grants {
    /// Another leader may have made some meanwhile.
    pub(super) fn begin_to_lead(&self) {
        self.with(|known| *known = Known::default());
    }

    /// Notes a reader that is about to be made for the request with this uid.
    pub(super) fn note(&self, namespace: &str, secret: &str, name: &str, uid: Option<String>) {
        self.with(|known| known.add(namespace, secret, name, uid, true));
    }

    /// Notes that a reader and its Secret are there: they can be removed without being looked at.
    pub(super) fn note_made(&self, namespace: &str, secret: &str, name: &str, made: Made) {
        self.with(|known| {
            let readers = known.readers.get_mut(namespace).and_then(|secrets| secrets.get_mut(secret));
            let reader = readers.and_then(|readers| readers.iter_mut().find(|reader| reader.name == name));
            if let Some(reader) = reader {
                reader.made = Some(made);
            }
        });
    }

    /// Forgets a reader that is gone.
    pub(super) fn forget(&self, namespace: &str, secret: &str, name: &str) {
        self.with(|known| {
            let Some(secrets) = known.readers.get_mut(namespace) else { return };
            if let Some(readers) = secrets.get_mut(secret) {
                readers.retain(|reader| reader.name != name);
                if readers.is_empty() {
                    secrets.remove(secret);
                }
            }
            if secrets.is_empty() {
                known.readers.remove(namespace);
            }
        });
    }

    /// The readers of a Secret that may exist.
    pub(super) fn of(&self, namespace: &str, secret: &str) -> Vec<Reader> {
        self.with(|known| {
            known.readers.get(namespace).and_then(|secrets| secrets.get(secret)).cloned().unwrap_or_default()
        })
    }

    /// Whether a mint that may still be under way is making this reader.
    fn is_being_made(&self, namespace: &str, secret: &str, name: &str) -> bool {
        self.of(namespace, secret)
            .iter()
            .any(|reader| reader.name == name && reader.made_here && reader.since.elapsed() < LONGEST_MINT)
    }

    /// Learns what the Roles of a namespace grant, unless that is known.
    ///
    /// # Errors
    /// [`ApiError`] when the API server refuses or does not answer.
    pub(super) async fn learn(&self, reads: &Client, namespace: &str) -> Result<(), ApiError> {
        if self.with(|known| known.all_listed || known.listed.contains(namespace)) {
            return Ok(());
        }
        let api: Api<Role> = Api::namespaced(reads.clone(), namespace);
        let mut token = None;
        loop {
            let page = api.list(&labelled(token)).await.during("list", || format!("Roles in namespace {namespace}"))?;
            self.learn_of(&page.items);
            token = next(page.metadata.continue_);
            if token.is_none() {
                break;
            }
        }
        self.with(|known| known.listed.insert(namespace.to_owned()));
        Ok(())
    }

    fn learn_of(&self, roles: &[Role]) {
        self.with(|known| {
            for role in roles {
                let namespace = role.metadata.namespace.as_deref().unwrap_or_default();
                let name = role.metadata.name.as_deref().unwrap_or_default();
                for secret in shape::secrets_read(role) {
                    known.add(namespace, secret, name, shape::of_role(role).and_then(shape::Grant::uid), false);
                }
            }
        });
    }

    /// Whatever is in a list that began at this moment is known; of the older ones nothing else exists any more.
    fn has_seen_all(&self, namespace: Option<&str>, began: Instant, seen: &HashSet<(String, String)>) {
        self.with(|known| {
            match namespace {
                Some(namespace) => _ = known.listed.insert(namespace.to_owned()),
                None => known.all_listed = true,
            }
            for (place, secrets) in &mut known.readers {
                if namespace.is_some_and(|namespace| namespace != place) {
                    continue;
                }
                for readers in secrets.values_mut() {
                    readers.retain(|reader| {
                        let young = reader.since + LONGEST_MINT >= began;
                        young || seen.contains(&(place.clone(), reader.name.clone()))
                    });
                }
                secrets.retain(|_, readers| !readers.is_empty());
            }
            known.readers.retain(|_, secrets| !secrets.is_empty());
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn add(&mut self, namespace: &str, secret: &str, name: &str, uid: Option<String>, made_here: bool) {
        let secrets = self.readers.entry(namespace.to_owned()).or_default();
        let readers = secrets.entry(secret.to_owned()).or_default();
        if readers.iter().all(|reader| reader.name != name) {
            readers.push(Reader { name: name.to_owned(), uid, made_here, made: None, since: Instant::now() });
        }
    }
}

/// A page of what bears our label.
fn labelled(token: Option<String>) -> ListParams {
    ListParams { continue_token: token, ..ListParams::default().labels(names::TOKEN).limit(PAGE) }
}

fn next(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests;
