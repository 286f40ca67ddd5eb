//! Writes DER, in buffers that are erased when dropped: some of them hold a private key.
//!
//! Only writes. Reading is done by crates that are made for untrusted input.

use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

/// One encoded value.
pub(crate) type Der = Zeroizing<Vec<u8>>;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_CONSTRUCTED: u8 = 0xa0;
const CONTEXT_PRIMITIVE: u8 = 0x80;

/// A value of one tag whose content is the parts one after another.
fn value(tag: u8, parts: &[&[u8]]) -> Der {
    let content_bytes: usize = parts.iter().map(|part| part.len()).sum();
    let length = content_bytes.to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    // The exact size, so that the buffer never grows and leaves a copy of a key behind.
    let mut der = Zeroizing::new(Vec::with_capacity(2 + length.len() + content_bytes));
    der.push(tag);
    match (length, u8::try_from(length.len())) {
        ([], _) => der.push(0),
        ([short], _) if *short < 0x80 => der.push(*short),
        (long, Ok(count)) => {
            der.push(0x80 | count);
            der.extend_from_slice(long);
        }
        // A usize has at most 8 bytes.
        (_, Err(_)) => {}
    }
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Der {
    value(SEQUENCE, parts)
}

/// `SET OF`: DER wants the members in the order of their encodings.
pub(crate) fn set_of(parts: &[&[u8]]) -> Der {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    value(SET, &sorted)
}

pub(crate) fn octet_string(bytes: &[u8]) -> Der {
    value(OCTET_STRING, &[bytes])
}

pub(crate) fn null() -> Der {
    value(NULL, &[])
}

pub(crate) fn object_identifier(oid: &ObjectIdentifier) -> Der {
    value(OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

pub(crate) fn integer(number: u32) -> Der {
    let bytes = number.to_be_bytes();
    let significant = &bytes[bytes.iter().take(3).take_while(|byte| **byte == 0).count()..];
    // A leading bit would make the number negative.
    let sign: &[u8] = if significant.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    value(INTEGER, &[sign, significant])
}

/// UTF-16, big-endian. The caller sees to it that the text stays within the basic plane.
pub(crate) fn bmp_string(text: &str) -> Der {
    let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    value(BMP_STRING, &[&bytes])
}

/// `[number] EXPLICIT`, or an implicitly tagged constructed value.
pub(crate) fn context(number: u8, parts: &[&[u8]]) -> Der {
    value(CONTEXT_CONSTRUCTED | number, parts)
}

/// `[number] IMPLICIT` of a primitive value.
pub(crate) fn context_primitive(number: u8, content: &[u8]) -> Der {
    value(CONTEXT_PRIMITIVE | number, &[content])
}

/// `BIT STRING` without unused bits.
pub(crate) fn bit_string(bytes: &[u8]) -> Der {
    value(0x03, &[&[0], bytes])
}

#[cfg(test)]
mod tests {
    use der::{Decode as _, Encode as _};

    use super::*;

    #[test]
    fn integers_are_encoded_as_the_der_crate_does() {
        for number in [0, 1, 127, 128, 255, 256, 32_767, 32_768, 600_000, u32::MAX] {
            assert_eq!(*integer(number), number.to_der().expect("an integer encodes"), "{number}");
        }
    }

    #[test]
    fn lengths_are_encoded_as_the_der_crate_does() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = vec![7_u8; length];
            let expected = der::asn1::OctetString::new(bytes.clone())
                .and_then(|string| string.to_der())
                .expect("an octet string encodes");
            assert_eq!(*octet_string(&bytes), expected, "{length}");
        }
    }

    #[test]
    fn members_of_a_set_are_sorted() {
        let set = set_of(&[&integer(300), &integer(2), &integer(1)]);
        let sorted = der::asn1::SetOfVec::<u32>::from_der(&set).expect("a sorted set");
        assert_eq!(sorted.as_slice(), [1, 2, 300]);
    }
}
