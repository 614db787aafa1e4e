//! Several files in one call: worked on in parallel, told in order; one bad file doesn't stop the others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::context::Context;
use super::report;
use crate::error::{Error, Kind, Result};
use crate::source::Source;

/// Waiting for the disk is most of the work when files are replaced.
const WRITERS: usize = 8;

/// Does `work` for every index below `count`, on several threads, and gives the results in order.
pub fn each<T: Send>(context: &Context, count: usize, writing: bool, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = count.min(if writing { WRITERS } else { cores });
    if workers < 2 {
        return (0..count).map(work).collect();
    }
    let progress = progress(context, count);
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(slot) = results.get(at) else { return };
                    let result = work(at);
                    progress.inc(1);
                    if let Ok(mut slot) = slot.lock() {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    progress.finish_and_clear();
    results.into_iter().filter_map(|slot| slot.into_inner().ok().flatten()).collect()
}

/// Shown on a terminal only, and not for what is done at once.
fn progress(context: &Context, count: usize) -> indicatif::ProgressBar {
    if context.terminal && count > 100 { indicatif::ProgressBar::new(count as u64) } else { indicatif::ProgressBar::hidden() }
}

/// The inputs of a command; none means standard input.
///
/// # Errors
/// `NoFile` (100) if there are none and standard input is a terminal.
pub fn inputs(names: &[String]) -> Result<Vec<Source>> {
    use std::io::IsTerminal;
    if names.is_empty() && std::io::stdin().is_terminal() {
        return Err(none("name a file, or pipe one into standard input"));
    }
    Ok(if names.is_empty() { vec![Source::Stdin] } else { names.iter().map(|name| Source::of(name)).collect() })
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

/// Reports the failures of several files and gives the error to end with: of their common kind, else `Generic` (1).
pub fn settle(context: &Context, errors: Vec<Error>, total: usize) -> Result<()> {
    let Some(first) = errors.first() else { return Ok(()) };
    if total == 1 {
        return Err(first.clone());
    }
    let kind = if errors.iter().all(|error| error.kind == first.kind) { first.kind } else { Kind::Generic };
    for error in &errors {
        report::error(context, error);
    }
    Err(Error::new(kind, format!("{} of {total} files failed", errors.len())))
}
