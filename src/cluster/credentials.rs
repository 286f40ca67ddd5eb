//! Who we are to the API server, where an `Authorization` header says it: a token, a file that holds one, or what the
//! exec plugin of a kubeconfig prints.
//!
//! kube runs an exec plugin once for every pool of connections, and again for the client certificate that it might
//! print instead. Some open a browser. Here it runs once: all pools share one source, which asks again when what it has
//! is about to end.

use std::future::ready;

use hyper::{
    Request, Response,
    header::{AUTHORIZATION, HeaderValue},
};
use kube::{
    Config, Error,
    client::{Body, ConfigExt as _},
    config::AuthInfo,
};
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn, util::BoxCloneSyncService};

use crate::redact::Redacted;

/// A source of `Authorization` headers. Clones share what it has.
#[derive(Clone)]
pub(crate) struct Credentials(BoxCloneSyncService<Request<Body>, Response<HeaderValue>, BoxError>);

impl Credentials {
    /// Takes the credentials out of a configuration. `None` where there are none, or only a client certificate, which
    /// stays in the configuration.
    ///
    /// # Errors
    /// When a token cannot be read, or the exec plugin fails.
    pub(crate) fn take_from(config: &mut Config) -> Result<Option<Self>, Error> {
        // An exec plugin that prints a certificate has no layer; kube's TLS asks it again.
        let Some(layer) = config.auth_layer()? else { return Ok(None) };
        let told = service_fn(|request: Request<Body>| {
            let header = request.headers().get(AUTHORIZATION).cloned();
            ready(header.map(Response::new).ok_or_else(|| BoxError::from("no credentials")))
        });
        let taken = std::mem::take(&mut config.auth_info);
        config.auth_info = AuthInfo {
            client_certificate: taken.client_certificate,
            client_certificate_data: taken.client_certificate_data,
            client_key: taken.client_key,
            client_key_data: taken.client_key_data,
            ..AuthInfo::default()
        };
        Ok(Some(Self(BoxCloneSyncService::new(layer.layer(told)))))
    }

    /// The header as of now.
    ///
    /// # Errors
    /// When the exec plugin, asked again, fails.
    pub(crate) async fn header(&self) -> Result<HeaderValue, BoxError> {
        let mut header = self.0.clone().oneshot(Request::new(Body::empty())).await?.into_body();
        header.set_sensitive(true);
        Ok(header)
    }

    /// The bearer token as of now; `None` where the header is of another kind.
    ///
    /// # Errors
    /// When the exec plugin, asked again, fails.
    pub(crate) async fn bearer(&self) -> Result<Option<Redacted<String>>, BoxError> {
        let header = self.header().await?;
        let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        Ok(token.map(|token| Redacted::new(token.to_owned())))
    }
}
