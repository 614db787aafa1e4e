//! Helm, the real 3 and 4, with encrypted values files and templates: `secrets://` and its relatives, `helm kveil`, the
//! post-renderer, and where `install-plugin` puts what.
#![cfg(all(unix, feature = "age"))]

#[path = "sandbox/listener.rs"]
mod listener;
mod sandbox;

use listener::Listener;
use sandbox::{Call, Done, IDENTITY_1, Keyring, RECIPIENT_1, RECIPIENT_2, Sandbox, link, tool};
use std::os::unix::fs::PermissionsExt;

const CHART: &str = "apiVersion: v2\nname: shop\nversion: 0.1.0\n";
const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: {{ .Release.Namespace }}\ndata:\n  password: {{ .Values.password | quote }}\n  pin: {{ .Values.pin | quote }}\n  file: {{ .Values.file | quote }}\n";
const VALUES: &str = "# of the shop\npassword: \"hunter2\"   # secret\npin: 4711\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: shop\nstringData:\n  token: \"t0ken-of-shop\"   # mine\n";
/// What no output of a failing run may hold.
const SECRETS: [&str; 4] = ["hunter2", "4711", "t0ken-of-shop", "ENC[AES256_GCM,data"];

/// A chart, encrypted values, and a Helm that knows kveil.
struct Place {
    sandbox: Sandbox,
    helm: std::path::PathBuf,
    major: u8,
}

impl Place {
    fn new(major: u8) -> Option<Place> {
        let helm = tool(&format!("helm{major}"))?;
        let sandbox = Sandbox::with_identity();
        assert_eq!(sandbox.shell("git init --quiet").run().code, 0);
        sandbox.write("chart/Chart.yaml", CHART);
        sandbox.write("chart/templates/cm.yaml", CONFIG_MAP);
        sandbox.write("plain.yaml", VALUES);
        let place = Place { sandbox, helm, major };
        place.encrypt("secrets.yaml", VALUES, &[]);
        assert!(place.kveil("helm install-plugin").run().err.contains("the plugins are in"));
        Some(place)
    }

    /// One for each Helm that is there.
    fn all() -> Vec<Place> {
        [3, 4].into_iter().filter_map(Place::new).collect()
    }

    fn encrypt(&self, name: &str, plain: &str, flags: &[&str]) {
        let call = self.sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--filename-override", name]).args(flags);
        let done = call.arg("-").stdin(plain).run();
        assert_eq!(done.code, 0, "{}", done.err);
        self.sandbox.write(name, done.out);
    }

    /// Helm with these words.
    fn helm(&self, line: &str) -> Call {
        self.shell(&format!("helm {line}"))
    }

    fn kveil(&self, line: &str) -> Call {
        self.shell(&format!("kveil {line}"))
    }

    fn shell(&self, line: &str) -> Call {
        self.sandbox.shell(&format!(
            "helm() {{ '{}' \"$@\"; }}; HELM_BIN='{}'; export HELM_BIN; {line}",
            self.helm.display(),
            self.helm.display()
        ))
    }

    /// The same with the folder that only Helm 4 is led to.
    fn own(&self, line: &str) -> Call {
        self.helm(line).env("HELM_PLUGINS", self.sandbox.home().join(".local/share/helm/kveil-helm4-plugins"))
    }

    /// Helm's post-renderer.
    fn rendered(&self, line: &str) -> Call {
        match self.major {
            3 => self.helm(&format!("{line} --post-renderer kveil --post-renderer-args helm --post-renderer-args post-render")),
            _ => self.own(&format!("{line} --post-renderer kveil-post-render")),
        }
    }

    fn values(&self, line: &str) -> String {
        let done = self.helm(line).run();
        assert_eq!(done.code, 0, "Helm {}: {line}: {}", self.major, done.err);
        assert!(!done.err.contains("hunter2"));
        text(&done)
    }

    /// Asserts that a run fails for this reason, with nothing of the manifests.
    #[track_caller]
    fn refused(&self, call: Call, why: &str) {
        let done = call.run();
        assert_ne!(done.code, 0, "Helm {}: {}", self.major, text(&done));
        assert!(done.err.contains(why), "Helm {}: {why} isn't in {}", self.major, done.err);
        assert!(!text(&done).contains("kind:"), "Helm {}: {}", self.major, text(&done));
        for secret in SECRETS {
            assert!(!text(&done).contains(secret) && !done.err.contains(secret), "Helm {}: {secret} is in {done:?}", self.major);
        }
    }

