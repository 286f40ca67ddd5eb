//! What a requester may do now, asked of the API server by `SubjectAccessReview`.
//!
//! The requester is the one stored in the request: name, uid and groups as they were authenticated then; or, in [`who`]
//! and [`caller_may`], the holder of the credentials of a call. Decides nothing: the answer is a fact for
//! `policy::decide`.

use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview,
    authorization::v1::{
        ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
        SubjectAccessReviewSpec,
    },
};
use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{Api, Client, Error, api::PostParams};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    client::Clients,
    error::{ApiError, During as _},
};
use crate::api::{GROUP, Requester};

/// So many rights are asked about at once.
const QUESTIONS: usize = 16;

/// Who `client` calls as, as the API server knows them. No name means no one.
///
/// # Errors
/// That of the client, for the caller to say whom it asked about. Everyone may ask, so a refusal means that the
/// credentials are not valid.
pub async fn who(client: &Client) -> Result<Requester, Error> {
    let review = Api::<SelfSubjectReview>::all(client.clone())
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    let user = review.status.and_then(|status| status.user_info).unwrap_or_default();
    Ok(Requester {
        username: user.username.unwrap_or_default(),
        uid: user.uid.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
    })
}

/// Whether the requester holds `verb` on `certificates.certcourier.io/<name>`.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn holds_verb(
    clients: &Clients,
    requester: &Requester,
    namespace: &str,
    certificate: &str,
    verb: &str,
) -> Result<bool, ApiError> {
    allowed(clients, requester, attributes(GROUP, "certificates", namespace, certificate, verb)).await
}

/// Whether the requester may `get` a Secret.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn may_get_secret(
    clients: &Clients,
    requester: &Requester,
    namespace: &str,
    secret: &str,
) -> Result<bool, ApiError> {
    allowed(clients, requester, attributes("", "secrets", namespace, secret, "get")).await
}

/// Whether the user that `caller` calls as may do this with resources of our own group, asked in their name. An empty
/// `name` means every object.
///
/// # Errors
/// [`ApiError`] when the API server refuses, as it does for credentials that are no longer good, or does not answer.
pub async fn caller_may(
    caller: &Client,
    namespace: &str,
    (verb, resource, name): (&str, &str, &str),
) -> Result<bool, ApiError> {
    self_review(caller, attributes(GROUP, resource, namespace, name, verb), resource).await
}

/// On which Certificates, each by its namespace and name, the user that `caller` calls as may vote: asked once for a whole
/// namespace, and again for each Certificate only where the answer was no.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn may_approve(
    caller: &Client,
    places: &BTreeSet<(String, String)>,
) -> Result<BTreeMap<(String, String), bool>, ApiError> {
    let ask = async |namespace: String, name: String| {
        let may = caller_may(caller, &namespace, ("approve", "certificates", name.as_str())).await?;
        Ok::<_, ApiError>(((namespace, name), may))
    };
    let namespaces: BTreeSet<String> = places.iter().map(|(namespace, _)| namespace.clone()).collect();
    let whole: BTreeMap<(String, String), bool> = stream::iter(namespaces)
        .map(|namespace| ask(namespace, String::new()))
        .buffer_unordered(QUESTIONS)
        .try_collect()
        .await?;
    let everywhere = |namespace: &String| whole.get(&(namespace.clone(), String::new())).copied().unwrap_or_default();
    let unanswered: Vec<(String, String)> =
        places.iter().filter(|(namespace, _)| !everywhere(namespace)).cloned().collect();
    let single: BTreeMap<(String, String), bool> = stream::iter(unanswered)
        .map(|(namespace, name)| ask(namespace, name))
        .buffer_unordered(QUESTIONS)
        .try_collect()
        .await?;
    Ok(places.iter().map(|place| (place.clone(), single.get(place).copied().unwrap_or(true))).collect())
}

/// Whether the user that `caller` calls as may `get` a Secret, asked in their name: a refused attempt would be a line
/// in the cluster's audit log that someone has to look into.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn caller_may_get_secret(caller: &Client, namespace: &str, secret: &str) -> Result<bool, ApiError> {
    self_review(caller, attributes("", "secrets", namespace, secret, "get"), "secrets").await
}

