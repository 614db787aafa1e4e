//! Encrypting and decrypting as a whole, under a fixed data key.

use super::decrypt::{Opened, decrypt};
use super::encrypt::{Request, encrypt};
use super::sign::LAYOUT_DATA;
use super::value::{Cipher, Token};
use super::verify;
use crate::document::value::Value;
use crate::document::yaml;
use crate::error::{Kind, Result};
use crate::metadata::{Entry, Group, Metadata, SelectorKind};
use crate::select::Selection;

const KEY: [u8; 32] = [9; 32];

fn selection() -> Selection {
    Selection::new(SelectorKind::EncryptedRegex, "^(data|stringData)$").expect("a valid pattern")
}

fn metadata(selection: &Selection) -> Metadata {
    let entry = Value::Map(vec![("enc".into(), Value::string("x\n")), ("recipient".into(), Value::string("age1x"))]);
    let (kind, text) = selection.parts();
    Metadata {
        groups: vec![Group { entries: vec![Entry { kind: "age", value: entry }], ..Group::default() }],
        threshold: None,
        last_modified: "2024-01-01T00:00:00Z".into(),
        mac: None,
        version: "3.13.3".into(),
        selector: Some((kind, text.into())),
        mac_only_encrypted: false,
        layout: None,
        unknown: Vec::new(),
    }
}

fn sealed_with(text: &str, selection: &Selection) -> Result<String> {
    let document = yaml::parse(text)?;
    let cipher = Cipher::new(&KEY);
    let request =
        Request { selection, cipher: &cipher, metadata: metadata(selection), indent: None, layout: true, lenient: false, earlier: None };
    let sealed = encrypt(&document, request)?;
    verify::check(&document, &sealed.text, &cipher, true, None, || ())?;
    Ok(sealed.text.to_string())
}

fn sealed(text: &str) -> Result<String> {
    sealed_with(text, &selection())
}

fn read(text: &str) -> Metadata {
    let document = yaml::parse(text).expect("encrypted text");
    let block = document.get(document.parts[0].root, "sops").expect("a block");
    Metadata::read(&Value::of(&document, block).expect("values")).expect("metadata")
}

fn opened(text: &str) -> Result<Opened> {
    let document = yaml::parse(text)?;
    decrypt(&document, &read(text), &Cipher::new(&KEY), false)
}

fn record(text: &str) -> Option<String> {
    let layout = read(text).layout?;
    let token = Token::parse(&layout)?;
    Cipher::new(&KEY).decrypt(&token, LAYOUT_DATA).ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
}

#[test]
fn styles_that_the_token_carries_need_no_record() {
    let text = "data:\n  a: plain\n  b: 'single: x'\n  c: \"double\"\n  d: |\n    line\n    line\n  e: >-\n    folded\nstringData: {f: 'x y', g: \"y z\"}\n";
    assert_eq!(record(&sealed(text).expect("sealed")), None);
}

