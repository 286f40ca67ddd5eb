//! Where policies come from: the namespace's `CertificatePolicy` objects, read live, and the cluster policy, from a file.
//!
//! A policy that cannot be read stops everything that it might apply to: leaving it out would allow more than it
//! allows.

use std::{fmt::Display, fs, path::Path, sync::Arc};

use kube::{
    Api, Client, ResourceExt as _,
    api::ListParams,
    core::{DeserializeGuard, error_boundary::InvalidObject},
};
use serde_json::Value;

use super::{
    client::Clients,
    error::{ApiError, During as _},
};
use crate::{
    api::{CertificatePolicy, CertificatePolicySpec, Duration, FinishedRequestTtl},
    policy::{NamedPolicy, Source, can_match_certificate, can_match_environment},
    text,
};

/// Why the policies of a namespace are not known.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The API server refuses or does not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A policy is not as this version knows it.
    #[error("CertificatePolicy {namespace}/{name} cannot be read by this version of certcourier: {cause}")]
    Unreadable {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// Every policy of a namespace, as of now, and the cluster policy.
///
/// # Errors
/// [`PolicyError`] when they cannot be listed, or one of them cannot be read.
pub async fn live(
    client: &Client,
    namespace: &str,
    cluster: Option<&NamedPolicy>,
) -> Result<Vec<NamedPolicy>, PolicyError> {
    let mut policies = of_namespace(client, namespace).await?;
    policies.extend(cluster.cloned());
    Ok(policies)
}

/// The same with our own rights, by one list for all who wait for it; no one is given what was read before they asked.
///
/// # Errors
/// As [`live`].
pub async fn live_together(
    clients: &Clients,
    namespace: &str,
    cluster: Option<&NamedPolicy>,
) -> Result<Vec<NamedPolicy>, PolicyError> {
    let (client, own) = (clients.reads().clone(), namespace.to_owned());
    let list = move || async move { of_namespace(&client, &own).await.ok().map(Arc::new) };
    let Some(shared) = clients.shared().policies.ask(namespace.to_owned(), list).await else {
        return live(clients.reads(), namespace, cluster).await;
    };
    let mut policies = shared.to_vec();
    policies.extend(cluster.cloned());
    Ok(policies)
}

async fn of_namespace(client: &Client, namespace: &str) -> Result<Vec<NamedPolicy>, PolicyError> {
    let api: Api<DeserializeGuard<CertificatePolicy>> = Api::namespaced(client.clone(), namespace);
    let list = api
        .list(&ListParams::default())
        .await
        .during("list", || format!("the CertificatePolicies of namespace {namespace}"))?;
    list.items.into_iter().map(named).collect()
}

/// A policy by its name, if it can be read.
///
/// # Errors
/// [`PolicyError::Unreadable`].
pub fn named(policy: DeserializeGuard<CertificatePolicy>) -> Result<NamedPolicy, PolicyError> {
    match policy.0 {
        Ok(policy) => Ok(NamedPolicy { source: Source::Namespace(policy.name_any()), spec: policy.spec }),
        Err(InvalidObject { error, metadata }) => Err(PolicyError::Unreadable {
            namespace: metadata.namespace.unwrap_or_default(),
            name: metadata.name.unwrap_or_default(),
            cause: error,
        }),
    }
}

/// Why the cluster policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// The file cannot be read.
    #[error("read --cluster-policy {path}")]
    Read {
        /// Its path.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is not a policy.
    #[error("--cluster-policy {path}: {problem}")]
    Invalid {
        /// Its path.
        path: String,
        /// What is wrong, and what to write.
        problem: String,
    },
}

/// Reads the cluster policy: YAML, what is under `spec` of a `CertificatePolicy`, or a whole one.
///
/// # Errors
/// [`PolicyFileError`]; a field that is not known, or a value out of its bounds, is one.
pub fn load(path: &Path) -> Result<NamedPolicy, PolicyFileError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|source| PolicyFileError::Read { path: shown.clone(), source })?;
    match parse(&text) {
        Ok(spec) => Ok(NamedPolicy { source: Source::Cluster, spec }),
        Err(problem) => Err(PolicyFileError::Invalid { path: shown, problem }),
    }
}

