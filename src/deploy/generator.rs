//! Generators: Kubernetes objects from encrypted files. `viaduct.ai ksops` gives what KSOPS gives; `kveil.dev Secrets` has
//! the same fields and writes Secrets with base64 `data` only, which kustomize can merge and replace.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::{dotenv, fields};
use crate::document::value::Value;
use crate::document::{self, Format, bytes};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::decoded;
use crate::pipeline;

const FIELDS: [&str; 2] = ["files", "secretFrom"];
const SECRET_FIELDS: [&str; 5] = ["metadata", "type", "files", "binaryFiles", "envs"];
/// What KSOPS takes over of an object's metadata.
const METADATA: [&str; 4] = ["name", "namespace", "labels", "annotations"];

/// What a generator is to make.
pub struct Generator {
    /// Whether it is of kveil's own kind, rather than KSOPS's.
    own: bool,
    /// Files that hold whole objects.
    manifests: Vec<String>,
    secrets: Vec<Secret>,
}

/// A Secret made of files.
struct Secret {
    metadata: Value,
    kind: Option<String>,
    files: Vec<Entry>,
    binaries: Vec<Entry>,
    envs: Vec<String>,
}

/// A key of a Secret and the file that holds its value.
struct Entry {
    key: String,
    path: String,
}

/// A file that was decrypted.
pub struct Decrypted {
    /// Its format.
    pub format: &'static dyn Format,
    /// What it says.
    pub text: Zeroizing<String>,
}

/// Decrypted files by the path that a generator names.
pub type Files = HashMap<String, Decrypted>;

impl Generator {
    /// Reads a generator's configuration; `own` is kveil's kind.
    ///
    /// # Errors
    /// `Generic` (1) if nothing is to be made, or for a field that isn't known.
    pub fn read(config: &Value, own: bool) -> Result<Generator> {
        let spec = if own { fields(config, &FIELDS)? } else { config };
        let manifests = strings(spec, "files")?;
        let secrets = spec.get("secretFrom").map_or(&[][..], Value::items).iter().map(|entry| Secret::read(entry, own));
        let secrets = secrets.collect::<Result<Vec<_>>>()?;
        if manifests.is_empty() && secrets.is_empty() {
            let error = Error::new(Kind::Generic, "the generator names no files");
            return Err(error.hint("list encrypted manifests under files, or the parts of Secrets under secretFrom"));
        }
        Ok(Generator { own, manifests, secrets })
    }

    /// Whether it is of kveil's own kind, rather than KSOPS's.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// The files it needs, each once.
    pub fn paths(&self) -> Vec<&str> {
        let of_secrets = self.secrets.iter().flat_map(Secret::paths);
        let mut paths: Vec<&str> = Vec::new();
        for path in self.manifests.iter().map(String::as_str).chain(of_secrets) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    /// The format of a file: KSOPS goes by its name, kveil's own kind by what it holds; each by the other where that says
    /// nothing.
    pub fn format(&self, path: &str, text: &str) -> &'static dyn Format {
        let (by_name, by_text) = (|| document::format_by_path(path), || document::format_by_text(text));
        let found = if self.own { by_text().or_else(by_name) } else { by_name().or_else(by_text) };
        found.unwrap_or(&document::detect::BINARY)
    }

    /// The objects.
    ///
    /// # Errors
    /// A decrypted file that can't be read as what it is used for.
    pub fn objects(&self, files: &Files) -> Result<Vec<Value>> {
        let mut objects = Vec::new();
        for path in &self.manifests {
            objects.extend(self.manifest(path, files).map_err(|error| error.in_file(path))?);
        }
        for secret in &self.secrets {
            objects.push(secret.object(self.own, files)?);
        }
        Ok(objects)
    }

    fn manifest(&self, path: &str, files: &Files) -> Result<Vec<Value>> {
        let file = decrypted(path, files)?;
        let mut found = Vec::new();
        for mut tree in pipeline::trees(&file.text, file.format)? {
            without_comments(&mut tree);
            if tree.entries().is_empty() {
                continue;
            }
            if tree.get("kind").is_none() || tree.get("apiVersion").is_none() {
                let error = Error::new(Kind::Generic, "it holds no Kubernetes object: apiVersion or kind is missing");
                return Err(error.hint("files lists whole manifests; secretFrom makes a Secret of other files"));
            }
            if self.own {
                encode_string_data(&mut tree)?;
            }
            found.push(tree);
        }
        if found.is_empty() {
            return Err(Error::new(Kind::Generic, "it holds no object").hint("take it out of the generator's files"));
        }
        Ok(found)
    }
}

fn decrypted<'f>(path: &str, files: &'f Files) -> Result<&'f Decrypted> {
    files.get(path).ok_or_else(|| Error::new(Kind::NoFile, "no such file").in_file(path))
}

