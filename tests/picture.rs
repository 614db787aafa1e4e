//! `docs/terminal.svg` shows what the commands really print. They are run again here and the picture is drawn from that;
//! `KVEIL_UPDATE=1` writes it anew. What differs from run to run is masked: the recipient, the home folder, random bytes.
#![cfg(unix)]

mod sandbox;

use sandbox::{Sandbox, root};

/// Longer lines go on in the next one, as in a terminal; encrypted ones are cut.
const COLUMNS: usize = 126;
/// Width of a character, in tenths of a pixel.
const CHARACTER: usize = 72;
/// What the recipient made by `init` is drawn as.
const RECIPIENT: &str = "age100zvxf7ku23t3nquq4qglgtdt49hutf9u63lx036lhjkjndmf5aqafqh9z";
const HOME: &str = "/home/ana";

const SECRET: &str = r#"apiVersion: v1
kind: Secret
metadata: {name: shop-db}
stringData:
  # ask Ana before you change it
  user: 'shop'
  password: "correct horse"  # from March
  init.sql: |
    create table orders (id int);
"#;
const COMMANDS: [&str; 4] = ["kveil init", "kveil encrypt -i secret.yaml", "head -n 10 secret.yaml", "kveil decrypt secret.yaml"];

#[test]
fn the_picture_of_the_terminal_shows_what_the_commands_print() {
    let path = root().join("docs/terminal.svg");
    let drawn = svg(&session());
    if std::env::var_os("KVEIL_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &drawn).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == drawn, "docs/terminal.svg is out of date: look at the change, then run this test with KVEIL_UPDATE=1\n{drawn}");
}

#[test]
fn masks_keep_the_length_and_hide_the_random_bytes() {
    let one = masked("a: ENC[AES256_GCM,data:qdDy+g==,iv:AAAA,tag:BBBB,type:str]");
    let other = masked("a: ENC[AES256_GCM,data:zzzz/w==,iv:CCCC,tag:DDDD,type:str]");
    assert_eq!(one, other);
    assert_eq!(one.len(), "a: ENC[AES256_GCM,data:qdDy+g==,iv:AAAA,tag:BBBB,type:str]".len());
    assert!(one.ends_with(",type:str]"));
}

/// The lines of the session, prompts included.
fn session() -> Vec<String> {
    let sandbox = Sandbox::new();
    sandbox.write("secret.yaml", SECRET);
    let config = sandbox.home().join(".config");
    let mut lines = Vec::new();
    for command in COMMANDS {
        let printed = sandbox.shell(&format!("set -o pipefail; ({command}) 2>&1")).env("XDG_CONFIG_HOME", &config).run().text();
        let printed = printed.replace(&sandbox.home().display().to_string(), HOME);
        let printed = without_recipient(&printed, &String::from_utf8(sandbox.read(".sops.yaml")).unwrap());
        lines.push(format!("$ {command}"));
        lines.extend(printed.lines().flat_map(|line| fitted(&masked(line))));
        lines.push(String::new());
    }
    lines.pop();
    lines
}

/// The fixed recipient in place of the one that `init` made, in full and in its short form.
fn without_recipient(text: &str, config: &str) -> String {
    let own = config.split_whitespace().find(|word| word.starts_with("age1")).unwrap();
    let short = |recipient: &str| format!("{}…{}", &recipient[..8], &recipient[recipient.len() - 6..]);
    text.replace(own, RECIPIENT).replace(&short(own), &short(RECIPIENT))
}

/// Every field of random bytes replaced by as many fixed characters.
fn masked(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    // Every line has characters of its own, fixed by what stands before its token.
    let mut state =
        line.split("ENC[").next().unwrap_or_default().bytes().fold(7, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    while let Some((at, name)) = ["data:", "iv:", "tag:"].iter().filter_map(|name| Some((rest.find(name)?, *name))).min() {
        if !line.contains("ENC[AES256_GCM,") {
            break;
        }
        let start = at + name.len();
        let end = start + rest[start..].find([',', ']']).unwrap_or(rest.len() - start);
        out.push_str(&rest[..start]);
        out.extend(rest[start..end].chars().map(|c| if c == '=' { c } else { fixed(&mut state) }));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The next character of a fixed sequence that looks like base64.
fn fixed(state: &mut u32) -> char {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    *state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
    char::from(ALPHABET[(*state >> 16) as usize % ALPHABET.len()])
}

/// A line as a terminal of [`COLUMNS`] shows it.
fn fitted(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    if characters.len() > COLUMNS && line.contains("ENC[") {
        return vec![characters[..COLUMNS - 1].iter().chain(['…'].iter()).collect()];
    }
    match characters.chunks(COLUMNS).map(|part| part.iter().collect()).collect::<Vec<String>>() {
        none if none.is_empty() => vec![String::new()],
        parts => parts,
    }
}

fn svg(lines: &[String]) -> String {
    let (width, step, margin) = (COLUMNS * CHARACTER / 10 + 32, 18, 40);
    let height = margin + lines.len() * step + 14;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"kveil init, encrypt, the encrypted file, decrypt\">\n\
         <style>text{{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d5dbe3;white-space:pre}}\
         .p{{fill:#7aa2f7;font-weight:bold}}.c{{fill:#ffffff;font-weight:bold}}.e{{fill:#73b873}}.d{{fill:#3a404b}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1b1f27\"/>\n\
         <circle class=\"d\" cx=\"20\" cy=\"18\" r=\"5\"/><circle class=\"d\" cx=\"38\" cy=\"18\" r=\"5\"/><circle class=\"d\" cx=\"56\" cy=\"18\" r=\"5\"/>\n"
    );
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let length = line.chars().count() * CHARACTER / 10;
        let y = margin + (at + 1) * step - 6;
        // The length keeps the columns in place whatever font there is.
        out.push_str(&format!("<text x=\"16\" y=\"{y}\" textLength=\"{length}\" xml:space=\"preserve\">{}</text>\n", coloured(line)));
    }
    out + "</svg>\n"
}

fn coloured(line: &str) -> String {
    let span = |class: &str, text: &str| format!("<tspan class=\"{class}\">{}</tspan>", escaped(text));
    if let Some(command) = line.strip_prefix("$ ") {
        return format!("{}{}", span("p", "$ "), span("c", command));
    }
    match line.find("ENC[") {
        Some(at) => format!("{}{}", escaped(&line[..at]), span("e", &line[at..])),
        None => escaped(line),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
