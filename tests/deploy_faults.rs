//! What goes wrong around a deployment: a full disk, a signal, a large file, forgotten flags. Each run fails with a reason, prints no
//! manifest, and leaves nothing in clear behind.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use sandbox::workflow::Job;
use sandbox::{Call, Done, IDENTITY_1, RECIPIENT_2, Sandbox, link, tool};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2-of-db\n";

/// A kustomization with an encrypted Secret, below git; kustomize and Helm in the `PATH`.
fn place() -> Option<Sandbox> {
    let sandbox = Sandbox::with_identity();
    for (name, program) in [("kustomize", "kustomize"), ("helm", "helm3")] {
        link(&tool(program)?, &sandbox.bin().join(name));
    }
    sandbox.shell("git init -q").run().ok();
    sandbox.encrypted("s.yaml", SECRET);
    sandbox.write("kustomization.yaml", "resources: [s.yaml]\n");
    Some(sandbox)
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
    // A sidecar whose only place to write is a temporary directory in memory.
    let narrow = "mount -t tmpfs none $TMPDIR && mount -t tmpfs -o ro none /dev/shm && unset XDG_RUNTIME_DIR && kveil build";
    assert!(!within("4m", narrow).ok().is_empty());
}

#[test]
fn a_large_file_is_no_danger() {
    let Some(sandbox) = place() else { return };
    let lines: String = (0..48).map(|number| format!("  more{number}: {}\n", "x".repeat(1 << 20))).collect();
    let text = String::from_utf8(sandbox.read("s.yaml")).unwrap();
    // Tampered with, and so large that no copy of it may be kept for each step.
    sandbox.write("s.yaml", text.replacen("stringData:\n", &format!("stringData:\n{lines}"), 1));
    sandbox.write("list.yaml", LIST);
    for line in [
        "kveil build",
        "kveil helm post-render < s.yaml",
        "kveil helm get '' '' '' secrets://s.yaml",
        "kveil helm run template r chart -f s.yaml",
        "kveil argocd generate",
        "kveil krm < list.yaml > results",
    ] {
        let done = sandbox.shell(&format!("ulimit -v 4000000; {line}")).run();
        assert!(done.refusal_fault(None).is_none(), "{line}: {:?}", done.refusal_fault(None));
        assert!(done.err.contains("s.yaml") || done.err.contains("stringData.more0"), "{line}: {}", done.err);
    }
    // Why it failed, which kustomize doesn't show.
    assert!(String::from_utf8(sandbox.read("results")).unwrap().contains("items: []\nresults:"));
}

