//! The flags of `certcourier server`. Each can be given as an environment variable too; the help says what happens at
//! each limit.

use std::{net::SocketAddr, path::PathBuf};

use super::net::{
    client_address::{AddressBlock, ClientAddressHeader, TrustedProxies},
    rate_limit::RateLimits,
    self_signed::Name,
    tls::CertificateFiles,
};
use crate::{
    api::Duration,
    audit::{AuditArgs, cluster_name},
    cluster::client::ClientArgs,
    external_url,
    net::limits::{at_least_one, positive, share},
    process,
    telemetry::LogArgs,
};

pub use crate::net::limits::ConnectionLimits;

/// Flags of `certcourier server`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    /// Address and port of the API, for people, CI and proxies.
    #[arg(long, env = "CERTCOURIER_LISTEN", default_value = "0.0.0.0:8443", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Address and port of /healthz, /readyz and /metrics. Plain HTTP, not for the open network.
    #[arg(
        long,
        visible_alias = "probe-listen",
        env = "CERTCOURIER_METRICS_ADDRESS",
        default_value = "0.0.0.0:8082",
        value_name = "ADDRESS:PORT"
    )]
    pub metrics_address: SocketAddr,
    /// File with the serving certificate: PEM, leaf first.
    #[arg(
        long,
        env = "CERTCOURIER_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key",
        required_unless_present_any = ["insecure_http", "tls_self_signed"]
    )]
    pub tls_cert: Option<PathBuf>,
    /// File with its private key: PEM, unencrypted.
    #[arg(long, env = "CERTCOURIER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Make the serving certificate, and a CA of its own: for these DNS names and addresses, separated by commas. It is
    /// kept in Secret certcourier-serving for all replicas, renewed after two thirds of its life, and its CA is in
    /// ConfigMap certcourier-serving-ca; `certcourier manifests --tls-self-signed` prints both.
    #[arg(long, env = "CERTCOURIER_TLS_SELF_SIGNED", value_delimiter = ',', value_name = "NAMES",
        conflicts_with_all = ["tls_cert", "tls_key"])]
    pub tls_self_signed: Vec<Name>,
    /// How long each certificate of --tls-self-signed is valid, at most a year.
    #[arg(long, env = "CERTCOURIER_TLS_SELF_SIGNED_LIFETIME", default_value = "2160h", value_name = "DURATION",
        value_parser = serving_lifetime)]
    pub tls_self_signed_lifetime: Duration,
    /// How often both files, or the Secret, are checked; a changed pair is used for new connections, a broken one
    /// leaves the old one in use.
    #[arg(long, env = "CERTCOURIER_TLS_RELOAD_INTERVAL", default_value = "5s", value_name = "DURATION",
        value_parser = positive)]
    pub tls_reload_interval: Duration,
    /// Serve plain HTTP: tokens, files and keys cross the network unencrypted. Only where something in front of this
    /// server does TLS.
    #[arg(long, env = "CERTCOURIER_INSECURE_HTTP", conflicts_with_all = ["tls_cert", "tls_key", "tls_self_signed"])]
    pub insecure_http: bool,
    /// Proxies that may say on whose behalf they call, as comma-separated blocks: `10.0.0.0/8,fd00::/8`. From anyone
    /// else such a header is ignored, and the other end of the connection is the client. Limits on what one address may
    /// have then count the clients behind them, and their own connections are exempt.
    #[arg(long, env = "CERTCOURIER_TRUSTED_PROXIES", value_delimiter = ',', value_name = "BLOCKS")]
    pub trusted_proxies: Vec<AddressBlock>,
    /// The one header in which the trusted proxies name the client. They must set it themselves: the other header may
    /// come from anyone and is never read.
    #[arg(long, env = "CERTCOURIER_CLIENT_ADDRESS_HEADER", value_enum, default_value_t, value_name = "HEADER")]
    pub client_address_header: ClientAddressHeader,
    /// The operator's own namespace: the guard's state lives here. Default: the pod's, or the kubeconfig's.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The namespaces whose requests are served, such as `payments,web`. Default: all of the cluster, which needs the
    /// roles bound cluster-wide.
    #[arg(long, env = "CERTCOURIER_WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACES")]
    pub watch_namespaces: Vec<String>,
    /// The cluster policy, a ceiling for every namespace: YAML with the fields of `kubectl explain
    /// ccpol.spec`. An error in it prevents the start. Give the controller the same file.
    #[arg(long, env = "CERTCOURIER_CLUSTER_POLICY", value_name = "FILE")]
    pub cluster_policy: Option<PathBuf>,
    /// Where people reach this server, such as `https://certs.example.com`: it begins the links in answers. Default:
    /// the host that the caller used, where the serving certificate names it; else links are paths. Give the controller
    /// the same.
    #[arg(long, env = "CERTCOURIER_EXTERNAL_URL", value_name = "URL", value_parser = external_url::parse)]
    pub external_url: Option<String>,
    /// Name of this cluster, for receipts and the audit record. Default: none. Give the controller the same.
    #[arg(long, env = "CERTCOURIER_CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: Option<String>,
    /// Name of this replica, for Events. Default: the host's.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub instance: Option<String>,
    /// The guard over the admission policies.
    #[command(flatten)]
    pub guard: GuardArgs,
    /// Limits on connections.
    #[command(flatten)]
    pub connections: ConnectionLimits,
    /// Limits on requests.
    #[command(flatten)]
    pub requests: RequestLimits,
    /// Limits on how often callers may ask.
    #[command(flatten)]
    pub rates: RateLimits,
    /// Limits on deliveries.
    #[command(flatten)]
    pub deliveries: DeliveryLimits,
    /// The web page.
    #[command(flatten)]
    pub web_page: WebPageArgs,
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

