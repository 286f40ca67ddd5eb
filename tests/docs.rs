//! What the pages say of the code is so: tests that they name exist, and the table of rights is the roles that are printed.

#![cfg(test)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use certcourier::{
    admission::Identity,
    api::{
        Format, PemOrder,
        http::ErrorCode,
        words::{
            ConditionReason, ConditionType, EventReason, FailureReason, GuardReason, GuardState, MaterialProblem,
            MaterialReason,
        },
    },
    doctor::Check,
    manifests::{Installation, objects, serving_objects, session_objects},
};
use serde_json::Value;
use test_support::page::{Fence, fences};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The cells of each row of a page's tables, without their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect()))
        .collect();
    rows.iter().filter(|row| row[0] != "role").cloned().collect()
}

/// Names of tests in backticks: sentences, of four words at least. Metrics have such names, too.
fn tests_named(text: &str) -> Vec<&str> {
    let plain = |name: &&str| {
        !name.starts_with("certcourier_")
            && name.matches('_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.split('`').skip(1).step_by(2).filter(plain).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every function that stands behind a test attribute, or in `proptest!`.
fn tests_there_are() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "crates"] {
        sources(&root().join(folder), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for after in text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)) {
            let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_test_that_a_page_names_exists() {
    let there = tests_there_are();
    assert!(there.len() > 200, "only {} tests were found: have the folders moved?", there.len());
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).unwrap();
            let missing: Vec<&str> = tests_named(&text).into_iter().filter(|name| !there.contains(*name)).collect();
            assert!(missing.is_empty(), "{} names tests that are not there: {missing:?}", path.display());
        }
    }
}

/// The sections of this depth of a text: the heading of each, and what is below it up to the next heading.
fn sections<'a>(text: &'a str, mark: &str) -> Vec<(&'a str, &'a str)> {
    let begin = format!("\n{mark} ");
    let parts = text.split(begin.as_str()).skip(1);
    parts.map(|part| part.split_once('\n').unwrap()).map(|(head, rest)| (head, upto_heading(rest))).collect()
}

fn upto_heading(text: &str) -> &str {
    text.find("\n#").map_or(text, |end| &text[..end])
}

/// What stands in the paragraph, or the list, behind these bold words.
fn part<'a>(section: &'a str, words: &str) -> Option<&'a str> {
    let rest = section.split_once(&format!("\n**{words}"))?.1;
    Some(rest.split("\n\n**").next().unwrap())
}

#[test]
fn every_threat_and_every_right_has_a_test() {
    let (model, rights) = (page("threat-model.md"), page("rights.md"));
    let (tried, open) = model.split_once("\n## Out of scope").unwrap();
    let threats = sections(tried, "###");
    assert!(threats.len() > 45, "only {} threats were found", threats.len());
    for (threat, section) in &threats {
        let who = section.trim_start().split("\n\n").next().unwrap();
        assert!(!who.starts_with("**"), "`{threat}` does not say who tries what");
        let stopped = part(section, "What stops it.**").unwrap_or_else(|| panic!("`{threat}`: what stops it?"));
        assert!(stopped.split_whitespace().count() > 2, "`{threat}`: what stops it?");
        let proven = part(section, "Proven by** ").unwrap_or_else(|| panic!("`{threat}` names no test"));
        let named = proven.trim().split(", ").collect::<Vec<_>>();
        assert_eq!(tests_named(proven).len(), named.len(), "`{threat}` is proven by tests and nothing else: {named:?}");
    }
    // A threat that is stopped in part leads to the section of what is not stopped, which says so.
    assert!(upto_heading(open).contains("certcourier does not stop"), "the page says that the rest is not stopped");
    let left = sections(open.split("\n## ").next().unwrap(), "###");
    assert!(left.len() > 20, "only {} threats that are not stopped were found", left.len());
    for (threat, section) in &left {
        for words in ["Why it is not stopped.**", "How to make it smaller.**"] {
            let said = part(section, words).unwrap_or_default();
            assert!(said.split_whitespace().count() > 1, "`{threat}` lacks **{words}");
        }
    }
    assert!(rows(&rights).len() > 20);
    for row in rows(&rights) {
        assert!(!tests_named(row.last().unwrap()).is_empty(), "no test: {row:?}");
    }
}

/// `get, list` and `certificates, downloadrequests (certcourier.io) named x`.
fn in_words(rule: &Value) -> (String, String) {
    let texts = |field: &str| -> Vec<&str> {
        rule[field].as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
    };
    let mut what = texts("resources").join(", ");
    let groups = texts("apiGroups").join(", ");
    if !groups.is_empty() {
        what = format!("{what} ({groups})");
    }
    let names = texts("resourceNames").join(", ");
    if !names.is_empty() {
        what = format!("{what} named {names}");
    }
    (texts("verbs").join(", "), what)
}

#[test]
fn the_table_of_rights_is_the_operators_roles() {
    let identity = Identity::new("certcourier-system", "controller", "server").unwrap();
    let mut serving = serving_objects(&identity).unwrap();
    serving.extend(session_objects(&identity).unwrap());
    let printed = objects(&Installation { identity, watch_namespaces: vec![], stamp: true }).unwrap();
    let mut wanted = Vec::new();
    for role in printed.iter().chain(&serving) {
        let (kind, name) = (role["kind"].as_str().unwrap(), role["metadata"]["name"].as_str().unwrap());
        let of_operator = [
            "certcourier-controller",
            "certcourier-server",
            "certcourier-system",
            "certcourier-guard",
            "certcourier-serving",
            "certcourier-session",
            "certcourier-external-ca",
        ];
        let of_operator = of_operator.contains(&name);
        for rule in role["rules"].as_array().into_iter().flatten().filter(|_| of_operator) {
            let (verbs, what) = in_words(rule);
            wanted.push(format!("{kind} {name} | {verbs} | {what}"));
        }
    }
    let text = page("rights.md");
    let mut written: Vec<String> = rows(&text).iter().map(|row| row[..3].join(" | ")).collect();
    wanted.sort();
    written.sort();
    assert_eq!(written, wanted);
}

/// Names of metrics as the code registers them: the first text of each such call.
fn metrics_registered() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for call in [".register(", ".observe(", ".observe_some(", ".encode_descriptor("] {
            for after in code.split(call).skip(1) {
                let name = after.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                names.extend(name.map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn the_page_of_metrics_has_every_metric_and_no_other() {
    let page = page("metrics.md");
    let table = page.split("## Worth an alert").next().unwrap();
    let names = table.lines().filter_map(|line| line.strip_prefix("| `certcourier_")?.split(['`', '{']).next());
    let plain = |name: &str| name.trim_end_matches("_total").replace("build_info", "build");
    let documented: BTreeSet<String> = names.map(plain).collect();
    let registered = metrics_registered();
    assert!(registered.len() > 20, "only {registered:?} were found: is the code another?");
    assert_eq!(documented, registered);
    // What alerts are about is there.
    let alerts = page.split("## Worth an alert").nth(1).unwrap();
    for name in alerts
        .split("certcourier_")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap())
    {
        assert!(documented.contains(name.trim_end_matches("_total")), "{name}");
    }
}

/// The words in backticks of the cells in this column, in the tables of a section.
fn words(text: &str, heading: &str, column: usize) -> BTreeSet<String> {
    let section = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no `{heading}`")).1;
    let depth = |line: &str| line.bytes().take_while(|byte| *byte == b'#').count();
    let own = depth(heading);
    let ends = |line: &&str| (1..=own).contains(&depth(line));
    let mut found = BTreeSet::new();
    let lines = section.lines().take_while(|line| !ends(line));
    for row in lines.filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        found.extend(cells[column].split('`').skip(1).step_by(2).map(str::to_owned));
    }
    found
}

