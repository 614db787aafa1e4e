//! The transformer: what is encrypted among the objects that kustomize hands on, in clear.
//!
//! kustomize sorts keys, drops comments, splits files and changes names, so that the MAC of an object rarely fits any more.
//! It is checked on the file that the object comes from, known by its `mac`; the values are carried over token by token.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::fields;
use super::resource_list::Resources;
use super::tokens::{Sealed, Unsealed};
use crate::document::value::Value;
use crate::document::{self, Format, format_by_text, yaml};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::decoded;
use crate::sorting;

const ANNOTATIONS: [&str; 4] = ["internal.config.kubernetes.io/", "config.kubernetes.io/", "kustomize.config.k8s.io/", "config.k8s.io/"];
/// Where kustomize says a resource comes from, if `buildMetadata` asks for it.
const ORIGIN: &str = "config.kubernetes.io/origin";

/// What the MAC is checked on; the greater, the less is noticed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Integrity {
    /// The file that an object comes from.
    File,
    /// The object as kustomize hands it on: fits if keys were sorted before encryption, and nothing was changed that counts.
    Object,
    /// Each value for itself: one that was rolled back, or left out, isn't noticed.
    Values,
}

impl Integrity {
    /// Reads it from a transformer's configuration.
    ///
    /// # Errors
    /// `Generic` (1) for another word.
    pub fn read(config: &Value) -> Result<Integrity> {
        let spec = fields(config, &["integrity"])?;
        match spec.get("integrity").and_then(Value::text) {
            None => Ok(Integrity::File),
            Some(word) => Integrity::named(&word).ok_or_else(|| Error::new(Kind::Generic, "integrity is file, object or values")),
        }
    }

    /// The one of this word.
    pub fn named(word: &str) -> Option<Integrity> {
        [Integrity::File, Integrity::Object, Integrity::Values].into_iter().find(|integrity| integrity.word() == word)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Integrity::File => "file",
            Integrity::Object => "object",
            Integrity::Values => "values",
        }
    }
}

/// What an encrypted object is, or holds.
enum Part {
    /// The object is a document of an encrypted file.
    Whole,
    /// Entries of its `data` are those of an encrypted dotenv file.
    Envs,
    /// A string of `data`, `binaryData` or `stringData` is an encrypted file: field, key, whether it is base64.
    Blob(&'static str, String, bool),
}

/// A piece of work: how an object gets its values.
struct Task {
    /// Index of the object.
    object: usize,
    part: Part,
    /// What must be opened for it: index into [`Work::sealed`], or the file that holds this MAC.
    source: Opener,
}

enum Opener {
    Sealed(usize),
    File(String),
}

/// What there is to do.
pub struct Work {
    objects: Vec<Value>,
    tasks: Vec<Task>,
    sealed: Vec<Sealed>,
    integrity: Integrity,
}

/// An original that is looked for: its MAC, and where it may be.
pub struct Wanted {
    /// The token of the MAC.
    pub mac: String,
    /// The path in the origin annotation: only a hint, from the directory of the build.
    pub hint: Option<String>,
}

/// Originals by MAC.
pub type Originals = HashMap<String, Sealed>;

impl Work {
    /// Looks for what is encrypted.
    ///
    /// # Errors
    /// A scalar that doesn't resolve; data that is encrypted in a way that isn't understood.
    pub fn find(resources: &Resources<'_>, integrity: Integrity) -> Result<Work> {
        let mut work = Work { objects: Vec::new(), tasks: Vec::new(), sealed: Vec::new(), integrity };
        for at in 0..resources.roots.len() {
            let object = resources.object(at)?;
            work.look(at, &object)?;
            work.objects.push(object);
        }
        Ok(work)
    }