#[test]
fn what_styles_cannot_say_stands_in_the_record_and_nowhere_else() {
    let encrypted = sealed("data:\n  plain: word\n  port: 0x1F\n").expect("sealed");
    assert_eq!(record(&encrypted).as_deref(), Some(r#"{"v":1,"e":[[0,["data","port"],"scalar","0x1F"]]}"#));
    assert!(!encrypted.contains("0x1F"));
}

#[test]
fn aliases_of_encrypted_values_are_written_out_and_come_back() {
    let text = "stringData:\n  base: &b\n    user: root\n  copy: *b\n  merged:\n    <<: *b\n    own: x\n";
    let encrypted = sealed(text).expect("sealed");
    assert!(!encrypted.contains("*b") && !encrypted.contains("root"));
    assert_eq!(opened(&encrypted).map(|opened| opened.text.to_string()), Ok(text.to_owned()));
}

#[test]
fn an_alias_that_would_leak_is_refused() {
    let error = sealed("plain: &p secret\nstringData:\n  copy: *p\n").expect_err("a leak");
    assert_eq!((error.kind, error.key_path.as_deref()), (Kind::EncryptTree, Some("stringData.copy")));
    assert!(!error.to_string().contains("secret"));
}

#[test]
fn a_record_of_another_file_changes_nothing() {
    let ours = sealed("data:\n  port: 0x1F\n").expect("sealed");
    let theirs = sealed("data:\n  port: 0x20\n").expect("sealed");
    let line = |text: &str| text.lines().find(|line| line.contains("kveil_layout")).map(str::to_owned).expect("a record");
    let mixed = ours.replace(&line(&ours), &line(&theirs));
    assert_eq!(opened(&mixed).map(|opened| opened.text.to_string()), Ok("data:\n  port: 31\n".to_owned()));
}

#[test]
fn comments_in_encrypted_places_are_encrypted_and_others_are_not() {
    let encrypted = sealed("# top\ndata: # beside the key\n  # password: hunter2\n  a: x # inline\n  list:\n    - 1\n    # in the list\n    - 2\nkind: Secret # clear\n")
        .expect("sealed");
    for hidden in ["hunter2", "inline", "in the list"] {
        assert!(!encrypted.contains(hidden), "{hidden} is in clear");
    }
    for clear in ["# top", "# beside the key", "# clear"] {
        assert!(encrypted.contains(clear), "{clear} is gone");
    }
}

#[test]
fn a_value_in_clear_where_a_token_belongs_is_refused() {
    let encrypted = sealed("data:\n  a: x\n  b: y\n").expect("sealed");
    let line = encrypted.lines().find(|line| line.starts_with("  a:")).map(str::to_owned).expect("a line");
    let error = opened(&encrypted.replace(&line, "  a: x")).err().expect("a refusal");
    assert_eq!((error.kind, error.key_path.as_deref()), (Kind::DecryptTree, Some("data.a")));
}

#[test]
fn a_changed_clear_value_breaks_the_mac() {
    let encrypted = sealed("kind: Secret\ndata:\n  a: x\n").expect("sealed");
    let error = opened(&encrypted.replace("kind: Secret", "kind: Other")).err().expect("a mismatch");
    assert_eq!(error.kind, Kind::MacMismatch);
    assert!(error.to_string().starts_with("MAC mismatch"));
}

#[test]
fn no_two_values_share_an_iv() {
    let encrypted = sealed("data:\n  a: same\n  b: same\n  l:\n  - same\n  - same\n").expect("sealed");
    let mut ivs: Vec<&str> = encrypted.split(",iv:").skip(1).filter_map(|rest| rest.split(',').next()).collect();
    let all = ivs.len();
    ivs.sort_unstable();
    ivs.dedup();
    assert_eq!((all, ivs.len()), (5, 5));
}

#[test]
fn alias_bombs_are_refused_with_the_budget() {
    let mut text = String::from("data:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = level - 1;
        text.push_str(&format!(
            "  a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n"
        ));
    }
    let error = sealed(&text).expect_err("a bomb");
    assert_eq!(error.kind, Kind::Unreadable);
    assert!(error.message.contains("1000000"));
}

#[test]
fn comment_rules_select_by_the_comment_above_or_beside() {
    let selection = Selection::new(SelectorKind::EncryptedCommentRegex, "enc:yes").expect("a valid pattern");
    let encrypted = sealed_with("a: clear\n# enc:yes\nb: hidden1\nc: hidden2 # enc:yes\nd: clear\n", &selection).expect("sealed");
    assert!(!encrypted.contains("hidden1") && !encrypted.contains("hidden2") && encrypted.contains("a: clear\n# enc:yes\nb: ENC["));
    let error = sealed_with("k: # enc:yes\n  a: x\n", &selection).expect_err("uncertain");
    assert_eq!(error.kind, Kind::EncryptTree);
}
