//! Asks the person at the terminal. There is no one where standard input or standard error is not a terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::plugin::error::PluginError;

/// Whether someone can be asked.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The answer to a question, on one line; empty where the input ends.
///
/// # Errors
/// When the terminal cannot be read.
pub async fn ask(question: &str) -> Result<String, PluginError> {
    let question = format!("{} ", super::table::plain(question));
    let asking = tokio::task::spawn_blocking(move || {
        io::stderr().write_all(question.as_bytes())?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok::<_, io::Error>(answer.trim().to_owned())
    });
    let answer = asking.await.map_err(|error| PluginError::new(format!("cannot ask: {error}")))?;
    answer
        .map_err(|error| PluginError::new(format!("cannot read the terminal: {}", crate::transport::of_place(&error))))
}

/// Whether the answer is yes; everything else, and nothing, is no.
///
/// # Errors
/// When the terminal cannot be read.
pub async fn agreed(question: &str) -> Result<bool, PluginError> {
    Ok(is_yes(&ask(&format!("{question} [y/N]:")).await?))
}

fn is_yes(answer: &str) -> bool {
    answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(["y", "Y", "yes", "YES"].into_iter().all(is_yes));
        assert!(!["", "n", "no", "yep", "y e s", "approve"].into_iter().any(is_yes));
    }
}
