//! `revoke`: revokes requests, no matter who asked; an issued token stops working.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::output::print,
    request::choose::{ChosenArgs, last_error},
};
use crate::{
    api::{DownloadRequest, names},
    cluster::{access, error::During as _},
    lifecycle,
};

const EXAMPLES: &str = "\
Examples:
  kubectl certcourier revoke api-key-x7k2p --reason 'not needed after all'
  kubectl certcourier revoke -l app=web --reason 'wrong certificate'
  kubectl certcourier revoke $(kubectl certcourier list requests --mine --open -o name) --reason 'wrong certificate'";

/// Revoke requests; their tokens stop working.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RevokeArgs {
    #[command(flatten)]
    chosen: ChosenArgs,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
}

/// Revokes them, each for itself: one that cannot be revoked does not keep the others.
pub async fn run(ctx: &Ctx, args: &RevokeArgs) -> Result<(), PluginError> {
    ctx.resume_by(format!("run it again: what is revoked stays revoked ({})", ctx.flags()));
    let me = access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?.username;
    let mut done = Vec::new();
    for request in args.chosen.names(ctx, DownloadRequest::is_open).await? {
        let revoked = revoke(ctx, &request, &args.reason, &me).await;
        done.push(revoked.and_then(|words| print(&format!("downloadrequest.certcourier.io/{request} {words}\n"))));
    }
    last_error(done)
}

async fn revoke(ctx: &Ctx, name: &str, reason: &str, me: &str) -> Result<&'static str, PluginError> {
    let request: DownloadRequest = ctx.one(name, "list requests").await?;
    let phase = request.phase();
    if !phase.is_open() {
        return Err(PluginError::new(format!("{name} is {} already: there is nothing to revoke", phase.name())));
    }
    if request.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(names::REVOKE)) {
        return Ok("is being revoked already");
    }
    let patch = Patch::Merge(json!({"metadata": {"annotations": {names::REVOKE: reason, names::REVOKED_BY: me}}}));
    let object = || format!("DownloadRequest {}/{name}", ctx.namespace);
    let patched = ctx.writing::<DownloadRequest>().patch(name, &PatchParams::default(), &patch).await;
    let patched = patched.during("annotate", object)?;
    lifecycle::withdrawn(&patched, reason).map_err(|altered| ctx.altered(&altered, name))?;
    Ok("revoked")
}
