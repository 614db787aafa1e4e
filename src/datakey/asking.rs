//! Key services asked for data keys: several at once where that saves time, one after the other where each call is noted
//! in somebody's audit log.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::{Answer, Share, answered};
use crate::error::Result;
use crate::metadata::Entry;
use crate::recipient::{Identities, Outcome, RecipientKind, RecipientSpec, kind_by_field};
use crate::sorting;

/// A service that hasn't answered by then isn't waited for alone.
const PATIENCE: Duration = Duration::from_secs(2);

/// The share of the first entry that opens, with what the others answered, in their order. The next service is asked when
/// one refused or keeps waiting; all the rest at once when the network isn't there.
pub fn first_opened(run: &[&Entry], expected: usize, identities: &Identities) -> (Option<Share>, Vec<Answer>) {
    match identities.network().run(race(run, expected, identities)) {
        Ok((share, mut answers)) => {
            sorting::by_key(&mut answers, |(at, _)| *at);
            (share, answers.into_iter().map(|(_, answer)| answer).collect())
        }
        Err(trouble) => (None, run.iter().filter_map(|entry| answered(entry, trouble.clone().outcome(), expected).err()).collect()),
    }
}

async fn race(run: &[&Entry], expected: usize, identities: &Identities) -> (Option<Share>, Vec<(usize, Answer)>) {
    let mut waiting: VecDeque<_> =
        run.iter().enumerate().map(|(at, entry)| async move { (at, *entry, ask(entry, identities).await) }).collect();
    let mut asked = FuturesUnordered::new();
    let mut answers = Vec::new();
    let mut nobody_there = false;
    loop {
        let starting = if nobody_there { waiting.len() } else { waiting.len().min(1) };
        asked.extend(waiting.drain(..starting));
        let next = match waiting.is_empty() {
            true => asked.next().await,
            false => match tokio::time::timeout(PATIENCE, asked.next()).await {
                Ok(next) => next,
                Err(_) => continue,
            },
        };
        let Some((at, entry, outcome)) = next else { return (None, answers) };
        nobody_there |= matches!(outcome, Outcome::Unreachable { .. });
        match answered(entry, outcome, expected) {
            Ok(share) => return (Some(share), answers),
            Err(answer) => answers.push((at, answer)),
        }
    }
}

async fn ask(entry: &Entry, identities: &Identities) -> Outcome {
    match kind_by_field(entry.kind).and_then(|kind| Some((kind, kind.service()?))) {
        Some((kind, service)) => identities.ask(kind, service, &entry.value).await,
        None => Outcome::Failed { why: "no service for this kind".to_owned() },
    }
}

/// The entries for recipients of services, wrapped at the same time: each with its place.
///
/// # Errors
/// `Generic` (1): the first refusal; the other calls are dropped.
pub fn wrap_all(wanted: Vec<(usize, &[u8], &RecipientSpec)>, identities: &Identities) -> Result<Vec<(usize, Entry)>> {
    let Some((_, _, first)) = wanted.first().copied() else { return Ok(Vec::new()) };
    let calls =
        try_join_all(wanted.into_iter().map(|(at, secret, recipient)| async move { Ok((at, wrap(secret, recipient, identities).await?)) }));
    identities.network().run(calls).map_err(|trouble| trouble.error(&first.text))?
}

async fn wrap(secret: &[u8], recipient: &RecipientSpec, identities: &Identities) -> Result<Entry> {
    let kind = kind_by_field(recipient.kind).ok_or_else(|| super::unknown_kind(recipient.kind))?;
    let value = match kind.service() {
        Some(service) => service.wrap(recipient, secret, identities).await?,
        None => kind.wrap(recipient, secret, identities)?,
    };
    Ok(Entry { kind: RecipientKind::field(kind), value })
}
