//! Names of downloaded files and of the entries inside a ZIP file: safe on every file system.
//!
//! Knows nothing of HTTP; [`crate::content_disposition`] puts a name into a header.

use crate::format::Format;

/// A file system allows 255 bytes; what follows the certificate's name (`-certificates.zip`, or
/// `-` + an environment + `.cer`) needs at most 68.
const LONGEST_PART_BYTES: usize = 160;

/// Names that Windows keeps for devices, whatever follows their first dot.
/// Source: <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>.
const WINDOWS_DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// The name under which a file is offered: `{certificate}-fullchain.pem` and the like.
///
/// `*.example.com` becomes `wildcard.example.com`; any other character that some file system or shell
/// takes for itself becomes `_`; letters of other scripts stay.
#[must_use]
pub fn file_name(format: Format, certificate_name: &str) -> String {
    let ending = match format {
        Format::Cert => "cert.pem",
        Format::Chain => "chain.pem",
        Format::Fullchain => "fullchain.pem",
        Format::Ca => "ca.pem",
        Format::Der => "cert.cer",
        Format::DerZip => "certificates.zip",
        Format::Key => "key.pem",
        Format::Pkcs12 => "bundle.p12",
        Format::Combined => "combined.pem",
        Format::Zip => "bundle.zip",
    };
    format!("{}-{ending}", safe_part(certificate_name))
}

/// The name of an environment's entry in a `der-zip` file: `{certificate}-{environment}.cer`.
pub(crate) fn environment_entry_name(certificate_name: &str, environment: &str) -> String {
    let (certificate, environment) = (safe_part(certificate_name), safe_part(environment));
    let mut name = certificate;
    name.push('-');
    // An environment is a DNS label, so nothing is cut here but what a command line made up.
    name.push_str(cut(&environment, 63));
    name.push_str(".cer");
    name
}

/// The part of a name that comes from outside, made safe. Never empty.
fn safe_part(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let rest = match text.strip_prefix("*.") {
        Some(rest) => {
            safe.push_str("wildcard.");
            rest
        }
        None => text,
    };
    safe.extend(rest.chars().map(|character| match character {
        '.' | '-' | '_' => character,
        letter if letter.is_alphanumeric() => letter,
        _ => '_',
    }));
    let mut safe = cut(&safe, LONGEST_PART_BYTES).to_owned();
    if safe.is_empty() {
        return "certificate".to_owned();
    }
    // A leading dot hides a file, or climbs out of a directory; a leading dash is an option.
    if safe.starts_with(['.', '-']) {
        safe.replace_range(..1, "_");
    }
    if is_windows_device(&safe) {
        safe.insert(0, '_');
    }
    safe
}

/// The longest prefix of at most so many bytes that cuts no character in half.
fn cut(text: &str, longest_bytes: usize) -> &str {
    let mut end = text.len().min(longest_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn is_windows_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_lowercase();
    if WINDOWS_DEVICES.contains(&stem.as_str()) {
        return true;
    }
    let Some(number) = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")) else {
        return false;
    };
    // Windows reads the superscript digits ¹ ² ³ as digits here.
    let mut characters = number.chars();
    matches!((characters.next(), characters.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe_for_every_file_system() {
        for (certificate, expected) in [
            ("api", "api-fullchain.pem"),
            ("prod.example.com", "prod.example.com-fullchain.pem"),
            ("*.example.com", "wildcard.example.com-fullchain.pem"),
            ("a*b", "a_b-fullchain.pem"),
            ("", "certificate-fullchain.pem"),
            ("../../etc/passwd", "_._.._etc_passwd-fullchain.pem"),
            ("..\\x", "_._x-fullchain.pem"),
            (".hidden", "_hidden-fullchain.pem"),
            ("-rf", "_rf-fullchain.pem"),
            ("con.example.com", "_con.example.com-fullchain.pem"),
            ("NUL", "_NUL-fullchain.pem"),
            ("com1.x", "_com1.x-fullchain.pem"),
            ("LPT³.x", "_LPT³.x-fullchain.pem"),
            ("com10.x", "com10.x-fullchain.pem"),
            ("console", "console-fullchain.pem"),
            ("münchen", "münchen-fullchain.pem"),
            ("例え", "例え-fullchain.pem"),
            ("a\u{202e}b\u{200b}c", "a_b_c-fullchain.pem"),
            ("a\r\nb\0c:d|e", "a__b_c_d_e-fullchain.pem"),
        ] {
            assert_eq!(file_name(Format::Fullchain, certificate), expected);
        }
    }

    #[test]
    fn every_format_has_its_own_ending() {
        let names: Vec<_> = Format::ALL.into_iter().map(|format| file_name(format, "api")).collect();
        assert_eq!(
            names,
            [
                "api-cert.pem",
                "api-chain.pem",
                "api-fullchain.pem",
                "api-ca.pem",
                "api-cert.cer",
                "api-certificates.zip",
                "api-key.pem",
                "api-bundle.p12",
                "api-combined.pem",
                "api-bundle.zip",
            ]
        );
    }

    #[test]
    fn a_name_never_exceeds_what_a_file_system_allows() {
        for text in ["x".repeat(5_000), "ü".repeat(5_000), "例".repeat(5_000)] {
            for format in Format::ALL {
                assert!(file_name(format, &text).len() <= 255);
            }
            assert!(environment_entry_name(&text, &text).len() <= 255);
        }
    }

    #[test]
    fn an_entry_carries_certificate_and_environment() {
        assert_eq!(environment_entry_name("api", "production"), "api-production.cer");
        assert_eq!(environment_entry_name("*.example.com", "../x"), "wildcard.example.com-_._x.cer");
    }
}
