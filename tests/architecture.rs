//! The layers, as far as Cargo does not enforce them: who may name whom. See docs/architecture.md.

#![cfg(test)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A layer, and what its code may not name. Test modules are not looked at.
struct Rule {
    files: &'static [&'static str],
    never: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 8] = [
    Rule {
        files: &[
            "src/policy",
            "src/lifecycle",
            "src/token",
            "src/redact",
            "src/text",
            "src/guard",
            "src/audit/kind",
            "src/audit/fact",
            "src/audit/request",
            "src/audit/delivery",
            "src/audit/call",
            "src/audit/guard",
        ],
        never: &[
            "tokio",
            "async ",
            ".await",
            "std::fs",
            "std::net",
            "std::env",
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "getrandom",
            "kube::",
            "reqwest",
            "hyper",
            "axum",
            "println!",
            "tracing::",
        ],
        why: "the pure core does no I/O and takes time and randomness as arguments",
    },
    Rule {
        files: &["src/api"],
        never: &["crate::policy", "crate::lifecycle", "crate::token", "tokio", "async ", "Timestamp::now"],
        why: "the kinds are data",
    },
    Rule { files: &["src/policy"], never: &["crate::lifecycle", "crate::token"], why: "policy stands on api alone" },
    Rule {
        files: &["src/controller"],
        never: &["crate::server", "crate::plugin"],
        why: "programs meet in the API server",
    },
    Rule {
        files: &["src/server"],
        never: &["crate::controller", "crate::plugin"],
        why: "programs meet in the API server",
    },
    Rule {
        files: &["src/plugin"],
        never: &["crate::controller", "crate::server"],
        why: "the plugin is a client: it reaches the server as anybody does",
    },
    Rule {
        files: &["src/net"],
        never: &["crate::controller", "crate::server", "crate::plugin", "crate::kube", "crate::metrics"],
        why: "both programs' ports stand on it, and it knows no program",
    },
    Rule {
        files: &["src/kube", "src/audit", "src/metrics", "src/telemetry"],
        never: &["crate::controller", "crate::server", "crate::plugin"],
        why: "edges are used by programs and know none",
    },
];

/// Code may name these although the rule's words are in them.
const ALLOWED: [&str; 2] = ["use kube::{CustomResource", "use kube::KubeSchema"];

fn sources(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for candidate in [path.with_extension("rs"), path.to_path_buf()] {
        if candidate.is_file() {
            found.push(candidate);
        } else if candidate.is_dir() {
            for entry in fs::read_dir(&candidate).unwrap() {
                let entry = entry.unwrap().path();
                if entry.is_dir() {
                    found.extend(sources(&entry));
                } else if entry.extension().is_some_and(|extension| extension == "rs") {
                    found.push(entry);
                }
            }
        }
    }
    found
}

/// Whether a file holds tests only.
fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name == "tests"
        || name == "fixtures"
        || name.ends_with("_tests")
        || name.starts_with("test_")
        || path.components().any(|part| part.as_os_str() == "tests")
}

/// The lines of a file before its tests, without comments.
fn code(path: &Path) -> Vec<(usize, String)> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default().to_owned()))
        .collect()
}

#[test]
fn layers_name_only_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    let mut looked_at = 0;
    for rule in &RULES {
        for path in rule.files.iter().flat_map(|layer| sources(&root.join(layer))).filter(|path| !is_test(path)) {
            looked_at += 1;
            for (number, line) in code(&path) {
                let allowed = ALLOWED.iter().any(|allowed| line.contains(allowed));
                if let Some(word) = rule.never.iter().find(|word| line.contains(**word) && !allowed) {
                    broken.push(format!("{}:{number}: `{word}`: {}", path.display(), rule.why));
                }
            }
        }
    }
    assert!(looked_at > 20, "only {looked_at} files found: have the folders moved?");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_file_writer_depends_on_no_cluster_no_runtime_and_no_clock() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/bundle/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for name in ["kube", "k8s-openapi", "tokio", "axum", "hyper", "getrandom", "rand", "jiff", "chrono", "time"] {
        let found = dependencies.lines().any(|line| line.split(['=', '.', ' ']).next() == Some(name));
        assert!(!found, "certcourier-bundle must stay free of {name}");
    }
}

#[test]
fn files_stay_small_enough_to_be_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut large = Vec::new();
    for folder in ["src", "crates/bundle/src", "tests/cluster/src", "tests/support/src"] {
        for path in sources(&root.join(folder)).into_iter().filter(|path| !is_test(path)) {
            let lines = code(&path).len();
            if lines > 450 {
                large.push(format!("{}: {lines} lines without its tests", path.display()));
            }
        }
    }
    assert!(large.is_empty(), "{}", large.join("\n"));
}

/// The modules in docs/architecture.md, from top to bottom.
fn modules_on_the_page(root: &Path) -> Vec<String> {
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let list = page.split("\n## Modules\n").nth(1).expect("a section `Modules`").split("\n## ").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("src/")?.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// What follows each `crate::` in a file: one module, or those of a group in braces.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let first_word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(first_word(rest));
            continue;
        };
        let (mut depth, mut item) = (0_u32, String::new());
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => {
                    found.insert(first_word(&item));
                    item.clear();
                    continue;
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            item.push(c);
        }
        found.insert(first_word(&item));
    }
    found
}

#[test]
fn the_page_lists_every_module_above_those_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = modules_on_the_page(root);
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(root.join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !matches!(name.as_str(), "lib" | "main" | "bin") {
            there.insert(name);
        }
    }
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), there, "docs/architecture.md lists the modules of src");
    assert_eq!(listed.len(), there.len(), "docs/architecture.md lists a module twice");

    let mut upwards = Vec::new();
    for (place, name) in listed.iter().enumerate() {
        for path in sources(&root.join("src").join(name)).iter().filter(|path| !is_test(path)) {
            let text: Vec<String> = code(path).into_iter().map(|(_, line)| line).collect();
            for named in modules_named(&text.join("\n")) {
                if listed[..place].contains(&named) {
                    upwards.push(format!("{} names {named}, which is above {name}", path.display()));
                }
            }
        }
    }
    assert!(upwards.is_empty(), "move the module in docs/architecture.md, or the code:\n{}", upwards.join("\n"));
}

#[test]
fn tests_share_by_a_crate_and_not_by_path() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [root.join("tests"), root.join("benches")].iter().flat_map(|folder| sources(folder)) {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start())) {
            let excused = line.starts_with("#[path") || line.starts_with('#') && line.contains("allow(dead_code");
            assert!(
                !excused,
                "{}:{number}: `{line}`: what two test binaries need is for tests/support",
                file.display()
            );
        }
    }
}
