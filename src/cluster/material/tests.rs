use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;
use crate::api::SecretReference;

/// A leaf, its key, and the authority that signed it.
struct Pki {
    leaf: String,
    key: String,
    intermediate: String,
}

fn pki() -> Pki {
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let (root_key, intermediate_key, leaf_key) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root = Issuer::new(authority("root"), root_key);
    let intermediate = authority("intermediate").signed_by(&intermediate_key, &root).unwrap();
    let issuer = Issuer::new(authority("intermediate"), intermediate_key);
    let mut params = CertificateParams::new(vec!["api.example.com".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "api");
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
    Pki { leaf: leaf.pem(), key: leaf_key.serialize_pem(), intermediate: intermediate.pem() }
}

fn environment(keys: Option<SecretKeys>) -> Environment {
    Environment { name: "production".to_owned(), secret_ref: SecretReference { name: "api-tls".to_owned(), keys } }
}

/// What is read of a Secret of this type with this content.
fn read_of(
    keys: Option<SecretKeys>,
    type_name: &str,
    content: &[(&str, &[u8])],
    parts: Parts,
) -> Result<Material, Problem> {
    let environment = environment(keys.clone());
    parse(&environment, &keys.unwrap_or_default(), Some(SecretObject::of(type_name, content)), parts)
}

const TLS: &str = "kubernetes.io/tls";

#[test]
fn a_secret_is_read_only_if_its_type_allows_it() {
    let pki = pki();
    let content: &[(&str, &[u8])] = &[("tls.crt", pki.leaf.as_bytes()), ("tls.key", pki.key.as_bytes())];
    for (type_name, keys, code) in [
        (TLS, None, None),
        (TLS, Some(SecretKeys::default()), None),
        ("Opaque", Some(SecretKeys::default()), None),
        ("Opaque", None, Some("WrongType")),
        ("kubernetes.io/service-account-token", Some(SecretKeys::default()), Some("WrongType")),
        ("", Some(SecretKeys::default()), Some("WrongType")),
    ] {
        let read = read_of(keys, type_name, content, Parts::WithKey);
        assert_eq!(read.err().map(|problem| problem.reason().name()), code, "{type_name}");
    }
}

#[test]
fn each_thing_that_is_missing_is_named() {
    let pki = pki();
    let missing = parse(&environment(None), &SecretKeys::default(), None, Parts::Public).err().unwrap();
    assert_eq!(missing.reason().name(), "SecretMissing");
    assert_eq!(
        missing.to_string(),
        "environment `production`: Secret `api-tls` does not exist; create it, or correct its secretRef"
    );
    let custom = SecretKeys { certificate: Some("cert.pem".to_owned()), ..SecretKeys::default() };
    for (keys, content, parts, named) in [
        (None, vec![("tls.crt", ""), ("tls.key", "")], Parts::Public, "key `tls.crt` of Secret `api-tls` is empty"),
        (
            None,
            vec![("tls.crt", pki.leaf.as_str()), ("tls.key", " \n")],
            Parts::WithKey,
            "key `tls.key` of Secret `api-tls` is empty",
        ),
        (Some(custom), vec![("tls.crt", pki.leaf.as_str())], Parts::Public, "has no key `cert.pem`"),
    ] {
        let content: Vec<(&str, &[u8])> = content.into_iter().map(|(key, text)| (key, text.as_bytes())).collect();
        let problem = read_of(keys, TLS, &content, parts).err().unwrap();
        assert_eq!(problem.reason().name(), "KeyMissing");
        assert!(problem.to_string().contains(named), "{problem}");
    }
}

#[test]
fn a_status_needs_no_private_key() {
    let pki = pki();
    let content: &[(&str, &[u8])] = &[("tls.crt", pki.leaf.as_bytes()), ("tls.key", b"")];
    assert!(matches!(read_of(None, TLS, content, Parts::Everything).unwrap().key_match(), KeyMatch::NoKey));
}

#[test]
fn unreadable_material_names_the_environment_and_shows_nothing_of_the_key() {
    let pki = pki();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nY2FuYXJ5\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, code) in [
        ("no PEM", pki.key.as_str(), "NoCertificate"),
        (pki.leaf.as_str(), encrypted, "EncryptedPrivateKey"),
        (pki.leaf.as_str(), "Y2FuYXJ5", "NoPrivateKey"),
    ] {
        let content: &[(&str, &[u8])] = &[("tls.crt", certificate.as_bytes()), ("tls.key", key.as_bytes())];
        let problem = read_of(None, TLS, content, Parts::WithKey).err().unwrap();
        assert_eq!(problem.reason().name(), code);
        let text = format!("{problem} {problem:?}");
        assert!(text.contains("environment `production`") && !text.contains("Y2FuYXJ5"), "{text}");
    }
}

#[test]
fn material_is_fit_for_the_files_that_can_be_made_of_it() {
    use Format::{Ca, Cert, Chain, Combined, Der, Fullchain, Key, Pkcs12, Zip};
    let (pki, other) = (pki(), pki());
    let chain = format!("{}{}", pki.leaf, pki.intermediate);
    let broken = format!("{}{}", pki.leaf, other.leaf);
    for (certificate, key, ca, unfit_formats) in [
        (&chain, &pki.key, "", vec![(Ca, "NoCa")]),
        (&chain, &pki.key, pki.intermediate.as_str(), vec![]),
        (&pki.leaf, &pki.key, "", vec![(Chain, "EmptyChain"), (Ca, "NoCa")]),
        (
            &chain,
            &other.key,
            "no PEM",
            vec![
                (Ca, "NoCertificate"),
                (Key, "KeyMismatch"),
                (Pkcs12, "KeyMismatch"),
                (Combined, "KeyMismatch"),
                (Zip, "KeyMismatch"),
            ],
        ),
        (
            &broken,
            &pki.key,
            "",
            vec![
                (Chain, "BrokenChain"),
                (Fullchain, "BrokenChain"),
                (Ca, "NoCa"),
                (Pkcs12, "BrokenChain"),
                (Combined, "BrokenChain"),
                (Zip, "BrokenChain"),
            ],
        ),
    ] {
        let content: &[(&str, &[u8])] =
            &[("tls.crt", certificate.as_bytes()), ("tls.key", key.as_bytes()), ("ca.crt", ca.as_bytes())];
        let material = read_of(None, TLS, content, Parts::Everything).unwrap();
        let found: Vec<(Format, &str)> = [Cert, Chain, Fullchain, Ca, Der, Key, Pkcs12, Combined, Zip]
            .into_iter()
            .filter_map(|format| Some((format, unfit("production", &material, format)?.reason().name())))
            .collect();
        assert_eq!(found, unfit_formats);
    }
}
