//! age recipients of every variety, both ways with genuine sops, and questions at a terminal.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use std::path::{Path, PathBuf};

use age_core::primitives::bech32_encode;
use bech32::Hrp;
use sandbox::{Call, IDENTITY_1, RECIPIENT_1, Sandbox, key, root, tool};

const PLAIN: &str = "a: some value\n";
/// The passphrase of `locked`, and that of `keys.age`.
const SSH_PASSPHRASE: &str = "correct horse";
const KEYS_PASSPHRASE: &str = "correct-horse";

const PROMPT: &str = "Enter passphrase for ";

fn file(name: &str) -> PathBuf {
    root().join("testdata/recipients/age").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn last_line(name: &str) -> String {
    text(name).lines().last().unwrap().to_owned()
}

fn post_quantum() -> String {
    text("pq.txt").lines().nth(1).unwrap().trim_start_matches("# public key: ").to_owned()
}

fn toy() -> String {
    bech32_encode(Hrp::parse_unchecked("age1toy"), b"a")
}

fn toy_identity() -> String {
    bech32_encode(Hrp::parse_unchecked("AGE-PLUGIN-TOY-"), b"a").to_uppercase()
}

/// PATH with the plugin of the tests, and the tools where `run.sh` puts them.
fn path() -> std::ffi::OsString {
    let tools = std::env::var_os("KVEIL_TOOLS").map(|folder| Path::new(&folder).join("bin"));
    let folders = [Some(root().join("tests")), tools, tool("sops").and_then(|sops| sops.parent().map(Path::to_owned))];
    let usual = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(folders.into_iter().flatten().chain(std::env::split_paths(&usual))).unwrap()
}

fn sealed(sandbox: &Sandbox, recipient: &str) -> Vec<u8> {
    sandbox.write("plain.yaml", PLAIN);
    sandbox.kveil(["encrypt", "--age", recipient, "plain.yaml"]).env("PATH", path()).run().ok()
}

/// Runs a line of shell at a terminal of its own, where `answer` is typed at each `prompt`; all that was shown is its output.
fn at_a_terminal(sandbox: &Sandbox, line: &str, prompt: &str, answer: &str) -> (i32, String) {
    let script = root().join("tests/terminal.py");
    let line = format!("export PATH={}:$PATH; {line}", root().join("tests").display());
    let done = sandbox.shell("exec python3 \"$SCRIPT\" \"$LINE\" \"$PROMPT\" \"$ANSWER\"").env("SCRIPT", script);
    let done = done.env("LINE", line).env("PROMPT", prompt).env("ANSWER", answer).run();
    (done.code, String::from_utf8_lossy(&done.out).into_owned() + &done.err)
}

/// Without any terminal, not even the caller's.
fn without_terminal(sandbox: &Sandbox, line: &str) -> Call {
    sandbox.shell(&format!("exec setsid -w {line}"))
}

#[test]
fn every_variety_goes_both_ways_with_genuine_sops() {
    let varieties: [(&str, String, &str, String); 4] = [
        ("ssh-ed25519", text("ed25519.pub"), "SOPS_AGE_SSH_PRIVATE_KEY_FILE", file("ed25519").to_str().unwrap().to_owned()),
        ("ssh-rsa", text("rsa.pub"), "SOPS_AGE_SSH_PRIVATE_KEY_FILE", file("rsa").to_str().unwrap().to_owned()),
        ("ssh by command", text("rsa.pub"), "SOPS_AGE_SSH_PRIVATE_KEY_CMD", format!("cat {}", file("rsa").to_str().unwrap())),
        ("post-quantum", post_quantum(), "SOPS_AGE_KEY", last_line("pq.txt")),
    ];
    for (name, recipient, variable, identity) in varieties {
        let sandbox = Sandbox::new();
        sandbox.write("ours.yaml", sealed(&sandbox, &recipient));
        assert!(String::from_utf8_lossy(&sandbox.read("ours.yaml")).contains(&format!("recipient: {}\n", recipient.trim())), "{name}");
        assert_eq!(sandbox.kveil(["decrypt", "ours.yaml"]).env(variable, &identity).run().text(), PLAIN, "{name}");
        let Some(genuine) = sandbox.genuine(["decrypt", "ours.yaml"]) else { return };
        assert_eq!(genuine.env(variable, &identity).run().text(), PLAIN, "{name}");
        let theirs = sandbox.genuine(["encrypt", "--age", &recipient, "plain.yaml"]).unwrap().run().ok();
        sandbox.write("theirs.yaml", theirs);
        assert_eq!(sandbox.kveil(["decrypt", "theirs.yaml"]).env(variable, &identity).run().text(), PLAIN, "{name}");
        let other = sandbox.kveil(["decrypt", "theirs.yaml"]).env("SOPS_AGE_KEY", IDENTITY_1).run();
        assert!(other.refused(128).contains("the one age identity at hand doesn't fit"), "{name}");
    }
}

#[test]
fn plugins_wrap_and_unwrap() {
    let sandbox = Sandbox::new();
    sandbox.write("ours.yaml", sealed(&sandbox, &toy()));
    let missing = sandbox.kveil(["encrypt", "--age", &toy(), "plain.yaml"]).env("PATH", "/usr/bin:/bin").run().refused(1);
    assert!(missing.contains("age-plugin-toy isn't in PATH"), "{missing}");
    sandbox.write("tests/age-plugin-toy", "#!/bin/sh\n");
    let relative = sandbox.kveil(["encrypt", "--age", &toy(), "plain.yaml"]).env("PATH", ".:/usr/bin:/bin").run().refused(1);
    assert!(relative.contains("age-plugin-toy isn't in PATH"), "{relative}");
    let open = format!("SOPS_AGE_KEY={} kveil decrypt ours.yaml", toy_identity());
    let (code, shown) = at_a_terminal(&sandbox, &open, "PIN?", "1234");
    assert!(code == 0 && shown.contains("a: some value"), "{shown}");
    assert!(shown.contains("age-plugin-toy: touch \\u{1b}[31mnothing") && !shown.contains('\u{1b}') && !shown.contains("1234"), "{shown}");
    let (code, shown) = at_a_terminal(&sandbox, &open, "PIN?", "4321");
    assert!(code == 128 && shown.contains("wrong PIN\\u{1b}[2J"), "{shown}");
}

#[test]
fn an_answer_that_a_plugin_took_is_not_asked_for_again() {
    let sandbox = Sandbox::new();
    for at in 0..4 {
        sandbox.write(&format!("{at}.yaml"), sealed(&sandbox, &toy()));
    }
    let line = format!("SOPS_AGE_KEY={} kveil decrypt -i 0.yaml 1.yaml 2.yaml 3.yaml", toy_identity());
    let (code, shown) = at_a_terminal(&sandbox, &line, "PIN?", "1234");
    assert_eq!((code, shown.matches("PIN?").count()), (0, 1), "{shown}");
    assert_eq!(sandbox.read("3.yaml"), PLAIN.as_bytes());
}

#[test]
fn genuine_sops_and_a_plugin_understand_each_other() {
    let sandbox = Sandbox::new();
    sandbox.write("plain.yaml", PLAIN);
    let Some(genuine) = sandbox.genuine(["encrypt", "--age", &toy(), "plain.yaml"]) else { return };
    sandbox.write("theirs.yaml", genuine.env("PATH", path()).run().ok());
    let open = format!("SOPS_AGE_KEY={} kveil decrypt theirs.yaml", toy_identity());
    let (code, shown) = at_a_terminal(&sandbox, &open, "PIN?", "1234");
    assert!(code == 0 && shown.contains("a: some value"), "{shown}");
}

#[test]
fn the_plugin_for_post_quantum_keys_opens_native_entries() {
    let Some(program) = tool("age-plugin-pq") else { return };
    let sandbox = Sandbox::new();
    sandbox.write("ours.yaml", sealed(&sandbox, &post_quantum()));
    let converted = sandbox.shell(&format!("{} -identity {} 2>/dev/null", program.display(), file("pq.txt").display())).run().text();
    let done = sandbox.kveil(["decrypt", "ours.yaml"]).env("SOPS_AGE_KEY", converted.trim()).env("PATH", path()).run();
    assert_eq!(done.text(), PLAIN);
}

#[test]
fn tagged_recipients_are_those_of_the_plugin() {
    let Some(program) = tool("age-plugin-tag") else { return };
    let point = [[2].as_slice(), &P256_BASE].concat();
    let recipient = bech32_encode(Hrp::parse_unchecked("age1tag"), &point);
    let sandbox = Sandbox::new();
    let ours = String::from_utf8(sealed(&sandbox, &recipient)).unwrap();
    assert!(ours.contains(&recipient));
    let path = std::env::join_paths([program.parent().unwrap(), Path::new("/usr/bin")]).unwrap();
    let Some(genuine) = sandbox.genuine(["encrypt", "--age", &recipient, "plain.yaml"]) else { return };
    let theirs = genuine.env("PATH", path).run().text();
    // What each wrapped is as long as the other's: grease aside, the same stanza.
    let size = |text: &str| text.lines().filter(|line| line.trim_start().len() == 64).count();
    assert!(size(&ours) >= size(&theirs), "{ours}\n{theirs}");
}

/// The x coordinate of P-256's base point; its y is even or odd, and either is a key.
const P256_BASE: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
    0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];

