//! What `kveil flux check` says against what comes out when Flux's steps are done with genuine sops and the real kustomize.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use base64_simd::STANDARD;
use sandbox::{RECIPIENT_1, Sandbox, tool};
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

/// What Flux makes of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// All of it is decrypted.
    Decrypted,
    /// It fails, or ciphertext is applied, or what the API server refuses.
    Not,
    /// No ciphertext is left, and something else came out than what was encrypted; or only by luck.
    Else,
}
use Verdict::{Decrypted, Else, Not};

struct Case {
    name: &'static str,
    verdict: Verdict,
    /// Name, text, and how it is encrypted: options of sops.
    files: &'static [(&'static str, &'static str, &'static str)],
    /// Files that stay as they are.
    plain: &'static [(&'static str, &'static str)],
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  password: correct-horse-9\n";
const OTHER: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: other\n  namespace: x\nstringData:\n  password: correct-horse-8\n";
const PLAIN: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  name: alice\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app\ndata:\n  password: correct-horse-9\n";
const TREE: &str = "db:\n  password: correct-horse-9\n";
const FLAT: &str = "password: correct-horse-9\n";
const K8S: &str = "--encrypted-regex ^(data|stringData)$";

const CASES: &[Case] = &[
    Case {
        name: "all that Flux decrypts",
        verdict: Decrypted,
        files: &[
            ("s.yaml", SECRET, K8S),
            ("base/other.yaml", OTHER, K8S),
            (
                "two.yaml",
                "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: aHVudGVyMg==}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData: {k: hunter3}\n",
                K8S,
            ),
            (
                "s.json",
                "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"j\"}, \"stringData\": {\"k\": \"hunter4\"}}",
                K8S,
            ),
            ("conf.enc.yaml", TREE, ""),
            ("base/app.env", "A=b-c-d-9\nB=\n", ""),
            ("base/envs", "C=d\n", "--input-type dotenv --output-type dotenv"),
            ("blob", "\u{1}not a format\n", "--input-type binary --output-type binary"),
            ("x.ini", "[a]\nb = c-d-e\n", ""),
            ("d.json", "{\"auths\": {\"x\": {\"auth\": \"eDp5\"}}}", ""),
            ("comp/patch.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {k: hunter2}\n", K8S),
        ],
        plain: &[
            ("plain.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {a: b}\n"),
            ("base/kustomization.yaml", "resources: [other.yaml]\nsecretGenerator:\n- {name: e, envs: [app.env, envs]}\n"),
            ("comp/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{path: patch.yaml}]\n"),
            (
                "kustomization.yaml",
                "namespace: shop\nnamePrefix: p-\nresources: [s.yaml, two.yaml, s.json, plain.yaml, base]\ncomponents: [comp]\nsecretGenerator:\n- {name: g, files: [config.yaml=conf.enc.yaml, blob, x.ini]}\n- {name: d, type: kubernetes.io/dockerconfigjson, files: [.dockerconfigjson=d.json]}\n",
            ),
        ],
    },
    Case {
        name: "files of a ConfigMap",
        verdict: Not,
        files: &[("c.yaml", FLAT, "")],
        plain: &[("kustomization.yaml", "configMapGenerator: [{name: a, files: [c.yaml]}]\n")],
    },
    Case {
        name: "a key without an ending",
        verdict: Not,
        files: &[("c.yaml", FLAT, "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [config=c.yaml]}]\n")],
    },
    Case {
        name: "YAML under a key of JSON",
        verdict: Decrypted,
        files: &[("c.yaml", TREE, "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [config.json=c.yaml]}]\n")],
    },
    Case {
        name: "dotenv under a key of YAML",
        verdict: Decrypted,
        files: &[("c.env", "A=b-c-d\n", "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [config.yaml=c.env]}]\n")],
    },
    Case {
        name: "flat YAML under a key of dotenv",
        verdict: Decrypted,
        files: &[("c.yaml", FLAT, "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [a.env=c.yaml]}]\n")],
    },
    Case {
        name: "a tree under a key of dotenv",
        verdict: Not,
        files: &[("c.yaml", TREE, "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [a.env=c.yaml]}]\n")],
    },
    Case {
        name: "a JSON tree without an ending",
        verdict: Not,
        files: &[("c.json", "{\"a\": {\"b\": \"hunter2\"}}", "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [config=c.json]}]\n")],
    },
    Case {
        name: "binary under a key of YAML",
        verdict: Else,
        files: &[("c", "x: hunter2\n", "--input-type binary --output-type binary")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [config.yaml=c]}]\n")],
    },
    Case {
        name: "binary under a key of JSON",
        verdict: Else,
        files: &[("c", "{\"x\": \"hunter2\"}\n", "--input-type binary --output-type binary")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [config.json=c]}]\n")],
    },
    Case {
        name: "YAML as envs",
        verdict: Else,
        files: &[("c.yaml", FLAT, "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, envs: [c.yaml]}]\n")],
    },
    Case {
        name: "the old field env",
        verdict: Not,
        files: &[("c.env", "A=b-c-d\n", "")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, env: c.env}]\n")],
    },
    Case {
        name: "a generator of a base under the old field bases",
        verdict: Decrypted,
        files: &[("b/c.yaml", FLAT, "")],
        plain: &[("b/kustomization.yaml", "secretGenerator: [{name: a, files: [c.yaml]}]\n"), ("kustomization.yaml", "bases: [b]\n")],
    },
    Case {
        name: "envs of a base under the old field bases",
        verdict: Not,
        files: &[("b/c.env", "A=b-c-d\n", "")],
        plain: &[("b/kustomization.yaml", "secretGenerator: [{name: a, envs: [c.env]}]\n"), ("kustomization.yaml", "bases: [b]\n")],
    },
    Case {
        name: "a strategic merge in the old field",
        verdict: Else,
        files: &[("p.yaml", SECRET, K8S)],
        plain: &[
            ("m.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\n"),
            ("kustomization.yaml", "resources: [m.yaml]\npatchesStrategicMerge: [p.yaml]\n"),
        ],
    },
    Case {
        name: "the same over values in clear",
        verdict: Not,
        files: &[("p.yaml", SECRET, K8S)],
        plain: &[("m.yaml", PLAIN), ("kustomization.yaml", "resources: [m.yaml]\npatchesStrategicMerge: [p.yaml]\n")],
    },
    Case {
        name: "an encrypted patch without an ending",
        verdict: Not,
        files: &[("p", SECRET, "--input-type yaml --output-type yaml --encrypted-regex ^stringData$")],
        plain: &[("m.yaml", PLAIN), ("kustomization.yaml", "resources: [m.yaml]\npatches: [{path: p}]\n")],
    },
    Case {
        name: "an encrypted patch of an encrypted object",
        verdict: Not,
        files: &[("s.yaml", SECRET, K8S), ("p.yaml", PLAIN, K8S)],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\npatches: [{path: p.yaml}]\n")],
    },
    Case {
        name: "a patch of an encrypted object, over a base",
        verdict: Not,
        files: &[("b/s.yaml", SECRET, K8S)],
        plain: &[
            ("p.yaml", PLAIN),
            ("b/kustomization.yaml", "resources: [s.yaml]\nnamePrefix: x-\n"),
            ("kustomization.yaml", "resources: [b]\npatches: [{path: p.yaml, target: {kind: Secret, name: app}}]\n"),
        ],
    },
    Case {
        name: "a component's patch of an encrypted object",
        verdict: Not,
        files: &[("s.yaml", SECRET, K8S)],
        plain: &[
            (
                "c/kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- patch: |-\n    - op: add\n      path: /stringData/x\n      value: yes-9\n  target: {kind: Secret}\n",
            ),
            ("kustomization.yaml", "resources: [s.yaml]\ncomponents: [c]\n"),
        ],
    },
    Case {
        name: "patches beside the encrypted values",
        verdict: Decrypted,
        files: &[("s.yaml", SECRET, K8S)],
        plain: &[(
            "kustomization.yaml",
            "namespace: shop\nlabels: [{pairs: {a: b}}]\nresources: [s.yaml]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: app, annotations: {x: y}}\n- patch: '[{\"op\": \"add\", \"path\": \"/metadata/labels\", \"value\": {\"q\": \"r\"}}, {\"op\": \"add\", \"path\": \"/type\", \"value\": \"Opaque\"}]'\n  target: {kind: Secret}\n",
        )],
    },
    Case {
        name: "another object's patch",
        verdict: Decrypted,
        files: &[("s.yaml", SECRET, K8S)],
        plain: &[
            ("o.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: o}\n"),
            (
                "kustomization.yaml",
                "resources: [s.yaml, o.yaml]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: o}\n    stringData: {a: b}\n",
            ),
        ],
    },
    Case {
        name: "an operation in JSON on an encrypted object",
        verdict: Not,
        files: &[("s.yaml", SECRET, K8S)],
        plain: &[
            ("p.json", "[{\"op\": \"replace\", \"path\": \"/stringData/password\", \"value\": \"hunter3\"}]"),
            ("kustomization.yaml", "resources: [s.yaml]\npatches: [{path: p.json, target: {kind: Secret, name: app}}]\n"),
        ],
    },
    Case {
        name: "a generator that merges into an encrypted object",
        verdict: Not,
        files: &[("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: app}\ndata: {a: Yg==}\n", K8S)],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\nsecretGenerator: [{name: app, behavior: merge, literals: [x=y]}]\n")],
    },
    Case {
        name: "an inline patch with ciphertext",
        verdict: Not,
        files: &[],
        plain: &[
            ("m.yaml", PLAIN),
            (
                "kustomization.yaml",
                "resources: [m.yaml]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: app}\n    stringData: {a: 'ENC[AES256_GCM,data:rRgrDQ==,iv:CJQnTYkxkTuP+91dXJKmyvLY4rfJl5TJPFsyMYMgQz0=,tag:JkLZyAEhjWcFCEFb9G+7VA==,type:str]'}\n",
            ),
        ],
    },
    Case {
        name: "a list",
        verdict: Not,
        files: &[(
            "s.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n  stringData: {p: q-r-s}\n",
            K8S,
        )],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "a number in a Secret",
        verdict: Not,
        files: &[("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {n: 5}\n", K8S)],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "another kind with a number",
        verdict: Decrypted,
        files: &[(
            "s.yaml",
            "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a}\nspec: {token: hunter2, port: 5}\n",
            "--encrypted-regex ^spec$",
        )],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "a ConfigMap",
        verdict: Decrypted,
        files: &[("s.yaml", MAP, K8S)],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "the default rule on an object",
        verdict: Else,
        files: &[("s.yaml", SECRET, "")],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "all but the names of an object",
        verdict: Decrypted,
        files: &[("s.yaml", SECRET, "--unencrypted-regex ^(apiVersion|kind|metadata)$")],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "a suffix",
        verdict: Decrypted,
        files: &[(
            "s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {x_secret: hunter2, user: alice}\n",
            "--encrypted-suffix _secret",
        )],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "comments that decide",
        verdict: Not,
        files: &[(
            "s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  # secret\n  x: hunter2\n  user: alice\n",
            "--encrypted-comment-regex secret",
        )],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "comments that decide in a file of a generator",
        verdict: Decrypted,
        files: &[("c.yaml", "# secret\nx: hunter2\nuser: alice\n", "--encrypted-comment-regex secret")],
        plain: &[("kustomization.yaml", "secretGenerator: [{name: a, files: [c.yaml]}]\n")],
    },
    Case {
        name: "a rule of .sops.yaml",
        verdict: Decrypted,
        files: &[("s.enc.yaml", SECRET, "--config .sops.yaml")],
        plain: &[
            (
                ".sops.yaml",
                "creation_rules:\n- path_regex: never\n- path_regex: \\.enc\\.ya?ml$\n  encrypted_regex: ^(stringData|never)$\n  mac_only_encrypted: true\n  age: age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc\n",
            ),
            ("kustomization.yaml", "resources: [s.enc.yaml]\n"),
        ],
    },
    Case {
        name: "opted out",
        verdict: Not,
        files: &[(
            "s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {kustomize.toolkit.fluxcd.io/decrypt: Disabled}}\nstringData: {x: hunter2}\n",
            K8S,
        )],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n")],
    },
    Case {
        name: "no object",
        verdict: Not,
        files: &[("values.yaml", FLAT, "")],
        plain: &[("kustomization.yaml", "resources: [values.yaml]\n")],
    },
    Case {
        name: "no kustomization",
        verdict: Decrypted,
        files: &[("a/s.yaml", SECRET, K8S), ("b/o.yaml", OTHER, K8S), ("b/values.yaml", FLAT, ""), ("app.env", "A=b-c-d\n", "")],
        plain: &[
            ("b/kustomization.yaml", "resources: [o.yaml]\n"),
            (".sops.yaml", "creation_rules:\n- age: age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc\n"),
        ],
    },
    Case {
        name: "no kustomization, and values of a chart",
        verdict: Not,
        files: &[("a/s.yaml", SECRET, K8S), ("values.yaml", FLAT, "")],
        plain: &[],
    },
    Case {
        name: "no kustomization in a folder",
        verdict: Not,
        files: &[("a/s.yaml", SECRET, K8S)],
        plain: &[("kustomization.yaml", "resources: [a]\n")],
    },
    Case {
        name: "two kustomizations",
        verdict: Not,
        files: &[("s.yaml", SECRET, K8S)],
        plain: &[("kustomization.yaml", "resources: [s.yaml]\n"), ("kustomization.yml", "resources: []\n")],
    },
];

