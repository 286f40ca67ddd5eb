//! Whose page made a browser ask. A sign-in proxy adds a person's bearer token to whatever their browser sends, also where
//! another site's page makes it send that; so what does something is done for our own pages, and for programs.

use axum::http::{HeaderMap, Uri, header, uri::Authority};

use super::error::{ErrorCode, ServerError};
use crate::{browser, external_url};

/// Refuses what another site's page makes a browser ask. `external_url` is where people reach this server, if it was told.
///
/// # Errors
/// [`ErrorCode::Forbidden`].
pub fn refuse_another_site(uri: &Uri, headers: &HeaderMap, external_url: Option<&str>) -> Result<(), ServerError> {
    let of_header = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = uri.authority().map(Authority::as_str).or_else(of_header);
    let named = external_url.and_then(external_url::authority);
    let is_own = |host: &str| [asked, named].into_iter().flatten().any(|own| own.eq_ignore_ascii_case(host));
    if !browser::asks_for_another_site(headers, is_own) {
        return Ok(());
    }
    let words = "another site's page asked for this, so nothing was changed: open certcourier's own page and do it there; a \
                 program leaves headers Origin and Sec-Fetch-Site out";
    Err(ServerError::new(ErrorCode::Forbidden, words).malformed())
}
