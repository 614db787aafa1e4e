//! The uses that sops's documentation shows, with kveil in its place and with genuine sops: `testdata/usage`.

mod sandbox;

use sandbox::{Done, RECIPIENT_1, RECIPIENT_2, Sandbox, root, tree};
use std::collections::BTreeSet;
use std::sync::OnceLock;

const PLAIN_YAML: &str = "# about a\na: hello\nb: world\nc_unencrypted: clear\nlist:\n    - one\n    - two\nmap:\n    deep: down # inside\n    n: 7\n    f: 1.5\n";
const PLAIN_JSON: &str = "{\n\t\"b\": \"box\",\n\t\"n\": 7,\n\t\"map\": {\n\t\t\"deep\": [true, null, \"x\"]\n\t}\n}\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n    name: database\nstringData:\n    password: hunter2\ntype: Opaque\n";
const EDITOR: &str =
    "#!/bin/sh\ncase $1 in\n*.json) printf '{\"added\": 1}\\n' > \"$1\" ;;\n*) printf 'added: by-hand\\n' >> \"$1\" ;;\nesac\n";
/// What tools look for in the first line of a failure.
const PHRASES: [&str; 7] = [
    "sops metadata not found",
    "no matching creation rules found",
    "config file not found",
    "MAC mismatch",
    "Failed to get the data key required to decrypt the SOPS file.",
    "File has not changed, exiting.",
    "empty key group provided",
];

/// What a command of a case compares.
enum Step<'t> {
    Same(&'t str),
    Codes(&'t str),
    /// kveil ends with this code, genuine sops with another.
    Differs(i32, &'t str),
}

struct Case<'t> {
    name: &'t str,
    verbs: Vec<&'t str>,
    formats: Vec<&'t str>,
    steps: Vec<Step<'t>>,
}

fn parted(list: &str) -> Vec<&str> {
    list.split(',').filter(|word| !word.is_empty() && *word != "-").collect()
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (mark, rest) = line.split_once(' ').expect("a mark and its text");
        if mark == "==" {
            let (needs, name) = rest.split_once(": ").expect("what it needs");
            let (verbs, formats) = needs.split_once('+').unwrap_or((needs, ""));
            cases.push(Case { name, verbs: parted(verbs), formats: parted(formats), steps: Vec::new() });
            continue;
        }
        let step = match mark {
            "$" => Step::Same(rest),
            "%" => Step::Codes(rest),
            "~" => rest.split_once(' ').map(|(code, line)| Step::Differs(code.parse().expect("a code"), line)).expect("a code"),
            _ => panic!("no mark: {line}"),
        };
        cases.last_mut().expect("a case before its steps").steps.push(step);
    }
    cases
}

/// The two encrypted files that every case starts with: genuine sops made them.
fn encrypted() -> Option<&'static (Vec<u8>, Vec<u8>)> {
    static MADE: OnceLock<Option<(Vec<u8>, Vec<u8>)>> = OnceLock::new();
    let make = || {
        let sandbox = Sandbox::with_identity();
        sandbox.write("plain.yaml", PLAIN_YAML);
        sandbox.write("plain.json", PLAIN_JSON);
        let made = |name| Some(sandbox.genuine(["encrypt", "--age", RECIPIENT_1, name])?.run().ok());
        Some((made("plain.yaml")?, made("plain.json")?))
    };
    MADE.get_or_init(make).as_ref()
}

fn prepared() -> Option<Sandbox> {
    let (yaml, json) = encrypted()?;
    let sandbox = Sandbox::with_identity();
    sandbox.write("plain.yaml", PLAIN_YAML);
    sandbox.write("plain.json", PLAIN_JSON);
    sandbox.write("secret.yaml", SECRET);
    sandbox.write("plain.env", "# about it\nNAME=ana\nWORDS=two words\n");
    sandbox.write("plain.ini", "[section]\nkey = value\n; about it\nother = 5\n");
    sandbox.write("plain.bin", "not any\nformat\n");
    sandbox.write("enc.yaml", yaml);
    sandbox.write("enc.json", json);
    let editor = sandbox.write("editor", EDITOR);
    #[cfg(unix)]
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    drop(editor);
    Some(sandbox)
}

/// Verbs and formats that aren't there yet: their cases begin to count with them.
fn missing<'c>(case: &Case<'c>) -> Option<&'c str> {
    let sandbox = prepared()?;
    let verb = case.verbs.iter().find(|verb| sandbox.sops([**verb, "--help"]).run().err.contains("isn't there in this version"));
    let sample = |format: &str| match format {
        "dotenv" => "plain.env",
        "ini" => "plain.ini",
        _ => "plain.bin",
    };
    let format = case.formats.iter().find(|format| sandbox.sops(["encrypt", "--age", RECIPIENT_1, sample(format)]).run().code != 0);
    verb.or(format).copied()
}