impl ServerArgs {
    /// Name of this replica.
    #[must_use]
    pub fn instance_name(&self) -> String {
        let named = self.instance.clone().filter(|name| !name.is_empty());
        named.or_else(process::host_name).unwrap_or_else(|| "server".into())
    }

    /// Where the serving certificate is; None for plain HTTP.
    #[must_use]
    pub fn certificate_files(&self) -> Option<CertificateFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(CertificateFiles { certificate, key })
    }

    /// Who may speak for others.
    #[must_use]
    pub fn proxies(&self) -> TrustedProxies {
        TrustedProxies { blocks: self.trusted_proxies.clone(), header: self.client_address_header }
    }
}

/// What counts as proof that the admission policies are in force. Without it no format with a key is released.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Guard")]
pub struct GuardArgs {
    /// User name of the controller as the API server knows it, such as
    /// system:serviceaccount:certcourier-system:controller. The admission policies contain it, and the guard compares
    /// them. Default: the server's own, as when both run in one pod.
    #[arg(long, env = "CERTCOURIER_CONTROLLER_USER", value_name = "USER")]
    pub controller_user: Option<String>,
    /// How old the controller's last probe of the admission policies may be. Beyond it: 503 for formats with a key, and
    /// the token stays valid.
    #[arg(long, env = "CERTCOURIER_GUARD_MAX_AGE", default_value = "60s", value_name = "DURATION",
        value_parser = positive)]
    pub guard_max_age: Duration,
}

/// The web page.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Web page")]
pub struct WebPageArgs {
    /// Serve the web page under /ui/. Signing in with a token there needs Secret certcourier-session, which `certcourier
    /// manifests --ui` prints.
    #[arg(long, env = "CERTCOURIER_UI", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOLEAN")]
    pub ui: bool,
    /// The identity provider.
    #[command(flatten)]
    pub oidc: OidcArgs,
}

/// An identity provider at which people sign in on the web page. The API server must trust it, too.
#[derive(Clone, Debug, clap::Args)]
pub struct OidcArgs {
    /// Issuer at which people sign in on the web page, such as `https://id.example.com`. Needs --external-url; register
    /// its /ui/sign-in/callback there. Default: none; people paste a token.
    #[arg(long, env = "CERTCOURIER_OIDC_ISSUER", value_name = "URL", requires = "oidc_client_id",
        value_parser = external_url::parse)]
    pub oidc_issuer: Option<String>,
    /// Client id at the issuer. It is the audience of people's tokens, so the API server must accept it.
    #[arg(long, env = "CERTCOURIER_OIDC_CLIENT_ID", value_name = "ID", requires = "oidc_issuer")]
    pub oidc_client_id: Option<String>,
    /// File with the client's secret. Default: none; the client is a public one.
    #[arg(long, env = "CERTCOURIER_OIDC_CLIENT_SECRET_FILE", value_name = "FILE", requires = "oidc_issuer")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Scopes that are asked for, separated by commas; `openid` must be among them.
    #[arg(
        long,
        env = "CERTCOURIER_OIDC_SCOPES",
        value_name = "SCOPES",
        value_delimiter = ',',
        default_value = "openid,profile,email"
    )]
    pub oidc_scopes: Vec<String>,
    /// File with the CA of the issuer, PEM. Default: the CAs of the system.
    #[arg(long, env = "CERTCOURIER_OIDC_CA_FILE", value_name = "FILE", requires = "oidc_issuer")]
    pub oidc_ca_file: Option<PathBuf>,
}

