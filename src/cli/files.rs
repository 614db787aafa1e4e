//! Several files in one call: worked on in parallel, told in order; one bad file doesn't stop the others.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::context::Context;
use super::paths::{Skipped, Target, Targets};
use super::report;
use crate::error::{Error, Kind, Result};
use crate::source::Source;
use crate::tree::Reason;

/// Files in flight. More than there are processors: each may wait for the disk, or for a key service to answer.
const IN_FLIGHT: usize = 16;

/// What became of a file that wasn't a failure.
pub enum Outcome<T> {
    /// It was worked on.
    Done(T),
    /// It isn't meant.
    Skipped(Reason),
}

/// What became of all files.
pub struct Ran<T> {
    /// In order. What is held here is held for all files at once: no plain text where it was written already.
    pub done: Vec<T>,
    /// All others.
    pub rest: Rest,
}

/// The files that weren't worked on, whatever the work was.
pub struct Rest {
    /// Passed over.
    pub skipped: Skipped,
    /// What failed.
    pub errors: Vec<Error>,
    several: bool,
}

/// Does `one` for every file, in parallel.
pub fn work<T: Send>(context: &Context, targets: Targets, one: impl Fn(&Target) -> Result<Outcome<T>> + Sync) -> Ran<T> {
    let several = targets.are_several();
    let workers = targets.concurrency.map_or(IN_FLIGHT, NonZero::get);
    let results = each_with(context, targets.files.len(), workers, |at| one(&targets.files[at]));
    let (mut done, mut rest) = (Vec::new(), Rest { skipped: targets.skipped, errors: targets.errors, several });
    for (target, result) in targets.files.iter().zip(results) {
        match result {
            Ok(Outcome::Done(item)) => done.push(item),
            Ok(Outcome::Skipped(reason)) => rest.skipped.add(target.name(), reason),
            Err(error) if error.kind == Kind::NoFile && !target.named => rest.skipped.add(target.name(), Reason::Gone),
            Err(error) => rest.errors.push(error),
        }
    }
    Ran { done, rest }
}

impl<T> Ran<T> {
    /// The summary for machines, stable: what was done as `row` has it, then `{"file","status":"skipped","reason"}`, then
    /// `{"file","status":"failed","error","code"}`. On stderr if stdout carries data.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn report(&self, stdout_is_free: bool, row: impl Fn(&T) -> Value) -> Result<()> {
        self.rest.report(self.done.iter().map(row).collect(), stdout_is_free)
    }

    /// Says in one line what became of all files (`done` is the verb: `encrypted`), after the failures one by one, and gives
    /// the error to end with: of their common kind, else `Generic` (1).
    ///
    /// # Errors
    /// If any file failed.
    pub fn settle(self, context: &Context, verbose: bool, done: &str) -> Result<()> {
        self.rest.settle(context, verbose, self.done.len(), done)
    }
}

impl Rest {
    fn report(&self, mut rows: Vec<Value>, stdout_is_free: bool) -> Result<()> {
        let skipped = self.skipped.each().map(|(name, reason)| json!({"file": name, "status": "skipped", "reason": reason.id()}));
        rows.extend(skipped);
        let failed = self.errors.iter().map(|error| {
            let code = error.kind.exit_code();
            json!({"file": error.file, "status": "failed", "error": error.to_string(), "code": code})
        });
        rows.extend(failed);
        let text = report::one_line(&json!({"files": rows}));
        if stdout_is_free { report::data(format!("{text}\n").as_bytes()) } else { report::machine(&text) }
    }

    fn settle(self, context: &Context, verbose: bool, count: usize, done: &str) -> Result<()> {
        if verbose {
            self.skipped.each().for_each(|(name, reason)| report::note(context, &format!("{name}: skipped, {}", reason.text())));
        }
        let files = |count: usize| format!("{count} file{}", if count == 1 { "" } else { "s" });
        let tried = count + self.errors.len();
        let mut parts = vec![format!("{} {done}", files(count))];
        parts.extend(Some(self.skipped.line()).filter(|line| !line.is_empty()));
        let Some(first) = self.errors.first() else {
            if self.several {
                report::note(context, &parts.join(", "));
            }
            return Ok(());
        };
        if tried == 1 {
            return Err(first.clone());
        }
        let kind = if self.errors.iter().all(|error| error.kind == first.kind) { first.kind } else { Kind::Generic };
        for (at, error) in self.errors.iter().enumerate() {
            // A mistake in the configuration is one, however many files it is for.
            if !self.errors[..at].contains(error) {
                report::error(context, error);
            }
        }
        let rest = if self.several { format!("; {}", parts.join(", ")) } else { String::new() };
        Err(Error::new(kind, format!("{} of {} failed{rest}", self.errors.len(), files(tried))))
    }
}

