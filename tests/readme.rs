//! The commands of README.md and of the examples: each block of `sh` that begins with `$ ` is run, and what it shows is what comes.

mod sandbox;

use sandbox::{Sandbox, root, tool};
use std::path::{Path, PathBuf};

/// A line that begins with `$ `, and the lines below it.
struct Command {
    line: String,
    /// What the page shows; empty where it shows nothing, and then anything may come.
    shown: Vec<String>,
}

/// The blocks of commands of a page.
fn blocks(page: &str) -> Vec<Vec<Command>> {
    let mut blocks = Vec::new();
    let mut rest = page.split("\n```sh\n").skip(1);
    for block in rest.by_ref() {
        let text = block.split("\n```").next().unwrap_or_default();
        if text.starts_with("$ ") {
            blocks.push(commands(text));
        }
    }
    blocks
}

fn commands(block: &str) -> Vec<Command> {
    let mut found: Vec<Command> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push(Command { line: command.to_owned(), shown: Vec::new() }),
            (None, Some(command)) if command.line.ends_with('\\') => command.line = format!("{}\n{line}", command.line),
            (None, Some(command)) => command.shown.push(line.to_owned()),
            (None, None) => {}
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (source, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if source.is_dir() {
            copy(&source, &target)
        } else {
            let _ = std::fs::copy(&source, &target).unwrap();
        }
    }
}

/// Runs the page's blocks one after the other in `folder`; the environment of a block reaches the next.
fn run(page: &Path, sandbox: &Sandbox, folder: &Path) -> usize {
    let text = std::fs::read_to_string(page).unwrap();
    let mut before = String::new();
    let mut count = 0;
    for command in blocks(&text).into_iter().flatten() {
        if let Some(export) = command.line.strip_prefix("export ") {
            before = format!("{before}export {export}\n");
            continue;
        }
        // Building and installing is what led here.
        if command.line.starts_with("cargo ") || command.line.starts_with("git clone ") {
            continue;
        }
        let done = sandbox.shell(&format!("set -eo pipefail\n{before}{}", command.line)).within(folder).run();
        assert_eq!(done.code, 0, "{}: $ {}\n{}", page.display(), command.line, done.err);
        if !command.shown.is_empty() {
            let out = String::from_utf8_lossy(&done.out).into_owned();
            assert!(
                matches(&command.shown, &out),
                "{}: $ {}\nshows\n{}\nprints\n{out}{}",
                page.display(),
                command.line,
                command.shown.join("\n"),
                done.err
            );
        }
        count += 1;
    }
    count
}

/// Line by line; `…` stands for anything, a line of `…` for any lines.
fn matches(shown: &[String], out: &str) -> bool {
    let pattern: Vec<String> = shown
        .iter()
        .map(|line| if line.trim() == "…" { "(?:.*\n)*?".to_owned() } else { regex::escape(line).replace('…', ".*") + "\n" })
        .collect();
    let out = if out.ends_with('\n') || out.is_empty() { out.to_owned() } else { format!("{out}\n") };
    regex::Regex::new(&format!("^{}$", pattern.concat())).unwrap().is_match(&out)
}

/// Programs of others that pages call.
const TOOLS: [&str; 1] = ["kustomize"];

/// Whether the tools that a page calls are there; puts them into the `PATH`. `kveil build` calls one, too.
fn has_tools(page: &Path, sandbox: &Sandbox) -> bool {
    let text = std::fs::read_to_string(page).unwrap();
    let lines: Vec<String> = blocks(&text).into_iter().flatten().map(|command| command.line).collect();
    let calls = |tool: &str| lines.iter().any(|line| line.contains(&format!("{tool} build")) || line.contains("kveil build"));
    // A page is about one of the two Helms.
    let helm = if text.starts_with("# Helm 3") { "helm3" } else { "helm4" };
    let helm = lines.iter().any(|line| line.contains("helm ")).then_some((helm, "helm"));
    TOOLS.into_iter().filter(|name| calls(name)).map(|name| (name, name)).chain(helm).all(|(name, called)| {
        let found = tool(name);
        found.is_some_and(|found| {
            sandbox::link(&found, &sandbox.home().with_file_name("bin").join(called));
            true
        })
    })
}

#[test]
fn the_commands_of_every_example_work() {
    let mut pages = 0;
    for entry in std::fs::read_dir(root().join("examples")).unwrap() {
        let folder: PathBuf = entry.unwrap().path();
        let sandbox = Sandbox::new();
        if !has_tools(&folder.join("README.md"), &sandbox) {
            continue;
        }
        let copied = sandbox.path("example");
        copy(&folder, &copied);
        assert!(run(&folder.join("README.md"), &sandbox, &copied) > 0, "{} has no command", folder.display());
        pages += 1;
    }
    assert!(pages > 0);
}

#[test]
fn the_commands_of_the_front_page_work() {
    let page = root().join("README.md");
    let sandbox = Sandbox::new();
    copy(&root().join("examples"), &sandbox.path("examples"));
    assert!(run(&page, &sandbox, &sandbox.work()) > 0, "README.md has no command");
}

#[cfg(all(unix, feature = "age"))]
#[test]
fn every_recipient_goes_from_nothing_to_an_encrypted_file() {
    let sandbox = Sandbox::new();
    assert!(run(&root().join("docs/recipients.md"), &sandbox, &sandbox.work()) > 0, "docs/recipients.md has no command");
}

#[test]
fn what_a_page_shows_is_compared() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a: …\n…\nend"), "a: 1\nb\nc\nend\n"));
    assert!(!matches(&lines("a: 1"), "a: 2\n"));
    assert!(!matches(&lines("a: 1"), "a: 1\nb: 2\n"));
}
