//! `kveil build` with the real kustomize: what Flux decrypts is decrypted, nothing is left behind, and what can't be
//! decrypted isn't built.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use sandbox::{Done, Sandbox, link, tool};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A sandbox whose `PATH` holds kustomize; `None` without it.
fn sandbox() -> Option<Sandbox> {
    let kustomize = tool("kustomize")?;
    let sandbox = Sandbox::with_identity();
    link(&kustomize, &sandbox.bin().join("kustomize"));
    sandbox.shell("git init -q").run().ok();
    Some(sandbox)
}

fn build(sandbox: &Sandbox, flags: &str) -> Done {
    sandbox.shell(&format!("kveil build {flags}")).run()
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  user: alice\n  password: 'hunter2: #x'\n";

/// An overlay over a base and a component, with every kind of file that Flux decrypts; and the same in clear, in `plain/`.
fn tree(sandbox: &Sandbox) {
    sandbox.write("base/kustomization.yaml", "resources: [secret.yaml, plain.yaml]\nsecretGenerator:\n- name: app\n  files: [conf.json, key=bin.dat]\n  envs: [app.env]\nconfigMapGenerator:\n- name: c\n  files: [note.txt]\n");
    sandbox.write("base/plain.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n");
    sandbox.write("base/note.txt", "note");
    sandbox.write(
        "comp/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: patch.yaml, target: {kind: Secret, name: db}}]\n",
    );
    sandbox.write("over/kustomization.yaml", "resources: [../base]\ncomponents: [../comp]\nnamePrefix: p-\n");
    let two = format!("# note\n{SECRET}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: tls}}\ndata: {{k: aHVudGVyMg==}}\n");
    let patch = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {extra: hunter3}\n";
    let files = [
        ("base/secret.yaml", two.as_str()),
        ("base/conf.json", "{\"a\": \"hunter2\"}\n"),
        ("base/bin.dat", "\u{1}x"),
        ("base/app.env", "Z=1\nA=b\n"),
        ("comp/patch.yaml", patch),
    ];
    for (name, text) in files {
        sandbox.write(name, text);
    }
    sandbox.shell("mkdir plain && cp -r base comp over plain").run().ok();
    for (name, text) in files {
        sandbox.encrypted(name, text);
    }
}

#[test]
fn a_build_gives_what_plain_files_give() {
    let Some(sandbox) = sandbox() else { return };
    tree(&sandbox);
    let want = sandbox.shell("kustomize build plain/over").run().text();
    assert_eq!(build(&sandbox, "over").text(), want);
    assert!(want.contains("hunter3"));
    let labelled = sandbox.shell("kustomize build plain/over --enable-alpha-plugins").run().text();
    assert_eq!(build(&sandbox, "over -- --enable-alpha-plugins").text(), labelled);
    // Also from within, and outside of git, where the root is what all have in common.
    assert_eq!(sandbox.shell("cd over && kveil build").run().text(), want);
    std::fs::remove_dir_all(sandbox.path(".git")).unwrap();
    assert_eq!(build(&sandbox, "over").text(), want);
}

#[test]
fn kubectl_builds_where_there_is_no_kustomize() {
    let Some(sandbox) = sandbox() else { return };
    tree(&sandbox);
    let want = build(&sandbox, "over").text();
    let kustomize = tool("kustomize").unwrap();
    std::fs::remove_file(sandbox.bin().join("kustomize")).unwrap();
    sandbox.script("kubectl", &format!("test \"$1\" = kustomize && shift && exec {} build \"$@\"", kustomize.display()));
    let path = format!("PATH={}", sandbox.bin().display());
    assert_eq!(sandbox.shell(&format!("{path} kveil build over")).run().text(), want);
    std::fs::remove_file(sandbox.bin().join("kubectl")).unwrap();
    let said = sandbox.shell(&format!("{path} kveil build over")).run().refused(1);
    assert!(said.contains("neither kustomize nor kubectl can be run") && said.contains("--kustomize PROGRAM"), "{said}");
    assert_eq!(build(&sandbox, &format!("over --kustomize {}", kustomize.display())).text(), want);
}

#[test]
fn placeholders_need_no_key() {
    let Some(sandbox) = sandbox() else { return };
    tree(&sandbox);
    std::fs::remove_dir_all(sandbox.home().join(".config")).unwrap();
    let said = build(&sandbox, "over").refused(128);
    assert!(said.contains("base/app.env") || said.contains("base/secret.yaml"), "{said}");
    let text = build(&sandbox, "over --placeholders").text();
    assert!(text.contains("password: placeholder") && text.contains("extra: placeholder") && !text.contains("ENC["), "{text}");
}

#[test]
fn what_is_not_decrypted_is_not_printed() {
    let Some(sandbox) = sandbox() else { return };
    tree(&sandbox);
    // As in Flux, files of a ConfigMap aren't secrets: left encrypted, they stop the build.
    sandbox.encrypted("base/note.txt", "hunter2");
    let said = build(&sandbox, "over").refused(1);
    assert!(said.contains("ConfigMap p-c") && said.contains("data.note.txt"), "{said}");
}

#[test]
fn what_is_wrong_with_a_file_stops_the_build() {
    let Some(sandbox) = sandbox() else { return };
    tree(&sandbox);
    let good = String::from_utf8(sandbox.read("base/secret.yaml")).unwrap();
    let fails = |text: &str, code: i32, wanted: &str| {
        sandbox.write("base/secret.yaml", text);
        let said = build(&sandbox, "over").refused(code);
        assert!(said.contains("base/secret.yaml") && said.contains(wanted) && said.contains('→'), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    };
    let line = good.lines().find(|line| line.contains("user:")).unwrap();
    fails(&good.replace(line, "  user: alice"), 25, "a value in clear where");
    fails(&good.replace(&format!("{line}\n"), ""), 51, "MAC mismatch");
    sandbox.write("base/secret.yaml", &good);
    std::fs::remove_file(sandbox.path("base/conf.json")).unwrap();
    let said = build(&sandbox, "over").refused(1);
    assert!(said.contains("base/conf.json") && !said.contains("/kveil-0") && said.contains(sandbox.work().to_str().unwrap()), "{said}");
    let said = build(&sandbox, "nowhere").refused(100);
    assert!(said.contains("nowhere: no such directory"), "{said}");
    assert!(build(&sandbox, "plain").refused(100).contains("it holds no kustomization"));
    assert!(build(&sandbox, "over -- -o out.yaml").refused(8).contains("past the guard"));
    assert!(build(&sandbox, "over/kustomization.yaml").refused(100).contains("name the folder"));
    assert!(build(&sandbox, "over --enable-helm").refused(1).contains("kveil build DIR -- --enable-helm"));
}

#[test]
fn no_file_outside_of_the_repository_is_copied() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.encrypted("s.yaml", SECRET);
    let outside = sandbox.home().join("s.yaml");
    std::fs::rename(sandbox.path("s.yaml"), &outside).unwrap();
    link(&outside, &sandbox.path("link.yaml"));
    for path in ["link.yaml", "../home/s.yaml"] {
        sandbox.write("kustomization.yaml", format!("resources: [{path}]\n"));
        let said = build(&sandbox, "").refused(1);
        assert!(said.contains("kustomization.yaml: ") && said.contains(&format!("{path} lies outside of")), "{said}");
    }
    // Without git kustomize itself refuses what lies outside of the kustomization.
    std::fs::remove_dir_all(sandbox.path(".git")).unwrap();
    assert!(build(&sandbox, "").refused(1).contains("is not in or below"));
    assert!(sandbox.shell(&format!("KVEIL_ROOT={} kveil build", sandbox.work().display())).run().refused(1).contains("lies outside of"));
}

#[test]
fn an_old_kustomize_that_fails_is_named() {
    let Some(sandbox) = sandbox() else { return };
    tree(&sandbox);
    sandbox.script(
        "kustomize",
        "if [ \"$1\" = version ]; then echo '{kustomize/v3.8.1  2020  }'; else echo 'json: unknown field' >&2; exit 1; fi",
    );
    let said = build(&sandbox, "over").refused(1);
    assert!(said.contains("json: unknown field") && said.contains("kustomize 3.8.1") && said.contains("is old"), "{said}");
}

#[test]
fn an_empty_build_is_a_failure() {
    let Some(sandbox) = sandbox() else { return };
    tree(&sandbox);
    sandbox.script("kustomize", "exit 0");
    assert!(build(&sandbox, "over").refused(1).contains("gives no manifests"));
}

/// Builds with a kustomize that tells where it runs and waits; gives that directory, which is there meanwhile.
fn waiting(sandbox: &Sandbox) -> (std::process::Child, PathBuf) {
    tree(sandbox);
    sandbox.script("kustomize", "echo \"$2\" > \"$HOME/where.new\"; mv \"$HOME/where.new\" \"$HOME/where\"; exec sleep 60");
    let mut command = sandbox.shell("exec kveil build over").into_command();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let file = sandbox.home().join("where");
    let start = Instant::now();
    while !file.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "kustomize never ran");
        std::thread::sleep(Duration::from_millis(5));
    }
    (child, PathBuf::from(std::fs::read_to_string(file).unwrap().trim()))
}

