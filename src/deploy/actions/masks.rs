//! What the runner is to blot out in a log: every secret value, what it stands for in base64, and the secrets inside it.
//!
//! A value of several lines is never sent whole: the runner would mask each of its lines, `{` among them, and drop every
//! output that has one. Of such a value the lines are masked that say something.

use std::collections::BTreeSet;

use base64_simd::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::commands;
use crate::document::resolve::Type;
use crate::kubernetes::decoded;

/// Shorter pieces stand in other words by chance.
const SHORTEST: usize = 4;

/// Words that every log is full of.
const WORDS: [&str; 4] = ["true", "false", "null", "none"];

/// Endings of names whose lines are a key, `=` or `:`, and a value.
const PAIRS: [&str; 9] = [".env", ".ini", ".properties", ".conf", ".cfg", ".toml", ".yaml", ".yml", ".netrc"];

/// Pieces of text to mask.
#[derive(Default)]
pub struct Masks {
    /// Wiped when dropped.
    pieces: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

impl Drop for Masks {
    fn drop(&mut self) {
        std::mem::take(&mut self.pieces).into_iter().for_each(|piece| drop(Zeroizing::new(piece)));
    }
}

impl Masks {
    /// Adds a value of the key path `path` as the additional data has it (`data:password:`), in a file or under a key of this
    /// name.
    pub fn add(&mut self, path: &str, name: &str, kind: Type, bytes: &[u8]) {
        match kind {
            Type::Null => {}
            Type::Bool => self.skip(path, "a boolean"),
            _ => self.add_bytes(path, name, bytes),
        }
    }

    fn skip(&mut self, path: &str, why: &str) {
        let key = path.trim_end_matches(':').replace(':', ".");
        self.skipped.insert(format!("{key} ({why})"));
    }

    fn add_bytes(&mut self, path: &str, name: &str, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if !self.take(name, bytes) {
            self.skip(path, "too short or too common");
        }
        if path.starts_with("data:")
            && let Some(stored) = std::str::from_utf8(bytes).ok().and_then(decoded::decode).filter(|stored| !stored.is_empty())
            && !self.take(name, &stored)
        {
            self.skip(path, "too short or too common");
        }
    }

    /// Whether anything of a value is masked.
    fn take(&mut self, name: &str, bytes: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(bytes) else { return self.piece(&Zeroizing::new(STANDARD.encode_to_string(bytes))) };
        let several = text.trim_end_matches(['\r', '\n']).contains(['\r', '\n']);
        let mut masked = false;
        for line in text.split(['\r', '\n']).filter(|line| !(several && is_structure(line))) {
            masked |= self.piece(line);
        }
        if masked && (several || text.ends_with('\n')) {
            // The runner masks the base64 of what it is told; the whole it isn't told.
            self.piece(&Zeroizing::new(STANDARD.encode_to_string(bytes)));
        }
        self.inner(name, text, several);
        masked
    }

    /// Masks a text of one line, unless it stands in other words by chance.
    fn piece(&mut self, text: &str) -> bool {
        let text = text.trim();
        let telling = text.len() >= SHORTEST && !is_punctuation(text) && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
        if telling && !self.pieces.contains(text) {
            self.pieces.insert(text.to_owned());
        }
        telling
    }

    /// The secrets inside a value: strings of JSON, and what stands behind the `=` of dotenv.
    fn inner(&mut self, name: &str, text: &str, several: bool) {
        if text.trim_start().starts_with(['{', '[']) {
            if let Ok(value) = serde_json::from_str(text) {
                self.json("", &value);
                wipe(value);
            }
            return;
        }
        let lower = name.to_ascii_lowercase();
        if PAIRS.iter().any(|ending| lower.ends_with(ending)) || several && is_dotenv(text) {
            text.lines().filter_map(value_of).for_each(|value| {
                self.piece(value);
            });
        }
    }

    fn json(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) => self.json_string(key, text),
            Value::Array(items) => items.iter().for_each(|item| self.json(key, item)),
            Value::Object(entries) => entries.iter().for_each(|(key, value)| self.json(key, value)),
            _ => {}
        }
    }

    /// A string may hold JSON or dotenv itself. Docker keeps user and password as base64 under `auth`.
    fn json_string(&mut self, key: &str, text: &str) {
        let several = text.contains(['\r', '\n']);
        text.split(['\r', '\n']).filter(|line| !(several && is_structure(line))).for_each(|line| {
            self.piece(line);
        });
        self.inner("", text, several);
        let Some(pair) = (key == "auth").then(|| decoded::decode(text)).flatten() else { return };
        let Ok(pair) = std::str::from_utf8(&pair) else { return };
        self.piece(pair);
        if let Some((_, password)) = pair.split_once(':') {
            self.piece(password);
        }
    }

    /// The commands that mask all pieces: to be printed before anything else.
    pub fn commands(&self) -> Zeroizing<Vec<u8>> {
        let lines: Vec<Zeroizing<String>> = self.pieces.iter().map(|piece| commands::mask(piece)).collect();
        let mut out = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
        lines.iter().for_each(|line| out.extend_from_slice(line.as_bytes()));
        out
    }

    /// How many pieces there are.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The key paths of values that can't be masked, each with the reason.
    pub fn skipped(&self) -> impl Iterator<Item = &str> {
        self.skipped.iter().map(String::as_str)
    }
}

