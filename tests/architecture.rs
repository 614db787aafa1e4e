//! The shape of the source: who may import whom, what every table must list, and the bounds of files.

mod sandbox;

use sandbox::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each room may import beside itself. A room that isn't listed may import everything but `cli`.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("error", &[]),
    ("sorting", &[]),
    ("secret", &[]),
    ("document", &["error", "secret", "sorting"]),
    ("shamir", &["error"]),
    ("pattern", &["error"]),
    ("source", &["error"]),
    ("kubernetes", &["error", "document"]),
    ("recipient", &["error", "document", "sorting"]),
    ("metadata", &["error", "document", "sorting"]),
    // A rule holds recipients and a selector in their own types, so that no text is read twice.
    ("config", &["error", "document", "pattern", "recipient", "metadata", "sorting"]),
    ("select", &["error", "document", "pattern", "config", "kubernetes", "metadata"]),
    ("datakey", &["error", "document", "recipient", "metadata", "shamir", "sorting"]),
];
/// `seal` stands on nearly all of these, and on nothing that reads or writes files.
const SEAL: [&str; 8] = ["error", "secret", "document", "pattern", "metadata", "select", "datakey", "recipient"];
/// What a crate begins with: the engine, which is compiled for speed; the program around it, compiled for size; what puts both
/// together.
const CRATES: [&str; 4] = ["main", "lib", "engine", "program"];
/// The part of `deploy` that may read, write and run; the rest of it is given texts.
const DEPLOY_IO: &str = "deploy/build";
/// Rooms that `cli` calls, and that never call back.
const NOT_FROM_BELOW: &str = "cli";
/// A file of code, without its tests.
const LINES: usize = 500;
/// A parser may be longer.
const PARSER_LINES: usize = 900;
const PARSERS: [&str; 4] = ["document/yaml.rs", "document/json_scan.rs", "document/render.rs", "pattern/syntax.rs"];
/// Who prints: the report, the look at what is a terminal, and what writes to a file that is standard output under its path.
const PRINT: [&str; 3] = ["cli/report.rs", "cli/context.rs", "source.rs"];

struct Source {
    /// Below `src/`, with `/`.
    name: String,
    /// Up to the unit tests.
    code: String,
}

impl Source {
    fn room(&self) -> &str {
        self.name.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// The code lines without comments, numbered from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    let is_test =
        |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == "tests") || path.components().any(|part| part.as_os_str() == "tests");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        let code = text.split("\nmod tests {").next().unwrap().to_owned();
        Source { name, code }
    };
    paths.into_iter().filter(|path| !is_test(path)).map(read).collect()
}

fn tell(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

/// The rooms named after `crate::` in a line, those in braces included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut names = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => names.push('\n'),
                    c if depth == 1 => names.push(c),
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            found.extend(names.lines().map(|name| name.trim().split("::").next().unwrap().to_owned()));
        } else {
            found.insert(rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn rooms_import_only_what_stands_before_them() {
    let mut wrong = Vec::new();
    let rooms: BTreeSet<String> = sources().iter().map(|source| source.room().to_owned()).collect();
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().chain([("seal", SEAL.as_slice())]).collect();
    for source in sources() {
        let room = source.room().to_owned();
        if CRATES.contains(&room.as_str()) {
            continue;
        }
        let code: String = source.lines().map(|(_, line)| format!("{line}\n")).collect();
        for other in imports(&code).into_iter().filter(|other| rooms.contains(other) && *other != room) {
            let fine = match allowed.get(room.as_str()) {
                Some(allowed) => allowed.contains(&other.as_str()),
                None => room == NOT_FROM_BELOW || other != NOT_FROM_BELOW,
            };
            if !fine {
                wrong.push(format!("src/{} imports {other}", source.name));
            }
        }
    }
    tell("imports against the direction of the flow", &wrong);
    assert_eq!(
        imports("use crate::{error::{Error, Kind}, document};\nlet x = crate::seal::mac::f();"),
        ["document", "error", "seal"].map(str::to_owned).into()
    );
}

/// The names of the modules in a folder.
fn modules(folder: &str) -> BTreeSet<String> {
    let inside = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (path.is_dir() || path.extension().is_some_and(|extension| extension == "rs")).then_some(name)
    };
    let entries = std::fs::read_dir(root().join("src").join(folder)).unwrap();
    entries.filter_map(|entry| inside(entry.unwrap().path())).filter(|name| name != "mod" && name != "tests").collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join("src").join(file)).unwrap()
}

