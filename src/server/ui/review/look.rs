//! Everything that the page of a request says, gathered side by side, as the one who looks.

use std::sync::Arc;

use futures::future::OptionFuture;
use jiff::Timestamp;

use super::chain::{self, Chain, environments};
use crate::{
    api::{Certificate, DownloadReceipt, DownloadRequest, EnvironmentStatus, Format, Phase},
    cluster::{access, error::Failure, policies, policies::PolicyError, receipts},
    door::Door,
    policy,
    server::{
        api::{
            certificates::{
                get::certificate_as,
                timeline::{self, Deliveries, entries::Entry},
            },
            requests::get::request_as,
        },
        auth::identity,
        http::{
            error::{ErrorCode, ServerError},
            path::ObjectPath,
            refusal,
        },
        state::ServerState,
        ui::{
            visitor::Visitor,
            words::{self, Rule},
        },
    },
};

/// Earlier deliveries that are shown.
const EXPORTS: usize = 10;

/// What is known.
pub struct Look {
    /// Who looks.
    pub who: String,
    /// Whether no server stands between them and the API server.
    pub alone: bool,
    /// The request.
    pub request: DownloadRequest,
    certificate: Option<Certificate>,
    /// What the policies say now, in words.
    pub rules: Vec<Rule>,
    /// Why that is not known.
    pub rules_hidden: Option<String>,
    /// Whether the one who looks holds verb `approve`.
    pub may_approve: bool,
    /// Whether they may patch the request, which is all that revoking needs.
    pub may_revoke: bool,
    /// The certificates of each environment that is asked for.
    pub chains: Vec<Chain>,
    /// Why they are not shown.
    pub chain_hidden: Option<String>,
    /// The request's receipt.
    pub receipt: Option<DownloadReceipt>,
    /// What happened to it, newest first.
    pub moments: Vec<Entry>,
    /// Earlier deliveries of the same certificate.
    pub exports: Deliveries,
    /// Why these are not shown.
    pub exports_hidden: Option<String>,
    now: Timestamp,
}

impl Look {
    /// As the visitor.
    ///
    /// # Errors
    /// What the API server refuses them of the request itself; all else is said on the page.
    pub async fn at(state: &Arc<ServerState>, visitor: &Visitor, place: &ObjectPath) -> Result<Self, ServerError> {
        let caller = &visitor.caller;
        let who = async { identity::of_client(caller.client.clone()).await.map_err(refusal::of_review) };
        let (who, request) = tokio::try_join!(who, request_as(caller, place))?;
        let name = request.spec.certificate_ref.name.clone();
        let of_certificate = ObjectPath { project: place.project.clone(), name: name.clone() };
        let may =
            async |right| access::caller_may(&caller.client, &place.project, right).await.map_err(refusal::of_review);
        let receipt: OptionFuture<_> = (request.phase() == Phase::Consumed)
            .then(|| receipts::of(&caller.client, &place.project, request.uid_text()))
            .into();
        let exports = Box::pin(timeline::deliveries(caller, &of_certificate, &place.name, EXPORTS));
        let (certificate, approve, download, revoke, policies, receipt, exports) = tokio::join!(
            certificate_as(caller, &of_certificate),
            may(("approve", "certificates", name.as_str())),
            may((policy::verb(Format::Cert), "certificates", name.as_str())),
            may(("patch", "downloadrequests", place.name.as_str())),
            policies::live(&caller.client, &place.project, state.cluster_policy.as_ref()),
            receipt,
            exports,
        );
        let (may_approve, certificate) = (approve?, certificate.ok().flatten());
        let now = state.clients.clock().now();
        let (chains, chain_hidden) = if caller.is_alone() {
            let words = "the certificates are in Secrets, which certcourier alone reads; what is under review has their \
                         fingerprints";
            (Vec::new(), Some(words.to_owned()))
        } else if !state.serves(&place.project) || !(may_approve || download?) {
            let words = "the chain is shown to those who may approve or download the certificate";
            (Vec::new(), Some(words.to_owned()))
        } else if let Some(certificate) = &certificate {
            (chain::chains(state, &request, certificate, now).await, None)
        } else {
            (Vec::new(), Some("there is no such certificate any more, or you are not allowed to see it".to_owned()))
        };
        let (rules, mut rules_hidden) = rules(policies, &request, certificate.as_ref());
        if caller.is_alone() && rules_hidden.is_none() {
            rules_hidden = Some("a policy of the whole cluster may say more, and is not shown here".to_owned());
        }
        let receipt = receipt.and_then(Result::ok).flatten();
        let (exports, exports_hidden) = match exports {
            Ok(exports) => (exports, None),
            Err(refusal) => (Deliveries { items: Vec::new(), from_receipts: false }, Some(hidden(&refusal)?)),
        };
        Ok(Self {
            moments: timeline::of_request(&request, receipt.as_ref()),
            alone: caller.is_alone(),
            who: who.username,
            certificate,
            rules,
            rules_hidden,
            may_approve,
            may_revoke: revoke?,
            chains,
            chain_hidden,
            receipt,
            exports,
            exports_hidden,
            request,
            now,
        })
    }