    /// That no file but the encrypted ones was left.
    fn nothing_left(&self, before: &[String]) {
        assert_eq!(self.sandbox.listing(), before);
        assert_eq!(std::fs::read_dir(self.sandbox.tmp()).unwrap().count(), 0);
    }
}

fn text(done: &Done) -> String {
    String::from_utf8_lossy(&done.out).into_owned()
}

fn assert_values(out: &str) {
    assert!(out.contains("password: \"hunter2\"") && out.contains("pin: \"4711\""), "{out}");
}

#[test]
fn every_form_of_address_gives_the_values() {
    for place in Place::all() {
        let key = place.sandbox.write("keys/age.txt", format!("{IDENTITY_1}\n"));
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        let before = place.sandbox.listing();
        let absolute = place.sandbox.path("secrets.yaml").display().to_string();
        let forms = [
            "secrets://secrets.yaml".to_owned(),
            format!("secrets://{absolute}"),
            "secrets://?secrets.yaml".to_owned(),
            "secrets://sops!secrets.yaml".to_owned(),
            "secrets://?sops!secrets.yaml".to_owned(),
            "secrets://chart/../secrets.yaml".to_owned(),
            "secrets://plain.yaml".to_owned(),
            "secrets://noop!plain.yaml".to_owned(),
            "sops://secrets.yaml".to_owned(),
            "secret://secrets.yaml".to_owned(),
            "secrets://secrets://secrets.yaml".to_owned(),
            "secrets+literal://{\"password\": \"hunter2\", \"pin\": 4711}".replace(',', "\\,"),
        ];
        for form in forms.iter().take(11) {
            assert_values(&place.values(&format!("template r chart -f '{form}'")));
        }
        // The identity comes from the address alone.
        let home = place.sandbox.home().join("empty");
        std::fs::create_dir(&home).unwrap();
        let data = place.sandbox.home().join(".local/share/helm");
        for form in [
            format!("secrets+age-import://{}?secrets.yaml", key.display()),
            format!("secrets+age-import://{}?secrets://?secrets.yaml", key.display()),
        ] {
            let call = place.helm(&format!("template r chart -f '{form}'")).env("HOME", &home).env("HELM_DATA_HOME", &data);
            let done = call.run();
            assert_eq!(done.code, 0, "{}", done.err);
            assert_values(&text(&done));
        }
        let out = place.values("template r chart --set-file file=secrets+literal://some-text");
        assert!(out.contains("file: \"some-text\""), "{out}");
        place.nothing_left(&before);
    }
}

#[test]
fn a_missing_file_is_an_error_unless_it_is_optional() {
    for place in Place::all() {
        for form in ["secrets://?none.yaml", "secrets://?sops!none.yaml"] {
            let out = place.values(&format!("template r chart -f '{form}'"));
            assert!(out.contains("password:") && !out.contains("hunter2"), "{out}");
        }
        let ignoring = place.helm("template r chart -f secrets://none.yaml").env("HELM_SECRETS_IGNORE_MISSING_VALUES", "true").run();
        assert_eq!(ignoring.code, 0, "{}", ignoring.err);
        place.refused(place.helm("template r chart -f secrets://none.yaml"), "none.yaml: no such file");
        place.refused(place.helm("template r chart -f 'secrets://?../../none.yaml'"), "leads out of");
    }
}

#[test]
fn set_file_takes_whole_files_of_any_format() {
    for place in Place::all() {
        place.encrypt("a.env", "PASSWORD=hunter2\n", &[]);
        place.encrypt("cert.bin", "hunter2\n\u{1}", &["--input-type", "binary"]);
        let out = place.values("template r chart --set-file file=secrets://a.env");
        assert!(out.contains("file: \"PASSWORD=hunter2\\n\""), "{out}");
        let out = place.values("template r chart --set-file file=secrets://cert.bin");
        assert!(out.contains("file: \"hunter2\\n\\x01\"") || out.contains("file: \"hunter2\\n\\u0001\""), "{out}");
        let out = place.values("kveil template r chart --set-file file=a.env,password=plain.yaml");
        assert!(out.contains("file: \"PASSWORD=hunter2\\n\""), "{out}");
    }
}

