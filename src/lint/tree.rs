//! What only several files together show.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use super::envelope::METADATA_ENCRYPTED;
use super::tampering::{self, COPIED, REPEATED_IV};
use super::{Finding, Level, Rule, Subject};
use crate::config::cleaned;
use crate::document::value::Value;
use crate::document::{Document, Kind, NONE, NodeId};
use crate::kubernetes::{self, Object};

/// A copy in clear beside an encrypted file.
pub static DECRYPTED_SIBLING: Rule = Rule::new("KV114", "decrypted-sibling", Level::Error);

pub(super) const RULES: &[&Rule] = &[&DECRYPTED_SIBLING];

/// What one file contributes.
#[derive(Default)]
pub struct Facts {
    /// The file, as the user named it.
    pub name: String,
    /// Whether it is encrypted.
    pub sealed: bool,
    tokens: Vec<Print>,
    /// Its wrapped keys: files that share one have the same data key.
    wraps: Vec<u64>,
    /// Files that a tool reads because this one says so.
    reads: Vec<PathBuf>,
    /// A folder that Flux reads and decrypts, below git's top.
    pub folder: Option<PathBuf>,
}

/// A token by hashes.
struct Print {
    iv: u64,
    rest: u64,
    place: u64,
}

/// Makes facts whose hashes can be compared.
#[derive(Default)]
pub struct Gatherer(RandomState);

impl Gatherer {
    /// The facts of a file.
    pub fn facts(&self, subject: &Subject<'_>) -> Facts {
        let mut facts = Facts { name: subject.name.to_owned(), sealed: subject.has_block, ..Facts::default() };
        let Some(document) = subject.document else { return facts };
        if let Some(encrypted) = &subject.encrypted {
            let hash = |text: &str| self.0.hash_one(text);
            facts.tokens = tampering::tokens(document, encrypted)
                .map(|(_, place, token)| Print {
                    iv: hash(token.iv()),
                    rest: self.0.hash_one((token.data(), token.tag())),
                    place: hash(place),
                })
                .collect();
            let entries = encrypted.metadata.groups.iter().flat_map(|group| &group.entries);
            facts.wraps = entries.filter_map(|entry| entry.value.get("enc").and_then(Value::text)).map(|enc| hash(&enc)).collect();
        } else if !subject.has_block {
            facts.gather_reads(document);
        }
        facts
    }
}

impl Facts {
    fn gather_reads(&mut self, document: &Document<'_>) {
        let folder = Path::new(&self.name).parent().unwrap_or(Path::new("")).to_owned();
        let named_so = Path::new(&self.name).file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case("kustomization"));
        for root in document.parts.iter().map(|part| part.root).filter(|root| *root != NONE) {
            let object = kubernetes::object(document, root);
            if object.is_some_and(|object| object.group() == "kustomize.toolkit.fluxcd.io" && object.kind == "Kustomization") {
                self.folder = flux_folder(document, root);
            } else if named_so || object.is_some_and(|object| is_kustomization(&object)) {
                self.reads.extend(names(document, root).into_iter().map(|name| cleaned(&folder.join(name))));
            }
        }
    }
}

fn is_kustomization(object: &Object<'_>) -> bool {
    object.group() == "kustomize.config.k8s.io" || object.kind.eq_ignore_ascii_case("ksops")
}

/// The files that a kustomization or a generator of KSOPS lists.
fn names(document: &Document<'_>, root: NodeId) -> Vec<String> {
    let lists = ["resources", "patchesStrategicMerge", "files"].into_iter().filter_map(|field| document.get(root, field));
    let items = lists.filter(|list| document.node(*list).kind == Kind::Sequence).flat_map(|list| document.children(list));
    items.filter(|item| document.node(*item).kind == Kind::Scalar).map(|item| document.text(item).to_owned()).collect()
}

/// The folder of a Kustomization of Flux that decrypts with SOPS.
fn flux_folder(document: &Document<'_>, root: NodeId) -> Option<PathBuf> {
    let spec = document.get(root, "spec")?;
    let provider = document.get(document.get(spec, "decryption")?, "provider")?;
    let path = document.get(spec, "path").filter(|_| document.text(provider) == "sops")?;
    Some(cleaned(Path::new(document.text(path).trim_start_matches("./"))))
}

