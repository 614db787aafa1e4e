//! What `kveil doctor` has found, as data: identities, who opens which file, settings, git, leftovers; and what of it is to
//! be mended. No I/O: whoever gathers it asks the machine, [`text`] and [`json`] show it.

pub mod json;
pub mod said;
pub mod text;

use crate::git::patches::Patch;
use crate::recipient::probe::{Probe, Step};
use crate::recipient::{Looked, RecipientSpec};

/// A clock that is further off than this many seconds is worth a word: services refuse from some minutes on.
const CLOCK: i64 = 60;

/// All that was found.
pub struct Diagnosis {
    /// kveil's version.
    pub version: &'static str,
    /// Whether services and programs were asked.
    pub probed: bool,
    /// Whether the network is switched off.
    pub offline: bool,
    /// The variables that say how services are reached, as far as they are set.
    pub settings: Vec<Setting>,
    /// Identities by kind.
    pub kinds: Vec<KindFound>,
    /// The files, or the configuration.
    pub files: Vec<FileFound>,
    /// The repository, if there is one.
    pub git: Option<GitFound>,
    /// Clear values in pre-commit's cache.
    pub patches: Vec<Patch>,
}

/// A variable that is set.
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Its value, without what may be secret in it.
    pub value: String,
    /// What is wrong with it.
    pub trouble: Option<String>,
}

/// Where identities of a kind were looked for.
pub struct KindFound {
    /// The kind, by its field.
    pub kind: &'static str,
    /// Whether this build can open it.
    pub built: bool,
    /// The places.
    pub places: Vec<Looked>,
}

/// Who opens a file.
pub struct FileFound {
    /// As it was named.
    pub name: String,
    /// Whether it is encrypted; else a configuration.
    pub encrypted: bool,
    /// How many key groups must be opened.
    pub needed: usize,
    /// The recipients by key group.
    pub groups: Vec<Vec<Reader>>,
}

/// A recipient.
pub struct Reader {
    /// Itself.
    pub spec: RecipientSpec,
    /// Its name in the configuration.
    pub label: Option<String>,
    /// Whether its identity is here, as far as that is seen without asking anyone.
    pub here: Here,
    /// How it went, if it was tried.
    pub probe: Option<Probe>,
}

/// Whether an identity is at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Here {
    /// One that fits.
    Yes,
    /// None that fits.
    No,
    /// Only a service or a program knows.
    Unknown,
}

/// How a repository stands.
pub struct GitFound {
    /// The top of its work tree.
    pub top: String,
    /// Encrypted files in it.
    pub encrypted: usize,
    /// What is missing for git to compare and merge them.
    pub lacking: Vec<String>,
    /// Files that `decrypt -i` left in clear.
    pub in_clear: Vec<String>,
}

/// Something to mend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it concerns: a file, a recipient, a variable.
    pub about: String,
    /// What is wrong.
    pub what: String,
    /// What to do, if it isn't in `what`.
    pub fix: String,
}

impl Finding {
    fn new(about: &str, what: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { about: about.to_owned(), what: what.into(), fix: fix.into() }
    }
}

impl Reader {
    /// Whether it opens its part of the file: none if that isn't known.
    pub fn opens(&self) -> Option<bool> {
        match (&self.probe, self.here) {
            (Some(probe), _) => Some(probe.decrypt == Step::Done),
            (None, Here::Yes) => Some(true),
            (None, Here::No) => Some(false),
            (None, Here::Unknown) => None,
        }
    }
}

impl FileFound {
    /// Whether enough of its key groups open: none if that isn't known.
    pub fn opens(&self) -> Option<bool> {
        let group = |group: &Vec<Reader>, sure: bool| group.iter().any(|reader| reader.opens().unwrap_or(!sure));
        let count = |sure: bool| self.groups.iter().filter(|readers| group(readers, sure)).count();
        match (count(true) >= self.needed, count(false) >= self.needed) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    }

    fn findings(&self, probed: bool) -> Vec<Finding> {
        let unreadable = self.encrypted && self.opens() == Some(false);
        let fix =
            if probed { "each recipient's answer stands above" } else { "kveil doctor --probe asks those that can't be seen from here" };
        let mut all: Vec<Finding> = unreadable.then(|| Finding::new(&self.name, "no identity here opens it", fix)).into_iter().collect();
        all.extend(self.groups.iter().flatten().flat_map(refused));
        all
    }
}

/// What a recipient that was tried refused. That an identity isn't here is no fault of the recipient.
fn refused(reader: &Reader) -> Vec<Finding> {
    let Some(probe) = &reader.probe else { return Vec::new() };
    let halves = [("encrypt", &probe.encrypt), ("decrypt", &probe.decrypt)];
    let told = halves.into_iter().enumerate().filter_map(|(at, (verb, step))| match step {
        Step::Refused(why) => {
            let needs = probe.needs.map_or_else(String::new, |needs| format!("it needs {}", needs[at]));
            Some(Finding::new(&reader.spec.text, format!("can't {verb}: {why}"), needs))
        }
        _ => None,
    });
    told.collect()
}

impl Diagnosis {
    /// Seconds that this machine's clock is ahead of the services that answered: the largest difference.
    pub fn clock(&self) -> Option<i64> {
        let readers = self.files.iter().flat_map(|file| file.groups.iter().flatten());
        readers.filter_map(|reader| reader.probe.as_ref()?.ahead).max_by_key(|ahead| ahead.abs())
    }

    /// What is to be mended.
    pub fn findings(&self) -> Vec<Finding> {
        let trouble = |setting: &Setting| Some(Finding::new(setting.name, setting.trouble.clone()?, "correct or unset it"));
        let mut all: Vec<Finding> = self.settings.iter().filter_map(trouble).collect();
        if let Some(off) = self.clock().filter(|off| off.abs() > CLOCK) {
            let which = if off > 0 { "ahead of" } else { "behind" };
            all.push(Finding::new("clock", format!("this machine's clock is {} s {which} the services'", off.abs()), "set the clock"));
        }
        all.extend(self.files.iter().flat_map(|file| file.findings(self.probed)));
        all.extend(self.git.iter().flat_map(of_git));
        all.extend(self.patches.iter().map(of_patch));
        all.dedup();
        all
    }
}

fn of_git(git: &GitFound) -> Vec<Finding> {
    let lacking = git.lacking.iter().map(|line| Finding::new("git", line, "kveil git setup"));
    let open = |file: &String| Finding::new(file, "decrypt -i left it in clear", "kveil encrypt --all-decrypted");
    lacking.chain(git.in_clear.iter().map(open)).collect()
}

fn of_patch(patch: &Patch) -> Finding {
    let what = format!("pre-commit keeps clear values of {} in its cache", patch.files.join(", "));
    Finding::new(
        &patch.path.display().to_string(),
        what,
        "delete it once the work tree has what you need, and change the values at their source",
    )
}

#[cfg(test)]
mod tests;
