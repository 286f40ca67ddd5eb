//! Free loopback ports.

use std::{io, net::TcpListener};

/// Below the range from which Linux takes ports for outgoing connections (32768–60999): a port that is released for a
/// moment, as while the API server restarts, is not taken by a client in between.
const RANGE: std::ops::Range<u16> = 10_240..32_000;
/// With so many tries failing, something other than bad luck is the cause.
const TRIES: usize = 200;

/// `N` different ports on 127.0.0.1 that nobody listened on a moment ago. Another process may still be faster, so the
/// caller has to try again when a program finds its port taken.
///
/// # Errors
/// When no port can be found.
pub fn free<const N: usize>() -> io::Result<[u16; N]> {
    // Held until all are found, so that they differ.
    let mut held: Vec<TcpListener> = Vec::with_capacity(N);
    let mut ports = [0; N];
    let mut last_error = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        if held.len() == N {
            return Ok(ports);
        }
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let candidate = RANGE.start + u16::from_ne_bytes(random) % (RANGE.end - RANGE.start);
        match TcpListener::bind(("127.0.0.1", candidate)) {
            Ok(listener) => {
                ports[held.len()] = candidate;
                held.push(listener);
            }
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let ports: [u16; 16] = free().unwrap();
        let mut distinct = ports.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ports.len());
        let start = Instant::now();
        for port in ports {
            // A process that another test starts at this moment shares our listeners until it calls exec.
            while let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
                assert!(start.elapsed() < Duration::from_secs(5), "{port}: {error}");
                std::thread::yield_now();
            }
        }
    }
}
