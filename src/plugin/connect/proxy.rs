//! Which proxy leads to the API server, where the environment names one: as Go's programs read `HTTPS_PROXY` and
//! `NO_PROXY`, so that the plugin goes the way that kubectl goes. Pure: the environment is an argument.

use std::net::IpAddr;

use hyper::Uri;
use ipnet::IpNet;

/// The proxy to an address. This machine itself is never behind one.
pub fn of(url: &Uri, variable: impl Fn(&str) -> Option<String>) -> Option<Uri> {
    let either =
        |upper: &str, lower: &str| variable(upper).or_else(|| variable(lower)).filter(|value| !value.is_empty());
    let named = match url.scheme_str() {
        Some("https") => either("HTTPS_PROXY", "https_proxy"),
        _ => either("HTTP_PROXY", "http_proxy"),
    }?;
    let host = url.host()?.trim_matches(['[', ']']).to_lowercase();
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let excepted = either("NO_PROXY", "no_proxy").unwrap_or_default();
    if is_here(&host) || excepted.split(',').any(|exception| is_excepted(&host, port, exception.trim())) {
        return None;
    }
    let named = if named.contains("://") { named } else { format!("http://{named}") };
    named.parse().ok()
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `*`, an address, a range of addresses, or a domain with all below it (`.domain`: only those below it); each perhaps with
/// a port.
fn is_excepted(host: &str, port: u16, exception: &str) -> bool {
    let exception = exception.to_lowercase();
    if exception == "*" {
        return true;
    }
    if exception.is_empty() {
        return false;
    }
    if exception.contains('/') {
        return is_in_range(host, &exception);
    }
    // A bare IPv6 address has colons of its own.
    let (name, own_port) = match exception.rsplit_once(':') {
        Some((name, digits)) if exception.parse::<IpAddr>().is_err() => (name, digits.parse::<u16>().ok()),
        _ => (exception.as_str(), None),
    };
    if own_port.is_some_and(|own| own != port) {
        return false;
    }
    let name = name.trim_matches(['[', ']']).trim_start_matches('*');
    if host.parse::<IpAddr>().is_ok() {
        return host == name;
    }
    match name.strip_prefix('.') {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn is_in_range(host: &str, range: &str) -> bool {
    matches!((host.parse::<IpAddr>(), range.parse::<IpNet>()), (Ok(host), Ok(range)) if range.contains(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, except: &str) -> Option<String> {
        let variable = |name: &str| match name {
            "HTTPS_PROXY" => Some("proxy.example.com:3128".to_owned()),
            "no_proxy" => Some(except.to_owned()),
            _ => None,
        };
        of(&url.parse().unwrap(), variable).map(|uri| uri.to_string())
    }

    #[test]
    fn the_environment_names_the_proxy_and_its_exceptions() {
        let through = Some("http://proxy.example.com:3128/".to_owned());
        for (url, except, expected) in [
            ("https://k8s.example.com:6443", "", &through),
            ("https://k8s.example.com:6443", "example.com", &None),
            ("https://k8s.example.com:6443", ".example.com", &None),
            ("https://example.com", ".example.com", &through),
            ("https://k8s.example.com:6443", "other.org, K8S.example.com", &None),
            ("https://k8s.example.com:6443", "k8s.example.com:443", &through),
            ("https://k8s.example.com:6443", "k8s.example.com:6443", &None),
            ("https://notexample.com", "example.com", &through),
            ("https://10.1.2.3:6443", "10.0.0.0/8", &None),
            ("https://10.1.2.3:6443", "10.2.0.0/16", &through),
            ("https://10.1.2.3:6443", "0.0.0.0/0", &None),
            ("https://10.1.2.3:6443", "10.1.2.3", &None),
            ("https://[fd00::1]:6443", "fd00::/8", &None),
            ("https://[fd00::1]:6443", "fd00::1", &None),
            ("https://k8s.example.com", "*", &None),
            ("https://127.0.0.1:6443", "", &None),
            ("https://localhost:6443", "", &None),
            ("http://k8s.example.com", "", &None),
        ] {
            assert_eq!(&proxy(url, except), expected, "{url} except {except}");
        }
    }
}
