//! Where SOPS finds identities. Sources are read when they are first needed and once a run: a key file may be a pipe.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use zeroize::Zeroizing;

use super::keyfile::{self, Words};
use super::passphrase::Locked;
use super::plugin::Answers;
use super::ssh::Private;
use super::{Environment, Identities, Identity, Looked, command, held};
use crate::error::printable;

const KEY: &str = "SOPS_AGE_KEY";
const KEY_FILE: &str = "SOPS_AGE_KEY_FILE";
const KEY_COMMAND: &str = "SOPS_AGE_KEY_CMD";
const SSH_FILE: &str = "SOPS_AGE_SSH_PRIVATE_KEY_FILE";
const SSH_COMMAND: &str = "SOPS_AGE_SSH_PRIVATE_KEY_CMD";

/// No key file is longer; a limit keeps a wrong path (a device, say) from filling the memory.
pub(super) const MAX_SOURCE: u64 = 1 << 20;

/// What one source gave.
pub(super) struct Found {
    pub(super) place: String,
    pub(super) identities: Vec<Box<dyn Identity>>,
    /// More, under a passphrase.
    pub(super) locked: Option<Locked>,
    /// Why there is nothing.
    pub(super) remark: Option<String>,
}

impl Found {
    pub(super) fn empty(place: String) -> Found {
        Found { place, identities: Vec::new(), locked: None, remark: None }
    }

    pub(super) fn nothing(place: impl Into<String>, remark: impl Into<String>) -> Found {
        Found { remark: Some(remark.into()), ..Found::empty(place.into()) }
    }

    fn report(&self) -> Looked {
        Looked { place: self.place.clone(), found: self.inventory() }
    }

    fn inventory(&self) -> String {
        if let Some(locked) = &self.locked {
            return locked.unlocked().map_or_else(|| "locked with a passphrase".to_owned(), Found::inventory);
        }
        if let Some(remark) = &self.remark {
            return remark.clone();
        }
        let own: Vec<String> = self.identities.iter().map(|identity| identity.short()).collect();
        match own.len() {
            0 => "no identity in it".to_owned(),
            1 => format!("1 identity, {}", own[0]),
            count => format!("{count} identities, {}", own.join(", ")),
        }
    }
}

/// A place that is read without running anything.
struct Source {
    is_ssh: bool,
    read: fn(&Identities) -> Found,
}

/// In SOPS's order.
const READ: [Source; 6] = [
    Source { is_ssh: true, read: |identities| named_file(identities, SSH_FILE, ssh_key) },
    Source { is_ssh: true, read: |identities| home_file(identities, "id_ed25519") },
    Source { is_ssh: true, read: |identities| home_file(identities, "id_rsa") },
    Source { is_ssh: false, read: from_variable },
    Source { is_ssh: false, read: |identities| named_file(identities, KEY_FILE, list) },
    Source { is_ssh: false, read: from_default_file },
];

/// A variable with a command that prints identities.
struct Command {
    variable: &'static str,
    is_ssh: bool,
    parse: fn(String, &[u8]) -> Found,
}

const COMMANDS: [Command; 2] = [
    Command { variable: SSH_COMMAND, is_ssh: true, parse: unlocked_ssh_key },
    Command { variable: KEY_COMMAND, is_ssh: false, parse: list },
];

/// What a command gave for a recipient.
struct Printed {
    variable: &'static str,
    recipient: String,
    found: Arc<Found>,
}

/// What the sources gave so far.
#[derive(Default)]
pub struct Sources {
    read: [OnceLock<Found>; READ.len()],
    printed: Mutex<Vec<Printed>>,
    /// Held while a person may be asked something.
    pub(super) asking: Mutex<()>,
    pub(super) answers: Answers,
}

impl Sources {
    /// The variables and files with ssh keys, or those with lists of identities, each read when the iterator comes to it.
    pub(super) fn read<'i>(&'i self, identities: &'i Identities, is_ssh: bool) -> impl Iterator<Item = &'i Found> {
        let these = self.read.iter().zip(&READ).filter(move |(_, source)| source.is_ssh == is_ssh);
        these.map(|(found, source)| found.get_or_init(|| (source.read)(identities)))
    }

    /// What a key command gives for a recipient, that for ssh keys or the other; run once for each recipient. `None` if
    /// there is none to run.
    pub(super) fn by_command(&self, identities: &Identities, recipient: &str, is_ssh: bool) -> Option<Arc<Found>> {
        let command = COMMANDS.iter().find(|command| command.is_ssh == is_ssh)?;
        let line = Zeroizing::new(identities.environment().var(command.variable).filter(|_| identities.runs_commands())?);
        // Held while the command runs: a second thread must not prompt at the same time.
        let mut printed = held(&self.printed);
        if let Some(known) = printed.iter().find(|known| known.variable == command.variable && known.recipient == recipient) {
            return Some(Arc::clone(&known.found));
        }
        let found = match command::run(identities.environment(), &line, recipient) {
            Ok(output) => (command.parse)(command.variable.to_owned(), &output),
            Err(why) => Found::nothing(command.variable, why),
        };
        let found = Arc::new(found);
        printed.push(Printed { variable: command.variable, recipient: recipient.to_owned(), found: Arc::clone(&found) });
        Some(found)
    }

