//! The contents of many objects, from one `git cat-file` that is asked for all of them.

use std::io::{BufRead, Read};

use zeroize::Zeroizing;

use super::stream::{self, Answers};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;

/// What of the contents wasn't given.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Left {
    /// How many are larger than was asked for.
    pub large: usize,
}

impl Repository {
    /// Gives `take` the bytes of these objects, with their place among `objects`, in order; those of more than `most` bytes
    /// are left out, and never read. A taker that wants to keep bytes takes them out.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or lacks one of them.
    pub fn contents(&self, objects: &[&str], most: usize, mut take: impl FnMut(usize, &mut Zeroizing<Vec<u8>>)) -> Result<Left> {
        let sizes = self.sizes(objects)?;
        let meant: Vec<usize> = (0..objects.len()).filter(|at| sizes.get(*at).is_some_and(|size| *size <= most)).collect();
        let requests = meant.iter().filter_map(|at| objects.get(*at).copied());
        let mut buffer = Zeroizing::default();
        self.cat(&["--batch", "--buffer"], requests, |answers| {
            for at in &meant {
                let size = self.object_head(answers, objects.get(*at).copied().unwrap_or_default())?;
                read_exact(answers, size, &mut buffer)?;
                take(*at, &mut buffer);
            }
            Ok(())
        })?;
        Ok(Left { large: objects.len() - meant.len() })
    }

    fn sizes(&self, objects: &[&str]) -> Result<Vec<usize>> {
        let mut sizes = Vec::with_capacity(objects.len());
        self.cat(&["--batch-check", "--buffer"], objects.iter().copied(), |answers| {
            objects.iter().try_for_each(|object| {
                sizes.push(self.object_head(answers, object)?);
                Ok(())
            })
        })?;
        Ok(sizes)
    }

    fn cat<'r>(
        &self,
        flags: &[&str],
        requests: impl Iterator<Item = &'r str> + Send,
        listen: impl FnOnce(&mut Answers) -> Result<()>,
    ) -> Result<()> {
        let mut command = self.plain_command();
        command.arg("cat-file").args(flags);
        stream::converse(self, command, requests, listen)
    }

    /// `OBJECT TYPE SIZE`: the size.
    fn object_head(&self, answers: &mut Answers, object: &str) -> Result<usize> {
        let mut line = String::new();
        answers.read_line(&mut line).map_err(|_| cut())?;
        if line.ends_with(" missing\n") {
            return Err(self.without_object(object));
        }
        let size = line.trim_end().rsplit(' ').next().and_then(|size| size.parse().ok());
        size.filter(|_| line.starts_with(object)).ok_or_else(cut)
    }
}

fn cut() -> Error {
    Error::new(Kind::Unreadable, "git's objects can't be read any more")
}

/// The bytes of one object, and the line feed behind them.
fn read_exact(answers: &mut Answers, size: usize, buffer: &mut Zeroizing<Vec<u8>>) -> Result<()> {
    // Never grown while it holds anything: that would leave copies.
    if buffer.capacity() < size {
        *buffer = Zeroizing::new(Vec::with_capacity(size));
    }
    buffer.clear();
    let read = answers.by_ref().take(size as u64).read_to_end(buffer).map_err(|_| cut())?;
    let mut end = [0];
    answers.read_exact(&mut end).map_err(|_| cut())?;
    if read == size && end == *b"\n" { Ok(()) } else { Err(cut()) }
}
