//! The command line: what each subcommand is for, and its exit code. The work is done in the module of each.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Takes certificates out of a Kubernetes cluster under policy, with approval, through a single-use link, on the record.
#[derive(Debug, Parser)]
#[command(name = "certcourier", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// None prints the help.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the generated part of the Helm chart, for developers of certcourier.
    #[command(hide = true)]
    Chart(crate::manifests::ChartArgs),
    /// Print the CRDs, as kept in crds/.
    Crds(crate::manifests::CrdsArgs),
    /// Run the controller: it decides on requests, issues tokens into Secrets and deletes what has expired.
    Controller(Box<crate::controller::ControllerArgs>),
    Doctor(Box<crate::doctor::DoctorArgs>),
    /// Print everything that is applied before the operator runs: CRDs, roles, admission policies.
    Manifests(crate::manifests::ManifestsArgs),
    /// Print the OpenAPI document of the HTTP API, as kept in docs/openapi.json.
    Openapi,
    Render(Box<crate::render::RenderArgs>),
    /// Run the HTTP API: it issues and accepts tokens. Any number of replicas.
    Server(Box<crate::server::ServerArgs>),
}

/// Runs what the command line asks for.
#[must_use]
pub fn run() -> ExitCode {
    let Some(command) = Cli::parse().command else {
        print!("{}", Cli::command().render_help());
        return ExitCode::SUCCESS;
    };
    match command {
        Command::Chart(args) => crate::manifests::write_chart(&args),
        Command::Crds(args) => crate::manifests::print_crds(&args),
        Command::Controller(args) => crate::controller::run(&args),
        Command::Doctor(args) => crate::doctor::run(&args),
        Command::Manifests(args) => crate::manifests::print_manifests(&args),
        Command::Openapi => {
            print!("{}", crate::server::openapi_document());
            ExitCode::SUCCESS
        }
        Command::Render(args) => crate::render::run(&args),
        Command::Server(args) => crate::server::run(&args),
    }
}