#[test]
fn files_outside_the_repository_are_not_read() {
    for place in Place::all() {
        std::fs::write(place.sandbox.home().join("else.yaml"), "password: hunter2\n").unwrap();
        link(&place.sandbox.home().join("else.yaml"), &place.sandbox.path("out.yaml"));
        link(&place.sandbox.path("secrets.yaml"), &place.sandbox.path("in.yaml"));
        let outside = place.sandbox.home().join("else.yaml").display().to_string();
        for name in ["../home/else.yaml", "chart/../../home/else.yaml", "out.yaml", &outside] {
            place.refused(place.helm(&format!("template r chart -f secrets://{name}")), "leads out of");
            place.refused(place.helm(&format!("template r chart -f secrets+age-import:///k?{name}")), "leads out of");
            place.refused(place.helm(&format!("template r chart --set-file file=secrets://noop!{name}")), "leads out of");
        }
        assert_values(&place.values("template r chart -f secrets://in.yaml"));
        place.refused(
            place.helm("template r chart -f secrets://in.yaml").env("HELM_SECRETS_VALUES_ALLOW_SYMLINKS", "false"),
            "symbolic link isn't allowed",
        );
        let allowed = place.helm("template r chart -f secrets://out.yaml").env("HELM_SECRETS_VALUES_ALLOW_SYMLINKS", "true").run();
        assert_eq!(allowed.code, 0, "{}", allowed.err);
        // Without a repository the current directory counts, and a variable may draw the border.
        std::fs::remove_dir_all(place.sandbox.path(".git")).unwrap();
        let above = "template r ../chart -f secrets://../secrets.yaml";
        let chart = place.sandbox.path("sub");
        std::fs::create_dir(&chart).unwrap();
        let done = place.helm(above).within(&chart).run();
        assert!(done.code == 0 && done.err.contains("KVEIL_ROOT"), "{}", done.err);
        place.refused(place.helm(above).within(&chart).env("KVEIL_ROOT", &chart), "leads out of");
        let done = place.helm(above).within(&chart).env("KVEIL_ROOT", place.sandbox.work()).run();
        assert!(done.code == 0 && !done.err.contains("KVEIL_ROOT"), "{}", done.err);
    }
}

#[test]
fn what_is_remote_or_of_another_backend_is_refused() {
    for place in Place::all() {
        let cases = [
            ("secrets://https://127.0.0.1:9/a.yaml", "remote files aren't read"),
            ("secrets://?http://127.0.0.1:9/a.yaml", "remote files aren't read"),
            ("secrets://git+https://127.0.0.1:9/a.yaml", "aren't read"),
            ("secrets+age-import:///k?https://127.0.0.1:9/a.yaml", "remote files aren't read"),
            ("secrets://vals!secrets.yaml", "backend vals"),
            ("secrets+literal://vals!ref+echo://x", "backend vals"),
        ];
        for (form, why) in cases {
            place.refused(place.helm(&format!("template r chart -f '{form}'")), why);
        }
        place.refused(place.helm("template r chart -f secrets://secrets.yaml").env("HELM_SECRETS_BACKEND", "vals"), "backend vals");
        let allowed = place.helm("template r chart -f secrets://http://127.0.0.1:9/a.yaml").env("KVEIL_HELM_ALLOW_REMOTE", "https,http");
        place.refused(allowed, "it can't be fetched");
        // As in helm-secrets, with a variable's leave.
        let listener = Listener::answering("200 OK", &String::from_utf8(place.sandbox.read("secrets.yaml")).unwrap());
        let log = place.sandbox.tmp().join("arguments");
        let curl = place.sandbox.write("curl.sh", format!("#!/bin/sh\necho \"$@\" >>{}; exec curl \"$@\"\n", log.display()));
        std::fs::set_permissions(&curl, PermissionsExt::from_mode(0o755)).unwrap();
        let call = |address: &str| {
            let call = place.helm(&format!("template r chart -f 'secrets://{address}'")).env("KVEIL_HELM_ALLOW_REMOTE", "http");
            call.env("HELM_SECRETS_CURL_PATH", &curl).env("FORGE_TOKEN", "t0ken-of-forge")
        };
        let address = format!("{}/${{FORGE_TOKEN}}/a.yaml", listener.url);
        let done = call(&address).env("HELM_SECRETS_URL_VARIABLE_EXPANSION", "true").run();
        assert_eq!(done.code, 0, "{}", done.err);
        assert_values(&text(&done));
        assert!(listener.heard()[0].starts_with("GET /t0ken-of-forge/a.yaml "), "{:?}", listener.heard());
        assert!(!std::fs::read_to_string(&log).unwrap().contains("t0ken-of-forge"), "every user of the machine sees arguments");
        let unset = call(&address.replace("FORGE_TOKEN", "NO_TOKEN")).env("HELM_SECRETS_URL_VARIABLE_EXPANSION", "true");
        place.refused(unset, "the variable NO_TOKEN isn't set");
        call(&address).run();
        assert!(!listener.heard()[1].contains("t0ken-of-forge"), "nobody asked for it");
        let lines = call(&address).env("HELM_SECRETS_URL_VARIABLE_EXPANSION", "true").env("FORGE_TOKEN", "a\noutput = pwned");
        place.refused(lines, "holds a line break");
    }
}

