//! Every case of `testdata/sops`, in both directions, once under the name `sops` and once as `kveil` with its own defaults.

mod sandbox;

use sandbox::{Keyring, Sandbox, cases, key, link, tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Genuine sops crashes there; a crash has no code to copy.
const CODES_OF_OUR_OWN: [(&str, i32); 1] = [("fail_type_bytes_panics", 25)];
/// Line separators in raw form, on which readers disagree: refused with their place.
const REFUSED_BY_KVEIL: &str = "unicode_emoji";
/// Number of cases; a folder that gets lost must not go unseen.
const CASES: usize = 115;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Name {
    Sops,
    Kveil,
}

struct Case {
    name: String,
    folder: PathBuf,
    commands: BTreeMap<String, String>,
    /// Stage that must fail, and sops's exit code where one is right.
    must_fail: Option<(String, Option<i32>)>,
    /// Genuine sops's own output is wrong here.
    wrong: bool,
}

impl Case {
    fn read(folder: PathBuf) -> Option<Case> {
        let text = std::fs::read_to_string(folder.join("cmd.txt")).ok()?;
        let name = folder.file_name()?.to_string_lossy().into_owned();
        let commands =
            text.lines().filter_map(|line| line.split_once(": ")).map(|(what, line)| (what.to_owned(), line.to_owned())).collect();
        let must_fail = std::fs::read_to_string(folder.join("expected.txt")).ok().map(|text| {
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let own = CODES_OF_OUR_OWN.iter().find(|(case, _)| *case == name).map(|(_, code)| *code);
            (field("stage:").unwrap().to_owned(), own.or_else(|| field("sops_exit_code:").and_then(|code| code.parse().ok())))
        });
        let wrong = folder.join("note.txt").exists();
        Some(Case { name, folder, commands, must_fail, wrong })
    }

    fn file(&self, stem: &str) -> Option<PathBuf> {
        ["yaml", "json", "env", "ini", "bin", "txt", "dotenv"]
            .iter()
            .map(|extension| self.folder.join(format!("{stem}.{extension}")))
            .find(|path| path.exists())
    }

    fn bytes(&self, stem: &str) -> Option<Vec<u8>> {
        self.file(stem).map(|path| std::fs::read(path).unwrap())
    }

    /// The extension of what decrypting prints.
    fn extension(&self) -> String {
        let file = self.file("decrypted").or_else(|| self.file("plain")).or_else(|| self.file("encrypted")).unwrap();
        file.extension().unwrap().to_string_lossy().into_owned()
    }

    /// Whether its calls name a PGP key.
    fn needs_gpg(&self) -> bool {
        self.commands.values().any(|line| line.contains("--pgp "))
    }

    /// Whether it is one Kubernetes object, and a Secret.
    fn is_plain_secret(&self) -> bool {
        let plain = self.bytes("plain").unwrap_or_default();
        let text = String::from_utf8_lossy(&plain);
        if !text.contains("apiVersion") {
            return false;
        }
        let kinds: Vec<&str> = text.lines().filter(|line| line.contains("kind")).collect();
        kinds.len() == 1 && kinds[0].contains("Secret") && !kinds[0].contains("SealedSecret")
    }

    /// The call of this stage, as it reads under this name.
    fn line(&self, stage: &str, name: Name) -> Option<String> {
        // The sandbox has such a keyring.
        let line = &self.commands.get(stage)?.replace("GNUPGHOME=<gnupg home holding keys/pgp_private.asc>", "");
        if name == Name::Sops {
            return Some(line.clone());
        }
        let mut line = format!(" {line}").replace(" sops ", " kveil ").replace(" -e ", " ");
        if stage == "encrypt" {
            if !line.contains(" encrypt ") {
                line = line.replace(" kveil ", " kveil encrypt ");
            }
            // A Secret needs no selector: kveil's default is the same.
            if self.is_plain_secret() {
                line = line.replace(" --encrypted-regex '^(data|stringData)$'", "");
            }
        }
        Some(line)
    }

    /// A sandbox that holds the case's files in `case/`, with the keys where the calls expect them; homes are empty.
    fn sandbox(&self) -> Sandbox {
        let sandbox = Sandbox::new();
        let keyring = self.needs_gpg().then(Keyring::new).flatten();
        let sandbox = match keyring {
            Some(keyring) => sandbox.with_keyring(keyring.importing(&key("pgp_private.asc"))),
            None => sandbox,
        };
        link(&cases().join("keys"), &sandbox.path("keys"));
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            sandbox.write(&format!("{}/{name}", self.name), std::fs::read(&path).unwrap());
        }
        sandbox
    }

    fn run(&self, sandbox: &Sandbox, line: &str) -> sandbox::Done {
        sandbox.shell(line).within(sandbox.path(&self.name)).run()
    }
}

