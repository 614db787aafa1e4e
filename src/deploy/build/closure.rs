//! Which files a kustomization refers to, directly or through others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::plugins;
use crate::config::cleaned;
use crate::deploy::flux::KUSTOMIZATIONS as NAMES;
use crate::deploy::resource_list;
use crate::document::value::Value;
use crate::error::{Error, Kind, Result};
use crate::source::Source;
use crate::tree;

/// Fields that list files or folders, or hold YAML themselves; whether encrypted ones are opened.
const LISTS: [(&str, bool); 9] = [
    ("resources", true),
    ("bases", true),
    ("components", true),
    ("patchesStrategicMerge", true),
    ("generators", false),
    ("transformers", false),
    ("validators", false),
    ("crds", false),
    ("configurations", false),
];
/// Those among them that list configurations of plugins.
const PLUGINS: [&str; 3] = ["generators", "transformers", "validators"];
/// Fields whose entries name a file under `path`.
const WITH_PATH: [(&str, bool); 3] = [("patches", true), ("patchesJson6902", true), ("replacements", false)];
/// Generators of Secrets and ConfigMaps: Flux opens only files for Secrets.
const GENERATORS: [(&str, bool); 2] = [("secretGenerator", true), ("configMapGenerator", false)];
/// Charts that are inflated; the second is of old.
const CHART_FIELDS: [&str; 2] = ["helmCharts", "helmChartInflationGenerator"];
/// Where charts lie, if nothing else is said.
const CHARTS: &str = "charts";

/// A file that is copied.
pub struct Piece {
    /// Absolute.
    pub path: PathBuf,
    /// Whether it is opened if it is encrypted.
    pub may_open: bool,
}

/// All that a kustomization refers to.
pub struct Closure {
    /// What the copied paths are relative to.
    pub root: PathBuf,
    /// The folder of the kustomization.
    pub start: PathBuf,
    /// The files in order.
    pub pieces: Vec<Piece>,
}

impl Closure {
    /// Follows the kustomization in `start`. No file may lie outside of `root`; without one, the root is what all have in
    /// common.
    ///
    /// # Errors
    /// `NoFile` (100) if there is no kustomization, `Unreadable` (2) for one that can't be read, `Generic` (1) for a file
    /// outside of the root.
    pub fn of(start: &Path, root: Option<&Path>) -> Result<Closure> {
        let missing = || match start.is_file() {
            true => {
                Error::new(Kind::NoFile, "it is a file").in_file(&start.display().to_string()).hint("name the folder of the kustomization")
            }
            false => Error::new(Kind::NoFile, "no such directory").in_file(&start.display().to_string()),
        };
        let real = std::fs::canonicalize(start).ok().filter(|folder| folder.is_dir()).ok_or_else(missing)?;
        let mut gathered = Gathered { root, files: BTreeMap::new(), folders: Vec::new() };
        gathered.refuse_outside(&real, start)?;
        if !gathered.folder(&real)? {
            let error = Error::new(Kind::NoFile, "it holds no kustomization").in_file(&start.display().to_string());
            return Err(error.hint(format!("kustomize looks for {}", NAMES.join(", "))));
        }
        let root = root.map_or_else(|| gathered.common_root(&real), Path::to_owned);
        let pieces = gathered.files.into_iter().map(|(path, may_open)| Piece { path, may_open }).collect();
        Ok(Closure { root, start: real, pieces })
    }

    /// A path relative to the root.
    pub fn inside<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

struct Gathered<'r> {
    root: Option<&'r Path>,
    /// Whether each is opened: if one reference wants that, it is.
    files: BTreeMap<PathBuf, bool>,
    folders: Vec<PathBuf>,
}

