//! What goes wrong around a deployment: a full disk, a signal, a large file, forgotten flags. Each run fails with a reason, prints no
//! manifest, and leaves nothing in clear behind.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use sandbox::{Done, RECIPIENT_1, Sandbox, link, tool};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2-of-db\n";

/// A kustomization with an encrypted Secret, below git; kustomize and Helm in the `PATH`.
fn place() -> Option<Sandbox> {
    let sandbox = Sandbox::with_identity();
    for (name, program) in [("kustomize", "kustomize"), ("helm", "helm3")] {
        link(&tool(program)?, &bin(&sandbox).join(name));
    }
    sandbox.shell("git init -q").run().ok();
    encrypted(&sandbox, "s.yaml", SECRET);
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\n");
    Some(sandbox)
}

fn bin(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().parent().unwrap().join("bin")
}

fn encrypted(sandbox: &Sandbox, name: &str, plain: &str) {
    sandbox.write(name, plain);
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, name]).run().ok();
}

/// A program in front of all others of its name.
fn script(sandbox: &Sandbox, name: &str, body: &str) {
    let path = bin(sandbox).join(name);
    let _ = std::fs::remove_file(&path);
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

const LIST: &str = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nfunctionConfig:\n  apiVersion: kveil.dev/v1\n  kind: Secrets\n  metadata: {name: x}\n  spec: {files: [s.yaml]}\nitems: []\n";

/// Every command that prints manifests or values.
const LINES: [&str; 6] = [
    "kveil build",
    "kveil krm < list.yaml",
    "kveil guard < plain.yaml",
    "kveil helm get '' '' '' secrets://s.yaml",
    "kveil helm post-render < s.yaml",
    "kveil argocd generate",
];

#[track_caller]
fn silent(done: Done, code: i32, word: &str) {
    let said = done.refused(code);
    assert!(said.contains(word) && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_full_disk_is_a_failure_of_what_prints() {
    let Some(sandbox) = place() else { return };
    sandbox.write("list.yaml", LIST);
    sandbox.write("plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    for line in LINES {
        assert!(!sandbox.shell(line).run().ok().is_empty(), "{line}");
        silent(sandbox.shell(&format!("{line} >/dev/full")).run(), 3, "can't write to standard output");
    }
}

#[test]
fn a_full_file_system_in_memory_is_said_and_left_empty() {
    let Some(sandbox) = place() else { return };
    sandbox.write("big.txt", "x".repeat(300_000));
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\nconfigMapGenerator: [{name: a, files: [big.txt]}]\n");
    let within = |size: &str, line: &str| {
        let mount = format!("mount -t tmpfs -o size={size} none run && export XDG_RUNTIME_DIR=$PWD/run && chmod 700 run && {line}");
        sandbox.shell(&format!("mkdir -p run && unshare --user --map-root-user --mount bash -c '{mount}'")).run()
    };
    if within("1m", "true").code != 0 {
        println!("ignored: no file system can be mounted here");
        return;
    }
    assert!(!within("4m", "kveil build").ok().is_empty());
    silent(within("64k", "kveil build"), 3, "enlarge /dev/shm");
    assert_eq!(within("64k", "kveil build 2>/dev/null; ls -A run").text(), "");
}

#[test]
fn a_large_file_is_no_danger() {
    let Some(sandbox) = place() else { return };
    let lines: String = (0..48).map(|number| format!("  more{number}: {}\n", "x".repeat(1 << 20))).collect();
    let text = String::from_utf8(sandbox.read("s.yaml")).unwrap();
    // Tampered with, and so large that no copy of it may be kept for each step.
    sandbox.write("s.yaml", text.replacen("stringData:\n", &format!("stringData:\n{lines}"), 1));
    for line in ["kveil build", "kveil helm post-render < s.yaml", "kveil helm get '' '' '' secrets://s.yaml", "kveil argocd generate"] {
        let done = sandbox.shell(&format!("ulimit -v 4000000; {line}")).run();
        assert!(done.refusal_fault(None).is_none(), "{line}: {:?}", done.refusal_fault(None));
        assert!(done.err.contains("s.yaml") || done.err.contains("stringData.more0"), "{line}: {}", done.err);
    }
}

/// A run that has started a program which says where it is, and waits.
fn waiting(sandbox: &Sandbox, program: &str, line: &str) -> Child {
    script(sandbox, program, "case \"$*\" in *version*|*env*|*plugin*) exit 1;; esac; : > \"$HOME/runs\"; exec sleep 60");
    let mut command = sandbox.shell(&format!("exec {line}")).into_command();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !sandbox.home().join("runs").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{program} never ran");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// The private directories of this machine.
fn private() -> Vec<PathBuf> {
    let names = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten().map(|entry| entry.path());
    names.filter(|path| path.join("s.yaml").exists()).collect()
}

#[test]
fn a_signal_ends_a_run_and_leaves_nothing() {
    for (program, line) in
        [("helm", "kveil helm run template x chart -f v.yaml"), ("kustomize", "kveil argocd generate"), ("kustomize", "kveil build")]
    {
        let Some(sandbox) = place() else { return };
        sandbox.write("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n");
        encrypted(&sandbox, "v.yaml", "password: hunter2-of-helm\n");
        let before = sandbox.listing();
        let mut child = waiting(&sandbox, program, line);
        let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let status = child.wait().unwrap();
        let mut out = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        assert_eq!((status.code(), out.len()), (Some(143), 0), "{line}");
        assert_eq!(sandbox.listing(), before, "{line}");
        assert_eq!(std::fs::read_dir(sandbox.tmp()).unwrap().count(), 0, "{line}");
        assert!(private().iter().all(|path| !std::fs::read_to_string(path.join("s.yaml")).is_ok_and(|text| text.contains("of-db"))));
    }
}

#[test]
fn a_function_that_waits_for_its_input_ends_by_a_signal_without_a_word() {
    let Some(sandbox) = place() else { return };
    for line in ["kveil krm", "kveil guard", "kveil helm post-render"] {
        let mut command = sandbox.shell(&format!("exec {line}")).into_command();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let status = child.wait().unwrap();
        let mut out = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        use std::os::unix::process::ExitStatusExt;
        assert!(status.signal() == Some(15) || status.code() == Some(143), "{line}: {status:?}");
        assert_eq!(out, b"", "{line}");
    }
}

#[test]
fn what_another_program_said_is_explained() {
    let Some(sandbox) = place() else { return };
    let annotated = |path: &str| {
        let function = format!("    config.kubernetes.io/function: |\n      exec: {{path: {path}, args: [krm]}}\n");
        format!("apiVersion: kveil.dev/v1\nkind: Secrets\nmetadata:\n  name: x\n  annotations:\n{function}spec: {{files: [s.yaml]}}\n")
    };
    sandbox.write("gen/kustomization.yaml", "generators: [gen.yaml]\n");
    sandbox.write("gen/s.yaml", sandbox.read("s.yaml"));
    let explained = |line: &str| {
        let done = sandbox.shell(&format!("{line} 2>&1 | kveil doctor --said -")).run();
        assert_eq!(done.code, 1, "{line}: {}", done.err);
        String::from_utf8(done.out).unwrap()
    };
    sandbox.write("gen/gen.yaml", annotated("kveil"));
    assert!(explained("kustomize build gen").contains("--enable-exec"));
    assert!(explained("kustomize build --enable-alpha-plugins gen").contains("nothing was generated"));
    assert!(explained("kustomize build .").contains("ciphertext came out"));
    sandbox.write("gen/gen.yaml", annotated("kveil-that-is-not-here"));
    assert!(explained("kustomize build --enable-alpha-plugins --enable-exec gen").contains("isn't in the PATH"));
    sandbox.write("gen/gen.yaml", "apiVersion: viaduct.ai/v1\nkind: ksops\nmetadata: {name: x}\nfiles: [s.yaml]\n");
    assert!(explained("kustomize build --enable-alpha-plugins gen").contains("install-legacy"));
    sandbox.write("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n");
    assert!(explained("helm template x chart -f secrets://s.yaml").contains("install-plugin"));
    sandbox.shell("kveil helm install-plugin --helm4-only --helm false --directory four").run().ok();
    let read = "HELM_PLUGINS=$PWD/four helm template x chart -f secrets://s.yaml";
    assert!(explained(read).contains("loses all its plugins"));
    let Some(helm4) = tool("helm4") else { return };
    let read = format!("HELM_PLUGINS=$PWD/four {} template x chart --post-renderer kveil-post-render", helm4.display());
    sandbox.write("chart/templates/s.yaml", sandbox.read("s.yaml"));
    assert!(explained(&format!("SOPS_AGE_KEY_FILE=/dev/null HOME=/nonexistent {read}")).contains("KVEIL_HELM_LOG"));
    assert_eq!(sandbox.shell("echo hello | kveil doctor --said -").run().text(), "");
    let json = sandbox.shell("echo 'external plugins disabled' | kveil doctor --said - --format json").run();
    assert!(json.code == 1 && String::from_utf8(json.out).unwrap().starts_with("{\"said\":[{\"what\":"));
}
