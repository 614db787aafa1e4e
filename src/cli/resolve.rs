//! `kveil resolve`.

mod choice;
mod versions;

use std::path::PathBuf;

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::consent::Consent;
use super::context::Context;
use super::flags::{Common, Types};
use super::git::readers::Readers;
use super::{ask, clock, git, identities, report};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::mask::Masks;
use crate::git::merge::{self, Asking, Dispute, Pick, Versions, Wrapping, markers};
use crate::git::signing;
use crate::pipeline::next;
use crate::recipient::Identities;
use crate::source::{self, Source};
use choice::Choice;
use versions::{Found, Three};

/// Merge an encrypted file that was left with conflict markers, or with a MAC that doesn't fit
///
/// For what git's merge driver left in conflict, and for what was merged without it: in the web, or by a client that isn't
/// set up. The versions are those in the index, else those of the merge under way, of the last merge commit, or between the
/// markers. They are merged by their values; you are asked about what both sides changed, each in its way, and see masks, no
/// values. The result is signed and verified, and written in one step. `git add` is left to you.
#[derive(ClapArgs)]
pub struct Args {
    /// The file
    #[arg(required_unless_present_any = ["ours", "theirs"])]
    file: Option<String>,
    /// Take ours where both sides changed the same; with a key path only there
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    ours: Vec<String>,
    /// Take theirs where both sides changed the same; with a key path only there
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    theirs: Vec<String>,
    /// Merge with this revision's version; ours is the newest one whose MAC fits
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    #[command(flatten)]
    consent: Consent,
    /// Format of the file, whatever its name: yaml, json, dotenv, ini or binary
    #[arg(long, value_name = "FORMAT")]
    input_type: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Args {
    /// The file, and the keys for which ours and theirs count. `--ours FILE` means what `FILE --ours` does.
    fn split(&self) -> Result<(String, Vec<String>, Vec<String>)> {
        let (mut ours, mut theirs) = (self.ours.clone(), self.theirs.clone());
        if let Some(file) = &self.file {
            return Ok((file.clone(), ours, theirs));
        }
        match (ours.as_mut_slice(), theirs.as_mut_slice()) {
            ([file], []) | ([], [file]) if !file.is_empty() => Ok((std::mem::take(file), ours, theirs)),
            _ => Err(Error::new(Kind::Generic, "which file is to be resolved?").hint("kveil resolve FILE --ours KEY --theirs KEY")),
        }
    }
}

/// Resolves.
///
/// # Errors
/// `Generic` (1): something is in dispute and nobody says which side counts, or nothing tells the versions; those of
/// opening and writing.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let (file, ours, theirs) = args.split()?;
    let choice = Choice::of(&ours, &theirs)?;
    let path = context.absolute(&file);
    let folder = path.parent().map_or_else(|| context.directory.clone(), PathBuf::from);
    let repository = Repository::at(&context.environment, &context.directory, &folder)?;
    let identities = identities::of(context, &args.common);
    let resolver = Resolver { context, args, file: file.clone(), path, repository, identities, choice };
    let resolved = resolver.run();
    identities::tell(context, &args.common, &resolver.identities);
    resolved.map_err(|error| error.in_file(&file))
}

/// One run.
struct Resolver<'a> {
    context: &'a Context,
    args: &'a Args,
    /// The file, as it was named.
    file: String,
    /// The file, absolute.
    path: PathBuf,
    repository: Option<Repository>,
    identities: Identities,
    choice: Choice,
}

