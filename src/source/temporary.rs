//! The new version of a file: written beside it until it takes the file's place in one step. Where the system allows, it has
//! a name only between the last two steps; elsewhere a run that is killed can leave such a file, and with it the plaintext of
//! a secret: the next run removes it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use super::{platform, signals, unnamed, unwritable};
use crate::error::Result;

/// How the names of these files end, behind `.NAME.` and 16 digits.
const SUFFIX: &str = ".tmp";

/// The folders where leftovers were looked for: once a run each, since a folder may hold thousands of files.
static SWEPT: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// A new file beside its target; removed when dropped before it was renamed.
pub(super) struct Temporary {
    path: PathBuf,
    /// Locked as long as it is in use: one that can be locked belongs to a run that was killed.
    file: File,
    /// Whether it stands under its path already.
    is_named: bool,
}

impl Temporary {
    /// A file with no name yet, where there are such files.
    pub(super) fn create(target: &Path) -> Result<Temporary> {
        sweep(target);
        let Some(file) = unnamed::create(folder_of(target)) else { return Temporary::create_named(target) };
        let _ = file.lock();
        Ok(Temporary { path: beside(target)?, file, is_named: false })
    }

    /// A file with a name.
    pub(super) fn create_named(target: &Path) -> Result<Temporary> {
        loop {
            let path = beside(target)?;
            let opened = signals::make(&path, || platform::private().write(true).create_new(true).open(&path));
            let file = opened.map_err(|why| {
                signals::forget(&path);
                let error = unwritable(target, &format!("no file can be made beside it: {why}"));
                error.hint("the directory must be writable; --output writes elsewhere")
            })?;
            // Where the system has no such locks, nothing is taken for a leftover.
            let _ = file.lock();
            if path.exists() {
                return Ok(Temporary { path, file, is_named: true });
            }
            // Another run took it for a leftover before it was locked.
            signals::forget(&path);
        }
    }

    pub(super) fn fill(&self, text: &[u8], old: Option<&Metadata>, private: bool) -> std::io::Result<()> {
        let mut file = &self.file;
        file.write_all(text)?;
        platform::take_over(&self.file, old, private)?;
        self.file.sync_all()
    }

    /// The file under its name; [`None`] if the system refuses to give it one.
    pub(super) fn named(mut self) -> Option<Temporary> {
        if !self.is_named {
            let named = signals::make(&self.path, || unnamed::give_name(&self.file, &self.path));
            if named.is_err() {
                signals::forget(&self.path);
                return None;
            }
            self.is_named = true;
        }
        Some(self)
    }

    pub(super) fn rename(self, target: &Path) -> Result<()> {
        fs::rename(&self.path, target).map_err(|why| {
            unwritable(target, &format!("it can't be replaced in one step: {why}"))
                .hint("--write-through writes into the file itself, --output a new file elsewhere")
        })?;
        signals::forget(&self.path);
        platform::sync_directory(target);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if signals::is_noted(&self.path) {
            let _ = fs::remove_file(&self.path);
            signals::forget(&self.path);
        }
    }
}

fn beside(target: &Path) -> Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| unwritable(target, "the system gives no random bytes"))?;
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(target.with_file_name(format!(".{name}.{:016x}{SUFFIX}", u64::from_le_bytes(random))))
}

/// Whether a file goes by a name that only new versions of files have.
pub fn is_name(name: &OsStr) -> bool {
    let inner = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(SUFFIX));
    let digits = inner.and_then(|inner| inner.rsplit_once('.')).map(|(_, digits)| digits);
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// Removes a new version that a killed run left: a file of such a name, of this user, that no run holds locked. Says whether
/// it did.
pub fn remove_leftover(path: &Path) -> bool {
    let own = |metadata: Metadata| metadata.is_file() && platform::is_owner(&metadata) && platform::names(&metadata) == 1;
    let named = path.file_name().is_some_and(is_name) && fs::symlink_metadata(path).is_ok_and(own);
    let locked = named.then(|| File::open(path).ok().filter(|file| file.try_lock().is_ok())).flatten();
    locked.is_some() && fs::remove_file(path).is_ok()
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what killed runs left in the folder of `target`.
fn sweep(target: &Path) {
    let folder = folder_of(target);
    if SWEPT.lock().is_ok_and(|mut swept| swept.insert(folder.to_owned())) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| is_name(&entry.file_name())) {
            remove_leftover(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_goes_and_what_a_living_one_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.yaml");
        for name in ["a.yaml", ".a.yaml.0123456789abcdef.tmp", ".notes.tmp", ".0123456789abcdef.tmp", "x.0123456789abcdef.tmp"] {
            fs::write(folder.path().join(name), "hunter2").unwrap();
        }
        let living = beside(&target).unwrap();
        let held = File::create(&living).unwrap();
        held.lock().unwrap();
        super::super::write(&target, "new", false).unwrap();
        let left = |name: &str| folder.path().join(name).exists();
        assert!(!left(".a.yaml.0123456789abcdef.tmp"), "plaintext of a killed run");
        assert!(left(".notes.tmp") && left(".0123456789abcdef.tmp") && left("x.0123456789abcdef.tmp"), "files of others");
        assert!(living.exists(), "a run that is under way");
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_new_version_has_a_name_only_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.yaml");
        let count = || fs::read_dir(folder.path()).unwrap().count();
        let temporary = Temporary::create(&target).unwrap();
        temporary.fill(b"hunter2", None, false).unwrap();
        assert_eq!(count(), usize::from(temporary.is_named));
        drop(temporary);
        assert_eq!(count(), 0);
        for create in [Temporary::create, Temporary::create_named] {
            let temporary = create(&target).unwrap();
            temporary.fill(b"hunter2", None, false).unwrap();
            let temporary = temporary.named().unwrap();
            assert!(temporary.path.exists());
            temporary.rename(&target).unwrap();
            assert_eq!((count(), fs::read(&target).unwrap()), (1, b"hunter2".to_vec()));
        }
    }

    #[test]
    fn a_file_with_another_name_besides_is_somebodys_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".a.0123456789abcdef.tmp");
        fs::write(&path, "kept").unwrap();
        fs::hard_link(&path, folder.path().join("copy")).unwrap();
        let several_names = platform::names(&fs::metadata(&path).unwrap()) > 1;
        assert!(!several_names || !remove_leftover(&path));
    }
}