#[test]
fn keys_are_imported_only_from_where_they_may_be() {
    for place in Place::all() {
        let form = "template r chart -f secrets+age-import:///keys/../k/age.txt?secrets.yaml";
        place.refused(place.helm(form).env("HELM_SECRETS_ALLOW_AGE_IMPORT", "false"), "HELM_SECRETS_ALLOW_AGE_IMPORT forbids it");
        place.refused(place.helm(form).env("HELM_SECRETS_KEY_LOCATION_PREFIX", "/keys/"), "isn't allowed here");
        let cluster = "template r chart -f secrets+age-import-kubernetes://argocd/keys#age.txt?secrets.yaml";
        place.refused(place.helm(cluster).env("HELM_SECRETS_ALLOW_AGE_IMPORT_KUBERNETES", "false"), "isn't allowed here");
        place.refused(place.helm(cluster).env("HELM_SECRETS_KUBECTL_PATH", "/nowhere/kubectl"), "/nowhere/kubectl");
    }
}

#[test]
fn a_pgp_key_is_imported_for_one_run() {
    let Some(keyring) = Keyring::new() else { return };
    let fingerprint = keyring.generate("demo", "");
    for place in Place::all() {
        let export = format!("GNUPGHOME={} gpg --batch --armor --export-secret-keys {fingerprint} > key.asc", keyring.home().display());
        assert_eq!(place.shell(&export).run().code, 0);
        let done = place.sandbox.kveil(["encrypt", "--pgp", &fingerprint, "plain.yaml"]).env("GNUPGHOME", keyring.home()).run();
        place.sandbox.write("pgp.yaml", &done.out);
        place.refused(place.helm("template r chart -f secrets://pgp.yaml"), "Failed to get the data key");
        let key = place.sandbox.path("key.asc").display().to_string();
        assert_values(&place.values(&format!("template r chart -f secrets+gpg-import://{key}?pgp.yaml")));
        place.refused(place.helm("template r chart -f secrets+gpg-import:///none.asc?pgp.yaml"), "gpg doesn't import the key");
        assert!(!place.sandbox.home().join(".gnupg/private-keys-v1.d").exists());
    }
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_deployment() {
    for place in Place::all() {
        let good = String::from_utf8(place.sandbox.read("secrets.yaml")).unwrap();
        place.sandbox.write("tampered.yaml", good.replace("pin: ENC", "pon: ENC"));
        let mac = good.lines().find(|line| line.trim_start().starts_with("mac: ")).unwrap();
        place.sandbox.write("unsigned.yaml", good.replace(mac, &format!("{}A==,type:str]", &mac[..40])));
        place.sandbox.write("half.yaml", good.split("sops:").next().unwrap());
        place.sandbox.write("broken.yaml", format!("{good}\n - x: [\n"));
        let other = place.sandbox.kveil(["encrypt", "--age", RECIPIENT_2, "plain.yaml"]).run();
        place.sandbox.write("other.yaml", other.out);
        let cases = [
            ("tampered.yaml", "tampered.yaml"),
            ("unsigned.yaml", "unsigned.yaml"),
            ("half.yaml", "half.yaml: line"),
            ("broken.yaml", "broken.yaml"),
            ("other.yaml", "Failed to get the data key"),
        ];
        for (name, why) in cases {
            place.refused(place.helm(&format!("template r chart -f secrets://{name}")), why);
            place.refused(place.helm(&format!("template r chart -f plain.yaml --set-file file=secrets://{name}")), why);
            place.refused(place.helm(&format!("kveil template r chart -f {name}")), why);
        }
    }
}

#[test]
fn the_wrapper_decrypts_through_pipes() {
    for place in Place::all() {
        place.encrypt("more.yaml", "pin: 815\n", &[]);
        let before = place.sandbox.listing();
        for flags in [
            "-f secrets.yaml",
            "--values=secrets.yaml",
            "-fsecrets.yaml",
            "-f plain.yaml",
            "-f '?none.yaml' -f secrets.yaml",
            "-f secrets://secrets.yaml",
        ] {
            assert_values(&place.values(&format!("kveil template r chart {flags}")));
        }
        let both = place.values("kveil template r chart -f secrets.yaml,more.yaml");
        assert!(both.contains("hunter2") && both.contains("pin: \"815\""), "{both}");
        // Helm takes its global flags from plugins and hands them on as variables.
        let out = place.values("kveil template -n prod r chart -f secrets.yaml --kube-context none");
        assert!(out.contains("namespace: prod"), "{out}");
        assert!(place.values("kveil lint chart -f secrets.yaml").contains("0 chart(s) failed"));
        // There is no cluster: what the commands that need one are given.
        let shown = place.sandbox.write("shown.sh", "#!/bin/sh\necho \"$@\"; for last; do :; done; cat \"$last\"\n");
        std::fs::set_permissions(&shown, PermissionsExt::from_mode(0o755)).unwrap();
        for command in ["install r chart", "upgrade --install r chart"] {
            let done = place.sandbox.kveil(format!("helm run {command} -f secrets.yaml").split(' ')).env("HELM_BIN", &shown).run();
            let out = text(&done);
            let (line, rest) = out.split_once('\n').unwrap();
            assert!(line.starts_with(&format!("{command} -f /dev/fd/")), "{line} {}", done.err);
            assert_eq!(rest, VALUES);
        }
        std::fs::remove_file(shown).unwrap();
        // What is in clear is Helm's own business, wherever it lies.
        std::fs::write(place.sandbox.home().join("else.yaml"), VALUES).unwrap();
        for file in ["../home/else.yaml", "<(cat plain.yaml)"] {
            assert_values(&place.values(&format!("kveil template r chart -f {file}")));
        }
        std::fs::copy(place.sandbox.path("secrets.yaml"), place.sandbox.home().join("else.yaml")).unwrap();
        place.refused(place.helm("kveil template r chart -f ../home/else.yaml"), "leads out of");
        // More than a pipe holds.
        place.encrypt("large.yaml", &format!("password: {}\n", "x".repeat(300_000)), &[]);
        assert!(place.values("kveil template r chart -f large.yaml").contains(&"x".repeat(300_000)));
        place.refused(place.helm("kveil template r chart -f none.yaml"), "none.yaml: no such file");
        // kveil's own flags and variables count.
        let twice = place.helm("kveil template r chart -f secrets.yaml").env("SOPS_DECRYPTION_ORDER", "age,age");
        place.refused(twice, "duplicate decryption key type");
        place.refused(place.kveil("helm run --decryption-order age,age template r chart -f secrets.yaml"), "duplicate decryption key type");
        assert_values(&text(&place.kveil("helm run --offline template r chart -f secrets.yaml").run()));
        let failed = place.helm("kveil template r nochart -f secrets.yaml").run();
        assert!(failed.code != 0 && failed.out.is_empty(), "{}", failed.err);
        std::fs::remove_file(place.sandbox.path("large.yaml")).unwrap();
        place.nothing_left(&before);
    }
}

#[test]
fn a_plugin_that_reads_values_gets_addresses() {
    for place in Place::all() {
        // As helm-diff does: it reads the values itself, and again through `helm template`.
        let folder = place.sandbox.home().join(".local/share/helm/plugins/diff");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("plugin.yaml"), "name: diff\nversion: 1.0.0\nusage: x\ncommand: $HELM_PLUGIN_DIR/diff.sh\n").unwrap();
        std::fs::write(folder.join("diff.sh"), "#!/bin/sh\nshift\nfor i in 1 2; do \"$HELM_BIN\" template \"$@\" || exit; done\n").unwrap();
        std::fs::set_permissions(folder.join("diff.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        place.encrypt("with blank.yaml", VALUES, &[]);
        for file in ["secrets.yaml", "'with blank.yaml'", "'?secrets.yaml'"] {
            let out = place.values(&format!("kveil diff upgrade r chart -f {file}"));
            assert_eq!(out.matches("hunter2").count(), 2, "{out}");
        }
    }
}

#[test]
fn encrypted_templates_are_decrypted_after_rendering() {
    for place in Place::all() {
        place.encrypt("chart/templates/secret.yaml", SECRET, &[]);
        let two = format!(
            "{}---\n{}",
            SECRET.replace("name: shop", "name: b"),
            SECRET.replace("name: shop", "name: a\n  annotations:\n    x: y")
        );
        place.encrypt("chart/templates/two.yaml", &two, &[]);
        let flags = ["--encrypted-regex", "^stringData$", "--mac-only-encrypted"];
        place.encrypt("chart/templates/named.yaml", &SECRET.replace("name: shop", "name: '{{ .Release.Name }}-named'"), &flags);
        // Helm 4 puts its annotation where it finds room: in brackets, too.
        let brackets = SECRET.replace("metadata:\n  name: shop\n", "metadata: {name: brackets}\n").replace("t0ken-of", "other-of");
        place.encrypt("chart/templates/brackets.yaml", &brackets, &[]);
        let json = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "json", "annotations": {"a": "b"}}, "stringData": {"k": "json-of-shop"}}"#;
        place.encrypt("chart/templates/json.json", json, &[]);
        let done = place.rendered("template r chart -f plain.yaml").run();
        assert_eq!(done.code, 0, "Helm {}: {}", place.major, done.err);
        let out = text(&done);
        assert!(out.contains("other-of-shop") && out.contains("json-of-shop"), "{out}");
        assert_eq!(out.matches("token: \"t0ken-of-shop\"").count(), 4, "{out}");
        assert!(out.contains("r-named") && out.contains("x: y") && out.contains("password: \"hunter2\""), "{out}");
        for gone in ["sops:", "ENC[", "postrender-filename"] {
            assert!(!out.contains(gone), "{gone} is in {out}");
        }
    }
}

