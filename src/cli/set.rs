//! `kveil set`.

use std::io::IsTerminal;

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::{in_place, report};
use crate::document::index_path::{self, Index};
use crate::document::json;
use crate::document::resolve::Type;
use crate::document::value::Value;
use crate::document::{Document, NONE, change};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::decoded;
use crate::source::Source;

/// Set one value of an encrypted file, in place
///
/// The value comes from standard input (--value-stdin), from a file (--value-file) or, at a terminal, from a prompt that
/// doesn't show it. On the command line every user of the machine can see it.
///
/// It is JSON, as in sops: a string has double quotes. In `data` and `stringData` of a Secret it is plain text, and `data`
/// is put into base64. Only the lines of the value change; a new key goes to the end of its mapping, in the style of its
/// neighbours. Of several documents the first is meant.
#[derive(ClapArgs)]
pub struct Args {
    /// Read the value from standard input; a line break at the end of a single line isn't part of plain text
    #[arg(long)]
    value_stdin: bool,
    /// Read the value from the file that VALUE names, byte for byte
    #[arg(long)]
    value_file: bool,
    /// The file
    file: Option<String>,
    /// Which value: an index such as ["data"]["password"] or, where it is clear, data.password
    index: Option<String>,
    /// The value, or with --value-file the path of the file that holds it
    #[arg(allow_hyphen_values = true)]
    value: Option<String>,
    /// In `data` of a Secret: the value is base64 already
    #[arg(long)]
    raw: bool,
    /// Leave the file alone if it holds the value already
    #[arg(long)]
    idempotent: bool,
    #[command(flatten)]
    flags: in_place::Flags,
}

/// Sets a value.
///
/// # Errors
/// `BadIndex` (7) for an index or a value that can't be read or doesn't fit, `NoFile` (100) for missing operands, and
/// those of [`in_place::change`].
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let (file, index) = operands(args)?;
    path_of(context, index, None)?;
    let given = given(context, args, index)?;
    if context.is_sops() {
        // Before the file is read, as in sops.
        given.json(true)?;
    }
    in_place::change(context, &args.flags, file, |document| {
        let path = path_of(context, index, Some(document))?;
        let place = if context.is_sops() { Place::Json } else { Place::of(document, &path) };
        if args.raw && place == Place::Json {
            return Err(Error::new(Kind::ConflictingFlags, "--raw is for `data` of Secrets").hint("leave it out: the value is JSON"));
        }
        let value = value_for(context, args, place, &given, document, &path)?;
        let changed = value.map(|value| change::set(document, &path, &value)).transpose()?;
        Ok(changed.filter(|changed| !(args.idempotent && changed.is_nothing())))
    })
}

fn operands(args: &Args) -> Result<(&str, &str)> {
    if args.value_file && args.value_stdin {
        return Err(Error::new(Kind::Generic, "cannot use both --value-file and --value-stdin").hint("give one of them"));
    }
    if args.value.as_deref().is_some_and(looks_like_flag) {
        let error = Error::new(Kind::Generic, "an unknown flag stands in the place of the value");
        return Err(error.hint("--help lists the flags; a value that looks like one goes through --value-stdin"));
    }
    match (&args.file, &args.index) {
        (Some(file), Some(index)) if !(args.value_stdin && args.value.is_some()) => Ok((file, index)),
        (Some(_), Some(_)) => {
            let error = Error::new(Kind::NoFile, "a value and --value-stdin, expected one of them");
            Err(error.hint("with --value-stdin there is no VALUE: set --value-stdin FILE INDEX"))
        }
        _ => Err(Error::new(Kind::NoFile, "no file specified, or index and value are missing")
            .hint("set --value-stdin FILE '[\"data\"][\"password\"]'")),
    }
}

/// A flag with a typing error must not become a secret.
fn looks_like_flag(value: &str) -> bool {
    value.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains(char::is_whitespace))
}

