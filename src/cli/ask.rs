//! Questions to a person. No answer is a no, and so is no terminal.

use std::io::{BufRead, IsTerminal};
use std::sync::Mutex;

use super::context::Context;
use super::report;
use crate::error::Result;

/// Whether someone is there to ask.
pub fn possible(context: &Context) -> bool {
    context.terminal && std::io::stdin().is_terminal()
}

/// Files are worked on in parallel, but a person answers one question after the other.
static ASKING: Mutex<()> = Mutex::new(());

/// Asks until the answer is yes or no; the end of the input is a no.
pub fn yes(question: &str) -> bool {
    yes_or_no(question).unwrap_or(false)
}

/// As [`yes`]; none at the end of the input.
pub fn yes_or_no(question: &str) -> Option<bool> {
    one_of(&format!("{question} (y/n): "), &[("y", true), ("yes", true), ("n", false), ("no", false)])
}

/// Asks on standard output until the answer is `y` or `n`, as genuine sops does; none at the end of the input, or for an
/// empty line.
///
/// # Errors
/// Standard output can't be written.
pub fn as_sops(question: &str) -> Result<Option<bool>> {
    let _one = ASKING.lock();
    loop {
        report::data(question.as_bytes())?;
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        match line.trim() {
            "y" => return Ok(Some(true)),
            "n" => return Ok(Some(false)),
            "" => return Ok(None),
            _ if read.is_err() => return Ok(None),
            _ => {}
        }
    }
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