impl Gathered<'_> {
    /// Takes a folder with a kustomization; says whether there is one.
    fn folder(&mut self, folder: &Path) -> Result<bool> {
        if self.folders.iter().any(|known| known == folder) {
            return Ok(true);
        }
        let Some(file) = NAMES.iter().map(|name| folder.join(name)).find(|file| file.is_file()) else { return Ok(false) };
        self.folders.push(folder.to_owned());
        let named = |error: Error| error.in_file(&file.display().to_string());
        let text = Source::File(file.clone()).read().map_err(named)?;
        let kustomization = resource_list::config(&text).map_err(named)?;
        self.take(&file, false)?;
        self.follow(folder, &kustomization).map_err(named)?;
        Ok(true)
    }

    fn follow(&mut self, folder: &Path, kustomization: &Value) -> Result<()> {
        for (field, may_open) in LISTS {
            for entry in texts(kustomization.get(field)) {
                self.entry(folder, &entry, may_open)?;
                if PLUGINS.contains(&field) {
                    self.files_of_plugins(folder, &entry)?;
                }
            }
        }
        for (field, may_open) in WITH_PATH {
            for path in kustomization.get(field).map_or(&[][..], Value::items).iter().filter_map(|entry| entry.get("path")?.text()) {
                self.entry(folder, &path, may_open)?;
            }
        }
        for (field, may_open) in GENERATORS {
            for generator in kustomization.get(field).map_or(&[][..], Value::items) {
                let envs = texts(generator.get("envs")).chain(generator.get("env").and_then(Value::text).map(|text| text.into_owned()));
                let files =
                    texts(generator.get("files")).map(|line| line.split_once('=').map_or(line.clone(), |(_, path)| path.to_owned()));
                for path in envs.chain(files).collect::<Vec<_>>() {
                    self.entry(folder, &path, may_open)?;
                }
            }
        }
        if let Some(path) = kustomization.get("openapi").and_then(|openapi| openapi.get("path")?.text()) {
            self.entry(folder, &path, false)?;
        }
        self.charts(folder, kustomization)
    }

    /// A file, a folder with a kustomization, or YAML in place: then, and where nothing local is there, it is kustomize's
    /// matter, as are remote ones.
    fn entry(&mut self, folder: &Path, entry: &str, may_open: bool) -> Result<()> {
        if plugins::is_in_place(entry) || entry.contains("://") {
            return Ok(());
        }
        let path = cleaned(&folder.join(entry));
        let Ok(real) = std::fs::canonicalize(&path) else { return Ok(()) };
        self.refuse_outside(&real, Path::new(entry))?;
        if real.is_dir() { self.folder(&path).map(drop) } else { self.take(&path, may_open) }
    }

    fn take(&mut self, path: &Path, may_open: bool) -> Result<()> {
        // Also by its name: it is copied to the same place below another root.
        self.refuse_outside(path, path)?;
        *self.files.entry(path.to_owned()).or_default() |= may_open;
        Ok(())
    }

    fn refuse_outside(&self, real: &Path, named: &Path) -> Result<()> {
        let Some(root) = self.root.filter(|root| !real.starts_with(root)) else { return Ok(()) };
        let error = Error::new(Kind::Generic, format!("{} lies outside of {}, or a link leads out of it", named.display(), root.display()));
        Err(error.hint("what is built must lie below the top level of its git repository"))
    }

    /// What the plugins of an entry read: files of kustomize's own count as those of the fields that they stand for; kveil's and KSOPS's
    /// generators open theirs themselves, if the flags for plugins are given.
    fn files_of_plugins(&mut self, folder: &Path, entry: &str) -> Result<()> {
        for config in plugins::configurations(folder, entry) {
            if let Some(fields) = plugins::fields(&config) {
                self.follow(folder, &fields)?;
            }
            plugins::encrypted_files(&config).iter().try_for_each(|path| self.entry(folder, path, false))?;
        }
        Ok(())
    }

    /// Charts that are inflated, with their values.
    fn charts(&mut self, folder: &Path, kustomization: &Value) -> Result<()> {
        let of_all = kustomization.get("helmGlobals").and_then(|globals| globals.get("chartHome"));
        for chart in CHART_FIELDS.iter().flat_map(|field| kustomization.get(field).map_or(&[][..], Value::items)) {
            let values = ["valuesFile", "values"].into_iter().filter_map(|name| chart.get(name)?.text()).map(|text| text.into_owned());
            for path in values.chain(texts(chart.get("additionalValuesFiles"))).collect::<Vec<_>>() {
                self.entry(folder, &path, true)?;
            }
            let home = chart.get("chartHome").or(of_all).and_then(Value::text);
            let home = cleaned(&folder.join(home.as_deref().unwrap_or(CHARTS)));
            self.whole(&home, &mut Vec::new())?;
        }
        Ok(())
    }

    /// All files of a folder, as a program finds them that knows nothing of git: a chart may be ignored, or a repository of its own. A
    /// link stands for what it leads to; `within` are the folders on the way here, into which none leads again.
    fn whole(&mut self, folder: &Path, within: &mut Vec<PathBuf>) -> Result<()> {
        let Some(real) = std::fs::canonicalize(folder).ok().filter(|real| real.is_dir() && !within.contains(real)) else { return Ok(()) };
        within.push(real);
        for path in tree::all(folder, true)? {
            let Ok(real) = std::fs::canonicalize(&path) else { continue };
            self.refuse_outside(&real, &path)?;
            if real.is_dir() { self.whole(&path, within)? } else { self.take(&path, false)? }
        }
        within.pop();
        Ok(())
    }

    /// The nearest folder above all that is referred to.
    fn common_root(&self, start: &Path) -> PathBuf {
        let above = |root: &Path, path: &Path| root.ancestors().find(|root| path.starts_with(root)).unwrap_or(Path::new("/")).to_owned();
        self.files.keys().chain(&self.folders).fold(start.to_owned(), |root, path| above(&root, path))
    }
}

pub(super) fn texts(list: Option<&Value>) -> impl Iterator<Item = String> {
    list.map_or(&[][..], Value::items).iter().filter_map(|entry| entry.text().map(|text| text.into_owned()))
}
