//! What is wrong with a kubeconfig, in plain words. Of its content nothing is repeated: it holds credentials.

use kube::config::{KubeconfigError, LoadDataError};

use crate::transport::of_place;

/// What is wrong with it; "it" is the kubeconfig.
#[must_use]
pub fn in_words(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet => "it names no current context".to_owned(),
        KubeconfigError::LoadContext(name) => format!("it has no context `{name}`"),
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("its context names cluster `{name}`, which it does not have")
        }
        KubeconfigError::MissingClusterUrl => "its cluster has no server URL".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => "the server of its cluster is not a URL".to_owned(),
        KubeconfigError::ParseProxyUrl(_) => "the proxy-url of its cluster is not a URL".to_owned(),
        KubeconfigError::LoadCertificateAuthority(error) => {
            format!("certificate-authority of its cluster: {}", loaded(error))
        }
        KubeconfigError::LoadClientCertificate(error) => format!("client-certificate of its user: {}", loaded(error)),
        KubeconfigError::LoadClientKey(error) => format!("client-key of its user: {}", loaded(error)),
        KubeconfigError::ParseCertificates(_) => {
            "certificate-authority of its cluster holds no PEM certificate".to_owned()
        }
        KubeconfigError::ReadConfig(error, _) => of_place(error),
        // The parser shows the line that it stumbles over, which may be the one with the token.
        KubeconfigError::Parse(_) => "it is not a kubeconfig in YAML".to_owned(),
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            "its files are of different kinds or versions".to_owned()
        }
        KubeconfigError::FindPath => "there is no home folder to look for it in".to_owned(),
        KubeconfigError::ParseNoProxy(_) => "NO_PROXY cannot be understood".to_owned(),
    }
}

fn loaded(error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => "it is not base64".to_owned(),
        LoadDataError::ReadFile(error, path) => format!("`{}`: {}", path.display(), of_place(error)),
        LoadDataError::NoBase64DataOrFile => "it is empty".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_kubeconfig_is_said_without_its_content() {
        let missing = || io::Error::from_raw_os_error(2);
        for (error, said) in [
            (KubeconfigError::LoadContext("nope".to_owned()), "it has no context `nope`"),
            (KubeconfigError::ReadConfig(missing(), "/x".into()), "there is no such file or folder"),
            (
                KubeconfigError::LoadClientKey(LoadDataError::ReadFile(missing(), "/x/key.pem".into())),
                "client-key of its user: `/x/key.pem`: there is no such file or folder",
            ),
        ] {
            assert_eq!(in_words(&error), said);
        }
    }
}
