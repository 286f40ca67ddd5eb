//! `certcourier crds` and `certcourier manifests`: what is typed, and where the text goes.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    chart::{self, ChartError},
    install::{self, Installation},
    serving::{serving_objects, session_objects},
    yaml,
};
use crate::{
    admission::{Identity, IdentityError},
    api::{crds, name::is_label},
    cluster::error::in_one_line,
};

/// Flags of `certcourier crds`.
#[derive(Debug, clap::Args)]
pub struct CrdsArgs {
    /// Write one file for each kind into this directory instead of printing all of them.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Flags of `certcourier chart`.
#[derive(Debug, clap::Args)]
pub struct ChartArgs {
    /// The chart, such as charts/certcourier.
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
}

/// Flags of `certcourier manifests`.
#[derive(Debug, clap::Args)]
pub struct ManifestsArgs {
    /// The namespace that the operator runs in.
    #[arg(long, value_name = "NAMESPACE")]
    namespace: String,
    /// User name of the controller, such as system:serviceaccount:certcourier-system:certcourier.
    #[arg(long, value_name = "USER")]
    controller: String,
    /// User name of the server; the same one when both run in one pod.
    #[arg(long, value_name = "USER")]
    server: String,
    /// The namespaces that the operator works in, separated by commas. Default: all of them.
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Whether to print the policy that writes spec.requestedBy, which needs Kubernetes 1.36 or later: with `never` clients
    /// write the field themselves. `auto` prints it, because nothing is known of the cluster here.
    #[arg(long, value_enum, default_value_t = Stamp::Auto)]
    stamp: Stamp,
    /// Print what the servers need to make their certificate themselves, too: a Secret and a ConfigMap for them to fill,
    /// and the right to fill these two. Give the server the flag of this name, the controller --external-ca-config-map.
    #[arg(long)]
    tls_self_signed: bool,
    /// Print what the servers need for people who sign in on the web page, too: a Secret for the key of their sessions, and
    /// the right to fill it.
    #[arg(long)]
    ui: bool,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Output::Yaml)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stamp {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One YAML document for each object.
    Yaml,
    /// One JSON object of kind List.
    Json,
}

/// Why manifests could not be printed or written.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(
        "`{0}` in --watch-namespaces is not a namespace: write their names separated by commas, as in payments,shop"
    )]
    WatchNamespace(String),
    #[error("write the objects as JSON")]
    Json(#[from] serde_json::Error),
    #[error("write the objects as YAML")]
    Yaml(#[from] serde_saphyr::SerializeError),
    #[error("write {}: does the directory exist, and may you write there?", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Chart(#[from] ChartError),
    #[error("write to standard output")]
    Output(#[source] io::Error),
}

/// Prints the CRDs as one YAML stream, or writes them as files.
#[must_use]
pub fn print_crds(args: &CrdsArgs) -> ExitCode {
    exit_code(match &args.directory {
        Some(directory) => write_files(directory),
        None => stream(&crds()).and_then(|text| print(&text)),
    })
}

/// Writes the generated part of the Helm chart.
#[must_use]
pub fn write_chart(args: &ChartArgs) -> ExitCode {
    exit_code(chart::write(&args.directory).map_err(CommandError::Chart))
}

/// Prints everything that is applied before the operator runs.
#[must_use]
pub fn print_manifests(args: &ManifestsArgs) -> ExitCode {
    exit_code(manifests(args).and_then(|text| print(&text)))
}

fn manifests(args: &ManifestsArgs) -> Result<String, CommandError> {
    if let Some(wrong) = args.watch_namespaces.iter().find(|namespace| !is_label(namespace)) {
        return Err(CommandError::WatchNamespace(wrong.clone()));
    }
    let identity = Identity::new(&args.namespace, &args.controller, &args.server)?;
    let serving = if args.tls_self_signed { serving_objects(&identity)? } else { vec![] };
    let sessions = if args.ui { session_objects(&identity)? } else { vec![] };
    let mut objects = install::objects(&Installation {
        identity,
        watch_namespaces: args.watch_namespaces.clone(),
        stamp: args.stamp != Stamp::Never,
    })?;
    objects.extend(serving);
    objects.extend(sessions);
    match args.output {
        Output::Yaml => stream(&objects),
        Output::Json => list(&objects),
    }
}

fn list(objects: &[Value]) -> Result<String, CommandError> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    Ok(format!("{}\n", serde_json::to_string_pretty(&list)?))
}

fn stream(objects: &[impl Serialize]) -> Result<String, CommandError> {
    objects.iter().map(|object| Ok(format!("---\n{}", document(object)?))).collect()
}

fn document(object: &impl Serialize) -> Result<String, CommandError> {
    Ok(yaml::document(&yaml::value(object)?)?)
}

fn print(text: &str) -> Result<(), CommandError> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(CommandError::Output)
}

fn write_files(directory: &Path) -> Result<(), CommandError> {
    for crd in crds() {
        let path = directory.join(format!("{}.yaml", crd.spec.names.plural));
        let head = "# Made by `certcourier crds --directory crds`; change crates/api/src/ instead.";
        let content = format!("{head}\n{}", document(&crd)?);
        fs::write(&path, content).map_err(|source| CommandError::File { path, source })?;
    }
    Ok(())
}

fn exit_code(result: Result<(), CommandError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When standard error is closed too, the exit code alone must say it.
            let _ = writeln!(io::stderr(), "certcourier: {}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}
