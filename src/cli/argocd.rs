//! `kveil argocd`.

mod files;
mod generate;

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use super::flags::{Common, DecryptionOrder};
use super::report;
use crate::deploy::argocd::Plugin;
use crate::error::{Error, Kind, Result};
use crate::kubernetes::identity;
use crate::source;

/// Render applications of Argo CD: a plugin for its repo-server
///
/// Argo CD caches what is rendered, in clear, in its Redis: docs/argocd.md says what to do about it.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print the plugin for Argo CD's namespace, or the patch of its repo-server
    Plugin(PluginArgs),
    /// Say whether this directory has encrypted files: the plugin's discover command
    Discover,
    /// Print the manifests of this directory, a kustomization, a chart or plain files: the plugin's generate command
    Generate(GenerateArgs),
}

#[derive(ClapArgs)]
struct PluginArgs {
    /// Print the patch of the repo-server, in place of the plugin
    #[arg(long)]
    patch: bool,
    /// The plugin's name
    #[arg(long, value_name = "NAME", default_value = "kveil")]
    name: String,
    /// Argo CD's namespace
    #[arg(long, value_name = "NAMESPACE", default_value = "argocd")]
    namespace: String,
    /// The image that holds kveil, to be copied from
    #[arg(long, value_name = "IMAGE", default_value = concat!("kveil:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// Argo CD's own image, of the version that runs there: it has kustomize and helm
    #[arg(long, value_name = "IMAGE", default_value = "quay.io/argoproj/argocd:v3.2.1")]
    argocd_image: String,
    /// The Secret with the age identities, as keys.txt; an empty name for none, where the key lies with a cloud
    #[arg(long, value_name = "NAME", default_value = "kveil-age")]
    key_secret: String,
}

/// Flags of `generate`.
#[derive(ClapArgs)]
struct GenerateArgs {
    /// What the directory is, if it isn't to be found out
    #[arg(long, value_name = "TOOL", value_parser = ["kustomize", "helm", "directory"])]
    tool: Option<String>,
    /// Of plain files: those of directories below, too
    #[arg(long)]
    recurse: bool,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Runs the part that is asked for.
///
/// # Errors
/// Those of the parts.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.action {
        Action::Plugin(args) => plugin(args),
        Action::Discover => discover(context),
        Action::Generate(args) => generate::run(context, args),
    }
}

fn plugin(args: &PluginArgs) -> Result<()> {
    // The names of volumes are made of the plugin's, with more behind it.
    let fits = [identity::is_label(&args.name, 50), identity::is_label(&args.namespace, 63), is_secret_or_none(&args.key_secret)];
    if let Some(at) = fits.iter().position(|fits| !fits) {
        let text = [&args.name, &args.namespace, &args.key_secret][at];
        let error = Error::new(Kind::Generic, format!("{text} is no name of an object"));
        return Err(error.hint("names are lower-case letters, digits and dashes; that of the plugin at most 50"));
    }
    if [&args.image, &args.argocd_image]
        .into_iter()
        .any(|image| image.is_empty() || image.contains(|c: char| c.is_whitespace() || c == '#'))
    {
        return Err(Error::new(Kind::Generic, "an image is a name such as registry.example/kveil:1.2.3"));
    }
    let key_secret = Some(args.key_secret.as_str()).filter(|name| !name.is_empty());
    let (image, argocd_image) = (args.image.as_str(), args.argocd_image.as_str());
    let plugin = Plugin { name: &args.name, namespace: &args.namespace, image, argocd_image, key_secret };
    report::data(if args.patch { plugin.patch() } else { plugin.config_map() }.as_bytes())
}

fn is_secret_or_none(name: &str) -> bool {
    name.is_empty() || identity::is_name(name)
}

/// Prints the first encrypted file, if there is one: Argo CD takes any output for yes.
fn discover(context: &Context) -> Result<()> {
    let first = files::first(context, |path| source::holds(path, b"ENC[AES256_GCM,").unwrap_or(false))?;
    first.map_or(Ok(()), |file| report::line(&file.name))
}
