//! What the watches keep of an object's metadata: what the controller uses, and nothing that only others use. Everyone
//! who may write an object may write a quarter of a megabyte of annotations into it, and every object is kept.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::names::{CREATED_BY, MINT, REVOKE, REVOKED_BY};

/// Annotations that decide something.
const ANNOTATIONS: [&str; 3] = [MINT, REVOKE, REVOKED_BY];
/// Labels that decide something.
const LABELS: [&str; 1] = [CREATED_BY];

/// Takes everything else away.
pub(crate) fn only_what_is_used(metadata: &mut ObjectMeta) {
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        resource_version: metadata.resource_version.take(),
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        annotations: kept(metadata.annotations.take(), &ANNOTATIONS),
        labels: kept(metadata.labels.take(), &LABELS),
        ..ObjectMeta::default()
    };
}

fn kept(map: Option<BTreeMap<String, String>>, keys: &[&str]) -> Option<BTreeMap<String, String>> {
    let map: BTreeMap<_, _> = map?.into_iter().filter(|(key, _)| keys.contains(&key.as_str())).collect();
    (!map.is_empty()).then_some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_not_kept_and_what_decides_is() {
        let mut metadata: ObjectMeta = serde_json::from_value(serde_json::json!({
            "name": "api", "namespace": "payments", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-11-22T12:00:00Z", "deletionTimestamp": "2026-11-22T12:01:00Z",
            "annotations": {"junk": "x".repeat(250_000), MINT: "1", REVOKE: "why", REVOKED_BY: "bob",
                            "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "labels": {CREATED_BY: "api", "team": "shop"},
            "finalizers": ["a.io/x"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "o"}],
            "managedFields": [{"manager": "kubectl"}],
        }))
        .unwrap();
        only_what_is_used(&mut metadata);
        assert_eq!(
            serde_json::to_value(&metadata).unwrap(),
            serde_json::json!({
                "name": "api", "namespace": "payments", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-11-22T12:00:00Z", "deletionTimestamp": "2026-11-22T12:01:00Z",
                "annotations": {MINT: "1", REVOKE: "why", REVOKED_BY: "bob"}, "labels": {CREATED_BY: "api"},
            })
        );
    }
}
