//! Whose a connection is. Every user of a machine can connect to its loopback ports, sees the arguments of all programs (the
//! browser's has the link), and may serve a page on another port of the same address, to which a browser sends the cookies
//! of this one. Linux says whose a connection is, and what it does not say is another's; elsewhere the link and the cookie
//! alone decide.

use std::{fs, net::SocketAddr};

/// The kernel's tables of connections. A program may reach an address of IPv4 through a socket of IPv6, which is in the
/// second.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// `ESTABLISHED`, as the tables write it.
const ESTABLISHED: &str = "01";
const ROOT: u32 = 0;
/// A table is read in pieces, and what changes meanwhile can hide a line.
const ATTEMPTS: usize = 3;

/// Whether the other end of a connection is this user's, or root's, who can do everything anyway and is where some
/// forwarders run. Without `/proc` no one knows, so it counts as theirs.
pub fn is_ours(peer: SocketAddr, here: SocketAddr) -> bool {
    if cfg!(not(target_os = "linux")) {
        return true;
    }
    let own = rustix::process::getuid().as_raw();
    let read = || TABLES.iter().find_map(|table| owner(&fs::read_to_string(table).ok()?, peer, here));
    (0..ATTEMPTS).find_map(|_| read()).is_some_and(|uid| uid == own || uid == ROOT)
}

/// Whose the end of a connection is that has this address, where the other end has that one. None also for one that is
/// closed, or half closed: the kernel no longer says whose it was.
fn owner(table: &str, address: SocketAddr, other: SocketAddr) -> Option<u32> {
    let (address, other) = (Written::of(address)?, Written::of(other)?);
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let mut next = || columns.next();
        let is_it = address.is(next()?) && other.is(next()?) && next()? == ESTABLISHED;
        // Queues, timer and retransmissions stand between.
        if is_it { columns.nth(3)?.parse().ok() } else { None }
    })
}

/// An address as the tables write it: words of four bytes in the order of the machine, and the port.
struct Written {
    v4: String,
    mapped: String,
}

impl Written {
    fn of(address: SocketAddr) -> Option<Self> {
        let SocketAddr::V4(v4) = address else { return None };
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let end = format!("{}:{:04X}", word(v4.ip().octets()), v4.port());
        let zero = word([0; 4]);
        Some(Self { mapped: format!("{zero}{zero}{}{end}", word([0, 0, 0xff, 0xff])), v4: end })
    }

    fn is(&self, column: &str) -> bool {
        column == self.v4 || column == self.mapped
    }
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

    #[cfg(target_endian = "little")]
    #[test]
    fn a_socket_of_ipv6_at_an_address_of_ipv4_has_an_owner_too() {
        let table = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
           0: 0000000000000000FFFF00000100007F:A000 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000 65534        0 11 1\n   \
           1: 0000000000000000FFFF00000100007F:A001 0000000000000000FFFF00000100007F:1F90 05 00000000:00000000 00:00000000 00000000 65534        0 12 1\n   \
           2: 00000000000000000000000001000000:A002 00000000000000000000000001000000:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 13 1\n";
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(owner(table, at(0xA000), at(0x1F90)), Some(65534));
        assert_eq!(owner(table, at(0xA001), at(0x1F90)), None, "one that is half closed is no one's");
        assert_eq!(owner(table, at(0xA002), at(0x1F90)), None, "that is ::1");
    }

    #[test]
    fn a_connection_of_our_own_is_not_another_users() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(here).unwrap();
        assert!(is_ours(client.local_addr().unwrap(), here));
        if cfg!(target_os = "linux") {
            let table = fs::read_to_string(TABLES[0]).unwrap();
            let own = rustix::process::getuid().as_raw();
            assert_eq!(owner(&table, client.local_addr().unwrap(), here), Some(own));
            let mapped = "[::ffff:127.0.0.1]:0".parse::<SocketAddr>().unwrap().ip();
            let client = std::net::TcpStream::connect((mapped, here.port())).unwrap();
            let peer = SocketAddr::new(here.ip(), client.local_addr().unwrap().port());
            assert!(owner(&fs::read_to_string(TABLES[0]).unwrap(), peer, here).is_none(), "it is in the other table");
            assert!(is_ours(peer, here));
            client.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(!is_ours(peer, here), "half closed");
            assert!(!is_ours(here, here), "there is no such connection");
        }
    }
}
