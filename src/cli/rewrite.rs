//! What the verbs share that write the next version of encrypted files.

use std::path::Path;

use zeroize::Zeroizing;

use super::context::Context;
use super::encrypt::{is_directory, output_path};
use super::files::Ran;
use super::flags::Common;
use super::paths::{Handling, Target, Targets};
use super::{identities, report};
use crate::error::{Error, Kind, Result};
use crate::recipient::Identities;
use crate::source::{self, Source};

/// Where the next version goes.
#[derive(clap::Args, Default)]
pub struct Destination {
    /// Replace the files
    #[arg(long, short)]
    in_place: bool,
    /// Write to this file or, for several, into this directory
    #[arg(long, short, value_name = "PATH", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    output: Option<String>,
    /// With -i: write into the file itself where it can't be replaced in one step (a bind mount, hard links)
    #[arg(long, requires = "in_place")]
    write_through: bool,
}

/// What became of one file.
pub struct Written {
    /// The file as it was named.
    pub name: String,
    /// A word for the summary.
    pub status: &'static str,
    /// The next version, for standard output; what was written already isn't held.
    pub text: Option<Zeroizing<String>>,
    /// Lines that say what was done.
    pub notes: Vec<String>,
    /// Lines that say what is odd.
    pub warnings: Vec<String>,
}

impl Destination {
    /// Whether files are written, rather than standard output.
    pub fn writes(&self) -> bool {
        self.in_place || self.output.is_some()
    }

    /// Refuses flags that don't fit each other or the inputs.
    ///
    /// # Errors
    /// `ConflictingFlags` (8).
    pub fn check(&self, context: &Context, targets: &Targets, dry_run: bool) -> Result<()> {
        let refuse = |message: &str, hint: &str| Err(Error::new(Kind::ConflictingFlags, message).hint(hint));
        if self.in_place && self.output.is_some() {
            return refuse("cannot operate on both --output and --in-place", "give one of them");
        }
        if self.in_place && targets.hold_stdin() {
            return refuse("standard input can't be changed in place", "leave out -i");
        }
        if targets.are_several() && !self.in_place && !dry_run && !self.output.as_deref().is_some_and(is_directory) {
            return refuse("several files can't share one output", "give -i, or --output DIR/");
        }
        targets.refuse_output(context, self.output.as_deref(), None)?;
        if let Some(output) = self.output.as_deref().filter(|_| targets.are_several()) {
            targets.refuse_same_output(output)?;
        }
        match self.output.as_deref().filter(|output| output.ends_with('/') && !dry_run) {
            Some(directory) => source::make_directory(Path::new(directory)),
            None => Ok(()),
        }
    }

    /// Refuses to change anything but a regular file in place.
    ///
    /// # Errors
    /// `ConflictingFlags` (8).
    pub fn refuse_irregular(&self, target: &Target) -> Result<()> {
        match &target.source {
            Source::File(path) if self.in_place => source::refuse_irregular(path, source::NOT_IN_PLACE),
            _ => Ok(()),
        }
    }

    /// Writes the next version of a file, unless it goes to standard output. A file that is as it should be is left alone.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn write(&self, target: &Target, text: &str) -> Result<()> {
        match (&target.source, self.output.as_deref()) {
            (Source::File(path), None) if self.in_place && self.write_through => source::write_through(path, text),
            (Source::File(path), None) if self.in_place => source::write(path, text, false),
            (_, Some(output)) => {
                let path = output_path(output, target, None);
                path.parent().filter(|_| !target.named).map_or(Ok(()), source::make_directory)?;
                source::write(&path, text, false)
            }
            _ => Ok(()),
        }
    }
}

/// The text of an encrypted file; a file that isn't there is an error of the kind `missing`.
///
/// # Errors
/// As [`Source::read`].
pub fn read(input: &Source, missing: Kind) -> Result<Zeroizing<String>> {
    input.read_encrypted().map_err(|mut error| {
        if error.kind == Kind::NoFile {
            error.kind = missing;
        }
        error
    })
}

/// Tells what became of all files (`done` is the verb: `rotated`), prints what goes to standard output, and gives the error
/// to end with.
///
/// # Errors
/// See [`Ran::settle`].
pub fn finish(
    context: &Context,
    handling: &Handling,
    destination: &Destination,
    identities: &Identities,
    ran: Ran<Written>,
    common: &Common,
) -> Result<()> {
    identities::tell(context, common, identities);
    let (dry, machine) = (handling.dry_run, handling.report.is_some());
    for file in &ran.done {
        file.warnings.iter().for_each(|line| report::warning(context, &format!("{}: {line}", file.name)));
        if dry && !machine {
            file.notes.iter().try_for_each(|line| report::line(line))?;
        } else if !dry {
            file.notes.iter().for_each(|line| report::note(context, line));
        }
        file.text.as_ref().map_or(Ok(()), |text| report::data(text.as_bytes()))?;
    }
    if machine {
        ran.report(dry || destination.writes(), |file| serde_json::json!({"file": file.name, "status": file.status}))?;
    }
    ran.settle(context, common.verbose, if dry { "would be rewritten" } else { "rewritten" })
}
