//! What the verbs share that write the next version of encrypted files.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::context::Context;
use super::encrypt::is_directory;
use super::{files, report};
use crate::error::{Error, Kind, Result};
use crate::recipient::Identities;
use crate::source::{self, Source};

/// Where the next version goes.
#[derive(clap::Args, Default)]
pub struct Target {
    /// Replace the files
    #[arg(long, short)]
    in_place: bool,
    /// Write to this file or, for several, into this directory
    #[arg(long, short, value_name = "PATH")]
    output: Option<String>,
    /// With -i: write into the file itself where it can't be replaced in one step (a bind mount, hard links)
    #[arg(long, requires = "in_place")]
    write_through: bool,
    /// Print a summary for machines
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    report: Option<String>,
}

/// What became of one file.
pub struct Written {
    /// The file as it was named.
    pub name: String,
    /// A word for the summary.
    pub status: &'static str,
    /// The next version.
    pub text: Zeroizing<String>,
    /// Lines that say what was done.
    pub notes: Vec<String>,
    /// Lines that say what is odd.
    pub warnings: Vec<String>,
}

impl Target {
    /// Whether files are written, rather than standard output.
    pub fn writes(&self) -> bool {
        self.in_place || self.output.is_some()
    }

    /// Refuses flags that don't fit each other or the inputs.
    ///
    /// # Errors
    /// `ConflictingFlags` (8).
    pub fn check(&self, inputs: &[Source]) -> Result<()> {
        let refuse = |message: &str, hint: &str| Err(Error::new(Kind::ConflictingFlags, message).hint(hint));
        if self.in_place && self.output.is_some() {
            return refuse("cannot operate on both --output and --in-place", "give one of them");
        }
        if self.in_place && inputs.contains(&Source::Stdin) {
            return refuse("standard input can't be changed in place", "leave out -i");
        }
        if inputs.len() > 1 && !self.in_place && !self.output.as_deref().is_some_and(is_directory) {
            return refuse("several files can't share one output", "give -i, or --output DIR/");
        }
        match self.output.as_deref().filter(|output| output.ends_with('/')) {
            Some(directory) => source::make_directory(Path::new(directory)),
            None => Ok(()),
        }
    }

    /// Refuses to change anything but a regular file in place.
    ///
    /// # Errors
    /// `ConflictingFlags` (8).
    pub fn refuse_irregular(&self, input: &Source) -> Result<()> {
        match input {
            Source::File(path) if self.in_place => source::refuse_irregular(path),
            _ => Ok(()),
        }
    }

    /// Writes the next version of `input`, unless it goes to standard output. A file that is as it should be is left alone.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn write(&self, input: &Source, text: &str) -> Result<()> {
        match (input, self.output.as_deref()) {
            (Source::File(path), None) if self.in_place && self.write_through => source::write_through(path, text),
            (Source::File(path), None) if self.in_place => source::write(path, text, false),
            (_, Some(output)) => source::write(&output_path(output, input), text, false),
            _ => Ok(()),
        }
    }
}

fn output_path(output: &str, input: &Source) -> PathBuf {
    match Path::new(&input.name()).file_name() {
        Some(file) if is_directory(output) => Path::new(output).join(file),
        _ => PathBuf::from(output),
    }
}

/// The named files.
///
/// # Errors
/// `NoFile` (100) if there are none.
pub fn inputs(names: &[String]) -> Result<Vec<Source>> {
    if names.is_empty() {
        return Err(Error::new(Kind::NoFile, "no file specified").hint("name the file"));
    }
    Ok(names.iter().map(|name| Source::of(name)).collect())
}

/// The text of an encrypted file; a file that isn't there is an error of the kind `missing`.
///
/// # Errors
/// As [`Source::read`].
pub fn read(input: &Source, missing: Kind) -> Result<Zeroizing<String>> {
    input.read().map_err(|mut error| {
        if error.kind == Kind::NoFile {
            error.kind = missing;
        }
        error
    })
}

/// Tells what became of all files, prints what goes to standard output, and gives the error to end with.
///
/// # Errors
/// See [`files::settle`].
pub fn finish(context: &Context, target: &Target, identities: &Identities, results: Vec<Result<Written>>) -> Result<()> {
    identities.take_warnings().iter().for_each(|warning| report::warning(context, warning));
    let (total, mut errors, mut done) = (results.len(), Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(file) => done.push(file),
            Err(error) => errors.push(error),
        }
    }
    for file in &done {
        file.warnings.iter().for_each(|line| report::warning(context, &format!("{}: {line}", file.name)));
        file.notes.iter().for_each(|line| report::note(context, line));
        if !target.writes() {
            report::data(file.text.as_bytes())?;
        }
    }
    if target.report.is_some() {
        summary(target.writes(), &done, &errors)?;
    }
    files::settle(context, errors, total)
}

/// `{"files":[{"file","status"}|{"file","status","error","code"}]}`, stable.
fn summary(writing: bool, done: &[Written], errors: &[Error]) -> Result<()> {
    let good = done.iter().map(|file| serde_json::json!({"file": file.name, "status": file.status}));
    let bad = errors.iter().map(
        |error| serde_json::json!({"file": error.file, "status": "failed", "error": error.to_string(), "code": error.kind.exit_code()}),
    );
    let text = serde_json::json!({"files": good.chain(bad).collect::<Vec<_>>()}).to_string();
    if writing { report::data(format!("{text}\n").as_bytes()) } else { report::machine(&text) }
}