/// Limits on requests.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits on requests")]
pub struct RequestLimits {
    /// Bytes of a request's body. Beyond it: 413.
    #[arg(long, env = "CERTCOURIER_MAX_BODY_BYTES", default_value_t = 16 * 1024, value_name = "BYTES",
        value_parser = at_least_one)]
    pub max_body_bytes: usize,
    /// How long a request's body may take to arrive.
    #[arg(long, env = "CERTCOURIER_BODY_TIMEOUT", default_value = "10s", value_name = "DURATION",
        value_parser = positive)]
    pub body_timeout: Duration,
    /// Open DownloadRequests that one caller may have in a namespace. Beyond it: 409. Give the controller the same.
    #[arg(long, env = "CERTCOURIER_MAX_OPEN_REQUESTS", default_value_t = 200, value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub max_open_requests: u32,
    /// Unauthenticated requests at the same time from one client address, until their answer begins; an IPv6 client counts
    /// by its /64. Beyond it: 429.
    #[arg(long, env = "CERTCOURIER_MAX_REQUESTS_PER_ADDRESS", default_value_t = 64, value_name = "REQUESTS",
        value_parser = at_least_one)]
    pub max_requests_per_address: usize,
    /// Requests at the same time of one person, until their answer begins. Beyond it: 429.
    #[arg(long, env = "CERTCOURIER_MAX_REQUESTS_PER_PERSON", default_value_t = 32, value_name = "REQUESTS",
        value_parser = at_least_one)]
    pub max_requests_per_person: usize,
}

/// Limits on deliveries.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits on deliveries")]
pub struct DeliveryLimits {
    /// Downloads in progress at the same time, from the moment their token was found valid. Beyond it: 503, and the
    /// token stays valid.
    #[arg(long, env = "CERTCOURIER_MAX_DELIVERIES", default_value_t = 256, value_name = "DOWNLOADS",
        value_parser = at_least_one)]
    pub max_deliveries: usize,
    /// Of these, downloads for one requester, and downloads to one client address. Beyond it: 503, and the token stays
    /// valid. Default: an eighth of --max-deliveries.
    #[arg(long, env = "CERTCOURIER_MAX_DELIVERIES_EACH", value_name = "DOWNLOADS", value_parser = at_least_one)]
    pub max_deliveries_each: Option<usize>,
    /// Files that are made at the same time. Default: one for each processor.
    #[arg(long, env = "CERTCOURIER_MAX_RENDERS", value_name = "FILES", value_parser = at_least_one)]
    pub max_renders: Option<usize>,
    /// Files that may wait to be made. Beyond it: 503, and the token stays valid.
    #[arg(long, env = "CERTCOURIER_MAX_WAITING_RENDERS", default_value_t = 256, value_name = "FILES")]
    pub max_waiting_renders: usize,
    /// How old the facts behind a decision may be when the delivery begins. Beyond it: 503, and the token stays valid.
    #[arg(long, env = "CERTCOURIER_DECISION_TIMEOUT", default_value = "5s", value_name = "DURATION",
        value_parser = positive)]
    pub decision_timeout: Duration,
    /// How long to find out what became of a receipt after a lost answer. Beyond it: 503, and nothing is delivered.
    #[arg(long, env = "CERTCOURIER_RECEIPT_TIMEOUT", default_value = "3s", value_name = "DURATION",
        value_parser = positive)]
    pub receipt_timeout: Duration,
    /// How long a client may take to fetch its file, at most 60s. Beyond it the delivery is Aborted, which is final.
    #[arg(long, env = "CERTCOURIER_STREAM_TIMEOUT", default_value = "45s", value_name = "DURATION",
        value_parser = stream_timeout)]
    pub stream_timeout: Duration,
    /// How long a client may read nothing of its file. Beyond it the delivery is Aborted, which is final.
    #[arg(long, env = "CERTCOURIER_STALL_TIMEOUT", default_value = "10s", value_name = "DURATION",
        value_parser = positive)]
    pub stall_timeout: Duration,
}

