//! What a signal does while plaintext or half-written files are on disk: they are removed first, or the program that
//! was started gets the signal instead. A panic removes them, too.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::{platform, private};

/// What INT, QUIT, TERM and HUP lead to.
enum Reaction {
    /// Clean up and end with 128 + the signal's number.
    End,
    /// Pass it on to the program of this process id, which ends in its own way.
    PassOn(u32),
    /// End the program of this process id too. What is typed at the terminal is the program's: Ctrl+C is a key of editors.
    EndBoth(u32),
}

static REACTION: Mutex<Reaction> = Mutex::new(Reaction::End);

/// The exit code in place of 128 + the signal's number; 0 for none.
static CODE: AtomicU8 = AtomicU8::new(0);

/// The exit code after a panic, as everywhere in Rust.
const PANICKED: i32 = 101;

/// How long a program that was asked to end is waited for, and a thread that makes a file when another one panics.
const PATIENCE: Duration = Duration::from_secs(1);

/// Ends with this code after a signal.
pub fn end_with(code: u8) {
    CODE.store(code, Ordering::Relaxed);
}

/// Files and private directories that a signal must not leave behind.
static PENDING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Watches for signals from here on, and makes a file or directory that must go if one ends the process. A signal that
/// comes in the middle waits.
pub fn make<T>(path: &Path, make: impl FnOnce() -> T) -> T {
    platform::watch_signals(arrived);
    let mut pending = PENDING.lock();
    if let Ok(pending) = &mut pending {
        pending.push(path.to_owned());
    }
    make()
}

/// Strikes a path that is gone, or in its place.
pub fn forget(path: &Path) {
    if let Ok(mut pending) = PENDING.lock() {
        pending.retain(|other| other != path);
    }
}

/// Whether a path is still noted.
pub fn is_noted(path: &Path) -> bool {
    PENDING.lock().is_ok_and(|pending| pending.iter().any(|other| other == path))
}

/// Starts a program that gets the signals in place of this process, and ends it in its own way.
///
/// # Errors
/// The program can't be started.
pub fn start_passing_on(command: &mut Command) -> std::io::Result<Child> {
    start(command, Reaction::PassOn)
}

/// Starts a program that is ended together with this process, unless the signal is typed at the terminal.
///
/// # Errors
/// The program can't be started.
pub fn start_ending_both(command: &mut Command) -> std::io::Result<Child> {
    start(command, Reaction::EndBoth)
}

fn start(command: &mut Command, reaction: impl FnOnce(u32) -> Reaction) -> std::io::Result<Child> {
    platform::watch_signals(arrived);
    // A signal that comes now waits for the lock, and so meets the new program.
    let mut current = REACTION.lock().map_err(|_| std::io::Error::other("a thread failed"))?;
    let child = platform::spawn(command)?;
    *current = reaction(child.id());
    Ok(child)
}

/// What a program that was started gives, once it has ended: its status, and what came on the streams that are pipes. Doesn't return if a
/// signal ended it: the process ends, too.
///
/// # Errors
/// It couldn't be started, or read.
pub fn output(started: std::io::Result<Child>) -> std::io::Result<Output> {
    let output = started?.wait_with_output();
    ended();
    output
}

/// The program that was started has ended. Doesn't return if a signal ended it: the process ends, too.
pub fn ended() {
    if let Ok(mut current) = REACTION.lock() {
        *current = Reaction::End;
    }
}

/// Runs on the thread that waits for signals.
fn arrived(signal: i32) {
    let Ok(reaction) = REACTION.lock() else { return };
    match *reaction {
        // From the terminal it reached the program already; twice is an order to give up at once for many.
        Reaction::PassOn(_) | Reaction::EndBoth(_) if platform::is_from_terminal(signal) => return,
        Reaction::PassOn(id) => return platform::pass_on(id, signal),
        Reaction::EndBoth(id) => end(id),
        Reaction::End => {}
    }
    clean_up();
    std::process::exit(code(signal));
}

/// The exit code after a signal.
pub fn code(signal: i32) -> i32 {
    match CODE.load(Ordering::Relaxed) {
        0 => 128 + signal,
        own => own.into(),
    }
}

/// Asks a program to end, and waits for it: an editor may write once more.
fn end(id: u32) {
    platform::ask_to_end(id);
    let start = Instant::now();
    while platform::is_running(id) && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Removes what is noted. Nothing can be made any more then: other threads wait for the end.
fn clean_up() {
    if let Ok(pending) = PENDING.lock() {
        remove(pending);
    }
}

fn remove(mut pending: MutexGuard<'_, Vec<PathBuf>>) {
    for path in pending.drain(..) {
        if path.is_dir() {
            private::wipe(&path);
        } else {
            let _ = std::fs::remove_file(path);
        }
    }
    std::mem::forget(pending);
}

/// Ends the process at the first panic, on whatever thread, and removes what is noted before that: the program is built
/// without unwinding, so nothing is dropped. `say` gets one line for people. It has no text that was put together, which
/// may hold a piece of a file; `RUST_BACKTRACE` adds the way to it.
pub fn end_at_a_panic(say: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(pending) = noted_within(PATIENCE) {
            remove(pending);
        }
        say(&bug(panic));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            trace.to_string().lines().for_each(say);
        }
        std::process::exit(PANICKED);
    }));
}

/// What is noted. The thread that panicked may hold the lock itself, so this doesn't wait for ever.
fn noted_within(patience: Duration) -> Option<MutexGuard<'static, Vec<PathBuf>>> {
    let start = Instant::now();
    loop {
        match PENDING.try_lock() {
            Ok(pending) => return Some(pending),
            Err(TryLockError::Poisoned(pending)) => return Some(pending.into_inner()),
            Err(TryLockError::WouldBlock) if start.elapsed() > patience => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Where it was, and what a text without holes says about it.
fn bug(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let said = panic.payload().downcast_ref::<&str>().map_or_else(String::new, |text| format!(" ({text})"));
    format!("a bug of kveil, at {place}{said}: please report it with this line")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::private::{Places, Private};
    use std::ffi::OsStr;

    /// Where the process that panics works.
    const PLACE: &str = "KVEIL_TEST_PANICS_IN";

    /// Not a test of its own: what the process does that the next test starts.
    #[test]
    fn panics_on_another_thread() {
        let Some(place) = std::env::var_os(PLACE) else { return };
        end_at_a_panic(|line| eprintln!("said: {line}"));
        let private = Private::create(&Places { named: Some(place.into()), runtime: None }).unwrap();
        private.write(OsStr::new("a.yaml"), b"hunter2").unwrap();
        let value = String::from("hunter2");
        let _ = std::thread::spawn(move || panic!("not a number: {value}")).join();
        unreachable!("the process ends before a thread that panics is joined");
    }

    #[test]
    fn a_panic_leaves_no_plaintext_and_ends_the_process() {
        for backtrace in ["0", "1"] {
            let place = tempfile::tempdir().unwrap();
            let mut command = Command::new(std::env::current_exe().unwrap());
            let command = command.args(["--exact", "--nocapture", "source::signals::tests::panics_on_another_thread"]);
            let done = command.env(PLACE, place.path()).env("RUST_BACKTRACE", backtrace).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(PANICKED), "{said}");
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "something was left");
            let named = said.contains("said: a bug of kveil, at ") && said.contains("src/source/signals.rs:");
            assert!(named && !said.contains("hunter2"), "{said}");
            assert_eq!(said.contains("panics_on_another_thread"), backtrace == "1", "{said}");
        }
    }
}