    /// Where identities were looked for: lists first, ssh keys after them.
    pub(super) fn report(&self, identities: &Identities) -> Vec<Looked> {
        let of = |is_ssh| self.read(identities, is_ssh).map(Found::report).chain(self.report_command(identities, is_ssh));
        of(false).chain(of(true)).collect()
    }

    fn report_command(&self, identities: &Identities, is_ssh: bool) -> Vec<Looked> {
        let Some(command) = COMMANDS.iter().find(|command| command.is_ssh == is_ssh) else { return Vec::new() };
        let mut reports: Vec<Looked> = Vec::new();
        for printed in held(&self.printed).iter().filter(|printed| printed.variable == command.variable) {
            let report = printed.found.report();
            if !reports.contains(&report) {
                reports.push(report);
            }
        }
        if reports.is_empty() {
            let why = if identities.environment().var(command.variable).is_none() { "not set" } else { "not run here" };
            reports.push(Looked { place: command.variable.to_owned(), found: why.to_owned() });
        }
        reports
    }
}

/// Where SOPS keeps identities if no variable says otherwise: `sops/age/keys.txt` in the configuration folder.
pub fn default_key_file(environment: &Environment) -> Option<PathBuf> {
    Some(environment.config_folder()?.join("sops").join("age").join("keys.txt"))
}

fn list(place: String, bytes: &[u8]) -> Found {
    keyfile::parse(place, bytes, Words::Lines)
}

fn ssh_key(place: String, bytes: &[u8]) -> Found {
    match Private::read(&place, bytes) {
        Ok(key) => Found { identities: vec![Box::new(key)], ..Found::empty(place) },
        Err(why) => Found::nothing(place, why),
    }
}

/// A command is there to give the key itself: one under a passphrase isn't taken, as in SOPS.
fn unlocked_ssh_key(place: String, bytes: &[u8]) -> Found {
    match Private::read(&place, bytes) {
        Ok(key) if key.is_locked() => Found::nothing(place, "it printed an ssh key that is locked with a passphrase"),
        Ok(key) => Found { identities: vec![Box::new(key)], ..Found::empty(place) },
        Err(why) => Found::nothing(place, why),
    }
}

fn from_variable(identities: &Identities) -> Found {
    match identities.environment().var(KEY).map(Zeroizing::new) {
        None => Found::nothing(KEY, "not set"),
        Some(text) => keyfile::parse(KEY.to_owned(), text.as_bytes(), Words::Blanks),
    }
}

fn named_file(identities: &Identities, variable: &str, parse: fn(String, &[u8]) -> Found) -> Found {
    match identities.environment().path(variable) {
        None => Found::nothing(variable, "not set"),
        Some(path) => from_file(format!("{variable} ({})", shown(&path)), &path, identities, parse),
    }
}

fn home_file(identities: &Identities, name: &str) -> Found {
    match identities.environment().home() {
        None => Found::nothing(format!("~/.ssh/{name}"), "no home folder is set"),
        Some(home) => {
            let path = home.join(".ssh").join(name);
            from_file(shown(&path), &path, identities, ssh_key)
        }
    }
}

fn from_default_file(identities: &Identities) -> Found {
    match default_key_file(identities.environment()) {
        None => Found::nothing("the default key file", "no home folder is set"),
        Some(path) => from_file(shown(&path), &path, identities, list),
    }
}

fn from_file(place: String, path: &Path, identities: &Identities, parse: fn(String, &[u8]) -> Found) -> Found {
    let text = File::open(path).and_then(|file| {
        if let Some(mode) = open_to_others(&file) {
            identities.warn(format!("the key file {} can be read by others (mode {mode:o}): chmod 600 {0}", shown(path)));
        }
        read_source(file)
    });
    match text {
        Ok(text) => parse(place, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::nothing(place, "no such file"),
        Err(error) => Found::nothing(place, format!("can't be read: {error}")),
    }
}

/// The permission bits of a regular file that its group or all may read. Not of one that this user couldn't change, such as
/// a Secret of Kubernetes in its mount: it is root's, and read only.
#[cfg(unix)]
fn open_to_others(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    let fixed = rustix::fs::fstatvfs(file).is_ok_and(|system| system.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    Some(metadata.mode() & 0o777).filter(|mode| mode & 0o044 != 0 && own && !fixed)
}

#[cfg(not(unix))]
fn open_to_others(_file: &File) -> Option<u32> {
    None
}

/// Reads to the end into a buffer that needn't grow: a growing one would leave copies behind.
pub(super) fn read_source(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 16));
    source.take(MAX_SOURCE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_SOURCE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long for a key file"));
    }
    Ok(text)
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
