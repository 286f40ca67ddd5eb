//! `policy`: what the policies come to.

mod answer;
pub mod explain;

use clap::Subcommand;

use crate::plugin::{context::Ctx, error::PluginError};

/// Show what the policies allow you.
#[derive(Debug, clap::Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    Explain(explain::ExplainArgs),
}

/// Does what was asked for.
pub async fn run(ctx: &Ctx, args: &PolicyArgs) -> Result<(), PluginError> {
    match &args.command {
        PolicyCommand::Explain(args) => explain::run(ctx, args).await,
    }
}
