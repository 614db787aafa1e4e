//! Files as trees of values, as a reader that is not kveil's first one sees them: the order of keys counts, the spelling doesn't.

use yaml_rust2::parser::{Event, EventReceiver, Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;

/// A value; maps keep their order, aliases are written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Map(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Null,
    Bool(bool),
    /// An integer, or a float without a fraction: genuine sops writes `1.0` as `1`.
    Int(i128),
    /// A float by its bits.
    Float(u64),
    /// A time in RFC 3339, to whole days where the clock shows midnight.
    Time(String),
    Text(String),
    /// An `ENC[…]` of this type; see [`sealed`].
    Sealed(String),
}

/// All keys and all values that are in clear, as they are spelled, and with the escapes of double quotes.
pub fn clear(extension: &str, bytes: &[u8]) -> Result<String, String> {
    if extension == "json" {
        // There spelling is the value's own.
        return Ok(format!("{:?}", sealed(extension, bytes)?));
    }
    let texts = events(bytes)?.texts;
    Ok(texts.into_iter().filter(|text| !text.starts_with("ENC[")).map(|text| format!("{text} {text:?}\n")).collect())
}

/// The documents of a YAML file, or the one of a JSON file. The error is the reader's.
pub fn read(extension: &str, bytes: &[u8]) -> Result<Vec<Tree>, String> {
    if extension == "json" {
        return serde_json::from_slice(bytes).map(|value| vec![of_json(value)]).map_err(|error| error.to_string());
    }
    Ok(events(bytes)?.documents)
}

fn events(bytes: &[u8]) -> Result<Builder, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let text = text.trim_start_matches('\u{feff}');
    // A tab after the colon of a key is more than this reader takes.
    let text = text.replace(":\t", ": ");
    // Genuine sops keeps `<<` as a literal key, and spells it so.
    let text = text.replace("!!merge <<:", "\"<<\":");
    let text = indent_closers(&text);
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(&text);
    loop {
        let (event, _) = parser.next_token().map_err(|error| error.to_string())?;
        let last = event == Event::StreamEnd;
        builder.on_event(event);
        if last {
            return Ok(builder);
        }
    }
}

/// A closing bracket may stand at the column of its key for Go's reader, not for YAML 1.2: authors write it so at the margin, and
/// genuine sops wherever it closes an empty collection that holds comments.
fn indent_closers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open = false;
    for line in text.split_inclusive('\n') {
        let inside = line.trim();
        let at_the_margin = line.starts_with(['}', ']']);
        if (open || at_the_margin) && matches!(inside, "}" | "]") {
            out.push_str(&" ".repeat(60));
        }
        open = inside.ends_with(['{', '[']) || open && inside.starts_with('#');
        out.push_str(line);
    }
    out
}

/// Whether two files hold the same values; empty documents don't count.
pub fn same(extension: &str, left: &[u8], right: &[u8]) -> Result<(), String> {
    if left == right {
        return Ok(());
    }
    if extension != "json" && extension != "yaml" {
        return if left == right { Ok(()) } else { Err("other bytes".to_owned()) };
    }
    let filled = |bytes| read(extension, bytes).map(|trees| trees.into_iter().filter(|tree| *tree != Tree::Null).collect::<Vec<_>>());
    let (left, right) = (filled(left)?, filled(right)?);
    if left.len() != right.len() {
        return Err(format!("{} documents instead of {}", left.len(), right.len()));
    }
    match left.iter().zip(&right).find_map(|(left, right)| difference(left, right, "")) {
        Some(place) => Err(format!("other values at {place}")),
        None => Ok(()),
    }
}

/// The trees of an encrypted file with each `ENC[…]` as [`Tree::Sealed`], without comments that stand in lists and without `sops`.
pub fn sealed(extension: &str, bytes: &[u8]) -> Result<Vec<Tree>, String> {
    let mut documents = read(extension, bytes)?;
    for document in &mut documents {
        if let Tree::Map(entries) = document {
            entries.retain(|(key, _)| key != "sops");
        }
        seal(document);
    }
    documents.retain(|document| *document != Tree::Null && *document != Tree::Map(Vec::new()));
    Ok(documents)
}

/// The path of the first difference.
pub fn difference(left: &Tree, right: &Tree, path: &str) -> Option<String> {
    match (left, right) {
        (Tree::Map(left), Tree::Map(right)) => {
            for ((key, value), (other, other_value)) in left.iter().zip(right) {
                let path = format!("{path}.{key}");
                if key != other {
                    return Some(format!("{path} (the other has {other})"));
                }
                if let Some(place) = difference(value, other_value, &path) {
                    return Some(place);
                }
            }
            (left.len() != right.len()).then(|| format!("{path}: {} keys, {} in the other", left.len(), right.len()))
        }
        (Tree::List(left), Tree::List(right)) => {
            let mut pairs = left.iter().zip(right).enumerate();
            let found = pairs.find_map(|(at, (left, right))| difference(left, right, &format!("{path}[{at}]")));
            found.or_else(|| (left.len() != right.len()).then(|| format!("{path}: {} items, {} in the other", left.len(), right.len())))
        }
        (Tree::Text(left), Tree::Text(right)) if folded(left) == folded(right) => None,
        _ => (left != right).then(|| format!("{path}: {left:?} and {right:?}")),
    }
}

/// Genuine sops adds spaces after the separators that YAML 1.1 took for line breaks.
fn folded(text: &str) -> String {
    let mut parts = text.split_inclusive(['\u{85}', '\u{2028}', '\u{2029}']);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.trim_start_matches(' '))
}