#[test]
fn the_directory_is_private_and_gone_after_a_signal() {
    let Some(sandbox) = sandbox() else { return };
    let (mut child, folder) = waiting(&sandbox);
    let private = folder.parent().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(private), mode(&folder), mode(&folder.join("kustomization.yaml"))), (0o700, 0o700, 0o600));
    assert!(std::fs::read_to_string(private.join("base/secret.yaml")).unwrap().contains("hunter2: #x"));
    let kill = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    let mut out = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    assert_eq!((status.code(), out.len(), private.exists()), (Some(143), 0, false));
}

#[test]
fn charts_of_a_kustomization_are_inflated_with_encrypted_values() {
    let (Some(sandbox), Some(helm)) = (sandbox(), tool("helm3")) else { return };
    link(&helm, &sandbox.bin().join("helm"));
    sandbox.write("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n");
    sandbox.write("charts/shop/values.yaml", "password: none\nuser: none\n");
    sandbox.write(
        "charts/shop/templates/s.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData:\n  password: {{ .Values.password }}\n  user: {{ .Values.user }}\n",
    );
    sandbox.encrypted("values.enc.yaml", "password: hunter2-of-shop\n");
    sandbox.encrypted("more.yaml", "user: alice-of-shop\n");
    let chart = "helmCharts:\n- {name: shop, releaseName: x, valuesFile: values.enc.yaml, additionalValuesFiles: [more.yaml]}\n";
    sandbox.write("kustomization.yaml", chart);
    let text = build(&sandbox, ". -- --enable-helm").text();
    assert!(text.contains("password: hunter2-of-shop") && text.contains("user: alice-of-shop"), "{text}");
    assert!(build(&sandbox, ".").refused(1).contains("must specify --enable-helm"));
    // A chart's own files are copied as they are.
    sandbox.encrypted("charts/shop/templates/s.yaml", SECRET);
    assert!(build(&sandbox, ". -- --enable-helm").refused(1).contains("Secret db"));
}