/// Looks at all files together: adds findings, and raises those that matter because of what reads the file. `all` are the
/// names of all files of the tree, those that hold nothing of interest included; `top` is where git's top lies, seen from
/// where names start.
pub fn check(facts: &[Facts], all: &[String], top: &Path, findings: &mut Vec<Finding>) {
    let reads: HashSet<&Path> = facts.iter().flat_map(|facts| facts.reads.iter().map(PathBuf::as_path)).collect();
    let folders: Vec<PathBuf> = facts.iter().filter_map(|facts| facts.folder.as_ref()).map(|folder| cleaned(&top.join(folder))).collect();
    for finding in findings.iter_mut().filter(|finding| finding.rule.id == METADATA_ENCRYPTED.id) {
        let path = cleaned(Path::new(&finding.file));
        if reads.contains(path.as_path()) || folders.iter().any(|folder| path.starts_with(folder)) {
            finding.level = Level::Error;
            finding.message.push_str("; kustomize, KSOPS or Flux reads this file");
        }
    }
    siblings(facts, all, findings);
    repeats(facts, findings);
}

/// Names that editors, merges and helm-secrets give to copies: what stands before or after the name of the file.
fn original(name: &str) -> Option<String> {
    let path = Path::new(name);
    let file = path.file_name()?.to_str()?;
    let beside = |file: &str| Some(path.with_file_name(file).to_string_lossy().into_owned());
    for ending in ["~", ".orig", ".bak", ".old", ".rej", ".dec", ".swp", ".swo", ".save", ".tmp", ".decrypted", ".plain"] {
        if let Some(stem) = file.strip_suffix(ending).filter(|stem| !stem.is_empty()) {
            return beside(if ending.starts_with(".sw") { stem.strip_prefix('.').unwrap_or(stem) } else { stem });
        }
    }
    if let Some(stem) = file.strip_prefix('#').and_then(|file| file.strip_suffix('#')) {
        return beside(stem);
    }
    let (stem, ending) = file.rsplit_once('.')?;
    let stem = stem.strip_suffix(".dec").or_else(|| stem.strip_suffix(".decrypted"))?;
    beside(&format!("{stem}.{ending}"))
}

/// What an encrypted file may be called whose copy in clear is called `name.yaml`.
const MARKS: [&str; 4] = ["", ".enc", ".sops", ".encrypted"];

fn siblings(facts: &[Facts], all: &[String], findings: &mut Vec<Finding>) {
    let sealed: HashSet<&str> = facts.iter().filter(|facts| facts.sealed).map(|facts| facts.name.as_str()).collect();
    if sealed.is_empty() {
        return;
    }
    for name in all.iter().filter(|name| !sealed.contains(name.as_str())) {
        let Some(original) = original(name) else { continue };
        let (stem, ending) = original.rsplit_once('.').unwrap_or((&original, ""));
        let marked = MARKS.iter().map(|mark| format!("{stem}{mark}.{ending}"));
        let Some(of) = marked.chain([original.clone()]).find(|other| sealed.contains(other.as_str())) else { continue };
        let message = format!("a copy in clear beside the encrypted {of}, in the tree of git");
        findings.push(Finding::of_file(&DECRYPTED_SIBLING, name, message, "delete it, and add its pattern to .gitignore"));
    }
}

fn repeats(facts: &[Facts], findings: &mut Vec<Finding>) {
    let mut seen: HashMap<u64, (usize, u64, u64), foldhash::fast::RandomState> = HashMap::default();
    let mut told: HashSet<(usize, usize)> = HashSet::new();
    for (at, file) in facts.iter().enumerate() {
        for print in &file.tokens {
            let (first, rest, place) = *seen.entry(print.iv).or_insert((at, print.rest, print.place));
            if first == at || !told.insert((first, at)) {
                continue;
            }
            let other = &facts[first];
            if rest != print.rest {
                let message = format!("{}; the other is in {}", tampering::REVEALS, other.name);
                findings.push(Finding::of_file(&REPEATED_IV, &file.name, message, tampering::RENEW));
            } else if place != print.place || !file.wraps.iter().any(|wrap| other.wraps.contains(wrap)) {
                let message =
                    format!("it has ciphertext of {}, which opens under that file's data key and at its key path only", other.name);
                let mut finding = Finding::of_file(
                    &COPIED,
                    &file.name,
                    message,
                    "put the value in with kveil set; kveil check --verify tells whether it opens",
                );
                finding.level = Level::Warning;
                findings.push(finding);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_known_by_their_names() {
        let of = |name: &str| original(name).unwrap_or_default();
        assert_eq!(of("a/secrets.yaml.dec"), "a/secrets.yaml");
        assert_eq!(of("a/secrets.dec.yaml"), "a/secrets.yaml");
        assert_eq!((of("a.yaml~"), of(".a.yaml.swp"), of("#a.yaml#")), ("a.yaml".into(), "a.yaml".into(), "a.yaml".into()));
        assert_eq!(original("a/december.yaml"), None);
    }
}
