//! One file for each command: an `Args` struct that clap fills, and `run(&Ctx, &Args)`.

pub mod list;
