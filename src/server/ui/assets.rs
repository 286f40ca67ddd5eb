//! Styles, script and icon. They are part of the program; the hash of the content is in the name, so that a browser
//! keeps each for ever and never uses an old one.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use crate::{
    hex,
    server::http::error::{ErrorCode, ServerError},
};

/// Below it are the files.
pub const PATH: &str = "/ui/static/";

/// A file, and what it is called.
pub struct Asset {
    /// With the hash of its content.
    pub name: String,
    content_type: &'static str,
    content: &'static [u8],
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: &'static [u8]) -> Self {
        let hash = hex::encode(&Sha256::digest(content)[..8]);
        Self { name: format!("{stem}-{hash}.{extension}"), content_type, content }
    }
}

/// The styles.
pub static STYLES: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("certcourier", "css", "text/css; charset=utf-8", include_bytes!("static/certcourier.css"))
});
/// The script.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("certcourier", "js", "text/javascript; charset=utf-8", include_bytes!("static/certcourier.js"))
});
/// The script of pages that change while they are open.
pub static LIVE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("live", "js", "text/javascript; charset=utf-8", include_bytes!("static/live.js")));
/// The icon.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("certcourier", "svg", "image/svg+xml", include_bytes!("static/certcourier.svg")));

/// `GET /ui/static/{file}`.
pub async fn file(Path(name): Path<String>) -> Result<Response, ServerError> {
    let all = [&*STYLES, &*SCRIPT, &*LIVE, &*ICON];
    let asset = all.into_iter().find(|asset| asset.name == name).ok_or_else(|| {
        ServerError::new(ErrorCode::NotFound, "this page is of another version of the server: load it again")
            .malformed()
    })?;
    let mut answer = asset.content.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Ok(answer)
}