/// Comments are no part of an object.
fn without_comments(value: &mut Value) {
    match value {
        Value::Map(entries) => {
            entries.retain(|(_, value)| !value.is_comment());
            entries.iter_mut().for_each(|(_, value)| without_comments(value));
        }
        Value::List(items) => {
            items.retain(|value| !value.is_comment());
            items.iter_mut().for_each(without_comments);
        }
        Value::Scalar(..) => {}
    }
}

/// Puts `stringData` into `data`, as the API server does: kustomize merges only that.
fn encode_string_data(object: &mut Value) -> Result<()> {
    let is_secret = object.get("kind").and_then(Value::text).is_some_and(|kind| kind == "Secret");
    let Value::Map(entries) = object else { return Ok(()) };
    let Some(at) = entries.iter().position(|(name, _)| is_secret && name == "stringData") else { return Ok(()) };
    let (_, texts) = entries.remove(at);
    let mut data = match entries.iter().position(|(name, _)| name == "data") {
        Some(at) => entries.remove(at).1.entries().to_vec(),
        None => Vec::new(),
    };
    for (key, value) in texts.entries() {
        let Some(text) = value.as_scalar().filter(|scalar| scalar.kind == document::resolve::Type::Str) else {
            let error = Error::new(Kind::Generic, "a value of stringData is no string").for_key(format!("stringData.{key}"));
            return Err(error.hint("put it into quotes: kveil edit FILE"));
        };
        put(&mut data, key, Value::string(decoded::encode(&text.bytes).as_str()));
    }
    entries.push(("data".to_owned(), Value::Map(data)));
    Ok(())
}

fn put(entries: &mut Vec<(String, Value)>, key: &str, value: Value) {
    match entries.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key.to_owned(), value)),
    }
}

impl Secret {
    fn read(entry: &Value, own: bool) -> Result<Secret> {
        let known = |name: &str| SECRET_FIELDS.contains(&name);
        if let Some((other, _)) = entry.entries().iter().find(|(name, _)| own && !known(name)) {
            let error = Error::new(Kind::Generic, format!("an entry of secretFrom has no field {other}"));
            return Err(error.hint(format!("its fields are {}", SECRET_FIELDS.join(", "))));
        }
        let metadata = entry.get("metadata").map_or(&[][..], Value::entries);
        let metadata: Vec<_> = metadata.iter().filter(|(name, _)| own || METADATA.contains(&name.as_str())).cloned().collect();
        let keyed = |name| strings(entry, name).and_then(|lines| lines.iter().map(|line| Entry::read(line, own)).collect::<Result<_>>());
        Ok(Secret {
            metadata: Value::Map(metadata),
            kind: entry.get("type").and_then(Value::text).map(|text| text.into_owned()).filter(|text| !text.is_empty()),
            files: keyed("files")?,
            binaries: keyed("binaryFiles")?,
            envs: strings(entry, "envs")?,
        })
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().chain(&self.binaries).map(|entry| entry.path.as_str()).chain(self.envs.iter().map(String::as_str))
    }

    fn object(&self, own: bool, files: &Files) -> Result<Value> {
        let (mut texts, mut data) = (Vec::new(), Vec::new());
        for Entry { key, path } in &self.files {
            let plain = content(decrypted(path, files)?);
            if own { put(&mut data, key, base64(&plain)) } else { put(&mut texts, key, text(&plain, key, path)?) }
        }
        for Entry { key, path } in &self.binaries {
            put(&mut data, key, base64(&content(decrypted(path, files)?)));
        }
        for path in &self.envs {
            let file = decrypted(path, files)?;
            let entries = if own { dotenv::plain(&file.text) } else { dotenv::quoted(&file.text) };
            for (key, value) in entries.map_err(|error| error.in_file(path))? {
                if own { put(&mut data, &key, base64(value.as_bytes())) } else { put(&mut texts, &key, Value::string(value)) }
            }
        }
        Ok(self.with(texts, data))
    }

    fn with(&self, texts: Vec<(String, Value)>, data: Vec<(String, Value)>) -> Value {
        let mut object = vec![("apiVersion".to_owned(), Value::string("v1")), ("kind".to_owned(), Value::string("Secret"))];
        object.push(("metadata".to_owned(), self.metadata.clone()));
        object.extend(self.kind.as_ref().map(|kind| ("type".to_owned(), Value::string(kind.as_str()))));
        for (name, entries) in [("stringData", texts), ("data", data)] {
            if !entries.is_empty() {
                object.push((name.to_owned(), Value::Map(entries)));
            }
        }
        Value::Map(object)
    }
}

