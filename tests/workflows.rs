//! The project's own workflows, the examples and the action, as actionlint and zizmor see them; and the script that pins a release.
#![cfg(unix)]

mod sandbox;

use sandbox::{Sandbox, installed, root, tool};
use std::path::{Path, PathBuf};
use std::process::Command;

fn workflows() -> Vec<PathBuf> {
    let of = |folder: &str| std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = of(".github/workflows").chain(of("examples/github-action")).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    found.sort();
    assert!(found.len() >= 5, "{found:?}");
    found
}

#[track_caller]
fn clean(command: &mut Command) {
    let output = command.current_dir(root()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
}

#[test]
fn actionlint_finds_nothing() {
    let Some(actionlint) = tool("actionlint") else { return };
    clean(Command::new(actionlint).args(["-no-color", "-oneline"]).args(workflows()));
}

#[test]
fn zizmor_finds_nothing() {
    let Some(zizmor) = installed("linters-venv/bin/zizmor") else { return };
    let config = root().join(".github/zizmor.yml");
    clean(Command::new(zizmor).args(["--offline", "--no-progress", "--config"]).arg(config).arg("action.yml").args(workflows()));
}

/// A copy of what the script touches.
fn copied(sandbox: &Sandbox) -> PathBuf {
    for name in ["action.yml", ".github/release/pin.sh"] {
        sandbox.write(name, std::fs::read(root().join(name)).unwrap());
    }
    sandbox.path("action.yml")
}

fn sums(digit: char) -> String {
    let names = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64", "windows-amd64.exe"];
    let lines = names.iter().map(|name| format!("{}  kveil-{name}\n", digit.to_string().repeat(64)));
    lines.chain([format!("{}  kveil.cdx.json\n", "0".repeat(64))]).collect()
}

fn setting(action: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(action).unwrap();
    let action = yaml_rust2::YamlLoader::load_from_str(&text).unwrap().remove(0);
    action["runs"]["steps"][0]["env"][name].as_str().unwrap().to_owned()
}

#[test]
fn a_release_is_pinned_by_its_checksums_again_and_again() {
    let sandbox = Sandbox::new();
    let action = copied(&sandbox);
    for (version, digit) in [("v1.2.3", 'a'), ("v1.2.4", 'b')] {
        sandbox.write("SHA256SUMS", sums(digit));
        sandbox.shell(&format!("bash .github/release/pin.sh {version} SHA256SUMS")).run().ok();
        assert_eq!(setting(&action, "KVEIL_INSTALL_PINNED"), version);
        let pinned = setting(&action, "KVEIL_INSTALL_CHECKSUMS");
        assert_eq!(pinned.lines().count(), 5, "{pinned}");
        assert!(pinned.starts_with(&format!("{}  kveil-linux-amd64\n", digit.to_string().repeat(64))), "{pinned}");
    }
    let before = std::fs::read(&action).unwrap();
    sandbox.write("SHA256SUMS", sums('c').replace("kveil-darwin-arm64", "other"));
    for line in ["pin.sh v1.2.5 SHA256SUMS", "pin.sh '1; x' SHA256SUMS", "pin.sh v1.2.5 none"] {
        assert_ne!(sandbox.shell(&format!("bash .github/release/{line}")).run().code, 0, "{line}");
    }
    assert_eq!(std::fs::read(&action).unwrap(), before);
}

/// The archives of Helm plugins, as the release packs them, with a Helm in the `PATH`.
fn archives(sandbox: &Sandbox, to: &str, umask: &str) {
    let script = root().join(".github/release/plugins.sh");
    sandbox.shell(&format!("umask {umask}; mkdir {to} && bash {} program/kveil {to}", script.display())).run().ok();
}

#[test]
fn the_archives_hold_what_is_installed_and_any_helm_takes_it() {
    let (Some(helm3), Some(helm4)) = (tool("helm3"), tool("helm4")) else { return };
    let sandbox = Sandbox::new();
    let bin = sandbox.home().parent().unwrap().join("bin");
    // The runner of the release has Helm 3.
    sandbox::link(&helm3, &bin.join("helm"));
    // A program with all that a debugger needs is six times as large.
    sandbox
        .shell("mkdir program && { strip -o program/kveil \"$(command -v kveil)\" || cp \"$(command -v kveil)\" program/kveil; }")
        .run()
        .ok();
    archives(&sandbox, "one", "022");
    archives(&sandbox, "two", "077");
    for (name, flags, helm) in [("helm-plugins", "", &helm3), ("helm4-plugins", "--helm4-only --helm false", &helm4)] {
        let file = format!("kveil-{name}-linux-amd64.tar.gz");
        assert!(sandbox.read(&format!("one/{file}")) == sandbox.read(&format!("two/{file}")), "{name} isn't reproducible");
        let install = format!(
            "mkdir {name} && tar xzf one/{file} -C {name} && program/kveil helm install-plugin --directory {name}-want/plugins {flags}"
        );
        sandbox.shell(&install).run().ok();
        // A copy of the program stands where the installation has a link to it.
        sandbox.shell(&format!("diff -r {name} {name}-want/plugins")).run().ok();
        let list =
            format!("for folder in {name}/*; do {0} plugin install \"$PWD/$folder\" || exit; done >&2; {0} plugin list", helm.display());
        let listed = sandbox.shell(&list).env("HOME", sandbox.path(&format!("home-{name}"))).run().text();
        let count = std::fs::read_dir(sandbox.path(name)).unwrap().count();
        assert_eq!(listed.lines().filter(|line| line.starts_with("kveil")).count(), count, "{listed}");
    }
}
