//! Which part of a value changed: a renewed certificate, a variable of a dotenv file, a key of a JSON document.
//!
//! Parts are named only where the key or the value itself says the form. Guessing would tear names out of passwords: a
//! quarter of all random ones in base64 look like `NAME=`.

use serde_json::Value as Json;
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry::OidRegistry;
use zeroize::{Zeroize, Zeroizing};

/// More names than these are counted.
const NAMES: usize = 12;

/// Names below this depth of a JSON document aren't told apart.
const DEPTH: usize = 3;

/// A form of values: when it is one, and what its parts are.
struct Form {
    /// Whether a value at this key is of the form.
    is_one: fn(key: &str, text: &str) -> bool,
    /// Its parts; none if it isn't well-formed.
    parts: fn(text: &str) -> Option<Vec<Part>>,
}

/// All forms: a new one is a row and its function.
static FORMS: [Form; 5] = [
    Form { is_one: |_, text| text.lines().any(|line| line.starts_with(ARMOUR)), parts: pem },
    Form { is_one: |_, text| text.starts_with("eyJ") && text.matches('.').count() == 2, parts: token },
    Form { is_one: |key, _| matches!(key, ".dockerconfigjson" | ".dockercfg"), parts: docker },
    Form { is_one: |key, _| key.ends_with(".json"), parts: json },
    Form { is_one: |key, _| key.ends_with(".env"), parts: dotenv },
];

/// A part of a value.
struct Part {
    /// What it is called.
    name: String,
    /// What it holds, to be compared only.
    content: Zeroizing<String>,
    /// What it says of itself that is no secret.
    facts: Option<String>,
}

/// What changed inside a value at the key `key`, a line each; empty if nothing can be said. Without `old` only what the
/// new value says of itself: nothing that depends on what was there.
pub fn changes(key: &str, old: Option<&[u8]>, new: Option<&[u8]>) -> Vec<String> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let Some(new) = new.and_then(text) else { return Vec::new() };
    let Some(form) = FORMS.iter().find(|form| (form.is_one)(key, new)) else { return Vec::new() };
    let Some(after) = (form.parts)(new) else { return Vec::new() };
    let before = old.and_then(text).filter(|old| (form.is_one)(key, old)).and_then(form.parts);
    match before {
        Some(before) => short(compared(&before, &after)),
        None => short(after.iter().filter_map(|part| Some(format!("{}: {}", part.name, part.facts.as_ref()?))).collect()),
    }
}

fn compared(before: &[Part], after: &[Part]) -> Vec<String> {
    let find = |parts: &'_ [Part], name: &str| parts.iter().position(|part| part.name == name);
    let mut lines = Vec::new();
    for part in after {
        match find(before, &part.name).and_then(|at| before.get(at)) {
            None => lines.push(format!("{} added{}", part.name, behind(part.facts.as_deref()))),
            Some(old) if old.content != part.content => lines.push(match (&old.facts, &part.facts) {
                (Some(old), Some(new)) if old != new => format!("{}: {old}, now {new}", part.name),
                (_, facts) => format!("{} changed{}", part.name, behind(facts.as_deref())),
            }),
            Some(_) => {}
        }
    }
    lines.extend(before.iter().filter(|part| find(after, &part.name).is_none()).map(|part| format!("{} removed", part.name)));
    lines
}

fn behind(facts: Option<&str>) -> String {
    facts.map(|facts| format!(": {facts}")).unwrap_or_default()
}

fn short(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(NAMES);
    lines.truncate(NAMES);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}

/// A name from inside a value, if it looks like one: it is decrypted text, and ends up where others read.
fn name(what: &str, text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:[]".contains(c);
    let fine = !text.is_empty() && text.len() <= 64 && text.chars().all(plain);
    let shown = if fine { text } else { "(a name that isn't shown)" };
    if what.is_empty() { shown.to_owned() } else { format!("{what} {shown}") }
}

const ARMOUR: &str = "-----BEGIN ";

/// Blocks by their label, counted; of certificates subject and dates. Private keys are compared as text only.
fn pem(text: &str) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for block in text.split(ARMOUR).skip(1) {
        let (label, rest) = block.split_once("-----")?;
        let body = rest.split("-----END ").next()?;
        let label = name("", &label.to_ascii_lowercase().replace(' ', "-")).replace('-', " ");
        let count = parts.iter().filter(|part| part.name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ') == label).count();
        let facts = (label == "certificate").then(|| certificate(block)).flatten();
        let name = if count == 0 { label } else { format!("{label} {}", count + 1) };
        parts.push(Part { name, content: Zeroizing::new(body.trim().to_owned()), facts });
    }
    Some(parts)
}

/// Subject and dates.
fn certificate(block: &str) -> Option<String> {
    let (armoured, _) = block.split_once("\n-----END ")?;
    let base64: String = armoured.lines().skip(1).map(str::trim_end).collect();
    let der = base64_simd::STANDARD.decode_to_vec(base64).ok()?;
    // Nothing is told of extensions, and each kind of them has a parser of its own.
    let (_, certificate) = X509CertificateParser::new().with_deep_parse_extensions(false).parse(&der).ok()?;
    // The registry of all names has those of algorithms as well.
    let names = OidRegistry::default().with_x509().with_pkcs9();
    let subject = certificate.subject().to_string_with_registry(&names).unwrap_or_else(|_| "a name that can't be read".to_owned());
    let subject: String = subject.chars().take(120).collect();
    let day = |time: x509_parser::time::ASN1Time| time.to_datetime().date().to_string();
    let validity = certificate.validity();
    Some(format!("{subject}, valid {} to {}", day(validity.not_before), day(validity.not_after)))
}