fn all() -> Vec<Case> {
    let mut found: Vec<Case> = std::fs::read_dir(cases()).unwrap().filter_map(|entry| Case::read(entry.unwrap().path())).collect();
    found.sort_by(|left, right| left.name.cmp(&right.name));
    assert_eq!(found.len(), CASES);
    found
}

/// Runs `check` on every case and tells all that failed.
fn every(check: impl Fn(&Case) -> Result<bool, String> + Sync) {
    let (mut done, mut failed) = (0, Vec::new());
    for case in all().iter().filter(|case| !case.needs_gpg() || Keyring::is_possible()) {
        match check(case) {
            Ok(ran) => done += usize::from(ran),
            Err(why) => failed.push(format!("{}: {why}", case.name)),
        }
    }
    println!("{done} cases");
    assert!(failed.is_empty(), "{} failed, {done} passed\n{}", failed.len(), failed.join("\n"));
    assert!(done > 10, "only {done} cases ran");
}

fn same_values(case: &Case, ours: &[u8], theirs: &[u8]) -> Result<(), String> {
    if case.wrong { Ok(()) } else { tree::same(&case.extension(), ours, theirs) }
}

fn decrypts(name: Name) {
    every(|case| {
        let (Some(line), Some(want), Some(_)) = (case.line("decrypt", name), case.bytes("decrypted"), case.file("encrypted")) else {
            return Ok(false);
        };
        let done = case.run(&case.sandbox(), &line);
        if done.code != 0 {
            return Err(format!("exit code {}: {}", done.code, done.err));
        }
        if name == Name::Sops && !done.err.is_empty() {
            return Err(format!("writes to stderr: {}", done.err));
        }
        same_values(case, &done.out, &want).map(|()| true)
    });
}

fn refuses(name: Name) {
    every(|case| {
        let Some((stage, code)) = &case.must_fail else { return Ok(false) };
        let done = case.run(&case.sandbox(), &case.line(stage, name).unwrap());
        if let Some(fault) = done.refusal_fault(*code) {
            return Err(fault);
        }
        // The plain values, where the file that is refused holds any; those of a tampered file count as well.
        let plain = case.bytes("untampered").or_else(|| case.bytes("plain")).unwrap_or_default();
        values_in(&plain, &done.err).map(|()| true)
    });
}

/// No message holds a value.
fn values_in(plain: &[u8], message: &str) -> Result<(), String> {
    let Ok(documents) = tree::read("yaml", plain) else { return Ok(()) };
    fn texts<'t>(tree: &'t tree::Tree, found: &mut Vec<&'t str>) {
        match tree {
            tree::Tree::Map(entries) => entries
                .iter()
                .filter(|(key, _)| key != "sops" && key != "apiVersion" && key != "kind")
                .for_each(|(_, value)| texts(value, found)),
            tree::Tree::List(items) => items.iter().for_each(|item| texts(item, found)),
            tree::Tree::Text(text) if text.len() >= 5 => found.push(text),
            _ => {}
        }
    }
    let mut found = Vec::new();
    documents.iter().for_each(|tree| texts(tree, &mut found));
    match found.into_iter().find(|value| message.contains(value)) {
        Some(_) => Err(format!("the message holds a value: {message}")),
        None => Ok(()),
    }
}

/// A case that genuine sops encrypts and kveil has to encrypt, too.
fn is_encrypted(case: &Case) -> bool {
    case.must_fail.as_ref().is_none_or(|(stage, _)| stage == "decrypt")
        && case.commands.contains_key("encrypt")
        && case.file("plain").is_some()
}

fn encrypts(name: Name) {
    if sandbox::tool("sops").is_none() {
        return;
    }
    every(|case| {
        if !is_encrypted(case) || case.name == "fail_tab_leading_unencrypted_value" {
            return Ok(false);
        }
        let sandbox = case.sandbox();
        let done = case.run(&sandbox, &case.line("encrypt", name).unwrap());
        if case.name == REFUSED_BY_KVEIL {
            let named = done.err.contains("plain.yaml:7:7");
            return done.refusal_fault(Some(2)).or_else(|| (!named).then_some(done.err)).map_or(Ok(true), Err);
        }
        if done.code != 0 {
            return Err(format!("exit code {}: {}", done.code, done.err));
        }
        if name == Name::Sops && !done.err.is_empty() {
            return Err(format!("writes to stderr: {}", done.err));
        }
        let plain = case.bytes("plain").unwrap();
        if !case.commands.contains_key("tamper") {
            hides(case, &plain, &done.out)?;
        }
        let encrypted = case.file("encrypted").unwrap();
        sandbox.write(&format!("{}/{}", case.name, encrypted.file_name().unwrap().to_string_lossy()), &done.out);
        if case.must_fail.is_some() {
            return Ok(true);
        }
        opens(case, name, &sandbox)?;
        restores(case, name, &sandbox, &plain)
    });
}

