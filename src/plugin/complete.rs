//! Completion in the shell, as kubectl asks a plugin for it: a program `kubectl_complete-certcourier` gets the words behind
//! `kubectl certcourier`, the last one unfinished, and prints candidates and a directive.
//!
//! That program is this one under another name (a link), or the two lines that `kubectl certcourier completion` prints.
//! The scripts for shells ask the same by `kubectl-certcourier __complete`. Not by clap's own: that knows words alone,
//! and names of objects are what people do not know by heart.
//! Errors are silent: no one wants an error message between two keystrokes.

use std::{env, fmt::Debug, time::Duration};

use clap::{Arg, Command, CommandFactory as _, Parser};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Resource, ResourceExt as _, api::ListParams, core::PartialObjectMeta};
use serde::de::DeserializeOwned;

use super::{cli::Cli, connect, context::Ctx, global::GlobalArgs, print::output::print, values::Kind};
use crate::api::{Certificate, DownloadReceipt, DownloadRequest, Phase};

/// How long the API server may take to say which names there are.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many names are offered.
const MOST: u32 = 500;
/// The shell offers nothing of its own (cobra's `ShellCompDirectiveNoFileComp`).
const NOTHING_ELSE: u8 = 4;
/// The shell offers files.
const FILES: u8 = 0;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    /// These, as `candidate` and `what it is`.
    Known(Vec<(String, String)>),
    /// Names of objects or of parts of the kubeconfig, each behind a prefix.
    Names(Names, String),
    /// A file.
    File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Certificates,
    Requests(State),
    Receipts,
    Namespaces,
    Contexts,
}

/// Which requests a command can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Any,
    Open,
    Awaiting,
}

impl State {
    /// Those that this command can act on.
    fn of(command: &str) -> Self {
        match command {
            "approve" | "deny" => Self::Awaiting,
            "wait" | "claim" | "revoke" | "download" => Self::Open,
            _ => Self::Any,
        }
    }

