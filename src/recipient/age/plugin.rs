//! Plugins (`age1NAME1…`, `AGE-PLUGIN-NAME-1…`): programs `age-plugin-NAME` that hold keys in hardware or elsewhere.
//!
//! A name in a file or in `.sops.yaml` decides which program runs, so it may hold only `[a-z0-9-]`, and the program is
//! looked up in the absolute folders of PATH alone. Plugins run one at a time; an answer that one of them was content
//! with isn't asked for again in the same run.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use age::plugin::{self, IdentityPluginV1, RecipientPluginV1};
use age::secrecy::SecretString;
use age::{DecryptError, EncryptError};
use age_core::format::{FileKey, Stanza};

use super::command::without_key;
use super::{Environment, Identities, Identity, Readable, Trouble, Variety, Wrapper, held, terminal};

pub(super) const VARIETY: Variety = Variety {
    title: "a recipient of an age plugin",
    // Bech32 data has no "1": what stands before the last one is the name of a plugin.
    names: |text| name(text).is_some(),
    recipient,
    expected: "expected age1NAME1… as the plugin printed it; a mistyped one doesn't pass its checksum",
    identity: Some(Readable { prefix: "AGE-PLUGIN-", read: |line| Some(Box::new(Plugin::read(line)?)) }),
};

/// The name of the plugin in a recipient.
fn name(recipient: &str) -> Option<&str> {
    Some(recipient.strip_prefix("age1")?.rsplit_once('1')?.0)
}

fn is_allowed(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn recipient<'i>(text: &str, identities: Option<&'i Identities>) -> Wrapper<'i> {
    let recipient: plugin::Recipient = text.parse().map_err(|_| String::new())?;
    if !is_allowed(recipient.plugin()) {
        return Err(": the name of its plugin holds more than a-z, 0-9 and -".to_owned());
    }
    Ok(Box::new(Recipient { recipient, identities }))
}

/// Where `age-plugin-NAME` is: the first in PATH, which must be in an absolute folder.
fn find(name: &str, environment: &Environment) -> Result<PathBuf, String> {
    let program = format!("age-plugin-{name}{}", std::env::consts::EXE_SUFFIX);
    let path = environment.path("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(&program)).find(|file| file.is_file());
    match found {
        Some(file) if file.is_absolute() => Ok(file),
        Some(_) => Err(format!("{program} isn't run from a relative folder of PATH")),
        None => Err(format!("{program} isn't in PATH")),
    }
}

/// A recipient whose plugin is started to wrap for it.
struct Recipient<'i> {
    recipient: plugin::Recipient,
    identities: Option<&'i Identities>,
}

impl Recipient<'_> {
    fn start(&self) -> Result<(RecipientPluginV1<Person>, Person), String> {
        let name = self.recipient.plugin();
        let identities = self.identities.filter(|identities| identities.runs_commands());
        let identities = identities.ok_or_else(|| format!("age-plugin-{name} isn't run here"))?;
        find(name, identities.environment())?;
        let person = Person::new(name, Arc::clone(&identities.age.answers));
        let plugin = RecipientPluginV1::new(name, std::slice::from_ref(&self.recipient), &[], person.clone());
        Ok((plugin.map_err(|_| cant_run(name))?, person))
    }
}

impl age::Recipient for Recipient<'_> {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let _one_at_a_time = self.identities.map(|identities| held(&identities.age.asking));
        let (plugin, person) = self.start().map_err(|why| EncryptError::Io(io::Error::other(NotStarted(why))))?;
        let wrapped = plugin.wrap_file_key(file_key);
        person.settle(wrapped.is_ok());
        wrapped
    }
}

/// Why a plugin didn't get as far as answering.
#[derive(Debug)]
struct NotStarted(String);

impl std::fmt::Display for NotStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotStarted {}

fn cant_run(name: &str) -> String {
    format!("age-plugin-{name} can't be run")
}

/// What a plugin answered instead of wrapping; `None` if no plugin was asked.
pub(super) fn complaint(error: &EncryptError) -> Option<String> {
    match error {
        EncryptError::Plugin(errors) => Some(words(errors)),
        EncryptError::Io(error) => Some(match error.get_ref().and_then(|inner| inner.downcast_ref::<NotStarted>()) {
            Some(NotStarted(why)) => why.clone(),
            None => ended_early(error),
        }),
        _ => None,
    }
}

fn ended_early(error: &io::Error) -> String {
    format!("the plugin ended early ({})", error.kind())
}

