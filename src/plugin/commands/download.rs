//! `download`: from the wish for a file to the file, in one command.
//!
//! In this order, so that as little as possible can go wrong once the token is there, which works once: the server is found,
//! the place for the file is made ready, the passphrase is known; then the request, the people, the token, the file.

use std::path::PathBuf;

use certcourier_bundle::{Passphrase, file_name};

use crate::plugin::{
    client::{Artifact, Known, Server, ServerError},
    context::Ctx,
    error::PluginError,
    print::output::print,
    request::{
        args::{Ask, AskArgs, DeliveryChoice},
        create,
        output_file::{Content, Target},
        passphrase::{Chosen, PassphraseArgs},
        token::{self, Asked, Taken},
    },
    values::{Timeout, object_name},
};
use crate::{
    api::{Delivery, DownloadRequest, Format},
    hex,
    token::generates_passphrase,
};

const EXAMPLES: &str = "\
Exit codes: 0 the file is there, whole · 1 it is not · 2 usage error · 3 denied · 4 expired · 5 failed, revoked, or used \
already · 130 Ctrl-C: it says how to go on.

Examples:
  kubectl certcourier download api --format fullchain -o fullchain.pem
  kubectl certcourier download api --format key --reason 'INC-4211 F5 import'
  kubectl certcourier download api --format p12 --generate -o api.p12 --passphrase-out pass.txt
  kubectl certcourier download --request api-key-x7k2p";

/// Request a file, wait for approval, download and verify it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DownloadArgs {
    /// The Certificate.
    #[arg(value_name = "CERTIFICATE", value_parser = object_name, required_unless_present = "request")]
    certificate: Option<String>,
    /// Go on with this request instead of making one.
    #[arg(long, value_name = "REQUEST", value_parser = object_name, conflicts_with = "certificate")]
    request: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
    /// A file, a folder, or `-`. Default: here, under the name that the server gives.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// How long to wait for approval. Default: as long as the policy allows.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Timeout>,
    /// claim (by HTTP) or secret. Default: claim if you have a bearer token.
    #[arg(long, value_enum, hide_possible_values = true, conflicts_with = "request")]
    delivery: Option<DeliveryChoice>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// What is downloaded: something new, or what a request asks for already.
enum What {
    New(Box<Ask>),
    Request(Box<DownloadRequest>),
}

impl What {
    fn format(&self) -> Format {
        match self {
            Self::New(ask) => ask.format,
            Self::Request(request) => request.spec.format,
        }
    }

    fn certificate(&self) -> &str {
        match self {
            Self::New(ask) => &ask.certificate,
            Self::Request(request) => &request.spec.certificate_ref.name,
        }
    }
}

/// Downloads.
pub async fn run(ctx: &Ctx, args: &DownloadArgs) -> Result<(), PluginError> {
    let what = what(ctx, args).await?;
    let delivery = delivery(ctx, args, &what).await?;
    let server = match delivery {
        Delivery::Claim => Some(Server::reach(ctx, Known::default()).await?),
        Delivery::Secret => None,
    };
    let places = Places::prepare(args, &what, delivery)?;
    let chosen = passphrase(args, &what, delivery).await?;
    let taken = take(ctx, args, &what, server.as_ref(), chosen.given()).await?;
    // What follows uses the token up.
    let server = match server {
        Some(server) => server,
        None => Server::reach(ctx, taken.known.clone()).await.map_err(|error| {
            error.next(format!("the token is not used; go on with: {}", go_on(ctx, args, &taken.request)))
        })?,
    };
    ctx.resume_by(format!(
        "the download had begun: `kubectl certcourier wait {} --for finished {}` says whether its token is used; if not, go \
         on with: {}",
        taken.request,
        ctx.flags(),
        go_on(ctx, args, &taken.request)
    ));
    tracing::debug!("downloading the file of {}", taken.request);
    let withheld = server.is_anonymous();
    let file =
        server.download(&taken.token).await.map_err(|error| failed(ctx, args, &taken.request, error, withheld))?;
    check(ctx, &file, &taken.request)?;
    places.write(ctx, &file, &taken)
}

