//! PEM as it is found in the wild, and PEM as `openssl` writes it.
//!
//! Reading tolerates line ends of every system, a byte order mark, indentation, text between blocks
//! and blocks that follow each other without a line end. It gives blocks, not certificates: what a
//! label means is the caller's business. Blocks that are lost because their `BEGIN` line is damaged are told, too.

mod lost;

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

pub(crate) use self::lost::Lost;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Labels are short words; anything longer is a stray marker in some text.
const LONGEST_LABEL: usize = 64;

/// Line length of PEM bodies. Source: RFC 7468 §2.
const LINE: usize = 64;

/// One `BEGIN`…`END` block, not decoded yet.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// `CERTIFICATE`, `EC PRIVATE KEY`, …
    pub(crate) label: &'a str,
    body: Body<'a>,
}

#[derive(Clone, Copy)]
enum Body<'a> {
    Complete(&'a [u8]),
    CutOff,
}

/// What a text is made of, as far as it matters.
#[derive(Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// A block.
    Block(Block<'a>),
    /// What was meant to be one.
    Lost(Lost<'a>),
}

/// Why a block cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockError {
    /// There is no matching `END` line.
    CutOff,
    /// The body is not base64.
    NotBase64,
}

impl Block<'_> {
    /// Whether the block is encrypted in the way of old OpenSSL (RFC 1421 §4.6.1.1).
    pub(crate) fn has_encryption_header(&self) -> bool {
        match self.body {
            Body::Complete(body) => {
                lines(body).map_while(header).any(|(name, text)| name == b"Proc-Type" && text.ends_with(b"ENCRYPTED"))
            }
            Body::CutOff => false,
        }
    }

    /// The bytes that the block carries.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, BlockError> {
        let Body::Complete(body) = self.body else {
            return Err(BlockError::CutOff);
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(body.len()));
        for line in lines(body).skip_while(|line| header(line).is_some()) {
            bytes.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
        }
        // Constant-time: the body may be a key.
        let length = Base64::decode_in_place(&mut bytes).map_err(|_| BlockError::NotBase64)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

/// `Name: text`, which never is base64.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// Every block of a text, in order.
pub(crate) fn blocks(text: &[u8]) -> impl Iterator<Item = Block<'_>> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Block(block) => Some(block),
        Piece::Lost(_) => None,
    })
}

/// Every block of a text, and every one that is lost, in order.
pub(crate) fn pieces(text: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let (mut between, mut next, mut rest): (&[u8], Option<Block<'_>>, &[u8]) = (b"", None, text);
    std::iter::from_fn(move || {
        loop {
            if let Some(lost) = lost::next(&mut between) {
                return Some(Piece::Lost(lost));
            }
            if let Some(block) = next.take() {
                return Some(Piece::Block(block));
            }
            if rest.is_empty() {
                return None;
            }
            (between, next, rest) = first_block(rest);
        }
    })
}

/// The text before the first block, that block, and the text behind it.
fn first_block(text: &[u8]) -> (&[u8], Option<Block<'_>>, &[u8]) {
    let mut position = 0;
    while let Some(found) = find(&text[position..], BEGIN) {
        let start = position + found;
        let starts_a_line = starts_a_line(&text[position..start]);
        position = start + BEGIN.len();
        let Some(label) = label(&text[position..]).filter(|_| starts_a_line) else {
            continue;
        };
        let rest = &text[position + label.len() + DASHES.len()..];
        let limit = find(rest, BEGIN).unwrap_or(rest.len());
        let (body, after) = match split_at_end(rest, limit, label) {
            Some((body, after)) => (Body::Complete(body), after),
            // The END line of another kind may be that of a block that is lost in here.
            None => (Body::CutOff, &rest[find(&rest[..limit], END).unwrap_or_else(|| line_of(rest, limit))..]),
        };
        return (&text[..start], Some(Block { label, body }), after);
    }
    (text, None, b"")
}

/// Whether only indentation, or a byte order mark, is between the start of the line and here.
/// The empty text counts: it is the start of the file, or the end of the block before.
fn starts_a_line(before: &[u8]) -> bool {
    let line = before[line_of(before, before.len())..].trim_ascii();
    line.is_empty() || line == b"\xef\xbb\xbf"
}

/// Where the line of a position begins.
fn line_of(text: &[u8], position: usize) -> usize {
    text[..position].iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |end| end + 1)
}

fn label(rest: &[u8]) -> Option<&str> {
    let window = &rest[..rest.len().min(LONGEST_LABEL + DASHES.len())];
    let label = std::str::from_utf8(&window[..find(window, DASHES)?]).ok()?;
    label.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()).then_some(label)
}

