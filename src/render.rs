//! `certcourier render`: the files that the server delivers, made on a laptop. The same code, no cluster.

mod args;
mod output;

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use certcourier_bundle::{
    Artifact, EnvironmentError, EnvironmentMaterial, Format, Limits, Material, Passphrase, PassphraseError,
    Pkcs12Options, Pkcs12Profile, RawMaterial, RenderError, RenderOptions, parse_environment, render,
};
use zeroize::Zeroizing;

pub use args::RenderArgs;

use crate::randomness::OperatingSystem;

/// The environment's name where there is one file only; no file shows it.
const ONLY: &str = "default";
/// A passphrase file beyond this is the wrong file.
const LONGEST_PASSPHRASE_FILE: u64 = 4096;

/// Why nothing was written. No variant holds a byte of a key or passphrase.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("`{}` cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("format {0} holds a private key: give it with --key FILE")]
    NoKey(Format),
    #[error("format {0} is encrypted: give the passphrase with --passphrase-file FILE, or - to type or pipe it in")]
    NoPassphrase(Format),
    #[error("--passphrase-file: {0}")]
    Passphrase(#[from] PassphraseError),
    #[error(transparent)]
    Material(#[from] EnvironmentError),
    #[error(transparent)]
    Render(#[from] RenderError),
    #[error(transparent)]
    Output(#[from] output::OutputError),
}

/// Makes the file.
#[must_use]
pub fn run(args: &RenderArgs) -> ExitCode {
    match make(args).and_then(|artifact| {
        output::write(&args.output, &artifact.bytes, args.format.holds_key(), args.force).map_err(Error::from)
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("certcourier: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(args: &RenderArgs) -> Result<Artifact, Error> {
    if args.format.holds_key() && args.key.is_none() {
        return Err(Error::NoKey(args.format));
    }
    let passphrase = match &args.passphrase_file {
        _ if !args.format.needs_passphrase() => None,
        None => return Err(Error::NoPassphrase(args.format)),
        Some(path) => Some(Passphrase::from_file(&read(path, LONGEST_PASSPHRASE_FILE)?)?),
    };
    let options = RenderOptions {
        pkcs12: Pkcs12Options {
            profile: if args.legacy { Pkcs12Profile::Legacy } else { Pkcs12Profile::Modern },
            friendly_name: args.friendly_name.clone(),
            iterations: args.iterations,
        },
        pem_order: args.order.into(),
        passphrase,
        ..RenderOptions::new(&args.name)
    };
    let materials = materials(args)?;
    let parts: Vec<_> =
        materials.iter().map(|(environment, material)| EnvironmentMaterial { environment, material }).collect();
    Ok(render(args.format, &parts, &options, &mut OperatingSystem)?)
}

fn materials(args: &RenderArgs) -> Result<Vec<(String, Material)>, Error> {
    let limits = Limits::default();
    let longest = limits.bytes_per_part as u64;
    // One byte more than is allowed is enough for the parser to say so.
    let part = |path: &PathBuf| read(path, longest + 1);
    let environments = match &args.cert {
        Some(cert) => vec![(ONLY.to_owned(), cert.clone())],
        None => args.environment.clone(),
    };
    // A public file is made without looking at the key, as the server does.
    let key = args.key.as_ref().filter(|_| args.format.holds_key()).map(part).transpose()?;
    let ca = args.ca.as_ref().map(part).transpose()?;
    let mut materials = Vec::with_capacity(environments.len());
    for (name, path) in environments {
        let certificate = part(&path)?;
        let raw = RawMaterial {
            certificate: &certificate,
            private_key: key.as_ref().map(|key| key.as_slice()),
            ca: ca.as_ref().map(|ca| ca.as_slice()),
        };
        let material = parse_environment(&name, &raw, &limits)?;
        materials.push((name, material));
    }
    Ok(materials)
}

/// At most `longest` bytes of a file, `-` being standard input; erased when dropped.
fn read(path: &Path, longest: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut content = Zeroizing::new(Vec::new());
    if path.as_os_str() == "-" {
        io::stdin().take(longest).read_to_end(&mut content).map_err(failed)?;
    } else {
        fs::File::open(path).and_then(|file| file.take(longest).read_to_end(&mut content)).map_err(failed)?;
    }
    Ok(content)
}
