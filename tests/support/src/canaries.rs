//! What is secret in the tests, written down for the test that looks for it afterwards (see `leaks`).
//!
//! Where the tests share a control plane (`make integration`), each token, passphrase, key and credential that a test gets
//! to see is noted beside the control plane, as are the logs and metrics of the programs. Without one nothing is noted.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};

/// One thing to be remembered until the end.
#[derive(Debug, Serialize, Deserialize)]
pub enum Note {
    Secret { what: String, base64: String },
    Namespace(String),
}

/// Where notes are kept: nowhere without a control plane that outlives this process.
static NOTES: LazyLock<Option<Mutex<fs::File>>> = LazyLock::new(|| {
    let file = folder()?.join("notes.jsonl");
    Some(Mutex::new(fs::OpenOptions::new().create(true).append(true).open(file).unwrap()))
});

/// The folder beside the control plane that all test binaries share.
pub fn folder() -> Option<PathBuf> {
    let description = PathBuf::from(std::env::var_os(test_cluster::ATTACH_VARIABLE)?);
    let folder = description.parent()?.join("canaries");
    fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

fn note(note: &Note) {
    if let Some(notes) = &*NOTES {
        let line = serde_json::to_string(note).unwrap() + "\n";
        // In one write, because other processes append too.
        notes.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }
}

/// Remembers something that must be nowhere.
pub fn secret(what: &str, bytes: &[u8]) {
    if bytes.len() >= 12 {
        note(&Note::Secret { what: what.to_owned(), base64: Base64::encode_string(bytes) });
    }
}

/// A download token: its random part, because its address is no secret.
pub fn token(text: &str) {
    secret("a download token", random_part(text).as_bytes());
}

pub fn random_part(token: &str) -> &str {
    token.rsplit('.').next().unwrap_or_default()
}

/// What an answer of the API gives away.
pub fn answer(body: &[u8]) {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    json["token"].as_str().into_iter().for_each(token);
    json["passphrase"].as_str().into_iter().for_each(|text| secret("a passphrase", text.as_bytes()));
}

/// A private key in PEM, as it is and as it is stored.
pub fn key(pem: &str) {
    let (der, text) = key_parts(pem);
    secret("a private key", &der);
    secret("a private key", text.as_bytes());
}

/// Bytes out of its middle that no certificate has, and characters of the line of PEM that they are in.
pub fn key_parts(pem: &str) -> (Vec<u8>, String) {
    let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = Base64::decode_vec(&lines.concat()).unwrap();
    // A line of PEM holds 48 bytes. The private number of a NIST curve stands from byte 36 on, that of Ed25519 from 16.
    let (line, begin) = if der.len() < 60 { (0, 20_usize) } else { (1, 49) };
    let text = &lines[line][(begin % 48 * 4).div_ceil(3)..];
    (der[begin..begin + 18].to_vec(), text[..22.min(text.len())].to_owned())
}

/// A namespace whose objects are to be looked at.
pub fn namespace(name: &str) {
    note(&Note::Namespace(name.to_owned()));
}

/// Keeps the metrics of a program as they are now.
pub fn metrics(probe: SocketAddr, name: &str) {
    let Some(folder) = folder() else { return };
    let text = || -> std::io::Result<Vec<u8>> {
        let mut connection = TcpStream::connect_timeout(&probe, Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        connection.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer)?;
        Ok(answer)
    };
    // A program that a test has stopped has none.
    if let Ok(text) = text() {
        fs::write(folder.join(format!("{name}.metrics")), text).unwrap();
    }
}