/// The path that `index` means. Dotted paths need the document to be clear; without one only the form is checked.
pub fn path_of(context: &Context, index: &str, document: Option<&Document<'_>>) -> Result<Vec<Index>> {
    let path = read_path(context, index, document)?;
    document.filter(|_| !context.is_sops()).map_or(Ok(()), |document| refuse_repeated(document, &path))?;
    Ok(path)
}

/// Of a key that stands twice sops means the first, where most programs read the last.
fn refuse_repeated(document: &Document<'_>, path: &[Index]) -> Result<()> {
    if document.format.repeated(document).is_none() {
        return Ok(());
    }
    let mut at = document.parts.first().map_or(NONE, |part| part.root);
    for step in path {
        let next = match step {
            Index::Key(key) => {
                let mut of_key = document.entries(at).filter(|(id, _)| document.key_text(*id) == key).map(|(_, value)| value);
                let first = of_key.next();
                if of_key.next().is_some() {
                    let error = Error::new(Kind::Generic, "the key stands twice, and readers don't agree on which value counts");
                    return Err(error.for_key(key).hint("kveil edit shows both: leave one of them"));
                }
                first
            }
            Index::Item(item) => usize::try_from(*item).ok().and_then(|item| document.children(at).nth(item)),
        };
        let Some(next) = next else { return Ok(()) };
        at = next;
    }
    Ok(())
}

fn read_path(context: &Context, index: &str, document: Option<&Document<'_>>) -> Result<Vec<Index>> {
    if context.is_sops() || index.starts_with('[') || index.is_empty() {
        let path = index_path::parse(index, Kind::BadIndex)?;
        return match document.filter(|_| context.is_sops()) {
            Some(document) => index_path::of_values(document, &path, &|_| false, Kind::BadIndex),
            None => Ok(path),
        };
    }
    let Some(document) = document else { return Ok(Vec::new()) };
    let flat: &[&str] = if decoded::opens_with_secret(document) { &["data", "stringData"] } else { &[] };
    index_path::dotted(document, index, flat)
}

/// A value as it was given. No `Debug`: it is a secret.
struct Given {
    bytes: Zeroizing<Vec<u8>>,
    /// Typed at the prompt, where nobody writes quotes.
    typed: bool,
}

impl Given {
    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.bytes).map_err(|_| Error::new(Kind::BadIndex, "the value isn't UTF-8 text"))
    }

    /// The value as JSON. Genuine sops takes no list.
    fn json(&self, as_sops: bool) -> Result<Value> {
        if self.typed {
            return Ok(Value::string(self.text()?));
        }
        match json::value_of(self.text()?)? {
            Value::List(_) if as_sops => Err(Error::new(Kind::BadIndex, "the value is a list, which sops doesn't take: set its items")),
            value => Ok(value),
        }
    }
}

fn given(context: &Context, args: &Args, index: &str) -> Result<Given> {
    let piped = |bytes| Given { bytes, typed: false };
    match &args.value {
        _ if args.value_stdin => Source::Stdin.read_bytes().map(piped),
        Some(path) if args.value_file => Source::of(path).read_bytes().map(piped).map_err(|mut error| {
            error.kind = Kind::Generic;
            error.in_file(path)
        }),
        Some(value) => Ok(piped(Zeroizing::new(value.as_bytes().to_vec()))),
        None if !context.is_sops() && !args.value_file && std::io::stdin().is_terminal() => prompted(index),
        None => Err(Error::new(Kind::NoFile, "the value is missing").hint("give it on standard input: set --value-stdin FILE INDEX")),
    }
}

fn prompted(index: &str) -> Result<Given> {
    let question = format!("value of {}: ", crate::error::printable(index));
    let typed = rpassword::prompt_password(question).map(Zeroizing::new);
    let typed = typed.map_err(|why| Error::new(Kind::Generic, format!("can't read the value from the terminal: {why}")))?;
    Ok(Given { bytes: Zeroizing::new(typed.as_bytes().to_vec()), typed: true })
}

/// What a value means where it is put.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// JSON.
    Json,
    /// Plain text in `stringData` of a Secret.
    Text,
    /// Plain text that `data` of a Secret holds in base64.
    Encoded,
    /// All of `data`: JSON with plain text.
    AllEncoded,
}