fn names<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_word_is_explained_and_no_other() {
    let text = page("troubleshooting.md");
    assert_eq!(words(&text, "## Codes of the HTTP API", 0), names(ErrorCode::ALL.map(ErrorCode::name)));
    for code in ErrorCode::ALL {
        let row = format!("| `{}` | {} | ", code.name(), code.status().as_u16());
        assert!(text.contains(&row), "{row}");
    }
    assert_eq!(words(&text, "## Conditions", 1), names(ConditionReason::ALL.map(ConditionReason::name)));
    assert_eq!(words(&text, "## Events", 0), names(EventReason::ALL.map(EventReason::name)));

    let of_bundle = names(MaterialReason::ALL.map(MaterialReason::name));
    let problems = || MaterialProblem::OF_CLUSTER.into_iter().filter(|problem| !problem.is_of_request());
    let material = words(&text, "### Why material is unusable", 0);
    assert_eq!(material, &of_bundle | &names(problems().map(MaterialProblem::name)));
    assert_eq!(words(&page("formats.md"), "## When a file is refused", 0), of_bundle);
    // The section has the table of material below it.
    let failures = names(FailureReason::all().map(FailureReason::name));
    assert_eq!(words(&text, "## Why a request failed", 0), failures);

    let guard = &names(GuardReason::ALL.map(GuardReason::name)) | &names(GuardState::ALL.map(GuardState::name));
    assert_eq!(words(&text, "## The guard", 0), guard);
    assert_eq!(words(&text, "## What the doctor finds", 0), names(Check::ALL.map(Check::name)));
}

