//! Certificates for the tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair};

/// A root, a leaf that it signed, and the leaf's key, all PEM.
pub struct Pki {
    pub root: String,
    pub leaf: String,
    pub key: String,
}

/// A leaf for these names.
pub fn pki(names: &[&str]) -> Pki {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    issue(CertificateParams::new(names).unwrap())
}

/// A leaf whose certificate takes at least this many bytes, in an extension that nobody knows.
pub fn large_pki(bytes: usize) -> Pki {
    let mut params = CertificateParams::new(vec!["large.example.com".to_owned()]).unwrap();
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55_555, 1], vec![7; bytes])];
    issue(params)
}

fn issue(mut params: CertificateParams) -> Pki {
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.distinguished_name.push(DnType::CommonName, "Test Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    params.distinguished_name.push(DnType::CommonName, "api.example.com");
    let leaf = params.signed_by(&key, &root).unwrap();
    Pki { root: root.pem(), leaf: leaf.pem(), key: key.serialize_pem() }
}
