//! ZIP files, read by the zip crate.

use std::io::{Cursor, Read as _};

use certcourier_bundle::{
    EnvironmentMaterial, Format, Limits, Material, MaterialError, RawMaterial, RenderError, parse_environment, render,
};
use zip::{CompressionMethod, ZipArchive};

use crate::pki::{Counter, Hierarchy, Signer, accepted, options, parse, rendered, rendered_text};

fn open(bytes: Vec<u8>) -> ZipArchive<Cursor<Vec<u8>>> {
    ZipArchive::new(Cursor::new(bytes)).expect("a ZIP file")
}

/// Name, method, permissions and content of every entry, in order.
fn entries(bytes: Vec<u8>) -> Vec<(String, CompressionMethod, u32, Vec<u8>)> {
    let mut archive = open(bytes);
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).expect("an entry");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content, checksum right");
            let time = entry.last_modified().expect("a time");
            assert_eq!(
                (time.year(), time.month(), time.day(), time.hour(), time.minute(), time.second()),
                (1980, 1, 1, 0, 0, 0)
            );
            let mode = entry.unix_mode().expect("permissions") & 0o7777;
            (entry.name().expect("a name").into_owned(), entry.compression(), mode, content)
        })
        .collect()
}

fn der_zip(environments: &[(&str, &Material)]) -> Result<Vec<u8>, RenderError> {
    let environments: Vec<EnvironmentMaterial<'_>> =
        environments.iter().map(|(environment, material)| EnvironmentMaterial { environment, material }).collect();
    render(Format::DerZip, &environments, &options(), &mut Counter::default()).map(|artifact| artifact.bytes.to_vec())
}

#[test]
fn zip_holds_every_file_and_a_manifest() {
    let h = Hierarchy::new();
    let material = h.material();
    let entries = entries(rendered(Format::Zip, &material));
    let shape: Vec<(&str, CompressionMethod, u32)> =
        entries.iter().map(|(name, method, mode, _)| (name.as_str(), *method, *mode)).collect();
    let (stored, deflated) = (CompressionMethod::Stored, CompressionMethod::Deflated);
    assert_eq!(
        shape,
        [
            ("cert.pem", deflated, 0o644),
            ("chain.pem", deflated, 0o644),
            ("fullchain.pem", deflated, 0o644),
            ("key.pem", deflated, 0o600),
            ("bundle.p12", stored, 0o600),
            ("MANIFEST.json", deflated, 0o644),
        ]
    );
    for (position, format) in
        [Format::Cert, Format::Chain, Format::Fullchain, Format::Key, Format::Pkcs12].into_iter().enumerate()
    {
        assert_eq!(entries[position].3, rendered(format, &material), "{format}");
    }
}

#[test]
fn the_manifest_says_which_certificate_it_is_and_what_the_files_hash_to() {
    let h = Hierarchy::new();
    let material = h.material();
    let entries = entries(rendered(Format::Zip, &material));
    let (_, _, _, manifest) = entries.last().expect("the manifest");
    let manifest: serde_json::Value = serde_json::from_slice(manifest).expect("JSON");
    let leaf = material.leaf();
    for (field, expected) in [
        ("certificate", "api"),
        ("environment", "production"),
        ("subject", "CN=leaf.example.com"),
        ("issuer", "CN=Lower"),
        ("serialNumber", &leaf.serial_number),
        ("sha256Fingerprint", &leaf.sha256_fingerprint),
        ("notBefore", "1975-01-01T00:00:00Z"),
        ("notAfter", "4096-01-01T00:00:00Z"),
    ] {
        assert_eq!(manifest[field], expected, "{field}");
    }
    let files = manifest["files"].as_array().expect("files");
    assert_eq!(files.len(), entries.len() - 1);
    for (file, (name, _, _, content)) in files.iter().zip(&entries) {
        assert_eq!(file["name"], name.as_str());
        assert_eq!(file["bytes"], content.len());
        let digest = crate::pki::openssl(&["dgst", "-sha256", "-r"], content);
        let digest = String::from_utf8(digest).expect("text");
        assert_eq!(file["sha256"].as_str(), digest.split(' ').next());
    }
}

