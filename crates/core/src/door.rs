//! How each door calls what a person writes, and how they look things up there. A rule lives once and says *which* input is
//! wrong; the name that the reader typed comes from here, so a flag is never called a field, nor a field a flag.

use std::fmt::Debug;

use certcourier_bundle::words;

use crate::api::{Delivery, DownloadRequest, names, words::RefusalReason};

words! {
    /// Where a person or a program asks.
    pub enum Door {
        /// A DownloadRequest, by kubectl, a pipeline or Git: names are fields of the object.
        Object,
        /// The HTTP API: names are those of the JSON body.
        Http,
        /// `kubectl certcourier`: names are flags.
        Plugin,
    }
}

words! {
    /// What a person writes when they ask for a file.
    #[expect(missing_docs, reason = "each is a field of DownloadRequest.spec")]
    pub enum Input {
        Reason,
        TokenTtl,
        Deadline,
        Environment,
        Format,
        Profile,
        Passphrase,
        PassphraseSecret,
    }
}

impl Input {
    /// The input that a refusal is about: wrong, or left out and needed.
    #[must_use]
    pub const fn of(reason: RefusalReason) -> Option<Self> {
        match reason {
            RefusalReason::KeyExportDisabled
            | RefusalReason::CaKeyExportDisabled
            | RefusalReason::FormatNotAllowed
            | RefusalReason::NoFormatInCommon
            | RefusalReason::UnattendedKeyDenied => Some(Self::Format),
            RefusalReason::DeadlineRequired | RefusalReason::DeadlineTooFar | RefusalReason::DeadlinePassed => {
                Some(Self::Deadline)
            }
            RefusalReason::TokenTtlTooLong => Some(Self::TokenTtl),
            RefusalReason::LegacyNotAllowed => Some(Self::Profile),
            RefusalReason::ReasonRequired => Some(Self::Reason),
            RefusalReason::PassphraseTooShort => Some(Self::Passphrase),
            RefusalReason::PassphraseSecretRefused => Some(Self::PassphraseSecret),
            RefusalReason::AccessRefused => None,
        }
    }

    /// What it is called at this door. An object names a Secret for its passphrase; HTTP takes no such name, so there it
    /// is the field of the request that was created elsewhere.
    #[must_use]
    pub const fn at(self, door: Door) -> &'static str {
        match (self, door) {
            (Self::Reason, Door::Object) => "spec.reason",
            (Self::Reason, Door::Http) => "`reason`",
            (Self::Reason, Door::Plugin) => "--reason",
            (Self::TokenTtl, Door::Object) => "spec.tokenTTL",
            (Self::TokenTtl, Door::Http) => "`token_ttl`",
            (Self::TokenTtl, Door::Plugin) => "--token-ttl",
            (Self::Deadline, Door::Object) => "spec.deadline",
            (Self::Deadline, Door::Http) => "`deadline`",
            (Self::Deadline, Door::Plugin) => "--deadline",
            (Self::Environment, Door::Object) => "spec.environment",
            (Self::Environment, Door::Http) => "`environment`",
            (Self::Environment, Door::Plugin) => "--environment",
            (Self::Format, Door::Object) => "spec.format",
            (Self::Format, Door::Http) => "`format`",
            (Self::Format, Door::Plugin) => "--format",
            (Self::Profile, Door::Object) => "spec.pkcs12.profile",
            (Self::Profile, Door::Http) => "`pkcs12.profile`",
            (Self::Profile, Door::Plugin) => "--legacy",
            (Self::Passphrase, Door::Http) => "`passphrase`",
            (Self::Passphrase, Door::Plugin) => "--passphrase-file",
            (Self::Passphrase | Self::PassphraseSecret, Door::Object) | (Self::PassphraseSecret, Door::Http) => {
                "spec.passphraseSecretRef"
            }
            (Self::PassphraseSecret, Door::Plugin) => "--passphrase-secret",
        }
    }
}

words! {
    /// What can be listed.
    #[expect(missing_docs, reason = "each is the name of a list")]
    pub enum Listed {
        Certificates = "certificates",
        Requests = "requests",
        Receipts = "receipts",
    }
}

impl Listed {
    /// One of them, in a sentence.
    #[must_use]
    pub const fn one(self) -> &'static str {
        match self {
            Self::Certificates => "Certificate",
            Self::Requests => "request",
            Self::Receipts => "receipt",
        }
    }

    /// How to see those there are.
    #[must_use]
    pub fn shown_by(self, door: Door, namespace: &str) -> String {
        match (self, door) {
            (_, Door::Http) => format!("/api/v1/projects/{namespace}/{self}"),
            (Self::Certificates, Door::Plugin) => format!("`kubectl certcourier list -n {namespace}`"),
            (Self::Requests, Door::Plugin) => format!("`kubectl certcourier list requests -n {namespace}`"),
            (Self::Receipts, Door::Plugin) => format!("`kubectl certcourier receipts -n {namespace}`"),
            (Self::Certificates, Door::Object) => {
                format!("`kubectl get certificates.certcourier.io -n {namespace}`")
            }
            (Self::Requests, Door::Object) => format!("`kubectl get downloadrequests -n {namespace}`"),
            (Self::Receipts, Door::Object) => format!("`kubectl get downloadreceipts -n {namespace}`"),
        }
    }
}

