//! Which characters people may write where others read it: the one owner of that rule. Pure.
//!
//! A reason is read by an approver at a terminal (`kubectl describe`), in a chat, in a log. A control character moves the
//! cursor or hides what was there; a format character turns the order of the letters round, or is not seen at all. The
//! API server refuses them in what is written ([`NO_HIDDEN`], [`HIDDEN`]); what was there before, or came in while a
//! policy was not in force, is made visible where it is shown ([`shown`], [`escaped`]).

use std::{borrow::Cow, fmt::Write as _};

/// The class of these characters, as RE2 and so CEL's `matches` has it.
pub const HIDDEN: &str = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]";

/// The rule of a field, in CEL.
pub const NO_HIDDEN: &str = r"!self.matches('[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]')";

/// What someone is told who wrote such a character.
pub const NO_HIDDEN_MESSAGE: &str = "this text is read by others: write it on one line, without control characters, \
                                     invisible characters and characters that change the direction of writing";

/// General category Cf, and the two separators Zl and Zp, as of Unicode 16; sorted.
const FORMAT: [(char, char); 21] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];

/// Whether no one sees this character, or it changes how others are seen.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control() || FORMAT.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The text on one line, for people: a line break or another control character is a blank, and where a character was
/// that no one would see, something is seen.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let seen = |c: char| match c {
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => ' ',
        c if is_hidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(text.chars().map(seen).collect())
}

/// JSON with such characters as `\u` escapes: the same document, and nothing in it moves a cursor. Only strings can hold
/// them; the text must have no line break between its parts.
#[must_use]
pub fn escaped(json: String) -> String {
    if !json.chars().any(is_hidden) {
        return json;
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
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
    use super::*;

    /// From attacks: a cleared screen, a title, text turned round, text that is not there.
    const ATTACKS: [char; 14] = [
        '\u{1b}', '\u{7}', '\n', '\r', '\u{7f}', '\u{9b}', '\u{85}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200b}',
        '\u{200f}', '\u{feff}', '\u{2028}',
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

    /// The list is the one of Unicode that the test's own library of patterns has, so that Rust and the API server agree.
    #[test]
    fn the_list_is_unicodes() {
        use proptest::{strategy::ValueTree as _, test_runner::TestRunner};

        let mut runner = TestRunner::deterministic();
        let hidden = proptest::string::string_regex(HIDDEN).unwrap();
        let others = proptest::string::string_regex(r"[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]").unwrap();
        for _ in 0..5_000 {
            let text = proptest::strategy::Strategy::new_tree(&hidden, &mut runner).unwrap().current();
            assert!(text.chars().all(is_hidden), "{text:?}");
            let text = proptest::strategy::Strategy::new_tree(&others, &mut runner).unwrap().current();
            assert!(!text.chars().any(is_hidden), "{text:?}");
        }
    }
}