/// The plugin's own words, escaped and short, unless there may be a key in them. The age crate gives them only as a
/// text, in which it marks quoted parts with invisible characters.
fn words<E: ToString>(errors: &[E]) -> String {
    let plain = |error: &E| without_key(&error.to_string().replace(['\u{2068}', '\u{2069}'], ""));
    let texts: Vec<String> = errors.iter().map(plain).filter(|text| !text.is_empty()).collect();
    if texts.is_empty() { "the plugin gave no reason".to_owned() } else { texts.join("; ") }
}

/// Answers that plugins were content with, by plugin and question.
pub(super) type Answers = Arc<Mutex<Vec<Answer>>>;

pub(super) struct Answer {
    plugin: String,
    question: String,
    text: SecretString,
}

/// The person as a plugin meets them: at the terminal, if there is one.
#[derive(Clone)]
struct Person {
    plugin: String,
    answers: Answers,
    /// What was answered in this session; a question that comes again wasn't answered well.
    given: Answers,
}

impl Person {
    fn new(plugin: &str, answers: Answers) -> Person {
        Person { plugin: plugin.to_owned(), answers, given: Arc::default() }
    }

    fn remembered(&self, question: &str) -> Option<SecretString> {
        if held(&self.given).iter().any(|answer| answer.question == question) {
            return None;
        }
        let answers = held(&self.answers);
        Some(answers.iter().find(|answer| answer.plugin == self.plugin && answer.question == question)?.text.clone())
    }

    /// The session is over: what it was content with is kept, all else forgotten.
    fn settle(&self, content: bool) {
        let given = std::mem::take(&mut *held(&self.given));
        let mut answers = held(&self.answers);
        answers.retain(|known| !given.iter().any(|new| (&new.plugin, &new.question) == (&known.plugin, &known.question)));
        answers.extend(given.into_iter().filter(|_| content));
    }

    fn prompt(&self, question: &str) -> String {
        format!("age-plugin-{}: {question} ", self.plugin)
    }
}

impl age::Callbacks for Person {
    fn display_message(&self, message: &str) {
        // Without a terminal nobody is there to read it.
        let _ = terminal::tell(&format!("age-plugin-{}: {message}", self.plugin));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let choice = match no {
            None => format!("{message} (Enter for \"{yes}\")"),
            Some(no) => format!("{message} (1 for \"{yes}\", 2 for \"{no}\")"),
        };
        loop {
            let answer = terminal::line(&self.prompt(&choice)).ok()?;
            match (answer.trim(), no) {
                (_, None) | ("1", _) => return Some(true),
                ("2", _) => return Some(false),
                ("", _) => return None,
                _ => {}
            }
        }
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        terminal::line(&self.prompt(description)).ok()
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let text = match self.remembered(description) {
            Some(text) => text,
            None => terminal::secret(&self.prompt(description)).ok()?,
        };
        held(&self.given).push(Answer { plugin: self.plugin.clone(), question: description.to_owned(), text: text.clone() });
        Some(text)
    }
}

/// An identity whose plugin is started to unwrap with it.
struct Plugin(plugin::Identity);

impl Plugin {
    fn read(line: &str) -> Option<Plugin> {
        let identity: plugin::Identity = line.parse().ok()?;
        is_allowed(identity.plugin()).then_some(Plugin(identity))
    }

    fn run(&self, stanzas: &[Stanza], identities: &Identities) -> Result<Option<FileKey>, String> {
        let name = self.0.plugin();
        if !identities.runs_commands() {
            return Err(format!("age-plugin-{name} isn't run here"));
        }
        find(name, identities.environment())?;
        let _one_at_a_time = held(&identities.age.asking);
        let person = Person::new(name, Arc::clone(&identities.age.answers));
        let plugin = IdentityPluginV1::new(name, std::slice::from_ref(&self.0), person.clone()).map_err(|_| cant_run(name))?;
        let opened = age::Identity::unwrap_stanzas(&plugin, stanzas);
        person.settle(matches!(opened, Some(Ok(_))));
        opened.transpose().map_err(|error| match error {
            DecryptError::Plugin(errors) => format!("age-plugin-{name}: {}", words(&errors)),
            DecryptError::Io(error) => format!("age-plugin-{name}: {}", ended_early(&error)),
            _ => format!("age-plugin-{name} gave no key that fits"),
        })
    }
}

impl Identity for Plugin {
    fn recipient(&self) -> Option<&str> {
        None
    }

    /// Only the plugin knows its recipients; their name is its own.
    fn fits(&self, recipient: &str) -> bool {
        name(recipient) == Some(self.0.plugin())
    }

    fn asks(&self) -> bool {
        true
    }

    fn short(&self) -> String {
        format!("plugin {}", self.0.plugin())
    }

    fn unwrap(&self, stanzas: &[Stanza], identities: &Identities) -> Option<Result<FileKey, Trouble>> {
        self.run(stanzas, identities).map_err(Trouble::Unusable).transpose()
    }
}