impl Resolver<'_> {
    fn run(&self) -> Result<()> {
        if self.path.exists() {
            source::refuse_irregular(&self.path, source::COPY)?;
        }
        let there = if self.path.exists() { Some(Source::File(self.path.clone()).read()?) } else { None };
        match self.versions(there.as_deref().map(String::as_str))? {
            Found::Settled => {
                report::note(self.context, &format!("{}: nothing is in conflict, and the MAC fits", self.file));
                Ok(())
            }
            Found::Deleted { by, kept } => self.deleted(by, &kept),
            Found::Three(three) => self.merge(&three, there.as_deref().map(String::as_str)),
        }
    }

    fn format(&self, text: &str) -> Result<&'static dyn Format> {
        let types = Types { input_type: self.args.input_type.clone(), ..Types::default() };
        types.input(&self.file, text)
    }

    fn merge(&self, three: &Three, there: Option<&str>) -> Result<()> {
        let format = self.format(&three.ours)?;
        let versions = Versions { base: &three.base, ours: &three.ours, theirs: &three.theirs, format };
        if !merge::concerns(&versions) {
            let error = Error::new(Kind::Generic, "neither side is encrypted: this is a conflict for an editor");
            return Err(error.hint("git mergetool, or edit the file, and git add it"));
        }
        let masks = self.masks()?;
        let edited = there.filter(|text| markers::size(text).is_none());
        let choose = |disputes: &[Dispute]| -> Result<Vec<Pick>> {
            let by_hand = edited.map(|text| self.masked_values(text, &masks)).unwrap_or_default();
            let picks = self.choice.picks(self.context, disputes, &by_hand)?;
            if three.theirs_unsigned && picks.contains(&Pick::Theirs) && !ask::possible(self.context) {
                let error = Error::new(Kind::Generic, "what stands between the markers as theirs is signed by nobody");
                return Err(error.hint("--from REV takes their version from git; or look at it on a terminal"));
            }
            Ok(picks)
        };
        let readers = Readers::new(self.context, &self.args.common, &self.args.consent, self.path.clone(), &versions);
        let wrapping = Wrapping { identities: &self.identities, consent: &|recipients| readers.check(recipients) };
        let asking = Asking { masks: &masks, choose: &choose, theirs_unsigned: three.theirs_unsigned };
        let merged = merge::resolve(&versions, &clock::now(), &wrapping, &asking).map_err(|error| helped(error, three))?;
        merged.notes.iter().for_each(|note| report::warning(self.context, &format!("{}: {note}", self.file)));
        self.write(&merged.text)?;
        if let Some(edited) = edited {
            self.tell_lost(edited, &merged.text);
        }
        report::note(self.context, &format!("{}: merged from {}, and signed", self.file, three.origin));
        self.tell_next(three.staged);
        Ok(())
    }

    fn write(&self, text: &str) -> Result<()> {
        source::write(&self.path, text, false)?;
        git::add_attributes(self.context, &[&self.path]);
        Ok(())
    }

    fn tell_next(&self, staged: bool) {
        let what =
            if staged { "git add it when you have looked at it (git diff), and go on" } else { "look at it (git diff), and commit it" };
        report::note(self.context, &format!("  {what}"));
    }

    /// A file that one side deleted and the other changed: git calls no driver for it.
    fn deleted(&self, by: Pick, kept: &Zeroizing<String>) -> Result<()> {
        let other = if by == Pick::Ours { Pick::Theirs } else { Pick::Ours };
        let what = format!("{} deleted it, {} changed it", by.name(), other.name());
        let pick = self.choice.everywhere().or_else(|| {
            let question = format!("{}: {what}. Whose version counts? (ours/theirs): ", self.file);
            ask::possible(self.context).then(|| ask::one_of(&question, &choice::ANSWERS)).flatten()
        });
        match pick {
            None => Err(Error::new(Kind::Generic, format!("{what}: which side counts?")).hint("--ours or --theirs says so")),
            Some(pick) if pick == by => {
                report::note(self.context, &format!("{}: nothing was changed; git rm it, and go on", self.file));
                Ok(())
            }
            Some(_) => {
                next::open(kept, self.format(kept)?, &self.identities, &[], false)?;
                self.write(kept)?;
                report::note(self.context, &format!("{}: the version of {} stays", self.file, other.name()));
                self.tell_next(true);
                Ok(())
            }
        }
    }

    /// Masks of this clone; elsewhere such of this run.
    fn masks(&self) -> Result<Masks> {
        self.repository.as_ref().and_then(|repository| repository.masks().ok()).map_or_else(Masks::random, Ok)
    }

    /// What a file that was edited by hand holds, by key path.
    fn masked_values(&self, text: &str, masks: &Masks) -> choice::ByHand {
        let opened = self.format(text).and_then(|format| next::open(text, format, &self.identities, &[], true));
        let values = |opened: next::Opened<'_>| {
            opened.encrypted_values().map(|(path, value)| (path, masks.mask(value.0, &value.1))).collect::<choice::ByHand>()
        };
        opened.map(values).unwrap_or_default()
    }

    /// Says what stood in the file beside what the versions have.
    fn tell_lost(&self, edited: &str, merged: &str) {
        let open = |text| next::open(text, self.format(text).ok()?, &self.identities, &[], true).ok();
        let (Some(before), Some(after)) = (open(edited), open(merged)) else { return };
        let lines = signing::values(&before, &after);
        if !lines.is_empty() {
            report::warning(self.context, &format!("{}: what was merged differs from what the file held:", self.file));
            lines.iter().for_each(|line| report::note(self.context, &format!("  {line}")));
        }
    }
}

/// A version that isn't signed can't be merged, but it can be looked at.
fn helped(error: Error, three: &Three) -> Error {
    match error.kind {
        Kind::MacMismatch if !three.theirs_unsigned => {
            error.hint("that version was changed without its data key: kveil resign FILE on its branch shows what, and signs it")
        }
        _ => error,
    }
}
