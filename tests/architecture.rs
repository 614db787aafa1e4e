//! The shape of the crate: who may import whom, tables against folders, bounds that keep files readable.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may import beside itself and `error`. `cli` is imported by nobody but `main.rs`.
const DIRECTIONS: [(&str, &[&str]); 16] = [
    ("error", &[]),
    ("document", &[]),
    ("shamir", &[]),
    ("pattern", &[]),
    ("source", &[]),
    ("metadata", &["document"]),
    ("recipient", &["document"]),
    ("kubernetes", &["document"]),
    ("config", &["document", "metadata", "pattern", "recipient"]),
    ("select", &["config", "document", "kubernetes", "metadata", "pattern"]),
    ("datakey", &["document", "metadata", "recipient", "shamir"]),
    ("seal", &["datakey", "document", "metadata", "select"]),
    ("pipeline", &["datakey", "document", "metadata", "recipient", "seal", "select"]),
    ("git", &["datakey", "document", "metadata", "pipeline", "seal", "select", "source"]),
    ("deploy", &["datakey", "document", "metadata", "pipeline", "seal", "select", "source"]),
    ("lint", &["config", "datakey", "document", "kubernetes", "metadata", "pipeline", "seal", "select", "source"]),
];

/// Longest file without its tests. Parsers may be longer: cutting one apart helps nobody.
const LINES: usize = 520;
const PARSER_LINES: usize = 900;
const PARSERS: [&str; 4] = ["src/document/yaml.rs", "src/document/yaml_lines.rs", "src/document/json_scan.rs", "src/pattern/syntax.rs"];
const FUNCTION_LINES: usize = 80;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of src").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).expect("inside").to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).expect("source text")));
            }
        }
    }
    found.sort();
    found
}

/// The text before the unit tests.
fn untested(text: &str) -> &str {
    let end = ["#[cfg(test)]\nmod ", "#[cfg(all(test, "].iter().filter_map(|mark| text.find(mark)).min();
    &text[..end.unwrap_or(text.len())]
}

/// The lines before the unit tests, comments left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    untested(text).lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_tests(name: &str) -> bool {
    name.ends_with("/tests.rs")
}

fn room(name: &str) -> &str {
    name.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

#[test]
fn imports_follow_the_flow() {
    let mut wrong = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_tests(name)) {
        let from = room(name);
        if matches!(from, "cli" | "main" | "lib") {
            continue;
        }
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(room, _)| *room == from) else {
            wrong.push(format!("{name}: the room {from} has no row in DIRECTIONS"));
            continue;
        };
        for (line, text) in code(text) {
            for rest in text.split("crate::").skip(1) {
                let to: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if to != from && to != "error" && !to.is_empty() && !allowed.contains(&to.as_str()) {
                    wrong.push(format!("{name}:{line}: {from} imports {to}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names of the files of a folder that declare a row themselves.
fn files(folder: &str, others: &[&str]) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder").flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned));
    names.filter(|name| !others.contains(&name.as_str())).collect()
}

#[test]
fn every_command_file_has_its_row() {
    let table = fs::read_to_string(root().join("src/cli/mod.rs")).expect("the table");
    let rows: BTreeSet<String> = table
        .lines()
        .filter_map(|line| {
            line.trim().strip_prefix("command!(\"")?.split_once("\", ").map(|(_, module)| module.trim_end_matches("),").to_owned())
        })
        .collect();
    let shared = ["mod", "argv", "clock", "context", "files", "flags", "report", "settings"];
    assert_eq!(rows, files("src/cli", &shared));
}

#[test]
fn every_recipient_kind_file_has_its_row() {
    let table = fs::read_to_string(root().join("src/recipient/mod.rs")).expect("the table");
    for kind in files("src/recipient", &["mod", "environment", "elsewhere"]) {
        assert!(table.contains(&format!("&{kind}::")), "{kind} has no row in KINDS");
    }
    for field in kveil::metadata::ENTRY_FIELDS {
        assert!(kveil::recipient::kind_by_field(field).is_some(), "{field} has no row in KINDS");
    }
}

#[test]
fn every_format_has_its_row() {
    let implementing = sources().iter().filter(|(_, text)| text.contains("impl Format for ")).count();
    assert_eq!(implementing, kveil::document::FORMATS.len());
    let mut endings: Vec<&str> = kveil::document::FORMATS.iter().flat_map(|format| format.extensions()).copied().collect();
    let all = endings.len();
    endings.sort_unstable();
    endings.dedup();
    assert_eq!(all, endings.len(), "two formats claim one ending");
}

#[test]
fn files_and_functions_stay_readable() {
    let mut wrong = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_tests(name)) {
        let text = untested(text);
        let lines = text.lines().count();
        let bound = if PARSERS.contains(&name.as_str()) { PARSER_LINES } else { LINES };
        if lines > bound {
            wrong.push(format!("{name}: {lines} lines, at most {bound}"));
        }
        let mut start = None;
        for (at, line) in text.lines().enumerate() {
            let opening = line.trim_start();
            let indent = line.len() - opening.len();
            if indent <= 4 && (opening.starts_with("fn ") || opening.starts_with("pub fn ") || opening.starts_with("pub(super) fn ")) {
                start = Some(at);
            }
            if indent <= 4
                && opening == "}"
                && let Some(begun) = start.take()
                && at - begun > FUNCTION_LINES
            {
                wrong.push(format!("{name}:{}: a function of {} lines", begun + 1, at - begun));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn main_only_starts_the_command_line() {
    let main = fs::read_to_string(root().join("src/main.rs")).expect("main");
    assert!(main.lines().count() < 20);
}

#[test]
fn nothing_from_outside_can_panic_or_print() {
    let forbidden = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "dbg!(", "println!(", "print!("];
    let mut wrong = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !is_tests(name)) {
        for (line, text) in code(text) {
            if forbidden.iter().any(|word| text.contains(word)) {
                wrong.push(format!("{name}:{line}: {}", text.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_room_is_named_after_nothing() {
    for (name, _) in sources() {
        let parts: Vec<&str> = name.trim_end_matches(".rs").split('/').collect();
        assert!(!parts.iter().any(|part| ["utils", "helpers", "common", "core", "misc"].contains(part)), "{name}");
    }
}

#[test]
fn only_rooms_at_the_rim_touch_files_processes_and_the_clock() {
    let words = ["std::fs", "std::net", "std::process::Command", "SystemTime"];
    for (name, text) in sources().iter().filter(|(name, _)| !is_tests(name)) {
        if matches!(room(name), "source" | "recipient" | "git" | "deploy" | "cli" | "main") {
            continue;
        }
        for (line, text) in code(text) {
            assert!(!words.iter().any(|word| text.contains(word)), "{name}:{line}: {}", text.trim());
        }
    }
}

#[test]
fn the_project_stands_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"] {
        assert!(folder.join(name).is_file(), "{name} is missing");
    }
}
