//! Distinguished names: as text for people, and as bytes for comparing.

use std::fmt::Write as _;

use crate::hex;
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Longer names are cut: they go into status fields, logs and error messages.
const LONGEST_TEXT_CHARACTERS: usize = 1024;

/// Short names of attribute types, as OpenSSL prints them.
const SHORT_NAMES: [(&str, &str); 18] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// `C=DE, O=Example, CN=api.example.com`: in the order of the certificate, special and invisible
/// characters escaped, at most 1,024 characters. Empty for a name without attributes.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for (position, set) in name.iter_rdn().enumerate() {
        if position > 0 {
            text.push_str(", ");
        }
        for (position, attribute) in set.iter().enumerate() {
            if position > 0 {
                text.push('+');
            }
            let oid = attribute.attr_type().to_id_string();
            let short = SHORT_NAMES.iter().find(|(id, _)| *id == oid);
            text.push_str(short.map_or(oid.as_str(), |(_, short)| short));
            text.push('=');
            if let Some(value) = string(attribute.attr_value()) {
                escape_into(&mut text, &value);
            } else {
                text.push('#');
                text.push_str(&hex::encode(attribute.as_slice()));
            }
        }
    }
    cut(text)
}

fn cut(text: String) -> String {
    if text.chars().count() <= LONGEST_TEXT_CHARACTERS {
        return text;
    }
    let mut short: String = text.chars().take(LONGEST_TEXT_CHARACTERS - 1).collect();
    short.push('…');
    short
}

/// Appends text from outside: separators get a backslash, and what cannot be seen, or turns the
/// direction of writing, is written as a number, so that no name can pretend to be another.
pub(super) fn escape_into(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => {
                text.push('\\');
                text.push(character);
            }
            _ if character.is_control() || is_invisible(character) => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{{{:04x}}}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
}

fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The text of a directory string, whichever of its encodings is used.
fn string(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::NumericString | Tag::Ia5String | Tag::VisibleString => {
            std::str::from_utf8(value.data).ok().map(str::to_owned)
        }
        // In theory T.61, in practice Latin-1.
        Tag::T61String => Some(value.data.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (units, rest) = value.data.as_chunks::<4>();
            units
                .iter()
                .map(|unit| char::from_u32(u32::from_be_bytes(*unit)))
                .collect::<Option<String>>()
                .filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// A form in which two names are equal if RFC 5280 §7.1 says so: encodings of the same text, letter
/// case and spaces do not count. Some authorities write their name one way in their own certificate
/// and another way in those they issue.
pub(super) fn canonical(name: &X509Name<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for set in name.iter_rdn() {
        let mut attributes: Vec<Vec<u8>> = set.iter().map(canonical_attribute).collect();
        attributes.sort_unstable();
        push_counted(&mut bytes, &attributes.len().to_be_bytes());
        for attribute in attributes {
            push_counted(&mut bytes, &attribute);
        }
    }
    bytes
}

fn canonical_attribute(attribute: &AttributeTypeAndValue<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_counted(&mut bytes, attribute.attr_type().as_bytes());
    if let Some(text) = string(attribute.attr_value()) {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        bytes.push(b's');
        bytes.extend(words.join(" ").as_bytes());
    } else {
        bytes.push(b'#');
        bytes.extend(attribute.as_slice());
    }
    bytes
}

/// The length first, so that no two lists of values give the same bytes.
fn push_counted(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend(value.len().to_be_bytes());
    bytes.extend(value);
}
