//! `check --history`: what git has of former times is read once, in a stream, and looked at on all processors while it
//! comes; no more of it is held than what is being looked at.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use indicatif::ProgressBar;
use memchr::memmem::Finder;
use zeroize::Zeroizing;

use super::Args;
use super::look::{self, Look, Now};
use crate::cli::context::Context;
use crate::cli::paths::Among;
use crate::cli::{files, report};
use crate::document::detect::BINARY;
use crate::document::{self, Document, Format, bytes};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::history::{self as log, History};
use crate::kubernetes::Identity;
use crate::lint::history::version::{Reader, Today, Version};
use crate::lint::history::{self, Commit, Past, Place, Seen, Step};
use crate::lint::policy::Policy;
use crate::lint::{About, Finding, Subject};
use crate::tree::choice;

/// Larger files are passed over: a Secret has 1 MiB at most, and as ciphertext in base64 less than twice that.
const MOST: usize = 4 << 20;
/// Files that wait to be looked at.
const QUEUE: usize = 32;

/// What was found, and how many findings exceptions took out.
#[derive(Default)]
pub struct Found {
    /// The findings.
    pub findings: Vec<Finding>,
    /// How many are left out.
    pub ignored: usize,
}

/// Looks through the history for what the encrypted files of today, and those that are gone, gave away.
///
/// # Errors
/// `Generic` (1): there is no repository. `Unreadable` (2): git is in trouble, or has a part of the history only.
pub fn look(context: &Context, args: &Args, look: &Look<'_>, mut reader: Reader, now: Vec<Now>) -> Result<Found> {
    let repository = context.repository(&context.directory)?.ok_or_else(|| {
        let error = Error::new(Kind::Generic, "there is no git repository here, whose history could be looked at");
        error.hint("run it inside one, or leave out --history")
    })?;
    if args.verify && !reader.compares() {
        report::note(
            context,
            "whether a value of former times is today's isn't said here: --show-equal says it, where nobody else reads along",
        );
    }
    let (todays, paths): (Vec<Today>, Vec<PathBuf>) = now.into_iter().map(|now| (now.today, now.path)).unzip();
    reader.learn(&todays);
    let walk = Walk::new(context, args, &repository, &reader, &todays, &paths)?;
    let mut findings = walk.findings()?;
    let mut ignored = 0;
    for (today, path) in todays.iter().zip(&paths) {
        ignored += look.except(&today.name, path, &mut findings)?;
    }
    Ok(Found { findings, ignored })
}

/// One walk through the history.
struct Walk<'w> {
    context: &'w Context,
    repository: &'w Repository,
    reader: &'w Reader,
    todays: &'w [Today],
    history: History,
    places: Vec<Place>,
    /// Who is encrypted today.
    identities: HashSet<&'w Identity>,
    /// Words of which a file has one, if it may be of interest wherever it stands.
    marks: Vec<Finder<'static>>,
}

