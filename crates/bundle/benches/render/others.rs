//! Other programs that do the same, if they are installed, and the kernel's count of memory.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use certcourier_bundle::Pkcs12Profile;

use super::PASSPHRASE;

fn fixture(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path);
    path.to_string_lossy().into_owned()
}

/// `openssl pkcs12 -export`, less what the same command takes at one iteration: start and parsing.
pub(super) fn openssl_pkcs12(profile: Pkcs12Profile, iterations: u32, runs: usize) -> Option<Duration> {
    let (mut whole, mut start) = (Duration::MAX, Duration::MAX);
    for _ in 0..runs {
        whole = whole.min(openssl_run(profile, iterations)?);
        start = start.min(openssl_run(profile, 1)?);
    }
    Some(whole.saturating_sub(start))
}

fn openssl_run(profile: Pkcs12Profile, iterations: u32) -> Option<Duration> {
    let (cipher, mac) = match profile {
        Pkcs12Profile::Modern => ("AES-256-CBC", "SHA256"),
        Pkcs12Profile::Legacy => ("PBE-SHA1-3DES", "SHA1"),
    };
    let (certificate, key) = (fixture("certificates/p256.pem"), fixture("keys/p256.pkcs8.pem"));
    let (passout, iterations) = (format!("pass:{PASSPHRASE}"), iterations.to_string());
    let start = Instant::now();
    let status = Command::new("openssl")
        .args(["pkcs12", "-export", "-in", &certificate, "-inkey", &key, "-passout", &passout])
        .args(["-keypbe", cipher, "-certpbe", cipher, "-macalg", mac, "-iter", &iterations])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    status.success().then(|| start.elapsed())
}

const CRYPTOGRAPHY: &str = r#"
import sys, time
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
certificate, key, profile, iterations, runs, passphrase = sys.argv[1:]
certificate = x509.load_pem_x509_certificate(open(certificate, "rb").read())
key = serialization.load_pem_private_key(open(key, "rb").read(), None)
modern = profile == "Modern"
encryption = (
    PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(int(iterations))
    .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC if modern else pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    .hmac_hash(hashes.SHA256() if modern else hashes.SHA1())
    .build(passphrase.encode())
)
best = float("inf")
for _ in range(int(runs)):
    start = time.perf_counter()
    pkcs12.serialize_key_and_certificates(b"api", key, certificate, None, encryption)
    best = min(best, time.perf_counter() - start)
print(best)
"#;

pub(super) fn cryptography_pkcs12(profile: Pkcs12Profile, iterations: u32, runs: usize) -> Option<Duration> {
    python(
        CRYPTOGRAPHY,
        &[
            &fixture("certificates/p256.pem"),
            &fixture("keys/p256.pkcs8.pem"),
            &profile.to_string(),
            &iterations.to_string(),
            &runs.to_string(),
            PASSPHRASE,
        ],
    )
}

const ZIPFILE: &str = r#"
import io, ssl, sys, time, zipfile
certificate, entries, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
der = ssl.PEM_cert_to_DER_cert(open(certificate).read())
best = float("inf")
for _ in range(runs):
    start = time.perf_counter()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for number in range(entries):
            archive.writestr(zipfile.ZipInfo("api-e%04d.cer" % number), der)
    file.getvalue()
    best = min(best, time.perf_counter() - start)
print(best)
"#;

pub(super) fn python_zipfile(entries: usize, runs: usize) -> Option<Duration> {
    python(ZIPFILE, &[&fixture("certificates/p256.pem"), &entries.to_string(), &runs.to_string()])
}

/// A script that prints seconds.
fn python(script: &str, arguments: &[&str]) -> Option<Duration> {
    // `make bench` names one that has `cryptography`.
    let python = env::var("PYTHON_WITH_CRYPTOGRAPHY").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python).args(["-c", script]).args(arguments).output().ok()?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let seconds = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs_f64(seconds))
}

/// Makes the kernel forget the peak so far; the memory in use now.
pub(super) fn reset_peak_memory_bytes() -> Option<usize> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    status_bytes("VmRSS:")
}

pub(super) fn peak_memory_bytes() -> Option<usize> {
    status_bytes("VmHWM:")
}

fn status_bytes(field: &str) -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kibibytes)
}
