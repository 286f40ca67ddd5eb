//! What the servers need to make a certificate for themselves (`--tls-self-signed`), and a key for the sessions of the web
//! page (`--ui`): the objects that hold them, empty, and the rights to fill these and no others. No one has to be
//! allowed to create a Secret for it.

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Secret},
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use super::{
    rights::{self, allow, only},
    yaml,
};
use crate::{
    admission::Identity,
    api::names::{SERVING, SERVING_CA, SESSION, VELERO_EXCLUDE},
};

/// Role and binding of the controller: it gives the CA to people.
pub(super) const EXTERNAL_CA: &str = "certcourier-external-ca";

/// Every object of it.
pub(super) struct Serving {
    pub(super) secret: Secret,
    pub(super) config_map: ConfigMap,
    pub(super) server: (Role, RoleBinding),
    pub(super) controller: (Role, RoleBinding),
}

/// The objects for an operator that is this.
pub(super) fn serving(identity: &Identity) -> Serving {
    let own = identity.namespace();
    let secret = Secret {
        metadata: metadata(own, SERVING, &[(VELERO_EXCLUDE, "true")]),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let config_map = ConfigMap { metadata: metadata(own, SERVING_CA, &[]), ..ConfigMap::default() };
    let fills = vec![
        only(&[SERVING], allow("", &["secrets"], &["get", "update"])),
        only(&[SERVING_CA], allow("", &["configmaps"], &["get", "update"])),
    ];
    Serving {
        secret,
        config_map,
        server: (rights::role(own, SERVING, fills), rights::bind_role(own, SERVING, SERVING, identity.server())),
        controller: external_ca(identity, SERVING_CA),
    }
}

/// The key of the web page's sessions.
pub(super) struct Sessions {
    pub(super) secret: Secret,
    pub(super) server: (Role, RoleBinding),
}

/// The objects of the web page's sessions for an operator that is this.
pub(super) fn sessions(identity: &Identity) -> Sessions {
    let own = identity.namespace();
    let fills = vec![only(&[SESSION], allow("", &["secrets"], &["get", "update"]))];
    Sessions {
        secret: Secret {
            metadata: metadata(own, SESSION, &[(VELERO_EXCLUDE, "true")]),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        },
        server: (rights::role(own, SESSION, fills), rights::bind_role(own, SESSION, SESSION, identity.server())),
    }
}

/// These objects as JSON, in the order in which they are applied.
///
/// # Errors
/// When an object has no JSON form, which none of these lacks.
pub fn session_objects(identity: &Identity) -> Result<Vec<Value>, serde_json::Error> {
    let Sessions { secret, server } = sessions(identity);
    Ok(vec![yaml::value(&secret)?, yaml::value(&server.0)?, yaml::value(&server.1)?])
}

/// The controller reads the ConfigMap that holds the CA.
pub(super) fn external_ca(identity: &Identity, config_map: &str) -> (Role, RoleBinding) {
    let own = identity.namespace();
    (
        rights::role(own, EXTERNAL_CA, vec![only(&[config_map], allow("", &["configmaps"], &["get"]))]),
        rights::bind_role(own, EXTERNAL_CA, EXTERNAL_CA, identity.controller()),
    )
}

/// The objects as JSON, in the order in which they are applied.
///
/// # Errors
/// When an object has no JSON form, which none of these lacks.
pub fn serving_objects(identity: &Identity) -> Result<Vec<Value>, serde_json::Error> {
    let Serving { secret, config_map, server, controller } = serving(identity);
    Ok(vec![
        yaml::value(&secret)?,
        yaml::value(&config_map)?,
        yaml::value(&server.0)?,
        yaml::value(&server.1)?,
        yaml::value(&controller.0)?,
        yaml::value(&controller.1)?,
    ])
}

fn metadata(namespace: &str, name: &str, labels: &[(&str, &str)]) -> ObjectMeta {
    let labels = [("app.kubernetes.io/name", "certcourier")].iter().chain(labels);
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
        ..ObjectMeta::default()
    }
}
