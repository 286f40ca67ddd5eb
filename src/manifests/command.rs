//! `certcourier crds` and `certcourier manifests`: what is typed, and where the text goes.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::{crds::crds, yaml};

/// Flags of `certcourier crds`.
#[derive(Debug, clap::Args)]
pub struct CrdsArgs {
    /// Write one file for each kind into this directory instead of printing all of them.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Why manifests could not be printed or written.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("write {name} as JSON")]
    Json {
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("write {name} as YAML")]
    Yaml {
        name: String,
        #[source]
        source: serde_saphyr::SerializeError,
    },
    #[error("write {}: does the directory exist, and may you write there?", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("write to standard output")]
    Output(#[source] io::Error),
}

/// Prints the CRDs as one YAML stream, or writes them as files.
#[must_use]
pub fn print_crds(args: &CrdsArgs) -> ExitCode {
    finish(match &args.directory {
        Some(directory) => write_files(directory),
        None => print_stream(),
    })
}

fn finish(result: Result<(), CommandError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is closed: then the exit code alone must say it.
            let _ = writeln!(io::stderr(), "certcourier: {:#}", anyhow::Error::new(error));
            ExitCode::FAILURE
        }
    }
}

fn print_stream() -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    for crd in crds() {
        write!(out, "---\n{}", text(&crd)?).map_err(CommandError::Output)?;
    }
    Ok(())
}

fn write_files(directory: &Path) -> Result<(), CommandError> {
    for crd in crds() {
        let path = directory.join(format!("{}.yaml", crd.spec.names.plural));
        let content =
            format!("# Made by `certcourier crds --directory crds`; change src/api/ instead.\n{}", text(&crd)?);
        fs::write(&path, content).map_err(|source| CommandError::File { path, source })?;
    }
    Ok(())
}

fn text(crd: &CustomResourceDefinition) -> Result<String, CommandError> {
    let name = || crd.metadata.name.clone().unwrap_or_default();
    let value = yaml::value(crd).map_err(|source| CommandError::Json { name: name(), source })?;
    yaml::document(&value).map_err(|source| CommandError::Yaml { name: name(), source })
}
