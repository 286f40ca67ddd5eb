//! What is printed: never a secret, always a next step.

use std::fmt::Write as _;

use certcourier_bundle::{
    Artifact, EnvironmentMaterial, Format, Limits, Passphrase, PassphraseError, Randomness, RandomnessError,
    RenderError, RenderOptions, generate_passphrase, render,
};

use crate::pki::{Counter, Hierarchy, PASSPHRASE, fixture, fixture_keys, options, parse, refused, render_with};

/// Words with which every message for a person tells what to do.
const NEXT_STEPS: [&str; 14] = [
    "store",
    "keep",
    "convert",
    "look at",
    "add",
    "ask for",
    "use",
    "give",
    "choose",
    "remove",
    "shorten",
    "rename",
    "save",
    "create it again",
];

#[track_caller]
fn assert_names_a_next_step(message: &str) {
    assert!(NEXT_STEPS.iter().any(|step| message.contains(step)), "no next step in: {message}");
    assert!(!message.contains('\n'), "{message}");
    assert!(message.starts_with(|first: char| first.is_lowercase() || first.is_ascii_digit()), "{message}");
}

#[test]
fn a_refused_key_is_never_quoted() {
    let certificate = fixture("certificates/p256.pem");
    for name in fixture_keys("refused.") {
        let key = fixture(&format!("keys/{name}.pem"));
        let error = refused(parse(&certificate, Some(&key), None));
        let printed = format!("{error} {error:?} {}", error.reason());
        assert_names_a_next_step(&error.to_string());
        for line in key.lines().filter(|line| !line.contains('-')) {
            assert!(line.is_empty() || !printed.contains(line), "{name}: {printed}");
        }
    }
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let material = Hierarchy::new().material();
    let options = options();
    let mut printed = format!("{options:?} {:?}", Limits::default());
    for format in Format::ALL {
        let artifact: Artifact = render_with(format, &material, &options).expect("a file");
        write!(printed, "{artifact:?}").expect("text");
    }
    assert!(!printed.contains(PASSPHRASE), "{printed}");
    assert!(!printed.contains("BEGIN"), "{printed}");
    assert!(printed.contains("Passphrase(redacted)"), "{printed}");
    assert!(printed.contains("api-key.pem"), "{printed}");
}

#[test]
fn every_refusal_to_render_names_a_next_step() {
    let h = Hierarchy::new();
    let lone = parse(&h.leaf.pem, None, Some("x")).unwrap_or_else(|error| panic!("{error}"));
    let broken = parse(&[&*h.leaf.pem, &h.upper.pem].concat(), None, None).unwrap_or_else(|error| panic!("{error}"));
    let nothing = RenderOptions::new("api");
    for (format, material, reason) in [
        (Format::Key, &lone, "NoPrivateKey"),
        (Format::Chain, &lone, "EmptyChain"),
        (Format::Ca, &lone, "NoCertificate"),
        (Format::Ca, &broken, "NoCa"),
        (Format::Fullchain, &broken, "BrokenChain"),
        (Format::Pkcs12, &h.material(), "PassphraseMissing"),
    ] {
        let error = render_with(format, material, &nothing).expect_err("refused");
        assert_eq!(error.reason(), reason);
        assert_names_a_next_step(&error.to_string());
    }
    let error = render(Format::Cert, &[], &nothing, &mut Counter::default()).expect_err("refused");
    assert_names_a_next_step(&error.to_string());
}

#[test]
fn a_passphrase_is_printable_ascii_and_never_empty() {
    for (text, error) in [
        ("", PassphraseError::Empty),
        ("pässword", PassphraseError::NotAscii),
        ("🔑", PassphraseError::NotAscii),
        ("two\nlines", PassphraseError::ControlCharacter),
        ("tab\t", PassphraseError::ControlCharacter),
        ("nul\0", PassphraseError::ControlCharacter),
    ] {
        let refusal = Passphrase::new(text.to_owned()).expect_err("refused");
        assert_eq!(refusal, error, "{text:?}");
        assert_names_a_next_step(&refusal.to_string());
    }
    assert_eq!(Passphrase::new("x".repeat(1_025)).expect_err("refused"), PassphraseError::TooLong);
    for text in ["x", " spaces are fine ", "~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./"] {
        let passphrase = Passphrase::new(text.to_owned()).expect("accepted");
        assert_eq!((passphrase.reveal(), passphrase.length()), (text, text.len()));
    }
}

#[test]
fn the_line_end_of_a_file_is_not_part_of_the_passphrase() {
    for content in [&b"secret"[..], b"secret\n", b"secret\r\n"] {
        assert_eq!(Passphrase::from_file(content).expect("accepted").reveal(), "secret");
    }
    for (content, error) in [
        (&b""[..], PassphraseError::Empty),
        (b"\n", PassphraseError::Empty),
        (b"secret\n\n", PassphraseError::ControlCharacter),
        (b"\xff\xfe", PassphraseError::NotAscii),
    ] {
        assert_eq!(Passphrase::from_file(content).expect_err("refused"), error);
    }
}

/// The same byte for ever.
struct Always(u8);

impl Randomness for Always {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
        buffer.fill(self.0);
        Ok(())
    }
}

#[test]
fn generated_passphrases_have_24_characters_each_as_likely_as_any_other() {
    let mut bytes_of = std::collections::BTreeMap::new();
    for byte in 0..=u8::MAX {
        let Ok(passphrase) = generate_passphrase(&mut Always(byte)) else { continue };
        assert_eq!(passphrase.length(), 24);
        let characters: std::collections::BTreeSet<char> = passphrase.reveal().chars().collect();
        assert_eq!(characters.len(), 1);
        *bytes_of.entry(characters.first().copied()).or_insert(0) += 1;
    }
    // 4 of 256 byte values stand for each of 56 characters, and 32 for none.
    assert_eq!(bytes_of.len(), 56);
    assert!(bytes_of.values().all(|count| *count == 4), "{bytes_of:?}");
    let characters: String = bytes_of.keys().flatten().collect();
    assert!(characters.chars().all(|character| character.is_ascii_alphanumeric()), "{characters}");
    assert!(!characters.contains(['0', 'O', 'o', '1', 'I', 'l']), "{characters}");
}

#[test]
fn two_generated_passphrases_differ() {
    let mut random = Counter::default();
    let one = generate_passphrase(&mut random).expect("a passphrase");
    let two = generate_passphrase(&mut random).expect("a passphrase");
    assert_ne!(one.reveal(), two.reveal());
}

struct Broken;

impl Randomness for Broken {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), RandomnessError> {
        Err(RandomnessError::new("no entropy"))
    }
}

#[test]
fn without_randomness_there_is_no_passphrase_and_no_file() {
    assert!(generate_passphrase(&mut Broken).is_err());
    assert!(generate_passphrase(&mut Always(0xff)).is_err());
    let material = Hierarchy::new().material();
    let one = EnvironmentMaterial { environment: "production", material: &material };
    for format in [Format::Pkcs12, Format::Zip] {
        assert!(matches!(render(format, &[one], &options(), &mut Broken), Err(RenderError::Randomness(_))));
    }
    assert!(render(Format::Key, &[one], &options(), &mut Broken).is_ok());
}
