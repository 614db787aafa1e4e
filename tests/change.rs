//! Changes of plain text, on generated YAML of every style: what was set is there, every other value and every other line is as
//! it was. `PROPTEST_CASES` sets how many.

mod generate;

use kveil::document::change::{self, Changed};
use kveil::document::index_path::Index;
use kveil::document::json;
use kveil::document::value::Value;
use kveil::document::yaml::Yaml;
use kveil::document::{Document, Format, Kind, NONE, NodeId};
use kveil::error::Error;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use std::cell::Cell;

fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> TestCaseResult) {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok());
    let config = Config {
        cases: wanted.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_time: 60_000,
        max_shrink_iters: 600,
        ..Config::default()
    };
    let mut runner = match wanted {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    if let Err(failure) = runner.run(&strategy, test) {
        panic!("{failure}");
    }
}

/// The changed text, if it reads as it should.
fn read(document: &Document<'_>, changed: &Changed) -> Result<String, Error> {
    let again = changed.read(document.format)?;
    changed.check(document, &again)?;
    Ok(again.source.to_owned())
}

/// A value, in JSON.
fn value() -> impl Strategy<Value = String> {
    let odd =
        vec!["", "5", "true", "a: b", "- x", "# no", "it's", "a\nb", "a\nb\n", " a\n\tb\n\n", "\n", "Ærø\u{85}", "[x", "y", "~", "{{ a }}"];
    let text = prop_oneof![4 => "[a-z]{1,8}", 1 => prop::sample::select(odd).prop_map(str::to_owned), 1 => any::<String>()];
    let quoted = |text: String| {
        let mut out = String::new();
        json::quote(&text, &mut out);
        out
    };
    let other = vec!["5", "-1", "5.0", "1e3", "1e-7", "9223372036854775807", "12345678901234567890", "true", "false", "null"];
    let leaf = prop_oneof![2 => text.prop_map(quoted), 1 => prop::sample::select(other).prop_map(str::to_owned)];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let entry = move |(key, value): (String, String)| format!("{}: {value}", quoted(key));
        let entries = prop::collection::btree_map("[a-z]{1,3}|a\\.b|x y", inner.clone(), 0..3);
        prop_oneof![
            entries.prop_map(move |entries| format!("{{{}}}", entries.into_iter().map(entry).collect::<Vec<_>>().join(", "))),
            prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    })
}

