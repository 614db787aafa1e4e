//! The promises, on generated YAML of every style: the bytes come back; genuine sops reads the same values and refuses what is
//! refused; nothing outside the replaced places changes; on any doubt the file stays. `PROPTEST_CASES` sets how many.

#[path = "generate/flat.rs"]
mod flat;
mod generate;
mod sandbox;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use sandbox::{RECIPIENT_1, Sandbox, hides, shown, tree};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// The same cases in every run; with `PROPTEST_CASES` that many, and others each time.
fn runner(cases: u32) -> TestRunner {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok());
    let config = Config {
        cases: wanted.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_time: 60_000,
        max_shrink_iters: 4096,
        ..Config::default()
    };
    match wanted {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> TestCaseResult) {
    if let Err(failure) = runner(cases).run(&strategy, test) {
        panic!("{failure}");
    }
}

/// How many were accepted, so that a generator that went wrong is seen; and what the refusals said.
#[derive(Default)]
struct Tally {
    accepted: Cell<u32>,
    refused: RefCell<BTreeMap<String, u32>>,
}

impl Tally {
    fn accept(&self) {
        self.accepted.set(self.accepted.get() + 1);
    }

    fn refuse(&self, message: &str) {
        let reason = message.lines().next().unwrap_or_default().split(": ").last().unwrap_or_default().to_owned();
        *self.refused.borrow_mut().entry(reason).or_default() += 1;
    }

    fn check(&self) {
        let refused: u32 = self.refused.borrow().values().sum();
        println!("{} accepted, {refused} refused: {:#?}", self.accepted.get(), self.refused.borrow());
        assert!(self.accepted.get() > refused, "the generator makes more that is refused than accepted: {:#?}", self.refused.borrow());
    }
}

fn reject(why: impl Into<String>, plain: &[u8]) -> TestCaseError {
    TestCaseError::fail(format!("{}\n--- the file:\n{}", why.into(), shown(plain)))
}

/// Promise 1, and that every accepted file is accepted for a reason that genuine sops shares.
#[test]
fn the_bytes_come_back() {
    let sandbox = Sandbox::with_identity();
    let tally = Tally::default();
    check(160, generate::file(), |file| {
        let plain = file.bytes();
        sandbox.write("p.yaml", &plain);
        let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run();
        if sealed.code != 0 {
            tally.refuse(&sealed.err);
            return refused_for_a_reason(&sandbox, &sealed, &plain);
        }
        tally.accept();
        sandbox.write("e.yaml", &sealed.out);
        let opened = sandbox.kveil(["decrypt", "e.yaml"]).run();
        if opened.code != 0 || opened.out != plain {
            return Err(reject(format!("came back ({}) as\n{}{}", opened.code, shown(&opened.out), opened.err), &plain));
        }
        if !kept(&plain, &sealed.out) {
            return Err(reject(format!("a clear line changed in\n{}", shown(&sealed.out)), &plain));
        }
        Ok(())
    });
    tally.check();
}

/// A refusal is no crash, says where, and is not the check of the output that failed.
fn refused_for_a_reason(sandbox: &Sandbox, done: &sandbox::Done, plain: &[u8]) -> TestCaseResult {
    if let Some(fault) = done.refusal_fault(None) {
        return Err(reject(fault, plain));
    }
    if done.err.contains("refused to write") {
        return Err(reject(done.err.clone(), plain));
    }
    if let Some(genuine) = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "p.yaml"]) {
        let allowed = ["in clear", "comment", "leading ---", "another value", "alias", "line break"];
        if genuine.run().code == 0 && !allowed.iter().any(|reason| done.err.contains(reason)) {
            return Err(reject(format!("genuine sops accepts it: {}", done.err), plain));
        }
    }
    Ok(())
}

/// Promise 3: lines that hold no value and no comment, such as `key:` alone, are all still there, in their order.
fn kept(plain: &[u8], sealed: &[u8]) -> bool {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (plain, sealed) = (text(plain), text(sealed));
    let mut rest = sealed.lines();
    let structure = |line: &&str| {
        line.trim_end().ends_with(':') && !line.contains(['#', '\'', '"', '|', '>', '&', '*']) && line.split_whitespace().count() == 1
    };
    let mut openers = plain.lines().filter(structure);
    // Text inside block scalars never ends in a colon here.
    openers.all(|opener| rest.any(|line| line.trim_end() == opener.trim_end()))
}

