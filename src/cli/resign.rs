//! `kveil resign`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::flags::{Common, Types};
use super::{ask, clock, git, identities, report};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::git::merge::markers;
use crate::git::{Repository, short, signing};
use crate::pipeline::next::{self, Opened};
use crate::recipient::Identities;
use crate::source::{self, Source};

/// Sign an encrypted file again whose clear fields were edited by hand
///
/// Everything that differs from the newest version in git whose MAC fits is listed: clear values; secret ones that were
/// removed, emptied, moved or put back to an older state; recipients; the rule. Then you are asked. What you sign is what is
/// deployed: without a terminal, or where CI is set, it refuses.
#[derive(ClapArgs)]
pub struct Args {
    /// The file
    file: String,
    /// Compare with this revision's version; `none`: with no version at all
    #[arg(long, value_name = "REV")]
    from: Option<String>,
    /// With --from none: don't ask
    #[arg(long)]
    yes: bool,
    /// Format of the file, whatever its name: yaml, json, dotenv, ini or binary
    #[arg(long, value_name = "FORMAT")]
    input_type: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// A signed version to compare with, as text.
struct Signed {
    text: Zeroizing<String>,
    /// Where it is from, for people.
    place: String,
}

/// Signs.
///
/// # Errors
/// `Generic` (1): refused; `MacMismatch` (51): the version that was named isn't signed either; those of opening and writing.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let path = context.absolute(&args.file);
    let folder = path.parent().map_or_else(|| context.directory.clone(), PathBuf::from);
    let repository = Repository::at(&context.environment, &context.directory, &folder)?;
    let signer = Signer { context, args, path, repository, identities: identities::of(context, &args.common) };
    let signed = signer.run();
    identities::tell(context, &args.common, &signer.identities);
    signed.map_err(|error| error.in_file(&args.file))
}

struct Signer<'a> {
    context: &'a Context,
    args: &'a Args,
    path: PathBuf,
    repository: Option<Repository>,
    identities: Identities,
}

