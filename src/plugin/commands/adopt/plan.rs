//! Which Certificates to write, and what is left alone and why. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use crate::api::{Certificate, CertificateSpec, Environment, SecretReference};

/// The schema's bound.
const MOST_ENVIRONMENTS: usize = 16;

/// Something that could be adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it is, for messages.
    pub what: String,
    /// The Secret that holds it.
    pub secret: Option<String>,
    /// Why it should not be adopted.
    pub unfit: Option<String>,
}

/// Something that was left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its namespace.
    pub namespace: String,
    /// What it is.
    pub what: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of namespace {}: {}", self.what, self.namespace, self.why)
    }
}

/// What environments are called.
pub struct Words<'a> {
    /// The one of a Certificate that has one.
    pub single: &'a str,
    /// Words in names that tell environments apart.
    pub several: &'a [String],
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Certificates to write, by namespace and name.
    pub write: Vec<Certificate>,
    /// What to leave alone.
    pub skipped: Vec<Skipped>,
}

/// Plans. What is in namespace `apart` is left alone.
pub fn plan(found: &[Found], existing: &[Certificate], words: &Words<'_>, apart: Option<&str>) -> Plan {
    let mut plan = Plan::default();
    let holders = holders(existing);
    let named: BTreeSet<(String, String)> =
        existing.iter().map(|one| (one.namespace().unwrap_or_default(), one.name_any())).collect();
    let mut groups: BTreeMap<(String, String), BTreeMap<String, (String, String)>> = BTreeMap::new();
    for one in found {
        let mut skip = |why: String| plan.skipped.push(skipped(one, why));
        let Some(secret) = &one.secret else {
            skip("it names no Secret".to_owned());
            continue;
        };
        let (certificate, environment) = place(&one.name, words);
        let key = (one.namespace.clone(), certificate.clone());
        if let Some(why) = &one.unfit {
            skip(why.clone());
        } else if apart == Some(one.namespace.as_str()) {
            skip("it is the operator's own namespace; name it with -n if you mean it".to_owned());
        } else if let Some(holder) = holders.get(&(one.namespace.clone(), secret.clone())) {
            skip(format!("Certificate {holder} has its Secret already"));
        } else if named.contains(&key) {
            skip(format!("there is a Certificate `{certificate}` already, with other Secrets; nothing is overwritten"));
        } else {
            let group = groups.entry(key).or_default();
            match group.get(&environment) {
                Some((_, other)) => {
                    skip(format!("{other} becomes environment {environment} of Certificate {certificate}"));
                }
                None if group.len() == MOST_ENVIRONMENTS => {
                    skip(format!("Certificate {certificate} has {MOST_ENVIRONMENTS} environments, which is the most"));
                }
                None => {
                    group.insert(environment, (secret.clone(), one.what.clone()));
                }
            }
        }
    }
    plan.write = groups.into_iter().map(|((namespace, name), group)| written(namespace, name, group, words)).collect();
    plan
}

fn skipped(one: &Found, why: String) -> Skipped {
    Skipped { namespace: one.namespace.clone(), what: one.what.clone(), why }
}

/// Which Certificate has a Secret already, as `NAME (environment)`, by namespace and Secret.
fn holders(existing: &[Certificate]) -> BTreeMap<(String, String), String> {
    let mut holders = BTreeMap::new();
    for certificate in existing {
        for environment in &certificate.spec.environments {
            let key = (certificate.namespace().unwrap_or_default(), environment.secret_ref.name.clone());
            holders
                .entry(key)
                .or_insert_with(|| format!("{} (environment {})", certificate.name_any(), environment.name));
        }
    }
    holders
}

/// The Certificate and the environment that a name means: a word of it that is an environment's is left out.
fn place(name: &str, words: &Words<'_>) -> (String, String) {
    let parts: Vec<&str> = name.split('-').collect();
    let found = parts.iter().position(|part| words.several.iter().any(|word| word == part));
    match found {
        Some(at) if parts.len() > 1 => {
            let rest: Vec<&str> = parts.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, part)| *part).collect();
            (rest.join("-"), parts[at].to_owned())
        }
        _ => (name.to_owned(), words.single.to_owned()),
    }
}

