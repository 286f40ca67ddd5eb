//! The certcourier binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    certcourier::cli::run()
}