/// The bytes of a decrypted file.
fn content(file: &Decrypted) -> Zeroizing<Vec<u8>> {
    let bytes = if file.format.is_bytes() { bytes::of_text(&file.text) } else { file.format.plain_bytes(&file.text) };
    Zeroizing::new(bytes.into_owned())
}

fn base64(bytes: &[u8]) -> Value {
    Value::string(decoded::encode(bytes).as_str())
}

fn text(bytes: &[u8], key: &str, path: &str) -> Result<Value> {
    std::str::from_utf8(bytes).map(Value::string).map_err(|_| {
        let error = Error::new(Kind::Generic, "its content isn't text, which stringData can't hold").in_file(path);
        error.hint(format!("list it under binaryFiles: {key}={path}"))
    })
}

impl Entry {
    /// `key=path`, or a path whose last part is the key.
    fn read(line: &str, own: bool) -> Result<Entry> {
        let (key, path) = match line.split_once('=') {
            Some((key, path)) => (key, path),
            None => (line.rsplit('/').next().unwrap_or(line), line),
        };
        if key.is_empty() || path.is_empty() || !own && path.contains('=') {
            let error = Error::new(Kind::Generic, format!("{line} is no file of a generator"));
            return Err(error.hint("write a path, or key=path"));
        }
        Ok(Entry { key: key.to_owned(), path: path.to_owned() })
    }
}

/// A list of strings; a missing one is empty.
fn strings(value: &Value, name: &str) -> Result<Vec<String>> {
    let Some(list) = value.get(name).filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let wrong = || Error::new(Kind::Generic, format!("{name} must be a list of paths"));
    let Value::List(items) = list else { return Err(wrong()) };
    items.iter().map(|item| item.text().map(|text| text.into_owned()).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::resource_list;
    use crate::document::format_by_name;

    fn generator(text: &str, own: bool) -> Result<Generator> {
        Generator::read(&resource_list::config(text).unwrap(), own)
    }

    fn file(format: &str, text: &str) -> Decrypted {
        Decrypted { format: format_by_name(format).unwrap(), text: Zeroizing::new(text.to_owned()) }
    }

    fn yaml(objects: &[Value]) -> String {
        resource_list::generated(objects, resource_list::Caller::Legacy).replace("---\n", "")
    }

    #[test]
    fn kveil_writes_data_where_ksops_writes_string_data() {
        let text = "secretFrom:\n- metadata: {name: a}\n  files: [k=x.txt]\n  envs: [e.env]\n";
        let files = || Files::from([("x.txt".into(), file("binary", "one")), ("e.env".into(), file("dotenv", "A='b'\n"))]);
        let ksops = generator(text, false).unwrap();
        assert_eq!(ksops.paths(), ["x.txt", "e.env"]);
        let want = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  A: b\n  k: one\n";
        assert_eq!(yaml(&ksops.objects(&files()).unwrap()), want);
        let own = generator(text, true).unwrap();
        let want = "apiVersion: v1\ndata:\n  A: J2In\n  k: b25l\nkind: Secret\nmetadata:\n  name: a\n";
        assert_eq!(yaml(&own.objects(&files()).unwrap()), want);
    }

    #[test]
    fn string_data_of_manifests_is_encoded_over_data() {
        let files = || {
            let text =
                "apiVersion: v1\nkind: Secret\n# c\ndata: {a: eA==, b: eQ==}\nstringData: {b: z}\n---\n---\napiVersion: v1\nkind: X\n";
            Files::from([("s.yaml".to_owned(), file("yaml", text))])
        };
        let own = generator("files: [s.yaml]\n", true).unwrap().objects(&files()).unwrap();
        let want = "apiVersion: v1\ndata:\n  a: eA==\n  b: eg==\nkind: Secret\napiVersion: v1\nkind: X\n";
        assert_eq!(yaml(&own), want);
        let ksops = generator("files: [s.yaml]\n", false).unwrap().objects(&files()).unwrap();
        assert!(yaml(&ksops).contains("stringData:\n  b: z\n"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["kind: x\n", "files: []\n", "files: a\n", "secretFrom: [{files: ['=x']}]\n", "secretFrom: [{files: ['k=']}]\n"] {
            assert!(generator(text, true).is_err() && generator(text, false).is_err(), "{text}");
        }
        assert!(generator("files: [a]\nextra: 1\n", false).is_ok());
        let error = generator("files: [a]\nsecretForm: []\n", true).err().unwrap();
        assert_eq!(error.hints, ["did you mean secretFrom?"]);
        let files = Files::from([("a.yaml".to_owned(), file("yaml", "password: hunter2\n"))]);
        let error = generator("files: [a.yaml]\n", true).unwrap().objects(&files).err().unwrap();
        assert!(error.to_string().starts_with("a.yaml: it holds no Kubernetes object"));
    }
}
