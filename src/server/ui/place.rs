//! Where a page is. Every link is relative, so that pages work below whatever path a proxy puts in front of them.

use axum::http::Uri;

/// Where all pages are.
pub const UI: &str = "/ui/";

/// The place of the page that was asked for.
#[derive(Clone, Debug)]
pub struct Place {
    /// What leads from it to `/ui/`: `./` or `../../`.
    pub root: String,
    /// What leads back to it from there, with its query.
    pub path: String,
}

impl Place {
    /// The place of a request, if it is one of a page.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let rest = uri.path().strip_prefix(UI)?;
        let depth = rest.matches('/').count();
        let root = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
        let path = uri.query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
        Some(Self { root, path })
    }
}

/// A way back to a page, as someone gave it, if it leads nowhere else: not to another site, and not out of `/ui/`.
#[must_use]
pub fn way_back(given: &str) -> Option<&str> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/?=&%+,".contains(&byte);
    let path = given.split('?').next().unwrap_or_default();
    let inside =
        !path.starts_with('/') && !path.contains("//") && path.split('/').all(|part| part != ".." && part != ".");
    let loops = path.starts_with("sign-");
    (given.bytes().all(harmless) && inside && !path.contains('%') && !loops && given.len() <= 2048).then_some(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(uri: &str) -> Option<(String, String)> {
        Place::of(&uri.parse().unwrap()).map(|place| (place.root, place.path))
    }

    #[test]
    fn links_lead_from_every_depth_to_the_same_root() {
        for (uri, root, path) in [
            ("/ui/", "./", ""),
            ("/ui/sign-in?next=a", "./", "sign-in?next=a"),
            ("/ui/projects/payments", "../", "projects/payments"),
            ("/ui/projects/payments/certificates/api", "../../../", "projects/payments/certificates/api"),
        ] {
            assert_eq!(place(uri), Some((root.to_owned(), path.to_owned())), "{uri}");
        }
        for uri in ["/ui", "/", "/api/v1/downloads", "/uix/"] {
            assert_eq!(place(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_way_back_leads_to_no_other_site_and_not_out_of_the_pages() {
        for way in ["", "projects/payments", "projects/a/certificates/b?environment=prod&x=%20", "inbox"] {
            assert_eq!(way_back(way), Some(way), "{way}");
        }
        for way in [
            "//evil.example",
            "/api/v1/downloads",
            "https://evil.example",
            "javascript:alert(1)",
            "\\\\evil.example",
            "../api",
            "projects/../../api",
            "projects//evil",
            "%2e%2e/api",
            "a\r\nSet-Cookie: x",
            "sign-out",
            "sign-in?next=x",
            "a#b",
            " ",
            "ä",
        ] {
            assert_eq!(way_back(way), None, "{way}");
        }
        assert_eq!(way_back(&"a".repeat(2049)), None);
    }
}
