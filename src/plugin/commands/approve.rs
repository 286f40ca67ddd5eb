//! `approve`: approves another person's request.

use crate::api::{Decision, Phase};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::output::OutputArgs,
    request::{
        choose::{ChosenArgs, last_error},
        vote::{self, VoteCommand},
    },
};

const EXAMPLES: &str = "\
What you approve is shown first; the vote counts for that and nothing else. On a terminal you are asked to confirm, each \
for itself; without one, add --yes or --digest. You can approve the same again: it counts once.

Examples:
  kubectl certcourier approve api-key-x7k2p --reason 'INC-4211, checked with alice'
  kubectl certcourier approve -l app=web --reason INC-4211
  kubectl certcourier approve api-key-x7k2p --reason INC-4211 --digest $DIGEST";

/// Approve requests.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ApproveArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
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

/// Approves them, one after the other: one that cannot be approved does not keep the others.
pub async fn run(ctx: &Ctx, args: &ApproveArgs) -> Result<(), PluginError> {
    if args.digest.is_some() && args.chosen.are_several() {
        return Err(PluginError::usage("--digest is of one request: approve them one by one"));
    }
    let mut done = Vec::new();
    for name in args.chosen.names(ctx, |request| request.phase() == Phase::AwaitingApproval).await? {
        let command = VoteCommand {
            request: &name,
            decision: Decision::Approve,
            reason: args.reason.as_deref(),
            digest: args.digest.as_deref(),
            yes: args.yes,
        };
        done.push(vote::cast(ctx, &command, &args.output).await);
    }
    last_error(done)
}