/// Modules of `src/cli` that are no commands.
const CLI_PARTS: &[&str] = &[
    // One a line, sorted.
    "argv",
    "ask",
    "clock",
    "consent",
    "context",
    "earlier",
    "editor",
    "files",
    "flags",
    "identities",
    "in_place",
    "jail",
    "left",
    "paths",
    "policy",
    "report",
    "rewrite",
    "settings",
    "staged",
    "usage",
];

#[test]
fn every_command_has_its_file_and_its_row() {
    let table = read("cli/mod.rs");
    let sandbox = sandbox::Sandbox::new();
    let help = sandbox.kveil(["--help"]).run().text();
    let listed: BTreeSet<String> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .filter(|name| name != "help")
        .collect();
    let commands: BTreeSet<String> = modules("cli").into_iter().filter(|name| !CLI_PARTS.contains(&name.as_str())).collect();
    for command in &commands {
        assert!(
            table.contains(&format!("mod {command};")) && table.contains(&format!("\"{}\", {command})", command.replace('_', "-"))),
            "{command} has no row in src/cli/mod.rs"
        );
        let verb = command.replace('_', "-");
        assert!(listed.contains(&verb), "kveil --help doesn't list {verb}: {listed:?}");
    }
    assert_eq!(listed.len(), commands.len(), "{listed:?} and {commands:?}");
}

/// Modules of `src/recipient` that are no kinds.
const RECIPIENT_PARTS: [&str; 8] = ["environment", "http_service", "network", "probe", "refusal", "service", "trust", "unwrapped"];

#[test]
fn every_kind_of_recipient_has_its_row() {
    let table = read("recipient/mod.rs");
    for kind in modules("recipient").iter().filter(|name| !RECIPIENT_PARTS.contains(&name.as_str())) {
        assert!(
            table.contains(&format!("mod {kind};")) && table.contains(&format!("{kind}::")),
            "{kind} has no row in src/recipient/mod.rs"
        );
    }
}

/// Modules of `src/recipient/age` that are no varieties of recipients.
const AGE_PARTS: [&str; 6] = ["command", "keyfile", "opening", "passphrase", "sources", "terminal"];

#[test]
fn every_variety_of_age_recipients_has_its_row() {
    let text = read("recipient/age/mod.rs");
    let table = text.split("static VARIETIES").nth(1).unwrap().split(';').nth(1).unwrap();
    for variety in modules("recipient/age").iter().filter(|name| !AGE_PARTS.contains(&name.as_str())) {
        assert!(table.contains(&format!("{variety}::")), "{variety} has no row in {table}");
    }
}

/// Modules of `src/lint` that are no families of rules.
const LINT_PARTS: [&str; 7] = ["argocd", "baseline", "judge", "nested", "output", "shown", "template"];

#[test]
fn every_family_of_rules_and_every_output_has_its_row() {
    let table = read("lint/mod.rs");
    for family in modules("lint").iter().filter(|name| !LINT_PARTS.contains(&name.as_str())) {
        assert!(table.contains(&format!("Family {{ rules: {family}::RULES,")), "{family} has no row in src/lint/mod.rs");
    }
    let table = read("lint/output/mod.rs");
    for form in modules("lint/output") {
        assert!(table.contains(&format!("write: {form}::write,")), "{form} has no row in src/lint/output/mod.rs");
    }
}

#[test]
fn rules_get_texts_and_read_nothing_themselves() {
    let mut found = Vec::new();
    for source in sources().into_iter().filter(|source| source.room() == "lint") {
        for (at, line) in source.lines() {
            let words = ["std::fs", "std::process", "std::net", "std::env", "std::time", "crate::source", "crate::git", "crate::cli"];
            found.extend(words.iter().filter(|word| line.contains(**word)).map(|word| format!("src/{}:{at}: {word}", source.name)));
        }
    }
    tell("files, processes or the clock in rules", &found);
}

#[test]
fn every_format_has_its_row() {
    let table = read("document/mod.rs");
    for format in ["yaml", "json", "dotenv", "ini", "binary"] {
        assert!(modules("document").contains(format));
        assert!(
            table.contains(&format!("mod {format};")) && table.contains(&format!("{format}::")),
            "{format} has no row in src/document/mod.rs"
        );
    }
}

#[test]
fn every_module_is_compiled() {
    let mut forgotten = Vec::new();
    for source in sources() {
        let path = Path::new(&source.name);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name == "mod" || CRATES.contains(&name.as_str()) {
            continue;
        }
        // Its parent, or a neighbour that names it by its path.
        let folder = root().join("src").join(path.parent().unwrap());
        let neighbours = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).chain([folder.with_extension("rs")]);
        let declared = neighbours.filter_map(|file| std::fs::read_to_string(file).ok()).any(|text| text.contains(&format!("mod {name};")));
        if !declared {
            forgotten.push(format!("src/{} is declared nowhere", source.name));
        }
    }
    tell("files that nothing compiles", &forgotten);
}

