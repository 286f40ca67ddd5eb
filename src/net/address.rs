//! Blocks of addresses, and what limits count an address by.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv6Net};

/// A block of addresses, such as `10.0.0.0/8` or `fd00::/8`. A bare address is a block of one. Kept as IPv6, where IPv4 is
/// the last 32 bits, so that `::ffff:10.0.0.1` and `10.0.0.1` are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock(Ipv6Net);

/// Text that is not a block of addresses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a block of addresses: write it as 10.0.0.0/8 or fd00::/8")]
pub struct AddressBlockError(String);

/// Bits before an IPv4 address that is written as IPv6.
const IPV4_OFFSET_BITS: u8 = 96;

impl AddressBlock {
    /// Whether the address is in the block.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&as_ipv6(address))
    }
}

impl FromStr for AddressBlock {
    type Err = AddressBlockError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || AddressBlockError(text.chars().take(64).collect());
        let block = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| refuse())?;
        let offset = if block.addr().is_ipv4() { IPV4_OFFSET_BITS } else { 0 };
        Ipv6Net::new(as_ipv6(block.addr()), offset + block.prefix_len()).map(Self).map_err(|_| refuse())
    }
}

fn as_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// What limits count a client by: an IPv4 address, also where it came over IPv6, or the /64 that a network hands to one
/// IPv6 client.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_what_their_prefix_says() {
        for (block, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
        ] {
            let block: AddressBlock = block.parse().unwrap();
            assert!(block.contains(inside.parse().unwrap()), "{inside}");
            assert!(!block.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!("::/0".parse::<AddressBlock>().unwrap().contains("203.0.113.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_block_is_refused_with_an_example() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "fd00::/129", "proxy.example.com", "10.0.0.0/-1"] {
            let error = text.parse::<AddressBlock>().unwrap_err();
            assert!(error.to_string().contains("10.0.0.0/8"), "{text}: {error}");
        }
    }
}
