//! `certcourier render` as a process, its files judged by everyone else's readers.

#![cfg(test)]

mod bad_input;
mod files;
mod table;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const PASSPHRASE: &str = "correct horse battery";
/// Every kind of key, and the encoding that it is handed in as.
const KINDS: [(&str, &str); 7] = [
    ("rsa2048", "pkcs1"),
    ("rsa3072", "pkcs8"),
    ("rsa4096", "pkcs1"),
    ("p256", "sec1-after-parameters"),
    ("p384", "sec1"),
    ("p521", "pkcs8"),
    ("ed25519", "pkcs8"),
];

/// A folder of the bundle's fixtures.
fn fixture(file: &str) -> String {
    format!("{}/crates/bundle/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// A temporary folder with a passphrase file.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pass"), format!("{PASSPHRASE}\n")).unwrap();
        Self(folder)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Runs a program in the folder.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.start(program, arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// The same with a file as its standard input.
    fn run_with(&self, program: &str, arguments: &[&str], input: &Path) -> Output {
        self.start(program, arguments).stdin(fs::File::open(input).unwrap()).output().unwrap()
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["120", program]).args(arguments).current_dir(self.0.path());
        command
    }

    /// Runs a program: what it printed, or why it failed.
    fn try_check(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let output = self.run(program, arguments);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        Err(format!("{program} {arguments:?}: {}{printed}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs a program that must succeed: what it printed.
    fn check(&self, program: &str, arguments: &[&str]) -> String {
        self.try_check(program, arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs `certcourier render` with the arguments that are separated by spaces in `line`.
    fn render(&self, line: &str) -> Output {
        let arguments: Vec<&str> = ["render"].into_iter().chain(line.split(' ')).collect();
        self.run(env!("CARGO_BIN_EXE_certcourier"), &arguments)
    }

    /// The file that a kind of key is rendered to, with further arguments.
    fn made(&self, format: &str, (kind, encoding): (&str, &str), more: &str, file: &str) -> String {
        let certificate = fixture(&format!("certificates/{kind}.pem"));
        let key = fixture(&format!("keys/{kind}.{encoding}.pem"));
        let line = format!("--format {format} --cert {certificate} --key {key} --passphrase-file pass{more} -o {file}");
        let output = self.render(&line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        file.to_owned()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