/// Promise 2.
#[test]
fn genuine_sops_reads_the_same_values() {
    if sandbox::tool("sops").is_none() {
        return;
    }
    let sandbox = Sandbox::with_identity();
    let tally = Tally::default();
    check(96, generate::file(), |file| {
        let plain = file.bytes();
        sandbox.write("p.yaml", &plain);
        let ours = sandbox.sops(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run();
        let theirs = sandbox.genuine(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).unwrap().run();
        if ours.code != 0 {
            tally.refuse(&ours.err);
            return refused_for_a_reason(&sandbox, &ours, &plain);
        }
        if theirs.code != 0 {
            return Err(reject(format!("genuine sops refuses it: {}", theirs.err), &plain));
        }
        tally.accept();
        sandbox.write("ours.yaml", &ours.out);
        sandbox.write("theirs.yaml", &theirs.out);
        same_for_genuine(&sandbox, &plain)?;
        // What genuine sops writes isn't always YAML: an item `[]` after a comment in clear comes to stand at the margin.
        if tree::read("yaml", &theirs.out).is_err() {
            return Ok(());
        }
        // An empty comment in a list becomes an item there.
        if !has_empty_comment(&plain) {
            hides("yaml", &plain, &theirs.out, &ours.out).map_err(|why| reject(why, &plain))?;
        }
        let back = sandbox.kveil(["decrypt", "theirs.yaml"]).run();
        if back.code != 0 {
            return Err(reject(format!("kveil can't open genuine sops's file: {}", back.err), &plain));
        }
        Ok(())
    });
    tally.check();
}

fn has_empty_comment(plain: &[u8]) -> bool {
    String::from_utf8_lossy(plain).lines().any(|line| line.trim_end().ends_with('#'))
}

/// What genuine sops prints of our file is what it prints of its own, comments aside.
fn same_for_genuine(sandbox: &Sandbox, plain: &[u8]) -> TestCaseResult {
    let read = |file: &str, kind: &str| sandbox.genuine(["decrypt", "--output-type", kind, file]).unwrap().run();
    let (got, want) = (read("ours.yaml", "yaml"), read("theirs.yaml", "yaml"));
    // Some files genuine sops can't open when it has encrypted them itself.
    if want.code != 0 {
        return if got.code == 0 { Ok(()) } else { Err(reject(got.err, plain)) };
    }
    if got.code != 0 {
        return Err(reject(format!("genuine sops: exit code {}: {}", got.code, got.err), plain));
    }
    let lone = has_empty_comment(plain);
    let (as_json, its_own) = (read("ours.yaml", "json"), read("theirs.yaml", "json"));
    if its_own.code == 0 && !lone && as_json.out != its_own.out {
        return Err(reject(
            format!("genuine sops reads\n{}\ninstead of\n{}{}", shown(&as_json.out), shown(&its_own.out), as_json.err),
            plain,
        ));
    }
    // Where genuine sops's YAML is broken, its JSON has to do.
    if lone || tree::read("yaml", &want.out).is_err() {
        return Ok(());
    }
    tree::same("yaml", &got.out, &want.out).map_err(|why| reject(why, plain))
}

/// Promise 5, for anything at all: generated files with bytes knocked out, doubled or replaced.
#[test]
fn whatever_the_bytes_the_file_is_restored_or_stays_as_it_was() {
    let sandbox = Sandbox::with_identity();
    let damage = prop::collection::vec(
        (any::<prop::sample::Index>(), prop::sample::select(&b"\n\r\t #:-'\"|>&*!%@`{}[],?\\\0\x01~\xff\xc2\x85<x0"[..]), 0..3u8),
        1..4,
    );
    check(160, (generate::file(), damage), |(file, damage)| {
        let mut plain = file.bytes();
        for (at, byte, how) in damage {
            let at = at.index(plain.len());
            match how {
                0 => plain[at] = byte,
                1 => plain.insert(at, byte),
                _ => drop(plain.remove(at)),
            }
            if plain.is_empty() {
                plain.push(b'\n');
            }
        }
        sandbox.write("p.yaml", &plain);
        let done = sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "p.yaml"]).run();
        if done.code != 0 {
            let same = sandbox.read("p.yaml") == plain && sandbox.listing() == ["p.yaml"];
            return if let Some(fault) = done.refusal_fault(None) {
                Err(reject(fault, &plain))
            } else if same {
                Ok(())
            } else {
                Err(reject("refused, and changed", &plain))
            };
        }
        let sealed = sandbox.read("p.yaml");
        let opened = sandbox.kveil(["decrypt", "-i", "p.yaml"]).run();
        if opened.code != 0 || sandbox.read("p.yaml") != plain {
            return Err(reject(format!("did not come back: {}\n{}", opened.err, shown(&sealed)), &plain));
        }
        Ok(())
    });
}

