//! Many objects at once, from one `git cat-file --batch`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;

use zeroize::Zeroizing;

use super::{Repository, fields, missing};
use crate::error::{Error, Kind, Result};
use crate::source::platform;

impl Repository {
    /// The files of a commit, below the top, with their objects; links and submodules are none.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn files_of(&self, commit: &str) -> Result<HashMap<PathBuf, String>> {
        let listed = self.ask(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let one = |line: &[u8]| {
            let tab = memchr::memchr(b'\t', line)?;
            let (head, path) = (std::str::from_utf8(line.get(..tab)?).ok()?, line.get(tab + 1..)?);
            let object = head.starts_with("100").then(|| head.split(' ').nth(2))??;
            Some((platform::path_of_bytes(path), object.to_owned()))
        };
        Ok(fields(&listed).filter_map(one).collect())
    }

    /// Gives the bytes of each of these objects, as they are stored, in order.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or lacks one of them.
    pub fn each_blob(&self, objects: &[&str], mut receive: impl FnMut(&str, &[u8])) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let mut command = self.command();
        command.args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|why| missing(&why))?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let broken = || Error::new(Kind::Unreadable, "git's objects can't be read");
        let (Some(mut requests), Some(answers)) = (requests, answers) else { return Err(broken()) };
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                // git says itself what it misses if it stops early.
                let _ = objects.iter().try_for_each(|object| requests.write_all(format!("{object}\n").as_bytes()));
            });
            let mut answers = BufReader::with_capacity(1 << 17, answers);
            let mut bytes = Zeroizing::new(Vec::new());
            objects.iter().try_for_each(|object| {
                let size = size(&mut answers)
                    .ok_or_else(|| self.with_depth(Error::new(Kind::Unreadable, format!("git has no object {object}"))))?;
                bytes.resize(size + 1, 0);
                answers.read_exact(&mut bytes).map_err(|_| broken())?;
                receive(object, &bytes[..size]);
                Ok(())
            })
        });
        if result.is_err() {
            let _ = child.kill();
        }
        let _ = child.wait();
        result
    }
}

/// `OBJECT TYPE SIZE`; none for `OBJECT missing`.
fn size(answers: &mut impl BufRead) -> Option<usize> {
    let mut line = String::new();
    answers.read_line(&mut line).ok()?;
    line.trim_end().rsplit(' ').next()?.parse().ok()
}
