//! Whether a connection comes from another user of this machine. Every user of a machine can connect to its loopback ports,
//! sees the arguments of all programs (the browser's has the link), and may serve a page on another port of 127.0.0.1, to
//! which a browser sends the cookies of this one. Linux says whose a connection is; where it does not say, the link and
//! the cookie alone decide.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

/// The kernel's table of connections.
const TABLE: &str = "/proc/net/tcp";
/// `ESTABLISHED`, as the table writes it.
const ESTABLISHED: &str = "01";
const ROOT: u32 = 0;

/// Whether the other end of a connection is known to belong to another user. Root can do everything anyway, and is where
/// some forwarders run.
pub fn is_of_another_user(peer: SocketAddr, here: SocketAddr) -> bool {
    let own = rustix::process::getuid().as_raw();
    let Ok(table) = fs::read_to_string(TABLE) else { return false };
    owner(&table, peer, here).is_some_and(|uid| uid != own && uid != ROOT)
}

/// Whose the end of a connection is that has this address, where the other end has that one.
fn owner(table: &str, address: SocketAddr, other: SocketAddr) -> Option<u32> {
    let (address, other) = (written(address)?, written(other)?);
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let mut next = || columns.next();
        let is_it = next()? == address && next()? == other && next()? == ESTABLISHED;
        // Queues, timer and retransmissions stand between.
        if is_it { columns.nth(3)?.parse().ok() } else { None }
    })
}

/// As the table writes an address: the bytes in the order of the machine, and the port.
fn written(address: SocketAddr) -> Option<String> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_owner_of_a_connection_is_the_user_at_its_other_end() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
           0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1\n   \
           1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000  1000        0 12 1\n   \
           2: 0100007F:A000 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 13 1\n   \
           3: 0100007F:A001 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 0 3\n";
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(owner(table, at(0xA000), at(0x1F90)), Some(1001));
        assert_eq!(owner(table, at(0x1F90), at(0xA000)), Some(1000));
        assert_eq!(owner(table, at(0xA001), at(0x1F90)), None, "one that has ended is no one's");
        assert_eq!(owner(table, at(0xA002), at(0x1F90)), None);
    }

    #[test]
    fn a_connection_of_our_own_is_not_another_users() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(here).unwrap();
        assert!(!is_of_another_user(client.local_addr().unwrap(), here));
        if cfg!(target_os = "linux") {
            let table = fs::read_to_string(TABLE).unwrap();
            let own = rustix::process::getuid().as_raw();
            assert_eq!(owner(&table, client.local_addr().unwrap(), here), Some(own));
        }
    }
}