impl DeliveryLimits {
    /// How many downloads one requester, and one address, may have under way.
    #[must_use]
    pub fn each(&self) -> usize {
        self.max_deliveries_each.unwrap_or_else(|| share(self.max_deliveries))
    }
}

/// The controller writes outcome Unknown 90 s after a receipt without outcome: a stream must be over well before.
const LONGEST_STREAM: Duration = Duration::from_seconds(60);

/// A certificate of the servers' own must end before their CA does.
const LONGEST_SERVING: Duration = Duration::from_seconds(365 * 24 * 3600);

fn serving_lifetime(text: &str) -> Result<Duration, String> {
    positive(text).and_then(|lifetime| {
        if lifetime <= LONGEST_SERVING { Ok(lifetime) } else { Err("must be at most 8760h".into()) }
    })
}

fn stream_timeout(text: &str) -> Result<Duration, String> {
    positive(text)
        .and_then(|timeout| if timeout <= LONGEST_STREAM { Ok(timeout) } else { Err("must be at most 60s".into()) })
}

#[cfg(test)]
mod for_tests {
    use clap::Parser;

    use super::{DeliveryLimits, ServerArgs};

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: ServerArgs,
    }

    impl ServerArgs {
        /// The flags as given, all others at their defaults, without TLS.
        pub(in crate::server) fn for_tests(flags: &[&str]) -> Self {
            Self::parse_flags(&[&["--insecure-http"], flags].concat()).unwrap()
        }

        pub(super) fn parse_flags(flags: &[&str]) -> Result<Self, clap::Error> {
            CommandLine::try_parse_from([&["server"], flags].concat()).map(|line| line.args)
        }
    }

    impl DeliveryLimits {
        /// The flags as given, all others at their defaults.
        pub(in crate::server) fn for_tests(flags: &[&str]) -> Self {
            ServerArgs::for_tests(flags).deliveries
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_tls_or_an_explicit_no_is_needed() {
        for (flags, word) in [
            (vec![], "--tls-cert"),
            (vec!["--tls-cert", "a"], "--tls-key"),
            (vec!["--tls-key", "a"], "--tls-cert"),
            (vec!["--insecure-http", "--tls-cert", "a", "--tls-key", "b"], "cannot be used with"),
            (vec!["--tls-self-signed", "a.svc", "--tls-cert", "a", "--tls-key", "b"], "cannot be used with"),
            (vec!["--tls-self-signed", "a b"], "neither a DNS name nor"),
            (vec!["--tls-self-signed", "a.svc", "--tls-self-signed-lifetime", "8761h"], "at most 8760h"),
        ] {
            let error = ServerArgs::parse_flags(&flags).unwrap_err().to_string();
            assert!(error.contains(word), "{flags:?}: {error}");
        }
        assert!(ServerArgs::for_tests(&[]).certificate_files().is_none());
        let args = ServerArgs::parse_flags(&["--tls-self-signed", "a.svc,10.0.0.1"]).unwrap();
        assert!(args.certificate_files().is_none() && args.tls_self_signed.len() == 2);
        let args = ServerArgs::parse_flags(&["--tls-cert", "a", "--tls-key", "b"]).unwrap();
        assert_eq!(args.certificate_files().unwrap().key, PathBuf::from("b"));
    }

    #[test]
    fn limits_that_would_stop_the_server_from_working_are_refused() {
        for flags in [
            ["--tls-reload-interval", "0s"],
            ["--header-timeout", "5"],
            ["--max-connections", "0"],
            ["--max-header-bytes", "10"],
            ["--stream-timeout", "61s"],
            ["--rate-burst", "0"],
            ["--cluster-name", ""],
            ["--trusted-proxies", "10.0.0.0/8,nonsense"],
        ] {
            let error = ServerArgs::parse_flags(&[&["--insecure-http"], &flags[..]].concat()).unwrap_err();
            assert!(error.to_string().contains(flags[0]), "{error}");
        }
    }

    #[test]
    fn several_blocks_of_proxies_may_be_given() {
        let args = ServerArgs::for_tests(&["--trusted-proxies", "10.0.0.0/8,fd00::/8"]);
        assert_eq!(args.proxies().blocks.len(), 2);
    }
}
