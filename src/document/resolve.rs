//! Scalar text → typed value, exactly as SOPS reads it. The type decides the `type:` field of an encrypted value and
//! the canonical plaintext that is encrypted and enters the MAC, so every rule here is part of the file format.

use std::borrow::Cow;
use std::fmt;

use super::number::{self, Number};
use super::time::{self, Stamp};
use crate::error::{Error, Kind};

/// The type of a scalar, as named in `ENC[…,type:…]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// Text.
    Str,
    /// A signed 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// `True` or `False`.
    Bool,
    /// A timestamp.
    Time,
    /// Never encrypted and never hashed.
    Null,
    /// A comment, which SOPS encrypts like a value.
    Comment,
}

impl Type {
    /// The name used in the file format.
    pub fn name(self) -> &'static str {
        match self {
            Type::Str => "str",
            Type::Int => "int",
            Type::Float => "float",
            Type::Bool => "bool",
            Type::Time => "time",
            Type::Null => "null",
            Type::Comment => "comment",
        }
    }

    /// The type an `ENC[…]` value names. `null` is not among them: nulls stay in clear.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = [Type::Str, Type::Int, Type::Float, Type::Bool, Type::Time, Type::Comment];
        named.into_iter().find(|kind| kind.name() == name)
    }
}

/// A typed scalar; `bytes` is the canonical plaintext, which SOPS encrypts and hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar<'a> {
    /// Its type.
    pub kind: Type,
    /// The canonical plaintext.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Scalar<'a> {
    /// The same scalar, without a copy of its bytes.
    pub fn borrowed(&self) -> Scalar<'_> {
        Scalar { kind: self.kind, bytes: Cow::Borrowed(&self.bytes) }
    }

    /// A string as it is.
    pub fn text(text: &'a str) -> Self {
        Scalar { kind: Type::Str, bytes: Cow::Borrowed(text.as_bytes()) }
    }

    /// The null value, which has no plaintext.
    pub fn null() -> Self {
        Scalar { kind: Type::Null, bytes: Cow::Borrowed(&[]) }
    }

    fn owned(kind: Type, text: String) -> Self {
        Scalar { kind, bytes: Cow::Owned(text.into_bytes()) }
    }

    fn int(value: i64) -> Self {
        Self::owned(Type::Int, value.to_string())
    }

    fn float(value: f64) -> Self {
        Self::owned(Type::Float, number::float_plaintext(value))
    }

    fn bool(value: bool) -> Self {
        let bytes: &'static [u8] = if value { b"True" } else { b"False" };
        Scalar { kind: Type::Bool, bytes: Cow::Borrowed(bytes) }
    }

    fn time(stamp: Stamp) -> Result<Self, ResolveError> {
        let text = stamp.to_rfc3339().ok_or(ResolveError::TimeOffset)?;
        Ok(Self::owned(Type::Time, text))
    }

    /// The same value without a borrow.
    pub fn into_owned(self) -> Scalar<'static> {
        Scalar { kind: self.kind, bytes: Cow::Owned(self.bytes.into_owned()) }
    }

    /// The plaintext as text; `None` for a string that is not UTF-8 (possible through `!!binary`).
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// Shows the type only: the plaintext is a secret.
impl fmt::Debug for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar({})", self.kind.name())
    }
}

/// Why a scalar has no value. The messages never hold the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResolveError {
    /// An integer from 2^63 to 2^64−1.
    Unsigned,
    /// A core tag the content does not fit, such as `!!int abc`.
    TagMismatch(&'static str),
    /// `!!binary` without valid base64.
    Binary,
    /// A UTC offset of 24 hours or more.
    TimeOffset,
    /// A JSON number beyond the range of a float.
    JsonRange,
    /// A decrypted plaintext that does not fit its type.
    Plaintext(Type),
}

impl ResolveError {
    /// The exit status SOPS gives for this error while encrypting (or decrypting, for a plaintext).
    pub fn exit_code(self) -> u8 {
        match self {
            ResolveError::Unsigned | ResolveError::TimeOffset => 23,
            ResolveError::TagMismatch(_) | ResolveError::Binary | ResolveError::JsonRange => 2,
            ResolveError::Plaintext(_) => 25,
        }
    }
}

