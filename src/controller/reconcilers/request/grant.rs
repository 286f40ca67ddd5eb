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
    grants::{
        Made,
        shape::{self, Granting},
    },
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

/// What the API server has of an object that it was sent.
enum Stored {
    /// The same, under this uid.
    AsSent(String),
    /// Another one; it is gone again.
    Altered(Altered),
}

/// Whether the API server says that the requester may read the Secret.
pub(crate) async fn may_read(context: &Context, request: &DownloadRequest, secret: &str) -> Result<bool, ApiError> {
    let (namespace, nobody) = (request.namespace().unwrap_or_default(), Requester::default());
    let requester = request.spec.requested_by.as_ref().unwrap_or(&nobody);
    access::may_get_secret(&context.clients, requester, &namespace, secret).await
}

/// The Secret that holds the token.
pub(crate) struct NamedSecret {
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// Makes Role and RoleBinding, and waits until the API server says that the requester may read the Secret.
pub(crate) async fn let_read(
    context: &Context,
    request: &DownloadRequest,
    generation: i64,
    secret: &NamedSecret,
) -> Result<Granted, PassError> {
    let mut random = [0; TOKEN_READER_BYTES];
    OperatingSystem.fill(&mut random)?;
    let name = names::token_reader(&random);
    let (namespace, nobody) = (request.namespace().unwrap_or_default(), Requester::default());
    let requester = request.spec.requested_by.as_ref().unwrap_or(&nobody);
    let NamedSecret { name: secret, uid: secret_uid } = secret;
    // Known before it is there, so that no answer that is lost leaves a grant that no one knows of.
    context.grants.note(&namespace, secret, &name, request.uid());
    let metadata = shape::metadata(&name, request, generation);
    // The Role first: the API server refuses a RoleBinding whose Role it cannot look into.
    let role = match make(&context.clients, &shape::role(metadata.clone(), secret)).await? {
        Stored::AsSent(uid) => uid,
        Stored::Altered(altered) => return Ok(Granted::Altered(altered)),
    };
    let binding = match make(&context.clients, &shape::binding(metadata, requester)).await? {
        Stored::AsSent(uid) => uid,
        Stored::Altered(altered) => return Ok(Granted::Altered(altered)),
    };
    context.grants.note_made(&namespace, secret, &name, Made { secret: secret_uid.clone(), role, binding });
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
async fn make<K>(clients: &Clients, object: &K) -> Result<Stored, PassError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Granting + Clone + Debug + Serialize + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let what = || format!("{} {namespace}/{name}", K::kind(&()));
    let api: Api<K> = Api::namespaced(clients.writes().clone(), &namespace);
    match api.create(&PostParams::default(), object).await.during("create", what) {
        Ok(created) if created.is_the_same(object) => Ok(Stored::AsSent(created.uid().unwrap_or_default())),
        Ok(created) => {
            let same = Preconditions { uid: created.uid(), resource_version: None };
            let deleted = api.delete(&name, &DeleteParams::default().preconditions(same)).await.during("delete", what);
            match deleted {
                Err(error) if error.failure() != Failure::NotFound => Err(error.into()),
                _ => Ok(Stored::Altered(Altered { kind: K::kind(&()).into_owned(), name })),
            }
        }
        Err(error) if error.failure() == Failure::Conflict => {
            let api: Api<K> = Api::namespaced(clients.reads().clone(), &namespace);
            let found = api.get(&name).await.during("read", what)?;
            if found.is_the_same(object) {
                Ok(Stored::AsSent(found.uid().unwrap_or_default()))
            } else {
                Err(PassError::Restless)
            }
        }
        Err(error) => Err(error.into()),
    }
}