fn parse(text: &str) -> Result<CertificatePolicySpec, String> {
    let yaml: Value = serde_saphyr::from_str(text).map_err(|error| format!("this is not YAML: {error}"))?;
    let written = match &yaml {
        Value::Object(fields) if fields.contains_key("kind") => match fields.get("spec") {
            Some(spec) if fields["kind"] == "CertificatePolicy" => spec,
            _ => return Err("write a CertificatePolicy, or only its spec".to_owned()),
        },
        Value::Object(_) => &yaml,
        Value::Null => return Err("the file is empty; leave --cluster-policy out if there is no policy".to_owned()),
        _ => return Err("write fields such as `allowKeyExport: WithApproval`".to_owned()),
    };
    let spec: CertificatePolicySpec = serde_json::from_value(written.clone()).map_err(|error| error.to_string())?;
    let understood = serde_json::to_value(&spec).map_err(|error| error.to_string())?;
    if let Some(unknown) = not_in(written, &understood, "") {
        return Err(format!("field `{unknown}` is not known; `kubectl explain ccpol.spec` lists the fields"));
    }
    match out_of_bounds(&spec).or_else(|| unreadable(&spec)).or_else(|| senseless(&spec)) {
        Some(problem) => Err(problem),
        None => Ok(spec),
    }
}

/// The path of the first field that was written, but not understood. A field written as null counts as left out.
fn not_in(written: &Value, understood: &Value, path: &str) -> Option<String> {
    let Value::Object(fields) = written else { return None };
    fields.iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match understood.get(name) {
            Some(known) => not_in(value, known, &path),
            None => Some(path),
        }
    })
}

/// The bounds that the API server holds a `CertificatePolicy` to; a file does not pass there.
fn out_of_bounds(spec: &CertificatePolicySpec) -> Option<String> {
    let approval = spec.approval.clone().unwrap_or_default();
    let token = spec.token.clone().unwrap_or_default();
    let (second, day, month, decade) = (1, 24 * 3600, 720 * 3600, 87_600 * 3600);
    let unattended = spec.unattended.as_ref().and_then(|unattended| unattended.approvals);
    let least_length = spec.passphrase.as_ref().and_then(|passphrase| passphrase.min_length);
    [
        outside("certificates", spec.certificates.as_ref().map(Vec::len), 1, 64),
        outside("environments", spec.environments.as_ref().map(Vec::len), 1, 64),
        outside("allowedFormats", spec.allowed_formats.as_ref().map(Vec::len), 1, 10),
        outside("approval.approvals", approval.approvals, 1, 8),
        outside("approval.pendingTTL", approval.pending_ttl, seconds(second), seconds(month)),
        outside("approval.validity", approval.validity, seconds(second), seconds(month)),
        outside("unattended.approvals", unattended, 2, 8),
        outside("token.ttl", token.ttl, seconds(second), token.max_ttl.unwrap_or(seconds(day))),
        outside("token.maxTTL", token.max_ttl, seconds(second), seconds(day)),
        outside("passphrase.minLength", least_length, 1, 128),
        outside("receiptRetention", spec.receipt_retention, seconds(day), seconds(decade)),
        outside("finishedRequestTTL", ttl_of(spec), seconds(0), seconds(decade)),
    ]
    .into_iter()
    .flatten()
    .next()
}

/// Entries that mean nothing: patterns that no name can match, and formats listed twice.
fn senseless(spec: &CertificatePolicySpec) -> Option<String> {
    let matching_nothing = |field: &str, what: &str, entries: Option<&Vec<String>>, can_match: fn(&str) -> bool| {
        let wrong = entries?.iter().find(|entry| !can_match(entry))?;
        Some(format!(
            "{field}: `{}` matches no {what}: names are in lower-case letters, digits, - (and . in those of \
             Certificates), begin and end with a letter or digit, and * matches any characters",
            text::shown(wrong)
        ))
    };
    let formats = spec.allowed_formats.as_deref().unwrap_or_default();
    let twice = formats.iter().enumerate().find(|(at, format)| formats[..*at].contains(format));
    matching_nothing("certificates", "Certificate", spec.certificates.as_ref(), can_match_certificate)
        .or_else(|| matching_nothing("environments", "environment", spec.environments.as_ref(), can_match_environment))
        .or_else(|| twice.map(|(_, format)| format!("allowedFormats: {format} is listed twice")))
}

/// The time in it, where it ends.
fn ttl_of(spec: &CertificatePolicySpec) -> Option<Duration> {
    match spec.finished_request_ttl? {
        FinishedRequestTtl::For(time) => Some(time),
        FinishedRequestTtl::Never => None,
    }
}

