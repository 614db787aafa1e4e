//! `kveil helm install-plugin`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Args as ClapArgs;

use crate::cli::context::Context;
use crate::cli::report;
use crate::deploy::helm::plugin::{self, MANIFEST, MARK, PROGRAM, Plugin};
use crate::error::{Error, Kind, Result};
use crate::source::{self, platform};

/// Where the plugins of Helm 4 alone go, beside Helm's own folder of plugins.
const HELM4: &str = "kveil-helm4-plugins";

/// Make Helm find kveil: secrets:// for values files, and `helm kveil`
///
/// Into Helm's folder of plugins go files that Helm 3 and Helm 4 read. For Helm 4 a folder of its own has these and the
/// post-renderer, and the variable that leads Helm to it is printed: in a folder that Helm 3 reads, files of Helm 4 would make
/// it lose all plugins. What is there already, of this version, is left alone.
#[derive(ClapArgs)]
pub struct Args {
    /// Say what would be written, and write nothing
    #[arg(long)]
    print: bool,
    /// Remove what install-plugin wrote
    #[arg(long, conflicts_with = "print")]
    uninstall: bool,
    /// Write the files of Helm 4 into Helm's folder of plugins: where no Helm 3 ever reads it
    #[arg(long)]
    helm4_only: bool,
    /// The folder of plugins, in place of the one that Helm names
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The helm to ask
    #[arg(long, value_name = "PROGRAM", env = "HELM_BIN", hide_env = true, default_value = "helm")]
    helm: PathBuf,
}

/// A plugin, and the folder that it goes to.
struct Placed {
    folder: PathBuf,
    plugin: Plugin,
}

/// Installs, shows or removes the plugins.
///
/// # Errors
/// `Generic` (1): a folder of the name that isn't ours, or Helm 3 where only Helm 4 should be; `Unwritable` (3).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let helm = Helm::of(context, args);
    if args.uninstall {
        return uninstall(context, &helm);
    }
    if args.helm4_only && helm.major == Some(3) {
        let error = Error::new(Kind::Generic, format!("{} is Helm 3, which would lose all its plugins", args.helm.display()));
        return Err(error.hint("leave out --helm4-only, or name another one with --helm"));
    }
    let placed = helm.placed(args.helm4_only);
    if args.print {
        return placed.iter().try_for_each(|placed| print(context, placed));
    }
    placed.iter().try_for_each(|placed| refuse_foreign(&placed.folder))?;
    let mut written = 0;
    for placed in &placed {
        written += usize::from(install(context, placed)?);
    }
    say(context, &helm, written);
    if args.helm4_only { Ok(()) } else { report::line(&format!("HELM_PLUGINS={}", helm.own().display())) }
}

fn say(context: &Context, helm: &Helm, written: usize) {
    let at = helm.plugins.display();
    report::note(
        context,
        &match written {
            0 => format!("the plugins are there already, in {at}"),
            _ => format!("the plugins are in {at}"),
        },
    );
    for other in helm.rivals() {
        report::warning(
            context,
            &format!("the plugin in {} reads secrets://, too: which of them Helm takes depends on their names", other.display()),
        );
    }
}

/// Helm, as far as it says where it looks.
struct Helm {
    plugins: PathBuf,
    major: Option<u8>,
}

impl Helm {
    fn of(context: &Context, args: &Args) -> Helm {
        let ask = |words: &[&str]| {
            let mut command = context.environment.command(&args.helm);
            let output = command.args(words).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
            let answer = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| answer.trim().to_owned())
        };
        let digit = |version: String| version.strip_prefix('v').and_then(|rest| rest.split('.').next()?.parse().ok());
        let major = if args.helm4_only { ask(&["version", "--template", "{{.Version}}"]).and_then(digit) } else { None };
        let named = args.directory.clone().or_else(|| context.environment.path("HELM_PLUGINS").map(|list| first(&list)));
        let asked = || ask(&["env", "HELM_PLUGINS"]).filter(|path| !path.is_empty()).map(|list| first(Path::new(&list)));
        let plugins = named.or_else(asked).unwrap_or_else(|| data_home(context).join("plugins"));
        Helm { plugins: context.directory.join(plugins), major }
    }

    /// The folder that only Helm 4 is led to.
    fn own(&self) -> PathBuf {
        // Run again with the variable set, it is this one already.
        if self.plugins.ends_with(HELM4) { self.plugins.clone() } else { self.plugins.with_file_name(HELM4) }
    }

    fn placed(&self, helm4_only: bool) -> Vec<Placed> {
        let within = |folder: PathBuf, plugins: Vec<Plugin>| {
            plugins.into_iter().map(move |plugin| Placed { folder: folder.join(plugin.name), plugin })
        };
        match helm4_only || self.plugins.ends_with(HELM4) {
            true => within(self.plugins.clone(), plugin::current()).collect(),
            false => within(self.plugins.clone(), plugin::legacy()).chain(within(self.own(), plugin::current())).collect(),
        }
    }

    /// Other plugins that read the same addresses.
    fn rivals(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.plugins).into_iter().flatten().flatten().map(|entry| entry.path());
        let rival = |folder: &PathBuf| {
            let text = std::fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
            !text.starts_with(MARK) && text.contains("protocols") && text.contains("secrets")
        };
        entries.filter(rival).collect()
    }
}

