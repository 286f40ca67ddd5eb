//! Which characters people may write where others read it: the one owner of that rule. Pure.
//!
//! A reason is read by an approver at a terminal (`kubectl describe`), in a chat, in a log. A control character moves the
//! cursor or hides what was there; a format character turns the order of the letters round, or is not seen at all. The
//! API server refuses them in what is written ([`no_hidden`], [`hidden_pattern`]); what was there before, or came in while a
//! policy was not in force, is made visible where it is shown ([`shown`], [`escaped`]).

mod ranges;

use std::{borrow::Cow, fmt::Write as _};

use self::ranges::{HIDDEN, MARKS};

/// As many marks on one letter as writing needs; more grow over the lines above and below it.
const MOST_MARKS: usize = 6;

/// What these characters match, as RE2 and so CEL's `matches` has it. From the ranges, not from RE2's classes: those are of
/// the version of Unicode that the API server has. Only what is a mark is asked of it, because the list is long.
#[must_use]
pub fn hidden_pattern() -> String {
    let mut pattern = String::from("[");
    for range in HIDDEN.chunks_exact(2) {
        // Writing to a String cannot fail.
        let _ = match range {
            [first, last] if first == last => write!(pattern, r"\x{{{first:X}}}"),
            [first, last] => write!(pattern, r"\x{{{first:X}}}-\x{{{last:X}}}"),
            _ => Ok(()),
        };
    }
    let _ = write!(pattern, r"]|\pM{{{}}}", MOST_MARKS + 1);
    pattern
}

/// The rule of a field, in CEL.
#[must_use]
pub fn no_hidden() -> String {
    format!("!self.matches('{}')", hidden_pattern().replace('\\', r"\\"))
}

/// The rule of a field that holds only characters of 16 bits, too.
#[must_use]
pub fn no_hidden_of_16_bits() -> String {
    format!("!self.matches('{}')", (hidden_pattern() + r"|[\x{10000}-\x{10FFFF}]").replace('\\', r"\\"))
}

/// What someone is told who wrote such a character.
pub const NO_HIDDEN_MESSAGE: &str = "this text is read by others: write it on one line, without control characters, \
                                     invisible characters, characters that change the direction of writing, and more \
                                     than 6 marks on a letter";

fn is_in(ranges: &[u32], c: char) -> bool {
    let c = u32::from(c);
    // Behind an odd number of bounds: in a range, or on its last character.
    let before = ranges.partition_point(|bound| *bound < c);
    before % 2 == 1 || ranges.get(before) == Some(&c)
}

/// Whether no one sees this character, or it changes how others are seen.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    is_in(&HIDDEN, c)
}

/// Each character, and whether it should not be there: it is hidden, or one mark too many.
fn judged(text: &str) -> impl Iterator<Item = (char, bool)> {
    text.chars().scan(0, |marks, c| {
        *marks = if !c.is_ascii() && is_in(&MARKS, c) { *marks + 1 } else { 0 };
        Some((c, is_hidden(c) || *marks > MOST_MARKS))
    })
}

/// Whether a text holds what [`hidden_pattern`] matches.
#[must_use]
pub fn has_hidden(text: &str) -> bool {
    judged(text).any(|(_, hidden)| hidden)
}

/// The text on one line, for people: a line break or another control character is a blank, and where a character was
/// that no one would see, something is seen.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !has_hidden(text) {
        return Cow::Borrowed(text);
    }
    let seen = |(c, hidden): (char, bool)| match c {
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => ' ',
        _ if hidden => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(judged(text).map(seen).collect())
}

