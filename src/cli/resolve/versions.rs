//! Where the three versions of a file come from that was merged badly.

use std::path::Path;

use zeroize::Zeroizing;

use super::Resolver;
use crate::error::{Error, Kind, Result};
use crate::git::merge::{Pick, markers};
use crate::git::sides::Sides;
use crate::git::{Repository, short};
use crate::pipeline::next;
use crate::source;

/// What was found.
pub enum Found {
    /// Nothing is to be done.
    Settled,
    /// One side deleted the file; the other's version.
    Deleted {
        /// Who deleted it.
        by: Pick,
        /// What the other has.
        kept: Zeroizing<String>,
    },
    /// Versions to be merged.
    Three(Three),
}

/// Versions to be merged.
#[derive(Default)]
pub struct Three {
    /// The common ancestor; empty without one.
    pub base: Zeroizing<String>,
    /// Ours.
    pub ours: Zeroizing<String>,
    /// Theirs.
    pub theirs: Zeroizing<String>,
    /// Where they are from, for people.
    pub origin: String,
    /// Whether git waits for the file to be added.
    pub staged: bool,
    /// Whether theirs is but what stands between markers.
    pub theirs_unsigned: bool,
}

impl Resolver<'_> {
    /// The versions of the file, of which the work tree has `there`.
    ///
    /// # Errors
    /// `Generic` (1) where nothing tells them; those of opening the file.
    pub fn versions(&self, there: Option<&str>) -> Result<Found> {
        let marked = there.is_some_and(|text| markers::size(text).is_some());
        if let (Some(revision), Some((repository, path))) = (&self.args.from, self.in_git()) {
            return self.with_revision(repository, &path, revision);
        }
        let stages = self.in_git().map(|(repository, path)| Ok::<_, Error>((repository.stages(&path)?, repository, path))).transpose()?;
        let signed = there.filter(|_| !marked).map_or(Ok(false), |text| self.is_signed(text));
        if let Some((Some(sides), repository, path)) = &stages {
            let both = sides.ours.is_some() && sides.theirs.is_some();
            // What someone made of the file meanwhile may be anything.
            return if both && signed == Ok(true) { Ok(Found::Settled) } else { self.of_sides(repository, path, sides, "the index", true) };
        }
        let signed = signed?;
        if signed {
            return Ok(Found::Settled);
        }
        let Some(there) = there else { return Err(Error::new(Kind::NoFile, "there is no such file, and git has it in no conflict")) };
        if let Some((_, repository, path)) = &stages
            && let Some(found) = self.of_merge(repository, path, there)?
        {
            return Ok(found);
        }
        self.of_markers(there)
    }

    fn is_signed(&self, text: &str) -> Result<bool> {
        match next::open(text, self.format(text)?, &self.identities, &[], false) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == Kind::MacMismatch => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The repository, and the file below its top.
    fn in_git(&self) -> Option<(&Repository, std::path::PathBuf)> {
        let repository = self.repository.as_ref()?;
        Some((repository, repository.inside(&self.path)?))
    }

    fn of_sides(&self, repository: &Repository, path: &Path, sides: &Sides, origin: &str, staged: bool) -> Result<Found> {
        let read = |object: &String| source::utf8(repository.object(object, path)?);
        let base = sides.base.as_ref().map(read).transpose()?.unwrap_or_default();
        match (&sides.ours, &sides.theirs) {
            (Some(ours), Some(theirs)) => {
                let (ours, theirs) = (read(ours)?, read(theirs)?);
                Ok(Found::Three(Three { base, ours, theirs, origin: origin.to_owned(), staged, theirs_unsigned: false }))
            }
            (Some(ours), None) => Ok(Found::Deleted { by: Pick::Theirs, kept: read(ours)? }),
            (None, Some(theirs)) => Ok(Found::Deleted { by: Pick::Ours, kept: read(theirs)? }),
            (None, None) => Err(Error::new(Kind::Generic, format!("{origin} has the file on neither side"))),
        }
    }

    /// Versions of a merge that git took for clean, or whose markers were committed: one that is under way, or the last one
    /// that changed the file, if its MAC fits no longer since then.
    fn of_merge(&self, repository: &Repository, path: &Path, there: &str) -> Result<Option<Found>> {
        let both = |sides: &Sides| sides.ours.is_some() && sides.theirs.is_some() && sides.ours != sides.theirs;
        if let Some(sides) = repository.under_way(path)?.filter(both) {
            return self.of_sides(repository, path, &sides, "the merge under way", false).map(Some);
        }
        let Some((commit, sides)) = repository.last_merge(path)?.filter(|(_, sides)| both(sides)) else { return Ok(None) };
        let Some(object) = repository.object_at(&commit, path)? else { return Ok(None) };
        let merged = source::utf8(repository.object(&object, path)?)?;
        if *merged != *there && next::open(&merged, self.format(there)?, &self.identities, &[], false).is_ok() {
            return Ok(None);
        }
        let origin = format!("the parents of merge commit {}", short(&commit));
        self.of_sides(repository, path, &sides, &origin, false).map(Some)
    }

    /// Theirs by name; ours is the newest version whose MAC fits.
    fn with_revision(&self, repository: &Repository, path: &Path, revision: &str) -> Result<Found> {
        let theirs = repository.commit(revision)?;
        for ours in repository.ancestors_of(path)? {
            let Some(object) = repository.object_at(&ours, path)? else { continue };
            let text = source::utf8(repository.object(&object, path)?)?;
            let signed = self.format(&text).and_then(|format| next::open(&text, format, &self.identities, &[], false));
            match signed {
                Ok(_) => {
                    let sides = repository.sides(&ours, &theirs, path)?;
                    let origin = format!("commit {} and {revision}", short(&ours));
                    return self.of_sides(repository, path, &sides, &origin, false);
                }
                Err(error) if error.kind == Kind::NoDataKey => return Err(error),
                Err(_) => {}
            }
        }
        Err(Error::new(Kind::Generic, "no version of the file in the history of HEAD has a MAC that fits"))
    }

    /// What stands between markers. One side, at least, has to be whole and signed.
    fn of_markers(&self, there: &str) -> Result<Found> {
        let Some(parts) = markers::parts(there)? else {
            let error = Error::new(Kind::MacMismatch, "MAC mismatch: and git knows of no merge that the versions could be taken from");
            return Err(error
                .hint("after an edit of clear fields by hand: kveil resign shows what was changed, and signs")
                .hint("after a merge: --from REV names the other side"));
        };
        let signed = |text: &str| match next::open(text, self.format(text)?, &self.identities, &[], false) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == Kind::NoDataKey => Err(error),
            Err(_) => Ok(false),
        };
        let theirs_unsigned = match (signed(&parts.ours)?, signed(&parts.theirs)?) {
            (true, theirs) => !theirs,
            (false, _) => {
                let error = Error::new(Kind::Generic, "ours, as it stands with the markers, isn't signed, and git has no versions of it");
                return Err(error.hint("--from REV names the other side, if both are in the history"));
            }
        };
        let origin = "what stands between the markers".to_owned();
        // Beside an ancestor, what theirs alone changed would be taken unasked: not where nobody signed theirs.
        let base = parts.base.filter(|base| !theirs_unsigned && signed(base).unwrap_or(false)).unwrap_or_default();
        Ok(Found::Three(Three { base, ours: parts.ours, theirs: parts.theirs, origin, staged: false, theirs_unsigned }))
    }
}
