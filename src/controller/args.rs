//! The command line of `certcourier controller`: every interval and limit is a flag.

use std::{net::SocketAddr, path::PathBuf, str::FromStr as _};

use crate::api::name::Namespace;
use crate::{
    api::Duration,
    audit::{AuditArgs, cluster_name},
    cluster::client::ClientArgs,
    external_url,
    telemetry::LogArgs,
};

/// Flags of `certcourier controller`.
#[derive(Clone, Debug, clap::Args)]
pub struct ControllerArgs {
    /// The operator's own namespace: its Lease and the guard's state live here. Default: the pod's, or the
    /// kubeconfig's.
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    pub namespace: Option<String>,
    /// The namespaces whose Certificates and requests are served, such as `payments,web`. Default: all of the cluster,
    /// which needs the roles bound cluster-wide.
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',', value_parser = namespace)]
    pub watch_namespaces: Vec<String>,
    /// The cluster policy, a ceiling for every namespace: YAML with the fields of `kubectl explain
    /// ccpol.spec`. An error in it prevents the start. Give the server the same file.
    #[arg(long, value_name = "FILE")]
    pub cluster_policy: Option<PathBuf>,
    /// Where people reach the server, such as `https://certs.example.com`. It begins the link in each token Secret.
    /// Without it, the Secret holds no link, and its token is used through the kubectl plugin.
    #[arg(long, value_name = "URL", value_parser = external_url::parse)]
    pub external_url: Option<String>,
    /// CA certificates (PEM) with which clients verify the server behind --external-url; they go into each token Secret
    /// as ca.crt. Leave it out if clients trust the server's certificate anyway.
    #[arg(long, value_name = "FILE")]
    pub external_ca: Option<PathBuf>,
    /// Name of this cluster, for the audit record. Default: none. Give the server the same.
    #[arg(long, env = "CERTCOURIER_CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: Option<String>,
    /// The same, from key ca.crt of a ConfigMap in the operator's own namespace: certcourier-serving-ca where the
    /// server runs with --tls-self-signed.
    #[arg(long, value_name = "NAME", conflicts_with = "external_ca")]
    pub external_ca_config_map: Option<String>,
    /// Where /healthz, /readyz and /metrics are served. Not for the open network.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub metrics_address: SocketAddr,
    /// Intervals.
    #[command(flatten)]
    pub intervals: Intervals,
    /// The guard over the admission policies.
    #[command(flatten)]
    pub guard: GuardArgs,
    /// Leader election.
    #[command(flatten)]
    pub election: ElectionArgs,
    /// The audit record.
    #[command(flatten)]
    pub audit: AuditArgs,
    /// The API server.
    #[command(flatten)]
    pub client: ClientArgs,
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Intervals, timeouts and limits.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Intervals and limits")]
pub struct Intervals {
    /// How often the Secrets of each Certificate are read again; while one is missing or unusable, every --retry-interval.
    /// They are not watched: that would need the right to list all Secrets.
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    pub certificate_interval: Duration,
    /// How long a new request waits for its Certificate and Secret to appear before it fails.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub certificate_wait: Duration,
    /// The longest delay before a retry; the first is 200 ms, and each is twice the previous one.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub retry_interval: Duration,
    /// How long a new Role may take to let the requester read the token Secret; after that the token counts as issued
    /// anyway.
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    pub reader_wait: Duration,
    /// How long after its start a delivery whose outcome no server has reported counts as Unknown.
    #[arg(long, value_name = "DURATION", default_value = "90s")]
    pub outcome_wait: Duration,
    /// How long a finished request that the HTTP API created is kept, where no policy sets finishedRequestTTL.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub api_request_ttl: Duration,
    /// How many finished requests of one requester are kept in a namespace, whatever finishedRequestTTL says: the oldest
    /// beyond them are deleted early. Their receipts stay.
    #[arg(long, value_name = "REQUESTS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_finished_requests: u32,
    /// How many open requests one requester may have in a namespace; another one fails. Give the server the same.
    #[arg(long, value_name = "REQUESTS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_open_requests: u32,
    /// How often to look for Roles, RoleBindings and Secrets of tokens whose request no longer exists: a deletion with
    /// --cascade=orphan, or a crash, leaves them behind.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = at_least_a_second)]
    pub sweep_interval: Duration,
    /// How many objects are reconciled at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// How long running work may take to finish after SIGTERM.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub shutdown_timeout: Duration,
}