/// All that genuine sops hides is hidden.
fn hides(case: &Case, plain: &[u8], ours: &[u8]) -> Result<(), String> {
    if case.wrong {
        return Ok(());
    }
    let extension = case.file("encrypted").unwrap().extension().unwrap().to_string_lossy().into_owned();
    let genuine = case.bytes("encrypted").unwrap();
    if extension == "yaml" || extension == "json" {
        return sandbox::hides(&extension, plain, &genuine, ours);
    }
    let (hidden, shown) = (sandbox::words(&genuine), sandbox::words(ours));
    let open = sandbox::words(plain).into_iter().find(|word| !hidden.contains(word) && shown.contains(word));
    open.map_or(Ok(()), |word| Err(format!("in clear: {word}")))
}

/// Genuine sops reads the same values as in its own file, with a valid MAC.
fn opens(case: &Case, name: Name, sandbox: &Sandbox) -> Result<(), String> {
    let (Some(line), Some(want)) = (case.line("decrypt", Name::Sops), case.bytes("decrypted")) else { return Ok(()) };
    if case.commands.contains_key("tamper") {
        return Ok(());
    }
    let genuine = sandbox.genuine_shell(&line).unwrap().within(sandbox.path(&case.name)).run();
    if genuine.code != 0 {
        return Err(format!("genuine sops, given {name:?}'s file: exit code {}: {}", genuine.code, genuine.err));
    }
    same_values(case, &genuine.out, &want)
}

/// The author's bytes come back.
fn restores(case: &Case, name: Name, sandbox: &Sandbox, plain: &[u8]) -> Result<bool, String> {
    let Some(line) = case.line("decrypt", name) else { return Ok(true) };
    if line.contains("--output-type") || line.contains("--extract") {
        return Ok(true);
    }
    let done = case.run(sandbox, &line);
    match done.code {
        0 if done.out == plain => Ok(true),
        0 => Err(format!("other bytes came back:\n{}\ninstead of\n{}", sandbox::shown(&done.out), sandbox::shown(plain))),
        code => Err(format!("decrypt: exit code {code}: {}", done.err)),
    }
}

#[test]
fn sops_decrypts_what_genuine_sops_wrote() {
    decrypts(Name::Sops);
}

#[test]
fn kveil_decrypts_what_genuine_sops_wrote() {
    decrypts(Name::Kveil);
}

#[test]
fn sops_refuses_with_the_same_exit_codes() {
    refuses(Name::Sops);
}

#[test]
fn kveil_refuses_with_the_same_exit_codes() {
    refuses(Name::Kveil);
}

#[test]
fn genuine_sops_opens_what_sops_encrypts_and_the_bytes_come_back() {
    encrypts(Name::Sops);
}

#[test]
fn genuine_sops_opens_what_kveil_encrypts_and_the_bytes_come_back() {
    encrypts(Name::Kveil);
}

/// Styles that an `ENC[…]` scalar can carry need no record of their own.
#[test]
fn the_layout_record_is_left_out_where_the_styles_are_enough() {
    let plain =
        ["secret_opaque_data", "secret_stringdata", "secret_tls", "two_recipients", "encrypted_suffix", "mac_only_encrypted", "crlf_input"];
    for case in all().iter().filter(|case| plain.contains(&case.name.as_str())) {
        for name in [Name::Sops, Name::Kveil] {
            let out = case.run(&case.sandbox(), &case.line("encrypt", name).unwrap()).text();
            assert!(!out.contains("kveil_layout"), "{}: {out}", case.name);
        }
    }
}

/// The reader that these tests compare with.
#[test]
fn spelling_does_not_count_and_values_do() {
    let left = b"a: 0x10\nb: &x 1.0\nc: *x\nd: 2020-01-01\ne: 'yes'\nf: |\n  t\n";
    let right = b"a: 16\nb: 1\nc: 1\nd: 2020-01-01T00:00:00Z\ne: \"yes\"\nf: \"t\\n\"\n";
    assert_eq!(tree::same("yaml", left, right), Ok(()));
    for other in ["a: 17\n", "a: '16'\n", "b: 16\n", "a: 16\n---\na: 16\n"] {
        assert!(tree::same("yaml", b"a: 16\n", other.as_bytes()).is_err(), "{other:?}");
    }
    assert!(tree::same("yaml", b"a: 1\nb: 2\n", b"b: 2\na: 1\n").is_err());
    assert!(Path::new(&cases()).is_dir());
}
