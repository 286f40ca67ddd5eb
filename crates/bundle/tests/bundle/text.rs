//! The PEM and DER files, byte by byte.

use certcourier_bundle::{Format, MaterialError, PemOrder, RenderError, RenderOptions};

use crate::pki::{
    Hierarchy, Signer, accepted, fixture, fixture_material, openssl, options, parse, render_with, rendered,
    rendered_text,
};

#[test]
fn certificates_are_written_as_openssl_writes_them() {
    for kind in ["rsa2048", "rsa4096", "p256", "p521", "ed25519", "ed448", "serial-negative"] {
        let pem = fixture(&format!("certificates/{kind}.pem"));
        let material = accepted(parse(&pem.replace('\n', "\r\n"), None, None));
        assert_eq!(rendered(Format::Cert, &material), openssl(&["x509"], pem.as_bytes()));
        assert_eq!(rendered(Format::Der, &material), openssl(&["x509", "-outform", "DER"], pem.as_bytes()));
    }
}

#[test]
fn combined_has_leaf_chain_and_key_in_the_order_asked_for() {
    let h = Hierarchy::new();
    let material = h.material();
    let (chain, key) = (rendered_text(Format::Fullchain, &material), rendered_text(Format::Key, &material));
    for (pem_order, expected) in [
        (PemOrder::LeafChainKey, [chain.as_str(), &key].concat()),
        (PemOrder::KeyLeafChain, [key.as_str(), &chain].concat()),
    ] {
        let options = RenderOptions { pem_order, ..options() };
        let artifact = render_with(Format::Combined, &material, &options).expect("a file");
        assert_eq!(String::from_utf8_lossy(&artifact.bytes), expected);
    }
}

#[test]
fn ca_is_the_ca_file_without_comments_and_duplicates_and_no_part_of_the_chain() {
    let h = Hierarchy::new();
    let ca = format!("# roots\n{}\n{}{}", h.root.pem, h.upper.pem, h.root.pem);
    let key = h.leaf.key.serialize_pem();
    let material = accepted(parse(&h.leaf.pem, Some(&key), Some(&ca)));
    assert_eq!(
        rendered_text(Format::Ca, &material),
        [h.root.pem.as_str(), &h.upper.pem].concat().replace("\r\n", "\n")
    );
    assert_eq!(material.ca_length(), 2);
    assert_eq!(material.chain_length(), 0);
    assert_eq!(rendered_text(Format::Fullchain, &material), rendered_text(Format::Cert, &material));
}

#[test]
fn an_unreadable_ca_file_stops_only_the_file_made_of_it() {
    let leaf = fixture("certificates/p256.pem");
    let material = accepted(parse(&leaf, None, Some("garbage")));
    assert!(matches!(material.ca_error(), Some(MaterialError::NoCertificate { .. })));
    assert_eq!(material.ca_length(), 0);
    assert!(matches!(
        render_with(Format::Ca, &material, &options()),
        Err(RenderError::Ca(MaterialError::NoCertificate { .. }))
    ));
    assert_eq!(rendered_text(Format::Fullchain, &material), leaf);
}

#[test]
fn without_a_ca_file_there_is_no_file_ca() {
    let material = fixture_material("p256", "p256.sec1");
    assert!(matches!(render_with(Format::Ca, &material, &options()), Err(RenderError::NoCa)));
}

#[test]
fn a_key_in_the_certificate_file_never_leaves_in_a_public_file() {
    let signer = Signer::root("Careless");
    let key = signer.key.serialize_pem();
    let both = [key.as_str(), &signer.pem].concat();
    let material = accepted(parse(&both, None, Some(&both)));
    for format in Format::ALL.into_iter().filter(|format| !format.holds_key()) {
        if format == Format::Chain {
            continue;
        }
        let text = String::from_utf8_lossy(&rendered(format, &material)).into_owned();
        assert!(!text.contains("PRIVATE KEY"), "{format}");
        let secret = key.lines().nth(1).expect("a line of the key");
        assert!(!text.contains(secret), "{format}");
    }
}

#[test]
fn names_and_types_are_those_of_the_format() {
    let material = Hierarchy::new().material();
    for (format, name, content_type) in [
        (Format::Cert, "api-cert.pem", "application/pem-certificate-chain"),
        (Format::Chain, "api-chain.pem", "application/pem-certificate-chain"),
        (Format::Fullchain, "api-fullchain.pem", "application/pem-certificate-chain"),
        (Format::Ca, "api-ca.pem", "application/pem-certificate-chain"),
        (Format::Der, "api-cert.cer", "application/pkix-cert"),
        (Format::DerZip, "api-certificates.zip", "application/zip"),
        (Format::Key, "api-key.pem", "application/x-pem-file"),
        (Format::Pkcs12, "api-bundle.p12", "application/x-pkcs12"),
        (Format::Combined, "api-combined.pem", "application/x-pem-file"),
        (Format::Zip, "api-bundle.zip", "application/zip"),
    ] {
        let artifact = render_with(format, &material, &options()).expect("a file");
        assert_eq!((artifact.file_name.as_str(), artifact.content_type), (name, content_type));
    }
}
