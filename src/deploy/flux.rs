//! What Flux's kustomize-controller does with encrypted files, replayed on a tree (its source: `DecryptSources`, then
//! kustomize, then each object). It says nothing of a file that it doesn't decrypt: ciphertext is then applied, or a later step
//! fails. No key is used.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use crate::document::value::Value;
use crate::document::{self, Document, Kind, NONE, NodeId, yaml};
use crate::error::printable;
use crate::kubernetes::{self, decoded};
use crate::seal::value::Token;

/// The names of a kustomization, in the order in which kustomize looks for them.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Files of more bytes aren't decrypted.
const MOST: usize = 5 << 20;

/// The annotation that has Flux leave an object alone.
const OPT_OUT: &str = "kustomize.toolkit.fluxcd.io/decrypt";

/// Formats as Flux tells them apart: the marker that an encrypted file of each must hold, byte for byte.
const MARKERS: [(&str, &str); 5] =
    [("yaml", "mac: ENC["), ("json", "\"mac\": \"ENC["), ("dotenv", "sops_mac=ENC["), ("ini", "[sops]"), ("binary", "\"mac\": \"ENC[")];

/// The files of a tree, read by whoever calls.
pub trait Tree {
    /// The text of a file below the root; none if it isn't there, or no text.
    fn read(&self, path: &Path) -> Option<Zeroizing<String>>;
    /// Whether it is a directory.
    fn is_folder(&self, path: &Path) -> bool;
    /// The YAML files below a directory, as `kustomize create --autodetect --recursive` finds them.
    fn manifests(&self, folder: &Path) -> Vec<PathBuf>;
}

/// What Flux does with an encrypted file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fate {
    /// The file, below the root.
    pub file: PathBuf,
    /// Which step decrypts it, such as `resources of apps/kustomization.yaml`.
    pub step: String,
    /// Why it isn't decrypted, or not to what is wanted; none if all is well.
    pub trouble: Option<String>,
    /// What to do about it.
    pub way_out: Option<&'static str>,
}

/// Replays Flux's steps from `entry` (the `path` of its Kustomization), below the root of its source. `encrypted` are the encrypted
/// files of the tree: one that no step reaches isn't Flux's.
pub fn replay(tree: &dyn Tree, entry: &Path, encrypted: &[PathBuf]) -> Vec<Fate> {
    let mut replay = Replay { tree, fates: BTreeMap::new(), seen: Vec::new() };
    replay.folder(entry);
    let mut fates: Vec<Fate> = replay.fates.into_values().flatten().collect();
    for file in encrypted.iter().filter(|file| !fates.iter().any(|fate| fate.file == **file)).cloned().collect::<Vec<_>>() {
        fates.push(Fate { file, step: NOWHERE.to_owned(), trouble: None, way_out: None });
    }
    fates.sort_by(|one, two| (&one.file, &one.step).cmp(&(&two.file, &two.step)));
    fates
}

/// The step of a file that none reaches.
pub const NOWHERE: &str = "none: nothing refers to it";

struct Replay<'t> {
    tree: &'t dyn Tree,
    fates: BTreeMap<PathBuf, Vec<Fate>>,
    seen: Vec<PathBuf>,
}

