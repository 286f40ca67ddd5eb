//! Where a file goes: whole or not at all, never over another one unasked; what is private closed to others from its first
//! byte, what is public as open as the umask says.
//!
//! Everything that can fail without the file is tried before the plugin asks for it, because a token works once: the
//! folder, the name, and room on the disk.

use std::{
    fs::{self, Permissions},
    io::{self, IsTerminal as _, Seek as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{
    plugin::error::PluginError,
    special_file::{SpecialFile, Untrusted},
    transport::of_place,
};

/// Room that is taken beforehand: more than any file that is not unusual.
const ROOM: [u8; 16 * 1024] = [0; 16 * 1024];
const ROOM_TIMES: usize = 16;

/// A place for a file, ready to take it. Dropped without a file, it leaves nothing.
pub enum Target {
    /// Standard output.
    Stdout,
    /// A pipe, a device: written to as it is.
    Special(SpecialFile),
    /// A file that will be there when it is whole.
    File {
        /// Its name.
        path: PathBuf,
        /// Where it grows, in the same folder.
        temporary: Box<NamedTempFile>,
        /// Whether it may take another's place.
        force: bool,
    },
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// It is a text that a terminal may show.
    pub for_eyes: bool,
    /// It is no one else's business.
    pub private: bool,
}

impl Content {
    /// A passphrase.
    pub const SECRET: Self = Self { for_eyes: true, private: true };

    /// Before the umask, which decides who reads a public file, as with any other program: nginx may have to.
    const fn mode(self) -> u32 {
        if self.private { 0o600 } else { 0o666 }
    }
}

impl Target {
    /// Prepares the place. `path` is a file, a folder, or `-`; `name` the file's name in a folder.
    ///
    /// # Errors
    /// When the file could not be written there.
    pub fn prepare(path: Option<&Path>, name: &str, content: Content, force: bool) -> Result<Self, PluginError> {
        let path = path.unwrap_or(Path::new("."));
        if path.as_os_str() == "-" {
            if io::stdout().is_terminal() && !content.for_eyes {
                return Err(PluginError::usage("this file is not for a terminal: write it with -o FILE, or pipe it"));
            }
            return Ok(Self::Stdout);
        }
        if let Some(special) = special(path, content)? {
            return Ok(Self::Special(special));
        }
        // A link's own file is meant, not the link. What leads nowhere is made.
        let mut path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            path.push(name);
            if let Some(special) = special(&path, content)? {
                return Ok(Self::Special(special));
            }
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => return Err(cannot(&path, &io::Error::from(io::ErrorKind::IsADirectory))),
            Ok(_) if !force => return Err(exists(&path)),
            Ok(_) | Err(_) => {}
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut temporary = tempfile::Builder::new()
            .prefix(".certcourier-")
            .permissions(Permissions::from_mode(content.mode()))
            .tempfile_in(folder)
            .map_err(|error| cannot(&path, &error))?;
        for _ in 0..ROOM_TIMES {
            temporary.write_all(&ROOM).map_err(|error| cannot(&path, &error))?;
        }
        temporary.as_file().sync_all().map_err(|error| cannot(&path, &error))?;
        Ok(Self::File { path, temporary: Box::new(temporary), force })
    }

    /// Puts the file there; its path, where it has one.
    ///
    /// # Errors
    /// When it cannot be written after all. The file then is lost, unless the words say where it is.
    pub fn write(self, bytes: &[u8]) -> Result<Option<PathBuf>, PluginError> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout
                    .write_all(bytes)
                    .and_then(|()| stdout.flush())
                    .map_err(|error| lost("standard output", &error))?;
                Ok(None)
            }
            Self::Special(special) => {
                let path = special.path().to_owned();
                special.write(bytes).map_err(|error| lost(&path.display().to_string(), &error))?;
                Ok(Some(path))
            }
            Self::File { path, mut temporary, force } => {
                fill(&mut temporary, bytes).map_err(|error| lost(&path.display().to_string(), &error))?;
                keep(*temporary, &path, force)?;
                Ok(Some(path))
            }
        }
    }
}

fn fill(temporary: &mut NamedTempFile, bytes: &[u8]) -> io::Result<()> {
    temporary.rewind()?;
    temporary.write_all(bytes)?;
    temporary.as_file().set_len(bytes.len() as u64)?;
    temporary.as_file().sync_all()
}

fn keep(temporary: NamedTempFile, path: &Path, force: bool) -> Result<(), PluginError> {
    let kept = if force { temporary.persist(path) } else { temporary.persist_noclobber(path) };
    let Err(failed) = kept else { return Ok(()) };
    // It is whole, and cannot be downloaded again: it stays under the name it has.
    let cause = failed.error;
    match failed.file.keep() {
        Ok((_, aside)) => Err(PluginError::new(format!(
            "`{}` cannot take its name ({}); the file is whole and is `{}`",
            path.display(),
            of_place(&cause),
            aside.display()
        ))),
        Err(again) => Err(lost(&path.display().to_string(), &again.error)),
    }
}

