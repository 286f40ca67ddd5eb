//! What could not be read: which right is missing, and the commands by which an administrator grants all of them.

use std::collections::{BTreeMap, BTreeSet};

use kube::Resource;

use super::{
    rbac::Subject,
    report::{Gap, Looks},
};
use crate::cluster::error::{ApiError, Failure};

/// The role that the commands make.
const ROLE: &str = "certcourier-doctor";

/// The gaps so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    pub(crate) gaps: Vec<Gap>,
    /// How many lists and objects were asked for.
    pub(crate) looks: Looks,
    /// Resources whose list is forbidden, by namespace; `None`: in all of the cluster.
    lists: BTreeMap<Option<String>, BTreeSet<String>>,
    /// `ConfigMaps` that cannot be read: namespace and name.
    objects: BTreeSet<(String, String)>,
}

/// `roles.rbac.authorization.k8s.io`, as RBAC and kubectl write it.
pub(crate) fn resource<K: Resource<DynamicType = ()>>() -> String {
    match K::group(&()).as_ref() {
        "" => K::plural(&()).into_owned(),
        group => format!("{}.{group}", K::plural(&())),
    }
}

impl Missing {
    /// The list, or a gap.
    pub(crate) fn note<K: Resource<DynamicType = ()>>(
        &mut self,
        what: &str,
        namespace: Option<&str>,
        result: Result<Vec<K>, ApiError>,
    ) -> Option<Vec<K>> {
        self.looks.tried += 1;
        let error = match result {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        self.looks.failed += 1;
        let resource = resource::<K>();
        let place = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        let right = is_forbidden(&error).then(|| {
            self.lists.entry(namespace.map(str::to_owned)).or_default().insert(resource.clone());
            format!("list {resource}{place}")
        });
        self.add(what.to_owned(), right, explained(&error));
        None
    }

    /// The ConfigMap, or a gap.
    pub(crate) fn note_one<T>(
        &mut self,
        what: &str,
        namespace: &str,
        name: &str,
        result: Result<T, ApiError>,
    ) -> Option<T> {
        self.looks.tried += 1;
        let error = match result {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        self.looks.failed += 1;
        let right = is_forbidden(&error).then(|| {
            self.objects.insert((namespace.to_owned(), name.to_owned()));
            format!("get configmaps/{name} in namespace {namespace}")
        });
        self.add(what.to_owned(), right, explained(&error));
        None
    }

    pub(crate) fn add(&mut self, what: String, right: Option<String>, cause: String) {
        self.gaps.push(Gap { what, right, cause });
    }

    /// What an administrator runs so that this caller can look at all of it. Only rights to read, none on Secrets.
    pub(crate) fn commands(&self, caller: &Subject) -> Vec<String> {
        let mut commands = Vec::new();
        let whom = match caller {
            Subject::ServiceAccount { namespace, name } => format!("--serviceaccount={namespace}:{name}"),
            Subject::User(name) | Subject::Group(name) => format!("--user={}", quoted(name)),
        };
        for (namespace, resources) in &self.lists {
            let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
            let resources = resources.join(",");
            commands.extend(match namespace {
                None => [
                    format!("kubectl create clusterrole {ROLE} --verb=list --resource={resources}"),
                    format!("kubectl create clusterrolebinding {ROLE} --clusterrole={ROLE} {whom}"),
                ],
                Some(namespace) => [
                    format!("kubectl -n {namespace} create role {ROLE} --verb=list --resource={resources}"),
                    format!("kubectl -n {namespace} create rolebinding {ROLE} --role={ROLE} {whom}"),
                ],
            });
        }
        for (namespace, name) in &self.objects {
            commands.extend([
                format!(
                    "kubectl -n {namespace} create role {ROLE}-guard --verb=get --resource=configmaps --resource-name={name}"
                ),
                format!("kubectl -n {namespace} create rolebinding {ROLE}-guard --role={ROLE}-guard {whom}"),
            ]);
        }
        commands
    }
}

/// For a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@.:-_/+=".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn is_forbidden(error: &ApiError) -> bool {
    error.failure() == Failure::Forbidden
}

fn explained(error: &ApiError) -> String {
    match error.failure() {
        Failure::NotFound => {
            "this kind is not known to the API server: apply what `certcourier manifests` prints".to_owned()
        }
        _ => error.cause(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_with_spaces_or_quotes_stays_one_word_of_the_shell() {
        for (name, word) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice Liddell", "'Alice Liddell'"),
            ("o'neill", r"'o'\''neill'"),
            ("$(reboot)", "'$(reboot)'"),
        ] {
            assert_eq!(quoted(name), word);
        }
    }

    #[test]
    fn one_role_for_each_place_grants_all_that_is_missing() {
        let mut missing = Missing::default();
        missing.lists.entry(None).or_default().extend(["a".to_owned(), "b.c".to_owned()]);
        missing.lists.entry(Some("shop".to_owned())).or_default().insert("roles".to_owned());
        missing.objects.insert(("system".to_owned(), "guard".to_owned()));
        assert_eq!(
            missing.commands(&Subject::user("system:serviceaccount:ci:bot")),
            [
                "kubectl create clusterrole certcourier-doctor --verb=list --resource=a,b.c",
                "kubectl create clusterrolebinding certcourier-doctor --clusterrole=certcourier-doctor --serviceaccount=ci:bot",
                "kubectl -n shop create role certcourier-doctor --verb=list --resource=roles",
                "kubectl -n shop create rolebinding certcourier-doctor --role=certcourier-doctor --serviceaccount=ci:bot",
                "kubectl -n system create role certcourier-doctor-guard --verb=get --resource=configmaps --resource-name=guard",
                "kubectl -n system create rolebinding certcourier-doctor-guard --role=certcourier-doctor-guard --serviceaccount=ci:bot",
            ]
        );
        assert!(Missing::default().commands(&Subject::user("alice")).is_empty());
    }
}
