//! The form in which someone chooses a file: in a dialog of the certificate's page, and on a page of its own.

use serde::Deserialize;

use super::{
    page::Frame,
    words::{about, approvals},
};
use crate::{
    api::{
        Format,
        http::{MintBody, PassphraseText, Pkcs12Body, SecretText},
    },
    server::api::certificates::{CertificateView, mint::offers::Offers},
};

/// What can be chosen.
pub struct Choices {
    /// Where the form is sent.
    pub action: String,
    /// The mark of the visitor's forms.
    pub mark: String,
    /// Whether a passphrase can be given; else one is generated.
    pub takes_passphrase: bool,
    /// What is not known before one asks.
    pub open: Option<&'static str>,
    /// The files.
    pub files: Vec<File>,
    /// The environments, the chosen one first.
    pub environments: Vec<String>,
    /// Whether a reason must be given.
    pub reason_required: bool,
    /// The shortest passphrase.
    pub shortest: i32,
    /// Whether the Legacy profile may be asked for.
    pub allow_legacy: bool,
    /// How long a link is valid, and at most.
    pub lifetime: String,
    /// The longest.
    pub longest: String,
    /// What was chosen before, so that a mistake costs no one their input.
    pub kept: Kept,
}

/// A file that can be chosen.
pub struct File {
    /// Its format.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// What it is for.
    pub usage: &'static str,
    /// Whether the private key is in it.
    pub key: bool,
    /// Which approvals it needs, in words.
    pub approvals: Option<String>,
    /// Why it cannot be had.
    pub refusal: Option<String>,
    /// Whether it is chosen.
    pub checked: bool,
}

/// What someone chose. Never a passphrase.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The format.
    pub format: String,
    /// Why it is needed.
    pub reason: String,
    /// The name under which importers show it.
    pub friendly_name: String,
    /// How long the link should be valid.
    pub lifetime: String,
    /// Whether Legacy encryption was chosen.
    pub legacy: bool,
}

impl Choices {
    /// Of one environment of a certificate.
    #[must_use]
    pub fn new(frame: &Frame, certificate: &CertificateView, environment: &str, offers: &Offers) -> Self {
        let effective = offers.effective.as_ref();
        let mut environments: Vec<String> = certificate.environments.iter().map(|found| found.name.clone()).collect();
        environments.sort_by_key(|name| name != environment);
        let files = offers.formats.iter().map(|offer| {
            let about = about(offer.format);
            File {
                name: offer.format.name(),
                title: about.title,
                holds: about.holds,
                usage: about.usage,
                key: offer.format.holds_key(),
                approvals: (offer.approvals > 0).then(|| approvals(offer.approvals)),
                refusal: offer.refusal.clone(),
                checked: false,
            }
        });
        let choices = Self {
            action: format!(
                "{}projects/{}/certificates/{}/download",
                frame.root, certificate.project, certificate.name
            ),
            mark: frame.mark.clone(),
            takes_passphrase: offers.open.is_none(),
            open: offers.open,
            files: files.collect(),
            environments,
            reason_required: effective.is_some_and(|rules| rules.reason_required.value),
            shortest: effective.map_or(12, |rules| rules.passphrase_min_length.value),
            allow_legacy: effective.is_none_or(|rules| rules.allow_legacy.value),
            lifetime: effective.map(|rules| rules.ttl.value.to_string()).unwrap_or_default(),
            longest: effective.map(|rules| rules.max_ttl.value.to_string()).unwrap_or_default(),
            kept: Kept::default(),
        };
        choices.keeping(Kept { format: Format::Fullchain.name().to_owned(), ..Kept::default() })
    }

    /// The same with what was chosen before; what cannot be had is not chosen.
    #[must_use]
    pub fn keeping(mut self, kept: Kept) -> Self {
        let possible = |file: &File| file.refusal.is_none();
        let chosen = self.files.iter().position(|file| file.name == kept.format && possible(file));
        let chosen = chosen.or_else(|| self.files.iter().position(possible));
        for (number, file) in self.files.iter_mut().enumerate() {
            file.checked = Some(number) == chosen;
        }
        Self { kept, ..self }
    }

    /// Whether any file can be had.
    #[must_use]
    pub fn any(&self) -> bool {
        self.files.iter().any(|file| file.refusal.is_none())
    }
}