/// All places of the first document, with their paths.
fn places(document: &Document<'_>) -> Vec<(Vec<Index>, NodeId)> {
    fn walk(document: &Document<'_>, id: NodeId, path: &[Index], found: &mut Vec<(Vec<Index>, NodeId)>) {
        found.push((path.to_vec(), id));
        let deeper = |step| [path, &[step]].concat();
        match document.node(id).kind {
            Kind::Mapping => {
                for (key, value) in document.entries(id) {
                    walk(document, value, &deeper(Index::Key(document.key_text(key).to_owned())), found);
                }
            }
            Kind::Sequence => {
                for (at, item) in document.children(id).enumerate() {
                    walk(document, item, &deeper(Index::Item(at as i64)), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if document.parts[0].root != NONE {
        walk(document, document.parts[0].root, &[], &mut found);
    }
    found
}

/// The lines outside `from..to`, which must all be there still, in their order.
fn others(text: &str, from: usize, to: usize) -> impl Iterator<Item = &str> {
    let mut at = 0;
    text.lines().filter(move |line| {
        let start = at;
        at += line.len() + 1;
        !(line.trim().is_empty() || start < to && start + line.len() >= from)
    })
}

fn same_elsewhere(document: &Document<'_>, id: NodeId, appended: bool, changed: &str) -> bool {
    let text = document.source;
    if text.contains("*x") || text.contains('\r') {
        return true;
    }
    // A block scalar that ends the file without a line break gets another header when something follows.
    if appended && !text.ends_with('\n') && document.nodes.last().is_some_and(|node| node.is_block_scalar()) {
        return true;
    }
    let node = document.node(id);
    // A value's lines begin with its key, and end with the comments at its foot; in brackets the last line gets a comma.
    let (start, end) = match (appended, node.flow) {
        (true, false) => (node.span.end as usize, node.span.end as usize),
        (true, true) => (node.span.start as usize, node.span.end as usize),
        _ => (document.node(id.saturating_sub(1)).span.start as usize, node.span.end as usize),
    };
    let foot = document.comments.iter().filter(|comment| comment.container != NONE && (id..node.end).contains(&comment.container));
    let end = foot.map(|comment| comment.span.end as usize).fold(end, usize::max);
    let mut rest = changed.trim_start_matches('\u{feff}').lines();
    let lost = others(text, start, end).find(|line| !rest.any(|other| other.trim_end() == line.trim_start_matches('\u{feff}').trim_end()));
    lost.is_none()
}

fn fail(why: &str, text: &str, path: &[Index], changed: &str) -> TestCaseError {
    TestCaseError::fail(format!("{why} at {}\n--- before\n{text}\n--- after\n{changed}", kveil::document::index_path::shown(path)))
}

/// Layouts that a change can't be made in are few.
#[derive(Default)]
struct Tally {
    done: Cell<u32>,
    refused: Cell<u32>,
}

impl Tally {
    fn refuse(&self, error: &Error, text: &str, path: &[Index]) -> TestCaseResult {
        self.refused.set(self.refused.get() + 1);
        if std::env::var_os("STRICT").is_some() { Err(fail(&error.to_string(), text, path, "")) } else { Ok(()) }
    }

    fn check(&self) {
        println!("{} changed, {} refused", self.done.get(), self.refused.get());
        assert!(self.done.get() > 40 * self.refused.get(), "{} refused of {}", self.refused.get(), self.done.get());
    }
}

#[test]
fn what_is_set_is_there_and_nothing_else_changes() {
    let tally = Tally::default();
    let strategy = (generate::file(), any::<prop::sample::Index>(), 0..6usize, value());
    check(600, strategy, |(file, at, kind, value)| {
        let value = json::value_of(&value).unwrap();
        let text = String::from_utf8(file.bytes()).unwrap();
        let Ok(document) = Yaml.parse(&text) else { return Ok(()) };
        let places = places(&document);
        let (mut path, id) = at.get(&places).clone();
        let appended = kind < 2 && document.node(id).is_collection() || path.is_empty();
        if appended {
            path.push(if document.node(id).kind == Kind::Mapping { Index::Key("new-key".to_owned()) } else { Index::Item(99) });
        }
        let changed = match change::set(&document, &path, &value).and_then(|changed| read(&document, &changed)) {
            Ok(changed) => changed,
            Err(error) => return tally.refuse(&error, &text, &path),
        };
        tally.done.set(tally.done.get() + 1);
        let again = Yaml.parse(&changed).map_err(|error| fail(&error.to_string(), &text, &path, &changed))?;
        let root = Value::of(&again, again.parts[0].root).unwrap();
        let there = path.iter().try_fold(&root, |value, step| match step {
            Index::Key(key) => value.get(key),
            Index::Item(99) => value.items().last(),
            Index::Item(at) => value.items().get(*at as usize),
        });
        if there != Some(&value) {
            return Err(fail("not there", &text, &path, &changed));
        }
        if !same_elsewhere(&document, id, appended, &changed) {
            return Err(fail("another line changed", &text, &path, &changed));
        }
        let bare = changed.replace("\r\n", "").contains('\n');
        if file_is_crlf(&text) && bare && !text.replace("\r\n", "").contains('\n') {
            return Err(fail("a line break of another kind", &text, &path, &changed));
        }
        Ok(())
    });
    tally.check();
}

fn file_is_crlf(text: &str) -> bool {
    text.contains("\r\n")
}

#[test]
fn what_is_unset_is_gone_and_nothing_else_changes() {
    let tally = Tally::default();
    check(600, (generate::file(), any::<prop::sample::Index>()), |(file, at)| {
        let text = String::from_utf8(file.bytes()).unwrap();
        let Ok(document) = Yaml.parse(&text) else { return Ok(()) };
        let places = places(&document);
        let (path, id) = at.get(&places).clone();
        if path.is_empty() {
            return Ok(());
        }
        let changed = match change::unset(&document, &path).and_then(|changed| changed.map(|changed| read(&document, &changed)).transpose())
        {
            Ok(Some(changed)) => changed,
            Ok(None) => return Err(fail("not found", &text, &path, "")),
            Err(error) => return tally.refuse(&error, &text, &path),
        };
        tally.done.set(tally.done.get() + 1);
        let last = document.node(document.node(id).parent).end == document.node(id).end;
        let only = last && document.children(document.node(id).parent).take_while(|child| *child < id).count() < 2;
        let gone = if only { document.node(id).parent } else { id };
        if document.node(gone).role != kveil::document::Role::Root && !same_elsewhere(&document, gone, false, &changed) {
            return Err(fail("another line changed", &text, &path, &changed));
        }
        Ok(())
    });
    tally.check();
}
