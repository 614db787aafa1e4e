//! `check --target flux`: what Flux would not decrypt, among the other findings.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::look::{Look, Looked};
use crate::cli::context::Context;
use crate::cli::flux::place::Place;
use crate::cli::paths::Paths;
use crate::config::cleaned;
use crate::deploy::flux;
use crate::error::Result;
use crate::lint;
use crate::lint::envelope::{ENCRYPTED_LIST, METADATA_ENCRYPTED, NO_BLOCK};
use crate::lint::fields::PARTLY;

/// What an object is refused for, told by a rule that sees more of it.
const TOLD: [&lint::Rule; 4] = [&METADATA_ENCRYPTED, &ENCRYPTED_LIST, &NO_BLOCK, &PARTLY];

/// Replays Flux from the folders that its Kustomizations among the files name, else from the paths themselves; adds to what was found.
///
/// # Errors
/// Those of [`Place::of`].
pub fn check(context: &Context, look: &Look<'_>, paths: &Paths, top: &Path, looked: &mut Looked) -> Result<()> {
    let names: HashMap<PathBuf, String> = looked.names.iter().map(|name| (real(context, Path::new(name)), name.clone())).collect();
    let mut found: BTreeMap<PathBuf, Vec<flux::Fate>> = BTreeMap::new();
    for folder in entries(context, paths, top, looked) {
        let place = Place::of(context, &folder)?;
        for fate in flux::replay(&place, &place.entry, &[]).into_iter().filter(|fate| fate.trouble.is_some()) {
            let fates = found.entry(place.root.join(&fate.file)).or_default();
            if !fates.contains(&fate) {
                fates.push(fate);
            }
        }
    }
    let (root, here) = (real(context, top), real(context, Path::new(".")));
    for (path, fates) in found {
        let below = || path.strip_prefix(&here).map(Path::to_owned).ok();
        let beside = || below().unwrap_or_else(|| path.strip_prefix(&root).map_or_else(|_| path.clone(), |inside| top.join(inside)));
        let name = names.get(&path).cloned().unwrap_or_else(|| beside().display().to_string());
        let told = looked.findings.iter().any(|finding| finding.file == name && TOLD.iter().any(|rule| rule.id == finding.rule.id));
        let mut findings: Vec<lint::Finding> = fates.iter().filter_map(|fate| lint::flux::finding(fate, &name)).collect();
        findings.retain(|finding| !(told && finding.rule.id == lint::flux::OBJECT.id));
        looked.ignored += look.except(&name, &path, &mut findings)?;
        looked.findings.extend(findings);
    }
    Ok(())
}

/// Where Flux begins.
fn entries(context: &Context, paths: &Paths, top: &Path, looked: &Looked) -> Vec<PathBuf> {
    let named = looked.facts.iter().filter_map(|facts| facts.folder.as_ref()).map(|folder| cleaned(&top.join(folder)));
    let mut folders: Vec<PathBuf> = named.filter(|folder| context.directory.join(folder).is_dir()).collect();
    folders.sort();
    folders.dedup();
    if !folders.is_empty() {
        return folders;
    }
    let given: Vec<PathBuf> = paths.paths.iter().map(PathBuf::from).filter(|path| context.directory.join(path).is_dir()).collect();
    if paths.paths.is_empty() { vec![PathBuf::from(".")] } else { given }
}

fn real(context: &Context, path: &Path) -> PathBuf {
    let path = context.directory.join(path);
    std::fs::canonicalize(&path).unwrap_or(path)
}
