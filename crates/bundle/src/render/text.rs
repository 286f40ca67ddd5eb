//! The PEM files.

use zeroize::Zeroizing;

use super::error::RenderError;
use super::{PemOrder, linked_intermediates};
use crate::material::Material;
use crate::pem;

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The blocks one after another.
fn write<'a>(blocks: impl IntoIterator<Item = (&'static str, &'a [u8])>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(String::new());
    for (label, der) in blocks {
        pem::write(&mut text, label, der);
    }
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

pub(super) fn certificate(material: &Material) -> Zeroizing<Vec<u8>> {
    write([(CERTIFICATE, material.leaf_der())])
}

pub(super) fn chain(material: &Material) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let mut intermediates = linked_intermediates(material)?.peekable();
    if intermediates.peek().is_none() {
        return Err(RenderError::EmptyChain);
    }
    Ok(write(intermediates.map(|der| (CERTIFICATE, der))))
}

pub(super) fn fullchain(material: &Material) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    Ok(write(leaf_and_chain(material)?))
}

pub(super) fn ca(material: &Material) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    match material.ca_der() {
        None => Err(RenderError::NoCa),
        Some(Err(error)) => Err(RenderError::Ca(error.clone())),
        Some(Ok(certificates)) => Ok(write(certificates.map(|der| (CERTIFICATE, der)))),
    }
}

pub(super) fn key(pkcs8: &[u8]) -> Zeroizing<Vec<u8>> {
    write([(PRIVATE_KEY, pkcs8)])
}

pub(super) fn combined(material: &Material, pkcs8: &[u8], order: PemOrder) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let certificates = leaf_and_chain(material)?;
    let key = [(PRIVATE_KEY, pkcs8)];
    Ok(match order {
        PemOrder::LeafChainKey => write(certificates.chain(key)),
        PemOrder::KeyLeafChain => write(key.into_iter().chain(certificates)),
    })
}

fn leaf_and_chain(material: &Material) -> Result<impl Iterator<Item = (&'static str, &[u8])>, RenderError> {
    let intermediates = linked_intermediates(material)?;
    Ok(std::iter::once(material.leaf_der()).chain(intermediates).map(|der| (CERTIFICATE, der)))
}