async fn what(ctx: &Ctx, args: &DownloadArgs) -> Result<What, PluginError> {
    match (&args.request, &args.certificate) {
        (Some(name), _) => {
            if !args.ask.is_empty() {
                return Err(PluginError::usage(
                    "--request settles all of that already: leave out --format and similar flags",
                ));
            }
            Ok(What::Request(Box::new(ctx.one(name, "list requests").await?)))
        }
        (None, Some(certificate)) => {
            Ok(What::New(Box::new(args.ask.check(certificate, args.passphrase.secret(), ctx.now())?)))
        }
        (None, None) => Err(PluginError::usage("say which Certificate, or go on with --request")),
    }
}

async fn delivery(ctx: &Ctx, args: &DownloadArgs, what: &What) -> Result<Delivery, PluginError> {
    let wanted = match what {
        What::Request(request) => Some(request.delivery()),
        What::New(_) => args.delivery.map(Delivery::from),
    };
    if wanted == Some(Delivery::Secret) {
        return Ok(Delivery::Secret);
    }
    match (ctx.bearer().await?, wanted) {
        (Some(_), _) => Ok(Delivery::Claim),
        (None, None) => Ok(Delivery::Secret),
        (None, Some(_)) => Err(token::no_bearer(ctx)),
    }
}

/// Where the file and a generated passphrase go.
struct Places {
    file: Target,
    passphrase: Option<Target>,
}

impl Places {
    fn prepare(args: &DownloadArgs, what: &What, delivery: Delivery) -> Result<Self, PluginError> {
        let format = what.format();
        let name = file_name(format, what.certificate());
        let (public, binary) = (format.is_public(), matches!(format, Format::Der | Format::DerZip));
        let content = Content { for_eyes: public && !binary, private: !public };
        let file = Target::prepare(args.output.as_deref(), &name, content, args.force)?;
        let passphrase = args.passphrase.passphrase_out.as_deref();
        let passphrase = passphrase
            .map(|path| Target::prepare(Some(path), "passphrase.txt", Content::SECRET, args.force))
            .transpose()?;
        if matches!(file, Target::Stdout) && passphrase.is_none() && comes_generated(args, what, delivery) {
            return Err(PluginError::usage(
                "the file goes to standard output, so say where the generated passphrase goes: --generate --passphrase-out FILE",
            ));
        }
        Ok(Self { file, passphrase })
    }

    fn write(self, ctx: &Ctx, file: &Artifact, taken: &Taken) -> Result<(), PluginError> {
        let printed = match (self.passphrase, &taken.passphrase) {
            (Some(place), Some(passphrase)) => {
                place.write(passphrase.expose().as_bytes())?;
                None
            }
            (_, passphrase) => passphrase.as_ref(),
        };
        let path = self.file.write(&file.bytes)?;
        let place = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        let sha256 = hex::encode(&<sha2::Sha256 as sha2::Digest>::digest(&file.bytes));
        ctx.say(&format!("{place}: {} bytes, sha256 {sha256}; request {}", file.bytes.len(), taken.request))?;
        printed.map_or(Ok(()), |passphrase| print(&format!("{}\n", passphrase.expose().as_str())))
    }
}

fn comes_generated(args: &DownloadArgs, what: &What, delivery: Delivery) -> bool {
    match what {
        What::Request(request) if delivery == Delivery::Secret => generates_passphrase(request),
        _ => args.passphrase.generates(),
    }
}

async fn passphrase(args: &DownloadArgs, what: &What, delivery: Delivery) -> Result<Chosen, PluginError> {
    match what {
        // It is what the request says, or comes with the token.
        What::Request(request) if delivery == Delivery::Secret || request.spec.passphrase_secret_ref.is_some() => {
            if !args.passphrase.is_empty() && !args.passphrase.generates() {
                return Err(PluginError::usage("the passphrase of this request is settled: leave it out"));
            }
            Ok(Chosen::Secret)
        }
        _ => args.passphrase.choose(what.format(), delivery == Delivery::Claim).await,
    }
}

