//! What every command has: who runs it, where, and how to speak to them.

use std::{
    fmt::Debug,
    io::{self, Write as _},
    sync::{Mutex, OnceLock},
};

use jiff::Timestamp;
use kube::{
    Api, Client, Resource,
    api::ListParams,
    core::{DeserializeGuard, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;

use super::{
    connect,
    error::PluginError,
    global::GlobalArgs,
    print::{
        style::{self, Style, Tone},
        table::plain,
    },
};
use crate::{
    cluster::{client::Clients, error::During as _},
    lifecycle::Altered,
    redact::Redacted,
};

/// So many objects are asked for at once.
const PAGE: u32 = 500;

/// The surroundings of a command.
pub struct Ctx {
    /// The flags that every command has.
    pub global: GlobalArgs,
    /// Clients with the person's credentials: `reads` retry, `writes` never do.
    pub clients: Clients,
    /// The namespace to work in.
    pub namespace: String,
    /// Whether `--as` is in play: the person's bearer token then is not who they act as.
    pub impersonating: bool,
    /// How standard output looks.
    pub stdout: Style,
    /// How many characters fit on a line of standard output, where it is a terminal.
    pub width: Option<usize>,
    /// How standard error looks.
    pub stderr: Style,
    resume: Mutex<Option<String>>,
    end: OnceLock<&'static str>,
}

impl Ctx {
    /// Connects as the flags say. For another context: the same flags with `context` replaced.
    ///
    /// # Errors
    /// When there is no usable kubeconfig, or its credentials cannot be used.
    pub async fn connect(global: &GlobalArgs) -> Result<Self, PluginError> {
        let connection = connect::connect(global).await?;
        tracing::debug!("API server {}, namespace {}", connection.url, connection.namespace);
        Ok(Self {
            global: global.clone(),
            clients: connection.clients,
            namespace: connection.namespace,
            impersonating: connection.impersonating,
            stdout: Style::of(&io::stdout()),
            width: style::width(&io::stdout()),
            stderr: Style::of(&io::stderr()),
            resume: Mutex::new(None),
            end: OnceLock::new(),
        })
    }

    /// The objects of a kind in the namespace, to be read.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.clients.reads().clone(), &self.namespace)
    }

    /// The same, to be written; nothing is tried twice.
    pub fn writing<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.clients.writes().clone(), &self.namespace)
    }

    /// Every object of a kind in the namespace, or in all namespaces, that these parameters choose. One that this version
    /// cannot read is named in a warning and left out: it must not keep the others from anybody.
    ///
    /// # Errors
    /// When the API server refuses or does not answer.
    pub async fn all<K>(&self, everywhere: bool, params: ListParams) -> Result<Vec<K>, PluginError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let reads = self.clients.reads().clone();
        let api: Api<DeserializeGuard<K>> =
            if everywhere { Api::all(reads) } else { Api::namespaced(reads, &self.namespace) };
        let place = if everywhere { "all namespaces".to_owned() } else { format!("namespace {}", self.namespace) };
        tracing::debug!("listing {} of {place}", K::plural(&()));
        let mut params = params.limit(PAGE);
        let mut found = Vec::new();
        loop {
            let page = api.list(&params).await.during("list", || format!("{} of {place}", K::plural(&())))?;
            found.extend(page.items.into_iter().filter_map(|item| readable(item).map_err(|words| warn(&words)).ok()));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// One object of the namespace. `list` is the command that says which there are.
    ///
    /// # Errors
    /// When there is none, or the API server refuses or does not answer.
    pub async fn one<K>(&self, name: &str, list: &str) -> Result<K, PluginError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let object = || format!("{} {}/{name}", K::kind(&()), self.namespace);
        tracing::debug!("reading {}", object());
        let found = self.api::<K>().get_opt(name).await.during("read", object)?;
        found.ok_or_else(|| {
            PluginError::new(format!("there is no {} `{name}` in namespace {}", K::kind(&()), self.namespace))
                .next(format!("`kubectl certcourier {list} -n {}` lists those there are", self.namespace))
        })
    }

    /// The person's bearer token, where their credentials are one, and it is they who act.
    ///
    /// # Errors
    /// When the credential plugin, asked again, fails.
    pub async fn bearer(&self) -> Result<Option<Redacted<String>>, PluginError> {
        if self.impersonating {
            return Ok(None);
        }
        self.clients.bearer().await.map_err(|error| {
            PluginError::new(match error.downcast_ref() {
                Some(auth) => return PluginError::from(auth as &kube::client::AuthError),
                None => format!("your credentials cannot be read: {error}"),
            })
        })
    }

    /// The API server's time.
    pub fn now(&self) -> Timestamp {
        self.clients.clock().now()
    }

    /// Says something on standard error, unless `--quiet`. What cannot be said there is not said.
    #[expect(clippy::unnecessary_wraps, reason = "it ends a command as printing does")]
    pub fn say(&self, text: &str) -> Result<(), PluginError> {
        if !self.global.quiet {
            let _ = writeln!(io::stderr(), "{}", self.stderr.paint(Tone::Faint, &plain(text)));
        }
        Ok(())
    }

    /// What to do where the API server stored something else than what was sent about a request.
    pub fn altered(&self, altered: &Altered, request: &str) -> PluginError {
        PluginError::new(altered.to_string()).next(format!(
            "revoke it: kubectl certcourier revoke {request} {} --reason …; then tell a cluster administrator: \
             `kubectl certcourier doctor` lists who could do that",
            self.flags()
        ))
    }

    /// Shows a whole text on standard error, unless `--quiet`; its author has taken care of control characters.
    pub fn show(&self, text: &str) {
        if !self.global.quiet {
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }

    /// What to say when the command is interrupted now: how to go on.
    pub fn resume_by(&self, how: impl Into<String>) {
        if let Ok(mut resume) = self.resume.lock() {
            *resume = Some(how.into());
        }
    }

    /// From now on an interruption is the end that is meant, and not worth a word.
    pub fn ends_by_interruption(&self) {
        self.resume_by("");
    }

    /// How to go on after an interruption, empty where that is its end; nothing was started without it.
    pub fn resume(&self) -> Option<String> {
        self.resume.lock().ok().and_then(|resume| resume.clone())
    }

    /// From now on an interruption is how the command ends well, with these words.
    pub fn interrupt_is_the_end(&self, words: &'static str) {
        let _ = self.end.set(words);
    }

    /// What to say where an interruption is the good end.
    pub fn end(&self) -> Option<&'static str> {
        self.end.get().copied()
    }

    /// The raw client, for what stays open: watches and upgraded connections.
    pub fn raw(&self) -> &Client {
        self.clients.watches()
    }

    /// The flags that a command line needs to be run again from another shell: namespace and context.
    pub fn flags(&self) -> String {
        let mut flags = format!("-n {}", self.namespace);
        if let Some(context) = &self.global.context {
            flags.push_str(" --context ");
            flags.push_str(context);
        }
        flags
    }
}

