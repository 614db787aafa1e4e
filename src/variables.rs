//! The environment variables that a decrypted file gives to a command: its scalars at the top level, as SOPS prints them
//! into dotenv files, or the decoded values of a Secret.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::document::flat;
use crate::document::resolve::{Scalar, Type};
use crate::document::value::Value;
use crate::document::{Document, Kind as NodeKind, NONE, NodeId};
use crate::error::{Error, Kind, Result};
use crate::kubernetes;

/// A variable for a command.
pub struct Variable {
    /// As in the file: names like `tls.crt` and `FOO-BAR` are fine for programs, if not for shells.
    pub name: String,
    /// Any bytes but NUL.
    pub value: Zeroizing<Vec<u8>>,
}

/// The variables of a decrypted file's first document (SOPS); of a Secret its decoded values if `decoded`.
///
/// # Errors
/// `Generic` (1): a name or value that no environment can hold, a collection beside a Secret's, or wrong base64.
pub fn of(document: &Document<'_>, decoded: bool) -> Result<Vec<Variable>> {
    let root = document.parts.first().map_or(NONE, |part| part.root);
    if root == NONE {
        return Ok(Vec::new());
    }
    let is_secret = kubernetes::object(document, root).is_some_and(|object| kubernetes::decoded::is_secret(&object));
    let variables = if decoded && is_secret { of_secret(document, root)? } else { of_scalars(document, root)? };
    variables.iter().try_for_each(|variable| refuse_impossible(document, root, variable))?;
    Ok(variables)
}

fn of_scalars(document: &Document<'_>, root: NodeId) -> Result<Vec<Variable>> {
    let mut variables = Vec::new();
    for (key, value) in document.entries(root) {
        let name = document.key_text(key).to_owned();
        let Some(scalar) = single(document, value)? else {
            let error = document.error(key, Kind::Generic, "cannot use complex value in environment: it is a mapping or a list");
            return Err(error.hint("exec-file gives the command the whole file"));
        };
        if scalar.kind != Type::Comment {
            variables.push(Variable { name, value: shown(&scalar) });
        }
    }
    Ok(variables)
}

/// A value that is no collection, with the type that it was encrypted with.
fn single<'d>(document: &'d Document<'_>, id: NodeId) -> Result<Option<Scalar<'d>>> {
    match document.node(id).kind {
        NodeKind::Scalar => document.secret(id).map(Some),
        NodeKind::Alias => single(document, document.node(id).target()),
        _ => Ok(None),
    }
}

/// A value as SOPS prints it into dotenv files (`ValToString`): floats are told from integers, null is `<nil>`.
fn shown(scalar: &Scalar<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match scalar.kind {
        Type::Str | Type::Comment => scalar.bytes.to_vec(),
        _ => flat::printed(scalar).into_bytes(),
    })
}

/// `data` decoded, and `stringData` over it, as the API server merges them.
fn of_secret(document: &Document<'_>, root: NodeId) -> Result<Vec<Variable>> {
    let mut merged = BTreeMap::new();
    for (field, encoded) in [("data", true), ("stringData", false)] {
        for (key, value) in document.get(root, field).into_iter().flat_map(|map| document.entries(map)) {
            let text = Value::of(document, value)?;
            let Some(scalar) = text.as_scalar() else {
                return Err(document.error(value, Kind::Generic, format!("a mapping or a list in {field}, expected a string")));
            };
            let bytes = match scalar.kind {
                Type::Null => Zeroizing::new(Vec::new()),
                _ if encoded => {
                    kubernetes::decoded::decode(&String::from_utf8_lossy(&scalar.bytes)).ok_or_else(|| not_base64(document, value))?
                }
                _ => shown(&scalar),
            };
            merged.insert(document.key_text(key).to_owned(), bytes);
        }
    }
    Ok(merged.into_iter().map(|(name, value)| Variable { name, value }).collect())
}

fn not_base64(document: &Document<'_>, value: NodeId) -> Error {
    document.error(value, Kind::Generic, "not base64, expected what `data` of a Secret holds").hint("text goes into stringData")
}