/// Asks, and waits for the token.
async fn take(
    ctx: &Ctx,
    args: &DownloadArgs,
    what: &What,
    server: Option<&Server>,
    passphrase: Option<&Passphrase>,
) -> Result<Taken, PluginError> {
    if matches!(what, What::New(_)) {
        ctx.resume_by(create::perhaps(ctx));
    }
    let request = match (what, server) {
        (What::Request(request), _) => request.metadata.name.clone().unwrap_or_default(),
        (What::New(ask), Some(server)) if ask.passphrase_secret.is_none() => {
            match token::mint(ctx, server, ask, passphrase).await? {
                Asked::Token(taken) => return Ok(*taken),
                Asked::Waits(request) => request,
            }
        }
        // The HTTP API has no word for a passphrase in a Secret; the object has.
        (What::New(ask), server) => {
            let delivery = if server.is_some() { Delivery::Claim } else { Delivery::Secret };
            create::create(ctx, ask, None, delivery).await?.metadata.name.unwrap_or_default()
        }
    };
    if matches!(what, What::New(_)) {
        ctx.say(&format!("request {request} in namespace {}", ctx.namespace))?;
    }
    ctx.resume_by(format!(
        "the request stays open. Go on with: {} · or revoke it: kubectl certcourier revoke {request} {} --reason …",
        go_on(ctx, args, &request),
        ctx.flags()
    ));
    let taking = async {
        match server {
            Some(server) => token::claim(ctx, server, &request, passphrase).await,
            None => token::from_secret(ctx, &request).await,
        }
    };
    let Some(timeout) = args.timeout else { return taking.await };
    tokio::time::timeout(timeout.limit(), taking).await.unwrap_or_else(|_| {
        let words = format!("{request} has no token after {} s; the request stays open", timeout.limit().as_secs());
        Err(PluginError::new(words).next(format!("go on with: {}", go_on(ctx, args, &request))))
    })
}

/// The command that goes on with a request.
fn go_on(ctx: &Ctx, args: &DownloadArgs, request: &str) -> String {
    let mut command = format!("kubectl certcourier download --request {request} {}", ctx.flags());
    if let Some(output) = &args.output {
        command.push_str(" -o ");
        command.push_str(&output.display().to_string());
    }
    command
}

/// What a download that failed means for the token.
fn failed(ctx: &Ctx, args: &DownloadArgs, request: &str, error: ServerError, withheld: bool) -> PluginError {
    let go_on = go_on(ctx, args, request);
    let look = format!("kubectl certcourier wait {request} --for finished {}", ctx.flags());
    let next = match &error {
        ServerError::Refused { status: 401, .. } if withheld && !ctx.impersonating => format!(
            "the token is not used, and is bound to you. The address comes from its Secret, which others may have \
             written, so your Kubernetes token is not sent there; say yourself where the server is: {go_on} --server URL, \
             or --port-forward"
        ),
        ServerError::Unreachable { .. } => format!("the token is not used; go on with: {go_on}"),
        ServerError::Unanswered { .. } => {
            format!("its token may be used: `{look}` says so; if it is not, go on with: {go_on}")
        }
        ServerError::Refused { status, .. } if *status == 422 || *status == 429 || *status >= 500 => {
            format!("the token is not used; when that is fixed, go on with: {go_on}")
        }
        _ => return error.into(),
    };
    PluginError::from(error).next(next)
}

/// Compares the file with the digest that came along.
fn check(ctx: &Ctx, file: &Artifact, request: &str) -> Result<(), PluginError> {
    match file.intact {
        Some(true) => Ok(()),
        Some(false) => Err(PluginError::new(format!(
            "what arrived is not what the server sent (its Content-Digest is another); nothing was written. The token of \
             {request} is used"
        ))
        .next("find out what changes files in transit, and request it again")),
        None => ctx.say("warning: no Content-Digest came along, so the file could not be checked"),
    }
}