impl From<ResolveError> for Error {
    fn from(why: ResolveError) -> Error {
        let kind = if why.exit_code() == 23 { Kind::EncryptTree } else { Kind::Unreadable };
        let error = Error::new(kind, why.to_string());
        if why == ResolveError::Unsigned { error.hint("put it in quotes: as text it keeps all its digits") } else { error }
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Unsigned => f.write_str("integer from 2^63 to 2^64-1 (SOPS holds signed 64-bit integers)"),
            ResolveError::TagMismatch(tag) => write!(f, "the value does not fit its tag !!{tag}"),
            ResolveError::Binary => f.write_str("!!binary value is not valid base64"),
            ResolveError::TimeOffset => f.write_str("timestamp with a UTC offset of 24 hours or more"),
            ResolveError::JsonRange => f.write_str("number beyond the range of a 64-bit float"),
            ResolveError::Plaintext(kind) => {
                write!(f, "decrypted value is not a valid {}", kind.name())
            }
        }
    }
}

impl std::error::Error for ResolveError {}

/// The typed value of a YAML scalar. `text` is the decoded content; `plain` says whether it stood unquoted (only then
/// may an untagged scalar be anything but a string); `tag` is the full tag, such as `tag:yaml.org,2002:int` or `!`.
pub fn resolve<'a>(text: &'a str, plain: bool, tag: Option<&str>) -> Result<Scalar<'a>, ResolveError> {
    match tag {
        None | Some("" | "!") if plain => implicit(text),
        None | Some("" | "!") => Ok(Scalar::text(text)),
        Some(tag) => match tag.strip_prefix("tag:yaml.org,2002:").or(tag.strip_prefix("!!")) {
            Some(core) => tagged(text, core),
            None => Ok(Scalar::text(text)),
        },
    }
}

/// A plain scalar without a tag.
fn implicit(text: &str) -> Result<Scalar<'_>, ResolveError> {
    match lookup(text, true) {
        Found::Text => Ok(Scalar::text(text)),
        Found::Null => Ok(Scalar::null()),
        Found::Bool(value) => Ok(Scalar::bool(value)),
        Found::Number(Number::Int(value)) => Ok(Scalar::int(value)),
        Found::Number(Number::Float(value)) => Ok(Scalar::float(value)),
        Found::Number(Number::Unsigned) => Err(ResolveError::Unsigned),
        Found::Time(stamp) => Scalar::time(stamp),
    }
}

/// A scalar with a core tag. The content is resolved as if plain, whatever its style, and must then fit the tag; only
/// an integer may become a float. Tags outside the list leave a string.
fn tagged<'a>(text: &'a str, core: &str) -> Result<Scalar<'a>, ResolveError> {
    let tag = match core {
        "binary" => {
            return decode_base64(text).map(|bytes| Scalar { kind: Type::Str, bytes: Cow::Owned(bytes) });
        }
        "null" => "null",
        "bool" => "bool",
        "int" => "int",
        "float" => "float",
        "timestamp" => "timestamp",
        _ => return Ok(Scalar::text(text)),
    };
    match (tag, lookup(text, tag == "timestamp")) {
        ("null", Found::Null) => Ok(Scalar::null()),
        ("bool", Found::Bool(value)) => Ok(Scalar::bool(value)),
        ("int", Found::Number(Number::Int(value))) => Ok(Scalar::int(value)),
        ("int", Found::Number(Number::Unsigned)) => Err(ResolveError::Unsigned),
        ("float", Found::Number(Number::Float(value))) => Ok(Scalar::float(value)),
        // The nearest float of the integer is what SOPS encrypts.
        #[allow(clippy::cast_precision_loss)]
        ("float", Found::Number(Number::Int(value))) => Ok(Scalar::float(value as f64)),
        ("timestamp", Found::Time(stamp)) => Scalar::time(stamp),
        _ => Err(ResolveError::TagMismatch(tag)),
    }
}

enum Found {
    Text,
    Null,
    Bool(bool),
    Number(Number),
    Time(Stamp),
}

/// The first byte tells almost every string from the rest, so that an ordinary value costs one table look-up.
fn lookup(text: &str, times: bool) -> Found {
    let Some(&first) = text.as_bytes().first() else {
        return Found::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' => numeric(text, times),
        b'.' => word(text).or_else(|| number::float(text).map(|v| Found::Number(Number::Float(v)))).unwrap_or(Found::Text),
        b't' | b'T' | b'f' | b'F' | b'n' | b'N' | b'~' => word(text).unwrap_or(Found::Text),
        _ => Found::Text,
    }
}

fn numeric(text: &str, times: bool) -> Found {
    if times && time::starts_like_a_date(text.as_bytes()) {
        // A date that does not exist cannot be a number either: `2020-` ends every number.
        return Stamp::from_yaml(text).map_or(Found::Text, Found::Time);
    }
    match number::yaml_number(text) {
        Some(number) => Found::Number(number),
        None => word(text).unwrap_or(Found::Text),
    }
}