/// The first folder of a list: the one that Helm installs into.
fn first(list: &Path) -> PathBuf {
    std::env::split_paths(list).next().unwrap_or_default()
}

/// Where Helm keeps its data, if there is no Helm to ask.
fn data_home(context: &Context) -> PathBuf {
    let environment = &context.environment;
    let home = || environment.home().unwrap_or_default();
    let system = || match std::env::consts::OS {
        "macos" => home().join("Library/helm"),
        "windows" => environment.path("APPDATA").unwrap_or_else(home).join("helm"),
        _ => home().join(".local/share/helm"),
    };
    let shared = || environment.path("XDG_DATA_HOME").map(|data| data.join("helm"));
    environment.path("HELM_DATA_HOME").or_else(shared).unwrap_or_else(system)
}

fn print(context: &Context, placed: &Placed) -> Result<()> {
    let (folder, program) = (placed.folder.display(), context.own_path()?);
    report::line(&format!("# {folder}/{MANIFEST}"))?;
    report::data(placed.plugin.manifest.as_bytes())?;
    report::line(&format!("# {folder}/{PROGRAM} -> {}\n---", program.display()))
}

/// Whether a folder is one that was made here.
fn is_own(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join(MANIFEST)).is_ok_and(|text| text.starts_with(MARK))
}

fn refuse_foreign(folder: &Path) -> Result<()> {
    if !folder.exists() || is_own(folder) || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
        return Ok(());
    }
    let error = Error::new(Kind::Generic, format!("{} is there and isn't kveil's", folder.display()));
    Err(error.hint("remove it, for example with helm plugin uninstall"))
}

/// Writes a plugin; whether anything had to be written.
fn install(context: &Context, placed: &Placed) -> Result<bool> {
    let (manifest, link, program) = (placed.folder.join(MANIFEST), placed.folder.join(PROGRAM), context.own_path()?);
    let same = std::fs::read_to_string(&manifest).is_ok_and(|text| text == placed.plugin.manifest);
    if same && is_same(&program, &link) {
        return Ok(false);
    }
    source::make_directory(&placed.folder)?;
    let failed = |why: std::io::Error| Error::new(Kind::Unwritable, format!("can't make {}: {why}", link.display()));
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link).map_err(failed)?;
    }
    platform::put_program(&program, &link).map_err(failed)?;
    source::write(&manifest, &placed.plugin.manifest, false)?;
    Ok(true)
}

/// Whether the link leads to the program, or is a copy of it.
fn is_same(program: &Path, link: &Path) -> bool {
    match std::fs::read_link(link) {
        Ok(target) => target == program,
        Err(_) => std::fs::read(program).ok().zip(std::fs::read(link).ok()).is_some_and(|(one, other)| one == other),
    }
}

fn uninstall(context: &Context, helm: &Helm) -> Result<()> {
    let names = || plugin::legacy().into_iter().chain(plugin::current()).map(|plugin| plugin.name);
    let folders = [helm.plugins.clone(), helm.own()].into_iter().flat_map(|folder| names().map(move |name| folder.join(name)));
    let mut removed = 0;
    for folder in folders.filter(|folder| is_own(folder)) {
        let failed = |why: std::io::Error| Error::new(Kind::Unwritable, format!("can't remove {}: {why}", folder.display()));
        std::fs::remove_dir_all(&folder).map_err(failed)?;
        removed += 1;
    }
    // Only if nothing of others is in it.
    let _ = std::fs::remove_dir(helm.own());
    report::note(
        context,
        &if removed == 0 { "no plugin of kveil's is there".to_owned() } else { format!("{removed} plugins are removed") },
    );
    Ok(())
}