#[test]
fn a_key_file_of_all_kinds_works_line_by_line() {
    let sandbox = Sandbox::new();
    let keys = format!("# all of them\r\n{}\r\n\r\n{}\r\n{IDENTITY_1}\r\n", last_line("pq.txt"), toy_identity());
    let keys = sandbox.write("keys.txt", keys);
    for recipient in [RECIPIENT_1, &post_quantum()] {
        sandbox.write("sealed.yaml", sealed(&sandbox, recipient));
        assert_eq!(sandbox.kveil(["decrypt", "sealed.yaml"]).env("SOPS_AGE_KEY_FILE", &keys).run().text(), PLAIN);
        let Some(genuine) = sandbox.genuine(["decrypt", "sealed.yaml"]) else { continue };
        assert_eq!(genuine.env("SOPS_AGE_KEY_FILE", &keys).run().text(), PLAIN);
    }
    sandbox.write("broken.txt", format!("{IDENTITY_1}\n {IDENTITY_1}\n"));
    let refusal = sandbox.kveil(["decrypt", "sealed.yaml"]).env("SOPS_AGE_KEY_FILE", sandbox.path("broken.txt")).run().refused(128);
    assert!(refusal.contains("broken.txt): line 2: not an age identity") && !refusal.contains("725UTY"), "{refusal}");
}

