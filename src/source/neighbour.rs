//! What passes between this process and the programs around it: pipes and messages.

#[cfg(unix)]
pub use unix::*;

#[cfg(not(unix))]
pub use other::*;

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::path::Path;

    /// Lets programs that are started from here on have a pipe, and gives the path under which they open it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn inherited(pipe: &std::io::PipeReader) -> std::io::Result<String> {
        use std::os::fd::AsRawFd;
        rustix::io::fcntl_setfd(pipe, rustix::io::FdFlags::empty())?;
        Ok(format!("/dev/fd/{}", pipe.as_raw_fd()))
    }

    /// Whether open files have paths.
    pub const HAS_DESCRIPTORS: bool = true;

    /// The standard error of the program that started this one, where the system lets others open it, else the terminal. A
    /// file isn't written: both would write to the same place of it.
    pub fn callers_messages() -> Option<File> {
        use std::os::unix::fs::FileTypeExt;
        let caller = format!("/proc/{}/fd/2", std::os::unix::process::parent_id());
        let places = [caller.as_str(), "/dev/tty"].into_iter();
        let stream = |path: &&str| {
            let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
            kind.is_ok_and(|kind| (kind.is_fifo() || kind.is_char_device()) && !is_null(path))
        };
        places.filter(stream).find_map(|path| OpenOptions::new().append(true).open(path).ok())
    }

    fn is_null(path: &str) -> bool {
        std::fs::canonicalize(path).is_ok_and(|path| path == Path::new("/dev/null"))
    }
}

#[cfg(not(unix))]
mod other {
    use std::fs::File;

    /// Open files have no paths here.
    ///
    /// # Errors
    /// Always.
    pub fn inherited(_pipe: &std::io::PipeReader) -> std::io::Result<String> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    /// Whether open files have paths.
    pub const HAS_DESCRIPTORS: bool = false;

    /// Streams of other programs can't be opened here.
    pub fn callers_messages() -> Option<File> {
        None
    }
}
