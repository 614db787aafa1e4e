//! `check --fix`: what can be mended without a key, and without a doubt.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::{encrypt, git, report};
use crate::error::{Error, Kind, Result};
use crate::lint::output::Report;
use crate::lint::{Level, clear, configuration, repository};

/// Encrypts files in clear that a rule is for, and sets up git's drivers; says whether anything was done.
///
/// # Errors
/// Those of `encrypt -i` and `git setup`.
pub fn fix(context: &Context, found: &Report) -> Result<bool> {
    let mut files: BTreeSet<&str> = BTreeSet::new();
    for finding in &found.findings {
        let meant = [clear::LEFT_DECRYPTED.id, configuration::NOT_ENCRYPTED.id].contains(&finding.rule.id)
            || finding.rule.id == clear::PLAINTEXT_SECRET.id && finding.level == Level::Error;
        if meant && finding.fixable {
            files.insert(&finding.file);
        }
    }
    // What is encrypted already in part, has no rule or is broken is for a person to mend.
    let others = |file: &str| {
        found
            .findings
            .iter()
            .any(|other| other.file == file && [configuration::NO_RULE.id, "KV308", "KV306", "KV119", "KV320"].contains(&other.rule.id))
    };
    files.retain(|file| !others(file));
    let drivers = found.findings.iter().any(|finding| finding.rule.id == repository::DRIVERS.id);
    if !files.is_empty() {
        let arguments = ["encrypt", "-i", "--"].into_iter().chain(files.iter().copied()).map(OsString::from);
        run::<encrypt::Args>(arguments, |args| encrypt::run(context, args))?;
        report::note(context, "what was committed in clear stays in the history: change those values at their source");
    }
    if drivers {
        run::<git::Args>(["git", "setup"].map(OsString::from).into_iter(), |args| git::run(context, args))?;
    }
    Ok(drivers || !files.is_empty())
}

/// Another command, with these arguments.
fn run<A: Args>(arguments: impl Iterator<Item = OsString>, command: impl Fn(&A) -> Result<()>) -> Result<()> {
    let declared = A::augment_args(clap::Command::new("fix"));
    let unusable = |why: clap::Error| Error::new(Kind::Generic, format!("can't be mended: {}", why.kind()));
    let matches = declared.try_get_matches_from(arguments).map_err(unusable)?;
    command(&A::from_arg_matches(&matches).map_err(unusable)?)
}
