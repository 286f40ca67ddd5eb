//! A place that is not a file: a pipe, a terminal, a device. What is written there goes to someone, so it matters whose
//! it is: in a folder like /tmp, anyone can put a pipe, or a link to one, at a name that is easy to guess.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::{fs::OFlags, process::geteuid};

/// As many links as Linux follows.
const MOST_LINKS: usize = 40;
/// Of a folder's mode: everyone may write there.
const ALL_WRITE: u32 = 0o002;
/// The group may.
const GROUP_WRITE: u32 = 0o020;
/// What is there is only its owner's to remove.
const STICKY: u32 = 0o1000;

/// Why nothing is written there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Untrusted {
    #[error("it belongs to another user (uid {0}), who would read what is written there")]
    Foreign(u32),
    #[error("it is a pipe that others may open (mode {0:03o}): close it with chmod 600")]
    Open(u32),
    #[error("it is not a file, a pipe, a terminal or a device such as /dev/null")]
    Unfit,
    #[error(
        "link {} belongs to another user (uid {uid}) and is in a folder in which others may write: it leads where they want",
        link.display()
    )]
    Link { link: PathBuf, uid: u32 },
    #[error("something else took its place meanwhile")]
    Replaced,
}

/// A pipe or a device that may take what is written.
#[derive(Debug)]
pub(crate) struct SpecialFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    private: bool,
}

impl SpecialFile {
    /// What is at this path, links followed, unless it is a file, a folder or nothing. `private`: what will be written is
    /// no one else's business.
    pub(crate) fn find(path: &Path, private: bool) -> Result<Option<Self>, Untrusted> {
        links_are_trusted(path)?;
        let Ok(found) = fs::metadata(path) else { return Ok(None) };
        if found.is_file() || found.is_dir() {
            return Ok(None);
        }
        if private {
            keeps_secrets(&found)?;
        }
        Ok(Some(Self { path: path.to_owned(), device: found.dev(), inode: found.ino(), private }))
    }

    /// Writes all of it, if what is there still is what was found.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        let found = file.metadata()?;
        if (found.dev(), found.ino()) != (self.device, self.inode) {
            return Err(io::Error::other(Untrusted::Replaced));
        }
        if self.private {
            keeps_secrets(&found).map_err(io::Error::other)?;
        }
        file.write_all(bytes)?;
        file.flush()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The links of /dev/stdout and /dev/fd lead to what has no name; all others are followed beforehand.
    fn open(&self) -> io::Result<File> {
        let real = fs::canonicalize(&self.path).ok();
        let follow = if real.is_some() { OFlags::NOFOLLOW } else { OFlags::empty() };
        OpenOptions::new()
            .write(true)
            .custom_flags((follow | OFlags::NOCTTY).bits().cast_signed())
            .open(real.as_ref().unwrap_or(&self.path))
    }
}

/// A device is made by root alone. A pipe is read by whoever opened it.
fn keeps_secrets(found: &Metadata) -> Result<(), Untrusted> {
    let kind = found.file_type();
    if kind.is_char_device() {
        return Ok(());
    }
    if !kind.is_fifo() {
        return Err(Untrusted::Unfit);
    }
    if found.uid() != geteuid().as_raw() {
        return Err(Untrusted::Foreign(found.uid()));
    }
    match found.mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(Untrusted::Open(mode)),
        _ => Ok(()),
    }
}

/// Follows every link of a path, as Linux does with `fs.protected_symlinks`, which not every system has set: in a folder
/// in which others may write, a link must be ours, root's, or that of the folder's owner.
fn links_are_trusted(path: &Path) -> Result<(), Untrusted> {
    let mut ahead = parts(path);
    let mut here = PathBuf::new();
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        let next = here.join(&part);
        let Ok(found) = fs::symlink_metadata(&next) else { return Ok(()) };
        if !found.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Ok(()); // Nothing can be opened there.
        }
        let folder = if here.as_os_str().is_empty() { Path::new(".") } else { &here };
        if let Ok(folder) = fs::metadata(folder) {
            link_is_trusted(&next, &found, &folder)?;
        }
        let Ok(target) = fs::read_link(&next) else { return Ok(()) };
        // An absolute one begins with `/`, which replaces what is joined.
        ahead.extend(parts(&target));
    }
    Ok(())
}