#[test]
fn a_key_file_that_is_a_pipe_is_read_once() {
    let sandbox = Sandbox::new();
    for name in ["one.yaml", "two.yaml"] {
        sandbox.write(name, sealed(&sandbox, RECIPIENT_1));
    }
    let line = "mkfifo keys; (cat \"$KEY\" > keys &); SOPS_AGE_KEY_FILE=keys kveil decrypt one.yaml two.yaml";
    assert_eq!(sandbox.shell(line).env("KEY", key("age1.txt")).run().text(), format!("{PLAIN}---\n{PLAIN}"));
}

#[test]
fn a_locked_key_file_asks_once() {
    let sandbox = Sandbox::new();
    for name in ["one.yaml", "two.yaml", "three.yaml"] {
        sandbox.write(name, sealed(&sandbox, RECIPIENT_1));
    }
    let keys = file("keys.age");
    let line = format!("SOPS_AGE_KEY_FILE={} kveil decrypt -i one.yaml two.yaml three.yaml", keys.display());
    let (code, shown) = at_a_terminal(&sandbox, &line, PROMPT, KEYS_PASSPHRASE);
    assert_eq!((code, shown.matches(PROMPT).count()), (0, 1), "{shown}");
    assert!(!shown.contains("correct") && sandbox.read("two.yaml") == PLAIN.as_bytes());

    sandbox.write("one.yaml", sealed(&sandbox, RECIPIENT_1));
    let line = format!("SOPS_AGE_KEY_FILE={} kveil decrypt one.yaml", keys.display());
    let (code, shown) = at_a_terminal(&sandbox, &line, PROMPT, "wrong");
    assert!(code == 128 && shown.contains("wrong passphrase"), "{shown}");
    let none = without_terminal(&sandbox, "kveil decrypt one.yaml").env("SOPS_AGE_KEY_FILE", &keys).run().refused(128);
    assert!(none.contains("locked with a passphrase, and there is no terminal to ask for it"), "{none}");
    // Nobody is asked while something else opens.
    let other = without_terminal(&sandbox, "kveil decrypt one.yaml").env("SOPS_AGE_KEY_FILE", &keys).env("SOPS_AGE_KEY", IDENTITY_1).run();
    assert_eq!(other.text(), PLAIN);
}