#[test]
fn zip_without_intermediates_has_no_chain() {
    let leaf = Signer::root("Root").leaf("leaf");
    let key = leaf.key.serialize_pem();
    let material = accepted(parse(&leaf.pem, Some(&key), None));
    let names: Vec<String> = entries(rendered(Format::Zip, &material)).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["cert.pem", "fullchain.pem", "key.pem", "bundle.p12", "MANIFEST.json"]);
}

#[test]
fn der_zip_holds_the_leaf_of_every_environment_sorted_and_stored() {
    let (prod, dev) = (Hierarchy::new(), Signer::root("Dev"));
    let (prod_material, dev_material) = (prod.material(), accepted(parse(&dev.pem, None, None)));
    let listed = [("production", &prod_material), ("dev", &dev_material)];
    let bytes = der_zip(&listed).expect("a file");
    let stored = CompressionMethod::Stored;
    assert_eq!(
        entries(bytes.clone()),
        [
            ("api-dev.cer".to_owned(), stored, 0o644, dev.der()),
            ("api-production.cer".to_owned(), stored, 0o644, prod.leaf.der()),
        ]
    );
    let reversed = [listed[1], listed[0]];
    assert_eq!(der_zip(&reversed).expect("a file"), bytes);
}

#[test]
fn der_zip_does_not_limit_the_number_of_environments() {
    let material = accepted(parse(&Signer::root("Root").pem, None, None));
    let names: Vec<String> = (0..1_000).map(|number| format!("e{number}")).collect();
    let listed: Vec<(&str, &Material)> = names.iter().map(|name| (name.as_str(), &material)).collect();
    assert_eq!(open(der_zip(&listed).expect("a file")).len(), 1_000);
}

#[test]
fn environments_that_would_share_a_name_are_refused_by_name() {
    let material = accepted(parse(&Signer::root("Root").pem, None, None));
    match der_zip(&[("Prod", &material), ("dev", &material), ("prod", &material)]) {
        Err(RenderError::NameClash { first, second, .. }) => {
            assert_eq!((first.as_str(), second.as_str()), ("Prod", "prod"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(der_zip(&[]), Err(RenderError::NoEnvironment)));
}

#[test]
fn names_inside_are_safe_and_read_as_utf_8() {
    let material = accepted(parse(&Signer::root("Root").pem, None, None));
    let environment = EnvironmentMaterial { environment: "../größe", material: &material };
    let mut options = options();
    options.certificate_name = "*.例え.com".to_owned();
    let artifact = render(Format::DerZip, &[environment], &options, &mut Counter::default()).expect("a file");
    assert_eq!(artifact.file_name, "wildcard.例え.com-certificates.zip");
    // Bit 11 of the flags: without it readers take the name for code page 437.
    assert_eq!(artifact.bytes[6..8], 0x0800_u16.to_le_bytes());
    let names: Vec<String> = entries(artifact.bytes.to_vec()).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["wildcard.例え.com-_._größe.cer"]);
}

#[test]
fn every_other_format_takes_exactly_one_environment() {
    let material = Hierarchy::new().material();
    let one = EnvironmentMaterial { environment: "production", material: &material };
    for format in Format::ALL.into_iter().filter(|format| !format.every_environment()) {
        for environments in [&[][..], &[one, one]] {
            assert!(
                matches!(
                    render(format, environments, &options(), &mut Counter::default()),
                    Err(RenderError::NotOneEnvironment { given, .. }) if given == environments.len()
                ),
                "{format}"
            );
        }
    }
}

#[test]
fn an_environment_that_fails_is_named() {
    let raw = RawMaterial { certificate: b"garbage", private_key: None, ca: None };
    let Err(error) = parse_environment("staging", &raw, &Limits::default()) else {
        panic!("garbage was accepted");
    };
    assert!(matches!(error.cause, MaterialError::NoCertificate { .. }));
    assert!(
        error.to_string().starts_with("environment `staging`: no certificate found in the certificate file (tls.crt)"),
        "{error}"
    );
}

#[test]
fn every_format_is_the_same_again() {
    let material = Hierarchy::new().material();
    for format in Format::ALL {
        assert_eq!(rendered(format, &material), rendered(format, &material), "{format}");
    }
    assert!(rendered_text(Format::Key, &material).contains("PRIVATE KEY"));
}