    fn look(&mut self, at: usize, object: &Value) -> Result<()> {
        if let Some(mac) = object.get("sops").and_then(|block| block.get("mac")).and_then(Value::text) {
            let text = || yaml::Yaml.print(&[stripped(object)], None);
            return self.add(at, Part::Whole, &mac, &title(object), &yaml::Yaml, text);
        }
        for &(field, is_base64) in holders(object) {
            let Some(data) = object.get(field) else { continue };
            if let Some(mac) = data.get("sops_mac").and_then(|value| plain_text(value, is_base64)) {
                let text = || Ok(env_text(data, is_base64));
                self.add(at, Part::Envs, &mac, &title(object), format("dotenv"), text)?;
            }
            for (key, value) in data.entries() {
                let Some(text) = plain_text(value, is_base64) else { continue };
                let Some(format) = format_by_text(&text) else { continue };
                let name = format!("{}, {field}.{key}", title(object));
                let source = Opener::Sealed(self.sealed.len());
                self.sealed.push(Sealed { name, text, format, ignore_mac: false });
                self.tasks.push(Task { object: at, part: Part::Blob(field, key.clone(), is_base64), source });
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        object: usize,
        part: Part,
        mac: &str,
        title: &str,
        format: &'static dyn Format,
        text: impl FnOnce() -> Result<String>,
    ) -> Result<()> {
        let source = match self.integrity {
            Integrity::File => Opener::File(mac.to_owned()),
            Integrity::Object | Integrity::Values => {
                let ignore_mac = self.integrity == Integrity::Values;
                self.sealed.push(Sealed { name: title.to_owned(), text: Zeroizing::new(text()?), format, ignore_mac });
                Opener::Sealed(self.sealed.len() - 1)
            }
        };
        self.tasks.push(Task { object, part, source });
        Ok(())
    }

    /// The originals that are needed, each once.
    pub fn wanted(&self) -> Vec<Wanted> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for task in &self.tasks {
            let Opener::File(mac) = &task.source else { continue };
            if !wanted.iter().any(|other| other.mac == *mac) {
                wanted.push(Wanted { mac: mac.clone(), hint: self.objects.get(task.object).and_then(origin) });
            }
        }
        wanted
    }

    /// Whether values are decrypted whose MAC isn't checked.
    pub fn is_unsigned(&self) -> bool {
        self.sealed.iter().any(|sealed| sealed.ignore_mac)
    }

    /// All that must be opened, with `originals` in the order of their names; several can be opened at a time.
    pub fn to_open<'w>(&'w self, originals: &'w Originals) -> Vec<&'w Sealed> {
        let mut files: Vec<&Sealed> = originals.values().collect();
        sorting::by(&mut files, |a, b| a.name.cmp(&b.name));
        files.dedup_by(|a, b| a.name == b.name);
        self.sealed.iter().chain(files).collect()
    }

    /// The changed objects by index. `opened` are those of [`Work::to_open`], in that order.
    ///
    /// # Errors
    /// `Generic` (1) with the object's name: its file wasn't found, or it holds a value that isn't of its file.
    pub fn done(mut self, originals: &Originals, opened: &[Unsealed]) -> Result<Vec<(usize, Value)>> {
        let names: Vec<String> = self.to_open(originals).iter().map(|sealed| sealed.name.clone()).collect();
        let mut changed: Vec<usize> = Vec::new();
        for task in std::mem::take(&mut self.tasks) {
            let Some(object) = self.objects.get_mut(task.object) else { continue };
            let at = match &task.source {
                Opener::Sealed(at) => Some(*at),
                Opener::File(mac) => originals.get(mac).and_then(|file| names.iter().rposition(|name| *name == file.name)),
            };
            let unsealed = at.and_then(|at| opened.get(at)).ok_or_else(|| not_found(&title(object)))?;
            task.part.put(object, unsealed)?;
            changed.push(task.object);
        }
        changed.dedup();
        Ok(changed.into_iter().map(|at| (at, std::mem::replace(&mut self.objects[at], Value::Map(Vec::new())))).collect())
    }
}

/// The default asks for the file: a committer could else choose the weakest check for what he replays.
fn not_found(title: &str) -> Error {
    let error = Error::new(
        Kind::Generic,
        format!("{title}: the encrypted file it comes from isn't below the root, so that its MAC can't be checked"),
    );
    error
        .hint("keep the file in the repository as it was encrypted; KVEIL_ROOT names the root outside of git")
        .hint("or choose a weaker check in the Decrypt resource: integrity: object (the object's own MAC, for files with sorted keys and nothing changed), integrity: values (none)")
}

impl Part {
    fn put(&self, object: &mut Value, unsealed: &Unsealed) -> Result<()> {
        let title = title(object);
        match self {
            Part::Whole => {
                remove(object, "sops");
                unsealed.put_into(object, "").map_err(|path| foreign(&title, path))
            }
            Part::Envs => {
                for &(field, is_base64) in holders(object) {
                    if let Some(data) = get_mut(object, field).filter(|data| data.get("sops_mac").is_some()) {
                        put_envs(data, is_base64, unsealed).map_err(|key| foreign(&title, format!("{field}.{key}")))?;
                    }
                }
                Ok(())
            }
            Part::Blob(field, key, is_base64) => {
                put_blob(object, field, key, *is_base64, &unsealed.plain);
                Ok(())
            }
        }
    }
}

fn foreign(title: &str, path: String) -> Error {
    let error = Error::new(Kind::Generic, format!("{title}: an encrypted value isn't one of the file that the object comes from"));
    error.for_key(path).hint("it was added or moved by a patch: patch after decrypting, with the transformer in a component")
}

/// The entries of an encrypted dotenv file in the `data` of an object.
fn put_envs(data: &mut Value, is_base64: bool, unsealed: &Unsealed) -> std::result::Result<(), String> {
    let Value::Map(entries) = data else { return Ok(()) };
    entries.retain(|(name, _)| !name.starts_with("sops_"));
    for (name, value) in entries.iter_mut() {
        let Some(mut token) = plain_text(value, is_base64).map(|text| Value::string(text.as_str())) else { continue };
        unsealed.put_into(&mut token, name)?;
        if let Some(plain) = token.as_scalar() {
            *value = if is_base64 { Value::string(decoded::encode(&plain.bytes).as_str()) } else { token };
        }
    }
    Ok(())
}

/// Bytes that aren't text move from a ConfigMap's `data` to where it holds them.
fn put_blob(object: &mut Value, field: &str, key: &str, is_base64: bool, plain: &[u8]) {
    let encoded = || Value::string(wrapped(&decoded::encode(plain)));
    let text = std::str::from_utf8(plain).ok().filter(|_| !is_base64);
    let (value, to) = match text {
        Some(text) => (Value::string(text), field),
        None if is_base64 => (encoded(), field),
        None if field == "stringData" => (encoded(), "data"),
        None => (encoded(), "binaryData"),
    };
    if to != field
        && let Some(data) = get_mut(object, field)
    {
        remove(data, key);
    }
    let is_there = object.get(to).is_some();
    if let Value::Map(entries) = &mut *object
        && !is_there
    {
        entries.push((to.to_owned(), Value::Map(Vec::new())));
    }
    if let Some(Value::Map(entries)) = get_mut(object, to) {
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key.to_owned(), value)),
        }
    }
}

