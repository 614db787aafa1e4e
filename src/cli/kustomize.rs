//! `kveil kustomize`.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use super::report;
use crate::deploy::KINDS;
use crate::error::{Error, Kind, Result};
use crate::source::{self, platform};

/// Put kveil where kustomize looks for plugins
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    InstallLegacy(InstallLegacy),
}

/// Install the kinds as legacy exec plugins, which kubectl kustomize --enable-alpha-plugins runs, too
///
/// kubectl has no --enable-exec, and skips functions in silence; legacy plugins work under both, and KSOPS's generators
/// without an annotation need them. Links to this program are made in kustomize's plugin folder, for `viaduct.ai/v1 ksops`, too.
#[derive(ClapArgs)]
struct InstallLegacy {
    /// The plugin folder, if it isn't $KUSTOMIZE_PLUGIN_HOME, else kustomize/plugin in the folder for configuration
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Say what would be written
    #[arg(long)]
    print: bool,
    /// Take the plugins out again
    #[arg(long)]
    uninstall: bool,
    /// Replace other programs, such as KSOPS
    #[arg(long)]
    force: bool,
}

/// Runs the part that is asked for.
///
/// # Errors
/// Those of the parts.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.action {
        Action::InstallLegacy(args) => install_legacy(context, args),
    }
}

fn install_legacy(context: &Context, args: &InstallLegacy) -> Result<()> {
    let home = args.dir.clone().or_else(|| plugin_home(context)).ok_or_else(|| {
        Error::new(Kind::Generic, "kustomize's plugin folder isn't known: there is no home directory").hint("name it: --dir DIR")
    })?;
    let program = context.own_path()?;
    let plugins = KINDS.map(|(group, version, kind)| home.join(group).join(version).join(kind.to_lowercase()).join(kind));
    if args.print {
        return plugins.iter().try_for_each(|plugin| report::line(&format!("{} → {}", plugin.display(), program.display())));
    }
    if !args.force {
        plugins.iter().try_for_each(|plugin| refuse_foreign(plugin, &program))?;
    }
    for plugin in &plugins {
        if args.uninstall { remove(plugin)? } else { install(plugin, &program)? }
    }
    let done = if args.uninstall { "plugins are out of" } else { "plugins are in" };
    report::note(context, &format!("{} {done} {}", plugins.len(), home.display()));
    Ok(())
}

/// The first that kustomize looks into.
fn plugin_home(context: &Context) -> Option<PathBuf> {
    let variable = |name: &str| context.environment.path(name).filter(|path| !path.as_os_str().is_empty());
    let below = |folder: PathBuf| folder.join("kustomize").join("plugin");
    variable("KUSTOMIZE_PLUGIN_HOME")
        .or_else(|| variable("XDG_CONFIG_HOME").map(below))
        .or_else(|| context.environment.home().map(|home| below(home.join(".config"))))
}

/// A file that isn't kveil stays.
fn refuse_foreign(plugin: &Path, program: &Path) -> Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(plugin) else { return Ok(()) };
    let named_kveil = |target: PathBuf| target.file_stem().is_some_and(|name| name == "kveil");
    let is_link = metadata.is_symlink() && std::fs::read_link(plugin).is_ok_and(named_kveil);
    let same = std::fs::canonicalize(plugin).is_ok_and(|target| std::fs::canonicalize(program).is_ok_and(|program| target == program));
    if is_link || same || source::holds(plugin, b"kveil.dev/allow-encrypted").unwrap_or(false) {
        return Ok(());
    }
    let error = Error::new(Kind::Generic, "another program is there").in_file(&plugin.display().to_string());
    Err(error.hint("--force replaces it"))
}

fn install(plugin: &Path, program: &Path) -> Result<()> {
    plugin.parent().map_or(Ok(()), source::make_directory)?;
    remove(plugin)?;
    platform::put_program(program, plugin).map_err(|why| unwritable(plugin, &why))
}

fn remove(plugin: &Path) -> Result<()> {
    match std::fs::remove_file(plugin) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(unwritable(plugin, &why)),
        _ => Ok(()),
    }
}

fn unwritable(plugin: &Path, why: &std::io::Error) -> Error {
    Error::new(Kind::Unwritable, format!("can't write {}: {why}", plugin.display())).hint("name another folder: --dir DIR")
}
