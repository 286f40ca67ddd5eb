//! Removes what was made for the tokens of one request: Secret, Role and RoleBinding.

use std::collections::BTreeSet;

use futures::future::join_all;
use kube::ResourceExt as _;

use crate::controller::{
    context::Context,
    grants::{
        Made, Reader, remove,
        shape::{self, TOKEN_KEY},
    },
};
use crate::{
    api::{DownloadRequest, names},
    cluster::{error::ApiError, secrets},
    token,
};

/// What is in the way of a Secret that is about to be created.
pub(crate) enum Earlier {
    /// Nothing ever did.
    None,
    /// What earlier tokens of this request left is removed.
    Own,
    /// A right that someone else had under this name was there a moment ago; the API server may still know it.
    Others,
    /// A Role that is not certcourier's lets read it.
    Foreign {
        /// Its name.
        role: String,
    },
}

/// Removes every older right to read the Secret of this name.
pub(crate) async fn before_mint(context: &Context, request: &DownloadRequest) -> Result<Earlier, ApiError> {
    let (namespace, secret) = place(request);
    context.grants.learn(context.clients.reads(), &namespace).await?;
    let mut earlier = Earlier::None;
    for reader in context.grants.of(&namespace, &secret) {
        if !remove::reader(&context.clients, &namespace, &reader.name, |_| true).await? {
            return Ok(Earlier::Foreign { role: reader.name });
        }
        context.grants.forget(&namespace, &secret, &reader.name);
        if reader.uid != request.uid() {
            earlier = Earlier::Others;
        } else if matches!(earlier, Earlier::None) {
            earlier = Earlier::Own;
        }
    }
    Ok(earlier)
}

/// Removes Secret, Role and RoleBinding of a request.
pub(crate) async fn all(context: &Context, request: &DownloadRequest) -> Result<(), ApiError> {
    // What is revoked must go also while Roles cannot be listed.
    let learned = context.grants.learn(context.clients.reads(), &place(request).0).await;
    let (secret, readers) =
        tokio::join!(secret(context, request), readers(context, request, readers_of(context, request)));
    secret.and(readers).and(learned)
}

async fn secret(context: &Context, request: &DownloadRequest) -> Result<(), ApiError> {
    let (namespace, name) = place(request);
    let made = context.grants.of(&namespace, &name).into_iter().find_map(|reader| made_for(request, &reader));
    if let Some(made) = made
        && remove::made_secret(&context.clients, &namespace, &name, &made).await?
    {
        return Ok(());
    }
    remove::secret(&context.clients, &namespace, &request.name_any(), |owner| owner.is(request)).await
}

/// What this process made for a token of this request.
fn made_for(request: &DownloadRequest, reader: &Reader) -> Option<Made> {
    reader.made.clone().filter(|_| reader.uid.is_some() && reader.uid == request.uid())
}

/// Removes what is not of the living token: a mint was decided on an older version of the request. If the Secret holds
/// another token than the status, all goes, since no one has the one in the status.
pub(crate) async fn all_but_the_living(context: &Context, request: &DownloadRequest) -> Result<(), ApiError> {
    let (namespace, secret) = place(request);
    let token = request.token();
    let Some(living) = token.and_then(|token| token.hash.as_deref()) else { return all(context, request).await };
    let found = secrets::read(context.clients.reads(), &namespace, &secret, &[TOKEN_KEY]).await?;
    let held = found.and_then(|found| shape::of_secret(&found, &namespace, &request.name_any()));
    if !held.is_some_and(|(held, owner)| owner.is(request) && token::same_hash(&held.hash(), living)) {
        return all(context, request).await;
    }
    let mut others = readers_of(context, request);
    if let Some(name) = token.and_then(|token| token.reader_name.as_ref()) {
        others.remove(name);
    }
    readers(context, request, others).await
}

/// The readers made for this request, as far as anything tells of them.
fn readers_of(context: &Context, request: &DownloadRequest) -> BTreeSet<String> {
    let (namespace, secret) = place(request);
    let known = context.grants.of(&namespace, &secret).into_iter();
    let known = known.filter(|reader| reader.uid.is_none() || reader.uid == request.uid()).map(|reader| reader.name);
    let token = request.token();
    known.chain(token.and_then(|token| token.reader_name.clone())).collect()
}

async fn readers(context: &Context, request: &DownloadRequest, names: BTreeSet<String>) -> Result<(), ApiError> {
    let (namespace, secret) = place(request);
    let (namespace, secret) = (namespace.as_str(), secret.as_str());
    let known = context.grants.of(namespace, secret);
    let removing = names.into_iter().map(|name| {
        let made = known.iter().find(|reader| reader.name == name).and_then(|reader| made_for(request, reader));
        async move {
            if let Some(made) = made
                && remove::made_reader(&context.clients, namespace, &name, &made).await?
            {
                context.grants.forget(namespace, secret, &name);
                return Ok(());
            }
            if remove::reader(&context.clients, namespace, &name, |owner| owner.is(request)).await? {
                context.grants.forget(namespace, secret, &name);
            }
            Ok(())
        }
    });
    join_all(removing).await.into_iter().collect()
}

/// Namespace and name of the token Secret.
fn place(request: &DownloadRequest) -> (String, String) {
    (request.namespace().unwrap_or_default(), names::token_secret(&request.name_any()))
}
