//! What is read: files, standard input, and a passphrase that is typed.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use certcourier_bundle::{Passphrase, PassphraseError};
use zeroize::Zeroizing;

use crate::transport::of_place;

/// A passphrase file beyond this is the wrong file.
const LONGEST_PASSPHRASE_FILE: u64 = 4096;

/// Why something could not be read. No variant holds a byte of a key or passphrase.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("`{}` cannot be read: {}", path.display(), of_place(source))]
    Read { path: PathBuf, source: io::Error },
    #[error("standard input can be read once: give `-` to one option, and a file to the others")]
    SeveralFromStandardInput,
    // There is no one here who would generate one, as the common message offers.
    #[error("--passphrase-file: there is no passphrase in it: write one there, such as `openssl rand -hex 16` makes")]
    EmptyPassphrase,
    #[error("--passphrase-file: {0}")]
    Passphrase(PassphraseError),
    #[error("the two passphrases differ: type the same one twice")]
    Differ,
}

/// Refuses a second option that would read what the first one has taken.
pub(super) fn one_from_standard_input<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<(), InputError> {
    match paths.filter(|path| is_standard_input(path)).count() {
        0 | 1 => Ok(()),
        _ => Err(InputError::SeveralFromStandardInput),
    }
}

/// At most `longest` bytes of a file, `-` being standard input; erased when dropped.
pub(super) fn read(path: &Path, longest: u64) -> Result<Zeroizing<Vec<u8>>, InputError> {
    let failed = |source| InputError::Read { path: path.to_owned(), source };
    let mut content = Zeroizing::new(Vec::new());
    if is_standard_input(path) {
        io::stdin().take(longest).read_to_end(&mut content).map_err(failed)?;
    } else {
        fs::File::open(path).and_then(|file| file.take(longest).read_to_end(&mut content)).map_err(failed)?;
    }
    Ok(content)
}

/// The passphrase in a file; on a terminal the program asks for it twice and does not show it.
pub(super) fn passphrase(path: &Path) -> Result<Passphrase, InputError> {
    let content = if is_standard_input(path) && io::stdin().is_terminal() {
        typed().map_err(|source| InputError::Read { path: path.to_owned(), source })??
    } else {
        read(path, LONGEST_PASSPHRASE_FILE)?
    };
    Passphrase::from_file(&content).map_err(|error| match error {
        PassphraseError::Empty => InputError::EmptyPassphrase,
        error => InputError::Passphrase(error),
    })
}

fn typed() -> io::Result<Result<Zeroizing<Vec<u8>>, InputError>> {
    let ask = |prompt| rpassword::prompt_password(prompt).map(|text| Zeroizing::new(text.into_bytes()));
    let (first, again) = (ask("Passphrase of the file: ")?, ask("Repeat passphrase: ")?);
    Ok(if first == again { Ok(first) } else { Err(InputError::Differ) })
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}