#[test]
fn a_template_that_cannot_be_opened_stops_the_deployment_and_says_why() {
    for place in Place::all() {
        let template = "chart/templates/secret.yaml";
        place.encrypt(template, SECRET, &[]);
        let good = String::from_utf8(place.sandbox.read(template)).unwrap();
        let done = place.sandbox.kveil(["encrypt", "--age", RECIPIENT_2, "--filename-override", "a.yaml", "-"]).stdin(SECRET).run();
        let cases = [
            (good.replace("name: shop", "name: '{{ .Release.Name }}'"), "MAC mismatch"),
            (String::from_utf8(done.out).unwrap(), "Failed to get the data key"),
        ];
        for (text, why) in cases {
            place.sandbox.write(template, text);
            place.refused(place.rendered("template r chart"), why);
            place.refused(place.rendered("template r chart"), "shop/templates/secret.yaml");
            let log = place.sandbox.tmp().join("log");
            place.refused(place.rendered("template r chart").env("KVEIL_HELM_LOG", &log), why);
            assert!(std::fs::read_to_string(&log).unwrap().contains(why));
            std::fs::remove_file(log).unwrap();
        }
    }
}

#[test]
fn what_is_still_encrypted_after_rendering_is_refused() {
    for place in Place::all() {
        let good = String::from_utf8(place.sandbox.read("secrets.yaml")).unwrap();
        place.sandbox.write("chart/half.yaml", good.split("sops:").next().unwrap());
        place.sandbox.write(
            "chart/templates/cm.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n{{ .Files.Get \"half.yaml\" | indent 2 }}\n",
        );
        place.refused(place.rendered("template r chart"), "ciphertext is left");
        place.sandbox.write("chart/whole.yaml", &good);
        place.sandbox.write(
            "chart/templates/cm.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  f: {{ .Files.Get \"whole.yaml\" | b64enc }}\n",
        );
        place.refused(place.rendered("template r chart"), "ciphertext is left");
        // What goes through untouched is what Helm rendered.
        place.sandbox.write("chart/templates/cm.yaml", CONFIG_MAP);
        let plain = place.values("template r chart -f plain.yaml");
        let done = place.rendered("template r chart -f plain.yaml").run();
        assert_eq!((done.code, text(&done)), (0, plain), "{}", done.err);
    }
}

