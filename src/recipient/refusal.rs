//! Why a key service didn't do what it was asked.

use super::Outcome;
use super::network::Trouble;
use crate::error::{Error, Kind, printable};

/// The longest part of a service's own message that is shown.
const LONGEST: usize = 400;

/// What came instead of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no identity to ask as.
    NoIdentity(String),
    /// Somebody said no, here or there.
    No {
        /// Who was asked as whom, and what came of it.
        why: String,
        /// The next step, if there is one to name.
        next: String,
    },
    /// The service gave no answer of its own.
    Trouble {
        /// Who was asked.
        asked: String,
        /// What happened instead.
        trouble: Trouble,
    },
}

impl Refusal {
    /// A plain no, with the next step.
    pub fn no(why: impl Into<String>, next: impl Into<String>) -> Refusal {
        Refusal::No { why: why.into(), next: next.into() }
    }

    /// No answer of `asked`.
    pub fn trouble(asked: &str, trouble: Trouble) -> Refusal {
        Refusal::Trouble { asked: printable(asked), trouble }
    }

    /// As the answer of an entry.
    pub fn outcome(self) -> Outcome {
        let why = self.to_string();
        match self {
            Refusal::NoIdentity(_) => Outcome::NotMine { why },
            Refusal::Trouble { trouble: Trouble::Unreachable(_), .. } => Outcome::Unreachable { why },
            Refusal::No { .. } | Refusal::Trouble { .. } => Outcome::Failed { why },
        }
    }

    /// As the error of wrapping for `recipient`, with `next` where an identity is what is missing.
    pub fn error(self, recipient: &str, next: &str) -> Error {
        let error = |why: &str| Error::new(Kind::Generic, format!("can't wrap the data key for {}: {why}", printable(recipient)));
        match self {
            Refusal::NoIdentity(why) => error(&why).hint(next),
            Refusal::No { why, next } if next.is_empty() => error(&why),
            Refusal::No { why, next } => error(&why).hint(next),
            Refusal::Trouble { asked, trouble } => error(&format!("{asked}: {}", trouble.why())).hint(trouble.next()),
        }
    }
}

/// In one sentence.
impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NoIdentity(why) => f.write_str(why),
            Refusal::No { why, next } if next.is_empty() => f.write_str(why),
            Refusal::No { why, next } => write!(f, "{why}; {next}"),
            Refusal::Trouble { asked, trouble } => write!(f, "{asked}: {}", trouble.why()),
        }
    }
}

/// A service's own words: in one line, escaped, of bounded length.
pub fn own_words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(LONGEST).collect();
    let tail = if short.len() < line.len() { "…" } else { "" };
    format!("{}{tail}", printable(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_speaks_in_one_bounded_line() {
        assert_eq!(own_words("1 error occurred:\n\t* permission denied\n\n"), "1 error occurred: * permission denied");
        let long = own_words(&"x".repeat(LONGEST + 1));
        assert!(long.ends_with("x…") && long.chars().count() == LONGEST + 1);
    }

    #[test]
    fn nobody_there_is_told_apart() {
        let there = Refusal::trouble("https://v", Trouble::Broken("reset".to_owned())).outcome();
        assert!(matches!(there, Outcome::Failed { why } if why == "https://v: reset"));
        let nobody = Refusal::trouble("https://v", Trouble::Unreachable("refused".to_owned())).outcome();
        assert!(matches!(nobody, Outcome::Unreachable { why } if why == "https://v: refused"));
    }
}
