//! `approve`: approves another person's request.

use crate::api::Decision;
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::output::OutputArgs,
    request::vote::{self, VoteCommand},
    values::object_name,
};

const EXAMPLES: &str = "\
What you approve is shown first; the vote counts for that and nothing else. On a terminal you are asked to confirm; without one, add --yes or --digest.

Examples:
  kubectl certcourier approve api-key-x7k2p --reason 'INC-4211, checked with alice'
  kubectl certcourier approve api-key-x7k2p --reason INC-4211 --digest $DIGEST";

/// Approve a request.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ApproveArgs {
    /// The request.
    #[arg(value_name = "REQUEST", value_parser = object_name)]
    request: String,
    /// Why; it goes on record. Default: you are asked on a terminal.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only if this is what is under review (status.review.digest). Default: what is shown.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Approves it.
pub async fn run(ctx: &Ctx, args: &ApproveArgs) -> Result<(), PluginError> {
    let command = VoteCommand {
        request: &args.request,
        decision: Decision::Approve,
        reason: args.reason.as_deref(),
        digest: args.digest.as_deref(),
        yes: args.yes,
    };
    vote::cast(ctx, &command, &args.output).await
}
