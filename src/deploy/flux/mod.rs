//! What Flux's kustomize-controller does with encrypted files, replayed on a tree (its source: `DecryptSources`, then
//! kustomize, then each object). It says nothing of most files that it doesn't decrypt: ciphertext is then applied, or a later
//! step fails. No key is used.

mod format;
mod object;
mod patch;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use crate::document::value::Value;
use crate::document::{self, NONE, yaml};
use crate::kubernetes::decoded;
use crate::sorting;
use object::Sealed;

/// The names of a kustomization, in the order in which kustomize looks for them.
pub const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Flux refuses larger files of generators and patches.
const MOST: usize = 5 << 20;

/// The files of a tree, read by whoever calls.
pub trait Tree {
    /// The text of a file below the root; none if it isn't there, or no text.
    fn read(&self, path: &Path) -> Option<Zeroizing<String>>;
    /// Whether it is a directory.
    fn is_folder(&self, path: &Path) -> bool;
    /// The YAML files below a directory that Flux's source has.
    fn manifests(&self, folder: &Path) -> Vec<PathBuf>;
}

/// What a trouble is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Flux decrypts no files in that place.
    Place,
    /// The name says another format than the file has.
    Format,
    /// No object that could be decrypted on its own.
    Object,
    /// A value that decrypts to something else than a string.
    Type,
    /// Too large.
    Size,
    /// The object says that it is to be left alone.
    OptedOut,
    /// Values in clear come beside the encrypted ones.
    Patch,
    /// A kustomization that can't be read.
    Kustomization,
}

/// Why a file isn't decrypted, or not to what is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What it is about.
    pub cause: Cause,
    /// One line; lower case, no full stop.
    pub text: String,
    /// What to do about it.
    pub way_out: &'static str,
}

impl Trouble {
    fn new(cause: Cause, text: impl Into<String>, way_out: &'static str) -> Trouble {
        Trouble { cause, text: text.into(), way_out }
    }
}

/// What Flux does with an encrypted file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fate {
    /// The file, below the root.
    pub file: PathBuf,
    /// Which step decrypts it, such as `resources of apps/kustomization.yaml`.
    pub step: String,
    /// Why it doesn't; none if all is well.
    pub trouble: Option<Trouble>,
}

/// Replays Flux's steps from `entry` (the `path` of its Kustomization), below the root of its source. `encrypted` are the encrypted
/// files of the tree: one that no step reaches isn't Flux's.
pub fn replay(tree: &dyn Tree, entry: &Path, encrypted: &[PathBuf]) -> Vec<Fate> {
    let mut replay = Replay { tree, fates: BTreeMap::new(), seen: BTreeMap::new() };
    replay.entry(entry);
    let mut fates: Vec<Fate> = replay.fates.into_values().flatten().collect();
    for file in encrypted.iter().filter(|file| !fates.iter().any(|fate| fate.file == **file)).cloned().collect::<Vec<_>>() {
        fates.push(Fate { file, step: NOWHERE.to_owned(), trouble: None });
    }
    sorting::by(&mut fates, |one, two| (&one.file, &one.step).cmp(&(&two.file, &two.step)));
    fates
}

/// The step of a file that none reaches.
pub const NOWHERE: &str = "none: nothing refers to it";

struct Replay<'t> {
    tree: &'t dyn Tree,
    fates: BTreeMap<PathBuf, Vec<Fate>>,
    /// The folders that were visited, each with and without its generators, and the encrypted objects that come out of it.
    seen: BTreeMap<(PathBuf, bool), Vec<Sealed>>,
}

/// A kustomization that is being replayed.
struct Layer<'l> {
    folder: &'l Path,
    path: &'l Path,
    /// Whether Flux looks at its generators and patches: not in folders that only `bases` lists.
    opens: bool,
    /// The encrypted objects so far: what a patch may be about.
    objects: Vec<Sealed>,
}

impl Layer<'_> {
    fn step(&self, field: &str) -> String {
        format!("{field} of {}", self.path.display())
    }
}

