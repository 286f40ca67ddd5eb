//! `deny`: ends a request of someone else's, also when others have approved it and its token is out.

use crate::api::Decision;
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::output::OutputArgs,
    request::vote::{self, VoteCommand},
    values::object_name,
};

const EXAMPLES: &str = "\
One denial ends a request, also after others have approved it and while its token is valid. Without a terminal, add --yes.

Examples:
  kubectl certcourier deny api-key-x7k2p --reason 'no change request for this'
  kubectl certcourier deny api-key-x7k2p --reason 'no change request for this' --yes";

/// Deny a request; one denial ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DenyArgs {
    /// The request.
    #[arg(value_name = "REQUEST", value_parser = object_name)]
    request: String,
    /// Why; it goes on record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Denies it.
pub async fn run(ctx: &Ctx, args: &DenyArgs) -> Result<(), PluginError> {
    let command = VoteCommand {
        request: &args.request,
        decision: Decision::Deny,
        reason: Some(&args.reason),
        digest: None,
        yes: args.yes,
    };
    vote::cast(ctx, &command, &args.output).await
}
