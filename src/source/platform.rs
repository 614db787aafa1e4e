//! Everything that differs between operating systems: modes, owners, signals, core dumps.

#[cfg(unix)]
pub use unix::*;

#[cfg(not(unix))]
pub use other::*;

#[cfg(unix)]
mod unix {
    use std::fs::{File, Metadata, OpenOptions, Permissions};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
    use std::path::Path;
    use std::sync::Once;

    use crate::error::{Error, Kind, Result};

    /// Options that make a file only its owner can read.
    pub fn private() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600);
        options
    }

    /// Makes directories, and their parents, that only their owner can enter.
    pub fn private_directory() -> std::fs::DirBuilder {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
    }

    /// Gives a new file the mode and owner of the one it replaces; without one the usual mode of new files.
    ///
    /// # Errors
    /// The owner can't be kept.
    pub fn take_over(file: &File, old: Option<&Metadata>, private: bool) -> std::io::Result<()> {
        match old {
            Some(old) => {
                let new = file.metadata()?;
                if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                    fchown(file, Some(old.uid()), Some(old.gid()))?;
                }
                file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
            }
            None if private => Ok(()),
            None => file.set_permissions(Permissions::from_mode(0o666 & !umask())),
        }
    }

    fn umask() -> u32 {
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        rustix::process::umask(mask);
        mask.as_raw_mode() as u32
    }

    /// A rename would part a file from its other names.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn refuse_hard_links(path: &Path, metadata: &Metadata) -> Result<()> {
        if metadata.nlink() < 2 {
            return Ok(());
        }
        let message = format!("can't replace {}: it has {} names (hard links), which would part", path.display(), metadata.nlink());
        Err(Error::new(Kind::Unwritable, message).hint("--write-through writes into the file itself, --output a new file"))
    }

    /// Makes a rename durable. A directory that can't be synced is no failure: the rename itself is done.
    pub fn sync_directory(target: &Path) {
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Ok(directory) = File::open(directory) {
            let _ = directory.sync_all();
        }
    }

    /// Removes half-written files on INT, TERM and HUP, and ends with 128 + the signal's number.
    pub fn watch_signals() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
            let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
            std::thread::spawn(move || {
                if let Some(signal) = signals.forever().next() {
                    crate::source::clean_up();
                    std::process::exit(128 + signal);
                }
            });
        });
    }

    /// No core dump may hold a data key.
    pub fn forbid_core_dumps() {
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }

    /// The device that holds a path: a change on the way up is a border between file systems.
    pub fn device(path: &Path) -> Option<u64> {
        path.metadata().ok().map(|metadata| metadata.dev())
    }

    /// The owner of a path.
    pub fn owner(path: &Path) -> Option<u32> {
        path.metadata().ok().map(|metadata| metadata.uid())
    }

    /// The user that runs this process.
    pub fn user() -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

#[cfg(not(unix))]
mod other {
    use std::fs::{File, Metadata, OpenOptions};
    use std::path::Path;

    use crate::error::Result;

    /// Options for a new file; access follows the directory's rules.
    pub fn private() -> OpenOptions {
        OpenOptions::new()
    }

    /// Makes directories and their parents; access follows the directory's rules.
    pub fn private_directory() -> std::fs::DirBuilder {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        builder
    }

    /// Modes and owners follow the directory here.
    ///
    /// # Errors
    /// None.
    pub fn take_over(_file: &File, _old: Option<&Metadata>, _private: bool) -> std::io::Result<()> {
        Ok(())
    }

    /// Hard links aren't told apart here.
    ///
    /// # Errors
    /// None.
    pub fn refuse_hard_links(_path: &Path, _metadata: &Metadata) -> Result<()> {
        Ok(())
    }

    /// Directories can't be synced here.
    pub fn sync_directory(_target: &Path) {}

    /// The console ends the process itself; temporary files are removed by the next run.
    pub fn watch_signals() {}

    /// Core dumps are a matter of the system's settings here.
    pub fn forbid_core_dumps() {}

    /// Not known here.
    pub fn device(_path: &Path) -> Option<u64> {
        None
    }

    /// Not known here.
    pub fn owner(_path: &Path) -> Option<u32> {
        None
    }

    /// Not known here.
    pub fn user() -> u32 {
        0
    }
}