impl Replay<'_> {
    fn tell(&mut self, file: &Path, step: &str, trouble: Option<Trouble>) {
        let fate = Fate { file: file.to_owned(), step: step.to_owned(), trouble };
        let fates = self.fates.entry(file.to_owned()).or_default();
        if !fates.contains(&fate) {
            fates.push(fate);
        }
    }

    /// Without a kustomization Flux makes one of all manifests below.
    fn entry(&mut self, folder: &Path) {
        match self.kustomization(folder) {
            Some(_) => drop(self.folder(folder, true, Vec::new())),
            None => self.generated(folder),
        }
    }

    /// The kustomization of a folder.
    fn kustomization(&self, folder: &Path) -> Option<(Zeroizing<String>, PathBuf)> {
        self.kustomizations(folder).next()
    }

    fn kustomizations(&self, folder: &Path) -> impl Iterator<Item = (Zeroizing<String>, PathBuf)> {
        KUSTOMIZATIONS.iter().map(|name| folder.join(name)).filter_map(|path| Some((self.tree.read(&path)?, path)))
    }

    fn generated(&mut self, folder: &Path) {
        for path in self.tree.manifests(folder) {
            let below: Vec<&Path> = path.ancestors().skip(1).take_while(|above| *above != folder).collect();
            // A folder with a kustomization counts as such, and nothing else in it.
            match below.into_iter().rev().find(|above| self.kustomization(above).is_some()) {
                Some(inner) => drop(self.folder(inner, true, Vec::new())),
                None => drop(self.resource(&path, "resources of the kustomization that Flux makes")),
            }
        }
    }

    /// Visits a folder; gives the encrypted objects that come out of it. A component starts with those of who lists it.
    fn folder(&mut self, folder: &Path, opens: bool, given: Vec<Sealed>) -> Vec<Sealed> {
        let place = (folder.to_owned(), opens);
        if let Some(known) = self.seen.get(&place) {
            return given.into_iter().chain(known.iter().cloned()).collect();
        }
        self.seen.insert(place.clone(), Vec::new());
        let second = self.kustomizations(folder).nth(1).map(|(_, path)| path);
        if let Some(second) = second {
            let trouble = Trouble::new(Cause::Kustomization, "the folder has another kustomization beside it", "keep one of them");
            self.tell(&second, "the kustomization itself", Some(trouble));
        }
        let before = given.len();
        let objects = match self.kustomization(folder) {
            Some((text, path)) => match whole(&text) {
                Ok(of) => self.layer(Layer { folder, path: &path, opens, objects: given }, &of),
                Err(why) => {
                    let trouble = Trouble::new(
                        Cause::Kustomization,
                        format!("it can't be read: {why}"),
                        "kustomize build says what is wrong with it",
                    );
                    self.tell(&path, "the kustomization itself", Some(trouble));
                    given
                }
            },
            None => {
                let trouble = Trouble::new(Cause::Kustomization, "there is no kustomization in this folder", "list its files, or add one");
                self.tell(folder, "a folder that a kustomization lists", Some(trouble));
                given
            }
        };
        self.seen.insert(place, objects.iter().skip(before).cloned().collect());
        objects
    }

    fn layer(&mut self, mut layer: Layer<'_>, of: &Value) -> Vec<Sealed> {
        for field in ["resources", "bases", "components"] {
            for target in texts(of, field).filter_map(|name| joined(layer.folder, &name)).collect::<Vec<_>>() {
                let step = layer.step(field);
                let found = match self.tree.is_folder(&target) {
                    true if field == "components" => {
                        layer.objects = self.folder(&target, layer.opens, std::mem::take(&mut layer.objects));
                        continue;
                    }
                    true => self.folder(&target, layer.opens && field != "bases", Vec::new()),
                    false => self.resource(&target, &step),
                };
                layer.objects.extend(found);
            }
        }
        for (field, decrypts) in [("secretGenerator", true), ("configMapGenerator", false)] {
            for generator in of.get(field).map_or(&[][..], Value::items) {
                self.generator(&layer, field, generator, decrypts);
            }
        }
        self.patches(&layer, of);
        layer.objects
    }

    /// A file of manifests: read by kustomize, each object decrypted afterwards.
    fn resource(&mut self, path: &Path, step: &str) -> Vec<Sealed> {
        let Some(text) = self.tree.read(path).filter(|text| format::is_encrypted(text)) else { return Vec::new() };
        let (objects, trouble) = object::manifests(&text);
        self.tell(path, step, trouble);
        objects
    }

    /// Files of a generator: only those of secretGenerator are decrypted, before kustomize runs or as values of the Secret.
    fn generator(&mut self, layer: &Layer<'_>, field: &str, generator: &Value, decrypts: bool) {
        let step = layer.step(field);
        for entry in texts(generator, "files") {
            let (key, name) = entry.split_once('=').unwrap_or((&entry, &entry));
            self.file(layer, name, &step, |text| match decrypts {
                true => too_large(text, layer.opens).or_else(|| format::in_secret(text, key)),
                false => Some(nowhere()),
            });
        }
        for (name, known) in texts(generator, "envs").map(|name| (name, true)).chain(text(generator, "env").map(|name| (name, false))) {
            self.file(layer, &name, &step, |text| match decrypts && layer.opens && known {
                true => too_large(text, true).or_else(|| format::in_envs(text, &name)),
                false => Some(nowhere()),
            });
        }
        let merged = text(generator, "behavior").is_some_and(|word| word == "merge" || word == "replace");
        if let Some(name) = text(generator, "name").filter(|_| decrypts && merged)
            && let Some(trouble) = layer.objects.iter().find(|sealed| sealed.is("Secret", &name)).map(Sealed::patched)
        {
            self.tell(layer.path, &step, Some(trouble));
        }
    }

    fn patches(&mut self, layer: &Layer<'_>, of: &Value) {
        for entry in of.get("patches").map_or(&[][..], Value::items) {
            let path = text(entry, "path");
            self.patch(layer, "patches", path.as_deref(), text(entry, "patch"), entry.get("target"));
        }
        for field in ["patchesStrategicMerge", "patchesJson6902"] {
            for entry in of.get(field).map_or(&[][..], Value::items) {
                let own = entry.text().map(|text| text.into_owned());
                let (inline, path) = (own.clone().filter(|text| text.contains('\n')), own.filter(|text| !text.contains('\n')));
                let (inline, path) = (inline.or_else(|| text(entry, "patch")), path.or_else(|| text(entry, "path")));
                self.patch(layer, field, path.as_deref(), inline, entry.get("target"));
            }
        }
    }

    /// A patch: Flux decrypts the files of `patches`. What it does to an encrypted object may keep that from being decrypted.
    fn patch(&mut self, layer: &Layer<'_>, field: &str, path: Option<&str>, inline: Option<String>, target: Option<&Value>) {
        let step = layer.step(field);
        let decrypts = field == "patches" && layer.opens;
        let text = match path {
            Some(name) => {
                self.file(layer, name, &step, |text| match decrypts {
                    true => too_large(text, true).or_else(|| format::in_place(text, name)),
                    false => Some(nowhere()),
                });
                joined(layer.folder, name).and_then(|path| self.tree.read(&path))
            }
            None => inline.map(Zeroizing::new),
        };
        let Some(text) = text else { return };
        let file = path.and_then(|name| joined(layer.folder, name)).unwrap_or_else(|| layer.path.to_owned());
        if path.is_none() && format::is_encrypted(&text) {
            self.tell(&file, &step, Some(nowhere()));
        }
        if let Some(sealed) = layer.objects.iter().find(|sealed| patch::adds_clear(&text, target, sealed)) {
            self.tell(&file, &step, Some(sealed.patched()));
        }
    }

    /// A file of a kustomization, if it is encrypted.
    fn file(&mut self, layer: &Layer<'_>, name: &str, step: &str, judge: impl FnOnce(&str) -> Option<Trouble>) {
        let Some(path) = joined(layer.folder, name) else { return };
        if let Some(text) = self.tree.read(&path).filter(|text| format::is_encrypted(text)) {
            self.tell(&path, step, judge(&text));
        }
    }
}

fn nowhere() -> Trouble {
    Trouble::new(
        Cause::Place,
        "Flux decrypts no files here",
        "use secretGenerator (files, envs) for files, patches with a path for patches",
    )
}

/// Flux ends with an error at a large file, of the folders that it looks at itself.
fn too_large(text: &str, opens: bool) -> Option<Trouble> {
    (opens && text.len() > MOST).then(|| Trouble::new(Cause::Size, "Flux refuses a file of more than 5 MiB here", "split it"))
}

fn text(of: &Value, field: &str) -> Option<String> {
    of.get(field).and_then(Value::text).map(|text| text.into_owned())
}

fn texts(of: &Value, field: &str) -> impl Iterator<Item = String> {
    of.get(field).map_or(&[][..], Value::items).iter().filter_map(|item| item.text().map(|text| text.into_owned()))
}

/// The first document of a text.
fn whole(text: &str) -> crate::error::Result<Value> {
    let document = yaml::parse(text)?;
    match document.parts.first().map(|part| part.root).filter(|root| *root != NONE) {
        Some(root) => Value::of(&document, root),
        None => Ok(Value::Map(Vec::new())),
    }
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
