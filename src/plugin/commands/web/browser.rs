//! Opening a link in the person's browser.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

/// What opens links here, and does not stay.
const OPENER: &str = if cfg!(target_os = "macos") { "osascript" } else { "xdg-open" };

/// Starts the browser; whether that could be tried.
pub fn open(link: &str) -> bool {
    match start(link) {
        Ok(mut child) => {
            // Some openers become the browser: it is waited for beside, so that none stays a zombie.
            std::thread::spawn(move || child.wait());
            true
        }
        Err(error) => {
            tracing::debug!(%error, OPENER, "no browser");
            false
        }
    }
}

/// On macOS no one but the opener reads the link. Elsewhere it is an argument, which other users of this machine can read: it
/// works once, and [`super::neighbour`] refuses their connections. A file that leads to it, which only its owner may read,
/// would be out of reach of browsers in a sandbox (snap, flatpak).
fn start(link: &str) -> std::io::Result<Child> {
    let mut command = Command::new(OPENER);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    if cfg!(target_os = "macos") {
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        if let Some(mut script) = child.stdin.take() {
            writeln!(script, "open location \"{link}\"")?;
        }
        return Ok(child);
    }
    command.arg(link).stdin(Stdio::null()).spawn()
}
