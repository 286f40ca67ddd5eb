//! The link of a file. It is on this page alone, and the page is kept by no one.

use askama::Template;
use axum::response::Response;
use zeroize::Zeroizing;

use super::{
    page::{self, Frame},
    visitor::Visitor,
    words::{About, about},
};
use crate::{
    api::{
        Format,
        http::{SecretText, TokenAnswer},
    },
    redact::Redacted,
    server::http::{error::ServerError, path::ObjectPath},
};

/// A token that was issued, and what for.
pub struct Issued {
    /// The certificate.
    pub place: ObjectPath,
    /// The format of its file.
    pub format: String,
    /// The environment; empty: the default one.
    pub environment: String,
    /// The token.
    pub token: TokenAnswer,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    frame: Frame,
    project: String,
    certificate: String,
    environment: String,
    about: About,
    key: bool,
    request: String,
    expires_at: String,
    /// Whether the link begins with a host; else the script completes it.
    whole: bool,
    /// Whether the link leads somewhere for others, too.
    travels: bool,
    link: Zeroizing<String>,
    api: String,
    token: Redacted<Zeroizing<String>>,
    passphrase: Option<Redacted<Zeroizing<String>>>,
}

/// The page of a link.
///
/// # Errors
/// For a format that there is not; no token is issued for one.
pub fn show(visitor: &Visitor, issued: Issued) -> Result<Response, ServerError> {
    let Issued { place, format, environment, token } = issued;
    let format: Format = format.parse().map_err(|_| ServerError::internal())?;
    let base = &visitor.caller.base_url;
    let secret = token.token.into_redacted();
    let link = Zeroizing::new(if base.is_empty() {
        format!("{}t#{}", visitor.frame.root, secret.expose().as_str())
    } else {
        format!("{base}/ui/t#{}", secret.expose().as_str())
    });
    Ok(page::show(&LinkPage {
        frame: visitor.frame("certificates"),
        project: place.project,
        certificate: place.name,
        environment,
        about: about(format),
        key: format.holds_key(),
        request: token.request,
        expires_at: token.expires_at.0.to_string(),
        whole: !base.is_empty(),
        travels: !(base.is_empty() && visitor.caller.is_alone()),
        link,
        api: format!("{base}/api/v1/downloads"),
        token: secret,
        passphrase: token.passphrase.map(SecretText::into_redacted),
    }))
}