/// A run that has started a program which says where it is, and waits.
fn waiting(sandbox: &Sandbox, program: &str, line: &str) -> Child {
    sandbox.script(program, "case \"$*\" in *version*|*env*|*plugin*) exit 1;; esac; : > \"$HOME/runs\"; exec sleep 60");
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
    let cluster = "-import-kubernetes://argocd/keys#key?v.yaml";
    for (program, line) in [
        ("helm", "kveil helm run template x chart -f v.yaml"),
        ("kustomize", "kveil argocd generate"),
        ("kustomize", "kveil build"),
        ("helm", "env ARGOCD_APP_NAME=x ARGOCD_ENV_VALUES_FILES=v.yaml kveil argocd generate --tool helm"),
        ("kubectl", &format!("kveil helm get 'secrets+age{cluster}'")),
        ("kubectl", &format!("kveil helm get 'secrets+gpg{cluster}'")),
        ("gpg", "kveil helm get 'secrets+gpg-import://key.asc?v.yaml'"),
    ] {
        let Some(sandbox) = place() else { return };
        sandbox.write("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n");
        sandbox.encrypted("v.yaml", "password: hunter2-of-helm\n");
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
fn a_signal_ends_a_step_of_the_action_and_what_it_started() {
    for (mode, program) in [("build", "kustomize"), ("exec", "deploy")] {
        let Some(sandbox) = place() else { return };
        let git = "git -c user.name=a -c user.email=a@example.invalid";
        sandbox.shell(&format!("git add -A && {git} commit -qm x")).run().ok();
        let sha = sandbox.shell("git rev-parse HEAD").run().text();
        let temp = sandbox.home().join("runner");
        std::fs::create_dir(&temp).unwrap();
        std::fs::write(temp.join("event.json"), "{}").unwrap();
        let temp = temp.display();
        let of_runner = format!("GITHUB_ACTIONS=true GITHUB_EVENT_NAME=push GITHUB_EVENT_PATH={temp}/event.json RUNNER_TEMP={temp}");
        let files = format!("GITHUB_REPOSITORY=a/b GITHUB_WORKSPACE={} GITHUB_OUTPUT={temp}/output", sandbox.work().display());
        let input = "KVEIL_ACTION_FILES=s.yaml KVEIL_ACTION_RUN=deploy";
        let line = format!("env {of_runner} {files} GITHUB_SHA={} KVEIL_ACTION_MODE={mode} {input} kveil action", sha.trim());
        let mut child = waiting(&sandbox, program, &line);
        let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let status = child.wait().unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(status.code(), Some(143), "{mode}: {out}");
        let masks = out.lines().filter(|line| line.contains("hunter2")).all(|line| line.starts_with("::add-mask::"));
        assert!(masks && !out.contains("kind:"), "{mode}: {out}");
        let left = sandbox.shell("grep -rl hunter2 $HOME $TMPDIR || true").run().text();
        assert!(left.is_empty(), "{mode}: {left}");
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

/// Every way in which an encrypted file, `base/s.yaml`, is deployed.
const WAYS: [(&str, &str); 10] = [
    ("generator", "kustomize build --enable-alpha-plugins --enable-exec gen"),
    ("transformer", "kustomize build --enable-alpha-plugins --enable-exec tra"),
    ("build", "kveil build base"),
    ("getter", "helm template r chart -f secrets://base/s.yaml"),
    ("getter of one value", "helm template r chart --set-file password=secrets://base/s.yaml"),
    ("wrapper", "helm kveil template r chart -f base/s.yaml"),
    ("post-renderer", "helm template r rendered --post-renderer kveil --post-renderer-args helm --post-renderer-args post-render"),
    ("Argo CD's kustomization", "cd base && kveil argocd generate"),
    ("Argo CD's chart", "cd chart && ARGOCD_APP_NAME=r ARGOCD_ENV_VALUES_FILES=../base/s.yaml kveil argocd generate"),
    ("Argo CD's files", "cd app && kveil argocd generate"),
];
/// Helm reads the template, as links in charts lead, and kveil what Helm rendered.
const OF_STDIN: &str = "post-renderer";
/// What no failure may print.
const SECRETS: [&str; 3] = ["hunter2", "ENC[AES256_GCM,data", "AGE-SECRET-KEY"];

/// A place with the file of every way; its text.
fn deployment() -> Option<(Sandbox, String)> {
    let sandbox = place()?;
    sandbox.write("base/kustomization.yaml", "resources: [s.yaml]\n");
    sandbox.encrypted("base/s.yaml", SECRET);
    let function = |kind: &str, rest: &str| {
        let exec = "    config.kubernetes.io/function: |\n      exec: {path: kveil, args: [krm]}\n";
        format!("apiVersion: kveil.dev/v1\nkind: {kind}\nmetadata:\n  name: f\n  annotations:\n{exec}{rest}")
    };
    sandbox.write("gen/kustomization.yaml", "generators: [g.yaml]\n");
    sandbox.write("gen/g.yaml", function("Secrets", "files: [../base/s.yaml]\n"));
    sandbox.write("tra/kustomization.yaml", "resources: [../base]\ntransformers: [t.yaml]\n");
    sandbox.write("tra/t.yaml", function("Decrypt", ""));
    for chart in ["chart", "rendered"] {
        sandbox.write(&format!("{chart}/Chart.yaml"), "apiVersion: v2\nname: c\nversion: 0.1.0\n");
    }
    let values = "{{ .Values.password | quote }}, b: {{ .Values.stringData | toJson | quote }}";
    sandbox.write("chart/templates/c.yaml", format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{a: {values}}}\n"));
    sandbox.write("app/kustomization-of-none", "");
    link(std::path::Path::new("../base/s.yaml"), &sandbox.path("app/s.yaml"));
    sandbox.write("rendered/templates/s.yaml", sandbox.read("base/s.yaml"));
    sandbox.shell("kveil helm install-plugin").run().ok();
    let text = String::from_utf8(sandbox.read("base/s.yaml")).unwrap();
    Some((sandbox, text))
}

/// Runs every way but those `without`; each must fail with one of these words, name the file or its object, and print nothing.
#[track_caller]
fn all_refuse(sandbox: &Sandbox, fault: &str, without: &[&str], words: &[&str], change: impl Fn(Call) -> Call) {
    let mut wrong = Vec::new();
    for (way, line) in WAYS.iter().filter(|(way, _)| !without.contains(way)) {
        let done = change(sandbox.shell(line)).run();
        let named = ["s.yaml", "Secret db", "no manifests"].iter().any(|name| done.err.contains(name));
        let leaks = SECRETS.iter().any(|secret| done.err.contains(secret) || String::from_utf8_lossy(&done.out).contains(secret));
        let is_said = words.iter().any(|word| done.err.contains(word));
        if done.refusal_fault(None).is_some() || !named || leaks || !is_said {
            wrong.push(format!("{way}: {:?}: {}", done.refusal_fault(None), done.err));
        }
    }
    assert!(wrong.is_empty(), "{fault}:\n{}", wrong.join("\n"));
}

fn same(call: Call) -> Call {
    call
}

#[test]
fn every_way_prints_the_plaintext_of_a_good_file() {
    let Some((sandbox, _)) = deployment() else { return };
    for (way, line) in WAYS {
        let text = sandbox.shell(line).run().text();
        assert!(text.contains("hunter2-of-db") || text.contains("aHVudGVyMi1vZi1kYg=="), "{way}: {text}");
        assert!(!text.contains("ENC["), "{way}: {text}");
    }
}

#[test]
fn a_missing_or_wrong_key_stops_every_way() {
    let Some((sandbox, _)) = deployment() else { return };
    std::fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    all_refuse(&sandbox, "no key", &[], &["Failed to get the data key"], same);
    let key = sandbox.kveil(["keygen"]).run().text();
    let other = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).unwrap().to_owned();
    all_refuse(&sandbox, "another key", &[], &["Failed to get the data key"], |call| call.env("SOPS_AGE_KEY", &other));
    all_refuse(&sandbox, "a broken key", &[], &["Failed to get the data key"], |call| call.env("SOPS_AGE_KEY", "AGE-SECRET-KEY-1X"));
}

#[test]
fn a_file_that_was_changed_stops_every_way() {
    let Some((sandbox, good)) = deployment() else { return };
    let token = good.lines().find(|line| line.contains("password:")).unwrap();
    let other = sandbox.kveil(["encrypt", "--age", RECIPIENT_2, "--filename-override", "a.yaml", "-"]).stdin(SECRET).run().text();
    let faults = [
        ("a name that was changed", good.replace("name: db", "name: dc"), "MAC mismatch"),
        ("a value that is left out", good.replace(&format!("{token}\n"), "  more: ''\n"), "MAC mismatch"),
        ("a value in clear", good.replace(token, "  password: clear"), "a value in clear"),
        ("a token that is cut", good.replace(token, &token[..60]), "password"),
        ("for somebody else", other, "Failed to get the data key"),
        ("no metadata", good.split("sops:").next().unwrap().to_owned(), "s"),
        ("cut in the middle", good[..good.len() * 2 / 3].to_owned(), "s"),
        ("no YAML", format!("{good}\n - x: [\n"), "s"),
    ];
    for (fault, text, word) in faults {
        for file in ["base/s.yaml", "rendered/templates/s.yaml"] {
            sandbox.write(file, &text);
        }
        all_refuse(&sandbox, fault, &[], &[word], same);
    }
}

#[test]
fn a_file_that_is_missing_or_lies_outside_stops_every_way() {
    let Some((sandbox, _)) = deployment() else { return };
    let file = sandbox.path("base/s.yaml");
    let outside = sandbox.home().join("s.yaml");
    std::fs::rename(&file, &outside).unwrap();
    all_refuse(&sandbox, "missing", &[OF_STDIN], &["no such file"], same);
    link(&outside, &file);
    all_refuse(&sandbox, "a link out", &[OF_STDIN], &["outside of", "leads out of", "is not in or below"], same);
    // One that isn't encrypted isn't read either: it may be anybody's.
    std::fs::write(&outside, SECRET).unwrap();
    // But for the wrapper: what is in clear is Helm's own business, where a person calls it.
    all_refuse(&sandbox, "a link out to clear text", &[OF_STDIN, "wrapper"], &["outside of", "leads out of", "is not in or below"], same);
}

#[test]
fn a_missing_or_old_program_is_named_with_the_next_step() {
    let Some((sandbox, _)) = deployment() else { return };
    std::fs::create_dir(sandbox.path("tools")).unwrap();
    link(&sandbox::program(), &sandbox.path("tools/kveil"));
    let of_chart = "cd chart && ARGOCD_APP_NAME=r ARGOCD_ENV_VALUES_FILES=../base/s.yaml kveil argocd generate";
    let lines = [
        ("kveil build base", "neither kustomize nor kubectl can be run"),
        ("cd base && kveil argocd generate", "neither kustomize nor kubectl can be run"),
        ("kveil helm run template r chart -f base/s.yaml", "can't start Helm"),
        (of_chart, "can't start Helm"),
    ];
    for (line, words) in lines {
        let said = sandbox.shell(&format!("PATH=$PWD/tools; {line}")).run().refused(1);
        assert!(said.contains(words) && said.contains('→') && !said.contains("hunter2"), "{line}: {said}");
    }
    let old = "case \"$1\" in version) echo v3.8.1;; *) echo 'json: unknown field' >&2; exit 1;; esac";
    sandbox.script("kustomize", old);
    for line in ["kveil build base", "cd base && kveil argocd generate"] {
        let said = sandbox.shell(line).run().refused(1);
        assert!(said.contains("kustomize 3.8.1") && said.contains("is old"), "{line}: {said}");
    }
}

#[test]
fn a_step_of_the_action_fails_for_the_same_and_leaves_no_file() {
    let Some((sandbox, good)) = deployment() else { return };
    let git = "git -c user.name=a -c user.email=a@example.invalid";
    let program = sandbox::program().to_str().unwrap().to_owned();
    let token = good.lines().find(|line| line.contains("password:")).unwrap();
    let faults = [
        ("wrong key", good.clone(), "Failed to get the data key"),
        ("tampered", good.replace("name: db", "name: dc"), "MAC mismatch"),
        ("half", good.replace(token, "  password: clear"), "a value in clear"),
        ("no metadata", good.split("sops:").next().unwrap().to_owned(), "stringData.password"),
    ];
    for (fault, text, word) in faults {
        sandbox.write("base/s.yaml", text);
        sandbox.shell(&format!("git add -A && {git} commit -qm x --allow-empty")).run().ok();
        let key = if fault == "wrong key" { "AGE-SECRET-KEY-1X" } else { IDENTITY_1 };
        let path = std::env::join_paths([sandbox.bin()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
        let home = sandbox.tmp().join("nobody");
        let job = || Job::new(&sandbox, "push", "{}").env("SOPS_AGE_KEY", key).env("PATH", path.as_ref().unwrap().to_str().unwrap());
        for with in [
            vec![("mode", "decrypt"), ("files", "base/s.yaml")],
            vec![("mode", "exec"), ("files", "base/s.yaml"), ("run", "echo it-ran")],
            vec![("mode", "build"), ("directory", "base")],
        ] {
            let mut job = job().env("HOME", home.to_str().unwrap());
            let step = job.uses(&[with.as_slice(), &[("path", &program)]].concat());
            assert!(step.code != 0 && step.outputs.keys().all(|name| name == "path"), "{fault}: {with:?}: {:?}", step.outputs);
            let said = job.commands.iter().any(|(name, data)| name == "error" && (data.contains("s.yaml") || data.contains("Secret db")));
            assert!(said && job.log.contains(word) && !job.log.contains("\nit-ran"), "{fault}: {with:?}: {}", job.log);
            let left = sandbox.shell(&format!("grep -rl hunter2 {} || true", job.temp().display())).run().text();
            assert!(left.is_empty() && !job.log.contains("hunter2"), "{fault}: {with:?}: {left}{}", job.log);
        }
    }
}
