//! The hooks of `kveil git setup --hooks`.

use super::setup::shown;
use crate::cli::context::Context;
use crate::cli::report;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::hooks::{self, Before, Done};
use crate::git::setup::Configuration;

/// Writes the hooks.
///
/// # Errors
/// `Generic` (1) with the lines to add, where someone else keeps a hook, or all repositories share them.
pub fn write(context: &Context, repository: &Repository, configuration: &Configuration<'_>, before: Before) -> Result<()> {
    let folder = configuration.hooks()?;
    // Hooks of one's own for all repositories are no place for this one's.
    let own = folder.starts_with(&repository.top) || folder.starts_with(&repository.common);
    let mut foreign = Vec::new();
    for hook in hooks::hooks(before) {
        let done = match own || hook.is_there(&folder) {
            true => hook.write(&folder)?,
            false => Done::Foreign,
        };
        let place = shown(repository, &folder.join(hook.name));
        match done {
            Done::Written => report::note(context, &format!("{place}: written")),
            Done::Kept => report::note(context, &format!("{place}: up to date")),
            Done::Foreign => foreign.push((place, hook)),
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    let error = Error::new(Kind::Generic, "hooks that kveil hasn't written aren't changed");
    Err(foreign.iter().fold(error, |error, (place, hook)| {
        let error = error.hint(format!("to be added to {place}:"));
        hook.lines().fold(error, |error, line| error.hint(format!("    {line}")))
    }))
}

/// Takes them out.
///
/// # Errors
/// `Unwritable` (3).
pub fn remove(context: &Context, repository: &Repository, configuration: &Configuration<'_>) -> Result<()> {
    let folder = configuration.hooks()?;
    for hook in hooks::hooks(Before::Check) {
        if hook.remove(&folder)? {
            report::note(context, &format!("{}: kveil's lines are out", shown(repository, &folder.join(hook.name))));
        }
    }
    Ok(())
}

/// What is missing of them.
///
/// # Errors
/// `Unreadable` (2): git fails.
pub fn lacking(configuration: &Configuration<'_>, before: Before) -> Result<Vec<String>> {
    let folder = configuration.hooks()?;
    let missing = hooks::hooks(before).into_iter().filter(|hook| !hook.is_there(&folder));
    Ok(missing.map(|hook| format!("the hook {} lacks kveil's lines", hook.name)).collect())
}