impl<'w> Walk<'w> {
    fn new(
        context: &'w Context,
        args: &Args,
        repository: &'w Repository,
        reader: &'w Reader,
        todays: &'w [Today],
        paths: &[PathBuf],
    ) -> Result<Walk<'w>> {
        let insides: HashMap<PathBuf, usize> =
            paths.iter().enumerate().filter_map(|(at, path)| Some((repository.inside(path)?, at))).collect();
        let history = repository.history(|path| insides.contains_key(path) || may_hold(path))?;
        let places = places(context, args, repository, &history, &insides)?;
        let identities: HashSet<&Identity> =
            todays.iter().flat_map(|today| &today.version.parts).filter_map(|part| part.identity.as_ref()).collect();
        let kinds: HashSet<&str> = identities.iter().map(|identity| identity.kind.as_str()).chain(["Secret", "ENC["]).collect();
        let marks = kinds.into_iter().map(|kind| Finder::new(kind.as_bytes()).into_owned()).collect();
        Ok(Walk { context, repository, reader, todays, history, places, identities, marks })
    }

    fn findings(&self) -> Result<Vec<Finding>> {
        let history = &self.history;
        let commit = |commit: &log::Commit| Commit { name: commit.name.clone(), date: commit.date.clone() };
        let commits: Vec<Commit> = history.commits.iter().map(commit).collect();
        let seen: Vec<Seen> =
            history.seen.iter().map(|seen| Seen { commit: seen.commit, place: seen.path, version: seen.object }).collect();
        let steps: Vec<Step> = history.steps.iter().map(|step| Step { commit: step.commit, place: step.path, added: step.added }).collect();
        let trunk = self.repository.head()?.map(|head| history.ancestors(&head)).unwrap_or_default();
        let versions = self.versions(&seen)?;
        Ok(history::check(&Past {
            todays: self.todays,
            commits: &commits,
            places: &self.places,
            seen: &seen,
            versions: &versions,
            steps: &steps,
            trunk: &trunk,
            descendants: &|commit| history.descendants(commit),
        }))
    }

    /// What all contents say.
    fn versions(&self, seen: &[Seen]) -> Result<Vec<Option<Version>>> {
        let count = self.history.objects.len();
        let mut versions: Vec<Option<Version>> = (0..count).map(|_| None).collect();
        let today = |place: &Place| Some(self.todays.get(place.today?)?.version.block.as_ref()?.format);
        let todays: Vec<Option<&dyn Format>> = self.places.iter().map(today).collect();
        let large = self.read(&(0..count).collect::<Vec<usize>>(), &todays, &mut versions)?;
        // What stood where an encrypted file stood later that is gone: only now it is known where that was.
        let sealed = history::were_sealed(&self.places, seen, &versions);
        let again: BTreeSet<usize> = seen.iter().filter(|seen| sealed[seen.place].is_some()).map(|seen| seen.version).collect();
        let in_clear = |at: &usize| versions[*at].as_ref().is_none_or(|version| version.block.is_none());
        let again: Vec<usize> = again.into_iter().filter(in_clear).collect();
        self.read(&again, &sealed, &mut versions)?;
        self.say(large);
        Ok(versions)
    }

    fn say(&self, large: usize) {
        let (commits, contents) = (self.history.commits.len(), self.history.objects.len());
        let mut line = format!("history: {commits} commits, {contents} versions of files that may hold secrets");
        if large > 0 {
            line.push_str(&format!("; {large} of more than {} MiB weren't looked at", MOST >> 20));
        }
        report::note(self.context, &line);
    }

    /// Reads these contents into their places in `versions`; those at a place where something of a format is `sealed` are
    /// taken in whatever they hold. Says how many were too large.
    fn read(&self, contents: &[usize], sealed: &[Option<&'static dyn Format>], versions: &mut [Option<Version>]) -> Result<usize> {
        let mut names: HashMap<usize, Known> = HashMap::new();
        for seen in &self.history.seen {
            let known = names.entry(seen.object).or_insert(Known { place: seen.path, sealed: None });
            if known.sealed.is_none() {
                *known = Known { place: seen.path, sealed: sealed[seen.path] }
            }
        }
        let objects: Vec<&str> = contents.iter().map(|at| self.history.objects[*at].as_str()).collect();
        let known = |at: usize| names.get(&contents[at]).copied().unwrap_or_default();
        let progress = files::progress(self.context, objects.len());
        let one = |(at, bytes): (usize, Zeroizing<Vec<u8>>)| Some((contents[at], self.version(bytes, known(at))?));
        let (left, found) = std::thread::scope(|scope| {
            let (send, receive) = sync_channel(QUEUE);
            let receive = Arc::new(Mutex::new(receive));
            let workers: Vec<_> = (0..workers())
                .map(|_| {
                    let receive = Arc::clone(&receive);
                    scope.spawn(move || worked(&receive, one))
                })
                .collect();
            drop(receive);
            let left = self.repository.contents(&objects, MOST, |at, bytes| {
                self.take(known(at).sealed.is_some(), at, bytes, &progress, |job| drop(send.send(job)))
            });
            drop(send);
            (left, workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>())
        });
        progress.finish_and_clear();
        for (at, version) in found {
            versions[at] = Some(version);
        }
        Ok(left?.large)
    }

    /// Hands on what may be of interest.
    fn take(
        &self,
        whole: bool,
        at: usize,
        bytes: &mut Zeroizing<Vec<u8>>,
        progress: &ProgressBar,
        hand_on: impl FnOnce((usize, Zeroizing<Vec<u8>>)),
    ) {
        progress.inc(1);
        if whole || self.marks.iter().any(|mark| mark.find(bytes).is_some()) {
            hand_on((at, std::mem::take(bytes)));
        }
    }

    fn version(&self, bytes: Zeroizing<Vec<u8>>, known: Known) -> Option<Version> {
        let text = match known.sealed {
            Some(format) if format.is_bytes() => bytes::to_text(&bytes),
            // What isn't text holds no Secret that anyone could read.
            _ => look::readable(bytes).ok()?,
        };
        let name = &self.places.get(known.place)?.name;
        let document = read(name, &text, known.sealed);
        let policy = Policy::default();
        let about = About { config: None, rule: None, left_decrypted: false, policy: &policy };
        let subject = Subject::new(name, &text, document.as_ref(), about);
        let version = self.reader.version(&subject, known.sealed.is_some(), |identity| self.identities.contains(identity));
        let says = version.block.is_some() || version.parts.iter().any(|part| !part.values.is_empty());
        says.then_some(version)
    }
}

