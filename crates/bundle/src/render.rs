//! Makes the file: one format, checked material, options and randomness in; an artifact out.
//!
//! Pure computation, but a PKCS#12 file takes milliseconds of it: callers on an async runtime run this
//! on a thread that may block.

mod archive;
mod error;
mod manifest;
mod pem_order;
mod text;

use std::fmt;

use zeroize::Zeroizing;

use crate::environment::EnvironmentMaterial;
use crate::file_name::file_name;
use crate::format::Format;
use crate::material::{KeyMatch, Material};
use crate::passphrase::Passphrase;
use crate::pkcs12::{self, Content, Pkcs12Options};
use crate::randomness::Randomness;

pub use self::error::RenderError;
pub use self::pem_order::{PemOrder, UnknownPemOrder};

/// What a requester chose. No clock and no randomness: see [`render()`].
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// The certificate's name, from which file names and the default friendlyName are made.
    pub certificate_name: String,
    /// For `pkcs12` and `zip`.
    pub pkcs12: Pkcs12Options,
    /// Needed for `pkcs12` and `zip`; ignored by all others.
    pub passphrase: Option<Passphrase>,
    /// For `combined`.
    pub pem_order: PemOrder,
}

impl RenderOptions {
    /// The defaults for a certificate of this name, without a passphrase.
    #[must_use]
    pub fn new(certificate_name: impl Into<String>) -> Self {
        Self {
            certificate_name: certificate_name.into(),
            pkcs12: Pkcs12Options::default(),
            passphrase: None,
            pem_order: PemOrder::default(),
        }
    }
}

/// A finished file. Its bytes are erased when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The name to offer it under, safe on every file system.
    pub file_name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content, perhaps a private key.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Artifact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Artifact")
            .field("file_name", &self.file_name)
            .field("content_type", &self.content_type)
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .finish()
    }
}

/// Makes the file of a format.
///
/// `der-zip` takes one or more environments, every other format exactly one. The same material,
/// options and randomness give the same bytes; only `pkcs12` and `zip` use randomness.
///
/// # Errors
/// [`RenderError`]: what the format needs and the material or the options lack. Nothing that holds a
/// key is rendered unless the key is proven to be the leaf's.
pub fn render(
    format: Format,
    environments: &[EnvironmentMaterial<'_>],
    options: &RenderOptions,
    random: &mut dyn Randomness,
) -> Result<Artifact, RenderError> {
    let bytes = if format.every_environment() {
        archive::every_environment(environments, &options.certificate_name)?
    } else {
        let [one] = environments else {
            return Err(RenderError::NotOneEnvironment { format, given: environments.len() });
        };
        render_one(format, *one, options, random)?
    };
    Ok(Artifact { file_name: file_name(format, &options.certificate_name), content_type: format.content_type(), bytes })
}

fn render_one(
    format: Format,
    one: EnvironmentMaterial<'_>,
    options: &RenderOptions,
    random: &mut dyn Randomness,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let material = one.material;
    let key = if format.holds_key() { Some(proven_key(format, material)?) } else { None };
    match (format, key) {
        (Format::Cert, _) => Ok(text::certificate(material)),
        (Format::Chain, _) => text::chain(material),
        (Format::Fullchain, _) => text::fullchain(material),
        (Format::Ca, _) => text::ca(material),
        (Format::Der, _) => Ok(Zeroizing::new(material.leaf_der().to_vec())),
        (Format::Key, Some(key)) => Ok(text::key(key)),
        (Format::Combined, Some(key)) => text::combined(material, key, options.pem_order),
        (Format::Pkcs12, Some(key)) => pkcs12_file(format, material, key, options, random),
        (Format::Zip, Some(key)) => {
            let pkcs12 = pkcs12_file(format, material, key, options, random)?;
            archive::bundle(one, key, &pkcs12, &options.certificate_name)
        }
        // Every format that is left holds a key, and would not have come so far without one.
        (format, _) => Err(RenderError::NoPrivateKey { format }),
    }
}

/// The private key, if it is proven to be the one of the leaf.
fn proven_key(format: Format, material: &Material) -> Result<&[u8], RenderError> {
    match material.key_match() {
        KeyMatch::Matches => {
            material.private_key_der().map(|der| der.as_slice()).ok_or(RenderError::NoPrivateKey { format })
        }
        KeyMatch::NoKey => Err(RenderError::NoPrivateKey { format }),
        KeyMatch::Mismatch => Err(RenderError::KeyMismatch { subject: material.leaf().subject.clone() }),
        KeyMatch::Unverifiable { why } => Err(RenderError::KeyUnverifiable { why: why.clone() }),
    }
}

fn pkcs12_file(
    format: Format,
    material: &Material,
    key: &[u8],
    options: &RenderOptions,
    random: &mut dyn Randomness,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let passphrase = options.passphrase.as_ref().ok_or(RenderError::PassphraseMissing { format })?;
    options.pkcs12.check(&options.certificate_name)?;
    let content = Content {
        leaf: material.leaf_der(),
        intermediates: linked_intermediates(material)?.collect(),
        private_key: key,
        friendly_name: options.pkcs12.friendly_name_or(&options.certificate_name),
    };
    Ok(pkcs12::write(&content, options.pkcs12.profile, options.pkcs12.iterations, passphrase, random)?)
}

/// DER of the intermediates, unless the chain is broken.
fn linked_intermediates(material: &Material) -> Result<impl Iterator<Item = &[u8]>, RenderError> {
    match material.chain_error() {
        Some(error) => Err(RenderError::BrokenChain(error.clone())),
        None => Ok(material.intermediates_der()),
    }
}
