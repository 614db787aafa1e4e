//! A directory for plaintext that only this user can enter: in memory where the system has a file system for that, and
//! gone at the end of the run, on a signal, and after a crash at the next start.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{platform, signals};
use crate::error::{Error, Kind, Result};

/// How the names of these directories start.
const PREFIX: &str = "kveil-";
/// Memory that every Linux shares between processes.
const SHARED_MEMORY: &str = "/dev/shm";
/// An editor that is being ended may write once more.
const WIPES: u32 = 20;

/// Where the directory may be made.
#[derive(Default)]
pub struct Places {
    /// Named by the user: the only place then.
    pub named: Option<PathBuf>,
    /// The session's own directory, `$XDG_RUNTIME_DIR`.
    pub runtime: Option<PathBuf>,
}

/// The directory; wiped when dropped.
pub struct Private {
    path: PathBuf,
    /// Held as long as the directory is in use: one that can be locked belongs to a process that died.
    lock: Option<File>,
    /// Whether the plaintext may reach a disk, in a place that nobody named.
    pub on_disk: bool,
}

impl Private {
    /// Makes one, after wiping those of this user that dead processes left.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn create(places: &Places) -> Result<Private> {
        if let Some(named) = &places.named {
            sweep(named);
            return Private::inside(named, false).map_err(|why| unwritable(named, &why));
        }
        let own = |path: &PathBuf| platform::owner(path) == Some(platform::user());
        let runtime = places.runtime.clone().filter(own);
        let in_memory = runtime.into_iter().chain([PathBuf::from(SHARED_MEMORY)]).filter(|path| platform::is_in_memory(path));
        let in_memory: Vec<PathBuf> = in_memory.collect();
        in_memory.iter().for_each(|place| sweep(place));
        if let Some(made) = in_memory.iter().find_map(|place| Private::inside(place, false).ok()) {
            return Ok(made);
        }
        let disk = std::env::temp_dir();
        sweep(&disk);
        Private::inside(&disk, !platform::is_in_memory(&disk)).map_err(|why| unwritable(&disk, &why))
    }

    fn inside(place: &Path, on_disk: bool) -> std::io::Result<Private> {
        loop {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
            let path = place.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(random)));
            if let Err(why) = signals::make(&path, || platform::private_directory().recursive(false).create(&path)) {
                signals::forget(&path);
                return Err(why);
            }
            let lock = locked(&path);
            if path.is_dir() {
                return Ok(Private { path, lock, on_disk });
            }
            // Another start took it for a dead one before it was locked.
            signals::forget(&path);
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a new file that only this user can read.
    ///
    /// # Errors
    /// `Unwritable` (3); a full memory file system says how to use another place.
    pub fn write(&self, name: &OsStr, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path.join(name);
        let file = platform::private().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(bytes)).map_err(|why| unwritable(&self.path, &why))?;
        Ok(path)
    }

    /// A copy of the lock, for a process that outlives this one and removes the directory itself.
    pub fn hand_over(mut self) -> Option<File> {
        signals::forget(&self.path);
        let lock = self.lock.take();
        std::mem::take(&mut self.path);
        lock
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        wipe(&self.path);
        signals::forget(&self.path);
    }
}

fn unwritable(place: &Path, why: &std::io::Error) -> Error {
    let error = Error::new(Kind::Unwritable, format!("no private directory for the plaintext in {}: {why}", place.display()));
    error.hint("point XDG_RUNTIME_DIR to a tmpfs of yours, or TMPDIR to any directory")
}

/// A lock on the directory, where the system has such locks.
fn locked(path: &Path) -> Option<File> {
    let directory = File::open(path).ok()?;
    directory.try_lock().ok()?;
    Some(directory)
}

/// Wipes what dead processes of this user left in `place`.
fn sweep(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten().filter(|entry| is_name(&entry.file_name())) {
        let path = entry.path();
        let own = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir() && platform::is_owner(&metadata));
        if own && let Some(_lock) = locked(&path) {
            wipe(&path);
        }
    }
}

fn is_name(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Overwrites the files of a private directory and removes it with all that is in it.
pub fn wipe(directory: &Path) {
    for _ in 0..WIPES {
        overwrite(directory);
        match fs::remove_dir_all(directory) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => std::thread::sleep(std::time::Duration::from_millis(10)),
            _ => return,
        }
    }
}

fn overwrite(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => overwrite(&path),
            // One with a second name is somebody's own copy.
            Ok(metadata) if metadata.is_file() && platform::names(&metadata) == 1 => {
                let zeros = vec![0; usize::try_from(metadata.len()).unwrap_or(0)];
                let _ = fs::OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(&zeros));
            }
            _ => {}
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn in_place(place: &Path) -> Private {
        Private::create(&Places { named: Some(place.to_owned()), runtime: None }).unwrap()
    }

    #[test]
    fn only_its_owner_can_enter_and_nothing_stays() {
        let place = tempfile::tempdir().unwrap();
        let private = in_place(place.path());
        let path = private.path().to_owned();
        let file = private.write(OsStr::new("a.yaml"), b"hunter2").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
        fs::create_dir(path.join("sub")).unwrap();
        fs::write(path.join("sub/.a.yaml.swp"), "hunter2").unwrap();
        drop(private);
        assert!(!path.exists());
    }

    #[test]
    fn directories_of_the_dead_are_wiped_and_those_of_the_living_are_not() {
        let place = tempfile::tempdir().unwrap();
        let living = in_place(place.path());
        let dead = place.path().join("kveil-0123456789abcdef");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("a.yaml"), "hunter2").unwrap();
        let other = place.path().join("kveil-notes");
        fs::create_dir(&other).unwrap();
        drop(in_place(place.path()));
        assert!(living.path().exists() && other.exists() && !dead.exists());
    }

    #[test]
    fn a_file_with_a_second_name_keeps_its_content() {
        let place = tempfile::tempdir().unwrap();
        let private = in_place(place.path());
        let file = private.write(OsStr::new("a"), b"kept").unwrap();
        fs::hard_link(file, place.path().join("copy")).unwrap();
        drop(private);
        assert_eq!(fs::read(place.path().join("copy")).unwrap(), b"kept");
    }
}
