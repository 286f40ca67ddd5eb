//! What there is to adopt. Of Secrets it reads the metadata alone: no key comes here.

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams, PartialObjectMeta},
    core::NamespaceResourceScope,
};
use serde_json::Value;

use super::{From, plan::Found};
use crate::plugin::{context::Ctx, error::PluginError};
use crate::{
    api::names,
    cluster::error::{During as _, Failure},
};

/// So many objects are asked for at once.
const PAGE: u32 = 500;

/// What there is.
///
/// # Errors
/// When the API server refuses or does not answer, or cert-manager is not installed.
pub async fn found(ctx: &Ctx, from: From, everywhere: bool) -> Result<Vec<Found>, PluginError> {
    let place = if everywhere { "all namespaces".to_owned() } else { format!("namespace {}", ctx.namespace) };
    match from {
        From::Secrets => secrets(ctx, everywhere, &place).await,
        From::CertManager => cert_manager(ctx, everywhere, &place).await,
    }
}

async fn secrets(ctx: &Ctx, everywhere: bool, place: &str) -> Result<Vec<Found>, PluginError> {
    let api: Api<Secret> = namespaced(ctx.clients.reads(), everywhere, &ctx.namespace);
    let mut params = ListParams::default().fields("type=kubernetes.io/tls").limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list_metadata(&params).await.during("list", || format!("Secrets of {place}"));
        let page = page.map_err(|error| match error.failure() {
            Failure::Forbidden => PluginError::new(format!("cannot {error}: {}", error.cause())).next(
                "to adopt Secrets you must be allowed to list and get them; adopt cert-manager's Certificates with \
                 --from certificates.cert-manager.io",
            ),
            _ => error.into(),
        })?;
        found.extend(page.items.iter().map(of_secret));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn of_secret(secret: &PartialObjectMeta<Secret>) -> Found {
    let name = secret.name_any();
    let ours = secret.labels().contains_key(names::TOKEN);
    Found {
        namespace: secret.namespace().unwrap_or_default(),
        what: format!("Secret {name}"),
        secret: Some(name.clone()),
        name,
        unfit: ending(&secret.metadata).or_else(|| ours.then(|| "it is certcourier's own".to_owned())),
    }
}

async fn cert_manager(ctx: &Ctx, everywhere: bool, place: &str) -> Result<Vec<Found>, PluginError> {
    let resource = ApiResource {
        group: "cert-manager.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "cert-manager.io/v1".to_owned(),
        kind: "Certificate".to_owned(),
        plural: "certificates".to_owned(),
    };
    let client = ctx.clients.reads().clone();
    let api: Api<DynamicObject> = if everywhere {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, &ctx.namespace, &resource)
    };
    let mut params = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api.list(&params).await.during("list", || format!("certificates.cert-manager.io of {place}"));
        let page = page.map_err(|error| match error.failure() {
            Failure::NotFound => {
                PluginError::new("cert-manager is not installed in this cluster: it has no Certificates")
                    .next("adopt Secrets with --from secrets; or is --context the right one?")
            }
            _ => PluginError::new(format!("cannot {error}: {}", error.cause())),
        })?;
        found.extend(page.items.iter().map(of_cert_manager));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

fn of_cert_manager(certificate: &DynamicObject) -> Found {
    let name = certificate.name_any();
    let secret = certificate.data["spec"]["secretName"].as_str().map(str::to_owned);
    Found {
        namespace: certificate.namespace().unwrap_or_default(),
        what: format!("certificate.cert-manager.io {name}"),
        unfit: ending(&certificate.metadata).or_else(|| not_ready(&certificate.data)),
        name,
        secret,
    }
}

/// A Certificate that was never issued has no Secret yet.
fn not_ready(data: &Value) -> Option<String> {
    let conditions = data["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
    match ready {
        Some(ready) if ready["status"] == "True" => None,
        Some(ready) => {
            let why = ready["message"].as_str().or(ready["reason"].as_str()).unwrap_or("no reason is given");
            Some(format!("it is not Ready ({why}); run this again when it is"))
        }
        None => Some("cert-manager has not processed it yet; run this again".to_owned()),
    }
}

fn ending(metadata: &ObjectMeta) -> Option<String> {
    metadata.deletion_timestamp.as_ref().map(|_| "it is being deleted".to_owned())
}

fn namespaced<K>(client: &Client, everywhere: bool, namespace: &str) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    if everywhere { Api::all(client.clone()) } else { Api::namespaced(client.clone(), namespace) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cert_manager_has_not_issued_is_no_certificate_yet() {
        let of = |status: Value| {
            let object = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
                "metadata": {"name": "api", "namespace": "payments"}, "spec": {"secretName": "api-tls"}, "status": status});
            of_cert_manager(&serde_json::from_value(object).unwrap())
        };
        let ready = of(json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!((ready.secret.as_deref(), ready.unfit), (Some("api-tls"), None));
        let waiting =
            of(json!({"conditions": [{"type": "Ready", "status": "False", "message": "Issuing certificate"}]}));
        assert!(waiting.unfit.unwrap().contains("not Ready (Issuing certificate)"));
        assert!(of(json!(null)).unfit.unwrap().contains("not processed it yet"));
    }
}