/// Runs the cases of a chapter, and gives what doesn't agree.
fn chapter(name: &str) {
    if encrypted().is_none() {
        return;
    }
    let text = std::fs::read_to_string(root().join("testdata/usage").join(name)).unwrap();
    let cases = cases(&text);
    assert!(!cases.is_empty());
    let mut pending = BTreeSet::new();
    let mut faults = Vec::new();
    for case in &cases {
        match missing(case) {
            Some(what) => drop(pending.insert(format!("{what}: {}", case.name))),
            None => faults.extend(play(case).into_iter().map(|fault| format!("{}: {fault}", case.name))),
        }
    }
    pending.iter().for_each(|case| println!("pending, {case}"));
    assert!(faults.is_empty(), "{} differences\n{}", faults.len(), faults.join("\n"));
}

fn play(case: &Case) -> Vec<String> {
    let (Some(ours), Some(theirs)) = (prepared(), prepared()) else { return Vec::new() };
    let mut faults = Vec::new();
    for step in &case.steps {
        let (Step::Same(line) | Step::Codes(line) | Step::Differs(_, line)) = step;
        let with = |call: sandbox::Call| {
            call.env("R1", RECIPIENT_1).env("R2", RECIPIENT_2).env("KEYS", root().join("testdata/recipients/age")).run()
        };
        let (our, their) = (with(ours.shell(line)), with(theirs.genuine_shell(line).unwrap()));
        let fault = match step {
            Step::Differs(code, _) if our.code != *code => Some(format!("ended with {}: {}", our.code, our.err)),
            Step::Differs(code, _) if their.code == *code => Some("is no difference any more".to_owned()),
            Step::Differs(..) => None,
            Step::Codes(_) => codes(&our, &their).or_else(|| (our.out.is_empty() != their.out.is_empty()).then(|| "says nothing".into())),
            Step::Same(_) => codes(&our, &their).or_else(|| words(&our, &their)).or_else(|| said(&ours, &theirs, &our, &their)),
        };
        faults.extend(fault.map(|fault| format!("$ {line}\n    {fault}")));
    }
    let differing = case.steps.iter().any(|step| matches!(step, Step::Differs(..)));
    faults.extend(files(&ours, &theirs).filter(|_| !differing));
    faults
}

fn codes(our: &Done, their: &Done) -> Option<String> {
    let crashed = our.code == 101 || our.err.contains("panicked");
    (our.code != their.code || crashed).then(|| {
        format!("ended with {} instead of {}\n    ours: {}\n    theirs: {}", our.code, their.code, our.err.trim(), their.err.trim())
    })
}

/// A success is silent where genuine sops is; a failure begins with the phrase that tools look for.
fn words(our: &Done, their: &Done) -> Option<String> {
    if our.code == 0 {
        return (!our.err.is_empty() && their.err.is_empty()).then(|| format!("isn't silent: {}", our.err.trim()));
    }
    let phrase = PHRASES.iter().find(|phrase| their.err.contains(**phrase))?;
    let first = |text: &str| text.lines().next().unwrap_or("").to_owned();
    // Where genuine sops says something else before it, so may kveil.
    let first = if first(&their.err).contains(phrase) { first(&our.err) } else { our.err.clone() };
    (!first.contains(phrase)).then(|| format!("the first line lacks “{phrase}”: {first}"))
}

/// The standard outputs, but for the help that genuine sops prints there with a wrong usage.
fn said(ours: &Sandbox, theirs: &Sandbox, our: &Done, their: &Done) -> Option<String> {
    let usage = their.code != 0 && their.out.starts_with(b"Incorrect Usage");
    outputs(ours, theirs, &our.out, if usage { b"" } else { &their.out })
}

fn outputs(ours: &Sandbox, theirs: &Sandbox, our: &[u8], their: &[u8]) -> Option<String> {
    let (our, their) = (opened(ours, our), opened(theirs, their));
    let fault = different(&our.0, &their.0).or_else(|| (our.1 != their.1).then(|| format!("rules {:?} instead of {:?}", our.1, their.1)));
    fault.map(|why| format!("{why}\n    ours: {}\n    theirs: {}", sandbox::shown(&our.0), sandbox::shown(&their.0)))
}

/// Clear bytes as they are; encrypted ones as genuine sops decrypts them, and what their block says.
fn opened(sandbox: &Sandbox, bytes: &[u8]) -> (Vec<u8>, Vec<String>) {
    let text = String::from_utf8_lossy(bytes);
    if !text.contains("ENC[AES256_GCM") {
        return (bytes.to_vec(), Vec::new());
    }
    let format = match text.trim_start() {
        json if json.starts_with("{\n\t\"data\": \"ENC") && !json.contains("_suffix") => "binary",
        json if json.starts_with('{') => "json",
        yaml if yaml.lines().any(|line| line == "sops:") => "yaml",
        ini if ini.lines().any(|line| line == "[sops]") => "ini",
        _ => "dotenv",
    };
    let file = sandbox.tmp().join("opened");
    std::fs::write(&file, bytes).unwrap();
    let call = sandbox.genuine(["decrypt", "--input-type", format, "--output-type", format]).unwrap();
    let done = call.arg(&file).env("SOPS_AGE_KEY_FILE", sandbox::key("age_all.txt")).run();
    let mut rules: Vec<String> = text.lines().filter_map(rule).collect();
    rules.sort();
    (if done.code == 0 { done.out } else { b"can't be opened".to_vec() }, rules)
}