/// A tree with its encrypted files.
fn tree(case: &Case) -> Option<Sandbox> {
    let sandbox = Sandbox::with_identity();
    case.plain.iter().for_each(|(name, text)| drop(sandbox.write(name, text)));
    for (name, text, how) in case.files {
        sandbox.write(name, text);
        let (age, how) = if how.contains("--config") { (String::new(), *how) } else { (format!("--age {RECIPIENT_1}"), *how) };
        let options: Vec<String> = how.split(' ').filter(|word| !word.is_empty()).map(|word| format!("'{word}'")).collect();
        sandbox.genuine_shell(&format!("sops --encrypt --in-place {age} {} '{name}'", options.join(" ")))?.run().ok();
    }
    Some(sandbox)
}

#[test]
fn a_replay_says_what_the_steps_come_to() {
    if tool("sops").is_none() || tool("kustomize").is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for case in CASES {
        let Some(sandbox) = tree(case) else { return };
        let done = sandbox.kveil(["flux", "check"]).run();
        let told = String::from_utf8_lossy(&done.out).into_owned();
        let flux = Flux::of(&sandbox).steps();
        let expected = (if case.verdict == Not { 1 } else { 0 }, case.verdict == Decrypted);
        if (i32::from(flux.is_err()), done.code == 0) != expected || done.code > 1 {
            wrong.push(format!("{}: Flux: {flux:?}; kveil ({}): {told}{}", case.name, done.code, done.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_flux_decrypts_a_build_decrypts_and_gives_as_kustomize_gives_it_of_plain_files() {
    let Some(kustomize) = tool("kustomize").filter(|_| tool("sops").is_some()) else { return };
    let mut count = 0;
    for case in CASES.iter().filter(|case| case.verdict == Decrypted && case.plain.iter().any(|(name, _)| *name == "kustomization.yaml")) {
        let Some(sandbox) = tree(case) else { return };
        let plain = sandbox.home().join("plain");
        sandbox.shell(&format!("cp -r . '{}'", plain.display())).run().ok();
        for (name, _, how) in case.files {
            let types = how.find("--input-type").map_or("", |at| &how[at..]);
            sandbox.genuine_shell(&format!("cd '{}' && sops --decrypt --in-place {types} '{name}'", plain.display())).unwrap().run().ok();
        }
        let want = sandbox.shell(&format!("{} build '{}'", kustomize.display(), plain.display())).run().text();
        let done = sandbox.kveil(["build", "--kustomize", kustomize.to_str().unwrap()]).run();
        assert_eq!((done.code, String::from_utf8_lossy(&done.out).into_owned()), (0, want), "{}: {}", case.name, done.err);
        count += 1;
    }
    assert!(count > 5, "{count} cases");
}

/// Flux's steps by hand.
struct Flux<'s> {
    sandbox: &'s Sandbox,
    /// A copy of the tree, in which files are decrypted.
    root: PathBuf,
}

const MARKERS: [(&str, &str); 5] =
    [("yaml", "mac: ENC["), ("json", "\"mac\": \"ENC["), ("binary", "\"mac\": \"ENC["), ("dotenv", "sops_mac=ENC["), ("ini", "[sops]")];

fn by_name(name: &str) -> &'static str {
    match name {
        _ if name.ends_with(".dockerconfigjson") || name.ends_with(".json") => "json",
        _ if name.ends_with(".yaml") || name.ends_with(".yml") => "yaml",
        _ if name.ends_with(".env") => "dotenv",
        _ if name.ends_with(".ini") => "ini",
        _ => "binary",
    }
}

type Steps<T> = Result<T, String>;

impl Flux<'_> {
    fn of(sandbox: &Sandbox) -> Flux<'_> {
        let root = sandbox.home().join("flux");
        sandbox.shell(&format!("cp -r . '{}' && rm -f '{}/.sops.yaml'", root.display(), root.display())).run().ok();
        Flux { sandbox, root }
    }

    fn sops(&self, bytes: Vec<u8>, from: &str, to: &str) -> Steps<Vec<u8>> {
        let call = self.sandbox.genuine(["--decrypt", "--ignore-mac", "--input-type", from, "--output-type", to, "/dev/stdin"]).unwrap();
        let done = call.stdin(bytes).run();
        if done.code == 0 { Ok(done.out) } else { Err(format!("sops, {from} to {to}: {}", done.err)) }
    }

    /// All of it; gives the manifests.
    fn steps(&self) -> Steps<String> {
        if kustomizations(&self.root).is_empty() {
            // Where kustomize passes over a file, Flux fails.
            let values = self.root.join("values.yaml");
            if values.is_file() {
                return Err("no object".to_owned());
            }
            let create =
                format!("cd '{}' && {} create --autodetect --recursive", self.root.display(), tool("kustomize").unwrap().display());
            self.sandbox.shell(&create).run().ok();
        }
        self.sources(&self.root)?;
        let build = format!("{} build '{}'", tool("kustomize").unwrap().display(), self.root.display());
        let built = self.sandbox.shell(&build).run();
        if built.code != 0 {
            return Err(built.err);
        }
        let text = String::from_utf8(built.out).unwrap();
        YamlLoader::load_from_str(&text).unwrap().iter().map(|object| self.object(object)).collect()
    }

    /// Step 2: files of generators and patches are decrypted in place.
    fn sources(&self, folder: &Path) -> Steps<()> {
        let found = kustomizations(folder);
        let [file] = &found[..] else { return Err(format!("{} kustomizations", found.len())) };
        let of = YamlLoader::load_from_str(&std::fs::read_to_string(file).unwrap()).unwrap().remove(0);
        for generator in of["secretGenerator"].as_vec().into_iter().flatten() {
            for entry in texts(&generator["files"]) {
                let (key, name) = entry.split_once('=').unwrap_or((entry, entry));
                self.in_place(&folder.join(name), by_name(key))?;
            }
            for name in texts(&generator["envs"]) {
                self.in_place(&folder.join(name), if by_name(name) == "binary" { "dotenv" } else { by_name(name) })?;
            }
        }
        for patch in of["patches"].as_vec().into_iter().flatten() {
            patch["path"].as_str().map_or(Ok(()), |name| self.in_place(&folder.join(name), by_name(name)))?;
        }
        let inner = texts(&of["resources"]).chain(texts(&of["components"])).map(|name| folder.join(name));
        inner.filter(|path| path.is_dir()).try_for_each(|path| self.sources(&path))
    }

    fn in_place(&self, path: &Path, format: &str) -> Steps<()> {
        let bytes = std::fs::read(path).map_err(|why| why.to_string())?;
        let marker = MARKERS.iter().find(|(name, _)| *name == format).unwrap().1;
        if String::from_utf8_lossy(&bytes).contains(marker) {
            std::fs::write(path, self.sops(bytes, format, format)?).unwrap();
        }
        Ok(())
    }

    /// Step 4: an object, or the values of a Secret.
    fn object(&self, object: &Yaml) -> Steps<String> {
        let annotation = object["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/decrypt"].as_str();
        let opted_out = annotation.is_some_and(|text| text.eq_ignore_ascii_case("disabled"));
        let mut out = json(object);
        if !opted_out && object["sops"]["mac"].as_str().is_some() {
            let decrypted = self.sops(out.into_bytes(), "json", "json")?;
            out = String::from_utf8(decrypted).unwrap();
        }
        let whole: serde_json::Value = serde_json::from_str(&out).unwrap();
        let is_secret = whole["kind"] == "Secret";
        for (field, encoded) in [("data", true), ("stringData", false)].into_iter().filter(|_| is_secret) {
            for (key, value) in whole[field].as_object().into_iter().flatten() {
                let text = value.as_str().ok_or_else(|| format!("{field}.{key} is no string"))?;
                let bytes = if encoded {
                    STANDARD.decode_to_vec(text.replace('\n', "")).map_err(|why| format!("{field}.{key}: {why}"))?
                } else {
                    text.into()
                };
                let shown = String::from_utf8_lossy(&bytes).into_owned();
                out.push_str(&shown);
                for (format, _) in MARKERS.iter().filter(|(_, marker)| encoded && !opted_out && shown.contains(marker)) {
                    let decrypted = self.sops(bytes.clone(), format, by_name(key))?;
                    out = out.replace(text, "").replace(&shown, &String::from_utf8_lossy(&decrypted));
                }
            }
        }
        if out.contains("ENC[AES256_GCM,") { Err(format!("ciphertext: {out}")) } else { Ok(out) }
    }
}

fn kustomizations(folder: &Path) -> Vec<PathBuf> {
    let names = ["kustomization.yaml", "kustomization.yml", "Kustomization"].iter();
    names.map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

fn texts(list: &Yaml) -> impl Iterator<Item = &str> {
    list.as_vec().into_iter().flatten().filter_map(Yaml::as_str)
}

fn json(value: &Yaml) -> String {
    let string = |text: &str| serde_json::to_string(text).unwrap();
    match value {
        Yaml::Hash(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", string(key.as_str().unwrap()), json(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Yaml::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Real(number) => number.clone(),
        Yaml::Boolean(value) => value.to_string(),
        Yaml::String(text) => string(text),
        _ => "null".to_owned(),
    }
}
