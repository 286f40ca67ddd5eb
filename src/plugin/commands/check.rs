//! `check`: is certcourier there for me? Each line with its next step. It changes nothing and reads no Secret.
//!
//! `doctor` is for administrators and about everyone's rights; this is about one's own.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde::Serialize;
use serde_json::json;

use crate::plugin::{
    client::{Known, OWN, Server, misfit},
    context::Ctx,
    error::PluginError,
    print::{
        output::{Format, OutputArgs, print},
        style::Tone,
        table::{Cell, Table},
    },
    values::Timeout,
};
use crate::{
    api::{
        GROUP, VERSION,
        names::{CRDS, GUARD},
        words::GuardState,
    },
    cluster::{
        access,
        error::{During as _, Failure},
    },
};

/// How often to look where `--wait` is given.
const LOOK: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
It checks that the kinds are installed, that the server answers and its certificate is trusted, what you may do in the \
namespace, and what the guard last found. A right that you lack is no failure; without any it is.

Exit codes: 0 all is there · 1 something is not, or not within --wait · 2 usage error · 130 Ctrl-C.

Examples:
  kubectl certcourier check -n payments
  kubectl certcourier check api -n payments
  kubectl certcourier check --wait 2m
  kubectl certcourier check -o json | jq -r '.checks[] | select(.state == \"fail\") | .next'";

/// Check that certcourier is there for you, and what you may do.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Whether you may do it with this Certificate: rights can be to single ones.
    certificate: Option<String>,
    /// Look again until nothing fails, for so long, such as 2m.
    #[arg(long, value_name = "DURATION")]
    wait: Option<Timeout>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// A right that is lacking: some need it and some do not.
    No,
    /// It works, and someone should see to it.
    Warning,
    /// It cannot be seen with these rights.
    Unknown,
    Fail,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line {
    check: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Line {
    fn new(check: &'static str, state: State, message: impl Into<String>) -> Self {
        Self { check, state, message: message.into(), next: None }
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    fn failed(check: &'static str, error: &PluginError) -> Self {
        let line = Self::new(check, State::Fail, error.words());
        Self { next: error.next_step().map(str::to_owned), ..line }
    }
}

/// Looks, and says what is missing by the exit code too.
pub async fn run(ctx: &Ctx, args: &CheckArgs) -> Result<(), PluginError> {
    if args.output.format == Format::Name {
        return Err(PluginError::usage("checks have no names: print them with -o json"));
    }
    ctx.resume_by("run it again: it changes nothing");
    let certificate = args.certificate.as_deref();
    let mut lines = look(ctx, certificate).await;
    if let Some(wait) = args.wait {
        let looking = async {
            while failures(&lines) > 0 {
                tokio::time::sleep(LOOK).await;
                lines = look(ctx, certificate).await;
            }
        };
        // Over or not: what was seen last is printed.
        let _ = tokio::time::timeout(wait.limit(), looking).await;
    }
    show(ctx, args, &lines)?;
    match failures(&lines) {
        0 => Ok(()),
        1 => Err(PluginError::new("1 check failed")),
        count => Err(PluginError::new(format!("{count} checks failed"))),
    }
}

fn failures(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.state == State::Fail).count()
}

fn show(ctx: &Ctx, args: &CheckArgs, lines: &[Line]) -> Result<(), PluginError> {
    if matches!(args.output.format, Format::Json | Format::Yaml) {
        let value = json!({"namespace": ctx.namespace, "checks": serde_json::to_value(lines).unwrap_or_default()});
        return args.output.value(&value);
    }
    let mut table = Table::new(["CHECK", "STATE", ""]);
    for line in lines {
        let (tone, state) = match line.state {
            State::Ok => (Tone::Good, "ok"),
            State::No => (Tone::Faint, "no"),
            State::Warning => (Tone::Waiting, "warning"),
            State::Unknown => (Tone::Waiting, "unknown"),
            State::Fail => (Tone::Bad, "FAIL"),
        };
        table.row([line.check.into(), Cell::toned(tone, state), line.message.as_str().into()]);
        if let Some(next) = &line.next {
            table.row(["".into(), "".into(), Cell::toned(Tone::Faint, format!("→ {next}"))]);
        }
    }
    // Nothing is cut: a next step is to be copied.
    print(&table.render(ctx.stdout, !args.output.no_headers))
}

async fn look(ctx: &Ctx, certificate: Option<&str>) -> Vec<Line> {
    let (who, kinds) = tokio::join!(who(ctx), kinds(ctx));
    let installed = kinds.state == State::Ok;
    let mut lines = vec![who];
    // Without an answer to the first question, nothing else is answered.
    if lines.iter().any(|line| line.state == State::Fail) {
        return lines;
    }
    lines.push(kinds);
    if !installed {
        return lines;
    }
    let (server, rights, guard) = tokio::join!(server(ctx), rights(ctx, certificate), guard(ctx));
    lines.extend(server);
    lines.extend(rights);
    lines.push(guard);
    lines
}

async fn who(ctx: &Ctx) -> Line {
    let asked = access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned());
    match asked {
        Ok(who) => Line::new("API server", State::Ok, format!("it answers, and you are {}", who.username)),
        Err(error) => Line::failed("API server", &error.into()),
    }
}

