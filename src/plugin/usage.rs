//! What was typed wrong, in our words: what, and the next step. clap's own tips guess, and guess wrong where it matters.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{cli, error::PluginError};

/// A value that is a token is not repeated, not even to the person who typed it: terminals are recorded.
const TOKEN: &str = "ccd_";
/// A flag is taken for a slip of another that differs in at most so many letters.
const SLIPS: usize = 2;

/// Flags that other programs have and this one refuses, with why and what instead.
const REFUSED: [(&[&str], &str, &str); 8] = [
    (
        &["--passphrase", "--password", "--pass"],
        "a passphrase is never an argument: everyone on this machine can read the arguments of a process",
        "leave it out to be asked at a terminal, or give --passphrase-file, --passphrase-env or --generate; if what you \
         typed is in use, choose another",
    ),
    (
        &["--insecure-skip-tls-verify", "--insecure", "--insecure-skip-verify", "--skip-tls-verify"],
        "certificates of servers are always verified: anyone in between would get your token and the file",
        "for certcourier's server name its CA with --server-ca FILE; for the API server in the kubeconfig: kubectl config \
         set-cluster NAME --certificate-authority FILE",
    ),
    (
        &["--token", "--username", "--client-certificate", "--client-key"],
        "credentials are never arguments: everyone on this machine can read the arguments of a process",
        "put them into a kubeconfig (kubectl config set-credentials NAME …) and choose it with --user, --context or \
         --kubeconfig",
    ),
    (
        &["--certificate-authority", "--tls-server-name", "--disable-compression"],
        "the way to the API server is that of the kubeconfig",
        "set it there: kubectl config set-cluster NAME …; --server-ca FILE is the CA of certcourier's own server",
    ),
    (
        &["--field-selector"],
        "fields are chosen by flags of their own",
        "--certificate, --mine and --open choose; or kubectl get dlr --field-selector …",
    ),
    (
        &["--show-labels", "--label-columns", "-L"],
        "labels are not in these tables",
        "kubectl get dlr,ccert --show-labels has them; -o json has everything",
    ),
    (&["--filename"], "objects are not read from files here", "kubectl create -f FILE"),
    (&["--all"], "this works on what you name", "name them, or choose them with -l SELECTOR"),
];

/// The error for a command line that cannot be read. Not for help and version, which are no errors.
/// `typed` is the whole line: clap does not say of which command a wrong value is.
pub fn explained(error: &clap::Error, typed: impl Iterator<Item = OsString>) -> PluginError {
    let root = cli::command();
    let words = command(error).map_or_else(|| typed.collect(), |page| page.split(' ').map(OsString::from).collect());
    let (page, command) = named(&root, words);
    let help = format!("`{page} --help` has its flags, `kubectl certcourier options` those of every command");
    let argument = text(error, ContextKind::InvalidArg);
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(argument) = &argument
    {
        return unknown(argument, &page, help, &flags(&root, command));
    }
    let output = argument.as_ref().is_some_and(|argument| argument.starts_with("--output "));
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let told = PluginError::usage(first_paragraph(&error.render().to_string()));
    if output && ["jsonpath", "custom-columns", "go-template", "template"].iter().any(|word| value.starts_with(word)) {
        return told.next("kubectl get dlr, ccert or dlrc prints that; here -o json, and jq");
    }
    match error.kind() {
        ErrorKind::InvalidSubcommand => told.next(format!("`{page} --help` lists the commands")),
        _ => told.next(help),
    }
}

fn unknown(argument: &str, page: &str, help: String, flags: &[String]) -> PluginError {
    let name = argument.split('=').next().unwrap_or(argument);
    if let Some((_, why, instead)) = REFUSED.iter().find(|(names, ..)| names.contains(&name)) {
        return PluginError::usage(format!("{name}: {why}")).next(*instead);
    }
    if !name.starts_with('-') {
        let shown = if name.contains(TOKEN) { "one that is a token" } else { name };
        return PluginError::usage(format!("`{page}` takes no further argument: {shown}")).next(help);
    }
    let told = PluginError::usage(format!("`{page}` has no flag {name}"));
    // A hand slips in the middle of a word: the first letter is the one that was meant.
    let alike = |flag: &&String| flag.get(..3) == name.get(..3) && *flag != name && distance(flag, name) <= SLIPS;
    match flags.iter().find(alike) {
        Some(flag) => told.next(format!("did you mean {flag}? {help}")),
        None => told.next(help),
    }
}