#[test]
fn all_that_a_kustomization_names_is_copied() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.encrypted("s.yaml", SECRET);
    sandbox.write("p.json", "[{\"op\": \"replace\", \"path\": \"/stringData/user\", \"value\": \"bob-of-db\"}]");
    sandbox.write("r.yaml", "- source: {kind: Secret, name: db, fieldPath: stringData.user}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.user]\n");
    sandbox.write("m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {user: none}\n");
    sandbox.write("names.yaml", "nameReference:\n- kind: Secret\n  fieldSpecs: [{kind: Thing, path: spec/secret}]\n");
    sandbox.write("thing.yaml", "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: t}\nspec: {secret: db}\n");
    sandbox.write("crd.json", "{}");
    sandbox.write(
        "t/prefix.yaml",
        "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}\nprefix: q-\nfieldSpecs: [{path: metadata/name}]\n",
    );
    let inline = "- patch: |-\n    - {op: add, path: /stringData/extra, value: more-of-db}\n  target: {kind: Secret}\n";
    let kustomization = format!(
        "resources: [s.yaml, m.yaml, thing.yaml]\npatches:\n- {{path: p.json, target: {{kind: Secret}}}}\n{inline}replacements: [{{path: r.yaml}}]\nconfigurations: [names.yaml]\ncrds: [crd.json]\ntransformers: [t/prefix.yaml]\n"
    );
    sandbox.write("kustomization.yaml", kustomization);
    let text = build(&sandbox, ".").text();
    for word in ["user: bob-of-db", "extra: more-of-db", "secret: q-db", "name: q-m"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(text.matches("bob-of-db").count(), 2, "{text}");
}

