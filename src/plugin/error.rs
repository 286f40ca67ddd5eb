//! What a command ends with when it does not end well: a sentence, the next step, and an exit code.

use std::{io, process::ExitCode};

use kube::client::AuthError;

use crate::{
    cluster::{
        client::ConnectError,
        error::{ApiError, Denial, Failure, in_one_line, said_by_admission},
    },
    door::{Door, Input, NO_CREDENTIALS, SIGN_IN},
    transport::{Trouble, of_place},
};

/// How the process ends. `kubectl certcourier wait` tells scripts by it what became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did not work.
    Failure = 1,
    /// It was typed wrong; nothing was tried.
    Usage = 2,
    /// Someone denied the request.
    Denied = 3,
    /// The request expired.
    Expired = 4,
    /// The request failed, was revoked, or is used up.
    Failed = 5,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not end well.
#[derive(Debug)]
pub struct PluginError {
    exit: Exit,
    words: String,
    next: Option<String>,
}

impl PluginError {
    /// A failure in a sentence, without a full stop.
    pub fn new(words: impl Into<String>) -> Self {
        Self::with_exit(Exit::Failure, words)
    }

    /// Something was typed wrong.
    pub fn usage(words: impl Into<String>) -> Self {
        Self::with_exit(Exit::Usage, words)
    }

    /// With an exit code of its own.
    pub fn with_exit(exit: Exit, words: impl Into<String>) -> Self {
        Self { exit, words: words.into(), next: None }
    }

    /// The output is closed: its reader has seen enough, and needs no message.
    pub fn quiet() -> Self {
        Self::new("")
    }

    /// Adds what to do now; it is printed on a line of its own.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Says what it is about, where there are several.
    #[must_use]
    pub fn of(mut self, what: &str) -> Self {
        self.words = format!("{what}: {}", self.words);
        self
    }

