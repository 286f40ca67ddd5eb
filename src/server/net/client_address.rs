//! Whose request it is, by address: the peer of the connection, or what a trusted proxy says of it.
//!
//! A header is believed only as far as an unbroken row of trusted proxies reported it; what lies beyond was written by
//! the sender of the request. Exactly one header is read, because a proxy that sets one passes the other through.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};

use crate::net::address::network;
pub use crate::net::address::{AddressBlock, AddressBlockError};

/// The header in which trusted proxies report the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For: client, proxy1` (nginx, Envoy, every cloud's load balancer).
    #[default]
    XForwardedFor,
    /// `Forwarded: for=client, for=proxy1` (RFC 7239).
    Forwarded,
}

/// Which peers may speak for others, and in which header.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    /// The proxies' addresses.
    pub blocks: Vec<AddressBlock>,
    /// Where they report the client.
    pub header: ClientAddressHeader,
}

impl TrustedProxies {
    /// The client's address: walks from the peer outwards as long as the hop just reached is a trusted proxy.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = ClientAddress::of(peer.ip());
        let reported = match self.header {
            ClientAddressHeader::XForwardedFor => x_forwarded_for(headers),
            ClientAddressHeader::Forwarded => forwarded(headers),
        };
        for hop in reported.into_iter().rev() {
            if !self.trusts(client.0) {
                break;
            }
            // `unknown`, or a hidden name: no one beyond the proxy that said so can be believed.
            let Some(address) = hop else { break };
            client = ClientAddress::of(address);
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.blocks.iter().any(|block| block.contains(address))
    }
}

/// Address of a client, IPv4 written as IPv4 also where it came over IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    fn of(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// What limits count by: an IPv4 address, or the /64 that a network hands to one IPv6 client.
    #[must_use]
    pub fn network(self) -> IpAddr {
        network(self.0)
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The elements of a comma-separated header, over all lines of that name in their order.
fn elements(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    headers.get_all(name).iter().flat_map(|line| line.to_str().unwrap_or_default().split(',')).map(str::trim).collect()
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    elements(headers, X_FORWARDED_FOR).into_iter().map(node_address).collect()
}

/// Source: RFC 7239 §4. No quoted value that names an address holds a comma, so splitting at commas is safe: an element
/// cut in the middle of some other quoted value has no readable `for` and ends the walk.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let of_element = |element: &str| {
        let mut parts = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, node) = parts.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        node_address(node.trim().trim_matches('"'))
    };
    elements(headers, FORWARDED).into_iter().map(of_element).collect()
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(header: ClientAddressHeader, peer: &str, lines: &[&str]) -> String {
        let blocks = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"].map(|block| block.parse().unwrap()).to_vec();
        let name = match header {
            ClientAddressHeader::XForwardedFor => X_FORWARDED_FOR,
            ClientAddressHeader::Forwarded => FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_str(line).unwrap());
        }
        TrustedProxies { blocks, header }.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn x_forwarded_for_is_believed_only_from_trusted_proxies() {
        use ClientAddressHeader::XForwardedFor;
        for (peer, lines, expected, why) in [
            ("203.0.113.9:5", vec!["198.51.100.1"], "203.0.113.9", "a stranger speaks for no one"),
            ("10.0.0.1:5", vec![], "10.0.0.1", "a proxy that reports nothing is the client"),
            ("10.0.0.1:5", vec!["198.51.100.1"], "198.51.100.1", "one proxy"),
            (
                "10.0.0.1:5",
                vec!["1.2.3.4, 198.51.100.1"],
                "198.51.100.1",
                "what the client itself wrote is not believed",
            ),
            ("10.0.0.1:5", vec!["1.2.3.4, 198.51.100.1, 10.9.9.9"], "198.51.100.1", "two proxies"),
            ("10.0.0.1:5", vec!["1.2.3.4", "198.51.100.1", "192.0.2.7"], "198.51.100.1", "several lines are one list"),
            ("10.0.0.1:5", vec!["198.51.100.1, unknown"], "10.0.0.1", "an unreadable hop ends the walk"),
            ("10.0.0.1:5", vec![""], "10.0.0.1", "an empty list says nothing"),
            ("10.0.0.1:5", vec!["198.51.100.1:4711"], "198.51.100.1", "with a port"),
            ("10.0.0.1:5", vec!["[2001:db8::1]:4711"], "2001:db8::1", "IPv6 with a port"),
            ("[::ffff:10.0.0.1]:5", vec!["::ffff:198.51.100.1"], "198.51.100.1", "IPv4 over IPv6 is IPv4"),
            ("[fd00::1]:5", vec!["2001:db8::2"], "2001:db8::2", "an IPv6 proxy"),
            ("10.0.0.1:5", vec!["10.0.0.3"], "10.0.0.3", "a client inside the proxies' network"),
        ] {
            assert_eq!(client(XForwardedFor, peer, &lines), expected, "{why}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_standard_says() {
        for (lines, expected) in [
            (vec!["for=198.51.100.1"], "198.51.100.1"),
            (vec!["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (vec!["for=1.2.3.4, proto=https;for=198.51.100.1;by=10.0.0.1"], "198.51.100.1"),
            (vec!["for=198.51.100.1", "for=10.0.0.8"], "198.51.100.1"),
            (vec!["for=198.51.100.1, for=_hidden"], "10.0.0.1"),
            (vec!["for=198.51.100.1, by=10.0.0.2"], "10.0.0.1"),
        ] {
            assert_eq!(client(ClientAddressHeader::Forwarded, "10.0.0.1:5", &lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_other_header_is_not_read() {
        let headers = HeaderMap::from_iter([(FORWARDED, HeaderValue::from_static("for=198.51.100.1"))]);
        let proxies = TrustedProxies { blocks: vec!["0.0.0.0/0".parse().unwrap()], ..TrustedProxies::default() };
        assert_eq!(proxies.client("203.0.113.9:5".parse().unwrap(), &headers).to_string(), "203.0.113.9");
    }

    #[test]
    fn limits_count_an_ipv6_client_by_its_network() {
        let network = |text: &str| ClientAddress::of(text.parse().unwrap()).network().to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("198.51.100.1"), "198.51.100.1");
        assert_eq!(network("::ffff:198.51.100.1"), "198.51.100.1");
    }
}
