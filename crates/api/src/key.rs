//! Where an object is: namespace and name.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest};

/// Namespace and name of an object, empty where it has none yet. Printed as `namespace/name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
}

impl<'a> ObjectKey<'a> {
    /// As an object's metadata says.
    #[must_use]
    pub fn of(metadata: &'a ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: metadata.name.as_deref().unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

macro_rules! keyed {
    ($($kind:ident),+) => {
        $(impl $kind {
            /// Namespace and name.
            #[must_use]
            pub fn key(&self) -> ObjectKey<'_> {
                ObjectKey::of(&self.metadata)
            }
        })+
    };
}

keyed!(Certificate, CertificatePolicy, DownloadReceipt, DownloadRequest);