/// Writes the files, and beside them in `plain/` the same in clear; gives what kustomize makes of those, and kveil of the encrypted.
#[track_caller]
fn assert_as_in_clear(files: &[(&str, &str)], sealed: &[&str], links: &[(&str, &str)], flags: &str) -> String {
    let sandbox = sandbox().unwrap();
    if let Some(helm) = tool("helm3") {
        link(&helm, &sandbox.bin().join("helm"));
    }
    for folder in ["plain", "sealed"] {
        for (name, text) in files {
            sandbox.write(&format!("{folder}/{name}"), text);
        }
        for (name, target) in links {
            link(Path::new(target), &sandbox.path(&format!("{folder}/{name}")));
        }
    }
    sealed.iter().for_each(|name| sandbox.encrypted(&format!("sealed/{name}"), files.iter().find(|(known, _)| known == name).unwrap().1));
    let want = sandbox.shell(&format!("kustomize build plain {flags}")).run().text();
    assert_eq!(build(&sandbox, &format!("sealed -- {flags}")).text(), want);
    want
}

fn builtin(kind: &str, rest: &str) -> String {
    format!("apiVersion: builtin\nkind: {kind}\nmetadata: {{name: x}}\n{rest}")
}

#[test]
fn kustomizes_own_plugins_are_given_their_files_in_clear() {
    if sandbox().is_none() {
        return;
    }
    let files = "files: [conf.json, k=sub/b.txt]\nenvs: [a.env]\n";
    let secrets = [("conf.json", "{\"a\": \"hunter2\"}\n"), ("sub/b.txt", "hunter2\n"), ("a.env", "A=hunter\n")];
    let sealed = ["conf.json", "sub/b.txt", "a.env"];
    let generator = builtin("SecretGenerator", files);
    let inline = format!("generators:\n- |\n  {}\n", generator.replace('\n', "\n  "));
    let list = "generators: [g.yaml]\n";
    assert_as_in_clear(&[&secrets[..], &[("kustomization.yaml", list), ("g.yaml", &generator)]].concat(), &sealed, &[], "");
    assert_as_in_clear(&[&secrets[..], &[("kustomization.yaml", &inline)]].concat(), &sealed, &[], "");
    let flow = "generators:\n- '{apiVersion: builtin, kind: SecretGenerator, metadata: {name: x}, files: [conf.json, k=sub/b.txt], envs: [a.env]}'\n";
    assert_as_in_clear(&[&secrets[..], &[("kustomization.yaml", flow)]].concat(), &sealed, &[], "");
    let listed = format!("apiVersion: v1\nkind: List\nitems:\n- {}\n", generator.trim_end().replace('\n', "\n  "));
    assert_as_in_clear(&[&secrets[..], &[("kustomization.yaml", list), ("g.yaml", &listed)]].concat(), &sealed, &[], "");
    // In a folder, in one file with another: their paths are taken from the kustomization that lists the folder.
    let map = builtin("ConfigMapGenerator", "files: [note.txt]\n").replace("name: x", "name: y");
    let both = format!("{generator}---\n{map}");
    let folder = [
        ("kustomization.yaml", "generators: [g]\n"),
        ("g/kustomization.yaml", "resources: [g.yaml]\n"),
        ("g/g.yaml", &both),
        ("note.txt", "n"),
    ];
    assert_as_in_clear(&[&secrets[..], &folder].concat(), &sealed, &[], "");
    let patch = SECRET.replace("alice", "carol");
    let operation = "- {op: replace, path: /stringData/user, value: dave}\n";
    let replacement =
        "source: {kind: Secret, fieldPath: stringData.user}\ntargets:\n- select: {kind: ConfigMap}\n  fieldPaths: [data.user]\n";
    let target = "target: {version: v1, kind: Secret, name: db}\n";
    let cases = [
        ("PatchTransformer", format!("path: p.yaml\n{target}"), &*patch, true),
        ("PatchStrategicMergeTransformer", "paths: [p.yaml]\n".to_owned(), &patch, true),
        ("PatchJson6902Transformer", format!("path: p.yaml\n{target}"), operation, false),
        ("ReplacementTransformer", "replacements: [{path: p.yaml}]\n".to_owned(), replacement, false),
    ];
    for (kind, rest, text, is_sealed) in cases {
        let transformer = builtin(kind, &rest);
        let files = [
            ("kustomization.yaml", "resources: [s.yaml, m.yaml]\ntransformers: [t.yaml]\n"),
            ("s.yaml", SECRET),
            ("m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {user: none}\n"),
            ("t.yaml", &transformer),
            ("p.yaml", text),
        ];
        let sealed = if is_sealed { &["s.yaml", "p.yaml"][..] } else { &["s.yaml"] };
        let text = assert_as_in_clear(&files, sealed, &[], "");
        assert!(text.contains("carol") || text.contains("dave") || text.matches("alice").count() == 2, "{kind}: {text}");
    }
}

