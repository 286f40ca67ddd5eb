//! `deny`: ends a request of someone else's, also when others have approved it and its token is out.

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
One denial ends a request, also after others have approved it and while its token is valid. On a terminal you are asked to confirm, \
each for itself; without one, add --yes.

Examples:
  kubectl certcourier deny api-key-x7k2p --reason 'no change request for this'
  kubectl certcourier deny api-key-x7k2p api-key-9bqmz --reason 'no change request for this' --yes";

/// Deny requests; one denial ends a request.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DenyArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
    /// Why; it goes on record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Denies them, one after the other: one that cannot be denied does not keep the others.
pub async fn run(ctx: &Ctx, args: &DenyArgs) -> Result<(), PluginError> {
    let mut done = Vec::new();
    for name in args.chosen.names(ctx, |request| request.phase() == Phase::AwaitingApproval).await? {
        let command = VoteCommand {
            request: &name,
            decision: Decision::Deny,
            reason: Some(&args.reason),
            digest: None,
            yes: args.yes,
        };
        done.push(vote::cast(ctx, &command, &args.output).await);
    }
    last_error(done)
}
