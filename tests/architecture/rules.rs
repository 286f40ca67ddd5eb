//! Who must not name whom, as far as Cargo does not say it: the crates below `src` cannot name anything above them.

use std::collections::BTreeSet;

use crate::program::{Arrow, Program};

/// Code in these files and folders must not name anything in those.
pub struct Rule {
    pub files: &'static [&'static str],
    pub never: &'static [&'static str],
    /// Arrows that are allowed all the same.
    pub except: &'static [(&'static str, &'static str)],
    pub why: &'static str,
}

pub const RULES: [Rule; 12] = [
    Rule {
        files: &["crates/core/src/policy"],
        never: &[
            "crates/core/src/lifecycle",
            "crates/core/src/token",
            "crates/core/src/guard",
            "crates/core/src/audit",
        ],
        except: &[],
        why: "a policy is decided from facts alone: not from where a request stands",
    },
    Rule {
        files: &["src/cluster", "src/manifests", "src/audit", "src/metrics", "src/net", "src/telemetry", "src/render"],
        never: &["src/controller", "src/server", "src/plugin", "src/doctor", "src/cli"],
        except: &[],
        why: "programs use the edges; an edge knows no program",
    },
    Rule {
        files: &["src/net"],
        never: &["src/cluster", "src/metrics", "src/audit"],
        except: &[],
        why: "both programs' ports are served by it, and it knows sockets and addresses alone",
    },
    Rule {
        files: &["src/render"],
        never: &["src/cluster", "crates/core/src/lifecycle", "crates/core/src/policy"],
        except: &[],
        why: "files are made on a laptop without a cluster, and nobody is asked",
    },
    Rule {
        files: &["src/controller"],
        never: &["src/server", "src/plugin", "src/doctor"],
        except: &[],
        why: "programs meet in the API server",
    },
    Rule {
        files: &["src/server"],
        never: &["src/controller", "src/plugin", "src/doctor"],
        except: &[],
        why: "programs meet in the API server",
    },
    Rule {
        files: &["src/plugin"],
        never: &["src/controller", "src/server"],
        // A client certificate proves who someone is to the API server alone: their pages are made where it is.
        except: &[("src/plugin/commands/web", "src/server/of_one")],
        why: "the plugin is a client: it reaches the server as everyone does",
    },
    Rule {
        files: &["src/doctor"],
        never: &["src/controller", "src/server", "src/plugin"],
        except: &[],
        why: "the doctor judges the cluster from outside: from what is in the API server",
    },
    Rule {
        files: &["src/server/net", "src/server/http", "src/server/auth"],
        never: &["src/server/downloads", "src/server/api", "src/server/router"],
        except: &[],
        why: "what every route shares knows no route",
    },
    Rule {
        files: &["src/server/api"],
        never: &["src/server/downloads"],
        except: &[],
        why: "what callers do with their own token and what a download token does are two doors",
    },
    Rule {
        files: &["src/plugin/request", "src/plugin/client", "src/plugin/connect", "src/plugin/print"],
        never: &["src/plugin/commands", "src/plugin/cli"],
        except: &[],
        why: "commands use these; what several commands need is not a command's",
    },
    Rule {
        files: &["src/plugin/client", "src/plugin/connect", "src/plugin/print"],
        never: &["src/plugin/request"],
        except: &[],
        why: "how the cluster and the server are reached, and how things are printed, does not depend on what is asked",
    },
];

/// Every arrow that a rule forbids, with its reason.
pub fn broken(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let by_rule = RULES.iter().flat_map(|rule| {
        let forbidden = move |arrow: &&Arrow| {
            rule.files.iter().any(|part| holds(part, &arrow.from))
                && rule.never.iter().any(|part| holds(part, &arrow.to))
                && !rule.except.iter().any(|(from, to)| holds(from, &arrow.from) && holds(to, &arrow.to))
        };
        arrows.iter().filter(forbidden).map(|arrow| told(arrow, rule.why))
    });
    let by_command = arrows
        .iter()
        .filter(|arrow| matches!((command(&arrow.from), command(&arrow.to)), (Some(one), Some(other)) if one != other))
        .map(|arrow| told(arrow, "a command never names another; what both need goes to src/plugin/request"));
    by_rule.chain(by_command).collect()
}

fn told(arrow: &Arrow, why: &str) -> String {
    format!("{}:{} names {} (`{}`): {why}", arrow.from, arrow.line, arrow.to, arrow.name)
}

/// Whether a part of the program, as in `src/server/net`, is or holds this file.
pub fn holds(part: &str, file: &str) -> bool {
    file.strip_prefix(part).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Which command of the plugin a file belongs to.
fn command(file: &str) -> Option<&str> {
    let rest = file.strip_prefix("src/plugin/commands/")?;
    rest.split(['/', '.']).next()
}

/// Crates that are given time, randomness and facts, and reach for nothing.
const PURE: [&str; 3] = ["crates/bundle/src/", "crates/api/src/", "crates/core/src/"];

/// What they would reach with, as the beginning of a path.
#[rustfmt::skip]
const REACHES: [&str; 19] = [
    "std::fs", "std::net", "std::env", "std::process", "std::thread", "std::io::stdin", "std::io::stdout",
    "std::io::stderr", "std::time::SystemTime", "std::time::Instant", "jiff::Timestamp::now", "jiff::Zoned::now",
    "tokio", "getrandom", "aws_lc_rs::rand", "reqwest", "hyper", "axum", "tracing",
];

/// The same, as words.
const WORDS: [&str; 7] = ["async", "await", "print!", "println!", "eprint!", "eprintln!", "dbg!"];

/// Everything with which a pure crate reaches outside of its arguments.
pub fn impure(program: &Program) -> Vec<String> {
    let is_pure = |file: &str| PURE.iter().any(|part| file.starts_with(part));
    let mut found = Vec::new();
    for (file, named, path) in program.outside().into_iter().filter(|(file, ..)| is_pure(file)) {
        let path = path.join("::");
        if REACHES
            .iter()
            .any(|reach| path.strip_prefix(reach).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
        {
            found.push(format!(
                "{file}:{}: `{path}`: the pure crates take time, randomness and bytes as arguments",
                named.line
            ));
        }
    }
    for module in program.modules().filter(|module| is_pure(&module.file)) {
        let words = module.words.iter().filter(|word| WORDS.contains(&word.path[0].as_str()));
        found.extend(
            words.map(|word| format!("{}:{}: `{}`: the pure crates do no I/O", module.file, word.line, word.path[0])),
        );
    }
    found
}
