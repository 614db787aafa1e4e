//! The modes that need no key: what is wrong in the tree, and what a change does to encrypted files.

use super::Args;
use super::runner::Runner;
use crate::deploy::actions::commands::Level;
use crate::deploy::actions::findings;
use crate::error::{Error, Kind, Result};
use crate::source;

/// Checks the tree: annotations, a SARIF file, a summary.
///
/// # Errors
/// `Child` with check's own code if something was found; trouble.
pub fn check(runner: &Runner<'_>, _args: &Args) -> Result<()> {
    let mut arguments = vec!["check".to_owned(), "--format".to_owned(), "sarif".to_owned()];
    if let Some(base) = check_base(runner)? {
        arguments.extend(["--base".to_owned(), base]);
    }
    arguments.push("--".to_owned());
    let paths = runner.lines("FILES");
    arguments.extend(if paths.is_empty() { vec![".".to_owned()] } else { paths });
    let ended = runner.kveil(&arguments)?;
    runner.say_all(&ended.said)?;
    if ended.code > 1 {
        return Err(runner.trouble("check", &ended));
    }
    let sarif = source::utf8(ended.out)?;
    let found = findings::read(&sarif)?;
    let path = match runner.input("SARIF_FILE") {
        Some(path) => runner.context.absolute(&path),
        None => runner.temporary()?.join("kveil.sarif"),
    };
    source::write(&path, sarif.as_bytes(), false)?;
    found.iter().try_for_each(|finding| runner.annotate(finding))?;
    runner.summary(&findings::summary(&found))?;
    runner.output("sarif", &path.display().to_string())?;
    runner.output("findings", &found.len().to_string())?;
    let errors = found.iter().filter(|finding| finding.level == Level::Error).count();
    runner.say(&format!("{} findings, {errors} of them errors", found.len()))?;
    if ended.code == 0 { Ok(()) } else { Err(Error::new(Kind::Child(ended.code), "something was found")) }
}

/// The commit whose rules count: who sends in a change can't switch them off. A push has been agreed on.
fn check_base(runner: &Runner<'_>) -> Result<Option<String>> {
    match runner.input("BASE").as_deref() {
        Some("none") => Ok(None),
        Some(base) => revision(base).map(Some),
        None => Ok(runner.base().filter(|_| runner.context.environment.var("GITHUB_EVENT_NAME").as_deref() != Some("push"))),
    }
}

/// A revision is no flag.
fn revision(text: &str) -> Result<String> {
    if text.starts_with('-') {
        return Err(Error::new(Kind::Generic, "the input base is a revision, such as origin/main"));
    }
    Ok(text.to_owned())
}

/// Shows what differs, values masked: Markdown for the summary and for a comment.
///
/// # Errors
/// Trouble; that something differs is none.
pub fn diff(runner: &Runner<'_>, _args: &Args) -> Result<()> {
    let range = range(runner)?;
    let mut arguments = vec!["diff".to_owned(), "--format".to_owned(), "markdown".to_owned()];
    // Whose change it is must not have anything opened.
    if runner.flag("KEYLESS")? || runner.is_distrusted() && !runner.flag("ALLOW_UNTRUSTED")? {
        arguments.push("--keyless".to_owned());
    }
    arguments.extend([range, "--".to_owned()]);
    arguments.extend(runner.lines("FILES"));
    let ended = runner.kveil(&arguments)?;
    runner.say_all(&ended.said)?;
    if ended.code > 1 {
        return Err(runner.trouble("diff", &ended));
    }
    let markdown = source::utf8(ended.out)?;
    let path = runner.temporary()?.join("kveil-diff.md");
    source::write(&path, markdown.as_bytes(), false)?;
    runner.summary(&markdown)?;
    runner.output("markdown", &markdown)?;
    runner.output("markdown-file", &path.display().to_string())?;
    runner.output("changed", if ended.code == 1 { "true" } else { "false" })
}

/// Both sides; `A...B` shows what the change itself does, whatever the other side did meanwhile.
fn range(runner: &Runner<'_>) -> Result<String> {
    match runner.input("BASE").or_else(|| runner.base()) {
        Some(range) if range.contains("..") => revision(&range),
        Some(base) => Ok(format!("{}...HEAD", revision(&base)?)),
        None => {
            let error = Error::new(Kind::Generic, "this event has no base to compare with");
            Err(error.hint("name one: base: origin/main, with fetch-depth: 0 at the checkout"))
        }
    }
}