fn wipe(value: Value) {
    match value {
        Value::String(text) => drop(Zeroizing::new(text)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        Value::Object(entries) => entries.into_iter().for_each(|(_, value)| wipe(value)),
        _ => {}
    }
}

fn is_punctuation(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || "{}[]()<>,;:=-_.\"'|*#+\\/".contains(c))
}

/// Whether a line of a longer value only holds it together: braces, PEM armour, `---`, a key without a value.
fn is_structure(line: &str) -> bool {
    let line = line.trim();
    let armour = line.starts_with("-----BEGIN ") || line.starts_with("-----END ");
    let opens = line.trim_end_matches(['{', '[', '|', '>', '-', '+', ' ', '\t']).ends_with(':');
    let section = line.starts_with('[') && line.ends_with(']') && !line.contains(['"', ',', ' ']);
    is_punctuation(line) || armour || opens || section
}

/// Two lines or more, all a name in capitals, `=`, and something.
fn is_dotenv(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase()) && name.len() <= 64 && name.bytes().all(is_of_name);
    lines.len() > 1 && lines.iter().all(|line| line.split_once('=').is_some_and(|(name, _)| is_name(name)))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// What stands behind the first `=` or `:` of a line, without quotes.
fn value_of(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches("- ");
    let (name, value) = line.split_once(['=', ':']).filter(|_| !line.starts_with('#'))?;
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let told = ["apiVersion", "kind"].contains(&name.trim());
    (!told).then(|| quoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(path: &str, name: &str, value: &[u8]) -> (Vec<String>, Vec<String>) {
        let mut masks = Masks::default();
        masks.add(path, name, Type::Str, value);
        (masks.pieces.iter().cloned().collect(), masks.skipped().map(str::to_owned).collect())
    }

    #[test]
    fn what_is_stored_in_base64_is_masked_in_both_forms() {
        let (pieces, _) = masked("data:password:", "password", b"aHVudGVyMjI=");
        assert_eq!(pieces, ["aHVudGVyMjI=", "hunter22"]);
    }

    #[test]
    fn short_values_and_booleans_are_named_instead() {
        assert_eq!(masked("stringData:pin:", "pin", b"123"), (vec![], vec!["stringData.pin (too short or too common)".into()]));
        assert_eq!(masked("data:pin:", "pin", b"MTIz").1, ["data.pin (too short or too common)"]);
        let mut masks = Masks::default();
        masks.add("stringData:debug:", "debug", Type::Bool, b"True");
        assert_eq!((masks.len(), masks.skipped().collect::<Vec<_>>()), (0, vec!["stringData.debug (a boolean)"]));
    }

    #[test]
    fn a_value_of_several_lines_is_masked_by_the_lines_that_say_something() {
        let pem = b"-----BEGIN KEY-----\nMIIabcd\nxyzw\n-----END KEY-----\n";
        let (pieces, _) = masked("stringData:tls.key:", "tls.key", pem);
        assert_eq!(pieces, [&STANDARD.encode_to_string(pem), "MIIabcd", "xyzw"].map(String::from));
        let json = "{\n  \"auths\": {\n    \"r.example\": {\n      \"auth\": \"dXNlcjpodW50ZXIyMg==\"\n    }\n  }\n}\n";
        let (pieces, _) = masked("stringData:c:", ".dockerconfigjson", json.as_bytes());
        assert!(["dXNlcjpodW50ZXIyMg==", "user:hunter22", "hunter22"].iter().all(|piece| pieces.iter().any(|known| known == piece)));
        assert!(!pieces.iter().any(|piece| piece.contains('{') || piece == "}" || piece.contains('\n')), "{pieces:?}");
        let (pieces, _) = masked("stringData:c:", "c.yaml", b"---\nkind: Config\nuser:\n  - name: \"hunter22\"\n");
        assert!(pieces.contains(&"hunter22".to_owned()) && !pieces.contains(&"Config".to_owned()) && !pieces.contains(&"user:".to_owned()));
    }

    #[test]
    fn json_inside_json_is_masked() {
        let json = br#"{"account": "{\"key\": \"-----BEGIN KEY-----\\nMIIabcd\\n-----END KEY-----\\n\", \"id\": \"inner-id\"}"}"#;
        let (pieces, _) = masked("stringData:c:", "c", json);
        assert!(["MIIabcd", "inner-id"].iter().all(|piece| pieces.iter().any(|known| known == piece)), "{pieces:?}");
    }

    #[test]
    fn values_inside_dotenv_are_masked() {
        for (name, text) in [("app.env", "A='hunter22'\n"), ("x", "USER=someone\nPASS=hunter22\n")] {
            assert!(masked("stringData:x:", name, text.as_bytes()).0.contains(&"hunter22".to_owned()), "{name}");
        }
    }

    #[test]
    fn a_mask_is_one_line_whatever_the_value() {
        let mut masks = Masks::default();
        masks.add("stringData:a:", "a", Type::Str, b"50%25 off\r\nline two");
        let commands = String::from_utf8(masks.commands().to_vec()).unwrap();
        assert!(commands.lines().all(|line| line.starts_with("::add-mask::")), "{commands}");
        assert!(commands.contains("::add-mask::50%2525 off\n") && commands.contains("::add-mask::line two\n"));
    }

    #[test]
    fn bytes_that_are_no_text_are_masked_in_base64() {
        assert_eq!(masked("data:k:", "k", b"/////wAAAA==").0, ["/////wAAAA=="]);
    }
}
