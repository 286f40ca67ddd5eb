//! Which requests a command works on: by name, or by label; and how one that fails does not keep the others.

use std::collections::BTreeSet;

use kube::{ResourceExt, api::ListParams};

use crate::api::DownloadRequest;
use crate::plugin::{context::Ctx, error::PluginError, print::output, values::object_name};

/// Which requests.
#[derive(Clone, Debug, clap::Args)]
pub struct ChosenArgs {
    /// The requests, by name.
    #[arg(value_name = "REQUEST", value_parser = object_name, required_unless_present = "selector")]
    requests: Vec<String>,
    /// The requests with these labels, such as app=web.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "requests")]
    selector: Option<String>,
}

impl ChosenArgs {
    /// Their names, each once. By label only those that the command can act on.
    ///
    /// # Errors
    /// When the API server refuses, or no request has the labels.
    pub async fn names(&self, ctx: &Ctx, can: impl Fn(&DownloadRequest) -> bool) -> Result<Vec<String>, PluginError> {
        let Some(selector) = &self.selector else {
            let mut named = BTreeSet::new();
            return Ok(self.requests.iter().filter(|name| named.insert(*name)).cloned().collect());
        };
        let found: Vec<DownloadRequest> = ctx.all(false, ListParams::default().labels(selector)).await?;
        let names: Vec<String> = found.iter().filter(|request| can(request)).map(ResourceExt::name_any).collect();
        if names.is_empty() {
            let words = format!("no request in namespace {} with labels {selector} can be acted on", ctx.namespace);
            return Err(PluginError::new(words)
                .next(format!("`kubectl certcourier list requests -l {selector} {}` shows all of them", ctx.flags())));
        }
        Ok(names)
    }

    /// Whether it can be more than one.
    pub fn are_several(&self) -> bool {
        self.selector.is_some() || self.requests.len() > 1
    }
}

/// What became of each: the errors of all but the last are printed, the last one is the command's.
///
/// # Errors
/// The last error there was.
pub fn last_error(done: impl IntoIterator<Item = Result<(), PluginError>>) -> Result<(), PluginError> {
    let mut failed: Option<PluginError> = None;
    for error in done.into_iter().filter_map(Result::err) {
        if let Some(earlier) = failed.replace(error) {
            output::complain(&earlier);
        }
    }
    failed.map_or(Ok(()), Err)
}