/// The command that the words name, with its page.
fn named(root: &clap::Command, words: Vec<OsString>) -> (String, &clap::Command) {
    let (mut page, mut command) = ("kubectl certcourier".to_owned(), root);
    for word in words {
        if let Some(sub) = command.find_subcommand(&word) {
            page = format!("{page} {}", sub.get_name());
            command = sub;
        }
    }
    (page, command)
}

/// The flags that it takes.
fn flags(root: &clap::Command, command: &clap::Command) -> Vec<String> {
    let of_all = root.get_arguments().filter(|flag| flag.is_global_set());
    let flags = command.get_arguments().chain(of_all).filter(|flag| !flag.is_hide_set());
    flags.filter_map(|flag| flag.get_long()).map(|long| format!("--{long}")).collect()
}

/// `kubectl certcourier policy explain`, out of the usage line.
fn command(error: &clap::Error) -> Option<String> {
    let usage = text(error, ContextKind::Usage)?;
    let words = usage.split_whitespace().skip_while(|word| *word != "kubectl");
    let words: Vec<&str> = words.take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

/// What clap says before its tips and its usage line, on one line.
fn first_paragraph(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or(text);
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let line = words.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// How many letters must be changed, added or removed to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut before = row[0];
        row[0] = index + 1;
        for (column, wanted) in other.iter().enumerate() {
            let changed = before + usize::from(letter != *wanted);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        let words = || std::iter::once("kubectl-certcourier").chain(line.split(' ')).map(OsString::from);
        let error = cli::command().try_get_matches_from(words()).unwrap_err();
        let report = explained(&error, words()).report();
        assert!(!report.contains("tip:"), "{report}");
        report
    }

    #[test]
    fn a_passphrase_that_is_typed_is_refused_with_the_reason_and_never_repeated() {
        for line in [
            "download api --format pkcs12 --passphrase hunter2",
            "claim x --passphrase=hunter2",
            "--password hunter2 list",
        ] {
            let report = told(line);
            assert!(
                report.contains("everyone on this machine can read") && report.contains("--passphrase-file"),
                "{report}"
            );
            assert!(!report.contains("hunter2"), "{report}");
        }
    }

    #[test]
    fn flags_of_other_programs_are_answered_with_why_not_and_what_instead() {
        for (line, said) in [
            ("list --insecure-skip-tls-verify", "--server-ca"),
            ("list --token secret", "kubectl config set-credentials"),
            ("list --client-certificate=a.crt", "kubeconfig"),
            ("list --tls-server-name x", "kubectl config set-cluster"),
            ("list requests --field-selector a=b", "--certificate"),
            ("list -o jsonpath={.items}", "kubectl get dlr"),
            ("revoke --all", "-l SELECTOR"),
        ] {
            let report = told(line);
            assert!(report.contains(said), "{line}: {report}");
            assert!(!report.contains("secret"), "{report}");
        }
    }

    #[test]
    fn a_slip_is_told_with_the_flag_that_was_meant_and_nothing_is_guessed_otherwise() {
        let slip = told("download api --fromat key");
        assert!(
            slip.starts_with(
                "error: `kubectl certcourier download` has no flag --fromat\nnext:  did you mean --format?"
            ),
            "{slip}"
        );
        let unknown = told("policy explain api --web");
        assert!(unknown.starts_with("error: `kubectl certcourier policy explain` has no flag --web\n"), "{unknown}");
        assert!(!unknown.contains("mean") && unknown.contains("policy explain --help"), "{unknown}");
        // Flags of other commands are no answer, and least of all the one that was typed.
        for line in ["policy explain api --format key", "list --fro x", "list --watch --foo"] {
            assert!(!told(line).contains("did you mean --fo"), "{line}: {}", told(line));
        }
        for line in ["download api --format cert --token-ttl 1d", "download api --format tar", "list -o xml"] {
            let page = if line.starts_with("list") { "list" } else { "download" };
            assert!(told(line).contains(&format!("`kubectl certcourier {page} --help`")), "{line}: {}", told(line));
        }
        let missing = told("approve");
        assert!(missing.contains("required") && missing.contains("REQUEST"), "{missing}");
        assert!(told("lst").contains("lists the commands"));
        let token = told("claim a -o token ccd_canary");
        assert!(!token.contains("canary"), "{token}");
    }

    #[test]
    fn a_distance_is_counted_in_letters() {
        for (one, other, letters) in
            [("--open", "--token", 2), ("--format", "--fromat", 2), ("a", "a", 0), ("", "ab", 2)]
        {
            assert_eq!(distance(one, other), letters, "{one} {other}");
        }
    }
}