/// Whether the kinds are served: discovery, which everyone who is signed in may ask.
async fn kinds(ctx: &Ctx) -> Line {
    let version = format!("{GROUP}/{VERSION}");
    let found = ctx.clients.reads().list_api_group_resources(&version).await;
    let found = found.during("list", || format!("the kinds of {version}"));
    let install = "ask your administrator to install certcourier, or to apply its CRDs; is --context the right one?";
    match found {
        Ok(served) => {
            let plural = |name: &&str| name.split('.').next().unwrap_or_default().to_owned();
            let there = |name: &&str| served.resources.iter().any(|resource| resource.name == plural(name));
            let missing: Vec<&str> = CRDS.iter().copied().filter(|name| !there(name)).collect();
            if missing.is_empty() {
                return Line::new("kinds", State::Ok, format!("{version} is installed"));
            }
            Line::new("kinds", State::Fail, format!("not installed: {}", missing.join(", "))).next(install)
        }
        Err(error) if error.failure() == Failure::NotFound => {
            Line::new("kinds", State::Fail, format!("{version} is not installed in this cluster")).next(install)
        }
        Err(error) => Line::failed("kinds", &error.into()),
    }
}

/// Whether the server answers, over TLS that this machine trusts; and whether it fits.
async fn server(ctx: &Ctx) -> Vec<Line> {
    let reached = async {
        let server = Server::reach(ctx, Known::default()).await?;
        let version = server.version().await?;
        Ok::<_, PluginError>((server.place(), version))
    };
    match reached.await {
        Err(error) => vec![Line::failed("server", &error)],
        Ok((place, version)) => {
            let mut lines = vec![Line::new("server", State::Ok, format!("{version} answers at {place}"))];
            lines.extend(misfit(OWN, &version).map(|warning| Line::new("version", State::Warning, warning)));
            lines
        }
    }
}

/// What one may do here, and what one asks for to do it.
const RIGHTS: [(&str, (&str, &str), &str, &str); 4] = [
    ("view", ("list", "downloadrequests"), "see Certificates, policies and requests", "certcourier-viewer"),
    ("download", ("download", "certificates"), "request and download files without a key", "certcourier-downloader"),
    ("exportkey", ("exportkey", "certificates"), "request files with the private key", "certcourier-operator"),
    ("approve", ("approve", "certificates"), "approve and deny other people's requests", "certcourier-approver"),
];

async fn rights(ctx: &Ctx, certificate: Option<&str>) -> Vec<Line> {
    let reads = ctx.clients.reads();
    let asked = RIGHTS.map(|(_, (verb, resource), ..)| {
        let name = certificate.filter(|_| resource == "certificates").unwrap_or_default();
        access::caller_may(reads, &ctx.namespace, (verb, resource, name))
    });
    let place = match certificate {
        Some(name) => format!("in namespace {} with Certificate {name}", ctx.namespace),
        None => format!("in namespace {}", ctx.namespace),
    };
    let single = if certificate.is_none() { "; `check CERTIFICATE` sees a right to that one only" } else { "" };
    let answers = futures::future::join_all(asked).await;
    let none = answers.iter().all(|answer| matches!(answer, Ok(false)));
    let lines = RIGHTS.iter().zip(answers).map(|((name, _, what, role), answer)| match answer {
        Ok(true) => Line::new(name, State::Ok, format!("you may {what} {place}")),
        Ok(false) => {
            let state = if none { State::Fail } else { State::No };
            Line::new(name, state, format!("you cannot {what} {place}"))
                .next(format!("if you need to, ask for ClusterRole {role} there{single}"))
        }
        Err(error) => Line::failed(name, &error.into()),
    });
    lines.collect()
}

/// What the guard wrote, for those who may read that.
async fn guard(ctx: &Ctx) -> Line {
    let namespace = ctx.global.operator_namespace();
    let maps: Api<ConfigMap> = Api::namespaced(ctx.clients.reads().clone(), namespace);
    let found = maps.get_opt(GUARD).await.during("read", || format!("ConfigMap {namespace}/{GUARD}"));
    let data = match found {
        Ok(found) => found.and_then(|map| map.data).unwrap_or_default(),
        Err(error) if error.failure() == Failure::Forbidden => {
            return Line::new("guard", State::Unknown, format!("you cannot read ConfigMap {namespace}/{GUARD}"))
                .next("an administrator sees it, with `kubectl certcourier doctor`");
        }
        Err(error) => return Line::failed("guard", &error.into()),
    };
    let say = |key: &str| data.get(key).cloned().unwrap_or_default();
    match data.get("state").and_then(|state| GuardState::of_name(state)) {
        Some(GuardState::Intact) => Line::new("guard", State::Ok, "Intact: the admission policies are in force"),
        Some(_) => Line::new("guard", State::Fail, format!("Broken, so no key is released: {}", say("message")))
            .next("tell a cluster administrator: `kubectl certcourier doctor` says what to do"),
        None => Line::new("guard", State::Unknown, format!("ConfigMap {namespace}/{GUARD} says nothing yet"))
            .next("does the controller run there? --operator-namespace names another namespace"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_broken_makes_the_check_fail() {
        let line = |state| Line::new("x", state, "y");
        assert_eq!(failures(&[line(State::Ok), line(State::No), line(State::Warning), line(State::Unknown)]), 0);
        assert_eq!(failures(&[line(State::Ok), line(State::Fail)]), 1);
    }

    #[test]
    fn a_failure_carries_the_next_step_of_its_error() {
        let line = Line::failed("server", &PluginError::new("it is gone").next("start it"));
        assert_eq!(
            (line.state, line.message.as_str(), line.next.as_deref()),
            (State::Fail, "it is gone", Some("start it"))
        );
    }
}
