//! What a failed call to the API server means for the caller: try again, look again, or give up.

use std::{error::Error, io, time::Duration};

use hyper::StatusCode;
use kube::config::{InferConfigError, KubeconfigError};

use super::kubeconfig;
use crate::{
    text,
    transport::{Trouble, of_place},
};

/// A call to the API server that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} {object}")]
pub struct ApiError {
    /// What was tried: `read`, `write the status of`, …
    pub action: &'static str,
    /// What it was tried on: `Secret payments/api-tls`.
    pub object: String,
    /// Why it failed.
    #[source]
    pub source: kube::Error,
}

/// The cause that the API server names. Source: `NamespaceTerminatingCause` of k8s.io/api/core/v1.
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

/// How Go's HTTP server begins its answer to plain HTTP on a port with TLS.
pub const NOT_HTTPS: &str = "Client sent an HTTP request to an HTTPS server";

/// What the failure of a call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The object is not there, or the kind is not.
    NotFound,
    /// It changed meanwhile, or it is there already: look again.
    Conflict,
    /// The operator is not allowed to do that: its roles or an admission policy are in the way.
    Forbidden,
    /// The API server refuses the object as it is; the same call will fail again.
    Invalid,
    /// Too many calls; the API server may say how long to wait.
    Throttled(Option<Duration>),
    /// No answer, or one that says that the API server cannot answer now. The call may have been done anyway.
    Unavailable,
}

impl Failure {
    /// Its name, for a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Throttled(_) => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The mark behind which an admission policy's own words begin.
const ADMISSION: &str = "denied request: ";

/// What an admission policy says, without what the API server puts in front of it.
#[must_use]
pub fn said_by_admission(message: &str) -> Option<&str> {
    message.split_once(ADMISSION).map(|(_, words)| words)
}

/// What is in the way of a call that the API server refuses because of who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It does not know who that is.
    Credentials,
    /// An admission policy says no, and why.
    Admission,
    /// A right to act as someone else is missing.
    Impersonation,
    /// A right in all namespaces is missing.
    EverywhereRight,
    /// A right in one namespace is missing.
    Right,
}

impl ApiError {
    /// What is in the way, where the API server refuses the caller.
    #[must_use]
    pub fn denial(&self) -> Option<Denial> {
        let kube::Error::Api(status) = &self.source else { return None };
        match status.code {
            401 => Some(Denial::Credentials),
            _ if said_by_admission(&status.message).is_some() => Some(Denial::Admission),
            // Where a right is missing the API server says in its sentence alone.
            403 if status.message.contains(" cannot impersonate") => Some(Denial::Impersonation),
            403 if status.message.contains(" at the cluster scope") => Some(Denial::EverywhereRight),
            403 => Some(Denial::Right),
            _ => None,
        }
    }

    /// What the failure means.
    #[must_use]
    pub fn failure(&self) -> Failure {
        failure(&self.source)
    }

    /// That nothing can be created because the namespace is being deleted, as the API server says it. It looks like a
    /// missing right.
    #[must_use]
    pub fn ending_namespace(&self) -> Option<&str> {
        let kube::Error::Api(status) = &self.source else { return None };
        let mut causes = status.details.iter().flat_map(|details| &details.causes);
        let cause = causes.find(|cause| cause.reason == NAMESPACE_TERMINATING)?;
        (status.code == 403).then_some(&cause.message)
    }

    /// What the API server said, or what went wrong on the way: one sentence, for a status or a log line.
    #[must_use]
    pub fn cause(&self) -> String {
        in_one_line(&self.source)
    }
}

/// An error and its causes, in one line for the log. Of what the API server said, its message alone; of what a library says
/// about connections, files and kubeconfigs, what it comes to.
#[must_use]
pub fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let said = match plainly(error) {
            Plain::Last(words) => {
                next = None;
                words
            }
            Plain::Wrapper => continue,
            Plain::Own => error.to_string(),
        };
        // Some errors repeat their cause.
        if !said.is_empty() && !text.ends_with(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
    }
    // The API server repeats what people wrote.
    text::shown(&text).into_owned()
}

/// How one error of a chain is said.
enum Plain {
    /// With all below it, in these words.
    Last(String),
    /// It adds nothing to what is below it.
    Wrapper,
    /// In its own words.
    Own,
}

