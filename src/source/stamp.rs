//! What a file was when it was read: one that somebody else changed since then isn't written over. Kept here for all verbs,
//! so that none can leave the question out.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use foldhash::quality::RandomState;
use zeroize::Zeroizing;

use super::platform;
use crate::error::{Error, Kind, Result};

/// The files that were read, under their paths as given, made absolute.
static SEEN: LazyLock<Mutex<HashMap<PathBuf, Stamp>>> = LazyLock::new(Mutex::default);

/// Of this process: whoever changes a file can't know what to change it to.
static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Changes of a file within this time may leave its time as it is: file systems count in steps of up to two seconds.
const STEP: Duration = Duration::from_secs(2);

/// Bytes that are read at a time.
const PIECE: usize = 1 << 16;

#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    identity: (u64, u64),
    size: u64,
    modified: Option<SystemTime>,
    /// Of a file that was changed just before it was read: its time alone wouldn't tell another change.
    content: Option<u64>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp { identity: platform::identity(metadata), size: metadata.len(), modified: metadata.modified().ok(), content: None }
    }
}

/// Keeps what `path` was: `before` is from before its `bytes` were read.
pub fn note(path: &Path, before: &Metadata, bytes: &[u8]) {
    if !before.is_file() {
        return;
    }
    let mut stamp = Stamp::of(before);
    let settled = stamp.modified.is_some_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > STEP));
    if !settled {
        stamp.content = content(bytes).ok();
    }
    if let Ok(mut seen) = SEEN.lock() {
        seen.insert(name(path), stamp);
    }
}

/// Refuses to write to a file that isn't what it was when it was read last. One that wasn't read may be anything.
///
/// # Errors
/// `Unwritable` (3); nothing may be written then.
pub fn check(path: &Path) -> Result<()> {
    // The lock isn't held while the file is read: other files wait for it.
    let Some(stamp) = SEEN.lock().ok().and_then(|seen| seen.get(&name(path)).cloned()) else { return Ok(()) };
    let Ok(metadata) = fs::metadata(path) else { return Err(changed(path, "gone")) };
    let content = stamp.content.and_then(|_| content(fs::File::open(path).ok()?).ok());
    if (Stamp { content, ..Stamp::of(&metadata) }) == stamp { Ok(()) } else { Err(changed(path, "changed")) }
}

/// The hash of what a file holds, read piece by piece.
fn content(mut file: impl Read) -> std::io::Result<u64> {
    let (mut hasher, mut piece) = (STATE.build_hasher(), Zeroizing::new(Vec::with_capacity(PIECE)));
    loop {
        piece.clear();
        file.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        hasher.write(&piece);
        if piece.len() < PIECE {
            return Ok(hasher.finish());
        }
    }
}

/// What this process wrote itself is no change by others.
pub fn forget(path: &Path) {
    if let Ok(mut seen) = SEEN.lock() {
        seen.remove(&name(path));
    }
}

fn changed(path: &Path, what: &str) -> Error {
    let message = format!("can't write {}: it was {what} since it was read, nothing was written", path.display());
    Error::new(Kind::Unwritable, message).hint("run the command again, it then starts from what is there now")
}

fn name(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, write, write_through};

    fn read(path: &Path) {
        Source::File(path.to_owned()).read().unwrap();
    }

    /// `change` between reading and writing a file that was last changed `age` ago.
    fn refused(age: Duration, change: impl FnOnce(&Path)) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "a: 1\n").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        drop(file);
        read(&path);
        change(&path);
        let before = fs::read(&path).ok();
        let (replaced, through) = (write(&path, "b: 2\n", false).is_err(), write_through(&path, "b: 2\n").is_err());
        assert!(replaced == (fs::read(&path).ok() == before), "refused, or written");
        assert!(!replaced || through, "both ways of writing ask");
        assert!(fs::read_dir(folder.path()).unwrap().count() <= 1, "a temporary file is left");
        replaced
    }

    fn same_time(path: &Path, write: impl FnOnce()) {
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        write();
        fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }

    #[test]
    fn a_file_that_others_changed_since_is_left_alone() {
        let old = Duration::from_secs(60);
        assert!(!refused(old, |_| {}));
        assert!(!refused(Duration::ZERO, |_| {}));
        assert!(refused(old, |path| fs::write(path, "a: 2\n").unwrap()), "its time");
        assert!(refused(old, |path| same_time(path, || fs::write(path, "a: 22\n").unwrap())), "its size");
        assert!(refused(Duration::ZERO, |path| same_time(path, || fs::write(path, "a: 2\n").unwrap())), "its content");
        assert!(refused(old, |path| fs::remove_file(path).unwrap()), "it is gone");
        #[cfg(unix)]
        let another = |path: &Path| {
            let new = path.with_extension("new");
            fs::copy(path, &new).unwrap();
            same_time(path, || fs::rename(&new, path).unwrap());
        };
        #[cfg(unix)]
        assert!(refused(old, another), "another file of the same name");
    }

    #[test]
    fn what_was_written_here_may_be_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        write(&path, "a: 1\n", false).unwrap();
        read(&path);
        write(&path, "a: 2\n", false).unwrap();
        write(&path, "a: 3\n", false).unwrap();
        read(&path);
        write_through(&path, "a: 4\n").unwrap();
        write_through(&path, "a: 5\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a: 5\n");
    }
}