/// The form as it is sent. A checkbox or a field that was left out is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Chosen {
    format: String,
    environment: String,
    reason: String,
    /// `own` or anything else.
    passphrase_from: String,
    passphrase: SecretText,
    again: SecretText,
    legacy: String,
    friendly_name: String,
    lifetime: String,
}

impl Chosen {
    /// The environment.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// What to keep of it if something is wrong.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            format: self.format.clone(),
            reason: self.reason.clone(),
            friendly_name: self.friendly_name.clone(),
            lifetime: self.lifetime.clone(),
            legacy: !self.legacy.is_empty(),
        }
    }

    /// The same as a call of the API. Fields that are not for the chosen format are left out: a form shows them all where
    /// there is no script.
    ///
    /// # Errors
    /// What is wrong with the passphrase, in words.
    pub fn body(self) -> Result<MintBody, &'static str> {
        let filled = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let format: Option<Format> = self.format.parse().ok();
        let encrypted = format.is_some_and(Format::needs_passphrase);
        let own = encrypted && self.passphrase_from == "own";
        let passphrase = if own { twice(self.passphrase, self.again)? } else { PassphraseText::default() };
        let profile = (!self.legacy.is_empty()).then(|| "Legacy".to_owned());
        let pkcs12 = Pkcs12Body { profile, friendly_name: filled(self.friendly_name) };
        Ok(MintBody {
            format: self.format,
            environment: filled(self.environment).filter(|_| !format.is_some_and(Format::every_environment)),
            passphrase,
            reason: filled(self.reason),
            token_ttl: filled(self.lifetime),
            deadline: None,
            pkcs12: encrypted.then_some(pkcs12),
            pem: None,
        })
    }
}

/// A passphrase that was given twice.
///
/// # Errors
/// In words, that both are not the same, or that there is none.
pub fn twice(passphrase: SecretText, again: SecretText) -> Result<PassphraseText, &'static str> {
    let (passphrase, again) = (passphrase.into_redacted(), again.into_redacted());
    if passphrase.expose().is_empty() {
        return Err("there is no passphrase: type one twice, or have one generated");
    }
    if passphrase.expose() != again.expose() {
        return Err("the two passphrases are not the same: type both again");
    }
    Ok(PassphraseText::from(SecretText::from(passphrase)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(form: &str) -> Result<MintBody, &'static str> {
        serde_urlencoded::from_str::<Chosen>(form).unwrap().body()
    }

    #[test]
    fn a_form_becomes_a_call_of_the_api() {
        let whole = body(
            "format=pkcs12&environment=staging&reason=+INC-1+&passphrase_from=own&passphrase=correct+horse&again=correct+horse\
             &legacy=yes&friendly_name=api&lifetime=5m&mark=x",
        )
        .unwrap();
        assert_eq!((whole.format.as_str(), whole.environment.as_deref()), ("pkcs12", Some("staging")));
        assert_eq!((whole.reason.as_deref(), whole.token_ttl.as_deref()), (Some("INC-1"), Some("5m")));
        assert_eq!(whole.passphrase.passphrase().unwrap().unwrap().reveal(), "correct horse");
        let options = whole.pkcs12.unwrap();
        assert_eq!((options.profile.as_deref(), options.friendly_name.as_deref()), (Some("Legacy"), Some("api")));
    }

    #[test]
    fn what_is_not_for_the_chosen_file_is_left_out() {
        let cert =
            body("format=cert&environment=prod&passphrase_from=own&passphrase=a&again=b&legacy=yes&lifetime=").unwrap();
        assert!(cert.pkcs12.is_none() && cert.token_ttl.is_none() && cert.reason.is_none());
        assert!(cert.passphrase.passphrase().unwrap().is_none());
        assert_eq!(body("format=der-zip&environment=prod").unwrap().environment, None);
        let generated = body("format=pkcs12&passphrase_from=generate&passphrase=canary&again=").unwrap();
        assert!(generated.passphrase.passphrase().unwrap().is_none());
    }

    #[test]
    fn a_passphrase_is_given_twice() {
        for (form, said) in [
            ("format=pkcs12&passphrase_from=own&passphrase=canary&again=canari", "not the same"),
            ("format=zip&passphrase_from=own&passphrase=&again=", "no passphrase"),
        ] {
            let wrong = body(form).unwrap_err();
            assert!(wrong.contains(said) && !wrong.contains("canar"), "{wrong}");
        }
    }
}
