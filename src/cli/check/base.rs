//! The revision whose rules, baseline and exceptions count: what a change brings along can't excuse the change.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::lint::{Finding, review};
use crate::source::{self, Source};

/// A revision.
pub struct Base<'a> {
    repository: Repository,
    /// As it was named.
    pub revision: &'a str,
    commit: String,
    /// The files that are others now.
    differing: HashSet<PathBuf>,
}

impl<'a> Base<'a> {
    /// Opens it.
    ///
    /// # Errors
    /// `Unreadable` (2): git is in trouble, or knows no such revision. `Generic` (1): there is no repository.
    pub fn open(context: &Context, revision: &'a str) -> Result<Base<'a>> {
        let repository = Repository::at(&context.environment, &context.directory, &context.directory)?.ok_or_else(|| {
            let error = Error::new(Kind::Generic, format!("there is no git repository here, in which {revision} could be found"));
            error.hint("run it inside one, or leave out --base")
        })?;
        let commit = repository.commit(revision)?;
        let differing = repository.differing_from(&commit)?;
        Ok(Base { repository, revision, commit, differing })
    }

    /// What the revision has at `path` (absolute); none if it has no such file, or one that isn't text.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn text_of(&self, path: &Path) -> Result<Option<String>> {
        let Some(inside) = self.repository.inside(path) else { return Ok(None) };
        // A file that git doesn't know differs from nothing.
        let Some(found) = self.repository.first_at(&self.commit, std::slice::from_ref(&inside))? else { return Ok(None) };
        if !self.differing.contains(&inside) {
            return Ok(Source::File(path.to_owned()).read().ok().map(|text| text.to_string()));
        }
        let bytes = self.repository.object(&found.object, &inside)?;
        Ok(source::utf8(bytes).ok().map(|text| text.to_string()))
    }

    /// The revision's own version of a file that checks go by; a change to it is a finding.
    ///
    /// # Errors
    /// As [`Base::text_of`].
    pub fn policy_file(&self, path: &Path, findings: &mut Vec<Finding>) -> Result<Option<String>> {
        let then = self.text_of(path)?;
        let now = Source::File(path.to_owned()).read().ok();
        if then.as_deref() != now.as_ref().map(|now| now.as_str()) {
            findings.push(review::changed(&path.display().to_string(), self.revision));
        }
        Ok(then)
    }
}
