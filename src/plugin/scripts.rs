//! The scripts that ask for completions, one for each shell, and for kubectl.

use clap::ValueEnum;

/// For whom a script is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Script {
    /// The program that kubectl asks.
    #[default]
    Kubectl,
    /// bash 4.4 and later.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
    /// PowerShell.
    Powershell,
}

impl Script {
    /// What `kubectl certcourier completion` prints.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Kubectl => include_str!("scripts/kubectl.sh"),
            Self::Bash => include_str!("scripts/bash.sh"),
            Self::Zsh => include_str!("scripts/zsh.sh"),
            Self::Fish => include_str!("scripts/fish.fish"),
            Self::Powershell => include_str!("scripts/powershell.ps1"),
        }
    }
}
