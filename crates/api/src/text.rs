//! Which characters people may write where others read it: the one owner of that rule. Pure.
//!
//! A reason is read by an approver at a terminal (`kubectl describe`), in a chat, in a log. A control character moves the
//! cursor or hides what was there; a format character turns the order of the letters round, or is not seen at all. The
//! API server refuses them in what is written ([`no_hidden`]); what was there before, or came in while a policy was not in
//! force, is made visible where it is shown ([`shown`], [`escaped`]).

mod ranges;

use std::{borrow::Cow, fmt::Write as _};

use self::ranges::{HIDDEN, MARKS, SYMBOLS};

/// As many marks on one letter as writing needs; more grow over the lines above and below it.
const MOST_MARKS: usize = 6;

/// "As an emoji": keyboards of phones write it behind ⚠ and ❤. Behind a symbol one is fine, and nowhere else: there is
/// nothing to see of it.
const EMOJI_SELECTOR: char = '\u{fe0f}';

/// What matches these characters, as RE2 and so CEL's `matches` has it. From the ranges, not from RE2's classes: those are
/// of the version of Unicode that the API server has. Only what is a mark is asked of it, because the list is long.
fn hidden_pattern() -> String {
    let (hidden, symbols) = (class(&HIDDEN), class(&SYMBOLS));
    format!(r"[{hidden}]|\pM{{{}}}|(?:^|[^{symbols}]){EMOJI_SELECTOR}", MOST_MARKS + 1)
}

/// What stands between the brackets of a class: the characters themselves. As `\x{115F}` each would be eight, and what a
/// rule costs by the API server's estimate grows with the length of its pattern: for 256 votes it would be over the limit.
fn class(ranges: &[u32]) -> String {
    let mut class = String::new();
    for range in ranges.chunks_exact(2) {
        let mut bounds = range.iter().copied().filter_map(char::from_u32);
        let (first, last) = (bounds.next(), bounds.next());
        class.extend(first);
        if first != last {
            class.push('-');
            class.extend(last);
        }
    }
    class
}

/// A string literal of CEL, in ASCII that can be seen: CEL reads its escapes before RE2 sees the pattern.
fn literal(pattern: &str) -> String {
    let mut literal = String::from("'");
    for c in pattern.chars() {
        // Writing to a String cannot fail.
        let _ = match (c, u32::from(c)) {
            ('\\' | '\'', _) => write!(literal, r"\{c}"),
            (' '..='~', _) => write!(literal, "{c}"),
            (_, code @ ..=0xffff) => write!(literal, r"\u{code:04x}"),
            (_, code) => write!(literal, r"\U{code:08x}"),
        };
    }
    literal.push('\'');
    literal
}

/// The rule in CEL that this text holds no such character.
#[must_use]
pub fn no_hidden(text: &str) -> String {
    format!("!{text}.matches({})", literal(&hidden_pattern()))
}

/// The rule of a field that holds only characters of 16 bits, too.
#[must_use]
pub fn no_hidden_of_16_bits() -> String {
    format!("!self.matches({})", literal(&(hidden_pattern() + "|[\u{10000}-\u{10ffff}]")))
}

/// What someone is told who wrote such a character.
pub const NO_HIDDEN_MESSAGE: &str = "this text is read by others: write it on one line, without control characters, \
                                     characters that change the direction of writing, invisible ones (fillers, \
                                     joiners, variation selectors), private-use ones, and more than 6 marks on one \
                                     letter; an emoji of one symbol is fine";

fn is_in(ranges: &[u32], c: char) -> bool {
    let c = u32::from(c);
    // Behind an odd number of bounds: in a range, or on its last character.
    let before = ranges.partition_point(|bound| *bound < c);
    before % 2 == 1 || ranges.get(before) == Some(&c)
}

/// Whether no one sees this character, or it changes how others are seen, wherever it stands.
fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    is_in(&HIDDEN, c)
}