/// The claims of a signed token, by name.
fn token(text: &str) -> Option<Vec<Part>> {
    let mut pieces = text.trim_end().split('.');
    let mut object = || -> Option<Json> {
        let mut bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(pieces.next()?).ok()?;
        let object = serde_json::from_slice::<Json>(&bytes).ok().filter(Json::is_object);
        bytes.zeroize();
        object
    };
    let (header, claims) = (object()?, object()?);
    header.get("alg")?.as_str()?;
    let claims = claims.as_object()?.iter().map(|(key, value)| Part {
        name: name("claim", key),
        content: Zeroizing::new(value.to_string()),
        facts: None,
    });
    Some(claims.collect())
}

/// The registries of a docker configuration, in its new and its old form.
fn docker(text: &str) -> Option<Vec<Part>> {
    let whole: Json = serde_json::from_str(text).ok()?;
    let registries = whole.get("auths").unwrap_or(&whole).as_object()?;
    let part =
        |(key, value): (&String, &Json)| Part { name: name("registry", key), content: Zeroizing::new(value.to_string()), facts: None };
    Some(registries.iter().map(part).collect())
}

/// The keys of a JSON document, joined by dots.
fn json(text: &str) -> Option<Vec<Part>> {
    fn gather(value: &Json, path: &str, depth: usize, parts: &mut Vec<Part>) {
        match value.as_object().filter(|_| depth < DEPTH) {
            Some(entries) => entries.iter().for_each(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                gather(value, &path, depth + 1, parts);
            }),
            None => parts.push(Part { name: name("key", path), content: Zeroizing::new(value.to_string()), facts: None }),
        }
    }
    let whole: Json = serde_json::from_str(text).ok().filter(Json::is_object)?;
    let mut parts = Vec::new();
    gather(&whole, "", 0, &mut parts);
    Some(parts)
}

/// Variables, if there are two lines or more and all of them are one.
fn dotenv(text: &str) -> Option<Vec<Part>> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    if lines.len() < 2 {
        return None;
    }
    lines.into_iter().map(variable).collect()
}

fn variable(line: &str) -> Option<Part> {
    let (key, value) = line.split_once('=')?;
    let first = key.starts_with(|c: char| c.is_ascii_uppercase());
    let rest = key.len() <= 64 && key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let padding = !value.is_empty() && value.chars().all(|c| c == '=');
    (first && rest && !padding).then(|| Part { name: key.to_owned(), content: Zeroizing::new(value.to_owned()), facts: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(key: &str, old: &str, new: &str) -> Vec<String> {
        changes(key, Some(old.as_bytes()), Some(new.as_bytes()))
    }

    #[test]
    fn variables_and_keys_are_named_where_the_key_says_so() {
        assert_eq!(inner("app.env", "A=1\nB=2\nC=3\n", "A=1\nB=3\nD=4\n"), ["B changed", "D added", "C removed"]);
        assert!(inner("password", "A=1\nB=2\n", "A=1\nB=3\n").is_empty());
        assert!(inner("app.env", "A=1\n", "A=2\n").is_empty());
        assert!(inner("app.env", "A=1\nb=2\n", "A=1\nb=3\n").is_empty());
        let (old, new) = (r#"{"a":{"b":{"c":{"d":1}}},"e":2}"#, r#"{"a":{"b":{"c":{"d":2}}},"f g\u001b":2}"#);
        assert_eq!(inner("x.json", old, new), ["key a.b.c changed", "key (a name that isn't shown) added", "key e removed"]);
        assert!(inner("x", old, new).is_empty() && inner("x.json", old, "[1]").is_empty());
    }

    #[test]
    fn registries_and_claims_are_named() {
        let old = r#"{"auths":{"ghcr.io":{"auth":"a"},"quay.io":{"auth":"b"}}}"#;
        let new = r#"{"auths":{"ghcr.io":{"auth":"c"},"quay.io":{"auth":"b"}}}"#;
        assert_eq!(inner(".dockerconfigjson", old, new), ["registry ghcr.io changed"]);
        let jwt = |claims: &str| {
            let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
            format!("{}.{}.c2ln", encode(r#"{"alg":"HS256"}"#), encode(claims))
        };
        assert_eq!(inner("token", &jwt(r#"{"sub":"a","exp":1}"#), &jwt(r#"{"sub":"a","exp":2}"#)), ["claim exp changed"]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let env = |value: &str| (0..30).map(|at| format!("V{at}={value}\n")).collect::<String>();
        let lines = inner(".env", &env("1"), &env("2"));
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (NAMES + 1, Some("and 18 more")));
    }

    #[test]
    fn nothing_is_named_in_random_values() {
        let random = || {
            let mut bytes = [0; 24];
            getrandom::fill(&mut bytes).unwrap();
            base64_simd::STANDARD.encode_to_string(bytes)
        };
        for key in ["password", "token", "app.env", "config.json", ".dockerconfigjson", "tls.key"] {
            for _ in 0..10_000 / 5 {
                let (old, new) = (random(), random());
                assert!(inner(key, &old, &new).is_empty(), "{key}");
                assert!(inner(key, &format!("{old}\n{new}\n"), &format!("{new}\n{old}\n")).is_empty(), "{key}");
            }
        }
    }
}
