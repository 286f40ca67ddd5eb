//! Flags that every command has, as kubectl has them; and the variables that stand in for them.

use std::path::PathBuf;

use clap::{Args as _, Command};

use super::{
    error::PluginError,
    values::{Timeout, namespace},
};

/// Flags that every command has. The help of a command leaves them out; `options` prints them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct GlobalArgs {
    /// The kubeconfig to use. Default: $KUBECONFIG, then ~/.kube/config, then the pod's own ServiceAccount.
    #[arg(long, global = true, hide = true, value_name = "FILE", help_heading = CONNECTION)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, global = true, hide = true, value_name = "NAME", help_heading = CONNECTION)]
    pub context: Option<String>,
    /// The cluster of the kubeconfig. Default: the context's.
    #[arg(long, global = true, hide = true, value_name = "NAME", help_heading = CONNECTION)]
    pub cluster: Option<String>,
    /// The user of the kubeconfig. Default: the context's.
    #[arg(long, global = true, hide = true, value_name = "NAME", help_heading = CONNECTION)]
    pub user: Option<String>,
    /// The namespace. Default: the context's.
    #[arg(short, long, global = true, hide = true, value_name = "NAME", value_parser = namespace, help_heading = CONNECTION)]
    pub namespace: Option<String>,
    /// Act as this user.
    #[arg(long = "as", global = true, hide = true, value_name = "USER", help_heading = CONNECTION)]
    pub impersonate: Option<String>,
    /// Act in this group; may be given several times. Needs --as.
    #[arg(long = "as-group", global = true, hide = true, value_name = "GROUP", help_heading = CONNECTION)]
    pub impersonate_group: Vec<String>,
    /// Act with this uid. Needs --as.
    #[arg(long = "as-uid", global = true, hide = true, value_name = "UID", help_heading = CONNECTION)]
    pub impersonate_uid: Option<String>,
    /// How long one answer may take, such as 5s or 1m; 0 for as long as it takes.
    #[arg(long, global = true, hide = true, value_name = "DURATION", default_value = "30s", help_heading = CONNECTION)]
    pub request_timeout: Timeout,
    /// Where certcourier's HTTP API is, such as `https://certs.example.com`. Default: `$CERTCOURIER_SERVER`, then what
    /// ConfigMap certcourier-server in the operator's namespace says, then its Service, through the API server.
    #[arg(
        long,
        global = true,
        hide = true,
        value_name = "URL",
        value_parser = crate::external_url::parse,
        help_heading = SERVER
    )]
    pub server: Option<String>,
    /// CA certificates, PEM, for the server. Default: `$CERTCOURIER_SERVER_CA`, then what comes with its address, then
    /// those that this machine trusts.
    #[arg(long, global = true, hide = true, value_name = "FILE", help_heading = SERVER)]
    pub server_ca: Option<PathBuf>,
    /// Reach the server through the API server, as `kubectl port-forward` does, wherever else it may be.
    #[arg(long, global = true, hide = true, conflicts_with = "server", help_heading = SERVER)]
    pub port_forward: bool,
    /// The operator's own namespace. Default: `$CERTCOURIER_NAMESPACE`, then certcourier-system.
    #[arg(
        id = "operator_namespace",
        long = "operator-namespace",
        global = true,
        hide = true,
        value_name = "NAME",
        value_parser = namespace,
        help_heading = SERVER
    )]
    pub named_operator_namespace: Option<String>,
    /// Print errors only.
    #[arg(short, long, global = true, hide = true, help_heading = OUTPUT)]
    pub quiet: bool,
    /// Log on standard error: 1 the steps, 6 one line for each call, 9 everything. Never a secret.
    #[arg(
        short = 'v',
        long = "v",
        global = true,
        hide = true,
        value_name = "LEVEL",
        default_value_t = 0,
        help_heading = OUTPUT
    )]
    pub verbosity: u8,
}

/// Where the operator lives unless set otherwise.
const OPERATOR_NAMESPACE: &str = "certcourier-system";
const CONNECTION: &str = "Connection, as for kubectl";
const SERVER: &str = "certcourier's HTTP API";
const OUTPUT: &str = "Output";

