//! Configurations of kustomize's plugins, as the fields `generators`, `transformers` and `validators` list them, and the files that they
//! name: each builtin stands for a field of the kustomization (kustomize's `api/builtins`), and reads files from its folder.

use std::path::{Path, PathBuf};

use super::closure::texts;
use crate::config::cleaned;
use crate::deploy::flux::KUSTOMIZATIONS;
use crate::deploy::generator::Generator;
use crate::deploy::{Function, resource_list};
use crate::document::value::Value;
use crate::source::Source;

/// The API version of kustomize's own plugins.
const BUILTIN: &str = "builtin";
/// Builtin kinds that read files, the field of a kustomization that each stands for, and where its entries are, if it isn't one itself.
const KINDS: [(&str, &str, Option<&str>); 7] = [
    ("SecretGenerator", "secretGenerator", None),
    ("ConfigMapGenerator", "configMapGenerator", None),
    ("HelmChartInflationGenerator", "helmCharts", None),
    ("PatchTransformer", "patches", None),
    ("PatchJson6902Transformer", "patchesJson6902", None),
    ("PatchStrategicMergeTransformer", "patchesStrategicMerge", Some("paths")),
    ("ReplacementTransformer", "replacements", Some("replacements")),
];

/// The configurations of an entry: YAML in place, a file, or a folder whose kustomization lists such. What can't be read is kustomize's
/// matter.
pub fn configurations(folder: &Path, entry: &str) -> Vec<Value> {
    let mut found = Vec::new();
    gather(folder, entry, &mut Vec::new(), &mut found);
    found
}

/// Whether an entry is YAML itself, and no path to some.
pub fn is_in_place(entry: &str) -> bool {
    entry.contains('\n') || entry.starts_with('{')
}

fn gather(folder: &Path, entry: &str, within: &mut Vec<PathBuf>, found: &mut Vec<Value>) {
    let path = cleaned(&folder.join(entry));
    if is_in_place(entry) {
        found.extend(resource_list::configs(entry).unwrap_or_default());
    } else if !path.is_dir() {
        let text = Source::File(path).read().ok();
        found.extend(text.and_then(|text| resource_list::configs(&text).ok()).unwrap_or_default());
    } else if !within.contains(&path) {
        let file = KUSTOMIZATIONS.iter().map(|name| path.join(name)).find(|file| file.is_file());
        let text = file.and_then(|file| Source::File(file).read().ok());
        let Some(kustomization) = text.and_then(|text| resource_list::config(&text).ok()) else { return };
        within.push(path.clone());
        texts(kustomization.get("resources")).for_each(|entry| gather(&path, &entry, within, found));
    }
}

/// A builtin's configuration as the field of a kustomization that it stands for.
pub fn fields(config: &Value) -> Option<Value> {
    let word = |name: &str| config.get(name).and_then(Value::text);
    let kind = word("kind").filter(|_| word("apiVersion").is_some_and(|version| version == BUILTIN))?;
    let (_, field, entries) = KINDS.iter().find(|(name, ..)| kind == *name)?;
    let entries = match entries {
        Some(name) => config.get(name)?.clone(),
        None => Value::List(vec![config.clone()]),
    };
    Some(Value::Map(vec![((*field).to_owned(), entries)]))
}

/// The files that a generator of kveil's or KSOPS's decrypts itself.
pub fn encrypted_files(config: &Value) -> Vec<String> {
    let Ok(Function::Generate(generator)) = Function::read(config) else { return Vec::new() };
    Generator::paths(&generator).into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builtin_stands_for_a_field() {
        let config = |text: &str| configurations(Path::new("."), text).remove(0);
        let fields = |text: &str| fields(&config(text));
        let paths = fields("apiVersion: builtin\nkind: PatchStrategicMergeTransformer\npaths: [p.yaml]\n").unwrap();
        assert_eq!(texts(paths.get("patchesStrategicMerge")).collect::<Vec<_>>(), ["p.yaml"]);
        let secret = fields("apiVersion: builtin\nkind: SecretGenerator\nfiles: [a]\n").unwrap();
        assert_eq!(texts(secret.get("secretGenerator").unwrap().items()[0].get("files")).collect::<Vec<_>>(), ["a"]);
        let list = configurations(Path::new("."), "{kind: List, items: [{kind: A}, {kind: B}]}");
        assert_eq!(list.len(), 2);
        assert!(fields("apiVersion: other.dev/v1\nkind: SecretGenerator\nfiles: [a]\n").is_none());
        let own = config("apiVersion: kveil.dev/v1\nkind: Secrets\nfiles: [a]\n");
        assert_eq!((encrypted_files(&own), super::fields(&own).is_none()), (vec!["a".to_owned()], true));
    }
}
