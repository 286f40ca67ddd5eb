//! PKCS#12: leaf, key and chain in one file under a passphrase. Source: RFC 7292.
//!
//! Only writes. Two profiles, because what old importers read and what new ones should use do not
//! overlap: docs/formats.md says which is for whom.

mod encryption;
mod key_derivation;
mod options;
mod pbkdf2;
mod rehash;

use der::asn1::ObjectIdentifier;
use sha1::Sha1;
use sha1::digest::Digest as _;

use self::encryption::Encryption;
use crate::der_writer::{
    Der, bmp_string, context, context_primitive, integer, object_identifier, octet_string, sequence, set_of,
};
use crate::passphrase::Passphrase;
use crate::randomness::{Randomness, RandomnessError};

pub use self::options::{Pkcs12Options, Pkcs12OptionsError, Pkcs12Profile, UnknownPkcs12Profile};

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");

/// The version of PKCS#12 since 1999.
const VERSION: u32 = 3;

/// What goes into the file, all DER.
pub(crate) struct Content<'a> {
    pub(crate) leaf: &'a [u8],
    /// In the order of the chain.
    pub(crate) intermediates: Vec<&'a [u8]>,
    /// PKCS#8.
    pub(crate) private_key: &'a [u8],
    /// Checked by [`Pkcs12Options::check`].
    pub(crate) friendly_name: &'a str,
}

/// Writes the file: certificates first, leaf in front, then the key, as OpenSSL does.
pub(crate) fn write(
    content: &Content<'_>,
    profile: Pkcs12Profile,
    iterations: u32,
    passphrase: &Passphrase,
    random: &mut dyn Randomness,
) -> Result<Der, RandomnessError> {
    let encryption = Encryption::new(profile, iterations, passphrase);
    let attributes = attributes(content);
    let authenticated_safe = sequence(&[
        &encrypted_certificates(content, &attributes, &encryption, random)?,
        &shrouded_key(content, &attributes, &encryption, random)?,
    ]);
    let mac = encryption.mac(&authenticated_safe, random)?;
    Ok(sequence(&[&integer(VERSION), &content_info(&DATA, &octet_string(&authenticated_safe)), &mac]))
}

fn content_info(content_type: &ObjectIdentifier, content: &[u8]) -> Der {
    sequence(&[&object_identifier(content_type), &context(0, &[content])])
}

/// On leaf and key only: the identifier is how importers pair the two, and a name on an intermediate
/// makes Java list it as an entry of its own.
fn attributes(content: &Content<'_>) -> Der {
    let friendly_name = attribute(&FRIENDLY_NAME, &bmp_string(content.friendly_name));
    let local_key_id = attribute(&LOCAL_KEY_ID, &octet_string(&Sha1::digest(content.leaf)));
    set_of(&[&friendly_name, &local_key_id])
}

fn attribute(oid: &ObjectIdentifier, value: &[u8]) -> Der {
    sequence(&[&object_identifier(oid), &set_of(&[value])])
}

fn encrypted_certificates(
    content: &Content<'_>,
    attributes: &[u8],
    encryption: &Encryption<'_>,
    random: &mut dyn Randomness,
) -> Result<Der, RandomnessError> {
    let mut bags = vec![certificate_bag(content.leaf, attributes)];
    bags.extend(content.intermediates.iter().map(|certificate| certificate_bag(certificate, &[])));
    let bags: Vec<&[u8]> = bags.iter().map(|bag| bag.as_slice()).collect();
    let encrypted = encryption.encrypt(&sequence(&bags), random)?;
    let encrypted_content =
        sequence(&[&object_identifier(&DATA), &encrypted.algorithm, &context_primitive(0, &encrypted.ciphertext)]);
    Ok(content_info(&ENCRYPTED_DATA, &sequence(&[&integer(0), &encrypted_content])))
}

fn certificate_bag(certificate: &[u8], attributes: &[u8]) -> Der {
    let value = sequence(&[&object_identifier(&X509_CERTIFICATE), &context(0, &[&octet_string(certificate)])]);
    safe_bag(&CERTIFICATE_BAG, &value, attributes)
}

fn safe_bag(kind: &ObjectIdentifier, value: &[u8], attributes: &[u8]) -> Der {
    sequence(&[&object_identifier(kind), &context(0, &[value]), attributes])
}

fn shrouded_key(
    content: &Content<'_>,
    attributes: &[u8],
    encryption: &Encryption<'_>,
    random: &mut dyn Randomness,
) -> Result<Der, RandomnessError> {
    let encrypted = encryption.encrypt(content.private_key, random)?;
    let key = sequence(&[&encrypted.algorithm, &octet_string(&encrypted.ciphertext)]);
    let bag = safe_bag(&SHROUDED_KEY_BAG, &key, attributes);
    Ok(content_info(&DATA, &octet_string(&sequence(&[&bag]))))
}
