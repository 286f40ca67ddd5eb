//! Which way leads to the server. Pure: what is known goes in, the way comes out.

/// An address, with the authority behind its certificate where that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// `https://certs.example.com`.
    pub url: Option<String>,
    /// PEM.
    pub ca: Option<String>,
    /// Name of the server's Service, where it is not the usual one.
    pub service: Option<String>,
}

/// What is known of where the server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// `--server`, or `CERTCOURIER_SERVER`.
    pub flag: Option<String>,
    /// `--port-forward`.
    pub forward: bool,
    /// What the token Secret says.
    pub secret: Option<Published>,
    /// What the ConfigMap in the operator's namespace says.
    pub config_map: Option<Published>,
}

impl Known {
    /// Whether the ConfigMap could add anything.
    pub fn needs_config_map(&self) -> bool {
        let secret = self.secret.as_ref().is_some_and(|secret| secret.url.is_some());
        self.flag.is_none() && (self.forward || !secret)
    }
}

/// The way to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To its address.
    Url {
        /// The address.
        url: String,
        /// The authority behind its certificate; `None`: one that this machine knows.
        ca: Option<String>,
        /// How the address is known.
        said_by: &'static str,
    },
    /// Through the API server, to a pod.
    Forward {
        /// The name that its certificate is for; `None`: the Service's.
        host: Option<String>,
        /// The authority behind its certificate.
        ca: Option<String>,
        /// The Service that the pod is behind; `None`: the usual one.
        service: Option<String>,
    },
}

/// How messages call an address that the Secret of a token says.
const BY_SECRET: &str = "the token's Secret";

impl Route {
    /// Whether a Secret alone says where the server is. Then it is not trusted with more than that Secret holds.
    pub fn is_by_secret(&self) -> bool {
        matches!(self, Self::Url { said_by, .. } if *said_by == BY_SECRET)
    }

    /// The authority behind the server's certificate, where it came with the address.
    pub fn ca(&self) -> Option<&str> {
        match self {
            Self::Url { ca, .. } | Self::Forward { ca, .. } => ca.as_deref(),
        }
    }
}

impl Route {
    /// Who says which authority it is.
    pub fn ca_said_by(&self) -> &'static str {
        match self {
            Self::Url { said_by, .. } => said_by,
            Self::Forward { .. } => "ConfigMap certcourier-server",
        }
    }
}

/// Chooses: what was typed, then what the token's Secret says, then the ConfigMap; without any address through the API
/// server.
pub fn choose(known: Known) -> Route {
    if let Some(url) = known.flag {
        return Route::Url { url, ca: None, said_by: "--server or CERTCOURIER_SERVER" };
    }
    let (secret, config_map) = (known.secret.unwrap_or_default(), known.config_map.unwrap_or_default());
    let ca = secret.ca.clone().or_else(|| config_map.ca.clone());
    let url = secret.url.clone().or_else(|| config_map.url.clone());
    let service = config_map.service;
    match url {
        Some(url) if known.forward => Route::Forward { host: host(&url), ca, service },
        None => Route::Forward { host: None, ca, service },
        Some(url) if secret.url.is_some() => Route::Url { url, ca: secret.ca, said_by: BY_SECRET },
        Some(url) => Route::Url { url, ca: config_map.ca, said_by: "ConfigMap certcourier-server" },
    }
}

fn host(url: &str) -> Option<String> {
    let host = url.parse::<hyper::Uri>().ok()?.host()?.to_owned();
    // A name can be sent elsewhere, an address cannot.
    host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_err().then_some(host)
}

/// Whether what is sent to this address can be read by others: plain HTTP to another machine.
pub fn is_readable_on_the_way(url: &str) -> bool {
    let Ok(uri) = url.parse::<hyper::Uri>() else { return true };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    uri.scheme_str() != Some("https") && !here
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Published {
        Published { url: Some(url.to_owned()), ca: Some(format!("CA of {url}")), service: None }
    }

    fn url(route: Route) -> (String, Option<String>) {
        match route {
            Route::Url { url, ca, .. } => (url, ca),
            Route::Forward { .. } => panic!("{route:?}"),
        }
    }

    #[test]
    fn what_was_typed_wins_then_the_secret_then_the_config_map() {
        let all = Known {
            flag: Some("https://typed".into()),
            forward: false,
            secret: Some(at("https://s")),
            config_map: Some(at("https://c")),
        };
        // An authority that came with another address is not trusted for this one.
        assert_eq!(url(choose(all.clone())), ("https://typed".into(), None));
        assert!(!choose(all.clone()).is_by_secret());
        let known = Known { flag: None, ..all };
        assert!(choose(known.clone()).is_by_secret(), "it gets no bearer token");
        assert_eq!(url(choose(known.clone())), ("https://s".into(), Some("CA of https://s".into())));
        let known = Known { secret: None, ..known };
        assert!(!choose(known.clone()).is_by_secret());
        assert_eq!(url(choose(known.clone())), ("https://c".into(), Some("CA of https://c".into())));
        assert!(known.needs_config_map());
    }

    #[test]
    fn without_an_address_the_way_is_through_the_api_server() {
        assert_eq!(choose(Known::default()), Route::Forward { host: None, ca: None, service: None });
        let ca_alone = Some(Published { ca: Some("CA".into()), ..Published::default() });
        let known = Known { secret: ca_alone, ..Known::default() };
        assert!(known.needs_config_map());
        assert_eq!(choose(known), Route::Forward { host: None, ca: Some("CA".into()), service: None });
        let service = Some(Published { service: Some("courier".into()), ..Published::default() });
        let known = Known { config_map: service, ..Known::default() };
        assert_eq!(choose(known), Route::Forward { host: None, ca: None, service: Some("courier".into()) });
    }

    #[test]
    fn a_forward_that_was_asked_for_keeps_the_name_of_the_certificate() {
        let known = |url: &str| Known { forward: true, config_map: Some(at(url)), ..Known::default() };
        let Route::Forward { host, ca, .. } = choose(known("https://certs.example.com/x")) else { panic!() };
        assert_eq!(
            (host.as_deref(), ca.as_deref()),
            (Some("certs.example.com"), Some("CA of https://certs.example.com/x"))
        );
        for address in ["https://10.0.0.1:8443", "https://[::1]:8443"] {
            assert!(matches!(choose(known(address)), Route::Forward { host: None, .. }), "{address}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in ["https://certs.example.com", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"] {
            assert!(!is_readable_on_the_way(url), "{url}");
        }
        for url in ["http://certs.example.com", "http://10.0.0.1", "http://localhost.example.com"] {
            assert!(is_readable_on_the_way(url), "{url}");
        }
    }
}
