//! Prints one table: what a render costs against the hashing that it cannot avoid, and against other
//! programs that do the same, as far as they are installed.
//!
//! `cargo bench -p certcourier-bundle`. Times are the best of several runs, taken in turn with what
//! they are compared with, so that a busy machine disturbs both alike.

#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to report")]

#[path = "render/floor.rs"]
mod floor;
#[path = "render/others.rs"]
mod others;

use std::time::{Duration, Instant};

use certcourier_bundle::{
    Artifact, EnvironmentMaterial, Format, Limits, Material, Passphrase, Pkcs12Options, Pkcs12Profile, Randomness,
    RandomnessError, RawMaterial, RenderOptions, render,
};

const CERTIFICATE: &str = include_str!("../tests/fixtures/certificates/p256.pem");
const KEY: &str = include_str!("../tests/fixtures/keys/p256.pkcs8.pem");
const PASSPHRASE: &str = "h4Wn7pQzRk2mVtYc9sXbEd3f";

/// Iterations and how often each is run.
const ITERATIONS: [(u32, usize); 3] = [(2_048, 200), (10_000, 60), (600_000, 20)];

const ENTRIES: usize = 1_000;

/// Bytes that need not be unpredictable here.
struct Counter(u8);

impl Randomness for Counter {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), RandomnessError> {
        for byte in buffer {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

fn main() {
    // `cargo test --all-targets` starts it too, without this argument: there is nothing to test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let material = material(CERTIFICATE, Some(KEY));
    // First, while the heap is small.
    let memory = der_zip_memory();
    println!("PKCS#12, P-256 key and one certificate, ms per file (best run)");
    println!(
        "{:<8}{:>11}{:>10}{:>10}{:>8}{:>7}{:>14}{:>14}",
        "profile", "iterations", "ours", "floor", "ratio", "goal", "openssl", "cryptography"
    );
    for (profile, goal) in [(Pkcs12Profile::Modern, 1.2), (Pkcs12Profile::Legacy, 1.5)] {
        for (iterations, runs) in ITERATIONS {
            pkcs12_row(&material, profile, iterations, runs, goal);
        }
    }
    println!("openssl: `openssl pkcs12 -export` without its start and key parsing (the same at 1 iteration).");
    println!("cryptography: serialize_key_and_certificates, timed inside python.");
    println!();
    der_zip_row();
    println!("{memory}");
}

fn pkcs12_row(material: &Material, profile: Pkcs12Profile, iterations: u32, runs: usize, goal: f64) {
    let options = RenderOptions {
        passphrase: Some(Passphrase::new(PASSPHRASE.to_owned()).expect("a passphrase")),
        pkcs12: Pkcs12Options { profile, friendly_name: None, iterations },
        ..RenderOptions::new("api")
    };
    let one = [EnvironmentMaterial { environment: "production", material }];
    let (ours, floor) = best_of_each(
        runs,
        || {
            std::hint::black_box(render(Format::Pkcs12, &one, &options, &mut Counter(0)).expect("a file"));
        },
        || {
            std::hint::black_box(match profile {
                Pkcs12Profile::Modern => u64::from(floor::modern(iterations)),
                Pkcs12Profile::Legacy => u64::from(floor::legacy(iterations)),
            });
        },
    );
    let openssl = others::openssl_pkcs12(profile, iterations, runs.min(60));
    let cryptography = others::cryptography_pkcs12(profile, iterations, runs.min(20));
    println!(
        "{:<8}{:>11}{:>10.3}{:>10.3}{:>8.2}{:>7}{:>14}{:>14}",
        profile.to_string(),
        iterations,
        milliseconds(ours),
        milliseconds(floor),
        ours.as_secs_f64() / floor.as_secs_f64(),
        format!("<={goal}"),
        shown(openssl),
        shown(cryptography),
    );
}

fn der_zip_row() {
    let material = material(CERTIFICATE, None);
    let names = environment_names();
    let (ours, _) = best_of_each(
        50,
        || {
            std::hint::black_box(der_zip(&names, &material));
        },
        || {},
    );
    println!("der-zip of {ENTRIES} certificates, ms (best run)");
    match others::python_zipfile(ENTRIES, 20) {
        Some(python) => println!(
            "ours {:.3}, python zipfile {:.3} (timed inside python), ratio {:.3} (goal <=0.15)",
            milliseconds(ours),
            milliseconds(python),
            ours.as_secs_f64() / python.as_secs_f64()
        ),
        None => println!("ours {:.3}, python is not installed", milliseconds(ours)),
    }
}

/// Peak memory that one der-zip render adds to the process, by the kernel's count.
fn der_zip_memory() -> String {
    let material = material(CERTIFICATE, None);
    let names = environment_names();
    let Some(before) = others::reset_peak_memory_bytes() else {
        return "peak memory: not measured, /proc is not there".to_owned();
    };
    let artifact = der_zip(&names, &material);
    let peak = others::peak_memory_bytes().unwrap_or(before);
    let (archive, added) = (artifact.bytes.len(), peak.saturating_sub(before));
    format!(
        "peak memory added by the render: {} KiB for an archive of {} KiB, {} KiB beside it (goal <= {} KiB)",
        added / 1024,
        archive / 1024,
        added.saturating_sub(archive) / 1024,
        archive / 1024
    )
}

fn environment_names() -> Vec<String> {
    (0..ENTRIES).map(|number| format!("e{number:04}")).collect()
}

fn der_zip(names: &[String], material: &Material) -> Artifact {
    let environments: Vec<EnvironmentMaterial<'_>> =
        names.iter().map(|environment| EnvironmentMaterial { environment, material }).collect();
    render(Format::DerZip, &environments, &RenderOptions::new("api"), &mut Counter(0)).expect("a file")
}

fn material(certificate: &str, key: Option<&str>) -> Material {
    let raw = RawMaterial { certificate: certificate.as_bytes(), private_key: key.map(str::as_bytes), ca: None };
    Material::parse(&raw, &Limits::default()).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The shortest of several runs of each, taken in turn.
fn best_of_each(runs: usize, mut one: impl FnMut(), mut other: impl FnMut()) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..runs {
        best.0 = best.0.min(timed(&mut one));
        best.1 = best.1.min(timed(&mut other));
    }
    best
}

fn timed(run: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn shown(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "absent".to_owned(), |duration| format!("{:.3}", milliseconds(duration)))
}