async fn self_review(caller: &Client, asked: ResourceAttributes, resource: &str) -> Result<bool, ApiError> {
    let verb = asked.verb.clone().unwrap_or_default();
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(asked),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::all(caller.clone())
        .create(&PostParams::default(), &review)
        .await
        .and_then(|answer: SelfSubjectAccessReview| same_question(&review.spec, &answer.spec).map(|()| answer))
        .during("review", || format!("whether the caller may {verb} {resource}"))?;
    Ok(answer.status.is_some_and(|status| status.allowed && !status.denied.unwrap_or(false)))
}

fn attributes(group: &str, resource: &str, namespace: &str, name: &str, verb: &str) -> ResourceAttributes {
    ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    }
}

/// One review for all who ask the same at the same time; it begins after they asked.
async fn allowed(clients: &Clients, requester: &Requester, resource: ResourceAttributes) -> Result<bool, ApiError> {
    // Groups alone must not be enough: a request without a requester is no one's.
    if requester.username.is_empty() {
        return Ok(false);
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: some(&requester.username),
            uid: some(&requester.uid),
            groups: (!requester.groups.is_empty()).then(|| requester.groups.clone()),
            resource_attributes: Some(resource),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let Ok(question) = serde_json::to_string(&review.spec) else { return answer(clients.reads(), &review).await };
    let (client, asked) = (clients.reads().clone(), review.clone());
    let together = clients.shared().reviews.ask(question, move || async move { answer(&client, &asked).await.ok() });
    match together.await {
        Some(allowed) => Ok(allowed),
        None => answer(clients.reads(), &review).await,
    }
}

async fn answer(client: &Client, review: &SubjectAccessReview) -> Result<bool, ApiError> {
    let answer = Api::all(client.clone())
        .create(&PostParams::default(), review)
        .await
        .and_then(|answer: SubjectAccessReview| same_question(&review.spec, &answer.spec).map(|()| answer))
        .during("review the access of", || format!("user `{}`", review.spec.user.as_deref().unwrap_or_default()))?;
    Ok(answer.status.is_some_and(|status| status.allowed && !status.denied.unwrap_or(false)))
}

/// A review goes through mutating admission like every object, so a policy or a webhook can ask for someone else, or for
/// something else, and the answer is then about that. The answer repeats the question it answers.
fn same_question<Spec: Serialize>(asked: &Spec, answered: &Spec) -> Result<(), Error> {
    if question(asked)? == question(answered)? {
        return Ok(());
    }
    let changed = "the API server answered another question: a mutating admission policy or webhook changes access reviews; \
                   tell a cluster administrator (`certcourier doctor` lists what can)";
    Err(Error::Service(changed.into()))
}

/// What is asked. The API server fills in the version `*`, which is ours where we name none, and leaves out what is empty.
fn question<Spec: Serialize>(spec: &Spec) -> Result<Value, Error> {
    let mut question = serde_json::to_value(spec).map_err(Error::SerdeError)?;
    if let Some(attributes) = question.get_mut("resourceAttributes").and_then(Value::as_object_mut) {
        attributes.retain(|field, value| *value != "" && !(field == "version" && *value == "*"));
    }
    if let Some(fields) = question.as_object_mut() {
        let is_empty = |value: &Value| {
            *value == "" || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
        };
        fields.retain(|_, value| !is_empty(value));
    }
    Ok(question)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_fills_in_is_the_same_question_and_all_else_is_another() {
        let asked = SubjectAccessReviewSpec {
            user: Some("alice".into()),
            resource_attributes: Some(attributes("", "secrets", "payments", "api-tls", "get")),
            ..SubjectAccessReviewSpec::default()
        };
        let with = |change: &dyn Fn(&mut SubjectAccessReviewSpec, &mut ResourceAttributes)| {
            let mut answered = asked.clone();
            let mut resource = answered.resource_attributes.take().unwrap();
            change(&mut answered, &mut resource);
            answered.resource_attributes = Some(resource);
            same_question(&asked, &answered).is_ok()
        };
        assert!(with(&|_, resource| resource.version = Some("*".into())));
        assert!(with(&|_, resource| resource.group = None));
        assert!(with(&|spec, _| spec.groups = Some(vec![])));
        assert!(!with(&|_, resource| resource.version = Some("v2".into())));
        assert!(!with(&|_, resource| resource.name = None));
        assert!(!with(&|_, resource| resource.subresource = Some("status".into())));
        assert!(!with(&|spec, _| spec.groups = Some(vec!["system:masters".into()])));
        assert!(!with(&|spec, _| spec.extra = Some([("scopes".to_owned(), vec![])].into())));
        assert!(!with(&|spec, _| spec.user = Some("root".into())));
    }
}