fn link_is_trusted(link: &Path, found: &Metadata, folder: &Metadata) -> Result<(), Untrusted> {
    let mode = folder.mode();
    let shared = mode & ALL_WRITE != 0 || (mode & STICKY != 0 && mode & GROUP_WRITE != 0);
    let uid = found.uid();
    if shared && ![0, geteuid().as_raw(), folder.uid()].contains(&uid) {
        return Err(Untrusted::Link { link: link.to_owned(), uid });
    }
    Ok(())
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components().rev().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        io::Read as _,
        os::unix::fs::{PermissionsExt as _, chown, lchown, symlink},
        thread,
    };

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const NOBODY: u32 = 65534;

    /// A folder like /tmp.
    pub(crate) fn shared() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        folder
    }

    pub(crate) fn pipe(path: &Path, uid: u32, mode: u32) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, Some(uid), None).unwrap();
    }

    fn untrusted(path: &Path) -> Untrusted {
        SpecialFile::find(path, true).unwrap_err()
    }

    fn us() -> u32 {
        geteuid().as_raw()
    }

    #[test]
    fn a_secret_goes_into_no_pipe_of_another_user_and_into_none_that_others_may_open() {
        let folder = shared();
        let path = |name: &str| folder.path().join(name);
        pipe(&path("theirs"), NOBODY, 0o666);
        assert_eq!(untrusted(&path("theirs")), Untrusted::Foreign(NOBODY));
        pipe(&path("theirs-closed"), NOBODY, 0o600);
        assert_eq!(untrusted(&path("theirs-closed")), Untrusted::Foreign(NOBODY));
        for mode in [0o666, 0o604, 0o640, 0o620] {
            let path = path(&format!("ours-{mode:o}"));
            pipe(&path, us(), mode);
            assert_eq!(untrusted(&path), Untrusted::Open(mode));
        }
        std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(untrusted(&path("socket")), Untrusted::Unfit);
        // What is public may go there.
        assert!(SpecialFile::find(&path("theirs"), false).unwrap().is_some());
    }

    #[test]
    fn a_pipe_of_our_own_takes_a_secret_also_through_a_link_and_dev_fd() {
        let folder = shared();
        let (path, link) = (folder.path().join("ours"), folder.path().join("link"));
        pipe(&path, us(), 0o600);
        symlink("ours", &link).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let unnamed = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer)));
        SpecialFile::find(&unnamed, true).unwrap().unwrap().write(b"unnamed").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "unnamed");
        for place in [&path, &link] {
            let from = path.clone();
            let reader = thread::spawn(move || fs::read_to_string(from).unwrap());
            SpecialFile::find(place, true).unwrap().unwrap().write(b"secret").unwrap();
            assert_eq!(reader.join().unwrap(), "secret");
        }
        assert!(SpecialFile::find(Path::new("/dev/null"), true).unwrap().unwrap().write(b"secret").is_ok());
    }

    #[test]
    fn what_took_the_place_of_a_pipe_gets_nothing() {
        let folder = shared();
        let (path, other) = (folder.path().join("ours"), folder.path().join("other"));
        pipe(&path, us(), 0o600);
        pipe(&other, us(), 0o600);
        let found = SpecialFile::find(&path, true).unwrap().unwrap();
        fs::rename(&other, &path).unwrap();
        let from = path.clone();
        let reader = thread::spawn(move || fs::read(from).unwrap());
        let error = found.write(b"secret").unwrap_err();
        assert!(error.to_string().contains("took its place"), "{error}");
        assert_eq!(reader.join().unwrap(), b"");
        // Its owner opens it, once it was found.
        let found = SpecialFile::find(&path, true).unwrap().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let reader = thread::spawn(move || fs::read(path).unwrap());
        assert!(found.write(b"secret").unwrap_err().to_string().contains("others may open"));
        assert_eq!(reader.join().unwrap(), b"");
    }

    #[test]
    fn a_link_of_another_user_in_a_shared_folder_is_not_followed() {
        let folder = shared();
        let path = |name: &str| folder.path().join(name);
        let link = |name: &str, target: &Path, uid: u32| {
            symlink(target, path(name)).unwrap();
            lchown(path(name), Some(uid), None).unwrap();
        };
        fs::create_dir(path("inner")).unwrap();
        link("theirs", Path::new("/dev/null"), NOBODY);
        link("their-folder", &path("inner"), NOBODY);
        link("ours", &path("theirs"), us());
        link("ours-alone", Path::new("/dev/null"), us());
        let refused = |name: &str, of: &str| {
            let found = SpecialFile::find(&path(name), false).unwrap_err();
            assert_eq!(found, Untrusted::Link { link: path(of), uid: NOBODY }, "{name}");
        };
        refused("theirs", "theirs");
        refused("their-folder", "their-folder");
        refused("their-folder/key.pem", "their-folder");
        refused("ours", "theirs");
        refused("inner/../theirs", "inner/../theirs");
        assert!(SpecialFile::find(&path("ours-alone"), true).unwrap().is_some());
        // In a folder of their own they may do as they like.
        chown(folder.path(), Some(NOBODY), None).unwrap();
        assert!(SpecialFile::find(&path("theirs"), true).unwrap().is_some());
    }
}
