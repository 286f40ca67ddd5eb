//! `request`: asks for a file and leaves it at that; or prints what would ask for it, for GitOps.

use crate::api::{Delivery, PassphraseReference};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::output::{Format as Printed, OutputArgs},
    request::{
        args::{Ask, AskArgs, DeliveryChoice, secret_key},
        create,
    },
    values::object_name,
};

const EXAMPLES: &str = "\
Examples:
  kubectl certcourier request api --format key --reason 'INC-4211 F5 import'
  kubectl certcourier download --request api-key-x7k2p
  kubectl certcourier request api --format der --name api-der --delivery secret --dry-run -o yaml";

/// Request a file; claim its token later, with `claim` or `download --request`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RequestArgs {
    /// The Certificate.
    #[arg(value_name = "CERTIFICATE", value_parser = object_name)]
    certificate: String,
    #[command(flatten)]
    ask: AskArgs,
    /// The request's name. Default: CERTIFICATE-FORMAT- and five characters.
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    name: Option<String>,
    /// claim (by HTTP) or secret. Default: claim if you have a bearer token.
    #[arg(long, value_enum, hide_possible_values = true)]
    delivery: Option<DeliveryChoice>,
    /// A Secret with the passphrase of pkcs12 or zip, and its key. Default: you give it when you claim, or one is
    /// generated.
    #[arg(long, value_name = "SECRET/KEY", value_parser = secret_key)]
    passphrase_secret: Option<PassphraseReference>,
    /// Create nothing; print the object.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Creates the request, or prints it.
pub async fn run(ctx: &Ctx, args: &RequestArgs) -> Result<(), PluginError> {
    let ask = args.ask.check(&args.certificate, args.passphrase_secret.clone(), ctx.now())?;
    if args.passphrase_secret.is_some() && !ask.format.needs_passphrase() {
        return Err(PluginError::usage(format!(
            "format {} is not encrypted: leave --passphrase-secret out",
            ask.format
        )));
    }
    if args.dry_run {
        return print(ctx, args, &ask);
    }
    let delivery = match args.delivery {
        Some(choice) => choice.into(),
        None if ctx.bearer().await?.is_some() => Delivery::Claim,
        None => Delivery::Secret,
    };
    ctx.resume_by(create::perhaps(ctx));
    let request = create::create(ctx, &ask, args.name.as_deref(), delivery).await?;
    let request = create::decided(ctx, request).await;
    args.output.object(&request, || create::created(&request))?;
    create::refused(ctx, &request).map_or(Ok(()), Err)
}

/// Prints what would be created. It may be applied by another, such as a GitOps tool, so it holds only what was typed.
fn print(ctx: &Ctx, args: &RequestArgs, ask: &Ask) -> Result<(), PluginError> {
    let format = match args.output.format {
        Printed::Table | Printed::Wide => Printed::Yaml,
        chosen => chosen,
    };
    let output = OutputArgs { format, ..args.output.clone() };
    let request = create::draft(ask, args.name.as_deref(), args.delivery.map(Delivery::from), ctx);
    let deadline = match request.spec.deadline {
        Some(_) => "",
        None => "; a ServiceAccount must give a deadline, at most 24h ahead: --deadline",
    };
    ctx.say(&format!("note: the user who applies this object is its requester, and gets its token{deadline}"))?;
    output.object(&request, String::new)
}
