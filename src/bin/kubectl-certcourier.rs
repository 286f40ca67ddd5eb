//! The kubectl plugin: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    certcourier::plugin::run()
}