/// Each character, and whether it should not be there: it is hidden, one mark too many, or a selector without its symbol.
fn judged(text: &str) -> impl Iterator<Item = (char, bool)> {
    text.chars().scan((0, false), |(marks, after_symbol), c| {
        *marks = if !c.is_ascii() && is_in(&MARKS, c) { *marks + 1 } else { 0 };
        let stray = c == EMOJI_SELECTOR && !*after_symbol;
        *after_symbol = !c.is_ascii() && is_in(&SYMBOLS, c);
        Some((c, is_hidden(c) || stray || *marks > MOST_MARKS))
    })
}

/// Whether a text is one that [`no_hidden`] refuses.
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
        '\u{fe0e}',
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
        let (class, rest) = pattern.split_once(r"|\pM{7}|(?:^|").unwrap();
        let others = rest.strip_suffix(")\u{fe0f}").unwrap();
        assert_eq!(ranges_of(class), HIDDEN);
        assert_eq!(ranges_of(&others.replace("[^", "[")), SYMBOLS);
        assert_eq!(ranges_of(r"\pM"), MARKS);
        let unicode = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]";
        let blank = r"[\x{2800}\x{FFFC}\x{1D159}\x{3FFFE}-\x{10FFFF}]";
        assert_eq!(ranges_of(&format!(r"[{unicode}{blank}--\x{{FE0F}}]")), HIDDEN);
        for ranges in [&HIDDEN[..], &MARKS[..], &SYMBOLS[..]] {
            let within: BTreeSet<u32> = ranges.chunks(2).flat_map(|range| range[0]..=range[1]).collect();
            let found = ('\0'..=char::MAX).filter(|c| is_in(ranges, *c)).map(u32::from);
            let of_rust: BTreeSet<u32> = found.collect();
            assert_eq!(of_rust.symmetric_difference(&within).count(), 0);
        }
        assert!(('\0'..='\u{7f}').all(|c| is_hidden(c) == is_in(&HIDDEN, c)));
    }

    #[test]
    fn a_rule_is_written_in_characters_that_can_be_seen() {
        assert_eq!(literal("[a-\0©\u{e000}\u{10ffff}]\\pM'"), r"'[a-\u0000\u00a9\ue000\U0010ffff]\\pM\''");
        assert!(no_hidden("self").bytes().all(|byte| matches!(byte, b' '..=b'~')));
    }

    /// Where it would change nothing that is seen it is not needed, and behind a digit it makes a key of two more characters.
    #[test]
    fn the_emoji_selector_stands_once_behind_a_symbol_and_nowhere_else() {
        for text in ["⚠\u{fe0f}", "done ✔\u{fe0f}❤\u{fe0f}, see 🕵\u{fe0f}", "©\u{fe0f}"] {
            assert!(!has_hidden(text), "{text:?}");
        }
        for text in
            ["\u{fe0f}", "a\u{fe0f}", "⚠\u{fe0f}\u{fe0f}", "⚠\u{fe0e}", "⚠ \u{fe0f}", "1\u{fe0f}\u{20e3}", "字\u{fe0f}"]
        {
            assert!(has_hidden(text), "{text:?}");
            assert!(!has_hidden(&shown(text)), "{text:?}");
        }
        let takes_it = ranges_of(r"[\p{Emoji}--[\p{Emoji_Presentation}#*0-9]]");
        let symbol = |c: u32| char::from_u32(c).is_some_and(|c| is_in(&SYMBOLS, c));
        assert!(takes_it.chunks(2).all(|range| (range[0]..=range[1]).all(symbol)));
        // Nothing that is hidden by itself, no mark, and no letter of a script.
        let not = ranges_of(r"[\pM\p{script=Latin}\p{script=Greek}\p{script=Han}--[\x{2100}-\x{218F}]]");
        assert!(!not.chunks(2).any(|range| (range[0]..=range[1]).any(symbol)));
        assert!(!('\0'..=char::MAX).any(|c| is_hidden(c) && is_in(&SYMBOLS, c)));
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
