//! Header values that describe a file to an HTTP client.
//!
//! Pure text: the handler of the request sets the headers.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding as _};
use sha2::{Digest as _, Sha256};

/// `Content-Disposition` for a download: the name quoted in ASCII for old clients, and in UTF-8 for
/// all others.
///
/// Source: RFC 6266 §4 and appendix D, RFC 8187 §3.2.
#[must_use]
pub fn content_disposition(file_name: &str) -> String {
    let ascii: String = file_name.chars().map(quotable).collect();
    let mut header = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''");
    for byte in file_name.bytes() {
        if is_attribute_character(byte) {
            header.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(header, "%{byte:02X}");
        }
    }
    header
}

/// `%` too is replaced: some clients decode it inside the quoted name (RFC 6266 appendix D).
fn quotable(character: char) -> char {
    match character {
        '"' | '\\' | '%' | '/' => '_',
        ' '..='~' => character,
        _ => '_',
    }
}

/// `attr-char` of RFC 8187: may be unencoded in `filename*`.
fn is_attribute_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

/// `Content-Digest` of a whole body. Source: RFC 9530 §2.
#[must_use]
pub fn content_digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", Base64::encode_string(&Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_given_in_ascii_and_in_utf_8() {
        for (name, header) in [
            ("api-fullchain.pem", "attachment; filename=\"api-fullchain.pem\"; filename*=UTF-8''api-fullchain.pem"),
            ("münchen-cert.pem", "attachment; filename=\"m_nchen-cert.pem\"; filename*=UTF-8''m%C3%BCnchen-cert.pem"),
            (
                "a\"b\\c\r\nX: y%41.pem",
                "attachment; filename=\"a_b_c__X: y_41.pem\"; filename*=UTF-8''a%22b%5Cc%0D%0AX%3A%20y%2541.pem",
            ),
        ] {
            assert_eq!(content_disposition(name), header);
        }
    }

    #[test]
    fn the_digest_is_the_one_of_the_standard() {
        // RFC 9530 appendix B.1.
        assert_eq!(
            content_digest(b"{\"hello\": \"world\"}\n"),
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
        );
    }
}
