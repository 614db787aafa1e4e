//! `kveil git merge`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::readers::Readers;
use crate::cli::consent::Consent;
use crate::cli::context::{Context, Name};
use crate::cli::flags::{Common, Types};
use crate::cli::{clock, report};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::merge::{self, Files, MARKER_SIZE, Manner, Merged, Versions, Wrapping};
use crate::source::{self, Source};

/// Merge three versions of an encrypted file: git's merge driver
///
/// Values are merged by key path on what they say, clear lines as git does it, recipients and data key three ways. The
/// result goes into OURS: encrypted, signed, in the layout of ours; what neither side changed keeps its ciphertext. Values
/// in conflict stand between markers as ciphertext, and the exit code is 1: `kveil resolve` settles them.
#[derive(ClapArgs)]
pub struct Args {
    /// The common ancestor (%O)
    base: PathBuf,
    /// Our version, which becomes the result (%A)
    ours: PathBuf,
    /// Their version (%B)
    theirs: PathBuf,
    /// Characters of a conflict marker (%L)
    marker_size: Option<usize>,
    /// The path of the file (%P)
    path: Option<String>,
}

/// Merges.
///
/// # Errors
/// `Generic` (1): conflicts are left, or the file couldn't be merged and has git's markers.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let name = args.path.clone().unwrap_or_else(|| args.ours.display().to_string());
    let (repository, settings) = super::surroundings(context)?;
    let size = args.marker_size.unwrap_or(MARKER_SIZE);
    let usual = match repository.as_ref().filter(|_| size > MARKER_SIZE) {
        Some(repository) => repository.marker_size(&name).unwrap_or(MARKER_SIZE),
        None => MARKER_SIZE,
    };
    let driver = Driver { context, args, name, repository, manner: Manner { marker_size: size, inner: size > usual } };
    driver.run(settings.network_for_merges).map_err(|mut error| {
        // git takes codes above 127 for a driver that died.
        error.kind = Kind::Generic;
        error.in_file(&driver.name)
    })
}

/// Why encrypted versions can't be read: markers of another merge were committed with them.
fn unsettled(versions: &Versions<'_>) -> Option<Error> {
    let marked = |text: &str| text.contains("ENC[AES256_GCM,") && merge::markers::size(text).is_some();
    let side = [("ours", versions.ours), ("theirs", versions.theirs)].into_iter().find(|(_, text)| marked(text));
    side.map(|(side, _)| Error::new(Kind::Generic, format!("{side} was committed with the conflict markers of an earlier merge")))
}

/// One run for git.
struct Driver<'a> {
    context: &'a Context,
    args: &'a Args,
    name: String,
    repository: Option<Arc<Repository>>,
    manner: Manner,
}

impl Driver<'_> {
    fn run(&self, network: bool) -> Result<()> {
        let read = |path: &Path| Source::File(path.to_owned()).read_bytes();
        let bytes = (read(&self.args.base)?, read(&self.args.ours)?, read(&self.args.theirs)?);
        let texts = (source::utf8(bytes.0), source::utf8(bytes.1), source::utf8(bytes.2));
        let (Ok(ours), Ok(theirs)) = (texts.1, texts.2) else { return self.by_lines(None) };
        let base = texts.0.unwrap_or_default();
        let format = Types::default().input(&self.name, &ours)?;
        let versions = Versions { base: &base, ours: &ours, theirs: &theirs, format };
        if !merge::concerns(&versions) {
            return self.by_lines(unsettled(&versions));
        }
        let identities = super::identities(self.context, network);
        let context = self.context.unattended(Name::Kveil);
        let top = self.repository.as_ref().map_or_else(|| context.directory.clone(), |repository| repository.top.clone());
        let (common, consent) = (Common::default(), Consent::default());
        let readers = Readers::new(&context, &common, &consent, top.join(&self.name), &versions);
        let merged = merge::merge(
            &versions,
            self.manner,
            &clock::now(),
            &Wrapping { identities: &identities, consent: &|recipients| readers.check(recipients) },
        );
        identities.take_warnings().iter().for_each(|warning| report::warning(self.context, warning));
        match merged {
            Ok(merged) => self.take(merged),
            Err(error) if self.manner.inner => self.take_base(&base, &error),
            Err(error) => self.by_lines(Some(error)),
        }
    }

    fn take(&self, merged: Merged) -> Result<()> {
        merged.notes.iter().for_each(|note| report::warning(self.context, &format!("{}: {note}", self.name)));
        self.write(&merged.text)?;
        if merged.clean {
            return Ok(());
        }
        let what = if merged.conflicts.is_empty() { "lines in clear".to_owned() } else { merged.conflicts.join(", ") };
        let resolve = format!("kveil resolve {} asks which side counts, and signs the file", self.name);
        if !merged.keyless {
            return Err(Error::new(Kind::Generic, format!("conflict in {what}")).hint(resolve));
        }
        let message = match merged.conflicts.is_empty() {
            true => "merged without a key: its MAC must be renewed".to_owned(),
            false => format!("merged without a key: its MAC must be renewed, and there is a conflict in {what}"),
        };
        Err(Error::new(Kind::Generic, message).hint(format!("with a key: {resolve}")))
    }

    fn write(&self, text: &str) -> Result<()> {
        source::write(&self.args.ours, text, false)
    }

    /// An ancestor that can't be merged stays what it was; if it can't be read later, it counts as none.
    fn take_base(&self, base: &Zeroizing<String>, why: &Error) -> Result<()> {
        report::note(self.context, &format!("{}: of two common ancestors, what both had is taken: {}", self.name, why.message));
        self.write(base)
    }

    /// git's own merge, over the ciphertext. What it takes for clean isn't, if `why` says that the file couldn't be opened.
    fn by_lines(&self, why: Option<Error>) -> Result<()> {
        let files = Files { base: &self.args.base, ours: &self.args.ours, theirs: &self.args.theirs };
        let Some(repository) = &self.repository else { return Err(Error::new(Kind::Generic, "there is no git repository here")) };
        let merged = repository.merge_lines(files, self.manner.marker_size);
        let Some(why) = why else {
            let (text, clean) = merged?;
            source::write(files.ours, &*text, false)?;
            let conflict = || Error::new(Kind::Generic, "conflict in a file that isn't encrypted").hint("edit it, and git add it");
            return if clean { Ok(()) } else { Err(conflict()) };
        };
        match merged {
            Ok((text, false)) => source::write(files.ours, &*text, false)?,
            // Clean as text is no more than that: values, MAC or recipients don't go together.
            _ => self.write(&self.whole_files(files)?)?,
        }
        let error = Error::new(Kind::Generic, format!("not merged: {}", why.message));
        let error = why.hints.iter().fold(error, |error, hint| error.hint(hint));
        Err(error.hint(format!("the file has git's markers over the ciphertext; kveil resolve {} merges it by its values", self.name)))
    }

    fn whole_files(&self, files: Files<'_>) -> Result<Zeroizing<String>> {
        let text = |path: &Path| Source::File(path.to_owned()).read();
        Ok(merge::whole_files(&text(files.ours)?, &text(files.theirs)?, self.manner.marker_size))
    }
}