/// A trouble with its way out.
type Trouble = (String, &'static str);

impl Replay<'_> {
    fn tell(&mut self, file: &Path, step: &str, trouble: Option<Trouble>) {
        let (trouble, way_out) = trouble.map_or((None, None), |(text, way)| (Some(text), Some(way)));
        let fate = Fate { file: file.to_owned(), step: step.to_owned(), trouble, way_out };
        let fates = self.fates.entry(file.to_owned()).or_default();
        if !fates.contains(&fate) {
            fates.push(fate);
        }
    }

    fn folder(&mut self, folder: &Path) {
        if self.seen.iter().any(|seen| seen == folder) {
            return;
        }
        self.seen.push(folder.to_owned());
        let found = KUSTOMIZATIONS.iter().map(|name| folder.join(name)).find_map(|path| Some((self.tree.read(&path)?, path)));
        let Some((text, path)) = found else { return self.generated(folder) };
        match whole(&text) {
            Ok(kustomization) => self.kustomization(folder, &path, &kustomization),
            Err(why) => {
                self.tell(
                    &path,
                    "the kustomization itself",
                    Some((format!("it can't be read: {why}"), "kustomize build says what is wrong with it")),
                );
            }
        }
    }

    /// Without a kustomization Flux makes one of all manifests below.
    fn generated(&mut self, folder: &Path) {
        for path in self.tree.manifests(folder) {
            self.resource(&path, "resources of the kustomization that Flux makes");
        }
    }

    fn kustomization(&mut self, folder: &Path, path: &Path, of: &Value) {
        let named = |field: &str| format!("{field} of {}", path.display());
        for field in ["resources", "bases", "components"] {
            for name in of.get(field).map_or(&[][..], Value::items).iter().filter_map(Value::text) {
                let Some(target) = joined(folder, &name) else { continue };
                if self.tree.is_folder(&target) { self.folder(&target) } else { self.resource(&target, &named(field)) }
            }
        }
        for (field, decrypts) in [("secretGenerator", true), ("configMapGenerator", false)] {
            for generator in of.get(field).map_or(&[][..], Value::items) {
                self.generator(folder, &named(field), generator, decrypts);
            }
        }
        self.patches(folder, &named, of);
    }

    /// A file of manifests: read by kustomize, each object decrypted afterwards.
    fn resource(&mut self, path: &Path, step: &str) {
        let Some(text) = self.tree.read(path).filter(|text| is_encrypted(text)) else { return };
        let trouble = manifests(&text);
        self.tell(path, step, trouble);
    }

    /// Files of a generator: only those of secretGenerator are decrypted, in place, in the format that the key's name says.
    fn generator(&mut self, folder: &Path, step: &str, generator: &Value, decrypts: bool) {
        for entry in generator.get("files").map_or(&[][..], Value::items).iter().filter_map(Value::text) {
            let (key, name) = entry.split_once('=').unwrap_or((&entry, &entry));
            self.in_place(folder, name, step, decrypts, by_key(key));
        }
        let envs = generator.get("envs").map_or(&[][..], Value::items).iter().filter_map(Value::text);
        for name in envs.chain(generator.get("env").and_then(Value::text)) {
            let format = match by_key(&name) {
                "binary" => "dotenv",
                known => known,
            };
            self.in_place(folder, &name, step, decrypts, format);
        }
    }

    fn patches(&mut self, folder: &Path, named: &dyn Fn(&str) -> String, of: &Value) {
        for patch in of.get("patches").map_or(&[][..], Value::items) {
            if let Some(name) = patch.get("path").and_then(Value::text) {
                self.in_place(folder, &name, &named("patches"), true, by_key(&name));
            }
        }
        for field in ["patchesStrategicMerge", "patchesJson6902"] {
            let items = of.get(field).map_or(&[][..], Value::items).iter();
            for name in items.filter_map(|item| item.text().or_else(|| item.get("path")?.text())).filter(|name| !name.contains('\n')) {
                self.in_place(folder, &name, &named(field), false, by_key(&name));
            }
        }
    }

    /// A file that Flux decrypts before kustomize runs, if it takes it for encrypted in `format`.
    fn in_place(&mut self, folder: &Path, name: &str, step: &str, decrypts: bool, format: &str) {
        let Some(path) = joined(folder, name) else { return };
        let Some(text) = self.tree.read(&path).filter(|text| is_encrypted(text)) else { return };
        let marked = MARKERS.iter().any(|(known, marker)| *known == format && text.contains(marker));
        let trouble = if !decrypts {
            Some(("Flux decrypts no files here".to_owned(), "use secretGenerator for files, patches with a path for patches"))
        } else if text.len() > MOST {
            Some(("Flux decrypts no file of more than 5 MiB".to_owned(), "split it"))
        } else if !marked {
            let text = format!("the name says {format}, and the file isn't encrypted as that: Flux passes it on as it is");
            Some((text, "name the key so that its ending says the format: config.yaml=config.enc.yaml"))
        } else {
            None
        };
        self.tell(&path, step, trouble);
    }
}

/// The first document of a text.
fn whole(text: &str) -> crate::error::Result<Value> {
    let document = yaml::parse(text)?;
    match document.parts.first().map(|part| part.root).filter(|root| *root != NONE) {
        Some(root) => Value::of(&document, root),
        None => Ok(Value::Map(Vec::new())),
    }
}

/// The format that Flux takes from a key of a generator, or a file's name.
fn by_key(key: &str) -> &'static str {
    let name = key.rsplit('/').next().unwrap_or(key);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        _ if name == ".dockerconfigjson" => "json",
        Some("yaml" | "yml") => "yaml",
        Some("json") => "json",
        Some("env") => "dotenv",
        Some("ini") => "ini",
        _ => "binary",
    }
}

fn is_encrypted(text: &str) -> bool {
    MARKERS.iter().any(|(_, marker)| text.contains(marker)) || text.contains("ENC[AES256_GCM,")
}

