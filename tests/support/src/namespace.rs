//! A namespace of one's own, as the administrator of its control plane sees it, whatever runs there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use certcourier::api::{
    Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest, DownloadRequestStatus, Phase, names,
};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::Secret,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    canaries, people,
    request::{condition, phase},
    waiting::{Look, Wait, wanted},
};

/// A kind whose objects live in namespaces.
pub trait Kind:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl<K> Kind for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned
{
}

/// A namespace and the administrator's client.
pub struct Namespace<'a> {
    /// Its name.
    pub namespace: String,
    pub admin: Client,
    /// What the programs have logged, for the message of a wait that was in vain.
    logs: Arc<dyn Fn() -> String + Send + Sync + 'a>,
}

impl<'a> Namespace<'a> {
    pub fn new(namespace: String, admin: Client, logs: impl Fn() -> String + Send + Sync + 'a) -> Self {
        Self { namespace, admin, logs: Arc::new(logs) }
    }

    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    pub async fn create<K: Kind>(&self, object: Value) -> K {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    pub async fn merge<K: Kind>(&self, name: &str, patch: Value) -> K {
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    pub async fn delete<K: Kind>(&self, name: &str) {
        self.api::<K>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn get(&self, request: &str) -> DownloadRequest {
        self.api().get(request).await.unwrap()
    }

    /// Creates or replaces a Secret.
    pub async fn raw_secret(&self, name: &str, kind: &str, parts: &[(&str, &str)]) {
        for (_, text) in parts.iter().filter(|(key, _)| *key == "passphrase") {
            canaries::secret("a passphrase", text.as_bytes());
        }
        let data: BTreeMap<_, _> =
            parts.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec()))).collect();
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            type_: Some(kind.to_owned()),
            data: Some(data),
            ..Secret::default()
        };
        let (api, params) = (self.api::<Secret>(), PostParams::default());
        if api.create(&params, &secret).await.is_ok() || api.replace(name, &params, &secret).await.is_ok() {
            return;
        }
        // The type of a Secret cannot be changed.
        self.delete::<Secret>(name).await;
        api.create(&params, &secret).await.unwrap();
    }

    /// Creates a Certificate of these environments and their Secrets.
    pub async fn certificate(&self, name: &str, environments: &[(&str, &str)]) -> Certificate {
        let environments: Vec<Value> = environments
            .iter()
            .map(|(environment, secret)| json!({"name": environment, "secretRef": {"name": secret}}))
            .collect();
        self.create(json!({"metadata": {"name": name}, "spec": {"environments": environments}})).await
    }

    /// Creates or replaces a policy.
    pub async fn policy(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "CertificatePolicy",
            "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("test").force();
        self.api::<CertificatePolicy>().patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }

    /// Binds a Role of this namespace to a person, under the Role's name.
    pub async fn bind(&self, role: &str, person: &str) {
        let subjects = [people::user(person)];
        let role = people::binding("RoleBinding", &json!({"name": role}), &people::role_ref("Role", role), &subjects);
        self.create::<RoleBinding>(role).await;
    }

    /// The Roles and RoleBindings through which requesters read their tokens, while there are any.
    pub async fn readers(&self) -> Vec<String> {
        let labelled = ListParams::default().labels(names::TOKEN);
        let roles = self.api::<Role>().list(&labelled).await.unwrap().items;
        let bindings = self.api::<RoleBinding>().list(&labelled).await.unwrap().items;
        let names = roles.iter().map(ResourceExt::name_any).chain(bindings.iter().map(ResourceExt::name_any));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The text under a key of the token Secret, if there is such a key.
    pub async fn token_secret(&self, request: &str, key: &str) -> Option<String> {
        self.token_secret_as(self.admin.clone(), request, key).await.unwrap()
    }

    /// The same, read by somebody else.
    pub async fn token_secret_as(
        &self,
        client: Client,
        request: &str,
        key: &str,
    ) -> Result<Option<String>, kube::Error> {
        let secrets: Api<Secret> = Api::namespaced(client, &self.namespace);
        let secret = secrets.get(&names::token_secret(request)).await?;
        let Some(bytes) = secret.data.unwrap_or_default().remove(key) else { return Ok(None) };
        let text = String::from_utf8(bytes.0).unwrap();
        match key {
            "token" => canaries::token(&text),
            "passphrase" => canaries::secret("a passphrase", text.as_bytes()),
            _ => {}
        }
        Ok(Some(text))
    }

    pub async fn receipts(&self) -> Vec<DownloadReceipt> {
        self.api::<DownloadReceipt>().list(&ListParams::default()).await.unwrap().items
    }

    /// The one receipt of a request, if there is one; more than one is a failure.
    pub async fn receipt_of(&self, request: &DownloadRequest) -> Option<DownloadReceipt> {
        let uid = request.uid().unwrap();
        let mut found: Vec<_> = self.receipts().await.into_iter().filter(|r| r.spec.request_ref.uid == uid).collect();
        assert!(found.len() <= 1, "{} receipts of one request", found.len());
        found.pop()
    }

    /// Looks until there is what was waited for, and gives it.
    pub async fn until<L: Look>(&self, what: &str, look: impl AsyncFnMut() -> L) -> L::Found {
        Wait::usual().telling(&*self.logs).until(what, look).await
    }

    /// The object once it is as wanted.
    pub async fn wait_for<K: Kind>(&self, name: &str, what: &str, is_wanted: impl Fn(&K) -> bool) -> K {
        let what = format!("{} {name} is {what}", K::kind(&()));
        let api = self.api::<K>();
        self.until(&what, async || {
            let object = api.get(name).await.unwrap();
            let status = || serde_json::to_string_pretty(&serde_json::to_value(&object).unwrap()["status"]).unwrap();
            if is_wanted(&object) { Ok(object) } else { Err(status()) }
        })
        .await
    }

    /// Waits until there is no object of this name.
    pub async fn wait_gone<K: Kind>(&self, name: &str) {
        let api = self.api::<K>();
        let look = async || wanted(api.get_opt(name).await.unwrap(), Option::is_none);
        self.until(&format!("{} {name} is gone", K::kind(&())), look).await;
    }

    /// The request once its status is as wanted.
    pub async fn wait(
        &self,
        name: &str,
        what: &str,
        is_wanted: impl Fn(&DownloadRequestStatus) -> bool,
    ) -> DownloadRequest {
        self.wait_for(name, what, |request: &DownloadRequest| request.status.as_ref().is_some_and(&is_wanted)).await
    }

    pub async fn wait_for_phase(&self, name: &str, phase: Phase) -> DownloadRequest {
        self.wait(name, phase.name(), |status| status.phase == Some(phase)).await
    }

    /// The request once it is finished, with its phase.
    pub async fn wait_finished(&self, name: &str) -> (Phase, DownloadRequest) {
        let request = self.wait(name, "finished", |status| condition(status, "Finished").starts_with("True/")).await;
        (phase(&request), request)
    }
}
