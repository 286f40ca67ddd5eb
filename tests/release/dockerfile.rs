//! The Dockerfile: that it makes what `make image` makes, and has none of the faults that it once had.

use serde_json::{Map, Value, json};

use super::{image::Image, page, root};

/// The instructions, each on one line, without comments.
fn instructions() -> Vec<(String, String)> {
    let plain: Vec<String> =
        page("Dockerfile").lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect();
    plain
        .join("\n")
        .replace("\\\n", " ")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

fn all(name: &str) -> Vec<String> {
    instructions().into_iter().filter(|(found, _)| found == name).map(|(_, rest)| rest).collect()
}

fn one(name: &str) -> String {
    let [only] = &all(name)[..] else { panic!("one {name} is expected") };
    only.clone()
}

/// `a="b c" d="e"`
fn labels(text: &str) -> Map<String, Value> {
    let parts: Vec<&str> = text.split('"').collect();
    parts.chunks_exact(2).map(|pair| (pair[0].trim().trim_end_matches('=').to_owned(), pair[1].into())).collect()
}

#[test]
fn the_dockerfile_makes_an_image_with_the_same_user_program_and_labels() {
    let config = Image::made(&["amd64"]).config();
    let made = &config["config"];
    assert_eq!(made["User"], one("USER"));
    assert_eq!(made["Entrypoint"], serde_json::from_str::<Value>(&one("ENTRYPOINT")).unwrap());
    assert_eq!(all("WORKDIR").last().unwrap(), made["WorkingDir"].as_str().unwrap());
    let mut expected = made["Labels"].as_object().unwrap().clone();
    for name in ["version", "revision", "created"] {
        expected[&format!("org.opencontainers.image.{name}")] = json!(format!("${}", name.to_uppercase()));
        assert!(all("ARG").contains(&format!("{}=unknown", name.to_uppercase())), "{name} has no argument");
    }
    assert_eq!(labels(&one("LABEL")), expected);
    assert!(all("CMD").is_empty() && all("EXPOSE").is_empty() && all("VOLUME").is_empty());
}

/// Both have what release/make.sh lays out, and nothing else.
#[test]
fn the_dockerfile_copies_the_files_that_make_image_packs() {
    let all = instructions();
    let last = all.iter().rposition(|(name, _)| name == "FROM").unwrap();
    assert_eq!(all[last].1, "scratch");
    let copied: Vec<&str> =
        all[last..].iter().filter(|(name, _)| name == "COPY").map(|(_, rest)| rest.as_str()).collect();
    assert_eq!(copied, ["--from=build /root-of-image /"]);
    let build = all.iter().find(|(name, rest)| name == "RUN" && rest.contains("release/make.sh")).unwrap();
    assert!(
        build
            .1
            .contains(r#"release/make.sh root "$TARGETARCH" && cp -R "target/image/$TARGETARCH/root" /root-of-image"#)
    );
    assert!(all[last..].iter().all(|(name, _)| name != "RUN"), "scratch has nothing to run");
}

#[test]
fn the_compiler_is_pinned_by_digest_and_is_the_one_of_rust_toolchain_toml() {
    let toolchain = page("rust-toolchain.toml");
    let (_, rest) = toolchain.split_once("channel = \"").unwrap();
    let (version, _) = rest.split_once('"').unwrap();
    let bases: Vec<String> = all("FROM").into_iter().filter(|from| from != "scratch").collect();
    let [base] = &bases[..] else { panic!("one stage builds") };
    let (name, digest) = base.split_once("@sha256:").unwrap();
    assert_eq!(name, format!("--platform=$BUILDPLATFORM rust:{version}-slim-bookworm"));
    let (digest, stage) = digest.split_once(' ').unwrap();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert_eq!(stage, "AS build");
    assert!(all("ENV").contains(&format!("RUSTUP_TOOLCHAIN={version}")));
}

#[test]
fn the_dockerfile_has_no_flag_of_its_own_for_the_compiler() {
    let text = page("Dockerfile");
    for word in ["RUSTFLAGS", "cargo build", "target-feature", ":latest", "# syntax="] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(all("ADD").is_empty(), "ADD fetches and unpacks: COPY");
}

/// Two platforms that are built at once must not share a target folder, and a registry that is written must be locked.
#[test]
fn each_cache_of_the_dockerfile_has_a_name_of_its_own_and_is_locked() {
    let text = all("RUN").join(" ");
    let caches: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with("--mount=type=cache,")).collect();
    assert_eq!(caches.len(), 2);
    for cache in caches {
        assert!(cache.contains(",id=certcourier-") && cache.ends_with(",sharing=locked"), "{cache}");
        assert!(!cache.contains("/target,") || cache.contains("$TARGETARCH"), "{cache}");
    }
    let arguments = all("ARG");
    assert!(["BUILDPLATFORM", "TARGETARCH"].iter().all(|name| arguments.iter().any(|argument| argument == name)));
}

#[test]
fn what_pip_installs_for_an_image_is_pinned_by_hash() {
    assert!(all("RUN").iter().any(|run| run.contains("--require-hashes --requirement release/requirements.txt")));
    let text = page("release/requirements.txt").replace("\\\n", " ");
    let packages: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(packages.len(), 2);
    for package in packages {
        assert!(package.contains("==") && package.contains("--hash=sha256:"), "{package}");
    }
}

/// Procedural macros and build scripts cannot be static: with --target, cargo keeps the flags away from them.
#[test]
fn programs_are_built_for_a_target_that_is_named_with_paths_replaced_and_dependencies_locked() {
    let script = page("release/build.sh");
    assert!(script.contains(r#"cargo build --release --locked --target "$target" "${bins[@]}""#));
    assert!(script.contains("unset RUSTFLAGS") && script.contains("--remap-path-prefix="));
    assert_eq!(script.matches("cargo build").count(), 1);
}

/// The templates of the web page once were not let in. `make image-check` builds in a folder that has nothing else.
#[test]
fn the_context_of_the_dockerfile_has_every_folder_that_the_compiler_reads() {
    let ignored = page(".dockerignore");
    for path in ["Cargo.toml", "Cargo.lock", "LICENSE", "rust-toolchain.toml", "release", "src", "templates", "crates"]
    {
        assert!(ignored.lines().any(|line| line == format!("!{path}")), "{path}");
        assert!(root().join(path).exists(), "{path}");
    }
    assert_eq!(ignored.lines().find(|line| !line.starts_with('#')), Some("*"));
}
