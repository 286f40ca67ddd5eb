//! Where people reach the server and by which CA they know it, for token Secrets. The CA is read again for each Secret, so
//! that a renewed one is given out at once.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::args::ControllerArgs;
use crate::{
    api::names::CA_KEY,
    cluster::{
        client::Clients,
        error::{ApiError, During as _},
    },
};

/// Why a CA is given to no one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaError {
    #[error("read --external-ca {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{place}: {problem}")]
    Content { place: String, problem: &'static str },
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Where the answers come from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    url: Option<String>,
    ca: CaSource,
}

#[derive(Clone, Debug)]
enum CaSource {
    /// Clients know the server's certificate anyway.
    None,
    File(PathBuf),
    ConfigMap {
        namespace: String,
        name: String,
    },
}

/// What goes into a token Secret.
#[derive(Clone, Debug, Default)]
pub(crate) struct External {
    pub(crate) url: Option<String>,
    pub(crate) ca: Option<String>,
}

impl Source {
    /// As the flags say.
    ///
    /// # Errors
    /// [`CaError`] when the file cannot be given to people: better now than at the first mint.
    pub(crate) fn new(args: &ControllerArgs, namespace: &str) -> Result<Self, CaError> {
        let ca = match (&args.external_ca, &args.external_ca_config_map) {
            (Some(path), _) => {
                read(path)?;
                CaSource::File(path.clone())
            }
            (None, Some(name)) => CaSource::ConfigMap { namespace: namespace.to_owned(), name: name.clone() },
            (None, None) => CaSource::None,
        };
        Ok(Self { url: args.external_url.clone(), ca })
    }

    /// Whether a link can be given.
    pub(crate) const fn has_url(&self) -> bool {
        self.url.is_some()
    }

    /// As of now.
    ///
    /// # Errors
    /// [`CaError`] when the CA cannot be read or is not there yet; then nothing is issued, because the requester could
    /// not use it.
    pub(crate) async fn now(&self, clients: &Clients) -> Result<External, CaError> {
        let ca = match &self.ca {
            CaSource::None => None,
            CaSource::File(path) => Some(read(path)?),
            CaSource::ConfigMap { namespace, name } => {
                let object = || format!("ConfigMap {namespace}/{name}");
                let api: Api<ConfigMap> = Api::namespaced(clients.reads().clone(), namespace);
                let found = api.get(name).await.during("read", object)?;
                let text = found.data.and_then(|mut data| data.remove(CA_KEY)).unwrap_or_default();
                Some(checked(text, &object())?)
            }
        };
        Ok(External { url: self.url.clone(), ca })
    }
}

fn read(path: &Path) -> Result<String, CaError> {
    let text = fs::read_to_string(path).map_err(|source| CaError::Read { path: path.to_owned(), source })?;
    checked(text, &format!("--external-ca {}", path.display()))
}

/// It goes into Secrets that people read, so it is checked first.
fn checked(text: String, place: &str) -> Result<String, CaError> {
    let wrong = |problem| Err(CaError::Content { place: place.to_owned(), problem });
    if text.contains("PRIVATE KEY-----") {
        return wrong("it holds a private key, and would be given to everyone; name one with certificates only");
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return wrong("it holds no certificate (PEM) under ca.crt; the server puts its own there when it starts");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_ca_with_a_private_key_is_given_to_nobody() {
        for (content, said) in [
            ("-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n", "private key"),
            ("hello", "no certificate"),
            ("", "no certificate"),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            let error = read(file.path()).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        assert!(matches!(read(Path::new("/nonexistent")), Err(CaError::Read { .. })));
    }
}
