//! `version`: of the plugin and of the server, and whether they fit.

use serde_json::json;

use crate::plugin::{
    client::{Known, OWN, Server, misfit},
    context::Ctx,
    error::PluginError,
    print::output::{self, OutputArgs, print},
};

const EXAMPLES: &str = "\
A warning says when the two do not fit: another major version, or minor versions more than one apart; before 1.0 any \
other minor version. The server's version is that of its OpenAPI document, which anyone may read.

Examples:
  kubectl certcourier version
  kubectl certcourier version --client
  kubectl certcourier version -o json | jq -r .serverVersion.version";

/// Show the version of the plugin and of the server.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct VersionArgs {
    /// Of the plugin alone; asks no one.
    #[arg(long)]
    client: bool,
    /// json or yaml. Default: text.
    #[arg(short, long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    output: Option<Printed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Printed {
    Json,
    Yaml,
}

impl VersionArgs {
    /// Whether no one is asked.
    pub fn is_local(&self) -> bool {
        self.client
    }

    fn show(&self, client: &str, server: Option<(&str, &Server)>) -> Result<(), PluginError> {
        let Some(format) = self.output else {
            let server =
                server.map(|(version, server)| format!("Server: {version}, {}\n", server.place())).unwrap_or_default();
            return print(&format!("Client: {client}\n{server}"));
        };
        let mut value = json!({"clientVersion": {"version": client}});
        if let Some((version, server)) = server {
            value["serverVersion"] = json!({"version": version, "address": server.at("")});
        }
        let format = if format == Printed::Yaml { output::Format::Yaml } else { output::Format::Json };
        OutputArgs { format, ..OutputArgs::default() }.value(&value)
    }
}

/// Prints the plugin's.
pub fn local(args: &VersionArgs) -> Result<(), PluginError> {
    args.show(OWN, None)
}

/// Prints both; what can be said without the server is said without it.
pub async fn run(ctx: &Ctx, args: &VersionArgs) -> Result<(), PluginError> {
    let seen = async {
        let server = Server::reach(ctx, Known::default()).await?;
        let version = server.version().await?;
        Ok::<_, PluginError>((version, server))
    };
    match seen.await {
        Ok((version, server)) => {
            args.show(OWN, Some((&version, &server)))?;
            misfit(OWN, &version).map_or(Ok(()), |warning| ctx.say(&format!("warning: {warning}")))
        }
        Err(error) => {
            args.show(OWN, None)?;
            Err(error)
        }
    }
}
