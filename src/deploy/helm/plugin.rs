//! The files that make Helm find kveil: legacy manifests, which Helm 3 and 4 both read, and those of Helm 4, any of which makes
//! Helm 3 lose all its plugins.

use super::address::SCHEMES;

/// What a manifest of ours begins with: only such folders are written over or removed.
pub const MARK: &str = "# Written by kveil helm install-plugin.\n";
/// The manifest's name.
pub const MANIFEST: &str = "plugin.yaml";
/// The name of the program beside the manifest: Helm looks for a getter there, and nowhere else.
pub const PROGRAM: &str = if cfg!(windows) { "kveil.exe" } else { "kveil" };
/// The post-renderer's name, for `--post-renderer` of Helm 4.
pub const POST_RENDERER: &str = "kveil-post-render";

/// A plugin.
pub struct Plugin {
    /// Its name, and its folder's.
    pub name: &'static str,
    /// Its manifest.
    pub manifest: String,
}

const USAGE: &str = "run a command of Helm with encrypted values files: helm kveil upgrade RELEASE CHART -f secrets.yaml";

/// The plugins that Helm 3 reads. Helm 4 reads them, too, as one of each kind: that is why there are two.
pub fn legacy() -> Vec<Plugin> {
    let command = "platformCommand:\n- command: $HELM_PLUGIN_DIR/".to_owned() + PROGRAM + "\n  args: [helm, run]\n";
    let getter = format!("downloaders:\n- command: {PROGRAM} helm get\n  protocols: [{}]\n", SCHEMES.join(", "));
    vec![
        Plugin { name: "kveil", manifest: format!("{}usage: \"{USAGE}\"\ndescription: \"{USAGE}\"\n{command}", head("", "kveil")) },
        Plugin {
            name: "kveil-getter",
            manifest: format!("{}usage: \"values files for -f and --set-file: secrets://FILE\"\n{getter}", head("", "kveil-getter")),
        },
    ]
}

/// The plugins of Helm 4: in a folder that Helm 3 doesn't read.
pub fn current() -> Vec<Plugin> {
    let protocols = SCHEMES.join(", ");
    let command =
        |arguments: &str| format!("runtimeConfig:\n  platformCommand:\n  - command: $HELM_PLUGIN_DIR/{PROGRAM}\n    args: [{arguments}]\n");
    // The first word of the usage is the command's name.
    let config = format!("config:\n  usage: \"kveil COMMAND [ARGUMENTS]\"\n  shortHelp: \"{USAGE}\"\n  longHelp: \"{USAGE}\"\n");
    let getter = format!(
        "config:\n  protocols: [{protocols}]\nruntimeConfig:\n  protocolCommands:\n  - protocols: [{protocols}]\n    platformCommand:\n    - command: {PROGRAM}\n      args: [helm, get]\n"
    );
    vec![
        Plugin { name: "kveil", manifest: format!("{}{config}{}", head("cli/v1", "kveil"), command("helm, run")) },
        Plugin { name: "kveil-getter", manifest: head("getter/v1", "kveil-getter") + &getter },
        Plugin { name: POST_RENDERER, manifest: head("postrenderer/v1", POST_RENDERER) + &command("helm, post-render, --helm4") },
    ]
}

fn head(kind: &str, name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let kind = if kind.is_empty() { String::new() } else { format!("apiVersion: v1\ntype: {kind}\nruntime: subprocess\n") };
    format!("{MARK}{kind}name: {name}\nversion: {version}\n")
}