impl Door {
    /// What a Kubernetes namespace is called here.
    #[must_use]
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Http => "project",
            Self::Object | Self::Plugin => "namespace",
        }
    }

    /// How to get another token of a request that is still open.
    #[must_use]
    pub fn another_token(self, of: &TokenOf) -> String {
        let TokenOf { namespace, request, by_secret } = of;
        match self {
            Self::Plugin => format!("kubectl certcourier download --request {request} -n {namespace}"),
            Self::Object | Self::Http if *by_secret => {
                format!("kubectl annotate dlr {request} -n {namespace} --overwrite {}=$(date +%s)", names::MINT)
            }
            Self::Object => format!(
                "kubectl certcourier download --request {request} -n {namespace}, or POST \
                 /api/v1/projects/{namespace}/requests/{request}/token"
            ),
            Self::Http => format!("POST /api/v1/projects/{namespace}/requests/{request}/token"),
        }
    }

    /// What shows a request to those who may read it.
    #[must_use]
    pub fn look_at(self, of: &TokenOf) -> String {
        let TokenOf { namespace, request, .. } = of;
        match self {
            Self::Plugin => format!("`kubectl certcourier describe {request} -n {namespace}`"),
            Self::Object | Self::Http => format!("`kubectl describe dlr {request} -n {namespace}`"),
        }
    }

    /// How to begin again with another request.
    #[must_use]
    pub const fn another_request(self) -> &'static str {
        match self {
            Self::Object | Self::Http => "create another DownloadRequest",
            Self::Plugin => "ask again with `kubectl certcourier download`",
        }
    }
}

/// That the API server does not know the reader of the plugin's message.
pub const NO_CREDENTIALS: &str = "the API server does not accept your credentials";
/// What they do about it.
pub const SIGN_IN: &str = "sign in again, or get a new token with `kubectl create token`";

/// Whose token it is, and how it is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenOf {
    /// Namespace of the request.
    pub namespace: String,
    /// Its name.
    pub request: String,
    /// Whether it goes into a Secret; otherwise it is claimed.
    pub by_secret: bool,
}

impl TokenOf {
    /// Of this request.
    #[must_use]
    pub fn of(request: &DownloadRequest) -> Self {
        let key = request.key();
        Self {
            namespace: key.namespace.to_owned(),
            request: key.name.to_owned(),
            by_secret: request.delivery() == Delivery::Secret,
        }
    }
}

/// A message that each door reads in its own words.
pub trait Worded: Debug + Send + Sync {
    /// The message, for a reader at this door.
    fn at(&self, door: Door) -> String;
}

/// A message that is the same everywhere.
impl Worded for String {
    fn at(&self, _: Door) -> String {
        self.clone()
    }
}

/// There is no such object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotThere {
    /// Of what there is none.
    pub what: Listed,
    /// Where.
    pub namespace: String,
    /// Of which name.
    pub name: String,
}

impl Worded for NotThere {
    fn at(&self, door: Door) -> String {
        let Self { what, namespace, name } = self;
        let (one, place, shown) = (what.one(), door.namespace(), what.shown_by(door, namespace));
        format!("there is no {one} `{name}` in {place} {namespace}; {shown} lists those there are")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(schema: &serde_json::Value, path: &str) -> bool {
        let mut here = schema;
        for part in path.trim_start_matches("spec.").split('.') {
            here = &here["properties"][part];
            if let Some(all) = here["allOf"].get(0) {
                here = all;
            }
        }
        !here.is_null()
    }

    #[test]
    fn every_input_is_a_field_of_the_object_and_of_the_body_under_the_name_that_each_door_says() {
        use kube::CustomResourceExt as _;
        let crd = serde_json::to_value(crate::api::DownloadRequest::crd()).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        assert!(!spec.is_null());
        let body = serde_json::to_value(crate::api::http::MintBody {
            format: "pkcs12".to_owned(),
            pkcs12: Some(crate::api::http::Pkcs12Body::default()),
            ..crate::api::http::MintBody::default()
        })
        .unwrap();
        for input in Input::ALL {
            let field = input.at(Door::Object);
            assert!(field.starts_with("spec.") && field_of(spec, field), "{input}: {field}");
            let http = input.at(Door::Http);
            if input == Input::PassphraseSecret {
                assert_eq!(http, field);
                continue;
            }
            let mut here = &body;
            for part in http.trim_matches('`').split('.') {
                here = here.get(part).unwrap_or_else(|| panic!("{input}: {http}"));
            }
        }
    }

    #[test]
    fn what_is_not_there_is_looked_for_by_the_means_of_the_door() {
        let missing = NotThere { what: Listed::Certificates, namespace: "payments".into(), name: "nosuch".into() };
        assert_eq!(
            missing.at(Door::Plugin),
            "there is no Certificate `nosuch` in namespace payments; `kubectl certcourier list -n payments` lists those \
             there are"
        );
        assert_eq!(
            missing.at(Door::Http),
            "there is no Certificate `nosuch` in project payments; /api/v1/projects/payments/certificates lists those \
             there are"
        );
        for what in Listed::ALL {
            for door in [Door::Plugin, Door::Object] {
                let shown = what.shown_by(door, "payments");
                assert!(!shown.contains("/api/") && shown.contains("-n payments"), "{shown}");
            }
        }
    }
}
