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
    one_of(&format!("{question} (y/n): "), &[("y", true), ("yes", true), ("n", false), ("no", false)]).unwrap_or(false)
}

/// Asks until the answer is one of these words, and gives what stands for it; none at the end of the input.
pub fn one_of<T: Copy>(question: &str, answers: &[(&str, T)]) -> Option<T> {
    let _one = ASKING.lock();
    report::question(question);
    for line in std::io::stdin().lock().lines() {
        let line = line.ok()?;
        if let Some((_, meant)) = answers.iter().find(|(word, _)| *word == line.trim()) {
            return Some(*meant);
        }
        report::question(question);
    }
    None
}
