//! Certificates for the tests: made by rcgen on the spot, or by openssl beforehand (`fixtures/make.sh`).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use certcourier_bundle::{
    Artifact, EnvironmentMaterial, Format, KeyMatch, Limits, Material, MaterialError, Passphrase, Randomness,
    RandomnessError, RawMaterial, RenderError, RenderOptions, render,
};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};

/// A certificate with its key, and the parameters that it was made of.
pub(crate) struct Signer {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) pem: String,
}

fn params(name: &str, is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = is_ca;
    params.use_authority_key_identifier_extension = true;
    params
}

pub(crate) fn authority_params(name: &str) -> CertificateParams {
    params(name, IsCa::Ca(BasicConstraints::Unconstrained))
}

pub(crate) fn leaf_params(name: &str) -> CertificateParams {
    params(name, IsCa::NoCa)
}

impl Signer {
    pub(crate) fn root(name: &str) -> Self {
        let params = authority_params(name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { params, key, pem }
    }

    /// A certificate of these parameters, signed by this one.
    pub(crate) fn sign(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        self.sign_key(params, key)
    }

    /// The same for a key that exists already: this is how cross-signing is done.
    pub(crate) fn sign_key(&self, params: CertificateParams, key: KeyPair) -> Self {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let pem = params.signed_by(&key, &issuer).expect("a certificate").pem();
        Self { params, key, pem }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.sign(authority_params(name))
    }

    pub(crate) fn leaf(&self, name: &str) -> Self {
        self.sign(leaf_params(name))
    }

    /// The same name and key, signed by another authority.
    pub(crate) fn cross_signed_by(&self, other: &Self) -> Self {
        let key = KeyPair::from_pem(&self.key.serialize_pem()).expect("the same key");
        other.sign_key(self.params.clone(), key)
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        der(&self.pem)
    }
}

/// A root, three intermediates and a leaf.
pub(crate) struct Hierarchy {
    pub(crate) root: Signer,
    pub(crate) upper: Signer,
    pub(crate) middle: Signer,
    pub(crate) lower: Signer,
    pub(crate) leaf: Signer,
}

impl Hierarchy {
    pub(crate) fn new() -> Self {
        let root = Signer::root("Root");
        let upper = root.intermediate("Upper");
        let middle = upper.intermediate("Middle");
        let lower = middle.intermediate("Lower");
        let leaf = lower.leaf("leaf.example.com");
        Self { root, upper, middle, lower, leaf }
    }

    pub(crate) fn chain_pem(&self) -> String {
        [&self.leaf, &self.lower, &self.middle, &self.upper].map(|signer| signer.pem.clone()).concat()
    }

    pub(crate) fn material(&self) -> Material {
        parse(&self.chain_pem(), Some(&self.leaf.key.serialize_pem()), Some(&self.root.pem))
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

pub(crate) fn parse(certificate: &str, private_key: Option<&str>, ca: Option<&str>) -> Result<Material, MaterialError> {
    let raw = RawMaterial {
        certificate: certificate.as_bytes(),
        private_key: private_key.map(str::as_bytes),
        ca: ca.map(str::as_bytes),
    };
    Material::parse(&raw, &Limits::default())
}

/// `Material` has no `Debug`, so `expect_err` cannot be used.
pub(crate) fn refused(result: Result<Material, MaterialError>) -> MaterialError {
    match result {
        Ok(_) => panic!("the material was not refused"),
        Err(error) => error,
    }
}

pub(crate) fn accepted(result: Result<Material, MaterialError>) -> Material {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// A leaf of a fixture key, and that key.
pub(crate) fn fixture_material(certificate: &str, key: &str) -> Material {
    accepted(parse(
        &fixture(&format!("certificates/{certificate}.pem")),
        Some(&fixture(&format!("keys/{key}.pem"))),
        None,
    ))
}

pub(crate) fn assert_matches(material: &Material) {
    assert_eq!(material.key_match(), &KeyMatch::Matches);
}

pub(crate) fn options() -> RenderOptions {
    RenderOptions { passphrase: Some(passphrase()), ..RenderOptions::new("api") }
}

pub(crate) const PASSPHRASE: &str = "correct horse-battery staple!";

pub(crate) fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.to_owned()).expect("a passphrase")
}

pub(crate) fn render_with(
    format: Format,
    material: &Material,
    options: &RenderOptions,
) -> Result<Artifact, RenderError> {
    let one = EnvironmentMaterial { environment: "production", material };
    render(format, &[one], options, &mut Counter::default())
}

pub(crate) fn rendered(format: Format, material: &Material) -> Vec<u8> {
    render_with(format, material, &options()).unwrap_or_else(|error| panic!("{format}: {error}")).bytes.to_vec()
}

pub(crate) fn rendered_text(format: Format, material: &Material) -> String {
    String::from_utf8(rendered(format, material)).expect("text")
}

/// A reproducible source: 0, 1, 2, …
#[derive(Default)]
pub(crate) struct Counter(u8);

impl Randomness for Counter {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
        for byte in buffer {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub(crate) fn fixture(path: &str) -> String {
    let path = fixtures().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the fixture keys that begin so, without `.pem`.
pub(crate) fn fixture_keys(prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(fixtures().join("keys"))
        .expect("the fixtures")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .filter_map(|name| name.strip_suffix(".pem").map(str::to_owned))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no fixture begins with {prefix}");
    names
}

/// What `openssl` prints, given text on its standard input.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    child.stdin.take().expect("standard input").write_all(input).expect("openssl reads");
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The DER of the first block of a PEM text, by openssl.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    openssl(&["x509", "-outform", "DER"], pem.as_bytes())
}

/// PEM by someone else's hand, for comparing.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = String::from_utf8(openssl(&["base64"], der)).expect("base64");
    let mut text = String::new();
    write!(text, "-----BEGIN {label}-----\n{base64}-----END {label}-----\n").expect("text");
    text
}
