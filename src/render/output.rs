//! Where the file goes: complete or not at all, never over another one unasked, and closed to others if it holds a key.

use std::{
    fs::Permissions,
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    special_file::{SpecialFile, Untrusted},
    transport::of_place,
};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    #[error("`{}` exists: choose another name, or replace it with --force", .0.display())]
    Exists(PathBuf),
    #[error("this file is not for a terminal: write it with -o FILE, or pipe it")]
    Terminal,
    #[error("`{}` is not written: {why}; choose another place, in a folder of your own", path.display())]
    Untrusted { path: PathBuf, why: Untrusted },
    #[error("`{}` cannot be written: {}", path.display(), place_or_own(source))]
    Write { path: PathBuf, source: io::Error },
}

/// Writes the bytes; `-` is standard output.
pub(super) fn write(path: &Path, bytes: &[u8], holds_key: bool, force: bool) -> Result<(), OutputError> {
    let failed = |source| OutputError::Write { path: path.to_owned(), source };
    if path.as_os_str() == "-" {
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() && (holds_key || !bytes.is_ascii()) {
            return Err(OutputError::Terminal);
        }
        return stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(failed);
    }
    let special = SpecialFile::find(path, holds_key);
    if let Some(special) = special.map_err(|why| OutputError::Untrusted { path: path.to_owned(), why })? {
        return special.write(bytes).map_err(failed);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For public files the umask decides, as for any other program.
    let mode = if holds_key { 0o600 } else { 0o666 };
    let mut file = tempfile::Builder::new()
        .prefix(".certcourier-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .map_err(|error| failed(without_its_path(&error)))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => OutputError::Exists(path.to_owned()),
        _ => failed(error.error),
    })
}

/// What we made ourselves has words of its own.
fn place_or_own(error: &io::Error) -> String {
    error.get_ref().map_or_else(|| of_place(error), ToString::to_string)
}

/// The cause alone: tempfile adds the path of a file that no one asked for.
fn without_its_path(error: &io::Error) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::NotFound => io::Error::new(kind, "there is no such folder; create it first"),
        kind => kind.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special_file::tests::{pipe, shared};

    #[test]
    fn a_key_goes_into_no_pipe_of_another_user_and_a_device_is_not_replaced() {
        let folder = shared();
        let path = folder.path().join("api.key");
        pipe(&path, 65534, 0o666);
        for force in [false, true] {
            let words = write(&path, b"key", true, force).unwrap_err().to_string();
            assert!(words.contains("is not written: it belongs to another user (uid 65534)"), "{words}");
        }
        let words = write(Path::new("/dev/full"), b"key", true, true).unwrap_err().to_string();
        assert!(words.contains("no space left"), "{words}");
    }
}
