//! `wait`: until a request has a token, or its end; the exit code says which.

use crate::plugin::{
    context::Ctx,
    error::PluginError,
    request::wait::{Wanted, follow},
    values::{Timeout, object_name},
};

const AFTER: &str = "\
Exit codes: 0 reached · 1 not within --timeout, or it cannot be read · 3 denied · 4 expired · \
5 failed, revoked, or used already (with --for finished: not delivered whole).

Examples:
  kubectl certcourier wait api-key-x7k2p
  kubectl certcourier wait api-key-x7k2p --for finished --timeout 1h";

/// Wait until a request has a token, or has ended.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct WaitArgs {
    /// The request.
    #[arg(value_name = "REQUEST", value_parser = object_name)]
    request: String,
    /// What to wait for.
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t)]
    what: What,
    /// How long to wait, such as 30s or 1h. Default, or 0: until it is reached or can no longer be; every request ends.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Timeout>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// A token that can be used now.
    #[default]
    Token,
    /// The outcome is known.
    Finished,
}

/// Waits.
pub async fn run(ctx: &Ctx, args: &WaitArgs) -> Result<(), PluginError> {
    let wanted = match args.what {
        What::Token => Wanted::Token(None),
        What::Finished => Wanted::Finished,
    };
    ctx.resume_by(format!("the request stays open: kubectl certcourier wait {} {}", args.request, ctx.flags()));
    let following = follow(ctx, &args.request, &wanted);
    let Some(timeout) = args.timeout else { return following.await.map(drop) };
    tokio::time::timeout(timeout.limit(), following).await.map_or_else(
        |_| {
            let words = format!("{} is not there after {} s", args.request, timeout.limit().as_secs());
            Err(PluginError::new(words).next("the message above says what it is waiting for; the request stays open"))
        },
        |followed| followed.map(drop),
    )
}
