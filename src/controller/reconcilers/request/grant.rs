//! Lets the requester read the Secret that holds the token, and only this Secret: a Role and a RoleBinding.
//!
//! Nothing is granted to someone who may read it anyway. An admission policy keeps the operator from granting anything
//! else.

use std::{fmt::Debug, time::Duration};

use certcourier_bundle::Randomness as _;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, PostParams, Preconditions},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::controller::{
    context::Context,
    grants::shape::{self, Granting},
    watch::reconcile::PassError,
};
use crate::{
    api::{
        DownloadRequest, Requester,
        names::{self, TOKEN_READER_BYTES},
    },
    cluster::{
        access,
        client::Clients,
        error::{ApiError, During as _, Failure},
    },
    randomness::OperatingSystem,
};

/// The API server learns of a Role from its own watch; asked this often, then ever less often.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What became of the grant. Role and RoleBinding have one name.
pub(crate) enum Granted {
    /// They are there, and the API server says that the requester may read the Secret.
    MayRead(String),
    /// They are there, and the API server does not say so in time.
    NotYet(String),
    /// One of them was not stored as it was sent, so that it may let others read the Secret. That one is gone again.
    Altered(Altered),
}

/// A Role or RoleBinding that was not stored as it was sent.
pub(crate) struct Altered {
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// Whether the API server says that the requester may read the Secret.
pub(crate) async fn may_read(context: &Context, request: &DownloadRequest, secret: &str) -> Result<bool, ApiError> {
    let (namespace, nobody) = (request.namespace().unwrap_or_default(), Requester::default());
    let requester = request.spec.requested_by.as_ref().unwrap_or(&nobody);
    access::may_get_secret(context.clients.reads(), requester, &namespace, secret).await
}

/// Makes Role and RoleBinding, and waits until the API server says that the requester may read the Secret.
pub(crate) async fn let_read(
    context: &Context,
    request: &DownloadRequest,
    generation: i64,
    secret: &str,
) -> Result<Granted, PassError> {
    let mut random = [0; TOKEN_READER_BYTES];
    OperatingSystem.fill(&mut random)?;
    let name = names::token_reader(&random);
    let (namespace, nobody) = (request.namespace().unwrap_or_default(), Requester::default());
    let requester = request.spec.requested_by.as_ref().unwrap_or(&nobody);
    // Known before it is there, so that no answer that is lost leaves a grant that no one knows of.
    context.grants.note(&namespace, secret, &name, request.uid());
    let metadata = shape::metadata(&name, request, generation);
    // The Role first: the API server refuses a RoleBinding whose Role it cannot look into.
    if let Some(altered) = make(&context.clients, &shape::role(metadata.clone(), secret)).await? {
        return Ok(Granted::Altered(altered));
    }
    if let Some(altered) = make(&context.clients, &shape::binding(metadata, requester)).await? {
        return Ok(Granted::Altered(altered));
    }
    let (asked, mut pause) = (Instant::now(), FIRST_PAUSE);
    while asked.elapsed() < context.intervals.reader_wait.get() {
        if may_read(context, request, secret).await? {
            return Ok(Granted::MayRead(name));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(Granted::NotYet(name))
}

/// Creates an object. One of this random name that is there already was made by this very call, which something on the
/// way sent twice; whatever differs from it is not ours, and the next look chooses another name. A mutating policy or
/// webhook may have changed what was stored: no one must read by that, so it is removed at once.
async fn make<K>(clients: &Clients, object: &K) -> Result<Option<Altered>, PassError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Granting + Clone + Debug + Serialize + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let what = || format!("{} {namespace}/{name}", K::kind(&()));
    let api: Api<K> = Api::namespaced(clients.writes().clone(), &namespace);
    match api.create(&PostParams::default(), object).await.during("create", what) {
        Ok(created) if created.is_the_same(object) => Ok(None),
        Ok(created) => {
            let same = Preconditions { uid: created.uid(), resource_version: None };
            let deleted = api.delete(&name, &DeleteParams::default().preconditions(same)).await.during("delete", what);
            match deleted {
                Err(error) if error.failure() != Failure::NotFound => Err(error.into()),
                _ => Ok(Some(Altered { kind: K::kind(&()).into_owned(), name })),
            }
        }
        Err(error) if error.failure() == Failure::Conflict => {
            let api: Api<K> = Api::namespaced(clients.reads().clone(), &namespace);
            let found = api.get(&name).await.during("read", what)?;
            if found.is_the_same(object) { Ok(None) } else { Err(PassError::Restless) }
        }
        Err(error) => Err(error.into()),
    }
}