/// JSON with such characters as `\u` escapes: the same document, and nothing in it moves a cursor. Only strings can hold
/// them; the text must have no line break between its parts.
#[must_use]
pub fn escaped(json: String) -> String {
    if !has_hidden(&json) {
        return json;
    }
    let mut text = String::with_capacity(json.len() + 16);
    for (c, hidden) in judged(&json) {
        if hidden {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// From attacks: a cleared screen, a title, text turned round, text that is not there.
    const ATTACKS: [char; 30] = [
        '\u{3164}',
        '\u{115f}',
        '\u{ffa0}',
        '\u{2800}',
        '\u{ad}',
        '\u{fe0f}',
        '\u{e0141}',
        '\u{34f}',
        '\u{180b}',
        '\u{17b4}',
        '\u{e000}',
        '\u{fffc}',
        '\u{fffe}',
        '\u{10ffff}',
        '\u{f0000}',
        '\u{50000}',
        '\u{1b}',
        '\u{7}',
        '\n',
        '\r',
        '\u{7f}',
        '\u{9b}',
        '\u{85}',
        '\u{202e}',
        '\u{2066}',
        '\u{2069}',
        '\u{200b}',
        '\u{200f}',
        '\u{feff}',
        '\u{2028}',
    ];

    #[test]
    fn what_nobody_sees_is_made_visible_and_what_people_write_stays() {
        for c in ATTACKS {
            let text = format!("a{c}b");
            assert!(is_hidden(c), "{c:?}");
            assert!(!shown(&text).chars().any(is_hidden), "{c:?}");
            assert_ne!(shown(&text), "ab", "{c:?} leaves a trace");
        }
        for text in ["INC-4211: für F5, 重要, بسبب, 🔑 ‘so’ – “и”", ""] {
            assert!(matches!(shown(text), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert_eq!(shown("line\nbreak\u{200b}!"), "line break\u{fffd}!");
    }

    #[test]
    fn json_stays_the_same_document_without_a_character_that_moves_the_cursor() {
        for c in ATTACKS.into_iter().chain(['\u{e0041}', '\u{1d173}']) {
            let value = serde_json::json!({"reason": format!("a{c}b")});
            let text = escaped(value.to_string());
            assert!(!text.chars().any(is_hidden), "{text:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }

    fn ranges_of(pattern: &str) -> Vec<u32> {
        let hir = regex_syntax::parse(pattern).unwrap();
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = hir.kind() else { panic!() };
        class.ranges().iter().flat_map(|range| [range.start().into(), range.end().into()]).collect()
    }

    /// Every character: what Rust says, what the API server's pattern says, and what Unicode says.
    #[test]
    fn rust_and_the_api_server_agree_on_every_character_and_the_lists_are_unicodes() {
        let pattern = hidden_pattern();
        let (class, marks) = pattern.rsplit_once('|').unwrap();
        assert_eq!((ranges_of(class), marks), (HIDDEN.to_vec(), r"\pM{7}"));
        assert_eq!(ranges_of(r"\pM"), MARKS);
        let unicode = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]";
        let blank = r"[\x{2800}\x{FFFC}\x{1D159}\x{3FFFE}-\x{10FFFF}]";
        assert_eq!(ranges_of(&format!("[{unicode}{blank}]")), HIDDEN);
        for ranges in [&HIDDEN[..], &MARKS[..]] {
            let within: BTreeSet<u32> = ranges.chunks(2).flat_map(|range| range[0]..=range[1]).collect();
            let found = ('\0'..=char::MAX).filter(|c| is_in(ranges, *c)).map(u32::from);
            let of_rust: BTreeSet<u32> = found.collect();
            assert_eq!(of_rust.symmetric_difference(&within).count(), 0);
        }
        assert!(('\0'..='\u{7f}').all(|c| is_hidden(c) == is_in(&HIDDEN, c)));
    }

    #[test]
    fn marks_grow_over_no_other_line_and_those_of_writing_stay() {
        let marked = |count: usize| format!("a{}b", "\u{338}".repeat(count));
        assert!(!has_hidden(&marked(MOST_MARKS)) && has_hidden(&marked(MOST_MARKS + 1)));
        assert_eq!(shown(&marked(8)), marked(6).replace('b', "\u{fffd}\u{fffd}b"));
        // Vietnamese, Hebrew, Thai, Devanagari, Burmese, Tibetan.
        for text in ["Vie\u{302}\u{323}t", "בְּרֵאשִׁ֖ית", "ที่นี้", "क्षत्रिय", "ကျွန်ုပ်", "བསྒྲུབས"]
        {
            assert!(!has_hidden(text), "{text}");
        }
    }
}