/// A room belongs to one crate, and the program passes on the whole engine.
#[test]
fn the_program_has_the_rooms_of_the_engine() {
    let rooms = |file: &str| -> BTreeSet<String> {
        read(file).lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned())).collect()
    };
    let program = read("program.rs");
    let passed_on: BTreeSet<String> = program
        .split_once("pub use kveil_engine::{")
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(names, _)| names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect())
        .unwrap_or_default();
    assert_eq!(passed_on, rooms("engine.rs"));
    assert!(rooms("program.rs").is_disjoint(&passed_on));
}

#[test]
fn deploying_reads_no_file_but_where_it_builds() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.room() == "deploy" && !source.name.starts_with(DEPLOY_IO)) {
        let touches =
            |line: &str| ["std::fs", "std::process", "std::net", "std::env", "crate::source"].iter().any(|word| line.contains(word));
        found.extend(source.lines().filter(|(_, line)| touches(line)).map(|(at, _)| format!("src/{}:{at}", source.name)));
    }
    tell("files or programs beside deploy::build", &found);
}

#[test]
fn files_stay_within_their_bounds() {
    let bound = |name: &str| {
        let parser = PARSERS.contains(&name).then_some(PARSER_LINES);
        parser.unwrap_or(LINES)
    };
    let long = |source: &Source| {
        (source.code.lines().count() > bound(&source.name)).then(|| format!("src/{}: {} lines", source.name, source.code.lines().count()))
    };
    tell("too long", &sources().iter().filter_map(long).collect::<Vec<_>>());
    assert!(read("main.rs").lines().count() < 20, "main.rs has 20 lines or more");
}

#[test]
fn functions_stay_within_their_bounds() {
    let mut lengths = Vec::new();
    let mut long = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.code.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let text = line.trim_start();
            let indent = line.len() - text.len();
            let begins = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn ", "pub const fn "]
                .iter()
                .any(|word| text.starts_with(word));
            if !begins || text.ends_with(';') {
                continue;
            }
            let end = if text.ends_with('}') {
                Some(0)
            } else {
                lines[at..].iter().position(|line| line.len() == indent + 1 && line.ends_with('}'))
            };
            let length = end.unwrap_or(0) + 1;
            lengths.push(length);
            if length > 80 {
                long.push(format!("src/{}:{}: {length} lines", source.name, at + 1));
            }
        }
    }
    tell("functions of more than 80 lines", &long);
    lengths.sort_unstable();
    let (median, p90) = (lengths[lengths.len() / 2], lengths[lengths.len() * 9 / 10]);
    assert!(median <= 12 && p90 <= 40, "of {} functions the median has {median} lines, the 90th percentile {p90}", lengths.len());
}

#[test]
fn nothing_panics_or_prints_outside_its_place() {
    let mut found = Vec::new();
    for source in sources() {
        for (at, line) in source.lines() {
            let panics =
                [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "dbg!("].iter().find(|word| line.contains(**word));
            let prints = ["println!(", "print!(", "::stdout()", "::stderr()"]
                .iter()
                .find(|word| line.contains(**word))
                .filter(|_| !PRINT.contains(&source.name.as_str()));
            if let Some(word) = panics.or(prints) {
                found.push(format!("src/{}:{at}: {word}", source.name));
            }
        }
    }
    tell("panics, or prints beside the report", &found);
}

/// `\w`, `\s`, `\d` and `\b` need tables of Unicode that kveil is built without. Tests have them, through what they are built
/// with, so that such an expression works here, and nowhere else.
#[test]
fn expressions_do_without_tables_that_only_tests_have() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.name.starts_with("pattern")) {
        for written in source.code.split("Regex::new(").skip(1) {
            let expression = written.split(").ok()").next().unwrap_or_default();
            let bare = ["\\w", "\\W", "\\s", "\\S", "\\d", "\\D", "\\b", "\\B"].iter().find(|class| expression.contains(**class));
            wrong.extend(bare.map(|class| format!("src/{}: {class}, write [[:word:]] or alike", source.name)));
        }
    }
    tell("an expression that isn't one", &wrong);
}

#[test]
fn names_say_what_is_inside() {
    let vague = ["utils", "util", "helpers", "helper", "common", "core", "misc"];
    let found: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.name.trim_end_matches(".rs").split('/').any(|part| vague.contains(&part)))
        .map(|source| source.name)
        .collect();
    tell("vague names", &found);
}