#[test]
fn the_page_of_conditions_has_every_type() {
    let text = page("troubleshooting.md");
    for kind in ConditionType::ALL {
        assert!(text.contains(&format!("| {kind}=")), "{kind}");
    }
}

#[test]
fn the_pages_and_the_schema_say_the_same_of_every_format() {
    let text = page("formats.md");
    let rows = rows(&text);
    let crd = fs::read_to_string(root().join("crds/downloadrequests.yaml")).unwrap();
    for order in PemOrder::ALL {
        let of_order = |row: &&Vec<&str>| row[0] == order.taken_by() && row[1].starts_with("`combined`");
        let row = rows.iter().find(of_order).unwrap_or_else(|| panic!("no row for {}", order.taken_by()));
        let named = row[1].contains(order.name()) || order == PemOrder::default();
        assert!(named, "{row:?} does not name {order}");
        let other = PemOrder::ALL.into_iter().find(|other| *other != order).unwrap();
        assert!(!row[1].contains(other.name()), "{row:?} names {other}");
        let said = format!("`{order}` ({}", order.taken_by());
        assert!(crd.contains(&said), "crds/downloadrequests.yaml does not say {said}");
    }
    for format in Format::ALL {
        let of_format = |row: &&Vec<&str>| row[0] == format!("`{format}`") && row.len() >= 4;
        let row = rows.iter().find(of_format).unwrap_or_else(|| panic!("no row for {format}"));
        assert_eq!(row[3] == "yes", format.holds_key(), "{format}");
        assert!(row.last().unwrap().ends_with(&format!("`{}`", format.content_type())), "{format}");
    }
}

/// The pages that people read: those in docs, and the two at the root, by their path from there.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(format!("docs/{}", path.file_name().unwrap().to_str().unwrap()));
        }
    }
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(root().join(path)).unwrap())).collect()
}

/// What a page says outside its blocks of code, a line each.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Where the links of a page lead, as written.
fn links(text: &str) -> Vec<&str> {
    prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next()).collect()
}

/// The anchors that GitHub gives to the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        title.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut looked_at = 0;
    for (path, text) in pages() {
        let folder = root().join(&path).parent().unwrap().to_path_buf();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            looked_at += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { root().join(&path) } else { folder.join(file) };
            assert!(target.exists(), "{path} links to {link}, which does not exist");
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{path} links to {link}: there is no such heading");
            }
        }
    }
    assert!(looked_at > 50, "only {looked_at} links were found");
}

#[test]
fn the_index_lists_every_page_once() {
    let index = page("README.md");
    let listed: Vec<&str> = links(&index).into_iter().filter(|link| !link.starts_with("../")).collect();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            // Pictures: the pages that show them are listed.
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let times = listed.iter().filter(|link| **link == name).count();
        assert_eq!(times, usize::from(name != "README.md"), "docs/README.md lists {name} {times} times");
    }
    // The numbers are the order in which to read.
    let numbers: Vec<usize> = index.lines().filter_map(|line| line.split_once(". [")?.0.parse().ok()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "docs/README.md is numbered from 1");
}