/// The body up to the `END` line of this label, and what follows that line.
fn split_at_end<'a>(rest: &'a [u8], limit: usize, label: &str) -> Option<(&'a [u8], &'a [u8])> {
    let end = find(&rest[..limit], END)?;
    let after = rest[end + END.len()..].strip_prefix(label.as_bytes())?.strip_prefix(DASHES)?;
    Some((&rest[..end], after))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Appends one block, as `openssl` writes it: lines of 64 characters that end in `\n`.
pub(crate) fn write(text: &mut Zeroizing<String>, label: &str, bytes: &[u8]) {
    let base64 = Zeroizing::new(Base64::encode_string(bytes));
    let needed = base64.len() + base64.len() / LINE + 2 * label.len() + 40;
    if text.capacity() - text.len() < needed {
        // Growing in place would leave a copy of what is there, perhaps of a key, unerased.
        let mut larger = Zeroizing::new(String::with_capacity(2 * text.capacity() + needed));
        larger.push_str(text);
        *text = larger;
    }
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so that every position is one between characters.
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8]) -> Vec<(String, Result<Vec<u8>, BlockError>)> {
        blocks(text)
            .map(|block| {
                let bytes = block.decode().map(|bytes| bytes.to_vec());
                (block.label.to_owned(), bytes)
            })
            .collect()
    }

    fn hello() -> Vec<(String, Result<Vec<u8>, BlockError>)> {
        vec![("X".to_owned(), Ok(b"hello".to_vec()))]
    }

    #[test]
    fn text_as_it_is_found_in_the_wild_is_read() {
        for text in [
            &b"-----BEGIN X-----\naGVsbG8=\n-----END X-----\n"[..],
            b"-----BEGIN X-----\r\naGVs\r\nbG8=\r\n-----END X-----\r\n",
            b"-----BEGIN X-----\raGVsbG8=\r-----END X-----",
            b"\xef\xbb\xbf-----BEGIN X-----\naGVsbG8=\n-----END X-----",
            b"Bag Attributes\n  friendlyName: x\nsubject=CN=x\n-----BEGIN X-----\naGVsbG8=\n-----END X-----\ntrailing \xff garbage",
            b"  -----BEGIN X-----\n  aGVs bG8=  \n\n  -----END X-----\n",
            b"-----BEGIN X-----\nName: value\n\naGVsbG8=\n-----END X-----",
            b"# see -----BEGIN Y----- below\n-----BEGIN X-----\naGVsbG8=\n-----END X-----",
        ] {
            assert_eq!(decoded(text), hello(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn blocks_joined_without_a_line_end_are_both_read() {
        let text = b"-----BEGIN X-----\naGVsbG8=\n-----END X----------BEGIN X-----\naGVsbG8=\n-----END X-----";
        assert_eq!(decoded(text), [hello(), hello()].concat());
    }

    #[test]
    fn a_block_that_is_cut_off_is_told_from_one_that_is_not_base64() {
        for (text, error) in [
            (&b"-----BEGIN X-----\naGVsbG8="[..], BlockError::CutOff),
            (b"-----BEGIN X-----\naGVsbG8=\n-----END Y-----", BlockError::CutOff),
            (b"-----BEGIN X-----\naGVsbG8\n-----END X-----", BlockError::NotBase64),
            (b"-----BEGIN X-----\n\xff\xfe\n-----END X-----", BlockError::NotBase64),
        ] {
            assert_eq!(decoded(text), [("X".to_owned(), Err(error))]);
        }
    }

    #[test]
    fn a_block_after_one_that_is_cut_off_is_still_found() {
        let text = b"-----BEGIN X-----\naGVs\n-----BEGIN X-----\naGVsbG8=\n-----END X-----";
        assert_eq!(decoded(text), [vec![("X".to_owned(), Err(BlockError::CutOff))], hello()].concat());
    }

    #[test]
    fn the_encryption_header_of_old_openssl_is_seen() {
        let text = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\naGVsbG8=\n-----END RSA PRIVATE KEY-----";
        assert!(blocks(text).all(|block| block.has_encryption_header()));
        assert!(!blocks(b"-----BEGIN X-----\naGVsbG8=\n-----END X-----").any(|block| block.has_encryption_header()));
    }

    #[test]
    fn what_is_written_reads_back() {
        for length in [0, 1, 47, 48, 49, 1_000] {
            let bytes = vec![0xa5; length];
            let mut text = Zeroizing::new(String::new());
            write(&mut text, "X", &bytes);
            assert_eq!(decoded(text.as_bytes()), [("X".to_owned(), Ok(bytes))]);
            assert!(text.lines().all(|line| line.len() <= LINE));
        }
    }
}
