//! The CRDs, from the Rust types. Finishes what the derive leaves open; invents no field.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use super::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest};

/// The four kinds, as the API server wants them.
#[must_use]
pub fn crds() -> [CustomResourceDefinition; 4] {
    [Certificate::crd(), CertificatePolicy::crd(), DownloadRequest::crd(), DownloadReceipt::crd()].map(finished)
}

fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            finish(schema);
        }
    }
    crd
}

/// An optional field is one that may be left out, not one that may be null; and what leaving it out means is decided by
/// `policy` and `lifecycle`, never written into the object by a schema default.
fn finish(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.default = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        finish(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => finish(items),
        Some(JSONSchemaPropsOrArray::Schemas(each)) => each.iter_mut().for_each(finish),
        None => {}
    }
}
