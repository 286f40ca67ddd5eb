//! Opening a link in the person's browser.

use std::process::{Command, Stdio};

/// What opens links here, and does not stay.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Starts the browser; whether that could be tried. The link is an argument that other users of this machine can read:
/// it works once, and [`super::neighbour`] refuses their connections.
pub fn open(link: &str) -> bool {
    let mut command = Command::new(OPENER);
    command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
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
