//! Where the passphrase of pkcs12 and zip comes from: asked for without an echo, a file, an environment variable, or
//! generated. Never an argument: those are for everyone on the machine to read.

use std::{
    env, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use certcourier_bundle::{Passphrase, PassphraseError};
use zeroize::Zeroizing;

use super::args::secret_key;
use crate::api::{Format, PassphraseReference};
use crate::{plugin::error::PluginError, transport::of_place};

/// A passphrase file beyond this is the wrong file.
const LONGEST_FILE: u64 = 4096;

/// Flags about the passphrase.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Passphrase of pkcs12 and zip; you are asked if none of these is given")]
pub struct PassphraseArgs {
    /// This file's content without its last line end; `-`: standard input.
    #[arg(long, value_name = "FILE", group = "passphrase")]
    passphrase_file: Option<PathBuf>,
    /// The value of this environment variable.
    #[arg(long, value_name = "VARIABLE", group = "passphrase")]
    passphrase_env: Option<String>,
    /// Have one generated; it is printed when the file is there.
    #[arg(long, group = "passphrase")]
    generate: bool,
    /// A Secret of the namespace that you may read, and its key.
    #[arg(long, value_name = "SECRET/KEY", value_parser = secret_key, group = "passphrase")]
    passphrase_secret: Option<PassphraseReference>,
    /// Where a generated one is written, with mode 0600.
    #[arg(long, value_name = "FILE", requires = "generate")]
    pub passphrase_out: Option<PathBuf>,
}

/// Which passphrase a file gets.
#[derive(Debug)]
pub enum Chosen {
    /// The format has none.
    None,
    /// This one.
    Given(Passphrase),
    /// One that is made with the token.
    Generated,
    /// The one in a Secret.
    Secret,
}

impl Chosen {
    /// The passphrase, where it is known here.
    pub fn given(&self) -> Option<&Passphrase> {
        match self {
            Self::Given(passphrase) => Some(passphrase),
            _ => None,
        }
    }
}

impl PassphraseArgs {
    /// The Secret that holds it, where one was named.
    pub fn secret(&self) -> Option<PassphraseReference> {
        self.passphrase_secret.clone()
    }

    /// Whether any of these flags is there.
    pub fn is_empty(&self) -> bool {
        self.passphrase_file.is_none()
            && self.passphrase_env.is_none()
            && !self.generate
            && self.passphrase_secret.is_none()
    }

    /// Whether it is to be generated.
    pub fn generates(&self) -> bool {
        self.generate
    }

    /// Reads or asks for it. `over_http`: it can be handed over; the Kubernetes API has no place for one that is not in a
    /// Secret.
    ///
    /// # Errors
    /// When it cannot be read, or is none that importers take.
    pub async fn choose(&self, format: Format, over_http: bool) -> Result<Chosen, PluginError> {
        if !format.needs_passphrase() {
            return if self.is_empty() {
                Ok(Chosen::None)
            } else {
                Err(PluginError::usage(format!(
                    "format {format} is not encrypted and takes no passphrase: leave it out, or ask for pkcs12 or zip"
                )))
            };
        }
        if self.generate {
            return Ok(Chosen::Generated);
        }
        if self.passphrase_secret.is_some() {
            return Ok(Chosen::Secret);
        }
        if !over_http {
            return Err(PluginError::usage(
                "without a bearer token the request goes through the Kubernetes API, which takes no passphrase: have one \
                 generated with --generate, or name a Secret that holds it with --passphrase-secret SECRET/KEY",
            ));
        }
        Ok(Chosen::Given(match (&self.passphrase_file, &self.passphrase_env) {
            (Some(path), _) => from_file(path)?,
            (None, Some(name)) => from_environment(name)?,
            (None, None) => prompt().await?,
        }))
    }
}

fn from_file(path: &Path) -> Result<Passphrase, PluginError> {
    let failed = |error: io::Error| {
        PluginError::usage(format!("--passphrase-file `{}` cannot be read: {}", path.display(), of_place(&error)))
    };
    let mut content = Zeroizing::new(Vec::new());
    if path.as_os_str() == "-" {
        io::stdin().take(LONGEST_FILE).read_to_end(&mut content).map_err(failed)?;
    } else {
        let file = fs::File::open(path).map_err(failed)?;
        file.take(LONGEST_FILE).read_to_end(&mut content).map_err(failed)?;
    }
    Passphrase::from_file(&content).map_err(|error| PluginError::usage(format!("--passphrase-file: {error}")))
}

fn from_environment(name: &str) -> Result<Passphrase, PluginError> {
    let value = env::var(name).map(Zeroizing::new);
    let value = value.map_err(|_| PluginError::usage(format!("--passphrase-env: the variable `{name}` is not set")))?;
    Passphrase::new(value).map_err(|error| PluginError::usage(format!("--passphrase-env: {error}")))
}

/// Asks twice, at the terminal and without an echo.
async fn prompt() -> Result<Passphrase, PluginError> {
    let asked = tokio::task::spawn_blocking(|| {
        let first = Zeroizing::new(rpassword::prompt_password("Passphrase for the file: ")?);
        let again = Zeroizing::new(rpassword::prompt_password("Repeat passphrase: ")?);
        Ok::<_, io::Error>((first, again))
    });
    let (first, again) = match asked.await {
        Ok(Ok(both)) => both,
        // Its Ctrl-C has become a signal, which ends the command with more words than there are here.
        Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => std::future::pending().await,
        _ => {
            return Err(PluginError::usage(
                "there is no terminal to ask for the passphrase at: give it with --passphrase-file or --passphrase-env, \
                 or have one made with --generate",
            ));
        }
    };
    if *first != *again {
        return Err(PluginError::usage("the two passphrases are not the same"));
    }
    Passphrase::new(first).map_err(|error: PassphraseError| PluginError::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn refused(args: PassphraseArgs, format: Format, over_http: bool) -> String {
        args.choose(format, over_http).await.unwrap_err().report()
    }

    #[tokio::test]
    async fn a_passphrase_comes_from_a_file_without_its_line_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"correct horse\n").unwrap();
        let args = PassphraseArgs { passphrase_file: Some(file.path().to_owned()), ..PassphraseArgs::default() };
        let chosen = args.choose(Format::Pkcs12, true).await.unwrap();
        assert_eq!(chosen.given().unwrap().reveal(), "correct horse");
    }

    #[tokio::test]
    async fn a_passphrase_that_has_no_use_or_no_way_is_refused_with_what_to_do() {
        let file = |path: &str| PassphraseArgs { passphrase_file: Some(path.into()), ..PassphraseArgs::default() };
        let generate = PassphraseArgs { generate: true, ..PassphraseArgs::default() };
        assert!(refused(generate, Format::Cert, true).await.contains("takes no passphrase"));
        assert!(refused(file("/x"), Format::Zip, false).await.contains("--generate"));
        assert!(refused(file("/does/not/exist"), Format::Zip, true).await.contains("cannot be read"));
        let unset = PassphraseArgs { passphrase_env: Some("CERTCOURIER_NOT_SET".into()), ..PassphraseArgs::default() };
        assert!(refused(unset, Format::Zip, true).await.contains("is not set"));
    }
}