fn plainly(error: &(dyn Error + 'static)) -> Plain {
    if let Some(error) = found::<kube::Error>(error) {
        return match error {
            // So says a Go server where its port speaks HTTPS.
            kube::Error::Api(status) if status.message.starts_with(NOT_HTTPS) => Plain::Last(
                "the API server speaks HTTPS: write https:// in front of the server in the kubeconfig".to_owned(),
            ),
            kube::Error::Api(status) => Plain::Last(status.message.clone()),
            kube::Error::Service(_) | kube::Error::Auth(_) => Plain::Wrapper,
            kube::Error::HyperError(error) => Plain::Last(Trouble::of_any(error).to_string()),
            kube::Error::RustlsTls(error) => Plain::Last(of_pem(error).to_owned()),
            kube::Error::InferKubeconfig(error) => Plain::Last(kubeconfig::in_words(error)),
            _ => Plain::Own,
        };
    }
    if found::<InferConfigError>(error).is_some() {
        return match error.source().and_then(found::<KubeconfigError>) {
            Some(KubeconfigError::ReadConfig(error, path)) => {
                Plain::Last(format!("`{}`: {}", path.display(), of_place(error)))
            }
            Some(error) => Plain::Last(format!("the kubeconfig cannot be used: {}", kubeconfig::in_words(error))),
            None => Plain::Own,
        };
    }
    if let Some(error) = found::<KubeconfigError>(error) {
        return Plain::Last(kubeconfig::in_words(error));
    }
    if let Some(error) = found::<io::Error>(error) {
        let wire = Trouble::of(error).map(|trouble| trouble.to_string());
        return Plain::Last(wire.unwrap_or_else(|| of_place(error)));
    }
    let of_library = error.is::<rustls::Error>() || error.is::<hyper::Error>() || error.is::<reqwest::Error>();
    if of_library || error.to_string().starts_with("client error (") {
        return Plain::Last(Trouble::of_any(error).to_string());
    }
    Plain::Own
}

/// What is wrong with the files of a kubeconfig.
fn of_pem(error: &dyn Error) -> &'static str {
    let mut next = Some(error);
    while let Some(error) = next {
        // It is the library's verdict on a certificate, inside one on a key that fits it.
        if error.to_string().contains("UnsupportedCertVersion") {
            return "client-certificate of the kubeconfig is of X.509 version 1, which is not supported: have it issued again \
                    as version 3 (`openssl x509 -req` does that with -extfile, or with -copy_extensions copy)";
        }
        next = error.source();
    }
    "certificate-authority, client-certificate or client-key of the kubeconfig cannot be used: they must be PEM"
}

/// An error, also in a box.
fn found<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    error.downcast_ref::<T>().or_else(|| error.downcast_ref::<Box<T>>().map(AsRef::as_ref))
}

/// What the failure of a call means.
#[must_use]
pub fn failure(error: &kube::Error) -> Failure {
    let kube::Error::Api(status) = error else {
        return match error {
            kube::Error::BuildRequest(_) | kube::Error::SerdeError(_) => Failure::Invalid,
            _ => Failure::Unavailable,
        };
    };
    match StatusCode::from_u16(status.code).map_or(Failure::Unavailable, of_status) {
        Failure::Throttled(_) => Failure::Throttled(
            status
                .details
                .as_ref()
                .filter(|details| details.retry_after_seconds > 0)
                .map(|details| Duration::from_secs(u64::from(details.retry_after_seconds))),
        ),
        failure => failure,
    }
}

/// What the status of an answer that is not a success means.
pub(super) fn of_status(status: StatusCode) -> Failure {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failure::NotFound,
        StatusCode::CONFLICT => Failure::Conflict,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => Failure::Throttled(None),
        status if status.is_client_error() => Failure::Invalid,
        _ => Failure::Unavailable,
    }
}

