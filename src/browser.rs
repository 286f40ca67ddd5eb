//! What a browser says of a request by itself: which site's page made it ask, whether anyone has asked for it yet, and which
//! cookies it has. Every door to which browsers come reads it here.

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

/// Where every browser of today says whose page made it ask.
const SITE: &str = "sec-fetch-site";

/// Where browsers and those who make previews say that no one has asked yet.
const PURPOSES: [&str; 4] = ["sec-purpose", "purpose", "x-moz", "x-purpose"];
const NOT_YET: [&str; 3] = ["prefetch", "prerender", "preview"];

/// Whether a page of another site made a browser ask. Browsers of today say so in `Sec-Fetch-Site`; older ones name the
/// origin, of which `is_own` knows host and port. A program names neither.
pub fn asks_for_another_site(headers: &HeaderMap, is_own: impl Fn(&str) -> bool) -> bool {
    if headers.contains_key(SITE) {
        return headers.get_all(SITE).iter().any(|site| site != "same-origin" && site != "none");
    }
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        !host.is_some_and(|(_, host)| is_own(host))
    })
}

/// Whether a browser was led here from another site: it leaves cookies out then.
pub fn comes_from_another_site(headers: &HeaderMap) -> bool {
    headers.get(SITE).is_some_and(|site| site == "cross-site" || site == "same-site")
}

/// Whether a browser fetches what its user might click, or a preview of it is made.
pub fn asks_ahead_of_time(headers: &HeaderMap) -> bool {
    PURPOSES.into_iter().map(HeaderName::from_static).any(|name| {
        headers.get_all(name).iter().any(|value| {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            NOT_YET.iter().any(|purpose| value.contains(purpose))
        })
    })
}

/// The cookies, by name and value. What is not ASCII is a neighbour's, and spoils none of the others.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().map(header::HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let texts = pairs.filter(|pair| pair.is_ascii()).filter_map(|pair| std::str::from_utf8(pair).ok());
    texts.filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn another_site_is_known_by_what_the_browser_says_of_it() {
        let other = |pairs: &[(&'static str, &[u8])]| {
            asks_for_another_site(&headers(pairs), |host| host == "certs.example.com")
        };
        assert!(!other(&[]), "a program");
        for own in [b"same-origin".as_slice(), b"none"] {
            assert!(!other(&[("sec-fetch-site", own), ("origin", b"null")]));
        }
        for site in [b"cross-site".as_slice(), b"same-site", b"SAME-ORIGIN", b"", b"\xe9"] {
            assert!(other(&[("sec-fetch-site", site), ("origin", b"https://certs.example.com")]));
        }
        assert!(other(&[("sec-fetch-site", b"same-origin"), ("sec-fetch-site", b"cross-site")]));
        assert!(!other(&[("origin", b"https://certs.example.com")]));
        for origin in
            [b"null".as_slice(), b"", b"https://evil.example", b"https://certs.example.com.evil.example", b"\xe9"]
        {
            assert!(other(&[("origin", origin)]));
            assert!(other(&[("origin", b"https://certs.example.com"), ("origin", origin)]));
        }
    }

    #[test]
    fn a_neighbours_cookie_of_whatever_bytes_spoils_no_other() {
        let found = headers(&[("cookie", b"x=\xe9; ours=1;also = 2"), ("cookie", b"third=a=b; nothing;\xff=3")]);
        let found: Vec<_> = cookies(&found).collect();
        assert_eq!(found, [("ours", "1"), ("also ", " 2"), ("third", "a=b")]);
    }

    #[test]
    fn what_is_asked_for_ahead_of_time_says_so_in_whatever_case() {
        for name in PURPOSES {
            for value in ["prefetch", "Prefetch", "PREFETCH;prerender", "prerender", "preview", "Preview"] {
                assert!(asks_ahead_of_time(&headers(&[(name, b"x"), (name, value.as_bytes())])), "{name}: {value}");
            }
            assert!(!asks_ahead_of_time(&headers(&[(name, b"navigate")])), "{name}");
        }
    }
}