#[test]
fn charts_are_whole_whoever_ignores_them() {
    if sandbox().is_none() || tool("helm3").is_none() {
        return;
    }
    let template =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {p: '{{ .Values.p }}', l: '{{ .Files.Get \"linked.txt\" }}'}\n";
    let dependency = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-dependency}\n";
    let chart = [
        ("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
        ("charts/shop/templates/s.yaml", template),
        ("charts/shop/charts/dep/Chart.yaml", "apiVersion: v2\nname: dep\nversion: 0.1.0\n"),
        ("charts/shop/charts/dep/templates/c.yaml", dependency),
        ("v.yaml", "p: hunter2-of-shop\n"),
    ];
    let kustomization = ("kustomization.yaml", "helmCharts: [{name: shop, releaseName: x, valuesFile: v.yaml}]\n");
    let cases: [&[(&str, &str)]; 6] = [
        &[kustomization],
        &[kustomization, (".gitignore", "charts/\n")],
        &[kustomization, (".gitignore", "charts/*\n")],
        // A submodule.
        &[kustomization, ("charts/shop/.git", "gitdir: ../../.git/modules/shop\n")],
        &[("kustomization.yaml", "helmChartInflationGenerator: [{chartName: shop, releaseName: x, values: v.yaml}]\n")],
        &[
            ("kustomization.yaml", "generators: [g.yaml]\n"),
            (
                "g.yaml",
                "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: x}\nname: shop\nreleaseName: x\nvaluesFile: v.yaml\n",
            ),
        ],
    ];
    for case in cases {
        let text = assert_as_in_clear(&[&chart[..], case].concat(), &["v.yaml"], &[], "--enable-helm");
        assert!(text.contains("hunter2-of-shop") && text.contains("of-dependency"), "{case:?}: {text}");
    }
    // A link stands for what it leads to; one back into the chart, which Helm can't read either, ends.
    let shared = dependency.replace("of-", "shared-");
    let linked = [&chart[..], &[kustomization, ("text", "linked-text"), ("shared/extra.yaml", &shared)]].concat();
    let links = [("charts/shop/linked.txt", "../../text"), ("charts/shop/templates/shared", "../../../shared")];
    let text = assert_as_in_clear(&linked, &["v.yaml"], &links, "--enable-helm");
    assert!(text.contains("linked-text") && text.contains("shared-dependency"), "{text}");
    let sandbox = sandbox().unwrap();
    linked.iter().for_each(|(name, text)| drop(sandbox.write(name, text)));
    link(Path::new(".."), &sandbox.path("charts/shop/up"));
    link(Path::new("/etc"), &sandbox.path("charts/shop/out"));
    assert!(build(&sandbox, ". -- --enable-helm").refused(1).contains("lies outside of"));
    std::fs::remove_file(sandbox.path("charts/shop/out")).unwrap();
    link(&tool("helm3").unwrap(), &sandbox.bin().join("helm"));
    assert!(build(&sandbox, ". -- --enable-helm").text().contains("hunter2-of-shop"));
}

#[test]
fn what_is_remote_is_left_to_kustomize_and_what_it_cannot_read_is_refused() {
    let Some(sandbox) = sandbox() else { return };
    sandbox.encrypted("s.yaml", SECRET);
    sandbox.write("kustomization.yaml", "resources:\n- s.yaml\n- http://127.0.0.1:9/base.yaml\n");
    let said = build(&sandbox, ".").refused(1);
    assert!(said.contains("127.0.0.1:9") && !said.contains("hunter2"), "{said}");
    // A question mark in brackets is none of YAML's plain values for kustomize either.
    sandbox.write("kustomization.yaml", "resources: [s.yaml, example.invalid/x?ref=v1]\n");
    assert_ne!(sandbox.shell("kustomize build").run().code, 0);
    assert!(build(&sandbox, ".").refused(2).contains("quote the value"));
}