/// The fixed words. `yes`, `no`, `on`, `off` are strings; so is any other mix of upper and lower case.
fn word(text: &str) -> Option<Found> {
    let infinity = |value: f64| Found::Number(Number::Float(value));
    Some(match text {
        "true" | "True" | "TRUE" => Found::Bool(true),
        "false" | "False" | "FALSE" => Found::Bool(false),
        "~" | "null" | "Null" | "NULL" => Found::Null,
        ".nan" | ".NaN" | ".NAN" => infinity(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => infinity(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => infinity(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// Standard base64 with padding; line breaks are skipped anywhere, other white space is an error.
fn decode_base64(text: &str) -> Result<Vec<u8>, ResolveError> {
    let mut digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let padding = digits.iter().rev().take_while(|b| **b == b'=').count();
    if !digits.len().is_multiple_of(4) || padding > 2 {
        return Err(ResolveError::Binary);
    }
    digits.truncate(digits.len() - padding);
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for &digit in group {
            bits = bits << 6 | u32::from(base64_value(digit).ok_or(ResolveError::Binary)?);
        }
        let bytes = (bits << (6 * (4 - group.len()))).to_be_bytes();
        out.extend_from_slice(&bytes[1..group.len()]);
    }
    Ok(out)
}

fn base64_value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// The value of a decrypted plaintext of the given type, in canonical form. Other writers may store `+12`, `1e3` or
/// `true`; what enters the MAC is the form SOPS itself would write.
pub fn reread<'a>(kind: Type, plaintext: &'a [u8]) -> Result<Scalar<'a>, ResolveError> {
    let refused = ResolveError::Plaintext(kind);
    if matches!(kind, Type::Str | Type::Comment) {
        return Ok(Scalar { kind, bytes: Cow::Borrowed(plaintext) });
    }
    let text = std::str::from_utf8(plaintext).map_err(|_| refused)?;
    let canonical = match kind {
        Type::Int => number::decimal_int(text).map(Scalar::int),
        Type::Float => number::float(text).map(Scalar::float),
        Type::Bool => bool_plaintext(text).map(Scalar::bool),
        Type::Time => Stamp::from_rfc3339(text).and_then(|stamp| Scalar::time(stamp).ok()),
        Type::Null | Type::Str | Type::Comment => None,
    };
    canonical.map(|scalar| keep_borrow(scalar, plaintext)).ok_or(refused)
}

/// Avoids a second copy of the secret where the stored form is already canonical.
fn keep_borrow<'a>(scalar: Scalar<'a>, plaintext: &'a [u8]) -> Scalar<'a> {
    match scalar.bytes == plaintext {
        true => Scalar { kind: scalar.kind, bytes: Cow::Borrowed(plaintext) },
        false => scalar,
    }
}

fn bool_plaintext(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A JSON number: an integer within 64 bits stays one, everything else is a float; beyond its range SOPS refuses.
pub fn resolve_json_number(text: &str) -> Result<Scalar<'static>, ResolveError> {
    if let Some(value) = number::decimal_int(text) {
        return Ok(Scalar::int(value));
    }
    number::float(text).map(Scalar::float).ok_or(ResolveError::JsonRange)
}

/// A scalar as SOPS's YAML writer prints it; strings and comments are returned as they are, without any quoting.
pub fn yaml_text<'s>(scalar: &'s Scalar<'_>) -> Cow<'s, str> {
    let text = String::from_utf8_lossy(&scalar.bytes);
    match scalar.kind {
        Type::Bool => Cow::Borrowed(bool_word(&text)),
        Type::Float => number::float(&text).map(number::float_yaml).map_or(text, Cow::Owned),
        Type::Null => Cow::Borrowed("null"),
        Type::Str | Type::Comment | Type::Int | Type::Time => text,
    }
}

/// A scalar as SOPS's JSON writer prints it, strings and timestamps quoted. Check [`json_holds`] first: an infinity or
/// NaN comes out as a string, since JSON has no such number.
pub fn json_text<'s>(scalar: &'s Scalar<'_>) -> Cow<'s, str> {
    let text = String::from_utf8_lossy(&scalar.bytes);
    match scalar.kind {
        Type::Bool => Cow::Borrowed(bool_word(&text)),
        Type::Float => Cow::Owned(json_float(&text).unwrap_or_else(|| json_string(&text))),
        Type::Null => Cow::Borrowed("null"),
        Type::Int => text,
        Type::Str | Type::Comment | Type::Time => Cow::Owned(json_string(&text)),
    }
}

/// Whether JSON can hold the value: not an infinity or NaN, which SOPS refuses to write (exit status 4).
pub fn json_holds(scalar: &Scalar<'_>) -> bool {
    scalar.kind != Type::Float || scalar.as_text().and_then(json_float).is_some()
}

fn json_float(plaintext: &str) -> Option<String> {
    number::float_json(number::float(plaintext)?)
}

fn bool_word(plaintext: &str) -> &'static str {
    if plaintext == "True" { "true" } else { "false" }
}

/// A JSON string with the escapes SOPS writes, which keep the text safe inside HTML.
fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns: class, YAML text after `k:`, SOPS type, plaintext, …; texts are escaped with backslashes.
    const TABLE: &str = include_str!("../../testdata/scalars.tsv");

    fn unescape(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c, if c == '\\' { chars.next() } else { None }) {
                ('\\', Some('n')) => out.push('\n'),
                ('\\', Some('t')) => out.push('\t'),
                ('\\', Some('r')) => out.push('\r'),
                ('\\', Some('u')) => {
                    let code: String = chars.by_ref().take(4).collect();
                    out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                ('\\', Some(other)) => out.push(other),
                _ => out.push(c),
            }
        }
        out
    }

    /// Tag, plain?, content of the simple one-line shapes; `None` for what needs a YAML parser.
    fn simple_scalar(source: &str) -> Option<(Option<String>, bool, String)> {
        let mut rest = source.trim();
        let mut tag = None;
        while let Some(property) = rest.split(' ').next().filter(|p| p.starts_with(['!', '&'])) {
            if property.starts_with('!') {
                tag = Some(full_tag(property));
            }
            rest = rest[property.len()..].trim_start();
        }
        let single = rest.len() > 1 && rest.starts_with('\'') && rest.ends_with('\'');
        let double = rest.len() > 1 && rest.starts_with('"') && rest.ends_with('"');
        if rest.contains('\n') || rest.starts_with(['[', '{', '|', '>', '*', '%']) || rest == "-" {
            return None;
        }
        match (single, double) {
            (true, _) => Some((tag, false, rest[1..rest.len() - 1].replace("''", "'"))),
            (_, true) if rest.contains("\\/") || rest.contains("\\uD8") => None,
            (_, true) if rest.contains('\\') && rest != "\"a\\nb\"" => None,
            (_, true) => Some((tag, false, rest[1..rest.len() - 1].replace("\\n", "\n"))),
            _ if rest.contains('#') && rest != "a#b" => None,
            _ => Some((tag, true, rest.to_owned())),
        }
    }

    fn full_tag(property: &str) -> String {
        let verbatim = property.strip_prefix("!<").and_then(|t| t.strip_suffix('>'));
        match (verbatim, property.strip_prefix("!!")) {
            (Some(tag), _) => tag.to_owned(),
            (_, Some(core)) => format!("tag:yaml.org,2002:{core}"),
            _ => property.to_owned(),
        }
    }

    fn expected(kind: &str, plaintext: &str) -> Option<(Type, Vec<u8>)> {
        let bytes = match plaintext.strip_prefix("hex:") {
            Some(hex) => vec![u8::from_str_radix(hex, 16).ok()?],
            None => unescape(plaintext).into_bytes(),
        };
        match kind {
            "null" => Some((Type::Null, Vec::new())),
            "empty-str" => Some((Type::Str, Vec::new())),
            _ => Some((Type::from_name(kind)?, bytes)),
        }
    }

    #[test]
    fn every_simple_row_of_the_scalar_table() {
        let (mut checked, mut refused, mut skipped) = (0, 0, Vec::new());
        for row in TABLE.lines().skip(1) {
            let columns: Vec<&str> = row.split('\t').collect();
            let Some((tag, plain, text)) = simple_scalar(&unescape(columns[1])) else {
                skipped.push(row);
                continue;
            };
            let found = resolve(&text, plain, tag.as_deref());
            if columns[2] == "ERROR-encrypt" {
                assert!(found.is_err(), "accepted: {row}");
                refused += 1;
                continue;
            }
            let Some(wanted) = expected(columns[2], columns[3]) else {
                skipped.push(row);
                continue;
            };
            let found = found.unwrap_or_else(|error| panic!("{error}: {row}"));
            assert_eq!((found.kind, found.bytes.to_vec()), wanted, "{row}");
            if columns[2] != "empty-str" && found.kind != Type::Str {
                assert_eq!(format!("k: {}", yaml_text(&found)), columns[5], "{row}");
            }
            checked += 1;
        }
        assert_eq!(checked + refused + skipped.len(), 239);
        assert!((checked, refused) == (184, 10), "{checked} checked, {refused} refused, {skipped:#?}");
    }

    fn shown(found: Result<Scalar, ResolveError>) -> String {
        match found {
            Ok(scalar) => format!("{} {}", scalar.kind.name(), scalar.as_text().unwrap_or("?")),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn tags_and_quotes() {
        let core = |name: &str| Some(format!("tag:yaml.org,2002:{name}"));
        let cases = [
            ("12", false, None, "str 12"),
            ("12", false, Some("!".to_owned()), "str 12"),
            ("12", true, Some("!foo".to_owned()), "str 12"),
            ("12", false, Some("!!int".to_owned()), "int 12"),
            ("2020-01-01", true, core("float"), "TagMismatch(\"float\")"),
            ("12", true, core("timestamp"), "TagMismatch(\"timestamp\")"),
            ("", true, core("bool"), "TagMismatch(\"bool\")"),
            ("", true, core("int"), "TagMismatch(\"int\")"),
            ("9223372036854775808", true, core("float"), "TagMismatch(\"float\")"),
            ("9223372036854775808", true, core("int"), "Unsigned"),
            (".inf", false, core("float"), "float +Inf"),
            ("x", true, core("merge"), "str x"),
            ("aGk=\n", false, core("binary"), "str hi"),
            ("aGl=", false, core("binary"), "str hi"),
            ("aGk", false, core("binary"), "Binary"),
            ("a===", false, core("binary"), "Binary"),
            ("=aGk", false, core("binary"), "Binary"),
            ("2020-01-01T00:00:00+24:00", true, None, "TimeOffset"),
        ];
        for (text, plain, tag, wanted) in cases {
            assert_eq!(shown(resolve(text, plain, tag.as_deref())), wanted, "{text} {tag:?}");
        }
    }

    #[test]
    fn plaintexts_in_other_spellings_become_canonical() {
        let cases = [
            (Type::Int, "+012", "int 12"),
            (Type::Int, "-0", "int 0"),
            (Type::Int, "0xc", "Plaintext(Int)"),
            (Type::Int, "1_2", "Plaintext(Int)"),
            (Type::Int, "9223372036854775808", "Plaintext(Int)"),
            (Type::Float, "12.0", "float 12"),
            (Type::Float, ".inf", "Plaintext(Float)"),
            (Type::Bool, "t", "bool True"),
            (Type::Bool, "yes", "Plaintext(Bool)"),
            (Type::Time, "2020-01-01T00:00:00.10+01:00", "time 2020-01-01T00:00:00.1+01:00"),
            (Type::Time, "2020-01-01", "Plaintext(Time)"),
            (Type::Null, "", "Plaintext(Null)"),
            (Type::Comment, " c", "comment  c"),
        ];
        for (kind, text, wanted) in cases {
            assert_eq!(shown(reread(kind, text.as_bytes())), wanted, "{kind:?} {text}");
        }
        assert_eq!(reread(Type::Int, b"\xff"), Err(ResolveError::Plaintext(Type::Int)));
        assert!(reread(Type::Str, b"\xff").is_ok_and(|s| s.as_text().is_none()));
    }

    #[test]
    fn json_numbers() {
        let cases = [
            ("-0", "int 0", "0"),
            ("-0.0", "float -0", "-0"),
            ("1E2", "float 100", "100"),
            ("9223372036854775807", "int 9223372036854775807", "9223372036854775807"),
            ("12345678901234567890", "float 12345678901234567000", "12345678901234567000"),
            ("1e21", "float 1000000000000000000000", "1e+21"),
        ];
        for (text, wanted, json) in cases {
            let found = resolve_json_number(text);
            assert!(found.as_ref().is_ok_and(|s| json_holds(s) && json_text(s) == json), "{text}");
            assert_eq!(shown(found), wanted, "{text}");
        }
        assert_eq!(resolve_json_number("1e400"), Err(ResolveError::JsonRange));
    }

    #[test]
    fn json_strings_are_html_safe() {
        let scalar = Scalar::text("<&>\"\\\n\u{1}\u{2028}\u{7f}é");
        assert_eq!(json_text(&scalar), "\"\\u003c\\u0026\\u003e\\\"\\\\\\n\\u0001\\u2028\u{7f}é\"");
    }

    #[test]
    fn json_has_no_infinity() {
        let infinity = reread(Type::Float, b"-Inf");
        assert!(infinity.is_ok_and(|s| !json_holds(&s) && json_text(&s) == "\"-Inf\""));
    }

    #[test]
    fn debug_output_holds_no_value() {
        assert_eq!(format!("{:?}", Scalar::text("secret")), "Scalar(str)");
    }
}