/// A line of the block that says for whom and how.
fn rule(line: &str) -> Option<String> {
    const FIELDS: [&str; 8] = [
        "recipient",
        "shamir_threshold",
        "mac_only_encrypted",
        "encrypted_regex",
        "unencrypted_regex",
        "encrypted_suffix",
        "_suffix",
        "version",
    ];
    let bare: String = line.chars().filter(|c| !c.is_whitespace() && !"\"',-".contains(*c)).collect();
    FIELDS.iter().any(|field| bare.split([':', '=']).next().is_some_and(|name| name.ends_with(field))).then_some(bare)
}

fn different(our: &[u8], their: &[u8]) -> Option<String> {
    let said: Vec<String> = ["json", "yaml"].into_iter().map_while(|format| tree::same(format, our, their).err()).collect();
    if our == their || said.len() < 2 || entries(our) == entries(their) { None } else { said.into_iter().next_back() }
}

/// The lines of an INI file without its layout: genuine sops aligns entries, kveil leaves them as they are.
fn entries(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let bare = |line: &str| line.split('=').map(str::trim).collect::<Vec<_>>().join("=");
    text.lines().map(bare).filter(|line| !line.is_empty()).collect()
}

/// Both directories hold the same files.
fn files(ours: &Sandbox, theirs: &Sandbox) -> Option<String> {
    let (our, their) = (ours.listing(), theirs.listing());
    if our != their {
        return Some(format!("leaves {our:?} instead of {their:?}"));
    }
    our.iter().filter(|name| ours.path(name).is_file()).find_map(|name| {
        let fault = outputs(ours, theirs, &ours.read(name), &theirs.read(name))?;
        Some(format!("{name}: {fault}"))
    })
}

#[test]
fn encrypting() {
    chapter("encrypt.txt");
}

#[test]
fn decrypting_and_the_old_forms() {
    chapter("decrypt.txt");
}

#[test]
fn asking() {
    chapter("asking.txt");
}

#[test]
fn configuration() {
    chapter("config.txt");
}

#[test]
fn changing() {
    chapter("change.txt");
}

#[test]
fn keys() {
    chapter("keys.txt");
}

#[test]
fn running_commands() {
    chapter("run.txt");
}

/// The verbs that a help lists.
fn verbs(help: &str) -> BTreeSet<String> {
    let lines = help.lines().skip_while(|line| !line.starts_with("COMMANDS:")).skip(1);
    let names = lines.take_while(|line| line.starts_with(' ')).filter_map(|line| line.trim().split([',', ' ']).next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `docs/sops.md` lists the verbs, the flags of each verb, and the variables, that genuine sops's help shows.
#[test]
fn the_page_is_complete() {
    let page = std::fs::read_to_string(root().join("docs/sops.md")).unwrap();
    let long = regex::Regex::new(r"(?m)^ +--([a-z-]+)").unwrap();
    let variable = regex::Regex::new(r"\[\$([A-Z_]+)\]").unwrap();
    let quoted = regex::Regex::new(r"`--([a-z-]+)`").unwrap();
    let sandbox = Sandbox::new();
    let Some(call) = sandbox.genuine(["--help"]) else { return };
    let verbs = verbs(&call.run().text());
    assert!(verbs.len() > 10, "{verbs:?}");
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        // `groups` has two of its own.
        assert!(
            page.contains(&format!("| `{verb}` |")) || page.contains(&format!("| `{verb} add` |")),
            "docs/sops.md has no row of {verb}"
        );
        let flagless = verb == "completion";
        assert!(flagless || page.contains(&format!("\n### {verb}")), "docs/sops.md has no flags of {verb}");
    }
    for section in page.split("\n### ").skip(1) {
        let (verb, rest) = section.split_once('\n').unwrap();
        let words: Vec<&str> = if verb == "Without a verb" { Vec::new() } else { verb.split(' ').collect() };
        let Some(call) = sandbox.genuine(words.iter().chain(&["--help"])) else { return };
        let help = call.run().text();
        let set =
            |pattern: &regex::Regex, text: &str| pattern.captures_iter(text).map(|found| found[1].to_owned()).collect::<BTreeSet<_>>();
        let rows: String = rest
            .split("\n## ")
            .next()
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("| `--")?.split(" | ").next())
            .map(|cell| format!("`--{cell}\n"))
            .collect();
        let mut shown = set(&long, &help);
        if verb != "Without a verb" {
            shown.remove("help");
        }
        assert_eq!(set(&quoted, &rows), shown, "{verb}");
        for name in set(&variable, &help) {
            assert!(page.contains(&format!("`{name}`")), "docs/sops.md lacks {name}");
        }
    }
}