/// Whom to ask is read by others, at a terminal.
fn unreadable(spec: &CertificatePolicySpec) -> Option<String> {
    let words = spec.approval.as_ref()?.contacts.as_ref()?;
    if !(1..=200).contains(&words.chars().count()) {
        return Some("approval.contacts must have 1 to 200 characters".to_owned());
    }
    text::has_hidden(words).then(|| format!("approval.contacts: {}", text::NO_HIDDEN_MESSAGE))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_seconds(seconds)
}

fn outside<T: PartialOrd + Display + Copy>(field: &str, value: Option<T>, least: T, most: T) -> Option<String> {
    let value = value?;
    let counted = if field.ends_with('s') && !field.contains('.') { "entries of " } else { "" };
    (value < least || value > most)
        .then(|| format!("{counted}{field}: {value} is not allowed; it must be between {least} and {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::KeyExport;

    #[test]
    fn a_policy_file_is_a_spec_or_a_whole_policy() {
        let bare = parse("allowKeyExport: WithApproval\napproval: {approvals: 2, pendingTTL: 1h30m}\n").unwrap();
        assert_eq!(bare.allow_key_export, Some(KeyExport::WithApproval));
        let whole = parse(
            "apiVersion: certcourier.io/v1alpha1\nkind: CertificatePolicy\nmetadata: {name: x}\nspec:\n  allowKeyExport: WithApproval\n  approval: {approvals: 2, pendingTTL: 1h30m}\n",
        );
        assert_eq!(whole.unwrap(), bare);
        assert_eq!(parse("{}").unwrap(), CertificatePolicySpec::default());
        assert_eq!(parse("token: {ttl: null}").unwrap().token.unwrap().ttl, None);
    }

    #[test]
    fn a_mistake_in_the_file_is_named() {
        for (text, said) in [
            ("allowKeyExports: Never", "field `allowKeyExports` is not known"),
            ("approval: {approvals: 2, needed: 1}", "field `approval.needed` is not known"),
            ("allowKeyExport: Sometimes", "unknown variant `Sometimes`"),
            ("token: {ttl: 5 minutes}", "write hours, minutes and seconds"),
            ("token: {ttl: 2h, maxTTL: 1h}", "token.ttl: 2h is not allowed; it must be between 1s and 1h"),
            ("approval: {approvals: 9}", "approval.approvals: 9 is not allowed; it must be between 1 and 8"),
            ("approval: {validity: 0s}", "approval.validity: 0s"),
            ("unattended: {approvals: 1}", "unattended.approvals: 1"),
            ("allowedFormats: []", "entries of allowedFormats: 0"),
            ("receiptRetention: 1h", "receiptRetention: 1h is not allowed; it must be between 24h"),
            ("certificates: [API]", "certificates: `API` matches no Certificate"),
            ("certificates: ['prod-*', 'api?']", "certificates: `api?` matches no Certificate"),
            ("certificates: ['']", "certificates: `` matches no Certificate"),
            ("environments: [' prod']", "environments: ` prod` matches no environment"),
            ("environments: ['a.b']", "environments: `a.b` matches no environment"),
            ("allowedFormats: [cert, ca, cert]", "allowedFormats: cert is listed twice"),
            ("approval: {contacts: ''}", "approval.contacts must have 1 to 200 characters"),
            ("approval: {contacts: \"a\\u202eb\"}", "approval.contacts: this text is read by others"),
            ("finishedRequestTTL: forever", "write hours, minutes and seconds"),
            ("finishedRequestTTL: 99999h", "finishedRequestTTL: 99999h is not allowed"),
            ("", "the file is empty"),
            ("- allowKeyExport", "write fields such as"),
            ("kind: ConfigMap\nspec: {}", "write a CertificatePolicy"),
            ("a: [", "this is not YAML"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/nonexistent/policy.yaml")).unwrap_err();
        assert_eq!(error.to_string(), "read --cluster-policy /nonexistent/policy.yaml");
    }

    #[test]
    fn a_policy_of_another_version_is_no_policy_left_out() {
        let guard = |spec: Value| {
            let object = serde_json::json!({
                "apiVersion": "certcourier.io/v1alpha1", "kind": "CertificatePolicy",
                "metadata": {"namespace": "payments", "name": "later"}, "spec": spec});
            serde_json::from_value::<DeserializeGuard<CertificatePolicy>>(object).unwrap()
        };
        assert_eq!(named(guard(serde_json::json!({}))).unwrap().source, Source::Namespace("later".to_owned()));
        let error = named(guard(serde_json::json!({"allowKeyExport": "OnSundays"}))).unwrap_err().to_string();
        assert!(error.starts_with("CertificatePolicy payments/later cannot be read"), "{error}");
    }
}
