//! The readers, and those of them that read many files in one run.

use std::{env, fs, process::Command};

use super::{facts::Facts, keytool, made::Made, nss, openssl};
use crate::Folder;

/// A program that is not ours.
pub(super) struct Reader {
    pub(super) name: &'static str,
    /// What it is given.
    pub(super) formats: &'static [&'static str],
    /// Which facts it shows: see [`Facts`].
    pub(super) shows: &'static [&'static str],
    /// Whether it keeps the order of the certificates.
    pub(super) in_order: bool,
    /// Reads in the folder; one result for each file.
    pub(super) read: Read,
}

type Read = fn(&Folder, &[&Made]) -> Vec<Found>;

/// What was found in a file, or why nothing was.
pub(super) type Found = Result<Facts, String>;

const PEM_AND_PKCS12: &[&str] = &["cert", "chain", "fullchain", "ca", "der", "key", "combined", "pkcs12"];
const ZIP: &[&str] = &["zip", "der-zip"];

pub(super) const READERS: [Reader; 11] = [
    Reader {
        name: "openssl",
        formats: PEM_AND_PKCS12,
        shows: &["certificate", "name", "key", "key-name"],
        in_order: true,
        read: openssl::read,
    },
    Reader {
        name: "openssl -legacy",
        formats: &["pkcs12"],
        shows: &["certificate", "name", "key", "key-name"],
        in_order: true,
        read: openssl::read_legacy,
    },
    Reader {
        name: "keytool -list",
        formats: &["pkcs12"],
        shows: &["certificate", "key-name"],
        in_order: true,
        read: keytool::list,
    },
    Reader {
        name: "keytool -importkeystore",
        formats: &["pkcs12"],
        shows: &["certificate", "key", "key-name"],
        in_order: true,
        read: keytool::import,
    },
    Reader {
        name: "Java",
        formats: &["cert", "chain", "fullchain", "ca", "der", "zip", "der-zip"],
        shows: &["certificate", "entry"],
        in_order: true,
        read: java,
    },
    Reader {
        name: "Python cryptography",
        formats: PEM_AND_PKCS12,
        shows: &["certificate", "name", "key"],
        in_order: true,
        read: python,
    },
    Reader { name: "Python zipfile", formats: ZIP, shows: &["entry"], in_order: true, read: python },
    Reader {
        name: "Go",
        formats: &["cert", "chain", "fullchain", "ca", "der", "key", "combined", "pkcs12", "zip", "der-zip"],
        shows: &["certificate", "key", "entry"],
        in_order: true,
        read: go,
    },
    Reader {
        name: "pk12util -l",
        formats: &["pkcs12"],
        shows: &["certificate", "name", "key-name"],
        in_order: true,
        read: nss::list,
    },
    Reader {
        name: "pk12util -i",
        formats: &["pkcs12"],
        shows: &["certificate", "key", "key-name"],
        in_order: false,
        read: nss::import,
    },
    Reader { name: "unzip", formats: ZIP, shows: &["entry"], in_order: true, read: unzip },
];

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/render/table");

fn java(folder: &Folder, made: &[&Made]) -> Vec<Found> {
    batch(folder, made, "java", &["-XX:TieredStopAtLevel=1", &format!("{HERE}/Reader.java")])
}

/// The interpreter that `make` has put `cryptography` beside, or the machine's own.
fn python(folder: &Folder, made: &[&Made]) -> Vec<Found> {
    let python = env::var("PYTHON_WITH_CRYPTOGRAPHY").unwrap_or_else(|_| "python3".to_owned());
    let found = folder.try_check(&python, &["-c", "import cryptography"]);
    assert!(found.is_ok(), "`{python}` has no cryptography: `make render` runs this test with one that has");
    batch(folder, made, &python, &[&format!("{HERE}/reader.py"), "pass"])
}

fn go(folder: &Folder, made: &[&Made]) -> Vec<Found> {
    let reader = folder.path("go-reader").display().to_string();
    // The first build fetches and compiles; it has more time than a reader.
    let module = format!("{HERE}/go");
    let built =
        Command::new("timeout").args(["300", "go", "build", "-C", &module, "-o", &reader, "."]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    batch(folder, made, &reader, &["pass"])
}

/// Tested, then unpacked.
fn unzip(folder: &Folder, made: &[&Made]) -> Vec<Found> {
    made.iter()
        .map(|made| {
            let tested = folder.try_check("unzip", &["-t", &made.path])?;
            if !tested.contains("No errors detected") {
                return Err(tested);
            }
            let mut facts = Facts::default();
            for name in folder.try_check("unzip", &["-Z1", &made.path])?.lines() {
                let content = folder.run("unzip", &["-p", &made.path, name]).stdout;
                facts.add("entry", format!("{name} {}", super::facts::sha256(&content)));
            }
            Ok(facts)
        })
        .collect()
}

/// A program that takes lines of `KIND FILE`, and answers each with `file FILE` and its facts, or `error WHY`.
fn batch(folder: &Folder, made: &[&Made], program: &str, arguments: &[&str]) -> Vec<Found> {
    let kind = |made: &Made| match made.format() {
        kind @ ("der" | "pkcs12") => kind,
        "zip" | "der-zip" => "zip",
        _ => "pem",
    };
    let lines: Vec<String> = made.iter().map(|made| format!("{} {}", kind(made), made.path)).collect();
    let list = tempfile::NamedTempFile::new_in(folder.path(".")).unwrap();
    fs::write(list.path(), lines.join("\n")).unwrap();
    let output = folder.run_with(program, arguments, list.path());
    let text = format!("\n{}", String::from_utf8(output.stdout).unwrap());
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<&str> = text.split("\nfile ").skip(1).collect();
    assert_eq!(answers.len(), made.len(), "{program}: {text}");
    made.iter().zip(answers).map(|(made, answer)| answered(&made.path, answer)).collect()
}

fn answered(path: &str, answer: &str) -> Found {
    let mut lines = answer.lines();
    assert_eq!(lines.next(), Some(path));
    let mut facts = Facts::default();
    for line in lines {
        match line.split_once(' ').unwrap() {
            ("error", why) => return Err(why.to_owned()),
            (kind, fact) => facts.add(kind, fact),
        }
    }
    Ok(facts)
}
