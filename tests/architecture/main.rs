//! The layers, as far as Cargo does not enforce them: who may name whom. See docs/architecture.md.
//!
//! The sources are read with a parser: `use` trees and paths are followed through every re-export to the file that
//! defines what they name. Code under `#[cfg(test)]` is not looked at.

#![cfg(test)]

mod circles;
mod program;
mod rules;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use program::{Arrow, Program};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Program {
    let program = Program::on_disk(root());
    let count = program.files().len();
    assert!(count > 200, "only {count} files found: have the folders moved?");
    program
}

#[test]
fn layers_name_only_what_lies_below_them() {
    let broken = rules::broken(&sources().arrows());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_file_is_in_a_circle_with_others() {
    let arrows = sources().arrows();
    let knots = circles::knots(&arrows);
    let largest = knots.iter().map(|knot| knot.files.len()).max().unwrap_or(0);
    let told: Vec<String> = knots.iter().map(|knot| draw(&knot.circle, &arrows)).collect();
    assert!(told.is_empty(), "the largest knot has {largest} files\n{}", told.join("\n"));
}

/// A circle, with one name for each of its arrows.
fn draw(circle: &[&str], arrows: &BTreeSet<Arrow>) -> String {
    let mut lines = vec!["a circle:".to_owned()];
    for step in circle.windows(2) {
        let names: BTreeSet<&str> = arrows
            .iter()
            .filter(|arrow| arrow.from == step[0] && arrow.to == step[1])
            .map(|arrow| arrow.name.as_str())
            .collect();
        lines.push(format!("  {} -> {}: {names:?}", step[0], step[1]));
    }
    lines.join("\n")
}

#[test]
fn the_pure_crates_reach_for_nothing() {
    let found = rules::impure(&sources());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The names of everything that Cargo builds for a crate.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<String> = tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(names.contains(package) && names.contains("serde"), "{tree}");
    names
}

#[test]
fn the_pure_crates_bring_no_runtime_no_client_and_no_generator() {
    let io = ["tokio", "hyper", "hyper-util", "reqwest", "axum", "tower", "mio", "rustls", "futures-util", "tracing"];
    let kubernetes = ["kube-client", "kube-runtime"];
    let randomness = ["getrandom", "rand", "uuid"];
    for package in ["certcourier-api", "certcourier-core"] {
        let names = tree(package);
        for name in io.iter().chain(&kubernetes).chain(&randomness) {
            assert!(!names.contains(*name), "{package} must stay free of {name}");
        }
    }
}

#[test]
fn the_file_writer_depends_on_no_cluster_no_runtime_and_no_clock() {
    let manifest = fs::read_to_string(root().join("crates/bundle/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for name in ["kube", "k8s-openapi", "tokio", "axum", "hyper", "getrandom", "rand", "jiff", "chrono", "time"] {
        let found = dependencies.lines().any(|line| line.split(['=', '.', ' ']).next() == Some(name));
        assert!(!found, "certcourier-bundle must stay free of {name}");
    }
}

#[test]
fn files_stay_small_enough_to_be_read() {
    let mut files: Vec<String> = sources().files().into_iter().map(str::to_owned).collect();
    for folder in ["tests/cluster/src", "tests/support/src"] {
        files.extend(program::files_below(root(), folder).into_iter().map(|(file, _)| file));
    }
    let lines = |file: &String| {
        let text = fs::read_to_string(root().join(file)).unwrap();
        text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
    };
    let large: Vec<String> = files.iter().filter(|file| lines(file) > 450).cloned().collect();
    assert!(large.is_empty(), "more than 450 lines without their tests: {}", large.join(", "));
}

#[test]
fn tests_share_by_a_crate_and_not_by_path() {
    for (file, text) in ["tests", "benches"].into_iter().flat_map(|folder| program::files_below(root(), folder)) {
        for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start())) {
            let excused = line.starts_with("#[path") || line.starts_with('#') && line.contains("allow(dead_code");
            assert!(!excused, "{file}:{number}: `{line}`: what two test binaries need is for tests/support");
        }
    }
}

/// The modules in docs/architecture.md, from top to bottom: as `src/server/net`, or `crates/core/policy`.
fn modules_on_the_page() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let list = page.split("\n## Modules\n").nth(1).expect("a section `Modules`").split("\n## ").next().unwrap();
    let rows = list.lines().filter(|line| line.starts_with("src/") || line.starts_with("crates/"));
    rows.filter_map(|row| row.split_whitespace().next()).map(str::to_owned).collect()
}

/// Folders whose modules have a line each on the page.
const IN_DETAIL: [&str; 5] = ["crates/core", "src", "src/controller", "src/plugin", "src/server"];

/// Every name on the page that a file belongs under: for `src/server/net/tls.rs`, `src/server` and `src/server/net`.
fn lines_of(file: &str) -> Vec<String> {
    let file = file.replace("/src/", "/").replace("/lib.rs", ".rs");
    let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    let is_listed = |length: &usize| *length == 2 || IN_DETAIL.contains(&parts[..length - 1].join("/").as_str());
    (2..=parts.len()).filter(is_listed).map(|length| parts[..length].join("/")).collect()
}

