//! Files that only their owner may read, because they hold tokens or keys.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// Writes a file with mode 0600, whole or not at all: a reader in another process never sees half of it.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    // Named temporary files have mode 0600 from the start.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}