#[test]
fn the_files_that_newcomers_are_sent_to_exist() {
    for name in ["CONTRIBUTING.md", "docs/architecture.md", "docs/STYLE.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let words = prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2));
        let is_path =
            |word: &&str| ["src/", "tests/", "crates/", "docs/", "demo/"].iter().any(|from| word.starts_with(from));
        for path in words.filter(is_path) {
            let there = root().join(path).exists() || root().join(format!("{path}.rs")).exists();
            assert!(there, "{name} names {path}, which does not exist");
        }
    }
}

/// The steps of the demo as its script has them: the first argument of each `step`.
fn steps_of_the_demo() -> Vec<String> {
    let script = fs::read_to_string(root().join("demo/run.sh")).unwrap();
    let texts = script.lines().filter_map(|line| line.strip_prefix("step \""));
    let unescaped = texts.map(|rest| rest.replace("\\\"", "\u{0}").replace("\\$", "$"));
    unescaped.map(|rest| rest.split('"').next().unwrap().replace('\u{0}', "\"")).collect()
}

#[test]
fn the_readme_shows_the_steps_of_the_demo() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = readme.split("<!-- transcript").nth(1).and_then(|rest| rest.split("<!-- end of").next()).unwrap();
    let numbered = |line: &str| {
        let (number, what) = line.split_once(". ")?;
        Some((number.trim().parse::<usize>().ok()?, what.to_owned()))
    };
    let shown: Vec<(usize, String)> = shown.lines().filter_map(numbered).collect();
    let wanted: Vec<(usize, String)> = (1..).zip(steps_of_the_demo()).collect();
    assert!(wanted.len() > 10, "only {} steps were found: has demo/run.sh changed?", wanted.len());
    assert_eq!(shown, wanted, "run `make transcript` and commit README.md");
}

/// A line without what is in backticks: names, and what a program or a test is called or says.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

#[test]
fn pages_in_style_have_none_of_the_words_that_style_refuses() {
    let style = page("STYLE.md");
    let table = style.split("## Words we do not use").nth(1).unwrap().split("\n## ").next().unwrap();
    assert!(table.contains("whoever") && table.contains("mend"));
    let refused = ["whoever", "somebody", "nobody", "mend ", "mended", " is no ", "stand,", "stands", "may not"];
    let changelog = ("CHANGELOG.md".to_owned(), fs::read_to_string(root().join("CHANGELOG.md")).unwrap());
    // docs/STYLE.md is the one page that names these words.
    for (name, text) in pages().into_iter().filter(|(path, _)| path != "docs/STYLE.md").chain([changelog]) {
        let text = text.to_lowercase();
        for line in prose(&text).map(|line| without_code(line).replace("there is no ", "")) {
            let found: Vec<&&str> = refused.iter().filter(|word| line.contains(**word)).collect();
            assert!(found.is_empty(), "{name}: {found:?} in `{line}`: docs/STYLE.md has better words");
        }
    }
}

/// What a reader types: `sh`, and the commands that no test can run.
fn typed(fence: &Fence) -> bool {
    let commands = ["kubectl", "helm", "kind", "docker", "cargo", "curl", "certcourier", "export", ". "];
    let begins = |line: &str| commands.iter().any(|command| line.starts_with(command));
    // The transcript of the demo shows commands and is not one.
    let shown = fence.text.starts_with("certcourier demo");
    let unmarked = matches!(fence.language.as_str(), "" | "text") && !shown;
    fence.language == "sh" || (unmarked && fence.text.lines().any(begins))
}

#[test]
fn no_block_has_a_comment_which_zsh_would_run() {
    for (name, text) in pages() {
        for fence in fences(&text).iter().filter(|fence| typed(fence)) {
            for line in fence.text.lines() {
                assert!(!line.trim_start().starts_with('#') && !line.contains(" #"), "{name}: `{line}`");
            }
        }
    }
}

