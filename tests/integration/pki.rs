//! Certificates for the tests: a root, an intermediate, leaves.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::canaries;

/// A root and an intermediate.
pub struct Pki {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

#[expect(clippy::struct_field_names, reason = "the leaf alone is one of the parts")]
/// A leaf with its key and what a Secret of type `kubernetes.io/tls` holds beside it.
#[derive(Clone)]
pub struct Leaf {
    /// The leaf alone, PEM.
    pub leaf: String,
    /// The intermediate alone, PEM.
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

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Pki {
    pub fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority("Test Root"), KeyPair::generate().unwrap()).unwrap();
        let intermediate =
            CertifiedIssuer::signed_by(authority("Test Intermediate"), KeyPair::generate().unwrap(), &root).unwrap();
        Self { root, intermediate }
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
        let key = KeyPair::generate().unwrap();
        canaries::key(&key.serialize_pem());
        let leaf = params.signed_by(&key, &self.intermediate).unwrap();
        Leaf {
            leaf: leaf.pem(),
            intermediate: self.intermediate.pem(),
            root: self.root.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A serving certificate for loopback, signed by the root.
    pub fn serving(&self) -> (String, String) {
        let mut params = named("certcourier");
        params.subject_alt_names = vec![
            SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
            SanType::DnsName("localhost".try_into().unwrap()),
        ];
        let key = KeyPair::generate().unwrap();
        canaries::key(&key.serialize_pem());
        (params.signed_by(&key, &self.root).unwrap().pem(), key.serialize_pem())
    }
}
