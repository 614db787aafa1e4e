//! Files: read as text, replaced atomically. Keeps mode and owner, follows links to their target, leaves nothing behind.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Position, Result};
use temporary::Temporary;

/// What is said of a file that isn't text.
pub const NOT_TEXT: &str = "not UTF-8 text";

/// Where bytes come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file as the user named it.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Source {
    /// `-` is standard input.
    pub fn of(name: impl AsRef<std::ffi::OsStr>) -> Source {
        let name = name.as_ref();
        if name == "-" { Source::Stdin } else { Source::File(PathBuf::from(name)) }
    }

    /// The name for messages.
    pub fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Stdin => "standard input".to_owned(),
        }
    }

    /// All of it, as text.
    ///
    /// # Errors
    /// `NoFile` (100) for a missing file, `Unreadable` (2) for a directory, a file that can't be opened, or text that
    /// isn't UTF-8.
    pub fn read(&self) -> Result<Zeroizing<String>> {
        utf8(self.read_bytes()?)
    }

    /// All of an encrypted file, as UTF-8 text.
    ///
    /// # Errors
    /// As [`Source::read`], but `Generic` (1) for what isn't UTF-8, as sops has it for all that it can't take for an encrypted file.
    pub fn read_encrypted(&self) -> Result<Zeroizing<String>> {
        utf8(self.read_bytes()?).map_err(|error| error.of_kind(Kind::Generic))
    }

    /// All of it, as bytes.
    ///
    /// # Errors
    /// `NoFile` (100) for a missing file, `Unreadable` (2) for a directory or a file that can't be opened.
    pub fn read_bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = match self {
            Source::Stdin => read_all(&mut std::io::stdin().lock(), 0).map_err(|why| io_error(&why, "read"))?,
            Source::File(path) => read_file(path)?,
        };
        Ok(Zeroizing::new(bytes))
    }
}

/// Links that lead to a file at most, one behind the other, as with Linux.
const MAX_LINKS: usize = 40;

