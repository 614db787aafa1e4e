//! Questions to a person. No answer is a no, and so is no terminal.

use std::io::{BufRead, IsTerminal};
use std::sync::Mutex;

use super::context::Context;
use super::report;

/// Whether someone is there to ask.
pub fn possible(context: &Context) -> bool {
    context.terminal && std::io::stdin().is_terminal()
}

/// Files are worked on in parallel, but a person answers one question after the other.
static ASKING: Mutex<()> = Mutex::new(());

/// Asks until the answer is yes or no; the end of the input is a no.
pub fn yes(question: &str) -> bool {
    let _one = ASKING.lock();
    report::question(&format!("{question} (y/n): "));
    for line in std::io::stdin().lock().lines() {
        match line.as_deref().map(str::trim) {
            Ok("y" | "yes") => return true,
            Ok("n" | "no") | Err(_) => return false,
            Ok(_) => report::question(&format!("{question} (y/n): ")),
        }
    }
    false
}