    /// The sentence alone.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// What to do now.
    pub fn next_step(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What is printed on standard error; nothing for [`PluginError::quiet`].
    pub fn report(&self) -> String {
        let plain = |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
        match (&self.words, &self.next) {
            (words, None) if words.is_empty() => String::new(),
            (words, None) => format!("error: {}\n", plain(words)),
            (words, Some(next)) => format!("error: {}\nnext:  {}\n", plain(words), plain(next)),
        }
    }
}

impl From<ApiError> for PluginError {
    fn from(error: ApiError) -> Self {
        let cause = error.cause();
        let failure = error.failure();
        let denial = error.denial();
        // The API server's own words for a path that it does not know.
        let no_kind = failure == Failure::NotFound && cause.contains("could not find the requested resource");
        let plain = |words: &str| Self::new(format!("cannot {error}: {words}"));
        let plain = match denial {
            Some(Denial::Credentials) => return plain(NO_CREDENTIALS).next(SIGN_IN),
            Some(Denial::Admission) => return said(plain, said_by_admission(&cause).unwrap_or(&cause)),
            Some(Denial::Impersonation) => {
                return plain(&cause).next(
                    "leave --as out, or ask for the right to act as that user: verb impersonate on users, and on groups \
                     for --as-group",
                );
            }
            Some(Denial::EverywhereRight) => {
                return plain(&cause).next(format!(
                    "name one namespace with -n, or ask for a role in all namespaces, by a ClusterRoleBinding: {ROLES}"
                ));
            }
            Some(Denial::Right) => return plain(&cause).next(format!("ask for a role in this namespace: {ROLES}")),
            None => plain(&cause),
        };
        match failure {
            _ if no_kind => plain.next("certcourier is not installed in this cluster: is --context the right one?"),
            Failure::Throttled(_) => plain.next("the API server is busy: try again in a moment"),
            Failure::Unavailable if Trouble::of(&error.source).is_some_and(|trouble| trouble.is_of_certificate()) => {
                plain.next("is certificate-authority in the kubeconfig that of this API server, and its server the right name?")
            }
            Failure::Unavailable => plain.next("does `kubectl version` answer? --request-timeout waits longer"),
            _ => plain,
        }
    }
}

/// Our roles, by what they are for.
const ROLES: &str = "ClusterRole certcourier-viewer to read, -downloader and -operator to download, -approver to vote, \
  -auditor to read receipts";

/// What an admission policy says already names the next step, in fields of the object; which flags those are is added.
fn said(plain: impl Fn(&str) -> PluginError, words: &str) -> PluginError {
    let error = plain(words);
    match flags_for(words) {
        Some(flags) => error.next(flags),
        None => error,
    }
}

/// Which flags the fields are that a message of an object names.
pub fn flags_for(words: &str) -> Option<String> {
    let named = |input: &Input| words.contains(input.at(Door::Object)) && *input != Input::Passphrase;
    let flags: Vec<String> = Input::ALL
        .into_iter()
        .filter(named)
        .map(|input| format!("{} is {} here", input.at(Door::Object), input.at(Door::Plugin)))
        .collect();
    (!flags.is_empty()).then(|| flags.join(", "))
}

impl From<ConnectError> for PluginError {
    fn from(error: ConnectError) -> Self {
        if let ConnectError::Prepare { source, .. } = &error
            && let kube::Error::Auth(auth) = source.as_ref()
        {
            return Self::from(auth);
        }
        Self::new(format!("cannot {}", in_one_line(&error)))
            .next("does `kubectl version` work with the same kubeconfig?")
    }
}

/// The credentials of the kubeconfig. What an exec plugin printed may be a secret, and is not repeated; what it complained
/// about is.
impl From<&AuthError> for PluginError {
    fn from(error: &AuthError) -> Self {
        let words = match error {
            AuthError::AuthExecStart(source) => {
                let why = of_place(source);
                format!("cannot start the credential plugin that the kubeconfig names (users[].user.exec): {why}")
            }
            AuthError::AuthExecRun { out, .. } => {
                let complaint = String::from_utf8_lossy(&out.stderr);
                let last = complaint.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given");
                format!("the credential plugin of the kubeconfig failed ({}): {last}", out.status)
            }
            AuthError::AuthExecParse(_) => {
                "the credential plugin of the kubeconfig printed no ExecCredential".to_owned()
            }
            other => format!("the kubeconfig's credentials cannot be used: {}", in_one_line(other)),
        };
        Self::new(words).next("sign in again, or try the command of users[].user.exec by itself")
    }
}

/// Output that cannot be written.
impl From<io::Error> for PluginError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::quiet();
        }
        Self::new(format!("cannot write to standard output: {}", of_place(&error)))
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refused(code: u16, message: &str) -> PluginError {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        let source = kube::Error::Api(Box::new(status));
        PluginError::from(ApiError { action: "list", object: "Certificates of payments".to_owned(), source })
    }

    #[test]
    fn a_refusal_says_what_the_api_server_said_and_what_to_do() {
        let report = refused(403, "certificates is forbidden").report();
        assert!(
            report.starts_with("error: cannot list Certificates of payments: certificates is forbidden\nnext:  ask")
        );
        let report = refused(401, "Unauthorized").report();
        assert!(report.contains("sign in again"), "{report}");
        let report = refused(404, "the server could not find the requested resource").report();
        assert!(report.contains("not installed"), "{report}");
        assert_eq!(refused(404, "certificates \"x\" not found").report().lines().count(), 1);
    }

    #[test]
    fn the_next_step_follows_what_is_in_the_way_and_not_the_status() {
        let report =
            refused(403, "users \"alice\" is forbidden: User \"dave\" cannot impersonate resource \"users\"").report();
        assert!(report.contains("leave --as out") && !report.contains("ClusterRole certcourier"), "{report}");
        let everywhere =
            "certificates is forbidden: User \"carol\" cannot list resource \"certificates\" at the cluster scope";
        let report = refused(403, everywhere).report();
        assert!(
            report.contains("-n, or ask for a role in all namespaces") && !report.contains("this namespace"),
            "{report}"
        );
        let admission = "downloadrequests \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: user \
            alice is not allowed to get Secret foo, which spec.passphraseSecretRef names: name one that you may get";
        let report = refused(403, admission).report();
        assert!(report.starts_with("error: cannot list Certificates of payments: user alice is not"), "{report}");
        assert!(!report.contains("ValidatingAdmissionPolicy") && !report.contains("ClusterRole"), "{report}");
        assert!(report.contains("next:  spec.passphraseSecretRef is --passphrase-secret here"), "{report}");
    }

    #[test]
    fn what_a_credential_plugin_printed_is_not_repeated_and_what_it_complained_about_is() {
        use std::os::unix::process::ExitStatusExt as _;
        let out = std::process::Output {
            status: std::process::ExitStatus::from_raw(256),
            stdout: b"canary".to_vec(),
            stderr: b"one\nlogin expired\n".to_vec(),
        };
        let report =
            PluginError::from(&AuthError::AuthExecRun { cmd: "canary".to_owned(), out: Box::new(out) }).report();
        assert!(report.contains("login expired") && !report.contains("canary"), "{report}");
    }

    #[test]
    fn nothing_that_moves_the_cursor_is_printed() {
        assert_eq!(PluginError::new("a\u{1b}[2Jb").report(), "error: a [2Jb\n");
        assert_eq!(PluginError::quiet().report(), "");
    }
}
