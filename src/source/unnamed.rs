//! Files that have no name until they are complete: a run that is killed leaves nothing of them, and `git add` finds nothing.

#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
pub use other::*;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};

    use rustix::fs::{AtFlags, CWD, Mode, OFlags};

    /// A file in `directory` that only its owner can open; [`None`] where the file system has none without a name.
    pub fn create(directory: &Path) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR).ok()?);
        // Its name is given by way of this link.
        place(&file).symlink_metadata().is_ok().then_some(file)
    }

    /// Gives a file a name that no other has.
    ///
    /// # Errors
    /// There is such a file, or the system refuses.
    pub fn give_name(file: &File, path: &Path) -> std::io::Result<()> {
        Ok(rustix::fs::linkat(CWD, place(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn place(file: &File) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::fs::File;
    use std::path::Path;

    /// Files have names from the beginning here.
    pub fn create(_directory: &Path) -> Option<File> {
        None
    }

    /// Files have names from the beginning here.
    ///
    /// # Errors
    /// Always.
    pub fn give_name(_file: &File, _path: &Path) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
