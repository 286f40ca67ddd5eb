//! How many connections fit into what the operating system lets the process have open.
//!
//! Programs begin with a soft limit, 1,024 in many containers, which they may raise themselves. Without that, silent
//! clients could take every descriptor before `--max-connections` makes them give way: then no one else gets in, and
//! the server cannot reach the API server either.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use super::limits::PROBE_CONNECTIONS;

/// What the server needs beside its callers' connections: probes, calls to the API server, files, and some room.
const KEPT_BACK: usize = PROBE_CONNECTIONS + 192;

/// Raises the limit as far as it goes, and says how many of the connections that are wanted fit into it.
#[must_use]
pub fn places(wanted: usize) -> usize {
    let limit = raised();
    let places = fitting(wanted, limit);
    if places < wanted {
        warn!(
            places,
            limit,
            "--max-connections {wanted} exceeds the limit of open files, so fewer are accepted; raise it (ulimit -n)"
        );
    }
    places
}

/// The limit of open files, raised from the soft to the hard one.
fn raised() -> usize {
    let found = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: found.maximum, maximum: found.maximum };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { found.maximum } else { found.current };
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Half of a limit that is so low that nothing would be left.
fn fitting(wanted: usize, limit: usize) -> usize {
    wanted.min(limit.saturating_sub(KEPT_BACK).max(limit / 2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_what_else_is_open() {
        for (wanted, limit, places) in
            [(1024, usize::MAX, 1024), (1024, 20_000, 1024), (1024, 1024, 768), (1024, 64, 32), (8, 64, 8), (8, 0, 1)]
        {
            assert_eq!(fitting(wanted, limit), places, "{wanted} of {limit}");
        }
    }
}