#[test]
fn installing_twice_changes_nothing_and_uninstalling_leaves_the_rest() {
    for place in Place::all() {
        let data = place.sandbox.home().join(".local/share/helm");
        let again = place.kveil("helm install-plugin").run();
        assert!(again.err.contains("are there already"), "{}", again.err);
        assert_eq!(text(&again).trim(), format!("HELM_PLUGINS={}", data.join("kveil-helm4-plugins").display()));
        let printed = text(&place.kveil("helm install-plugin --print").run());
        assert_eq!(printed.matches("\nname: kveil").count(), 5, "{printed}");
        let mine = data.join("plugins/mine");
        std::fs::create_dir_all(&mine).unwrap();
        std::fs::write(mine.join("plugin.yaml"), "name: mine\nversion: 1.0.0\nusage: x\ncommand: echo\n").unwrap();
        let list = place.values("plugin list");
        assert!(list.contains("mine") && list.contains("kveil-getter"), "{list}");
        // A version that was written before is brought up to date.
        let manifest = data.join("plugins/kveil/plugin.yaml");
        let old = std::fs::read_to_string(&manifest).unwrap().replace("version: ", "version: 9");
        std::fs::write(&manifest, &old).unwrap();
        assert!(place.kveil("helm install-plugin").run().err.contains("the plugins are in"));
        assert_ne!(std::fs::read_to_string(&manifest).unwrap(), old);
        assert_eq!(place.kveil("helm install-plugin --uninstall").run().code, 0);
        assert!(!data.join("plugins/kveil").exists() && !data.join("plugins/kveil-getter").exists() && mine.exists());
        assert!(!data.join("kveil-helm4-plugins").exists());
        assert!(place.kveil("helm install-plugin --uninstall").run().err.contains("no plugin of kveil's"));
        // A folder of the name that somebody else made stays.
        std::fs::create_dir_all(data.join("plugins/kveil")).unwrap();
        std::fs::write(data.join("plugins/kveil/plugin.yaml"), "name: kveil\n").unwrap();
        let refused = place.kveil("helm install-plugin").run();
        assert!(refused.code == 1 && refused.err.contains("isn't kveil's"), "{}", refused.err);
        assert!(!data.join("plugins/kveil-getter").exists(), "nothing is written");
    }
}