/// Whether a file holds `word`: read piece by piece, so that its size costs time only.
///
/// # Errors
/// As [`Source::read`].
pub fn holds(path: &Path, word: &[u8]) -> Result<bool> {
    const PIECE: usize = 1 << 16;
    let mut file = open(path)?;
    let mut piece = Zeroizing::new(vec![0; PIECE + word.len()]);
    // What a word may have begun with is kept before the next piece.
    let mut kept = 0;
    loop {
        let read = file.read(&mut piece[kept..kept + PIECE]).map_err(|why| io_error(&why, "read"))?;
        let end = kept + read;
        if memchr::memmem::find(&piece[..end], word).is_some() {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        let start = end.saturating_sub(word.len());
        piece.copy_within(start..end, 0);
        kept = end - start;
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => missing(path),
        _ => io_error(&why, "open"),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let metadata = file.metadata().map_err(|why| io_error(&why, "open"))?;
    let bytes = read_all(&mut file, metadata.len()).map_err(|why| io_error(&why, "read"))?;
    stamp::note(path, &metadata, &bytes);
    Ok(bytes)
}

fn missing(path: &Path) -> Error {
    let error = Error::new(Kind::NoFile, "no such file");
    let from = std::env::current_dir().ok().filter(|_| path.is_relative());
    error.hint(match from {
        Some(folder) => format!("the path is taken from {}", folder.display()),
        None => "check the path".to_owned(),
    })
}

fn read_all(reader: &mut impl Read, size: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn io_error(why: &std::io::Error, what: &str) -> Error {
    Error::new(Kind::Unreadable, format!("can't {what} it: {why}"))
}

/// Whether bytes begin with the mark of UTF-16.
pub fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

/// Text in UTF-16 with its mark; none where it is broken.
pub fn from_utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let unit = if bytes.starts_with(&[0xff, 0xfe]) { u16::from_le_bytes } else { u16::from_be_bytes };
    let units = bytes.get(2..)?.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(unit);
    char::decode_utf16(units).collect::<std::result::Result<String, _>>().ok().map(Zeroizing::new)
}

/// Bytes as UTF-8 text.
///
/// # Errors
/// `Unreadable` (2) with the position of what isn't UTF-8.
pub fn utf8(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>> {
    if is_utf16(&bytes) {
        return Err(Error::new(Kind::Unreadable, "the file is UTF-16, expected UTF-8")
            .hint("convert it, for example with iconv -f UTF-16 -t UTF-8"));
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let bytes = Zeroizing::new(error.into_bytes());
        let text = std::str::from_utf8(&bytes[..good]).unwrap_or_default();
        let mut error = Error::new(Kind::Unreadable, NOT_TEXT);
        error.position = Some(Position::of(text, good));
        error
    })
}

/// Writes `text` to `path`: a regular file is replaced in one step, devices and pipes are opened and written.
/// `private` gives a new file the mode 0600.
///
/// A file that was read before and changed by others since isn't written.
///
/// # Errors
/// `Unwritable` (3); the old file is untouched then.
pub fn write(path: &Path, text: impl AsRef<[u8]>, private: bool) -> Result<()> {
    let text = text.as_ref();
    if let Some(descriptor) = descriptor(path) {
        return write_to_descriptor(path, descriptor, text).map_err(|why| unwritable(path, &why.to_string()));
    }
    let target = resolve(path)?;
    match fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => Err(unwritable(path, "it is a directory")),
        Ok(metadata) if !metadata.is_file() => write_to_device(&target, text),
        Ok(metadata) => replace(path, &target, text, Some(&metadata), private),
        Err(_) => replace(path, &target, text, None, private),
    }
}

/// What a path names that stands for something this process has open: `1` for standard output.
fn descriptor(path: &Path) -> Option<&str> {
    let open = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"].map(Path::new);
    match path.to_str()? {
        "/dev/stdout" => Some("1"),
        "/dev/stderr" => Some("2"),
        _ => path.file_name()?.to_str().filter(|_| path.parent().is_some_and(|parent| open.contains(&parent))),
    }
}

/// It may lead to a regular file, which belongs to whoever opened it, and may have no name: nothing is replaced.
fn write_to_descriptor(path: &Path, descriptor: &str, text: &[u8]) -> std::io::Result<()> {
    let mut out: Box<dyn Write> = match descriptor {
        "1" => Box::new(std::io::stdout().lock()),
        "2" => Box::new(std::io::stderr().lock()),
        _ => Box::new(OpenOptions::new().append(true).open(path)?),
    };
    out.write_all(text).and_then(|()| out.flush())
}

/// The file that a path leads to through links, also where it doesn't exist yet.
fn resolve(path: &Path) -> Result<PathBuf> {
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(unwritable(path, "too many levels of symbolic links"))
}

/// Writes into the file itself, for places where a rename can't (a bind mount, hard links): not in one step. One that others
/// changed since it was read isn't written.
///
/// # Errors
/// `Unwritable` (3).
pub fn write_through(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    let failed = |why: std::io::Error| unwritable(path, &why.to_string());
    let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    stamp::check(path)?;
    file.set_len(0).and_then(|()| file.write_all(text.as_ref())).and_then(|()| file.sync_all()).map_err(failed)?;
    stamp::forget(path);
    Ok(())
}

/// What to do about a file that can't be changed in place, with a command that can write elsewhere.
pub const NOT_IN_PLACE: &str = "give --output a path instead of -i";
/// With one that prints what it doesn't write.
pub const PRINT: &str = "leave out -i, and the result is printed";
/// With one that can only change files.
pub const COPY: &str = "copy it into a regular file, and name that one";

/// Refuses to change anything but a regular file in place, before it is read: a pipe would wait for ever. `next` is what to
/// do instead.
///
/// # Errors
/// `ConflictingFlags` (8). A missing file and a directory are left to the reader.
pub fn refuse_irregular(path: &Path, next: &str) -> Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
            let error =
                Error::new(Kind::ConflictingFlags, "only regular files can be changed in place").in_file(&path.display().to_string());
            Err(error.hint(next))
        }
        _ => Ok(()),
    }
}

/// Makes the directory of `--output DIR/`.
///
/// # Errors
/// `Unwritable` (3).
pub fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|why| unwritable(path, &why.to_string()))
}

/// Makes a directory that only its owner can enter, and its parents.
///
/// # Errors
/// `Unwritable` (3).
pub fn make_private_directory(path: &Path) -> Result<()> {
    platform::private_directory().create(path).map_err(|why| unwritable(path, &why.to_string()))
}

fn unwritable(path: &Path, why: &str) -> Error {
    Error::new(Kind::Unwritable, format!("can't write {}: {why}", path.display()))
}

fn write_to_device(path: &Path, text: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).open(path).map_err(|why| unwritable(path, &why.to_string()))?;
    file.write_all(text).map_err(|why| unwritable(path, &why.to_string()))
}

fn replace(path: &Path, target: &Path, text: &[u8], old: Option<&fs::Metadata>, private: bool) -> Result<()> {
    if let Some(metadata) = old {
        platform::refuse_hard_links(target, metadata)?;
    }
    let filled = |temporary: Temporary| {
        temporary.fill(text, old, private).map(|()| temporary).map_err(|why| {
            unwritable(target, &why.to_string())
                .hint("--write-through writes into the file itself and keeps its owner; --output writes a new file")
        })
    };
    let temporary = filled(Temporary::create(target)?)?;
    stamp::check(path)?;
    // A system may refuse the name that it gives a new file.
    let temporary = temporary.named().map_or_else(|| filled(Temporary::create_named(target)?), Ok)?;
    temporary.rename(target)?;
    stamp::forget(path);
    Ok(())
}

pub mod neighbour;
pub mod platform;
pub mod private;
pub mod signals;
mod stamp;
pub mod temporary;
mod unnamed;