#[test]
fn a_locked_ssh_key_asks_once_and_only_for_its_own_entries() {
    let sandbox = Sandbox::new();
    let both = format!("{},{RECIPIENT_1}", text("locked.pub").trim());
    for name in ["one.yaml", "two.yaml"] {
        sandbox.write(name, sealed(&sandbox, &text("locked.pub")));
    }
    std::fs::create_dir(sandbox.home().join(".ssh")).unwrap();
    std::fs::copy(file("locked"), sandbox.home().join(".ssh/id_ed25519")).unwrap();
    let (code, shown) = at_a_terminal(&sandbox, "kveil decrypt one.yaml two.yaml", PROMPT, SSH_PASSPHRASE);
    assert_eq!((code, shown.matches(PROMPT).count()), (0, 1), "{shown}");
    let none = without_terminal(&sandbox, "kveil decrypt one.yaml").run().refused(128);
    assert!(none.contains(".ssh/id_ed25519: locked with a passphrase, and there is no terminal"), "{none}");
    sandbox.write("one.yaml", sealed(&sandbox, &both));
    assert_eq!(without_terminal(&sandbox, "kveil decrypt one.yaml").env("SOPS_AGE_KEY", IDENTITY_1).run().text(), PLAIN);
    sandbox.write("one.yaml", sealed(&sandbox, RECIPIENT_1));
    let not_its_own = without_terminal(&sandbox, "kveil decrypt one.yaml").run().refused(128);
    assert!(!not_its_own.contains("no terminal"), "{not_its_own}");
}

#[test]
fn go_reads_what_keygen_makes() {
    let sandbox = Sandbox::new();
    sandbox.kveil(["keygen", "--pq", "-o", "pq.txt"]).run().ok();
    let keys = String::from_utf8(sandbox.read("pq.txt")).unwrap();
    let recipient = keys.lines().nth(1).unwrap().trim_start_matches("# public key: ").to_owned();
    let Some(keygen) = tool("age-keygen") else { return };
    let told = sandbox.shell(&format!("{} -y pq.txt", keygen.display())).run().text();
    assert_eq!(told.trim(), recipient);
    let Some(age) = tool("age") else { return };
    sandbox.write("ours.yaml", sealed(&sandbox, &recipient));
    let armored = "sed -n '/BEGIN AGE/,/END AGE/s/^ *//p' ours.yaml";
    let data_key = sandbox.shell(&format!("{armored} | {} -d -i pq.txt | wc -c", age.display())).run().text();
    assert_eq!(data_key.trim(), "32");
}

#[test]
fn keygen_lists_no_flags_that_mean_nothing_to_it() {
    let help = Sandbox::new().kveil(["keygen", "--help"]).run().text();
    assert!(help.contains("--pq") && !help.contains("--indent") && !help.contains("--config"), "{help}");
}
