//! People and `ServiceAccount`s of a control plane: their tokens, kubeconfigs and clients.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, ServiceAccount},
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{ObjectMeta, PostParams},
};

use super::{ControlPlane, Error, KubeConfigOptions, Kubeconfig};
use crate::{
    kubeconfig::{self, Credential},
    people,
    person::{Person, Token},
    pki::Pki,
    private_file,
};

/// Longer than any test; `TokenRequest` allows 10 minutes at least.
const SERVICE_ACCOUNT_TOKEN_LIFETIME: Duration = Duration::from_hours(1);
/// How many kubeconfigs this process has written for `ServiceAccount`s: makes their names distinct.
static TOKENS_GIVEN: AtomicU32 = AtomicU32::new(0);

impl ControlPlane {
    /// A person of the fixed list ([`people::all`]), for example `alice`. `groups` are those that the caller counts on
    /// the person being in; usually none.
    ///
    /// # Errors
    /// [`Error::UnknownPerson`] and [`Error::NotInGroup`].
    pub async fn person(&self, name: &str, groups: &[&str]) -> Result<Person, Error> {
        let unknown = || Error::UnknownPerson {
            name: name.to_owned(),
            known: people::all().into_iter().map(|person| person.name).collect::<Vec<_>>().join(", "),
        };
        let identity = people::all().into_iter().find(|person| person.name == name).ok_or_else(unknown)?;
        let token = self.description.tokens.get(name).ok_or_else(unknown)?;
        if let Some(group) = groups.iter().find(|group| !identity.groups.iter().any(|have| have == *group)) {
            return Err(Error::NotInGroup {
                name: name.to_owned(),
                group: (*group).to_owned(),
                groups: identity.groups,
            });
        }
        self.bearer(name, name, token.clone()).await
    }

    /// A new namespace whose name begins with `prefix`, so that tests on a shared control plane keep apart.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn namespace(&self, prefix: &str) -> Result<String, Error> {
        let metadata = ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        match Api::all(self.admin()).create(&PostParams::default(), &namespace).await {
            Ok(created) => Ok(created.name_any()),
            Err(source) => Err(Error::Api { call: format!("create Namespace {prefix}-…"), source: Box::new(source) }),
        }
    }

    /// A `ServiceAccount` with a token of its own, valid for an hour; namespace and `ServiceAccount` are created where
    /// missing. No audience means the API server's own.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn service_account(&self, namespace: &str, name: &str, audiences: &[&str]) -> Result<Person, Error> {
        let api_error = |call: String| move |source| Error::Api { call, source: Box::new(source) };
        let client = self.admin();
        let metadata = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let object = Namespace { metadata: metadata(namespace), ..Namespace::default() };
        create_if_missing(&Api::all(client.clone()), &object)
            .await
            .map_err(api_error(format!("create Namespace {namespace}")))?;
        let object = ServiceAccount { metadata: metadata(name), ..ServiceAccount::default() };
        create_if_missing(&Api::namespaced(client, namespace), &object)
            .await
            .map_err(api_error(format!("create ServiceAccount {namespace}/{name}")))?;
        let token = self.service_account_token(namespace, name, audiences, SERVICE_ACCOUNT_TOKEN_LIFETIME).await?;
        self.with_token(&format!("system:serviceaccount:{namespace}:{name}"), token).await
    }

    /// Whoever this token stands for, for example one of [`ControlPlane::service_account_token`] that expires soon.
    /// The name is only for the kubeconfig; the API server goes by the token.
    ///
    /// # Errors
    /// [`Error::File`].
    pub async fn with_token(&self, name: &str, token: Token) -> Result<Person, Error> {
        // Another token of the same name must not take the place of this one.
        let number = TOKENS_GIVEN.fetch_add(1, Ordering::Relaxed);
        let file = format!("{}.{}-{number}", name.replace(['/', ':'], "."), std::process::id());
        self.bearer(name, &file, token).await
    }

    /// A token of an existing `ServiceAccount`, by `TokenRequest`. The API server gives at least 10 minutes.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audiences: &[&str],
        lifetime: Duration,
    ) -> Result<Token, Error> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audiences.iter().map(|&audience| audience.to_owned()).collect(),
                expiration_seconds: i64::try_from(lifetime.as_secs()).ok(),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let answer = Api::<ServiceAccount>::namespaced(self.admin(), namespace)
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(|source| Error::Api {
                call: format!("create TokenRequest for ServiceAccount {namespace}/{name}"),
                source: Box::new(source),
            })?;
        Ok(Token::new(answer.status.map(|status| status.token).unwrap_or_default()))
    }

    /// A kubeconfig with a client certificate instead of a token, as kind and kubeadm make them: any user name, and at
    /// most one group.
    ///
    /// # Errors
    /// [`Error::Keys`] and [`Error::File`].
    pub fn certificate_kubeconfig(&self, user: &str, group: Option<&str>) -> Result<PathBuf, Error> {
        let certificate = Pki::at(&self.description.pki())
            .client(user, group)
            .map_err(|source| Error::Keys { what: "client certificate", source: source.into() })?;
        let text = kubeconfig::text(self.url(), self.ca_pem(), user, &Credential::Certificate(&certificate));
        self.write_kubeconfig(&format!("{}.certificate", user.replace(['/', ':'], ".")), &text)
    }

    async fn bearer(&self, name: &str, file: &str, token: Token) -> Result<Person, Error> {
        let text = kubeconfig::text(self.url(), self.ca_pem(), name, &Credential::Token(&token));
        let kubeconfig = self.write_kubeconfig(file, &text)?;
        let client = client(name, config(name, &text).await?)?;
        let kubectl = self.kubectl_with(&kubeconfig);
        Ok(Person { name: name.to_owned(), token, kubeconfig, client, kubectl })
    }

    fn write_kubeconfig(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.directory().join("people").join(format!("{name}.kubeconfig"));
        match private_file::write(&path, text.as_bytes()) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::File { path, source }),
        }
    }
}

/// The client configuration that a kubeconfig stands for, without kube's retries: a test must see what happens.
pub(super) async fn config(name: &str, kubeconfig: &str) -> Result<Config, Error> {
    let failed = |source| Error::Client { name: name.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(failed)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(failed)?;
    config.default_retry = false;
    Ok(config)
}

pub(super) fn client(name: &str, config: Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(|source| Error::Client { name: name.to_owned(), source: Box::new(source) })
}

async fn create_if_missing<K>(api: &Api<K>, object: &K) -> Result<(), kube::Error>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    if api.get_opt(&object.name_any()).await?.is_some() {
        return Ok(());
    }
    match api.create(&PostParams::default(), object).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other.map(drop),
    }
}