/// Hostile encrypted files: never a crash, never a byte of output from a refusal.
#[test]
fn damaged_encrypted_files_never_crash() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", "a: hidden-value\nb: [x, {c: 0x10}]\n# comment\nd: |\n  text\n---\ne: 1.50\n");
    let sealed = sandbox.sops(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok();
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8, 1..40usize), 1..4);
    check(120, damage, |damage| {
        let mut bytes = sealed.clone();
        for (at, byte, how, count) in damage {
            let at = at.index(bytes.len());
            let end = (at + count).min(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.drain(at..end)),
                _ => bytes.extend_from_within(at..end),
            }
            if bytes.is_empty() {
                bytes.push(b'a');
            }
        }
        sandbox.write("e.yaml", &bytes);
        let done = sandbox.kveil(["decrypt", "e.yaml"]).run();
        match done.refusal_fault(None) {
            Some(fault) if done.code != 0 => Err(reject(fault, &bytes)),
            _ => Ok(()),
        }
    });
}

/// Promises 1 and 2 for one of the formats without styles: the bytes come back, genuine sops reads what it reads in a file of its own,
/// and nothing that it hides is in clear.
fn kept_by_flat_format(ending: &str, plain: impl Strategy<Value = Vec<u8>>) {
    let sandbox = Sandbox::with_identity();
    let genuine = sandbox::tool("sops").is_some();
    let tally = Tally::default();
    let name = |stem: &str| format!("{stem}.{ending}");
    check(64, plain, |plain| {
        sandbox.write(&name("p"), &plain);
        let ours = sandbox.sops(["encrypt", "--age", RECIPIENT_1, &name("p")]).run();
        let theirs = genuine.then(|| sandbox.genuine(["encrypt", "--age", RECIPIENT_1, &name("p")]).unwrap().run());
        if ours.code != 0 {
            tally.refuse(&ours.err);
            let fault =
                ours.refusal_fault(None).or_else(|| theirs.filter(|done| done.code == 0).map(|_| "genuine sops accepts it".to_owned()));
            return fault.map_or(Ok(()), |fault| Err(reject(format!("{fault}: {}", ours.err), &plain)));
        }
        tally.accept();
        sandbox.write(&name("e"), &ours.out);
        let opened = sandbox.kveil(["decrypt", &name("e")]).run();
        if opened.code != 0 || opened.out != plain {
            return Err(reject(format!("came back ({}) as\n{}{}", opened.code, shown(&opened.out), opened.err), &plain));
        }
        let Some(theirs) = theirs.filter(|done| done.code == 0) else { return Ok(()) };
        sandbox.write(&name("g"), &theirs.out);
        let kind = if ending == "bin" { "binary" } else { "json" };
        let read = |file: &str| sandbox.genuine(["decrypt", "--output-type", kind, &name(file)]).unwrap().run();
        let (got, want) = (read("e"), read("g"));
        if got.code != 0 {
            return Err(reject(format!("genuine sops can't open it: {}\n{}", got.err, shown(&ours.out)), &plain));
        }
        // Keys `-` come out of genuine sops as comments.
        if want.code == 0 && want.out != got.out && !plain.contains(&b'-') {
            return Err(reject(format!("genuine sops reads\n{}\ninstead of\n{}", shown(&got.out), shown(&want.out)), &plain));
        }
        let back = sandbox.sops(["decrypt", "--output-type", kind, &name("g")]).run();
        if want.code == 0 && (back.code, &back.out) != (0, &want.out) {
            return Err(reject(format!("of genuine sops's file kveil reads\n{}{}", shown(&back.out), back.err), &plain));
        }
        Ok(())
    });
    tally.check();
}

#[test]
fn dotenv_files_come_back() {
    kept_by_flat_format("env", flat::dotenv());
}

#[test]
fn ini_files_come_back() {
    kept_by_flat_format("ini", flat::ini());
}

#[test]
fn files_of_any_bytes_come_back() {
    kept_by_flat_format("bin", flat::bytes());
}
