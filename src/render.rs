//! `certcourier render`: the files that the server delivers, made on a laptop. The same code, no cluster.

mod args;
mod input;
mod output;

use std::{path::PathBuf, process::ExitCode};

use certcourier_bundle::{
    Artifact, EnvironmentError, EnvironmentMaterial, Format, Limits, Material, MaterialError, Part, Pkcs12Options,
    Pkcs12Profile, RawMaterial, RenderError, RenderOptions, parse_environment, render,
};

pub use args::{RenderArgs, pem_order};

use crate::randomness::OperatingSystem;

/// The environment's name where there is one file only; no file shows it.
const ONLY: &str = "default";

/// Why nothing was written. No variant holds a byte of a key or passphrase.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Input(#[from] input::InputError),
    #[error("format {0} holds a private key: give it with --key FILE")]
    NoKey(Format),
    #[error("format {0} is encrypted: give the passphrase with --passphrase-file FILE, or - to type or pipe it in")]
    NoPassphrase(Format),
    #[error("format ca holds the CA's certificates: give them with --ca FILE")]
    NoCa,
    #[error("`{}`: {cause}", path.display())]
    File { path: PathBuf, cause: MaterialError },
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    #[error(transparent)]
    Render(RenderError),
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
    input::one_from_standard_input([&args.cert, &args.key, &args.ca, &args.passphrase_file].into_iter().flatten())?;
    let passphrase = match &args.passphrase_file {
        _ if !args.format.needs_passphrase() => None,
        None => return Err(Error::NoPassphrase(args.format)),
        Some(path) => Some(input::passphrase(path)?),
    };
    let options = RenderOptions {
        pkcs12: Pkcs12Options {
            profile: if args.legacy { Pkcs12Profile::Legacy } else { Pkcs12Profile::Modern },
            friendly_name: args.friendly_name.clone(),
            iterations: args.iterations,
        },
        pem_order: args.order,
        passphrase,
        ..RenderOptions::new(&args.name)
    };
    let materials = materials(args)?;
    let parts: Vec<_> =
        materials.iter().map(|(environment, material)| EnvironmentMaterial { environment, material }).collect();
    render(args.format, &parts, &options, &mut OperatingSystem).map_err(|error| match error {
        RenderError::NoCa => Error::NoCa,
        RenderError::Ca(cause) => of_file(args, cause),
        error => Error::Render(error),
    })
}

fn materials(args: &RenderArgs) -> Result<Vec<(String, Material)>, Error> {
    let limits = Limits::default();
    let longest = limits.bytes_per_part as u64;
    // One byte more than is allowed is enough for the parser to say so.
    let part = |path: &PathBuf| input::read(path, longest + 1);
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
        let material = parse_environment(&name, &raw, &limits).map_err(|error| match args.cert {
            Some(_) => of_file(args, error.cause),
            None => Error::Environment(error),
        })?;
        materials.push((name, material));
    }
    Ok(materials)
}

/// Names the file as it was typed; in a cluster there are only parts of a Secret.
fn of_file(args: &RenderArgs, cause: MaterialError) -> Error {
    let path = match cause.part() {
        Part::Certificate => &args.cert,
        Part::PrivateKey => &args.key,
        Part::Ca => &args.ca,
    };
    Error::File { path: path.clone().unwrap_or_default(), cause }
}