/// A path below the root; none for an address, and for one that leads out.
fn joined(folder: &Path, name: &str) -> Option<PathBuf> {
    if name.contains("://") || name.contains("?ref=") || Path::new(name).is_absolute() {
        return None;
    }
    let mut path = PathBuf::new();
    for part in folder.join(name).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// What is wrong with a file of encrypted objects.
fn manifests(text: &str) -> Option<Trouble> {
    let Ok(document) = read(text) else {
        return Some(("it can't be read as YAML".to_owned(), "kveil check says where"));
    };
    document.parts.iter().map(|part| part.root).filter(|root| *root != NONE).find_map(|root| object(&document, root))
}

fn read(text: &str) -> crate::error::Result<Document<'_>> {
    let name = if text.trim_start().starts_with('{') { "json" } else { "yaml" };
    document::format_by_name(name).map_or_else(|| yaml::parse(text), |format| format.parse(text))
}

fn object(document: &Document<'_>, root: NodeId) -> Option<Trouble> {
    if document.node(root).kind != Kind::Mapping || !holds_token(document, root) {
        return None;
    }
    let Some(object) = kubernetes::object(document, root) else {
        let text = "a document that is encrypted isn't an object with apiVersion and kind in clear".to_owned();
        return Some((text, "a Helm values file or a dotenv file goes through secretGenerator"));
    };
    let title = printable(&object.title());
    if let Some(place) =
        ["apiVersion", "kind", "metadata"].into_iter().find(|key| document.get(root, key).is_some_and(|id| holds_token(document, id)))
    {
        return Some((
            format!("{place} of {title} is encrypted, which kustomize reads"),
            "encrypt with encrypted_regex: ^(data|stringData)$",
        ));
    }
    if object.kind == "List" || object.kind == "SecretList" {
        return Some((
            format!("{title}: kustomize takes a List apart and drops its sops block"),
            "write its items as documents of their own",
        ));
    }
    let mac = document.get(root, "sops").and_then(|sops| document.get(sops, "mac"));
    if mac.is_none() {
        return Some((
            format!("{title} has ENC values and no sops block in its own document"),
            "encrypt the file again with kveil: each document gets the block",
        ));
    }
    if is_opted_out(document, root) {
        return Some((format!("{title} has the annotation {OPT_OUT}: disabled"), "take the annotation away"));
    }
    let secret = decoded::is_secret(&object);
    secret.then(|| typed(document, root)).flatten().map(|key| {
        let text = format!("{} of {title} decrypts to a number, a boolean or a list: the API server refuses that", printable(&key));
        (text, "quote the value in clear, and encrypt it again")
    })
}

fn is_opted_out(document: &Document<'_>, root: NodeId) -> bool {
    let annotations = document.get(root, "metadata").and_then(|metadata| document.get(metadata, "annotations"));
    let value = annotations.and_then(|annotations| document.get(annotations, OPT_OUT));
    value.is_some_and(|value| document.text(value).eq_ignore_ascii_case("disabled"))
}

/// A key of `data` or `stringData` whose value is no string.
fn typed(document: &Document<'_>, root: NodeId) -> Option<String> {
    let maps = ["data", "stringData"].into_iter().filter_map(|field| document.get(root, field));
    let mut entries = maps.flat_map(|map| document.entries(map));
    let found = entries.find(|(_, value)| match document.node(*value).kind {
        Kind::Scalar => Token::parse(document.text(*value)).is_some_and(|token| !matches!(token.kind, "str" | "bytes" | "comment")),
        _ => true,
    });
    found.map(|(key, _)| document.key_path(key))
}

/// Whether an encrypted value stands below `root`, its `sops` block aside.
fn holds_token(document: &Document<'_>, root: NodeId) -> bool {
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        match document.node(id).kind {
            Kind::Scalar if Token::parse(document.text(id)).is_some() => return true,
            Kind::Scalar | Kind::Alias => {}
            Kind::Sequence => open.extend(document.children(id)),
            Kind::Mapping => {
                let entries = document.entries(id).filter(|(key, _)| id != root || document.key_text(*key) != "sops");
                open.extend(entries.map(|(_, value)| value));
            }
        }
    }
    false
}

/// The Secret that Flux takes an age identity from, `KEY.agekey`, for `kubectl apply`. The key file's comments stay.
pub fn key_secret(name: &str, namespace: &str, keys: &str) -> Zeroizing<String> {
    let quoted = |text: &str| {
        let mut out = String::new();
        document::yaml::write_name(text, &mut out);
        out
    };
    let encoded = decoded::encode(keys.as_bytes());
    let mut text = Zeroizing::new(String::with_capacity(encoded.len() + 256));
    for part in [
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: ",
        &quoted(name),
        "\n  namespace: ",
        &quoted(namespace),
        "\ntype: Opaque\ndata:\n  age.agekey: ",
    ] {
        text.push_str(part);
    }
    text.push_str(&encoded);
    text.push('\n');
    text
}