/// How the admission policies are verified: without proof that they are in force, no format with a key is released.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Guard")]
pub struct GuardArgs {
    /// User name of the server as the API server knows it, such as system:serviceaccount:certcourier-system:server. The
    /// admission policies contain it, and the guard compares them. Default: the controller's own, as when both run in
    /// one pod.
    #[arg(long, value_name = "USER")]
    pub server_user: Option<String>,
    /// How often the leader checks the admission policies and has each of them refuse a probe.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = at_least_a_second)]
    pub guard_interval: Duration,
    /// How long a policy may take to take effect in every API server after it was first found in place. Requests for
    /// keys that were created before that may be forged and are closed.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = settle)]
    pub guard_settle: Duration,
    /// How long the last proof is valid while the API server does not respond. Longer than --guard-interval; give the
    /// server the same.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = at_least_a_second)]
    pub guard_max_age: Duration,
    /// What to do about mutating policies and webhooks that are not certcourier's and can change requests, votes or
    /// receipts during admission: `report` them and start a new epoch when one is added, removed or changed; or
    /// `refuse` keys while there is one, which is for clusters where nothing mutates every kind.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub guard_mutators: Mutators,
}

/// See [`GuardArgs::guard_mutators`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutators {
    /// Keys are still released.
    #[default]
    Report,
    /// No key is released.
    Refuse,
}

/// Which replica is active.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Leader election")]
pub struct ElectionArgs {
    /// The Lease, in the operator's namespace, whose holder acts.
    #[arg(long, value_name = "NAME", default_value = "certcourier-controller")]
    pub lease_name: String,
    /// How long the Lease is held after a renewal, 2s to 10m. A leader that died is replaced after about this time; one
    /// that cannot renew stops acting after two thirds of it.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = lease_duration)]
    pub lease_duration: Duration,
    /// The name under which this replica holds the Lease; no other replica may use it. Default: host name and a random
    /// part.
    #[arg(long, value_name = "NAME")]
    pub identity: Option<String>,
}

/// An empty one would mean all namespaces to the API server.
fn namespace(text: &str) -> Result<String, String> {
    let wrong = |_| "write names of namespaces such as payments,web, or leave it out for all".to_owned();
    text.parse::<Namespace>().map(String::from).map_err(wrong)
}

fn at_least_a_second(text: &str) -> Result<Duration, String> {
    let duration = Duration::from_str(text).map_err(|error| error.to_string())?;
    if duration.seconds() > 0 { Ok(duration) } else { Err("it must be at least 1s".to_owned()) }
}

/// The API server's time is known to a second and a half.
fn settle(text: &str) -> Result<Duration, String> {
    let duration = Duration::from_str(text).map_err(|error| error.to_string())?;
    if duration.seconds() >= 2 { Ok(duration) } else { Err("it must be at least 2s".to_owned()) }
}

fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = Duration::from_str(text).map_err(|error| error.to_string())?;
    if (2..=600).contains(&duration.seconds()) { Ok(duration) } else { Err("it must be between 2s and 10m".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_namespace_is_refused() {
        assert_eq!(namespace("payments").as_deref(), Ok("payments"));
        for text in ["", "Payments", "a b", "*"] {
            assert!(namespace(text).unwrap_err().contains("leave it out"), "{text}");
        }
    }

    #[test]
    fn a_lease_is_neither_too_short_nor_too_long_and_no_pause_is_none() {
        assert!(lease_duration("2s").is_ok() && lease_duration("10m").is_ok());
        assert!(settle("2s").is_ok() && settle("1s").is_err() && at_least_a_second("0s").is_err());
        assert!(lease_duration("1s").is_err() && lease_duration("601s").is_err() && lease_duration("x").is_err());
    }
}