/// Does `work` for every index below `count`, on several threads, and gives the results in order.
pub fn each<T: Send>(context: &Context, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    each_with(context, count, IN_FLIGHT, work)
}

/// All results, or the first error; the others are said, too.
///
/// # Errors
/// The first.
pub fn all<T>(context: &Context, results: Vec<Result<T>>) -> Result<Vec<T>> {
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(result) => done.push(result),
            Err(error) => errors.push(error),
        }
    }
    let mut errors = errors.into_iter();
    let Some(first) = errors.next() else { return Ok(done) };
    errors.for_each(|error| report::error(context, &error));
    Err(first)
}

fn each_with<T: Send>(context: &Context, count: usize, workers: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let workers = count.min(workers);
    if workers < 2 {
        return (0..count).map(work).collect();
    }
    let progress = progress(context, count);
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    on_threads(workers, count, &|at| {
        let result = work(at);
        progress.inc(1);
        if let Some(Ok(mut slot)) = results.get(at).map(Mutex::lock) {
            *slot = Some(result);
        }
    });
    progress.finish_and_clear();
    results.into_iter().filter_map(|slot| slot.into_inner().ok().flatten()).collect()
}

/// Calls `one` for every index below `count`, each time on the first thread that is free.
fn on_threads(workers: usize, count: usize, one: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < count);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| std::iter::from_fn(take).for_each(one));
        }
    });
}

/// Shown on a terminal only, and not for what is done at once.
pub fn progress(context: &Context, count: usize) -> indicatif::ProgressBar {
    if context.terminal && count > 100 { indicatif::ProgressBar::new(count as u64) } else { indicatif::ProgressBar::hidden() }
}

/// A pipe that brought nothing.
const NOTHING: &str = "a file or the output of a command must be piped into it; did that command fail?";

/// An error of an empty input, said of a pipe.
pub fn of_stream(mut error: Error, input: &Source) -> Error {
    if error.kind != Kind::Empty || *input != Source::Stdin {
        return error;
    }
    error.message = "standard input is empty".to_owned();
    error.hint(NOTHING)
}

/// Refuses to decrypt nothing.
///
/// # Errors
/// `Generic` (1), as sops.
pub fn refuse_nothing(input: &Source, text: &str) -> Result<()> {
    if *input != Source::Stdin || !text.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Generic, "sops metadata not found: standard input is empty").hint(NOTHING))
}

/// No file where one is needed.
pub fn none(hint: &str) -> Error {
    Error::new(Kind::NoFile, "no file specified").hint(hint)
}

#[cfg(test)]
mod tests {
    use super::super::paths::Target;
    use super::*;

    fn targets(named: bool) -> Targets {
        let target = |name: &str| Target { source: Source::of(name), named, inside: name.into(), staged: None };
        Targets { files: ["/none/a", "/none/b"].map(target).into(), trees: !named, ..Targets::default() }
    }

    #[test]
    fn a_found_file_that_vanishes_is_no_failure() {
        let context = Context::of_process("kveil", false);
        let read = |target: &Target| target.source.read().map(Outcome::Done);
        let found = work(&context, targets(false), read);
        assert_eq!((found.rest.skipped.count(Reason::Gone), found.rest.errors.len()), (2, 0));
        let named = work(&context, targets(true), read);
        assert_eq!((named.rest.skipped.total(), named.rest.errors.len()), (0, 2));
        assert_eq!(named.settle(&context, false, "read").unwrap_err().kind, Kind::NoFile);
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        let context = Context::of_process("kveil", false);
        for workers in [0, 1, 3, 50] {
            assert_eq!(each_with(&context, 20, workers, |at| at * at), (0..20).map(|at| at * at).collect::<Vec<_>>());
        }
    }
}