/// Puts a call's action and object beside its error.
pub(crate) trait During<T> {
    /// `during("read", || "Secret a/b")`.
    fn during(self, action: &'static str, object: impl FnOnce() -> String) -> Result<T, ApiError>;
}

impl<T> During<T> for Result<T, kube::Error> {
    fn during(self, action: &'static str, object: impl FnOnce() -> String) -> Result<T, ApiError> {
        self.map_err(|source| ApiError { action, object: object(), source })
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{Status, response::StatusDetails};

    use super::*;

    fn answered(code: u16, retry_after_seconds: u32) -> kube::Error {
        let details: StatusDetails =
            serde_json::from_value(serde_json::json!({"retryAfterSeconds": retry_after_seconds})).unwrap();
        kube::Error::Api(Box::new(Status {
            code,
            message: "no".to_owned(),
            details: Some(details),
            ..Status::default()
        }))
    }

    #[test]
    fn each_answer_has_one_meaning() {
        for (code, meaning) in [
            (400, Failure::Invalid),
            (401, Failure::Forbidden),
            (403, Failure::Forbidden),
            (404, Failure::NotFound),
            (409, Failure::Conflict),
            (410, Failure::NotFound),
            (422, Failure::Invalid),
            (429, Failure::Throttled(None)),
            (500, Failure::Unavailable),
            (503, Failure::Unavailable),
            (504, Failure::Unavailable),
        ] {
            assert_eq!(failure(&answered(code, 0)), meaning, "{code}");
        }
        assert_eq!(failure(&answered(429, 7)), Failure::Throttled(Some(Duration::from_secs(7))));
        assert_eq!(failure(&kube::Error::Service("reset".into())), Failure::Unavailable);
    }

    #[test]
    fn a_namespace_that_ends_is_told_from_a_missing_right() {
        let refused = |details: serde_json::Value| {
            let status = serde_json::from_value(serde_json::json!({"code": 403, "message": "no", "details": details}));
            let answer = Err::<(), _>(kube::Error::Api(Box::new(status.unwrap())));
            answer.during("create", || "Secret a/b".to_owned()).unwrap_err()
        };
        let cause = serde_json::json!({"reason": "NamespaceTerminating", "message": "namespace a is being terminated", "field": "x"});
        let ends = refused(serde_json::json!({"causes": [cause]}));
        assert_eq!(ends.ending_namespace(), Some("namespace a is being terminated"));
        for other in [serde_json::json!(null), serde_json::json!({"causes": [{"reason": "FieldValueInvalid"}]})] {
            assert_eq!(refused(other).ending_namespace(), None);
        }
    }

    #[test]
    fn the_cause_is_what_the_api_server_said() {
        let error = Err::<(), _>(answered(403, 0)).during("read", || "Secret a/b".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "read Secret a/b");
        assert_eq!(error.cause(), "no");
        assert_eq!(in_one_line(&error), "read Secret a/b: no");
    }

    #[test]
    fn what_libraries_say_of_a_connection_comes_in_plain_words() {
        let refused = || io::Error::from_raw_os_error(111);
        let error = Err::<(), _>(kube::Error::Service(Box::new(kube::Error::Service(Box::new(refused())))));
        let error = error.during("read", || "Secret a/b".to_owned()).unwrap_err();
        assert_eq!(in_one_line(&error), "read Secret a/b: connection refused: nothing listens there");
        let plain_http = Status { code: 400, message: format!("{NOT_HTTPS}.\n"), ..Status::default() };
        assert!(in_one_line(&kube::Error::Api(Box::new(plain_http))).starts_with("the API server speaks HTTPS"));
    }

    /// As `openssl x509 -req` without extensions makes it, and kubectl takes it. The key is this test's own.
    const VERSION_1: &str = "MIHcMIGPAhR9aOJQQBP2JB4TIxqVphx2moTGBzAFBgMrZXAwEDEOMAwGA1UEAwwFYWxpY2UwIBcNMjYxMTI5MTA1NzAyWhgPMjEyNjExMDUxMDU3MDJaMBAxDjAMBgNVBAMMBWFsaWNlMCowBQYDK2VwAyEA1a7tc5EcrfakkjGXZG9tiUA4f9v8aSAamTSgHU7r6KcwBQYDK2VwA0EAmOORNzAilFAtI+ogEaiXiXMeNVH7J4p36DlpX1/pJDAcJbtTplpCwZeNVsfIMPtoBEHu1/J5GC5mk/UsSyLRBA==";
    const ITS_KEY: &str = "MC4CAQAwBQYDK2VwBCIEILlnY0bevjwGV8w3WxdVrEt/ofA2paWbEl3WtTnsvKiU";

    #[test]
    fn a_client_certificate_of_version_1_is_called_that() {
        use base64ct::{Base64, Encoding as _};
        let mut config = kube::Config::new("https://127.0.0.1:6443".parse().unwrap());
        let body = |kind: &str, text: &str| format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n");
        let data = |kind: &str, text: &str| Base64::encode_string(body(kind, text).as_bytes());
        config.auth_info.client_certificate_data = Some(data("CERTIFICATE", VERSION_1));
        config.auth_info.client_key_data = Some(data("PRIVATE KEY", ITS_KEY).into());
        let error = kube::client::ConfigExt::rustls_client_config(&config).unwrap_err();
        assert!(in_one_line(&error).contains("X.509 version 1"), "{error:?}");
    }

    #[test]
    fn what_is_in_the_way_is_told_from_the_api_servers_sentence() {
        let denial = |code: u16, message: &str| {
            let status = Status { code, message: message.to_owned(), ..Status::default() };
            let answer = Err::<(), _>(kube::Error::Api(Box::new(status)));
            answer.during("list", || "x".to_owned()).unwrap_err().denial()
        };
        for (code, message, expected) in [
            (401, "Unauthorized", Some(Denial::Credentials)),
            (
                403,
                "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no",
                Some(Denial::Admission),
            ),
            (
                422,
                "x is invalid: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no",
                Some(Denial::Admission),
            ),
            (
                403,
                "users \"zoe\" is forbidden: User \"dave\" cannot impersonate resource \"users\"",
                Some(Denial::Impersonation),
            ),
            (403, "User \"dave\" cannot impersonate-on:user-info:get resource \"users\"", Some(Denial::Impersonation)),
            (403, "User \"dave\" cannot list resource \"x\" at the cluster scope", Some(Denial::EverywhereRight)),
            (403, "User \"dave\" cannot list resource \"x\" in the namespace \"a\"", Some(Denial::Right)),
            (404, "not found", None),
        ] {
            assert_eq!(denial(code, message), expected, "{message}");
        }
    }
}