/// The names behind `$` in a script, and those that it sets.
fn variables(script: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = |text: &str| -> String {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let is_name = |name: &String| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let used = script.split('$').skip(1).map(|rest| name(rest.trim_start_matches('{'))).filter(is_name).collect();
    let words = script.split(|c: char| c.is_whitespace() || matches!(c, ';' | '(' | '{'));
    let set = words.filter_map(|word| word.split_once('=')).map(|(name, _)| name.to_owned());
    (used, set.filter(|set| is_name(set) && *set == name(set)).collect())
}

#[test]
fn every_variable_of_a_block_is_set_on_its_page_or_by_make_dev() {
    let script = fs::read_to_string(root().join("demo/dev.sh")).unwrap();
    let env = script.split("write_env() {").nth(1).and_then(|rest| rest.split("\n}\n").next()).unwrap();
    let given = variables(env).1;
    assert!(["U", "T", "P", "C", "CURL_CA_BUNDLE", "KUBECONFIG"].iter().all(|name| given.contains(*name)), "{given:?}");
    let mut looked_at = 0;
    for (name, text) in pages() {
        let mut known = given.clone();
        for fence in fences(&text).iter().filter(|fence| fence.language == "sh") {
            let (used, set) = variables(&fence.text);
            known.extend(set);
            looked_at += used.len();
            let missing: Vec<_> = used.difference(&known).collect();
            assert!(missing.is_empty(), "{name}: {missing:?} come from nowhere in\n{}", fence.text);
        }
    }
    assert!(looked_at > 50, "only {looked_at} variables were found");
}

#[test]
fn every_block_that_is_run_says_who_runs_it_or_is_a_target_of_make() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for (name, text) in pages() {
        for fence in fences(&text).iter().filter(|fence| fence.language == "sh") {
            let targets: Vec<&str> = fence.text.lines().filter_map(|line| line.strip_prefix("make ")).collect();
            let there = targets.iter().all(|target| makefile.contains(&format!("\n{target}: ")));
            let all = targets.len() == fence.text.lines().count();
            assert!(fence.text.starts_with("iam ") || (all && there), "{name}: who runs\n{}", fence.text);
        }
    }
}

/// What curl or a shell writes is open to everyone on the machine, unless the reader was told to close it first.
#[test]
fn a_page_closes_the_umask_before_it_writes_what_is_private() {
    let private = [".key", ".p12", "key.pem", "pass.txt", "answer.json"];
    for (name, text) in pages() {
        let mut closed = false;
        for fence in fences(&text).iter().filter(|fence| typed(fence)) {
            for line in fence.text.lines() {
                closed |= line.trim() == "umask 077";
                // The plugin makes them private itself.
                let written =
                    line.split_once(" -o ").or_else(|| line.split_once('>')).or_else(|| line.split_once("tee "));
                let writes = written.is_some_and(|(_, file)| private.iter().any(|end| file.trim().ends_with(end)));
                let open = writes && !line.starts_with("kubectl certcourier") && !closed;
                assert!(!open, "{name}: `umask 077` before `{line}`");
            }
        }
    }
}

#[test]
fn the_time_of_the_first_demo_is_the_same_everywhere() {
    let time = "about 20 minutes the first time (measured 18 on 2 cores), about 20 seconds from then on";
    for name in ["README.md", "docs/quickstart.md", "Makefile", "tests/cluster/src/binaries/build.rs"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        assert!(text.contains(time), "{name} does not say: {time}");
        let figure = |line: &String| {
            line.split(" minutes").next().is_some_and(|before| before.ends_with(|c: char| c.is_ascii_digit()))
        };
        let others = text.lines().map(|line| line.replace(time, "")).filter(figure);
        let others: Vec<String> =
            others.filter(|line| ["build", "control plane", "first"].iter().any(|word| line.contains(word))).collect();
        // Another tool of the tests, which the demo does not need.
        assert!(others.iter().all(|line| line.contains("building helm")), "{name}: {others:?}");
    }
}

#[test]
fn the_request_on_the_page_of_gitops_is_the_example() {
    let example = fs::read_to_string(root().join("examples/argocd/payments/request.yaml")).unwrap();
    assert!(page("gitops.md").contains(&format!("```yaml\n{example}```\n")));
}
