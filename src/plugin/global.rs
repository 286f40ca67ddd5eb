//! Flags that every command has, as kubectl has them.

use std::path::PathBuf;

use super::values::{Timeout, namespace};

/// Flags that every command has.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct GlobalArgs {
    /// The kubeconfig to use. Default: $KUBECONFIG, then ~/.kube/config, then the pod's own ServiceAccount.
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub context: Option<String>,
    /// The cluster of the kubeconfig. Default: the context's.
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub cluster: Option<String>,
    /// The user of the kubeconfig. Default: the context's.
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub user: Option<String>,
    /// The namespace. Default: the context's.
    #[arg(short, long, global = true, value_name = "NAME", value_parser = namespace, help_heading = CONNECTION)]
    pub namespace: Option<String>,
    /// Act as this user.
    #[arg(long = "as", global = true, value_name = "USER", help_heading = CONNECTION)]
    pub impersonate: Option<String>,
    /// Act in this group; may be given several times. Needs --as.
    #[arg(long = "as-group", global = true, value_name = "GROUP", help_heading = CONNECTION)]
    pub impersonate_group: Vec<String>,
    /// Act with this uid. Needs --as.
    #[arg(long = "as-uid", global = true, value_name = "UID", help_heading = CONNECTION)]
    pub impersonate_uid: Option<String>,
    /// How long one answer may take, such as 5s or 1m; 0 for as long as it takes.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", help_heading = CONNECTION)]
    pub request_timeout: Timeout,
    /// Where certcourier's HTTP API is, such as `https://certs.example.com`. Default: what ConfigMap certcourier-server
    /// in the operator's namespace says, else its Service, through the API server.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CERTCOURIER_SERVER",
        hide_env_values = true,
        value_parser = crate::external_url::parse,
        help_heading = SERVER
    )]
    pub server: Option<String>,
    /// CA certificates, PEM, for the server. Default: what comes with its address, else those that this machine trusts.
    #[arg(long, global = true, value_name = "FILE", env = "CERTCOURIER_SERVER_CA", hide_env_values = true, help_heading = SERVER)]
    pub server_ca: Option<PathBuf>,
    /// Reach the server through the API server, as `kubectl port-forward` does, wherever else it may be.
    #[arg(long, global = true, conflicts_with = "server", help_heading = SERVER)]
    pub port_forward: bool,
    /// The operator's own namespace.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "CERTCOURIER_NAMESPACE",
        hide_env_values = true,
        default_value = OPERATOR_NAMESPACE,
        value_parser = namespace,
        help_heading = SERVER
    )]
    pub operator_namespace: String,
    /// Print errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log what is done, on standard error: 1 to 5 for certcourier, 6 and more for every call. Never a secret.
    #[arg(short = 'v', long = "v", global = true, value_name = "LEVEL", default_value_t = 0)]
    pub verbosity: u8,
}

/// Where the operator lives unless set otherwise.
const OPERATOR_NAMESPACE: &str = "certcourier-system";
const CONNECTION: &str = "Connection, as for kubectl";
const SERVER: &str = "certcourier's HTTP API";

impl GlobalArgs {
    /// The operator's namespace, where another one than the usual was named.
    pub fn named_operator_namespace(&self) -> Option<String> {
        (self.operator_namespace != OPERATOR_NAMESPACE).then(|| self.operator_namespace.clone())
    }
}
