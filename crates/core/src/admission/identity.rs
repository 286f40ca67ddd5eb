//! Who the operator is, as the API server sees it. Only names; no credentials.

use k8s_openapi::api::rbac::v1::Subject;

use crate::api::name::is_label;

const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Where the operator runs and as whom. In sidecar placement controller and server are one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    namespace: String,
    controller: String,
    server: String,
}

/// Why something is not an [`Identity`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// Not the name of a namespace.
    #[error("`{0}` is not a namespace: write a DNS label of at most 63 characters, such as certcourier-system")]
    Namespace(String),
    /// Not the name of a user.
    #[error(
        "`{0}` is not a user name of the {1}: write what `kubectl auth whoami` prints for it, such as \
         system:serviceaccount:certcourier-system:certcourier"
    )]
    User(String, &'static str),
}

impl Identity {
    /// Names as the API server knows them; a ServiceAccount is `system:serviceaccount:<namespace>:<name>`.
    ///
    /// # Errors
    /// [`IdentityError`]: these names go into CEL expressions, so anything unusual is refused here.
    pub fn new(namespace: &str, controller: &str, server: &str) -> Result<Self, IdentityError> {
        if !is_label(namespace) {
            return Err(IdentityError::Namespace(namespace.to_owned()));
        }
        for (user, program) in [(controller, "controller"), (server, "server")] {
            if !is_user(user) {
                return Err(IdentityError::User(user.to_owned(), program));
            }
        }
        Ok(Self { namespace: namespace.to_owned(), controller: controller.to_owned(), server: server.to_owned() })
    }

    /// The namespace that the operator runs in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// User name of the controller.
    #[must_use]
    pub fn controller(&self) -> &str {
        &self.controller
    }

    /// User name of the server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Both user names, or the one that they share.
    #[must_use]
    pub fn users(&self) -> Vec<&str> {
        let mut users = vec![self.controller()];
        if self.server != self.controller {
            users.push(self.server());
        }
        users
    }
}

/// A user as the subject of a `RoleBinding`: a ServiceAccount when its name is one's.
#[must_use]
pub fn subject(user: &str) -> Subject {
    match user.strip_prefix(SERVICE_ACCOUNT_PREFIX).and_then(|rest| rest.split_once(':')) {
        Some((namespace, name)) => Subject {
            kind: "ServiceAccount".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
            api_group: None,
        },
        None => Subject {
            kind: "User".to_owned(),
            name: user.to_owned(),
            api_group: Some(RBAC.to_owned()),
            namespace: None,
        },
    }
}

/// A user name without quotes, spaces or control characters; and a ServiceAccount's with both of its parts.
fn is_user(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !['\'', '"', '\\'].contains(&c);
    let whole = match text.strip_prefix(SERVICE_ACCOUNT_PREFIX) {
        Some(rest) => rest
            .split_once(':')
            .is_some_and(|(namespace, name)| is_label(namespace) && !name.is_empty() && !name.contains(':')),
        None => true,
    };
    (1..=512).contains(&text.len()) && text.chars().all(plain) && whole
}
