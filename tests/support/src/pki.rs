//! Certificates for the tests: a root, an intermediate, leaves.

use rcgen::{CertificateParams, SanType};
use test_cluster::pki::{Authority, intermediate, issue, named, root};

use crate::canaries;

/// Authorities that sign leaves.
pub struct Pki {
    root: Authority,
    intermediate: Option<Authority>,
}

/// A leaf with its key and what a Secret of type `kubernetes.io/tls` holds beside it.
#[derive(Clone)]
pub struct Leaf {
    /// The leaf alone, PEM.
    pub leaf: String,
    /// The intermediate alone, PEM; empty where the root signed the leaf.
    pub intermediate: String,
    /// The root, PEM.
    pub root: String,
    /// The private key, PKCS#8 PEM.
    pub key: String,
}

impl Leaf {
    /// `tls.crt`: leaf, then intermediate.
    pub fn chain(&self) -> String {
        format!("{}{}", self.leaf, self.intermediate)
    }
}

impl Pki {
    /// A root, and an intermediate that signs the leaves.
    pub fn new() -> Self {
        let root = root("Test Root").unwrap();
        let intermediate = Some(intermediate("Test Intermediate", &root).unwrap());
        Self { root, intermediate }
    }

    /// A root that signs the leaves itself.
    pub fn without_intermediate() -> Self {
        Self { root: root("Test Root").unwrap(), intermediate: None }
    }

    pub fn root(&self) -> String {
        self.root.pem()
    }

    /// A leaf for this DNS name.
    pub fn leaf(&self, name: &str) -> Leaf {
        self.leaf_with(name, |_| {})
    }

    /// A leaf whose parameters a test changes.
    pub fn leaf_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = named(name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        change(&mut params);
        let issued = issue(&params, self.intermediate.as_ref().unwrap_or(&self.root)).unwrap();
        canaries::key(&issued.key_pem);
        Leaf {
            leaf: issued.certificate_pem,
            intermediate: self.intermediate.as_ref().map(Authority::pem).unwrap_or_default(),
            root: self.root.pem(),
            key: issued.key_pem,
        }
    }

    /// A serving certificate for loopback, signed by the root, and its key.
    pub fn serving(&self) -> (String, String) {
        let mut params = named("certcourier");
        params.subject_alt_names = vec![
            SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
            SanType::DnsName("localhost".try_into().unwrap()),
        ];
        let issued = issue(&params, &self.root).unwrap();
        canaries::key(&issued.key_pem);
        (issued.certificate_pem, issued.key_pem)
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}
