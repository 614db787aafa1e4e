//! Trees and the bytes of files, from a `git cat-file` that stays at hand for as long as the repository is asked: a process
//! for each question would cost more than all the encrypting.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use zeroize::Zeroizing;

use super::{Repository, missing, text, trouble};
use crate::error::{Error, Kind, Result};
use crate::source::platform;

/// What one read takes in: more than a Secret has, so that no copies of it are left where a buffer grew.
const CHUNK: usize = 64 * 1024;

/// The processes of a repository, each started when it is first needed.
#[derive(Default)]
pub(super) struct Objects {
    /// Gives objects as they are stored.
    stored: Mutex<Option<Reader>>,
    /// Gives files as they would stand in the work tree.
    filtered: Mutex<Option<Reader>>,
    /// The trees that were read.
    trees: Mutex<HashMap<String, Arc<Tree>>>,
}

/// What a folder has in a commit, by name.
type Tree = HashMap<Vec<u8>, Entry>;

/// A name in a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// As git writes it: `100644`, `40000`, `120000`.
    pub mode: String,
    pub object: String,
}

impl Entry {
    pub(super) fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }

    pub(super) fn is_link(&self) -> bool {
        self.mode == "120000"
    }

    fn is_folder(&self) -> bool {
        self.mode == "40000"
    }
}

impl Repository {
    /// The bytes of these objects, in order, as they are stored: git's filters aren't run.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or lacks one of them (history that was cut off).
    pub fn blobs(&self, objects: &[&str]) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        let one = |object: &&str| {
            let found = self.answer(&self.objects.stored, &[], object.as_bytes())?;
            found.ok_or_else(|| self.without_object(object))
        };
        objects.iter().map(one).collect()
    }

    /// The bytes of an object as they would stand at `path` (below the top) in the work tree.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or lacks it.
    pub fn object(&self, object: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let name = platform::bytes_of_path(path);
        if !fits_a_line(&name) {
            return self.object_alone(object, path);
        }
        let request = [object.as_bytes(), b" ", &name].concat();
        let found = self.answer(&self.objects.filtered, &["--filters"], &request)?;
        found.ok_or_else(|| self.without_object(object))
    }

    /// The same by a process of its own, for a path that no line of requests can hold.
    fn object_alone(&self, object: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let mut named = OsString::from("--path=");
        named.push(platform::slashed(path));
        let output = self.run(&["cat-file".into(), "--filters".into(), named, OsString::from(object)], None)?;
        if !output.status.success() {
            return Err(self.with_depth(trouble(&output, &self.top)));
        }
        Ok(Zeroizing::new(output.stdout))
    }

    /// What a commit (by its full name) has at `path` (below the top): a file, a link, a folder, a submodule, or nothing.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or lacks a tree.
    pub(super) fn entry_at(&self, commit: &str, path: &Path) -> Result<Option<Entry>> {
        let path = platform::bytes_of_path(path);
        let mut folder = Entry { mode: "40000".to_owned(), object: format!("{commit}^{{tree}}") };
        let mut names = path.split(|byte| *byte == b'/');
        while let Some(name) = names.next() {
            let Some(found) = self.tree(&folder.object, commit.len() / 2)?.get(name).cloned() else { return Ok(None) };
            folder = found;
            if !folder.is_folder() {
                return Ok(Some(folder).filter(|_| names.next().is_none()));
            }
        }
        Ok(Some(folder))
    }

    /// A tree; names of objects have `length` bytes in it, 20 or 32.
    fn tree(&self, name: &str, length: usize) -> Result<Arc<Tree>> {
        if let Some(tree) = self.objects.trees.lock().ok().and_then(|known| known.get(name).cloned()) {
            return Ok(tree);
        }
        let bytes = self.answer(&self.objects.filtered, &["--filters"], name.as_bytes())?;
        let tree = Arc::new(entries(&bytes.ok_or_else(|| self.without_object(name))?, length));
        if let Ok(mut known) = self.objects.trees.lock() {
            known.insert(name.to_owned(), Arc::clone(&tree));
        }
        Ok(tree)
    }

    /// What the process behind `reader` says to a request; none if git has no such object.
    fn answer(&self, reader: &Mutex<Option<Reader>>, flags: &[&str], request: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let broken = || Error::new(Kind::Unreadable, "git's objects can't be read any more");
        let mut reader = reader.lock().map_err(|_| broken())?;
        let at_work = match reader.take() {
            Some(reader) => reader,
            None => self.reader(flags)?,
        };
        match reader.insert(at_work).ask(request) {
            Ok(answer) => Ok(answer),
            Err(_) => {
                let died = reader.take().map(Reader::last_words);
                Err(died.map_or_else(broken, |output| self.with_depth(trouble(&output, &self.top))))
            }
        }
    }

    fn reader(&self, flags: &[&str]) -> Result<Reader> {
        let mut command = self.command();
        command.args(["cat-file", "--batch"]).args(flags);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|why| missing(&why))?;
        let mut said = child.stderr.take();
        let said = std::thread::spawn(move || {
            let mut text = Vec::new();
            said.as_mut().map(|said| said.read_to_end(&mut text));
            text
        });
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Error::new(Kind::Generic, "the system gives no random numbers"))?;
        // No object and no ref can be called so.
        let end = random.iter().fold(String::from("."), |end, byte| format!("{end}{byte:02x}"));
        let buffer = Zeroizing::new(vec![0; CHUNK]);
        Ok(Reader { requests: child.stdin.take(), answers: child.stdout.take(), said: Some(said), child, end, buffer })
    }

    pub(super) fn without_object(&self, object: &str) -> Error {
        let error = Error::new(Kind::Unreadable, format!("git failed: it has no object {object} here"));
        self.with_depth(error).hint("a partial clone (--filter) lacks files of older commits: clone without it")
    }
}