fn special(path: &Path, content: Content) -> Result<Option<SpecialFile>, PluginError> {
    SpecialFile::find(path, content.private).map_err(|why| untrusted(path, &why))
}

fn untrusted(path: &Path, why: &Untrusted) -> PluginError {
    PluginError::new(format!("`{}` is not written: {why}; nothing was requested", path.display()))
        .next("choose another place, in a folder of your own")
}

fn exists(path: &Path) -> PluginError {
    PluginError::new(format!("`{}` exists", path.display()))
        .next("choose another name with -o, or replace it with --force")
}

fn cannot(path: &Path, error: &io::Error) -> PluginError {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let words = match folder {
        Some(folder) => format!("there is no folder {}; nothing was requested", folder.display()),
        None => format!("`{}` could not be written: {}; nothing was requested", path.display(), of_place(error)),
    };
    PluginError::new(words).next("choose another place with -o")
}

fn lost(place: &str, error: &io::Error) -> PluginError {
    PluginError::new(format!(
        "the file arrived and cannot be written to {place}: {}; its token is used",
        of_place(error)
    ))
    .next("fix that, and create another request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special_file::tests::{pipe, shared};

    const PRIVATE: Content = Content::SECRET;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.pem");
        let target = Target::prepare(Some(&path), "x", PRIVATE, false).unwrap();
        assert!(!path.exists());
        assert_eq!(target.write(b"whole").unwrap().as_deref(), Some(path.as_path()));
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["api.pem"]);
    }

    #[test]
    fn a_public_file_is_as_open_as_any_other_that_is_made_here() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        fs::write(folder.path().join("plain"), "").unwrap();
        let content = Content { private: false, ..PRIVATE };
        let target = Target::prepare(Some(folder.path()), "api.pem", content, false).unwrap();
        target.write(b"whole").unwrap();
        assert_eq!(mode("api.pem"), mode("plain"));
    }

    #[test]
    fn a_target_that_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Target::prepare(Some(folder.path()), "api.pem", PRIVATE, false).unwrap());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_there_is_replaced_only_when_forced_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("api.pem"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let Err(error) = Target::prepare(Some(&link), "x", PRIVATE, false) else { panic!("it exists") };
        assert!(error.report().contains("--force"), "{}", error.report());
        Target::prepare(Some(&link), "x", PRIVATE, true).unwrap().write(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_costs_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.pem");
        let target = Target::prepare(Some(&path), "x", PRIVATE, false).unwrap();
        fs::write(&path, "someone else's").unwrap();
        let report = target.write(b"whole").unwrap_err().report();
        assert_eq!(fs::read(&path).unwrap(), b"someone else's");
        let aside = names(folder.path()).into_iter().find(|name| name.starts_with(".certcourier-")).unwrap();
        assert!(report.contains(&aside), "{report}");
        assert_eq!(fs::read(folder.path().join(aside)).unwrap(), b"whole");
    }

    #[test]
    fn a_folder_that_is_not_there_is_said_before_anything_is_asked_for() {
        let Err(error) = Target::prepare(Some(Path::new("/does/not/exist/x")), "x", PRIVATE, false) else { panic!() };
        assert!(error.report().contains("nothing was requested"), "{}", error.report());
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        let target = Target::prepare(Some(Path::new("/dev/full")), "x", PRIVATE, true).unwrap();
        assert!(matches!(target, Target::Special(_)));
        let report = target.write(b"whole").unwrap_err().report();
        assert!(report.contains("its token is used"), "{report}");
    }

    #[test]
    fn a_pipe_of_another_user_gets_no_key_and_no_passphrase_also_where_only_the_folder_was_named() {
        let folder = shared();
        pipe(&folder.path().join("api.key"), 65534, 0o666);
        for (place, name) in [(folder.path().join("api.key"), "x"), (folder.path().to_owned(), "api.key")] {
            for force in [false, true] {
                let Err(error) = Target::prepare(Some(&place), name, PRIVATE, force) else { panic!("{place:?}") };
                let report = error.report();
                assert!(report.contains("api.key` is not written: it belongs to another user (uid 65534)"), "{report}");
                assert!(report.contains("nothing was requested\nnext:"), "{report}");
            }
        }
        let content = Content { private: false, ..PRIVATE };
        assert!(Target::prepare(Some(folder.path()), "api.key", content, false).is_ok());
    }

    #[test]
    fn a_link_of_another_user_in_a_shared_folder_decides_no_place() {
        let folder = shared();
        let (link, target) = (folder.path().join("link"), folder.path().join("file"));
        fs::write(&target, "ours").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        for content in [PRIVATE, Content { private: false, ..PRIVATE }] {
            let Err(error) = Target::prepare(Some(&link), "x", content, true) else { panic!() };
            assert!(error.report().contains("belongs to another user (uid 65534)"), "{}", error.report());
        }
        assert_eq!(fs::read(&target).unwrap(), b"ours");
    }
}