impl Signer<'_> {
    fn run(&self) -> Result<()> {
        let without = self.args.from.as_deref() == Some("none");
        if self.args.yes && !without {
            let error = Error::new(Kind::ConflictingFlags, "--yes goes with --from none only");
            return Err(error.hint("what differs from a signed version is for a person to look at"));
        }
        source::refuse_irregular(&self.path, source::COPY)?;
        let text = Source::File(self.path.clone()).read()?;
        if markers::size(&text).is_some() {
            let error = Error::new(Kind::Generic, "it has conflict markers");
            return Err(error.hint(format!("kveil resolve {} merges it", self.args.file)));
        }
        let types = Types { input_type: self.args.input_type.clone(), ..Types::default() };
        let format = types.input(&self.args.file, &text)?;
        let opened = self.open(&text, format, true)?;
        if opened.is_signed() {
            report::note(self.context, &format!("{}: its MAC fits, nothing is to be signed", self.args.file));
            return Ok(());
        }
        if !without || !self.args.yes {
            self.refuse_unseen()?;
            self.ask(&opened, without)?;
        }
        let sealed = next::reseal(&opened, &opened.plain, |_| Ok(()), &clock::now())?;
        source::write(&self.path, &sealed, false)?;
        git::add_attributes(self.context, &[&self.path]);
        report::note(self.context, &format!("{}: signed", self.args.file));
        Ok(())
    }

    fn open<'t>(&self, text: &'t str, format: &'static dyn Format, unsigned: bool) -> Result<Opened<'t>> {
        next::open(text, format, &self.identities, &[], unsigned)
    }

    fn refuse_unseen(&self) -> Result<()> {
        let ci = self.context.environment.var("CI").is_some_and(|value| !value.is_empty());
        let why = match (ci, ask::possible(self.context)) {
            (true, _) => "CI is set",
            (false, false) => "there is no terminal",
            (false, true) => return Ok(()),
        };
        let error = Error::new(Kind::Generic, format!("refused to sign what nobody looks at: {why}"));
        Err(error.hint("call it on a terminal; --yes --from none signs whatever the file holds"))
    }

    /// Shows what differs, and asks.
    fn ask(&self, opened: &Opened<'_>, without: bool) -> Result<()> {
        let question = if without {
            report::warning(self.context, "it is compared with no version: all that the file holds now gets signed");
            "sign it as it is?".to_owned()
        } else {
            let signed = self.signed(opened)?;
            let before = self.open(&signed.text, opened.document.format, false)?;
            let older = self.older(opened, &signed.text)?;
            let lines = signing::differences(&before, opened, &|token| older.get(token).cloned());
            report::note(self.context, &format!("{}: since {}, whose MAC fits,", self.args.file, signed.place));
            lines.iter().for_each(|line| report::note(self.context, &format!("  {line}")));
            if lines.is_empty() {
                report::note(self.context, "  nothing differs but the MAC, or the time that goes with it");
            }
            "sign it?".to_owned()
        };
        if ask::yes(&question) { Ok(()) } else { Err(Error::new(Kind::Generic, "not signed").hint("nothing was changed")) }
    }

    fn in_git(&self) -> Result<(&Repository, PathBuf)> {
        let found = self.repository.as_ref().and_then(|repository| Some((repository, repository.inside(&self.path)?)));
        found.ok_or_else(|| no_version("there is no git repository here that has earlier versions"))
    }

    fn text_at(&self, repository: &Repository, commit: &str, path: &Path) -> Result<Option<Zeroizing<String>>> {
        let object = repository.object_at(commit, path)?;
        object.map(|object| source::utf8(repository.object(&object, path)?)).transpose()
    }

    /// The version to compare with: the one named, else the newest whose MAC fits.
    fn signed(&self, opened: &Opened<'_>) -> Result<Signed> {
        let (repository, path) = self.in_git()?;
        let format = opened.document.format;
        if let Some(revision) = &self.args.from {
            let text = self.text_at(repository, &repository.commit(revision)?, &path)?;
            let text = text.ok_or_else(|| no_version(&format!("{revision} doesn't have the file")))?;
            self.open(&text, format, false).map_err(|error| error.about(revision))?;
            return Ok(Signed { text, place: revision.clone() });
        }
        for commit in repository.ancestors_of(&path)? {
            let Some(text) = self.text_at(repository, &commit, &path).unwrap_or_default() else { continue };
            if self.open(&text, format, false).is_ok() {
                return Ok(Signed { text, place: format!("commit {}", short(&commit)) });
            }
        }
        Err(no_version("no version in the history of HEAD has a MAC that fits"))
    }

    /// The tokens of the file that versions older than the signed one have, with the newest commit that has them.
    fn older(&self, opened: &Opened<'_>, signed: &str) -> Result<HashMap<String, String>> {
        let (repository, path) = self.in_git()?;
        let mut versions = Vec::new();
        for commit in repository.ancestors_of(&path)? {
            versions.extend(self.text_at(repository, &commit, &path).unwrap_or_default().map(|text| (commit, text)));
        }
        let start = versions.iter().position(|(_, text)| text.as_str() == signed).unwrap_or(0);
        let tokens: Vec<&str> = opened.values().filter_map(|held| held.token).collect();
        let mut found = HashMap::new();
        for (commit, text) in versions.iter().skip(start).filter(|(_, text)| text.as_str() != opened.document.source) {
            for token in tokens.iter().filter(|token| text.contains(**token)) {
                found.entry((*token).to_owned()).or_insert_with(|| format!("commit {}", short(commit)));
            }
        }
        Ok(found)
    }
}

fn no_version(why: &str) -> Error {
    Error::new(Kind::Generic, why)
        .hint("--from REV names a version to compare with; --from none goes without, and signs what the file holds")
}
