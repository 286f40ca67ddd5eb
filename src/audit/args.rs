//! The flags about the audit record, the same for both programs.

use std::{fmt, path::PathBuf, str::FromStr};

use hyper::Uri;

use crate::api::Duration;

/// Where the audit record goes, and how much depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AuditMode {
    /// Nowhere.
    Off,
    /// One line for each fact on standard output, and to the sink if there is one.
    #[default]
    Stdout,
    /// The same, and the server releases no file with a key before the sink has accepted the fact.
    Required,
}

/// Flags about the audit record.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Audit")]
pub struct AuditArgs {
    /// The audit record, one JSON line for each fact (`CloudEvents`): off; stdout; or required, where the server also
    /// refuses files with a key (503 `audit_failed`) until --audit-sink has accepted the fact. Logs go to stderr.
    #[arg(long, env = "CERTCOURIER_AUDIT", value_enum, default_value_t, value_name = "MODE")]
    pub audit: AuditMode,
    /// Where each fact is also sent, by POST (`CloudEvents`, structured mode): a collector, or a bridge to a chat. As
    /// an environment variable it stays out of the process list, in case its path holds a secret; logs name its host
    /// only.
    #[arg(long, env = "CERTCOURIER_AUDIT_SINK", hide_env_values = true, value_name = "URL")]
    pub audit_sink: Option<SinkUrl>,
    /// File with extra headers, one `Name: value` per line, such as `Authorization: Bearer …`. Read again when it
    /// changes.
    #[arg(long, env = "CERTCOURIER_AUDIT_SINK_HEADERS", value_name = "FILE", requires = "audit_sink")]
    pub audit_sink_headers: Option<PathBuf>,
    /// CA certificates (PEM) for the sink. Default: those that this machine trusts.
    #[arg(long, env = "CERTCOURIER_AUDIT_SINK_CA", value_name = "FILE", requires = "audit_sink")]
    pub audit_sink_ca: Option<PathBuf>,
    /// How long the sink may take to accept one fact.
    #[arg(long, env = "CERTCOURIER_AUDIT_SINK_TIMEOUT", default_value = "5s", value_name = "DURATION",
        value_parser = at_least_a_second)]
    pub audit_sink_timeout: Duration,
    /// The longest delay before a fact that the sink did not accept is sent again; the first is 200 ms, and each is
    /// twice the previous one.
    #[arg(long, env = "CERTCOURIER_AUDIT_SINK_RETRY", default_value = "30s", value_name = "DURATION",
        value_parser = at_least_a_second)]
    pub audit_sink_retry: Duration,
    /// How many facts may wait for standard output, and for the sink. Any more are dropped, counted and logged.
    #[arg(long, env = "CERTCOURIER_AUDIT_QUEUE", default_value_t = 10_000, value_name = "FACTS",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub audit_queue: u16,
}

/// Why the audit record cannot be kept as the flags say.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Nothing could be required of no one.
    #[error("--audit=required needs a sink: set --audit-sink URL")]
    NoSink,
    /// One of the two is a mistake.
    #[error("--audit-sink has no effect with --audit=off: leave out --audit-sink, or use --audit=stdout")]
    OffWithSink,
    /// A file could not be read.
    #[error("read {flag} {}", path.display())]
    Read {
        /// Which flag names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else. The message repeats none of it.
    #[error("{flag} {}: {problem}", path.display())]
    File {
        /// Which flag names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What to write instead.
        problem: String,
    },
    /// The HTTP client could not be made.
    #[error("prepare the connection to the audit sink")]
    Client(#[source] reqwest::Error),
}

impl AuditArgs {
    pub(super) fn check(&self) -> Result<(), AuditError> {
        match (self.audit, &self.audit_sink) {
            (AuditMode::Required, None) => Err(AuditError::NoSink),
            (AuditMode::Off, Some(_)) => Err(AuditError::OffWithSink),
            _ => Ok(()),
        }
    }
}

/// Where a sink listens. Its path may hold a secret, as those of chats do, so only its host is ever shown.
#[derive(Clone)]
pub struct SinkUrl {
    text: String,
    host: String,
}

impl SinkUrl {
    /// The whole, for the HTTP client.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }

    /// Scheme and host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

impl FromStr for SinkUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write it like https://collector.example.com/events";
        let uri: Uri = text.parse().map_err(|_| wrong)?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("https" | "http"), Some(host)) if host.as_str().contains('@') => {
                Err("leave user and password out of it, and put an Authorization header into --audit-sink-headers")
            }
            (Some(scheme @ ("https" | "http")), Some(host)) => {
                Ok(Self { text: text.to_owned(), host: format!("{scheme}://{host}") })
            }
            _ => Err(wrong),
        }
    }
}

/// Reads `--cluster-name`. A receipt with a longer name would be refused, and with it every download.
///
/// # Errors
/// What to write instead.
pub fn cluster_name(text: &str) -> Result<String, String> {
    if (1..=253).contains(&text.len()) { Ok(text.to_owned()) } else { Err("must have 1 to 253 characters".into()) }
}

fn at_least_a_second(text: &str) -> Result<Duration, String> {
    let duration = Duration::from_str(text).map_err(|error| error.to_string())?;
    if duration.seconds() > 0 { Ok(duration) } else { Err("must be at least 1s".to_owned()) }
}