/// An object, or a warning that names it.
fn readable<K>(item: DeserializeGuard<K>) -> Result<K, String>
where
    K: Resource<DynamicType = ()>,
{
    item.0.map_err(|invalid| {
        let metadata = invalid.metadata;
        let (namespace, name) = (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
        format!(
            "warning: this version cannot read {} {namespace}/{name}, which is left out: {}",
            K::kind(&()),
            invalid.error
        )
    })
}

fn warn(words: &str) {
    let _ = writeln!(io::stderr(), "{}", plain(words));
}

#[cfg(test)]
mod tests {
    use kube::core::ObjectList;
    use serde_json::json;

    use super::*;
    use crate::api::DownloadRequest;

    #[test]
    fn one_request_that_cannot_be_read_is_named_and_the_others_are_listed() {
        let request = |name: &str, deadline: &str| {
            json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
                "metadata": {"name": name, "namespace": "payments"},
                "spec": {"certificateRef": {"name": "api"}, "format": "cert", "deadline": deadline}})
        };
        let items = [request("good", "2026-11-29T23:00:00Z"), request("bad", "2026-11-29T23:00:00.1234567890Z")];
        let list: ObjectList<DeserializeGuard<DownloadRequest>> = serde_json::from_value(
            json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequestList", "metadata": {}, "items": items}),
        )
        .unwrap();
        let mut read = list.items.into_iter().map(readable);
        assert_eq!(read.next().unwrap().unwrap().metadata.name.as_deref(), Some("good"));
        let warning = read.next().unwrap().unwrap_err();
        assert!(warning.starts_with("warning: this version cannot read DownloadRequest payments/bad, "), "{warning}");
    }
}