impl Place {
    fn of(document: &Document<'_>, path: &[Index]) -> Place {
        match path {
            _ if !decoded::opens_with_secret(document) => Place::Json,
            [Index::Key(name), Index::Key(_)] if name == "data" => Place::Encoded,
            [Index::Key(name)] if name == "data" => Place::AllEncoded,
            [Index::Key(name), Index::Key(_)] if name == "stringData" => Place::Text,
            _ => Place::Json,
        }
    }
}

/// The value to put; [`None`] if the place has it already, in its own spelling.
fn value_for(
    context: &Context,
    args: &Args,
    place: Place,
    given: &Given,
    document: &Document<'_>,
    path: &[Index],
) -> Result<Option<Value>> {
    match place {
        Place::Json => given.json(context.is_sops()).map(Some),
        Place::Text => {
            refuse_raw(args)?;
            let bytes = plain_text(context, args, given);
            String::from_utf8(bytes.to_vec())
                .map(|text| Some(Value::string(text)))
                .map_err(|_| Error::new(Kind::BadIndex, "the value isn't UTF-8 text, which stringData needs").hint("put it into data"))
        }
        Place::Encoded => {
            let bytes = if args.raw { raw(given)? } else { plain_text(context, args, given) };
            if !args.raw {
                warn_of_base64(context, &bytes);
            }
            Ok((!holds(document, path, &bytes)).then(|| Value::string(decoded::encode(&bytes).as_str())))
        }
        Place::AllEncoded => given.json(false).map(|value| Some(if args.raw { value } else { all_encoded(value) })),
    }
}

fn refuse_raw(args: &Args) -> Result<()> {
    let conflict = || Error::new(Kind::ConflictingFlags, "--raw is for `data` of Secrets: stringData holds plain text");
    if args.raw { Err(conflict().hint("leave it out")) } else { Ok(()) }
}

/// The bytes that are meant: of a single line of text on standard input without its line break, which `echo` and most
/// tools add.
fn plain_text(context: &Context, args: &Args, given: &Given) -> Zeroizing<Vec<u8>> {
    let bytes = &given.bytes;
    let line = bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = line.filter(|line| args.value_stdin && !line.contains(&b'\n') && decoded::as_text(line).is_some());
    let quoted = line.unwrap_or(bytes);
    if !given.typed && quoted.len() > 1 && quoted.starts_with(b"\"") && quoted.ends_with(b"\"") {
        report::warning(context, "the quotes are part of the value: in a Secret it is plain text, not JSON");
    }
    Zeroizing::new(quoted.to_vec())
}

/// The bytes of a value that is base64 already.
fn raw(given: &Given) -> Result<Zeroizing<Vec<u8>>> {
    let bad = || Error::new(Kind::BadIndex, "the value isn't base64").hint("leave out --raw: kveil encodes plain text itself");
    decoded::decode(given.text()?.trim_end()).ok_or_else(bad)
}

fn warn_of_base64(context: &Context, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_ok_and(decoded::looks_encoded) {
        report::warning(context, "the value looks like base64, and is encoded once more: --raw takes it as it is");
    }
}

/// Whether `data` holds these bytes at `path`, in whatever spelling.
fn holds(document: &Document<'_>, path: &[Index], bytes: &[u8]) -> bool {
    let root = document.parts.first().map_or(NONE, |part| part.root);
    let found = path.iter().try_fold(root, |id, step| match step {
        Index::Key(key) => document.get(id, key),
        Index::Item(_) => None,
    });
    let text = found.and_then(|id| document.scalar(id).ok()).filter(|scalar| scalar.kind == Type::Str);
    text.as_ref().and_then(|scalar| decoded::decode(scalar.as_text()?)).is_some_and(|stored| *stored == bytes)
}

fn all_encoded(value: Value) -> Value {
    let encoded = |value: &Value| match value {
        Value::Scalar(Type::Str, bytes) => Value::string(decoded::encode(bytes).as_str()),
        other => other.clone(),
    };
    match &value {
        Value::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), encoded(value))).collect()),
        _ => value,
    }
}