fn seal(tree: &mut Tree) {
    match tree {
        Tree::Map(entries) => entries.iter_mut().for_each(|(_, value)| seal(value)),
        Tree::List(items) => {
            items.iter_mut().for_each(seal);
            items.retain(|item| *item != Tree::Sealed("comment".to_owned()));
        }
        Tree::Text(text) if text.starts_with("ENC[AES256_GCM,data:") => {
            let kind = text.split("type:").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or("none");
            *tree = Tree::Sealed(kind.to_owned());
        }
        _ => {}
    }
}

fn of_json(value: serde_json::Value) -> Tree {
    match value {
        serde_json::Value::Null => Tree::Null,
        serde_json::Value::Bool(yes) => Tree::Bool(yes),
        serde_json::Value::Number(number) => plain(&number.to_string()),
        serde_json::Value::String(text) => Tree::Text(text),
        serde_json::Value::Array(items) => Tree::List(items.into_iter().map(of_json).collect()),
        serde_json::Value::Object(entries) => Tree::Map(entries.into_iter().map(|(key, value)| (key, of_json(value))).collect()),
    }
}

#[derive(Default)]
struct Builder {
    documents: Vec<Tree>,
    open: Vec<(usize, Vec<Tree>)>,
    anchors: std::collections::HashMap<usize, Tree>,
    /// All scalars as they are spelled, after quotes and escapes.
    texts: Vec<String>,
}

impl Builder {
    fn put(&mut self, anchor: usize, tree: Tree) {
        if anchor > 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        match self.open.last_mut() {
            Some((_, items)) => items.push(tree),
            None => self.documents.push(tree),
        }
    }
}

impl EventReceiver for Builder {
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.texts.push(text.clone());
                self.put(anchor, scalar(text, style, tag.as_ref()));
            }
            Event::Alias(anchor) => {
                let tree = self.anchors.get(&anchor).cloned().unwrap_or(Tree::Null);
                self.put(0, tree);
            }
            Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) => self.open.push((anchor, Vec::new())),
            Event::SequenceEnd => {
                let (anchor, items) = self.open.pop().expect("a list begins before it ends");
                self.put(anchor, Tree::List(items));
            }
            Event::MappingEnd => {
                let (anchor, items) = self.open.pop().expect("a map begins before it ends");
                let entries = items.chunks(2).map(|pair| (key(&pair[0]), pair.get(1).cloned().unwrap_or(Tree::Null))).collect();
                self.put(anchor, Tree::Map(entries));
            }
            _ => {}
        }
    }
}

fn key(tree: &Tree) -> String {
    match tree {
        Tree::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn scalar(text: String, style: TScalarStyle, tag: Option<&Tag>) -> Tree {
    let core = tag.filter(|tag| tag.handle == "tag:yaml.org,2002:" || tag.handle == "!!").map(|tag| tag.suffix.as_str());
    match core {
        Some("str") => Tree::Text(text),
        Some("binary") => Tree::Text(binary(&text)),
        Some(_) => plain(&text),
        None if style == TScalarStyle::Plain && tag.is_none_or(|tag| tag.suffix.is_empty() || tag.suffix == "!") => plain(&text),
        None => Tree::Text(text),
    }
}

fn binary(text: &str) -> String {
    let compact: String = text.split_whitespace().collect();
    let bytes = base64_simd::STANDARD.decode_to_vec(compact.as_bytes()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or(compact)
}

/// A plain scalar as SOPS types it.
fn plain(text: &str) -> Tree {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Tree::Null,
        "true" | "True" | "TRUE" => return Tree::Bool(true),
        "false" | "False" | "FALSE" => return Tree::Bool(false),
        _ => {}
    }
    if let Some(number) = integer(text).or_else(|| float(text)) {
        return number;
    }
    time(text).map_or_else(|| Tree::Text(text.to_owned()), Tree::Time)
}

fn integer(text: &str) -> Option<Tree> {
    let compact = text.replace('_', "");
    let (negative, digits) = match compact.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, compact.strip_prefix('+').unwrap_or(&compact)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let radix = [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)]
        .into_iter()
        .find(|(prefix, _)| lower.len() > prefix.len() && lower.starts_with(prefix));
    let number = match radix {
        Some((prefix, radix)) => i128::from_str_radix(&lower[prefix.len()..], radix).ok()?,
        None => lower.parse().ok()?,
    };
    // Beyond 64 bits a number is a float.
    if number > i128::from(u64::MAX) {
        return None;
    }
    Some(Tree::Int(if negative { -number } else { number }))
}

fn float(text: &str) -> Option<Tree> {
    let compact = text.replace('_', "");
    let number: f64 = match compact.as_str() {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => f64::INFINITY,
        "-.inf" | "-.Inf" | "-.INF" => f64::NEG_INFINITY,
        ".nan" | ".NaN" | ".NAN" => f64::NAN,
        other if other.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) && other.contains(|c: char| c.is_ascii_digit()) => {
            other.parse().ok().filter(|number: &f64| number.is_finite())?
        }
        _ => return None,
    };
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Some(Tree::Int(number as i128));
    }
    Some(Tree::Float(number.to_bits()))
}

/// `YYYY-M-D` with or without a time: digits and their separators, no more than needed to compare what sops prints with what it read.
fn time(text: &str) -> Option<String> {
    let (date, clock) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim_start()),
        None => (text, ""),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let numeric = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if parts.len() != 3 || !numeric || parts[0].len() != 4 || parts[1].len() > 2 || parts[2].len() > 2 {
        return None;
    }
    if !clock.is_empty() && !clock.contains(':') {
        return None;
    }
    let day = format!("{}-{:0>2}-{:0>2}", parts[0], parts[1], parts[2]);
    Some(if clock.is_empty() || clock == "00:00:00Z" { day } else { format!("{day}T{clock}") })
}