/// The line by which a file has its place in the order: that of its crate or top module, and in the core of its module.
fn layer_of(file: &str) -> String {
    let mut lines = lines_of(file);
    let kept = if file.starts_with("crates/core/") { 2 } else { 1 };
    lines.truncate(kept);
    lines.pop().unwrap_or_default()
}

#[test]
fn the_page_lists_every_module_above_those_that_it_names() {
    let listed = modules_on_the_page();
    let program = sources();
    let files = program.files();
    let there: BTreeSet<String> =
        files.iter().filter(|file| **file != "src/lib.rs").flat_map(|file| lines_of(file)).collect();
    let place: BTreeMap<&str, usize> = listed.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    assert_eq!(place.len(), listed.len(), "docs/architecture.md lists a module twice");
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), there, "docs/architecture.md lists the modules");

    let mut upwards = Vec::new();
    for arrow in program.arrows() {
        let (from, to) = (layer_of(&arrow.from), layer_of(&arrow.to));
        if place.get(to.as_str()) < place.get(from.as_str()) {
            upwards.push(format!("{}:{} names {to}, which is above {from}", arrow.from, arrow.line));
        }
    }
    assert!(upwards.is_empty(), "move the module in docs/architecture.md, or the code:\n{}", upwards.join("\n"));
}

/// What is found in a program of these files, each with its text.
fn found_in(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let program = Program::of(files.iter().copied());
    let arrows = program.arrows();
    let circles = circles::knots(&arrows).iter().map(|knot| knot.circle.join(" ")).collect();
    let broken = rules::broken(&arrows).into_iter().chain(rules::impure(&program)).collect();
    (circles, broken)
}

#[test]
fn a_circle_is_found_through_re_exports_and_macros() {
    let (circles, _) = found_in(&[
        ("src/lib.rs", "mod a; mod b; mod c;"),
        ("src/a.rs", "use crate::b; fn f() { b::Deep::new(); } pub struct A;"),
        ("src/b.rs", "mod deep; pub use self::deep::Deep;"),
        ("src/b/deep.rs", "pub struct Deep; fn f() { println!(\"{}\", super::super::c::NUMBER); }"),
        ("src/c.rs", "use {crate::a::A as Other}; pub const NUMBER: u8 = 1;"),
    ]);
    assert_eq!(circles, ["src/a.rs src/b/deep.rs src/c.rs src/a.rs"]);
}

#[test]
fn a_module_in_several_files_is_no_circle_until_its_parts_name_each_other() {
    let lib = ("src/lib.rs", "mod a;");
    let parent = ("src/a.rs", "mod one; mod two; use one::One; pub struct Shared(two::Two);");
    let one = ("src/a/one.rs", "use super::{Shared, two::Two}; pub struct One;");
    let (circles, _) = found_in(&[lib, parent, one, ("src/a/two.rs", "use super::Shared; pub struct Two;")]);
    assert!(circles.is_empty(), "{circles:?}");
    let (circles, _) = found_in(&[lib, parent, one, ("src/a/two.rs", "use super::one::One; pub struct Two;")]);
    assert_eq!(circles, ["src/a/one.rs src/a/two.rs src/a/one.rs"]);
    let tested =
        "pub struct Two; #[cfg(test)] mod tests { use super::super::one::One; } #[cfg(test)] use super::one::One;";
    let (circles, _) = found_in(&[lib, parent, one, ("src/a/two.rs", tested)]);
    assert!(circles.is_empty(), "{circles:?}");
}

#[test]
fn a_forbidden_arrow_is_found_with_its_reason() {
    let (_, broken) = found_in(&[
        ("src/lib.rs", "mod server; mod plugin; pub use certcourier_core as core;"),
        ("src/server.rs", "pub mod net; pub mod api;"),
        ("src/server/net.rs", "type Of = Vec<super::api::Answer>;"),
        ("src/server/api.rs", "pub struct Answer;"),
        ("src/plugin.rs", "pub mod commands;"),
        ("src/plugin/commands.rs", "pub mod list; pub mod wait;"),
        ("src/plugin/commands/list.rs", "\nuse super::wait::again;"),
        ("src/plugin/commands/wait.rs", "pub fn again() {}"),
        ("crates/core/src/lib.rs", "fn now() { use jiff::Timestamp; Timestamp::now(); } async fn later() {}"),
    ]);
    assert_eq!(
        broken,
        [
            "src/server/net.rs:1 names src/server/api.rs (`super::api::Answer`): what every route shares knows no route",
            "src/plugin/commands/list.rs:2 names src/plugin/commands/wait.rs (`super::wait::again`): a command never \
             names another; what both need goes to src/plugin/request",
            "crates/core/src/lib.rs:1: `jiff::Timestamp::now`: the pure crates take time, randomness and bytes as arguments",
            "crates/core/src/lib.rs:1: `async`: the pure crates do no I/O",
        ]
    );
}
