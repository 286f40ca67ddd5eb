//! `claim`: the token of a request, for downloading the file with another tool.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::plugin::{
    client::{Known, Server},
    context::Ctx,
    error::PluginError,
    print::output::{self, OutputArgs, print},
    request::{
        output_file::{Content, Target},
        passphrase::{Chosen, PassphraseArgs},
        token::{self, Taken},
    },
    values::{Timeout, object_name},
};
use crate::{
    api::{Delivery, DownloadRequest, Phase},
    lifecycle,
    token::generates_passphrase,
};

/// How long the controller may take for what it does by itself: look at a new request, issue a token into a Secret.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often to look meanwhile.
const LOOK: Duration = Duration::from_millis(300);

const EXAMPLES: &str = "\
What is printed is a secret: anyone who has it can download the file. It works once. Where people must approve first, \
claim says so and ends, as the HTTP API does; with --timeout it waits for them. `download --request` claims and \
downloads in one step.

Examples:
  curl -fsS --cacert ca.crt \"$(kubectl certcourier claim api-cert-x7k2p)\" -o cert.pem
  kubectl certcourier claim api-pkcs12-9bqmz --generate -o json | jq -r .passphrase";

/// Claim a request's token and print the download link.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ClaimArgs {
    /// The request.
    #[arg(value_name = "REQUEST", value_parser = object_name)]
    request: String,
    /// url: the link, the token in it. token. json or yaml: all of it, a generated passphrase included.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t, hide_possible_values = true)]
    output: Printed,
    /// How long to wait for approval, such as 10m; 0 for as long as the policy allows. Default: not at all.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Timeout>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Printed {
    /// The link, the token in it.
    #[default]
    Url,
    /// The token.
    Token,
    /// All of it, a generated passphrase included, with the names of the HTTP API.
    Json,
    /// All of it.
    Yaml,
}

/// Takes the token and prints it.
pub async fn run(ctx: &Ctx, args: &ClaimArgs) -> Result<(), PluginError> {
    let request: DownloadRequest = ctx.one(&args.request, "list requests").await?;
    let delivery = request.delivery();
    let place = passphrase_place(args, &request)?;
    ctx.resume_by(format!("the request stays open: kubectl certcourier claim {} {}", args.request, ctx.flags()));
    let taking = async {
        if args.timeout.is_none() {
            refuse_to_wait(ctx, args).await?;
        }
        match delivery {
            Delivery::Secret => from_secret(ctx, args).await,
            Delivery::Claim => claim(ctx, args, &request).await,
        }
    };
    let limit = args.timeout.map_or(PATIENCE, Timeout::limit);
    let taken = tokio::time::timeout(limit, taking).await.unwrap_or_else(|_| {
        let words = format!("{} has no token after {} s; the request stays open", args.request, limit.as_secs());
        Err(PluginError::new(words).next(format!(
            "try again: kubectl certcourier claim {} {}",
            args.request,
            ctx.flags()
        )))
    })?;
    let taken_passphrase = taken.passphrase.as_ref();
    if let (Some(place), Some(passphrase)) = (place, taken_passphrase) {
        place.write(passphrase.expose().as_bytes())?;
    }
    if let Some(until) = &taken.expires_at {
        ctx.say(&format!("works once, until {}", until.0))?;
    }
    show(args, &taken)
}

/// Ends where people must approve first: a script that claims must not hang until someone is back.
async fn refuse_to_wait(ctx: &Ctx, args: &ClaimArgs) -> Result<(), PluginError> {
    let mut request: DownloadRequest = ctx.one(&args.request, "list requests").await?;
    while request.phase() == Phase::Pending {
        tokio::time::sleep(LOOK).await;
        request = ctx.one(&args.request, "list requests").await?;
    }
    if request.phase() != Phase::AwaitingApproval {
        return Ok(());
    }
    let why = lifecycle::summary(&request).unwrap_or_else(|| "people must approve first".to_owned());
    Err(PluginError::new(format!("{} has no token yet: {why}", args.request)).next(format!(
        "wait for it: kubectl certcourier wait {} {}; or let claim wait, with --timeout 1h",
        args.request,
        ctx.flags()
    )))
}

/// A generated passphrase needs a place before there is one.
fn passphrase_place(args: &ClaimArgs, request: &DownloadRequest) -> Result<Option<Target>, PluginError> {
    let spec = &request.spec;
    let settled = spec.delivery.unwrap_or_default() == Delivery::Secret || spec.passphrase_secret_ref.is_some();
    if settled && !args.passphrase.is_empty() && !args.passphrase.generates() {
        return Err(PluginError::usage("the passphrase of this request is settled: leave it out"));
    }
    let generated = generates_passphrase(request)
        && (spec.delivery.unwrap_or_default() == Delivery::Secret || args.passphrase.generates());
    match &args.passphrase.passphrase_out {
        Some(path) => Target::prepare(Some(path), "passphrase.txt", Content::SECRET, false).map(Some),
        None if generated && matches!(args.output, Printed::Url | Printed::Token) => Err(PluginError::usage(
            "say where the generated passphrase goes: -o json, or --generate --passphrase-out FILE",
        )),
        None => Ok(None),
    }
}

async fn from_secret(ctx: &Ctx, args: &ClaimArgs) -> Result<Taken, PluginError> {
    let taken = token::from_secret(ctx, &args.request).await?;
    if taken.url.is_none() && args.output == Printed::Url {
        return Err(PluginError::new("the operator knows no external URL, so there is no link").next(format!(
            "print the token with -o token, or: kubectl certcourier download --request {}",
            args.request
        )));
    }
    Ok(taken)
}

async fn claim(ctx: &Ctx, args: &ClaimArgs, request: &DownloadRequest) -> Result<Taken, PluginError> {
    if ctx.bearer().await?.is_none() {
        return Err(token::no_bearer(ctx));
    }
    let server = Server::reach(ctx, Known::default()).await?;
    if server.is_forwarded() && args.output == Printed::Url {
        return Err(PluginError::usage(
            "the way through the API server closes when this command ends, and the link \
          with it",
        )
        .next(format!("print the token with -o token, or: kubectl certcourier download --request {}", args.request)));
    }
    let chosen = match request.spec.passphrase_secret_ref {
        Some(_) => Chosen::Secret,
        None => args.passphrase.choose(request.spec.format, true).await?,
    };
    token::claim(ctx, &server, &args.request, chosen.given()).await
}

fn show(args: &ClaimArgs, taken: &Taken) -> Result<(), PluginError> {
    let url = taken.url.as_ref().map(|url| url.expose().as_str());
    let format = match args.output {
        Printed::Url => return print(&format!("{}\n", url.unwrap_or_default())),
        Printed::Token => return print(&format!("{}\n", taken.token.expose().as_str())),
        Printed::Json => output::Format::Json,
        Printed::Yaml => output::Format::Yaml,
    };
    let mut value = json!({
        "request": taken.request,
        "token": taken.token.expose().as_str(),
        "url": url,
        "expires_at": taken.expires_at,
    });
    if let Some(passphrase) = &taken.passphrase {
        value["passphrase"] = Value::from(passphrase.expose().as_str());
    }
    OutputArgs { format, ..OutputArgs::default() }.value(&value)
}
