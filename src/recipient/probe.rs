//! A recipient tried out: a random key wrapped for it and unwrapped again, and its entry of a file unwrapped.

use std::panic::resume_unwind;

use zeroize::Zeroizing;

use super::{Identities, KeyService, Outcome, RecipientKind, RecipientSpec, kind_by_field};
use crate::document::value::Value;

/// Of a data key.
const LENGTH: usize = 32;

/// A recipient to try, with its entry where a file has one.
pub struct Tried<'t> {
    /// The recipient.
    pub spec: &'t RecipientSpec,
    /// What a file holds for it.
    pub entry: Option<&'t Value>,
}

/// How one half of it went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Well.
    Done,
    /// It needs an identity, and none that fits is at hand.
    NotMine(String),
    /// It didn't: why, with the next step.
    Refused(String),
    /// There was nothing to unwrap.
    NotTried,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Wrapping.
    pub encrypt: Step,
    /// Unwrapping: of the file's entry, and of what was just wrapped.
    pub decrypt: Step,
    /// As whom the service was called.
    pub callers: Vec<String>,
    /// Seconds that this machine's clock is ahead of the service.
    pub ahead: Option<i64>,
    /// The permissions that the two halves need, of a kind behind a service.
    pub needs: Option<[&'static str; 2]>,
}

/// Tries all of them: those behind services at the same time and each with identities of its own (made by `identities`), so
/// that it is known who called; those on this machine one after the other, since a person may be asked.
pub fn all(tried: &[Tried<'_>], identities: impl Fn() -> Identities + Sync) -> Vec<Probe> {
    let local = identities();
    let remote = |tried: &Tried<'_>| kind_by_field(tried.spec.kind).is_some_and(|kind| kind.service().is_some());
    std::thread::scope(|scope| {
        let make = &identities;
        let asked: Vec<_> = tried.iter().map(|tried| remote(tried).then(|| scope.spawn(move || one(tried, &make())))).collect();
        let answers = asked.into_iter().zip(tried).map(|(asked, tried)| match asked {
            Some(thread) => thread.join().unwrap_or_else(|why| resume_unwind(why)),
            None => one(tried, &local),
        });
        answers.collect()
    })
}

fn one(tried: &Tried<'_>, identities: &Identities) -> Probe {
    let Some(kind) = kind_by_field(tried.spec.kind) else {
        return Probe { encrypt: Step::NotTried, decrypt: Step::NotTried, callers: Vec::new(), ahead: None, needs: None };
    };
    let (encrypt, wrapped) = match wrapped(kind, tried.spec, identities) {
        Ok((key, entry)) => (Step::Done, Some((key, entry))),
        Err(why) => (Step::Refused(why), None),
    };
    let own = tried.entry.map(|entry| unwrapped(kind.unwrap(entry, identities), None));
    let decrypt = match (own, wrapped) {
        (Some(Step::Done) | None, Some((key, entry))) => unwrapped(kind.unwrap(&entry, identities), Some(&key)),
        (Some(step), _) => step,
        (None, None) => Step::NotTried,
    };
    let needs = kind.service().map(KeyService::needs);
    Probe { encrypt, decrypt, callers: identities.callers(), ahead: identities.clock_ahead(), needs }
}

/// A random key and its entry.
fn wrapped(
    kind: &dyn RecipientKind,
    spec: &RecipientSpec,
    identities: &Identities,
) -> std::result::Result<(Zeroizing<Vec<u8>>, Value), String> {
    let mut key = Zeroizing::new(vec![0; LENGTH]);
    getrandom::fill(&mut key).map_err(|why| format!("the system gives no random numbers: {why}"))?;
    let entry = kind.wrap(spec, &key, identities).map_err(|error| {
        std::iter::once(error.message.clone()).chain(error.hints.iter().map(|hint| hint.trim().to_owned())).collect::<Vec<_>>().join("; ")
    })?;
    Ok((key, entry))
}

fn unwrapped(outcome: Outcome, expected: Option<&[u8]>) -> Step {
    match outcome {
        Outcome::Opened(key) if expected.is_some_and(|expected| expected != key.as_slice()) => {
            Step::Refused("what was wrapped came back as something else".to_owned())
        }
        Outcome::Opened(_) => Step::Done,
        Outcome::NotMine { why } => Step::NotMine(why),
        Outcome::Failed { why } | Outcome::Unreachable { why } => Step::Refused(why),
    }
}