fn refuse_impossible(document: &Document<'_>, root: NodeId, variable: &Variable) -> Result<()> {
    let why = match &variable.name {
        name if name.is_empty() => "an empty name",
        name if name.contains('=') => "cannot use keys with '=' in environment: a `=` in the name",
        name if name.contains('\0') => "a NUL byte in the name",
        _ if variable.value.contains(&0) => "a NUL byte in the value",
        _ => return Ok(()),
    };
    let message = format!("{why}, which no environment can hold");
    Err(document.error(root, Kind::Generic, message).for_key(variable.name.as_str()).hint("exec-file gives the command the whole file"))
}

/// Names by which programs and loaders are made to run other code, and the beginnings of such names.
const NAMES: [&str; 23] = [
    "PATH",
    "ENV",
    "IFS",
    "PS4",
    "BASH_ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PROMPT_COMMAND",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PERL5LIB",
    "PERL5OPT",
    "PERL5DB",
    "RUBYLIB",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
];
const BEGINNINGS: [&str; 4] = ["LD_", "DYLD_", "GIT_", "BASH_FUNC_"];

/// Whether a variable of this name can make a program run other code: who may change the file without a key for it (a
/// value in clear) or with one would choose what the command does.
pub fn steers_programs(name: &str) -> bool {
    let upper = if cfg!(windows) { name.to_uppercase() } else { name.to_owned() };
    NAMES.contains(&upper.as_str()) || BEGINNINGS.iter().any(|start| upper.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn read(text: &str, decoded: bool) -> Result<Vec<(String, String)>> {
        let list = of(&yaml::parse(text).unwrap(), decoded)?;
        Ok(list.into_iter().map(|v| (v.name, String::from_utf8(v.value.to_vec()).unwrap())).collect())
    }

    #[test]
    fn scalars_are_printed_as_genuine_sops_does() {
        let cases = [
            ("5", "5"),
            ("1.50", "1.5"),
            ("3.0", "3.0"),
            ("1e21", "1E+21"),
            ("1234567.5", "1.2345675E+06"),
            (".inf", "+Inf"),
            ("-.inf", "-Inf"),
            (".nan", "NaN"),
            ("true", "true"),
            ("null", "<nil>"),
            ("''", ""),
            ("2001-12-14T21:59:43.10-05:00", "2001-12-14T21:59:43-05:00"),
            ("2001-12-14", "2001-12-14T00:00:00Z"),
            ("\"a\\nb\"", "a\nb"),
        ];
        for (text, want) in cases {
            assert_eq!(read(&format!("K: {text}\n"), true).unwrap(), [("K".to_owned(), want.to_owned())]);
        }
    }

    const SECRET: &str =
        "apiVersion: v1\nkind: Secret\ndata:\n  a: YQ==\n  b: |\n    Yg\n    ==\n  n: null\nstringData: {b: over, tls.crt: '5'}\n";

    #[test]
    fn a_secret_gives_its_decoded_values() {
        let want = [("a", "a"), ("b", "over"), ("n", ""), ("tls.crt", "5")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(SECRET, true).unwrap(), want);
        assert!(read(SECRET, false).unwrap_err().message.starts_with("cannot use complex value in environment"));
    }

    #[test]
    fn what_no_environment_holds_is_refused_without_its_value() {
        for text in ["'': hunter2\n", "a=b: hunter2\n", "a: \"hunter2\\0\"\n", "apiVersion: v1\nkind: Secret\ndata: {a: hunter2}\n"] {
            let error = read(text, true).unwrap_err();
            assert!(error.kind == Kind::Generic && !error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn names_that_steer_programs_are_known() {
        assert!(["PATH", "LD_PRELOAD", "GIT_SSH_COMMAND", "DYLD_INSERT_LIBRARIES"].into_iter().all(steers_programs));
        assert!(!["PATHS", "MY_ENV", "TOKEN", "path"].into_iter().any(steers_programs));
    }
}
