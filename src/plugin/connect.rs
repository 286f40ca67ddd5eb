//! Where the API server is and who we are, as kubectl finds it: flags, then the kubeconfig, then the pod's ServiceAccount.

pub(crate) mod proxy;

use std::{
    env, io,
    path::{Path, PathBuf},
};

use hyper::header::{HeaderName, HeaderValue};
use kube::{
    Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{error::PluginError, global::GlobalArgs};
use crate::{
    api,
    cluster::{
        client::{ClientArgs, Clients, Role},
        kubeconfig,
    },
};

/// How many calls run at once; a person waits for few.
const CONCURRENCY: u16 = 16;

/// The connection, and what the flags made of it.
pub struct Connection {
    /// Clients with the person's credentials.
    pub clients: Clients,
    /// The namespace to work in: `-n`, else the context's.
    pub namespace: String,
    /// Whether calls are made in someone else's name.
    pub impersonating: bool,
    /// The API server.
    pub url: String,
}

/// Reads the kubeconfig and prepares clients. Runs its exec plugin, if it names one; calls no one else.
pub async fn connect(args: &GlobalArgs) -> Result<Connection, PluginError> {
    let mut config = config(args).await?;
    impersonate(&mut config.auth_info, args);
    let impersonating = add_impersonation(&mut config)?;
    if let Some(namespace) = &args.namespace {
        config.default_namespace.clone_from(namespace);
    }
    let namespace = config.default_namespace.clone();
    let client_args = ClientArgs {
        api_concurrency: CONCURRENCY,
        api_timeout: api::Duration::from_seconds(args.request_timeout.limit().as_secs()),
        ..ClientArgs::default()
    };
    let url = config.cluster_url.to_string();
    let clients = Clients::new(config, &client_args, Role::Plugin)?;
    Ok(Connection { clients, namespace, impersonating, url })
}

async fn config(args: &GlobalArgs) -> Result<Config, PluginError> {
    let Some(file) = found(args.kubeconfig.as_deref())? else {
        let wanted = [("--context", &args.context), ("--cluster", &args.cluster), ("--user", &args.user)];
        if let Some((flag, _)) = wanted.iter().find(|(_, value)| value.is_some()) {
            return Err(PluginError::new(format!("there is no kubeconfig, so {flag} names nothing"))
                .next("set KUBECONFIG or --kubeconfig"));
        }
        return Config::incluster().map_err(|_| {
            PluginError::new("there is no kubeconfig, and this is not a pod").next("set KUBECONFIG or --kubeconfig")
        });
    };
    if file.contexts.is_empty() {
        return Err(PluginError::new("the kubeconfig has no contexts: it is empty, or another file")
            .next("name the right one with KUBECONFIG or --kubeconfig"));
    }
    let known: Vec<&str> = file.contexts.iter().map(|context| context.name.as_str()).collect();
    let known = known.join(", ");
    let has_proxy = names_a_proxy(&file, args);
    let options =
        KubeConfigOptions { context: args.context.clone(), cluster: args.cluster.clone(), user: args.user.clone() };
    let read = Config::from_custom_kubeconfig(file, &options).await;
    let mut config = read.map_err(|error| {
        let plain = PluginError::new(format!("the kubeconfig cannot be used: {}", kubeconfig::in_words(&error)));
        match error {
            KubeconfigError::CurrentContextNotSet | KubeconfigError::LoadContext(_) => {
                plain.next(format!("choose a context with --context; there is {known}"))
            }
            _ => plain,
        }
    })?;
    if !has_proxy {
        // kube compares NO_PROXY with the proxy and not with the API server.
        config.proxy_url = proxy::of(&config.cluster_url, |name| env::var(name).ok());
    }
    Ok(config)
}

/// Whether the kubeconfig itself says which proxy leads to the cluster.
fn names_a_proxy(kubeconfig: &Kubeconfig, args: &GlobalArgs) -> bool {
    let context = args.context.as_ref().or(kubeconfig.current_context.as_ref());
    let context = kubeconfig.contexts.iter().find(|named| Some(&named.name) == context);
    let of_context = context.and_then(|named| named.context.as_ref()).map(|context| &context.cluster);
    let cluster = kubeconfig.clusters.iter().find(|named| Some(&named.name) == args.cluster.as_ref().or(of_context));
    let proxy = cluster.and_then(|named| named.cluster.as_ref()).and_then(|cluster| cluster.proxy_url.as_ref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// The files of `--kubeconfig`, else of $KUBECONFIG, else ~/.kube/config, merged. As in kubectl, a file of the list that is
/// not there is passed over; one that was named by the flag must be there.
fn found(flag: Option<&Path>) -> Result<Option<Kubeconfig>, PluginError> {
    if let Some(path) = flag {
        return read(path).and_then(|read| match read {
            Some(kubeconfig) => Ok(Some(kubeconfig)),
            None => Err(PluginError::new(format!("there is no kubeconfig `{}`", path.display()))),
        });
    }
    let mut merged: Option<Kubeconfig> = None;
    for path in paths(env::var_os("KUBECONFIG").as_deref(), env::home_dir()) {
        let Some(next) = read(&path)? else { continue };
        merged = Some(match merged {
            None => next,
            Some(first) => first.merge(next).map_err(|error| unreadable(&path, &error))?,
        });
    }
    Ok(merged)
}

/// The contexts of the kubeconfig; none where it cannot be read.
pub fn contexts(args: &GlobalArgs) -> Vec<String> {
    let found = found(args.kubeconfig.as_deref()).ok().flatten().unwrap_or_default();
    found.contexts.into_iter().map(|context| context.name).collect()
}

fn paths(variable: Option<&std::ffi::OsStr>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let listed: Vec<PathBuf> =
        variable.map(env::split_paths).into_iter().flatten().filter(|path| !path.as_os_str().is_empty()).collect();
    if listed.is_empty() { home.map(|home| home.join(".kube/config")).into_iter().collect() } else { listed }
}

fn read(path: &Path) -> Result<Option<Kubeconfig>, PluginError> {
    match Kubeconfig::read_from(path) {
        Ok(kubeconfig) => Ok(Some(kubeconfig)),
        Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &KubeconfigError) -> PluginError {
    PluginError::new(format!("the kubeconfig `{}` cannot be read: {}", path.display(), kubeconfig::in_words(error)))
}

fn impersonate(who: &mut AuthInfo, args: &GlobalArgs) {
    // A flag replaces everything that the kubeconfig says of it, as in kubectl.
    if args.impersonate.is_some() {
        (who.impersonate, who.impersonate_uid, who.impersonate_groups, who.impersonate_user_extra) =
            (args.impersonate.clone(), None, None, None);
    }
    if args.impersonate_uid.is_some() {
        who.impersonate_uid.clone_from(&args.impersonate_uid);
    }
    if !args.impersonate_group.is_empty() {
        who.impersonate_groups = Some(args.impersonate_group.clone());
    }
}

/// kube reads these fields of a kubeconfig and does nothing with them.
fn add_impersonation(config: &mut Config) -> Result<bool, PluginError> {
    let who = std::mem::take(&mut config.auth_info);
    let mut headers = Vec::new();
    headers.extend(who.impersonate.iter().map(|user| ("impersonate-user".to_owned(), user)));
    headers.extend(who.impersonate_uid.iter().map(|uid| ("impersonate-uid".to_owned(), uid)));
    headers.extend(who.impersonate_groups.iter().flatten().map(|group| ("impersonate-group".to_owned(), group)));
    for (key, values) in who.impersonate_user_extra.iter().flatten() {
        headers.extend(values.iter().map(|value| (format!("impersonate-extra-{}", escaped(key)), value)));
    }
    if !headers.is_empty() && who.impersonate.is_none() {
        return Err(PluginError::usage(
            "--as-group and --as-uid need --as: the API server takes no group without a user",
        ));
    }
    for (name, value) in &headers {
        let wrong = || PluginError::usage(format!("`{value}` of --as cannot be sent in a header"));
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        config.headers.push((name, HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?));
    }
    let impersonating = who.impersonate.is_some();
    config.auth_info = who;
    Ok(impersonating)
}

/// A header's name holds few characters; the API server takes back what is percent-encoded.
fn escaped(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn the_variable_lists_files_and_empty_names_are_none() {
        let home = || Some(PathBuf::from("/home/alice"));
        assert_eq!(paths(Some(OsStr::new("/a::/b")), home()), [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(paths(Some(OsStr::new("")), home()), [PathBuf::from("/home/alice/.kube/config")]);
        assert_eq!(paths(None, None), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_broken_kubeconfig_is_not_repeated() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "users: [{name: a, user: {token: canary}").unwrap();
        let report = read(file.path()).unwrap_err().report();
        assert!(report.contains("not a kubeconfig") && !report.contains("canary"), "{report}");
    }

    fn headers(args: &GlobalArgs, who: AuthInfo) -> Result<Vec<(String, String)>, PluginError> {
        let mut config = Config::new("https://127.0.0.1".parse().unwrap());
        config.auth_info = who;
        impersonate(&mut config.auth_info, args);
        add_impersonation(&mut config)?;
        let shown = |(name, value): &(HeaderName, HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
        Ok(config.headers.iter().map(shown).collect())
    }

    #[test]
    fn impersonation_goes_out_as_headers_and_a_flag_replaces_the_kubeconfig() {
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let who = || AuthInfo {
            impersonate: Some("alice".into()),
            impersonate_groups: Some(vec!["a".into()]),
            impersonate_user_extra: Some([("acme.com/x".to_owned(), vec!["1".to_owned()])].into()),
            ..AuthInfo::default()
        };
        assert_eq!(
            headers(&GlobalArgs::default(), who()).unwrap(),
            [of("impersonate-user", "alice"), of("impersonate-group", "a"), of("impersonate-extra-acme.com%2fx", "1")]
        );
        let args = GlobalArgs {
            impersonate: Some("zoe".into()),
            impersonate_group: vec!["b".into(), "c".into()],
            ..GlobalArgs::default()
        };
        assert_eq!(
            headers(&args, who()).unwrap(),
            [of("impersonate-user", "zoe"), of("impersonate-group", "b"), of("impersonate-group", "c")]
        );
        let groups_alone = GlobalArgs { impersonate_group: vec!["b".into()], ..GlobalArgs::default() };
        assert!(headers(&groups_alone, AuthInfo::default()).unwrap_err().report().contains("need --as"));
    }
}
