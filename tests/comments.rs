//! Encrypted comments at any place: genuine sops ties a comment to a collection by columns and blank lines, and decrypts it
//! under that key path only.

mod sandbox;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sandbox::{RECIPIENT_1, Sandbox};

/// Files without comments: mappings and lists of all layouts, values of all styles, values left out.
const FILES: [&str; 7] = [
    "a:\n  b:\n    c: 1\n    d: x\n  e:\n    - x\n    - y\nf: z\n",
    "a:\n- x\n- b: 1\n  c: 2\n- - y\n  - z\nd:\n- x\n",
    "a: &one\n    b: 1\nc: !!map\n    d: |\n        text\n    e: &two\n    - x\n    - &three\nf:\n  -\n    g: 1\n",
    "a:\n  b:\n  c: [1, 2]\n  d:\n    - \n    - x\ne: {f: 1}\ng:\n  - \n",
    "a:\n  b: 1\n---\n  c:\n    d: 1\n  e:\n  - x\n...\n---\nf:\n    - g: 1\n      h:\n        - 2\n",
    "a:\n    - b: |-\n        text\n      c: \"q\"\n    - d: >\n        folded\n        text\n\ne: 1\n",
    "a: &x\n  b: 1\n  c: 2\nd: *x\ne:\n  <<: *x\n  f: &y [1]\n  g: *y\nh: {i: [1],\n  j: 2}\n",
];

/// A file with comments and blank lines put in: above lines, at columns that fit and others, and beside them. With both kinds of
/// line ends: a blank line isn't the same in both to sops.
fn file() -> impl Strategy<Value = String> {
    let comment = (0_usize..12, prop_oneof![4 => 0_usize..9, 1 => Just(usize::MAX)], any::<bool>());
    (0..FILES.len(), proptest::collection::vec(comment, 1..6), any::<bool>()).prop_map(|(file, comments, crlf)| {
        let mut lines: Vec<String> = FILES[file].lines().map(str::to_owned).collect();
        for (number, (line, column, blank)) in comments.into_iter().enumerate() {
            let at = line % (lines.len() + 1);
            match lines.get_mut(at) {
                Some(line) if column == usize::MAX => line.push_str(&format!(" # beside {number}")),
                _ => {
                    lines.insert(at, format!("{:1$}# above {number}", "", column % 9));
                    if blank {
                        lines.insert(at + usize::from(number % 2 == 0), String::new());
                    }
                }
            }
        }
        let end = if crlf { "\r\n" } else { "\n" };
        lines.join(end) + end
    })
}

/// Everything in the file is encrypted; both programs bring all back.
fn check(sandbox: &Sandbox, plain: &str) -> Result<(), TestCaseError> {
    sandbox.write("plain.yaml", plain);
    let sealed = sandbox.kveil(["encrypt", "--unencrypted-suffix", "_clear", "--age", RECIPIENT_1, "plain.yaml"]).run();
    if sealed.code != 0 {
        // A line within a scalar.
        return Err(TestCaseError::reject("not YAML"));
    }
    sandbox.write("sealed.yaml", &sealed.out);
    prop_assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).run().ok(), plain.as_bytes());
    opens(sandbox, plain)?;
    sandbox.kveil(["set", "sealed.yaml", "[\"new\"]", "1"]).run().ok();
    opens(sandbox, plain)
}

/// Genuine sops shows no token.
fn opens(sandbox: &Sandbox, plain: &str) -> Result<(), TestCaseError> {
    let call = sandbox.genuine(["decrypt", "sealed.yaml"]).expect("looked for before");
    let sops = String::from_utf8(call.run().ok()).unwrap();
    prop_assert!(!sops.contains("ENC["), "{plain}\n{sops}");
    Ok(())
}

#[test]
fn genuine_sops_decrypts_comments_at_any_place() {
    let sandbox = Sandbox::with_identity();
    if sandbox.genuine(["--version"]).is_none() {
        return;
    }
    let config = Config { cases: 60, max_global_rejects: 2_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    runner.run(&file(), |plain| check(&sandbox, &plain)).unwrap();
}

#[test]
fn comments_of_one_text_at_one_path_keep_their_tokens() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("f.yaml", "k:\n- x\n# foot\n---\na: 1\n# foot\n");
    sandbox.kveil(["encrypt", "-i", "--unencrypted-suffix", "_clear", "--age", RECIPIENT_1, "f.yaml"]).run().ok();
    let before = String::from_utf8(sandbox.read("f.yaml")).unwrap();
    sandbox.kveil(["set", "f.yaml", "[\"k\"]", "\"y\""]).run().ok();
    let after = String::from_utf8(sandbox.read("f.yaml")).unwrap();
    let tokens = |text: &str| text.lines().filter(|line| line.starts_with("#ENC[")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(tokens(&before).len(), 2);
    assert_eq!(tokens(&before), tokens(&after));
}