    /// Whose the file is, in a few words: the subject, or the certificate's name.
    pub fn whose(&self) -> String {
        let subject = self.environments().find_map(|environment| environment.subject.clone());
        subject.filter(|subject| !subject.is_empty()).unwrap_or_else(|| self.request.spec.certificate_ref.name.clone())
    }

    /// Which environment has the leaf with this fingerprint now, and until when it is valid.
    pub fn whose_is(&self, fingerprint: &str) -> Option<String> {
        let all = self.certificate.as_ref()?.status.as_ref()?.environments.iter();
        let found = all.clone().find(|found| found.sha256_fingerprint.as_deref() == Some(fingerprint))?;
        let left = found.not_after.map(|end| words::Left::until(end, self.now).text);
        Some(left.map_or_else(|| found.name.clone(), |left| format!("{}, {left}", found.name)))
    }

    fn environments(&self) -> impl Iterator<Item = &EnvironmentStatus> {
        let status = self.certificate.as_ref().and_then(|certificate| certificate.status.as_ref());
        let wanted = self.certificate.as_ref().map(|found| environments(&self.request, found)).unwrap_or_default();
        let all = status.map(|status| status.environments.as_slice()).unwrap_or_default();
        all.iter().filter(move |environment| wanted.contains(&environment.name))
    }
}

fn rules(
    policies: Result<Vec<policy::NamedPolicy>, PolicyError>,
    request: &DownloadRequest,
    certificate: Option<&Certificate>,
) -> (Vec<Rule>, Option<String>) {
    let policies = match policies {
        Ok(policies) => policies,
        Err(PolicyError::Api(error)) if error.failure() == Failure::Forbidden => {
            return (Vec::new(), Some("you are not allowed to read the policies of this project".to_owned()));
        }
        Err(PolicyError::Api(_)) => {
            return (Vec::new(), Some("the policies cannot be read at the moment".to_owned()));
        }
        Err(PolicyError::Unreadable { .. }) => {
            return (Vec::new(), Some("a policy of this project cannot be read, so nothing is released".to_owned()));
        }
    };
    let environments = certificate.map(|certificate| environments(request, certificate));
    let environments = environments.unwrap_or_else(|| request.spec.environment.iter().cloned().collect());
    let names: Vec<&str> = environments.iter().map(String::as_str).collect();
    (words::rules(&policy::merge(&policies, &request.spec.certificate_ref.name, &names)), None)
}

/// What is not shown of a page, and why; what is no matter of rights is passed on.
fn hidden(refusal: &ServerError) -> Result<String, ServerError> {
    match refusal.code() {
        ErrorCode::Forbidden | ErrorCode::Unavailable => Ok(refusal.description_at(Door::Plugin)),
        code => Err(ServerError::new(code, refusal.description())),
    }
}
