//! Blocks that were meant to be there and cannot be read: their `BEGIN` line is damaged, or something is in front of
//! it.
//!
//! OpenSSL skips such blocks without a word, and a file then lacks a certificate that its owner believes is in it. What
//! people write around blocks is harmless, also where it mentions `BEGIN` or `END`: a lost block is told by what only a
//! block has, which is an `END` line of its own, or base64 of DER.

use super::{BEGIN, DASHES, END, find, label};

/// Base64 of a DER sequence whose length needs a byte of its own begins so, whatever is in it.
const DER: &[u8] = b"MI";

/// So much base64 in one piece is not a word of a text.
const SHORTEST_DATA: usize = 40;

/// A block without a `BEGIN` line that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost<'a> {
    /// What its `END` line says, if it has one.
    pub(crate) label: Option<&'a str>,
}

/// Takes the first lost block off a text between blocks. Without one the whole text is taken.
pub(super) fn next<'a>(text: &mut &'a [u8]) -> Option<Lost<'a>> {
    while !text.is_empty() {
        let (line, after) = first_line(text);
        if is_comment(line) || !is_of_a_block(line) {
            *text = after;
            continue;
        }
        let (label, rest) = ending(text);
        *text = rest;
        return Some(Lost { label });
    }
    None
}

fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// Whether someone took the line out of use, or explains something.
fn is_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.starts_with(b"#") || line.starts_with(b";") || line.starts_with(b"//")
}

/// Whether only a block has such a line.
fn is_of_a_block(line: &[u8]) -> bool {
    let mut pieces = line.split(|byte| !is_base64(*byte)).filter(|piece| piece.len() >= SHORTEST_DATA);
    if pieces.clone().any(|piece| piece.starts_with(DER)) {
        return true;
    }
    let Some(end) = find_end(line) else { return false };
    // Quotes, commas, dashes and invisible characters before `END` are the damage itself; a word makes it a sentence.
    let is_a_sentence = line[..end].iter().any(u8::is_ascii_alphanumeric);
    !is_a_sentence || pieces.next().is_some()
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Where a whole `END` line begins.
fn find_end(text: &[u8]) -> Option<usize> {
    let end = find(text, END)?;
    label(&text[end + END.len()..]).map(|_| end)
}

/// The label of the block whose line is the first of this text, and what follows the block.
fn ending(text: &[u8]) -> (Option<&str>, &[u8]) {
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = first_line(rest);
        if let Some(end) = find_end(line) {
            let named = label(&rest[end + END.len()..]);
            let length = named.map_or(0, |label| label.len() + DASHES.len());
            return (named, &rest[end + END.len() + length..]);
        }
        // The next block, or what is left of it.
        if rest.len() < text.len() && find(line, &BEGIN[DASHES.len()..]).is_some() {
            return (None, rest);
        }
        rest = after;
    }
    (None, rest)
}

#[cfg(test)]
mod tests {
    use crate::pem::{Piece, pieces};

    /// 64 characters, as every line of a certificate but the last one has them.
    const LINE: &str = "MIIBszCCAVmgAwIBAgIUFh3ka0jBvq3Y0a2vAAECAwQFBgcICQoLDA0ODxAREhMU";

    fn lost(text: &str) -> Vec<Option<String>> {
        pieces(text.as_bytes())
            .filter_map(|piece| match piece {
                Piece::Lost(lost) => Some(lost.label.map(str::to_owned)),
                Piece::Block(_) => None,
            })
            .collect()
    }

    fn block(begin: &str, end: &str) -> String {
        format!("{begin}\n{LINE}\nq1Y0\n{end}\n")
    }

    const WHOLE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";

    #[test]
    fn a_block_whose_begin_line_is_damaged_is_lost_wherever_it_stands() {
        let end = "-----END CERTIFICATE-----";
        for begin in [
            "----BEGIN CERTIFICATE-----",
            "------BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE----",
            "-----BEGIN CERTIFICATE",
            "-----BEGINCERTIFICATE-----",
            "-----begin certificate-----",
            "\"-----BEGIN CERTIFICATE-----",
            "tls.crt: -----BEGIN CERTIFICATE-----",
            "\u{200b}-----BEGIN CERTIFICATE-----",
            "\u{a0}-----BEGIN CERTIFICATE-----",
            "–––––BEGIN CERTIFICATE–––––",
            ",-----BEGIN CERTIFICATE-----",
            "subject=CN=x -----BEGIN CERTIFICATE-----",
            "",
        ] {
            let damaged = block(begin, end);
            for text in [damaged.clone(), format!("{WHOLE}\n{damaged}"), format!("{WHOLE}{damaged}{WHOLE}")] {
                assert_eq!(lost(&text), [Some("CERTIFICATE".to_owned())], "{text}");
            }
        }
    }

    #[test]
    fn a_block_that_lost_both_its_lines_or_all_line_ends_is_lost_too() {
        for (text, label) in [
            (format!("{WHOLE}\n{LINE}\nq1Y0\n"), None),
            (block("----BEGIN CERTIFICATE-----", "----END CERTIFICATE-----"), None),
            (format!("----BEGIN CERTIFICATE-----{LINE}q1Y0-----END CERTIFICATE-----"), Some("CERTIFICATE")),
            (
                format!("\"-----BEGIN CERTIFICATE-----\\n{LINE}\\nq1Y0\\n-----END CERTIFICATE-----\""),
                Some("CERTIFICATE"),
            ),
            (format!("> -----BEGIN CERTIFICATE-----\n> {LINE}\n> -----END CERTIFICATE-----"), Some("CERTIFICATE")),
            ("----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_owned(), Some("CERTIFICATE")),
            ("-----END CERTIFICATE-----\nAAAA\n-----BEGIN CERTIFICATE-----".to_owned(), Some("CERTIFICATE")),
        ] {
            assert_eq!(lost(&text), [label.map(str::to_owned)], "{text}");
        }
    }

    #[test]
    fn the_label_is_that_of_the_same_block() {
        let key = block("----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        assert_eq!(lost(&key), [Some("PRIVATE KEY".to_owned())]);
        let unended = format!("----BEGIN CERTIFICATE-----\n{LINE}\n");
        assert_eq!(lost(&format!("{unended}{key}")), [None, Some("PRIVATE KEY".to_owned())]);
        let cut_off = "-----BEGIN PRIVATE KEY-----\nAAAA\n";
        let certificate = block("----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        assert_eq!(lost(&format!("{cut_off}{certificate}")), [Some("CERTIFICATE".to_owned())]);
    }

    #[test]
    fn words_about_blocks_and_blocks_out_of_use_are_harmless() {
        for text in [
            "# see -----BEGIN CERTIFICATE----- below",
            "everything from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE----- is the leaf",
            "; -----END CERTIFICATE-----",
            "// the -----END CERTIFICATE----- is above",
            "the -----END CERTIFICATE----- is above",
            "SHA256 Fingerprint=9D:1B, 9d1bdc1f24f3b1c2a5d77dffb1e9dd3f0a8d2b3c4d5e6f708192a3b4c5d6e7f8",
            "-----END",
            "-----END \n-----",
            "MIT licence",
        ] {
            assert_eq!(lost(&format!("{WHOLE}\n{text}\n{WHOLE}\n{text}")), [], "{text}");
        }
        let commented = block("# -----BEGIN CERTIFICATE-----", "# -----END CERTIFICATE-----").replace(LINE, "# data");
        assert_eq!(lost(&commented.replace("q1Y0", "# q1Y0")), []);
    }
}