/// Base64 as kustomize's generators write it, in lines of 70: the hash in a name is over that text.
fn wrapped(text: &str) -> String {
    const LINE: usize = 70;
    if text.len() < LINE {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + text.len() / LINE + 1);
    for (at, c) in text.chars().enumerate() {
        out.push(c);
        if at % LINE == LINE - 1 || at + 1 == text.len() {
            out.push('\n');
        }
    }
    out
}

fn get_mut<'v>(value: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    match value {
        Value::Map(entries) => entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value),
        _ => None,
    }
}

fn remove(value: &mut Value, key: &str) {
    if let Value::Map(entries) = value {
        entries.retain(|(name, _)| name != key);
    }
}

/// Fields that hold files, and whether their strings are base64.
fn holders(object: &Value) -> &'static [(&'static str, bool)] {
    match object.get("kind").and_then(Value::text).as_deref() {
        Some("Secret") => &[("data", true), ("stringData", false)],
        Some("ConfigMap") => &[("data", false), ("binaryData", true)],
        _ => &[],
    }
}

fn plain_text(value: &Value, is_base64: bool) -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(value.text()?.into_owned());
    if !is_base64 {
        return Some(text);
    }
    let bytes = decoded::decode(&text)?;
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
}

/// The entries as a dotenv file, in the order they stand.
fn env_text(data: &Value, is_base64: bool) -> String {
    let line = |(name, value): &(String, Value)| plain_text(value, is_base64).map(|text| format!("{name}={}\n", text.replace('\n', "\\n")));
    data.entries().iter().filter_map(line).collect()
}

fn format(name: &str) -> &'static dyn Format {
    document::format_by_name(name).unwrap_or(&document::detect::BINARY)
}

/// Kind, namespace and name.
fn title(object: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::text).unwrap_or_default().into_owned();
    let metadata = object.get("metadata");
    let of_metadata = |key| text(metadata.and_then(|metadata| metadata.get(key)));
    let namespace = of_metadata("namespace");
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{} {namespace}{slash}{}", text(object.get("kind")), of_metadata("name"))
}

/// The path of the origin annotation.
fn origin(object: &Value) -> Option<String> {
    let text = object.get("metadata")?.get("annotations")?.get(ORIGIN)?.text()?;
    text.lines().find_map(|line| line.strip_prefix("path: ")).map(str::to_owned)
}

/// The object without what kustomize adds on the way.
fn stripped(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(metadata) = get_mut(&mut object, "metadata") else { return object };
    let added = |name: &str| ANNOTATIONS.iter().any(|prefix| name.starts_with(prefix));
    if let Some(Value::Map(annotations)) = get_mut(metadata, "annotations") {
        annotations.retain(|(name, _)| !added(name));
        if annotations.is_empty() {
            remove(metadata, "annotations");
        }
    }
    object
}
