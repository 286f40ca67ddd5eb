//! `wait`: until a request has a token, or its end; the exit code says which.

use futures::future::join_all;

use crate::api::DownloadRequest;
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::output::print,
    request::{
        choose::{ChosenArgs, last_error},
        wait::{Company, Progress, Wanted, follow},
    },
    values::Timeout,
};

const AFTER: &str = "\
It only looks: where the token has expired, `claim` asks for another.

Exit codes: 0 reached · 1 not within --timeout, its token expired, or it cannot be read · 3 denied · 4 expired · \
5 failed, revoked, or used already (with --for finished: not delivered whole). With several, that of the last one that \
did not get there.

Examples:
  kubectl certcourier wait api-key-x7k2p
  kubectl certcourier wait api-key-x7k2p api-key-9bqmz --timeout 1h
  kubectl certcourier wait -l app=web --for finished";

/// Wait until requests have a token, or have ended.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct WaitArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
    /// token: one can be used now. finished: the outcome is known.
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t, hide_possible_values = true)]
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

/// Waits, for several side by side and within the same time.
pub async fn run(ctx: &Ctx, args: &WaitArgs) -> Result<(), PluginError> {
    let names = args.chosen.names(ctx, DownloadRequest::is_open).await?;
    ctx.resume_by(format!("requests stay open: kubectl certcourier wait {} {}", names.join(" "), ctx.flags()));
    let company = if names.len() > 1 { Company::Beside } else { Company::Alone };
    last_error(join_all(names.iter().map(|name| one(ctx, args, name, company))).await)
}

async fn one(ctx: &Ctx, args: &WaitArgs, name: &str, company: Company) -> Result<(), PluginError> {
    let wanted = match args.what {
        What::Token => Wanted::Token(None),
        What::Finished => Wanted::Finished,
    };
    let following = follow(ctx, name, &wanted, company);
    let progress = match args.timeout {
        None => following.await?.1,
        Some(timeout) => {
            tokio::time::timeout(timeout.limit(), following)
                .await
                .unwrap_or_else(|_| {
                    let words = format!("{name}: the {} s of --timeout are over", timeout.limit().as_secs());
                    Err(PluginError::new(words)
                        .next("the message above says what it is waiting for; the request stays open"))
                })?
                .1
        }
    };
    if progress == Progress::TokenOver {
        let again = format!("kubectl certcourier claim {name} {} asks for another", ctx.flags());
        return Err(PluginError::new(format!("{name}: its token expired")).next(again));
    }
    print(&format!("downloadrequest.certcourier.io/{name} condition met\n"))
}