/// What is known of a content before it is read.
#[derive(Clone, Copy, Default)]
struct Known {
    /// A place at which it stood.
    place: usize,
    /// The format of what is encrypted there, today or later.
    sealed: Option<&'static dyn Format>,
}

/// Reads a version of former times as what it was named, or as what was encrypted later at its place.
fn read<'t>(name: &str, text: &'t str, sealed: Option<&'static dyn Format>) -> Option<Result<Document<'t>>> {
    let named = look::read(name, text);
    let Some(sealed) = sealed else { return named };
    match named {
        Some(Ok(document)) if !sealed.is_bytes() || choice::has_block(&document) || BINARY.content(&document).is_some() => {
            Some(Ok(document))
        }
        Some(Err(why)) if !sealed.is_bytes() => Some(Err(why)),
        _ => Some(sealed.parse_plain(text)),
    }
}

/// What one thread makes of what comes, until nothing more comes.
fn worked<J, T>(jobs: &Mutex<Receiver<J>>, one: impl Fn(J) -> Option<T>) -> Vec<T> {
    let next = || jobs.lock().ok()?.recv().ok();
    let mut done = Vec::new();
    while let Some(job) = next() {
        done.extend(one(job));
    }
    done
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether a file of this name may hold a Secret, or be encrypted. Any other counts where an encrypted file stands today.
fn may_hold(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    document::format_by_path(&name).is_some() || look::is_template(&name)
}

fn places(
    context: &Context,
    args: &Args,
    repository: &Repository,
    history: &History,
    insides: &HashMap<PathBuf, usize>,
) -> Result<Vec<Place>> {
    let here = [OsString::from(".")];
    let among = Among::read(context, if args.paths.paths.is_empty() { &here } else { &args.paths.paths })?;
    // What is gone hasn't changed since some revision.
    let gone = args.paths.changed_since.is_none();
    let above = super::top(context);
    let place = |inside: &PathBuf| {
        let path = repository.top.join(inside);
        let name = among.name(&path);
        Place {
            name: if name.is_absolute() { above.join(inside) } else { name }.display().to_string(),
            there: std::fs::symlink_metadata(&path).is_ok(),
            today: insides.get(inside).copied(),
            meant: gone && among.hold(&path),
        }
    };
    Ok(history.paths.iter().map(place).collect())
}

/// Whether what is said of a value may say whether it is today's: to people at a terminal of their own, unless more is asked
/// for.
pub fn compares(context: &Context, args: &Args) -> bool {
    let set = |name: &str| context.environment.var(name).is_some_and(|value| !value.is_empty());
    let text = args.format.as_deref().unwrap_or("text") == "text";
    args.verify && (args.show_equal || text && !set("CI") && !set("GITHUB_ACTIONS"))
}