#[test]
fn both_helms_read_one_folder_and_helm_4_its_own() {
    let (Some(three), Some(four)) = (Place::new(3), tool("helm4")) else { return };
    let place = Place { helm: four, major: 4, sandbox: three.sandbox };
    // Helm 4 where the files of Helm 3 lie.
    assert_values(&place.values("template r chart -f secrets://secrets.yaml"));
    assert_values(&place.values("kveil template r chart -f secrets.yaml"));
    for line in ["template r chart -f secrets://secrets.yaml", "kveil template r chart -f secrets.yaml"] {
        let done = place.own(line).run();
        assert_eq!(done.code, 0, "{}", done.err);
        assert_values(&text(&done));
    }
    let place = Place { helm: three.helm, major: 3, sandbox: place.sandbox };
    let refused = place.kveil("helm install-plugin --helm4-only").run();
    assert!(refused.code == 1 && refused.err.contains("is Helm 3"), "{}", refused.err);
    assert!(place.values("plugin list").contains("kveil-getter"));
}

#[test]
fn helm_4_alone_gets_everything_in_one_folder() {
    let Some(place) = Place::new(4) else { return };
    assert_eq!(place.kveil("helm install-plugin --helm4-only").run().code, 0);
    place.encrypt("chart/templates/secret.yaml", SECRET, &[]);
    let out = place.values("template r chart -f secrets://secrets.yaml --post-renderer kveil-post-render");
    assert_values(&out);
    assert!(out.contains("t0ken-of-shop"));
}