    fn selector(self) -> Option<String> {
        match self {
            Self::Any => None,
            Self::Awaiting => Some(format!("status.phase={}", Phase::AwaitingApproval.name())),
            Self::Open => {
                let closed = Phase::ALL.into_iter().filter(|phase| !phase.is_open());
                Some(closed.map(|phase| format!("status.phase!={}", phase.name())).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Flags of the kubeconfig that are on the line already.
#[derive(Parser)]
struct Globals {
    #[command(flatten)]
    global: GlobalArgs,
}

/// Prints the candidates.
pub async fn complete(words: &[String]) {
    let Asked { question, flags, named } = ask(words);
    let unfinished = words.last().map(String::as_str).unwrap_or_default();
    let (found, directive) = match question {
        Question::Known(known) => (known, NOTHING_ELSE),
        Question::File => (Vec::new(), FILES),
        Question::Names(names, prefix) => {
            let Ok(Globals { global }) = Globals::try_parse_from(std::iter::once("x".to_owned()).chain(flags)) else {
                return;
            };
            let Ok(global) = global.with_environment(|name| env::var(name).ok()) else { return };
            let found = tokio::time::timeout(PATIENCE, names.there_are(&global)).await.unwrap_or_default();
            let new = found.into_iter().filter(|name| !named.contains(name));
            (new.map(|name| (format!("{prefix}{name}"), String::new())).collect(), NOTHING_ELSE)
        }
    };
    let mut text = String::new();
    for (candidate, what) in found.into_iter().filter(|(candidate, _)| candidate.starts_with(unfinished)) {
        text.push_str(&candidate);
        if !what.is_empty() {
            text.push('\t');
            text.push_str(&what);
        }
        text.push('\n');
    }
    let _ = print(&format!("{text}:{directive}\n"));
}

/// What the line asks for.
struct Asked {
    /// What the last word can be.
    question: Question,
    /// The flags before it that say where to look.
    flags: Vec<String>,
    /// The arguments before it.
    named: Vec<String>,
}

fn ask(words: &[String]) -> Asked {
    let mut root = Cli::command();
    root.build();
    let (mut flags, mut named) = (Vec::new(), Vec::new());
    let Some((unfinished, before)) = words.split_last() else {
        return Asked { question: Question::Known(Vec::new()), flags, named };
    };
    let (mut command, mut waits) = (&root, None::<&Arg>);
    for word in before {
        if let Some(arg) = waits.take() {
            remember(&mut flags, arg, word);
        } else if let Some((arg, value)) = flag(command, word) {
            match value {
                Some(value) => remember(&mut flags, arg, value),
                None if arg.get_action().takes_values() => waits = Some(arg),
                None => {}
            }
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
        } else if !word.starts_with('-') {
            named.push(word.clone());
        }
    }
    Asked { question: question(command, waits, &named, unfinished), flags, named }
}

fn remember(flags: &mut Vec<String>, arg: &Arg, value: &str) {
    if arg.is_global_set()
        && let Some(long) = arg.get_long()
    {
        flags.push(format!("--{long}={value}"));
    }
}

/// The flag that a word is, and the value behind its `=`.
fn flag<'a, 'w>(command: &'a Command, word: &'w str) -> Option<(&'a Arg, Option<&'w str>)> {
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    let found = command.get_arguments().find(|arg| {
        let long = arg.get_long().is_some_and(|long| name.strip_prefix("--") == Some(long));
        long || arg.get_short().is_some_and(|short| name.strip_prefix('-') == Some(short.to_string().as_str()))
    });
    found.map(|arg| (arg, value))
}

fn question(command: &Command, waits: Option<&Arg>, named: &[String], unfinished: &str) -> Question {
    if let Some(arg) = waits {
        return values(command, arg, "");
    }
    if let Some((arg, Some(_))) = flag(command, unfinished)
        && let Some((name, _)) = unfinished.split_once('=')
    {
        return values(command, arg, &format!("{name}="));
    }
    if unfinished.starts_with('-') {
        // The flags of all commands are hidden in the help alone.
        let visible = command.get_arguments().filter(|arg| !arg.is_hide_set() || arg.is_global_set());
        let flags = visible.filter_map(|arg| Some((format!("--{}", arg.get_long()?), help(arg.get_help()))));
        return Question::Known(flags.collect());
    }
    if command.has_subcommands() {
        let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
        return Question::Known(visible.map(|sub| (sub.get_name().to_owned(), help(sub.get_about()))).collect());
    }
    if command.get_name() == "list" {
        return listed(named);
    }
    // The last positional argument may be given several times.
    let places: Vec<&Arg> = command.get_positionals().collect();
    let many = places.last().copied().filter(|arg| matches!(arg.get_action(), clap::ArgAction::Append));
    let place = places.get(named.len()).copied().or(many);
    place.map_or_else(|| Question::Known(Vec::new()), |arg| values(command, arg, ""))
}

/// The kinds, and behind one the names of its objects.
fn listed(named: &[String]) -> Question {
    let Some(kind) = named.first() else {
        let kinds = Kind::ALL.map(|kind| (kind.name().to_owned(), kind.about().to_owned()));
        return Question::Known(kinds.into());
    };
    match Kind::of(kind) {
        Some(Kind::Certificates) => Question::Names(Names::Certificates, String::new()),
        Some(Kind::Requests) => Question::Names(Names::Requests(State::Any), String::new()),
        Some(Kind::Receipts) => Question::Names(Names::Receipts, String::new()),
        None => Question::Known(Vec::new()),
    }
}

/// What the value of an argument can be.
fn values(command: &Command, arg: &Arg, prefix: &str) -> Question {
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        let visible = possible.iter().filter(|value| !value.is_hide_set());
        return Question::Known(
            visible.map(|value| (format!("{prefix}{}", value.get_name()), help(value.get_help()))).collect(),
        );
    }
    let kind =
        arg.get_value_names().and_then(|names| names.first()).map(clap::builder::Str::as_str).unwrap_or_default();
    let names = match (arg.get_id().as_str(), kind) {
        ("namespace" | "operator_namespace", _) => Names::Namespaces,
        ("context" | "contexts", _) => Names::Contexts,
        (_, "CERTIFICATE") => Names::Certificates,
        // `--request` of receipts asks for one that is closed.
        (_, "REQUEST") => Names::Requests(State::of(command.get_name())),
        (_, "RECEIPT") => Names::Receipts,
        (_, "FILE") => return Question::File,
        _ => return Question::Known(Vec::new()),
    };
    Question::Names(names, prefix.to_owned())
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(|text| text.to_string().lines().next().unwrap_or_default().trim_end_matches('.').to_owned())
        .unwrap_or_default()
}

impl Names {
    async fn there_are(self, global: &GlobalArgs) -> Vec<String> {
        if self == Self::Contexts {
            return connect::contexts(global);
        }
        let Ok(ctx) = Ctx::connect(global).await else { return Vec::new() };
        match self {
            Self::Certificates => named(ctx.api::<Certificate>(), None).await,
            Self::Requests(state) => named(ctx.api::<DownloadRequest>(), state.selector()).await,
            Self::Receipts => named(ctx.api::<DownloadReceipt>(), None).await,
            Self::Namespaces => named(Api::<Namespace>::all(ctx.clients.reads().clone()), None).await,
            Self::Contexts => Vec::new(),
        }
    }
}

async fn named<K>(api: Api<K>, fields: Option<String>) -> Vec<String>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let params = ListParams { field_selector: fields, ..ListParams::default().limit(MOST) };
    let found = api.list_metadata(&params).await;
    found.map(|list| list.items.iter().map(PartialObjectMeta::name_any).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Asked {
        ask(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    fn known(line: &str) -> Vec<String> {
        match asked(line).question {
            Question::Known(known) => known.into_iter().map(|(candidate, _)| candidate).collect(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn commands_flags_and_fixed_values_are_known() {
        let commands = known("");
        assert!(
            commands.contains(&"download".to_owned()) && !commands.contains(&"__complete".to_owned()),
            "{commands:?}"
        );
        assert!(known("download --f").contains(&"--format".to_owned()));
        assert!(known("download api --").contains(&"--namespace".to_owned()), "flags of every command are there too");
        assert!(known("download api --format ").contains(&"pkcs12".to_owned()));
        assert!(known("download api --format=").contains(&"--format=pkcs12".to_owned()));
        assert!(known("list ").contains(&"requests".to_owned()));
    }

    #[test]
    fn requests_that_nothing_can_be_done_with_are_not_offered() {
        assert_eq!(State::Awaiting.selector().as_deref(), Some("status.phase=AwaitingApproval"));
        let open = State::Open.selector().unwrap();
        assert!(open.contains("status.phase!=Consumed,") && !open.contains("!=Approved"), "{open}");
    }

    #[test]
    fn names_are_asked_for_where_the_line_says() {
        let Asked { question, flags, .. } = asked("-n payments --context=lab download ");
        assert_eq!(question, Question::Names(Names::Certificates, String::new()));
        assert_eq!(flags, ["--namespace=payments", "--context=lab"]);
        let requests = |line: &str| match asked(line).question {
            Question::Names(Names::Requests(state), prefix) if prefix.is_empty() => state,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(requests("download --request "), State::Open);
        assert_eq!(requests("revoke a "), State::Open, "several can be revoked");
        assert_eq!((requests("approve "), requests("deny a ")), (State::Awaiting, State::Awaiting));
        assert_eq!(
            (requests("describe "), requests("get dlr "), requests("receipts --request ")),
            (State::Any, State::Any, State::Any)
        );
        assert_eq!(asked("ls ccert a ").question, Question::Names(Names::Certificates, String::new()));
        assert_eq!(asked("list --namespace=").question, Question::Names(Names::Namespaces, "--namespace=".into()));
        assert_eq!(asked("download api -o ").question, Question::File);
        assert_eq!(known("download api "), Vec::<String>::new());
    }
}
