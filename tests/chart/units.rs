//! What templates decide, by helm-unittest; and what helm itself finds wrong.

use super::helm::{Helm, chart, provided, run, value_sets};

#[tokio::test]
async fn the_suites_of_helm_unittest_pass() {
    let home = tempfile::tempdir().unwrap();
    let chart = chart().display().to_string();
    let environment = [("HOME", home.path()), ("XDG_CACHE_HOME", home.path())];
    let ended = run(&provided("HELM_UNITTEST"), &["--strict", &chart], &environment).await;
    let said = ended.ok();
    let ran = said.lines().find(|line| line.starts_with("Tests:")).unwrap_or_default();
    let passed: u32 = ran.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    assert!(passed >= 20, "only `{ran}`: were the suites found?");
}

#[tokio::test]
async fn helm_lint_is_content_with_every_value_set() {
    let (helm, chart) = (Helm::offline(), chart().display().to_string());
    let said = helm.run(&["lint", "--strict", &chart]).await;
    assert!(!said.contains("recommended"), "{said}");
    for (_, file) in value_sets() {
        helm.run(&["lint", "--strict", &chart, "--values", &file.display().to_string()]).await;
    }
}