/// Whether git takes the path behind an object's name in a line as it is: it leaves out blanks before it, and a CR after it.
fn fits_a_line(path: &[u8]) -> bool {
    !path.contains(&b'\n') && !path.starts_with(b" ") && !path.starts_with(b"\t") && !path.ends_with(b"\r")
}

/// A `git cat-file --batch` at work. Every request is followed by one for an object that can't be there, and git's word on
/// that ends the answer: the size that it gives is the one before its filters.
struct Reader {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Option<ChildStdout>,
    /// What it says on its standard error; read all the time, so that nothing waits there.
    said: Option<JoinHandle<Vec<u8>>>,
    /// The object that isn't there. Random, so that no file can hold git's word on it.
    end: String,
    buffer: Zeroizing<Vec<u8>>,
}

impl Reader {
    fn ask(&mut self, request: &[u8]) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
        let line = [request, b"\n", self.end.as_bytes(), b"\n"].concat();
        let requests = self.requests.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        requests.write_all(&line)?;
        requests.flush()?;
        let length = self.read_answer()?;
        let answer = self.buffer.get(..length).unwrap_or_default();
        content(answer).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
    }

    /// Reads up to the end of an answer, which isn't counted.
    fn read_answer(&mut self) -> std::io::Result<usize> {
        let end = format!("{} missing\n", self.end);
        let answers = self.answers.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let mut length = 0;
        loop {
            if self.buffer.len() - length < CHUNK / 2 {
                let mut larger = Zeroizing::new(vec![0; self.buffer.len() * 2]);
                larger[..length].copy_from_slice(&self.buffer[..length]);
                self.buffer = larger;
            }
            match answers.read(&mut self.buffer[length..])? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => length += read,
            }
            if self.buffer[..length].ends_with(end.as_bytes()) {
                return Ok(length - end.len());
            }
        }
    }

    /// What it ended with.
    fn last_words(mut self) -> Output {
        (self.requests, self.answers) = (None, None);
        let status = self.child.wait().unwrap_or_default();
        let stderr = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        Output { status, stdout: Vec::new(), stderr }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It ends with its input.
        (self.requests, self.answers) = (None, None);
        let _ = self.child.wait();
    }
}

/// `OBJECT TYPE SIZE`, the bytes, a line feed; or `OBJECT missing`, which is none. The outer none is neither.
fn content(answer: &[u8]) -> Option<Option<Zeroizing<Vec<u8>>>> {
    let line = memchr::memchr(b'\n', answer)?;
    let (head, rest) = (answer.get(..line)?, answer.get(line + 1..)?);
    match rest.strip_suffix(b"\n") {
        Some(bytes) if is_head(head) => Some(Some(Zeroizing::new(bytes.to_vec()))),
        _ => [&b" missing\n"[..], b" ambiguous\n", b" submodule\n"].iter().any(|word| answer.ends_with(word)).then_some(None),
    }
}

fn is_head(line: &[u8]) -> bool {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    matches!(words.as_slice(), [object, _, size]
        if object.len() >= 40 && object.iter().all(u8::is_ascii_hexdigit) && size.iter().all(u8::is_ascii_digit))
}

/// The entries of a tree as it is stored: `MODE NAME`, NUL, the object's name in `length` bytes.
fn entries(bytes: &[u8], length: usize) -> Tree {
    let mut found = Tree::new();
    let mut rest = bytes;
    while let Some((name, entry)) = first_entry(&mut rest, length) {
        found.insert(name, entry);
    }
    found
}

fn first_entry(bytes: &mut &[u8], length: usize) -> Option<(Vec<u8>, Entry)> {
    let (blank, end) = (memchr::memchr(b' ', bytes)?, memchr::memchr(0, bytes)?);
    let mode = text(bytes.get(..blank)?);
    let name = bytes.get(blank + 1..end)?.to_vec();
    let (object, rest) = bytes.get(end + 1..)?.split_at_checked(length)?;
    *bytes = rest;
    let object = object.iter().fold(String::new(), |object, byte| format!("{object}{byte:02x}"));
    Some((name, Entry { mode, object }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_bytes_or_nothing_whatever_they_hold() {
        let object = "a".repeat(40);
        let bytes = |text: &str| content(text.as_bytes()).map(|found| found.map(|bytes| bytes.to_vec()));
        assert_eq!(bytes(&format!("{object} blob 5\na\r\nb missing\n\n")), Some(Some(b"a\r\nb missing\n".to_vec())));
        assert_eq!(bytes(&format!("{object} blob 0\n\n")), Some(Some(Vec::new())));
        assert_eq!(bytes("HEAD:a\nb missing\n"), Some(None));
        assert_eq!(bytes(&format!("{object} missing\n")), Some(None));
        assert_eq!((bytes("fatal\n"), bytes("")), (None, None));
    }

    #[test]
    fn trees_are_read_with_any_name_and_either_hash() {
        for length in [20, 32] {
            let object = vec![0xab; length];
            let bytes = [&b"100644 a b\n\0"[..], &object, b"40000 \xff\0", &object].concat();
            let tree = entries(&bytes, length);
            assert_eq!(tree[&b"a b\n"[..]], Entry { mode: "100644".into(), object: "ab".repeat(length) });
            assert!(tree[&b"\xff"[..]].is_folder() && tree.len() == 2);
        }
    }
}
