//! Which side counts where both changed the same: by flag, by what a person did to the file, by a question.

use std::collections::HashMap;

use crate::cli::context::Context;
use crate::cli::{ask, report};
use crate::error::{Error, Kind, Result};
use crate::git::merge::{Dispute, Pick};

/// What is typed for an answer.
pub const ANSWERS: [(&str, Pick); 4] = [("o", Pick::Ours), ("ours", Pick::Ours), ("t", Pick::Theirs), ("theirs", Pick::Theirs)];

/// The masks of what a file holds that someone edited, by key path.
pub type ByHand = HashMap<String, String>;

/// What the flags say.
pub struct Choice {
    everywhere: Option<Pick>,
    keys: Vec<(String, Pick)>,
}

impl Choice {
    /// Of `--ours` and `--theirs`; without a key they are for all.
    ///
    /// # Errors
    /// `ConflictingFlags` (8): both are for all, or for one key.
    pub fn of(ours: &[String], theirs: &[String]) -> Result<Choice> {
        let all = |keys: &[String]| keys.iter().any(String::is_empty);
        let both = |what: &str| Error::new(Kind::ConflictingFlags, format!("--ours and --theirs exclude each other{what}"));
        if all(ours) && all(theirs) {
            return Err(both("").hint("with a key path each is for that key alone"));
        }
        if let Some(key) = ours.iter().find(|key| theirs.contains(key)) {
            return Err(both(&format!(" for {key}")));
        }
        let named = |keys: &[String], pick| keys.iter().filter(|key| !key.is_empty()).map(|key| (key.clone(), pick)).collect::<Vec<_>>();
        let everywhere = if all(ours) { Some(Pick::Ours) } else { all(theirs).then_some(Pick::Theirs) };
        Ok(Choice { everywhere, keys: [named(ours, Pick::Ours), named(theirs, Pick::Theirs)].concat() })
    }

    /// Which side counts for all that no key is named for.
    pub fn everywhere(&self) -> Option<Pick> {
        self.everywhere
    }

    /// The answers to all questions.
    ///
    /// # Errors
    /// `Generic` (1): a key is named that isn't in conflict, or nobody answers.
    pub fn picks(&self, context: &Context, disputes: &[Dispute], by_hand: &ByHand) -> Result<Vec<Pick>> {
        if let Some((key, _)) = self.keys.iter().find(|(key, _)| !disputes.iter().any(|dispute| dispute.paths.contains(key))) {
            return Err(open(disputes.iter().collect(), &format!("{key} isn't in conflict")));
        }
        let known: Vec<Option<Pick>> = disputes.iter().map(|dispute| self.known(dispute, by_hand)).collect::<Result<_>>()?;
        if !ask::possible(context) && known.iter().any(Option::is_none) {
            let left = disputes.iter().zip(&known).filter(|(_, pick)| pick.is_none()).map(|(dispute, _)| dispute).collect();
            return Err(open(left, "both sides changed the same, each in its way"));
        }
        let answer = |(dispute, known): (&Dispute, Option<Pick>)| match known.or_else(|| asked(context, dispute)) {
            Some(pick) => Ok(pick),
            None => Err(open(vec![dispute], "no answer, and nothing was changed")),
        };
        disputes.iter().zip(known).map(answer).collect()
    }

    fn known(&self, dispute: &Dispute, by_hand: &ByHand) -> Result<Option<Pick>> {
        let mut named = self.keys.iter().filter(|(key, _)| dispute.paths.contains(key)).map(|(_, pick)| *pick);
        if let Some(pick) = named.next() {
            return match named.all(|other| other == pick) {
                true => Ok(Some(pick)),
                false => Err(Error::new(Kind::ConflictingFlags, format!("{} stand in one conflict: one side is for all", dispute.name()))),
            };
        }
        Ok(self.everywhere.or_else(|| done_by_hand(dispute, by_hand)))
    }
}

/// The side whose values someone left in the file, of those between markers.
fn done_by_hand(dispute: &Dispute, by_hand: &ByHand) -> Option<Pick> {
    if by_hand.is_empty() || dispute.values.is_empty() {
        return None;
    }
    let held = |path: &String| by_hand.get(path);
    let ours = dispute.values.iter().all(|value| held(&value.path) == value.ours.as_ref());
    let theirs = dispute.values.iter().all(|value| held(&value.path) == value.theirs.as_ref());
    match (ours, theirs) {
        (true, false) => Some(Pick::Ours),
        (false, true) => Some(Pick::Theirs),
        _ => None,
    }
}

/// Asks about one of them.
fn asked(context: &Context, dispute: &Dispute) -> Option<Pick> {
    report::note(context, &format!("{}: both sides changed it", dispute.name()));
    for (name, lines) in [("ours", &dispute.ours), ("theirs", &dispute.theirs)] {
        if lines.is_empty() {
            report::note(context, &format!("  {name}: not there"));
        }
        lines.iter().for_each(|line| report::note(context, &format!("  {name}: {line}")));
    }
    ask::one_of("whose counts? (ours/theirs): ", &ANSWERS)
}

/// Refuses, and names what is left to be said.
fn open(disputes: Vec<&Dispute>, why: &str) -> Error {
    let names: Vec<String> = disputes.iter().map(|dispute| dispute.name()).collect();
    let error =
        Error::new(Kind::Generic, format!("{why}: in conflict {} {}", if names.len() == 1 { "is" } else { "are" }, names.join("; ")));
    error.hint("--ours or --theirs for all of them, --ours KEY and --theirs KEY one by one; on a terminal you are asked")
}
