//! The identities of a command, as its flags say, and what is said of them afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Context;
use super::flags::Common;
use super::{report, settings};
use crate::config;
use crate::git::Repository;
use crate::recipient::{Environment, Identities};
use crate::source;

/// The identities that the environment leads to; without the network where that is asked for.
pub fn of(context: &Context, common: &Common) -> Identities {
    within(context, common, context.environment.clone())
}

/// The same of another environment than the process's own.
pub fn within(context: &Context, common: &Common, own: Environment) -> Identities {
    let (repositories, environment, directory) =
        (Arc::clone(&context.repositories), context.environment.clone(), context.directory.clone());
    let named = common.config.as_deref().filter(|name| !name.is_empty()).map(|name| context.absolute(name));
    let identities = Identities::new(own).trusting(!context.is_strict(), move || {
        let repository = repositories.at(&environment, &directory, &directory).ok().flatten();
        repository.map_or_else(Vec::new, |repository| committed_recipients(&repository, named.as_deref()))
    });
    if common.offline { identities.offline() } else { identities }
}

/// Says what came up while identities were gathered; with `-v` also which services were called, how often, and as whom.
pub fn tell(context: &Context, common: &Common, identities: &Identities) {
    identities.take_warnings().iter().for_each(|warning| report::warning(context, warning));
    if common.verbose {
        identities.calls().iter().for_each(|line| report::note(context, line));
    }
}

/// The recipients that a repository has committed to, in all its configurations: what stands there
/// was agreed on, while a file or a work tree may be anyone's. What can't be read vouches for nobody.
fn committed_recipients(repository: &Repository, named: Option<&Path>) -> Vec<String> {
    let named: Option<PathBuf> = named.and_then(|path| repository.inside(path));
    let is_config = |path: &Path| path.file_name().is_some_and(|name| name == settings::FILE) || named.as_deref() == Some(path);
    let texts = repository.in_head(is_config).unwrap_or_default().into_iter().filter_map(|bytes| source::utf8(bytes).ok());
    let configs = texts.filter_map(|text| config::parse(&text, settings::FILE).ok());
    configs.flat_map(|config| config.rules).flat_map(|rule| rule.groups).flatten().map(|recipient| recipient.text).collect()
}