fn written(
    namespace: String,
    name: String,
    group: BTreeMap<String, (String, String)>,
    words: &Words<'_>,
) -> Certificate {
    // As they were typed: the first one is the default.
    let rank = |name: &String| words.several.iter().position(|word| word == name).unwrap_or(usize::MAX);
    let mut environments: Vec<Environment> = group
        .into_iter()
        .map(|(name, (secret, _))| Environment { name, secret_ref: SecretReference { name: secret, keys: None } })
        .collect();
    environments.sort_by_key(|environment| rank(&environment.name));
    Certificate {
        metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
        spec: CertificateSpec { environments, default_environment: None },
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> Found {
        Found {
            namespace: "payments".into(),
            name: name.into(),
            what: format!("Secret {name}"),
            secret: Some(name.into()),
            unfit: None,
        }
    }

    fn run(found: &[Found], existing: &[Certificate], several: &[&str]) -> (Vec<String>, Vec<String>) {
        let several: Vec<String> = several.iter().map(|&word| word.to_owned()).collect();
        let plan = plan(found, existing, &Words { single: "default", several: &several }, Some("certcourier-system"));
        let shown = |certificate: &Certificate| {
            let environments: Vec<String> = certificate
                .spec
                .environments
                .iter()
                .map(|environment| format!("{}={}", environment.name, environment.secret_ref.name))
                .collect();
            format!("{}: {}", certificate.name_any(), environments.join(","))
        };
        (plan.write.iter().map(shown).collect(), plan.skipped.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_secret_becomes_a_certificate_of_its_name() {
        let (write, skipped) = run(&[secret("web-tls"), secret("api-tls")], &[], &[]);
        assert_eq!(write, ["api-tls: default=api-tls", "web-tls: default=web-tls"]);
        assert!(skipped.is_empty());
    }

    #[test]
    fn a_second_run_writes_nothing() {
        let found = [secret("api-tls"), secret("web-staging")];
        let first = plan(&found, &[], &Words { single: "default", several: &[] }, None).write;
        let (write, skipped) = run(&found, &first, &[]);
        assert!(write.is_empty());
        assert_eq!(
            skipped,
            [
                "Secret api-tls of namespace payments: Certificate api-tls (environment default) has its Secret already",
                "Secret web-staging of namespace payments: Certificate web-staging (environment default) has its Secret already",
            ]
        );
    }

    #[test]
    fn what_is_there_under_the_name_is_not_overwritten() {
        let other = plan(&[secret("x")], &[], &Words { single: "default", several: &[] }, None).write.remove(0);
        let mut api = other.clone();
        api.metadata.name = Some("api-tls".into());
        let (write, skipped) = run(&[secret("api-tls")], &[api], &[]);
        assert!(write.is_empty() && skipped[0].contains("nothing is overwritten"), "{skipped:?}");
    }

    #[test]
    fn names_that_differ_in_an_environment_become_one_certificate_only_when_asked() {
        let found = [secret("api-staging-tls"), secret("api-production-tls"), secret("staging"), secret("web")];
        let (write, skipped) = run(&found, &[], &["production", "staging"]);
        assert_eq!(
            write,
            [
                "api-tls: production=api-production-tls,staging=api-staging-tls",
                "staging: default=staging",
                "web: default=web"
            ]
        );
        assert!(skipped.is_empty(), "{skipped:?}");
        assert_eq!(run(&found, &[], &[]).0.len(), 4);
    }

    #[test]
    fn two_that_would_be_the_same_environment_are_not_guessed_about() {
        let (write, skipped) = run(&[secret("api-staging-tls"), secret("staging-api-tls")], &[], &["staging"]);
        assert_eq!(write, ["api-tls: staging=api-staging-tls"]);
        assert!(skipped[0].contains("Secret api-staging-tls becomes environment staging"), "{skipped:?}");
    }

    #[test]
    fn what_is_unfit_or_the_operators_is_left_alone() {
        let found = [
            Found { unfit: Some("it is being deleted".into()), ..secret("a") },
            Found { secret: None, ..secret("b") },
            Found { namespace: "certcourier-system".into(), ..secret("serving") },
        ];
        let (write, skipped) = run(&found, &[], &[]);
        assert!(write.is_empty());
        assert_eq!(skipped.len(), 3, "{skipped:?}");
        assert!(skipped[2].contains("operator's own namespace"), "{skipped:?}");
    }
}
