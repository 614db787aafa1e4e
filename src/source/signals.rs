//! What a signal does while plaintext or half-written files are on disk: they are removed first, or the program that
//! was started gets the signal instead.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
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

/// How long a program that was asked to end is waited for.
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
    let Ok(mut pending) = PENDING.lock() else { return };
    for path in pending.drain(..) {
        if path.is_dir() {
            private::wipe(&path);
        } else {
            let _ = std::fs::remove_file(path);
        }
    }
    std::mem::forget(pending);
}