impl GlobalArgs {
    /// These flags, and for those that were not typed what the environment says. An empty variable is as one that is
    /// not set.
    ///
    /// # Errors
    /// When a variable is not what its flag takes.
    pub fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, PluginError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let wrong = |name: &str, error: &dyn std::fmt::Display| PluginError::usage(format!("${name}: {error}"));
        if self.server.is_none()
            && !self.port_forward
            && let Some(url) = set("CERTCOURIER_SERVER")
        {
            self.server = Some(crate::external_url::parse(&url).map_err(|error| wrong("CERTCOURIER_SERVER", &error))?);
        }
        if self.server_ca.is_none() {
            self.server_ca = set("CERTCOURIER_SERVER_CA").map(PathBuf::from);
        }
        if self.named_operator_namespace.is_none()
            && let Some(name) = set("CERTCOURIER_NAMESPACE")
        {
            let name = namespace(&name).map_err(|error| wrong("CERTCOURIER_NAMESPACE", &error))?;
            self.named_operator_namespace = Some(name);
        }
        Ok(self)
    }

    /// The operator's namespace.
    pub fn operator_namespace(&self) -> &str {
        self.named_operator_namespace.as_deref().unwrap_or(OPERATOR_NAMESPACE)
    }

    /// The operator's namespace, where another one than the usual was named.
    pub fn named_operator_namespace(&self) -> Option<String> {
        self.named_operator_namespace.clone().filter(|name| name != OPERATOR_NAMESPACE)
    }
}

/// What `options` prints.
pub fn options() -> String {
    let shown = GlobalArgs::augment_args(Command::new("kubectl certcourier COMMAND"))
        .about("Flags of every command; write them before or behind it. A flag beats a variable.")
        .max_term_width(100)
        .disable_help_flag(true)
        .mut_args(|arg| arg.hide(false));
    shown.clone().render_help().to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        global: GlobalArgs,
    }

    fn resolved(line: &str, variables: &[(&str, &str)]) -> Result<GlobalArgs, PluginError> {
        let line = Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap();
        line.global.with_environment(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_flag_beats_a_variable_and_an_empty_variable_is_none() {
        let variables = [
            ("CERTCOURIER_SERVER", "https://variable"),
            ("CERTCOURIER_SERVER_CA", "ca.crt"),
            ("CERTCOURIER_NAMESPACE", "courier"),
        ];
        let global = resolved("", &variables).unwrap();
        assert_eq!(global.server.as_deref(), Some("https://variable"));
        assert_eq!(global.server_ca, Some(PathBuf::from("ca.crt")));
        assert_eq!(
            (global.operator_namespace(), global.named_operator_namespace().as_deref()),
            ("courier", Some("courier"))
        );
        let global = resolved("--server https://flag --operator-namespace other", &variables).unwrap();
        assert_eq!((global.server.as_deref(), global.operator_namespace()), (Some("https://flag"), "other"));
        let global = resolved("--port-forward", &variables).unwrap();
        assert!(global.port_forward && global.server.is_none());
        let empty = [("CERTCOURIER_SERVER", ""), ("CERTCOURIER_SERVER_CA", " "), ("CERTCOURIER_NAMESPACE", "")];
        let global = resolved("", &empty).unwrap();
        assert!(global.server.is_none() && global.server_ca.is_none());
        assert_eq!((global.operator_namespace(), global.named_operator_namespace()), (OPERATOR_NAMESPACE, None));
        let wrong = resolved("", &[("CERTCOURIER_NAMESPACE", "a/b")]).unwrap_err();
        assert!(wrong.words().starts_with("$CERTCOURIER_NAMESPACE: "), "{}", wrong.words());
    }

    #[test]
    fn every_flag_that_commands_share_is_on_the_page_of_options() {
        let page = options();
        for flag in
            ["--kubeconfig", "-n, --namespace", "--as-group", "--server-ca", "--port-forward", "-q, --quiet", "-v"]
        {
            assert!(page.contains(flag), "{flag}\n{page}");
        }
    }
}
