//! The line from text to text: everything between reading a file and writing it.

pub mod disclosed;
pub mod next;
pub mod update;

use zeroize::Zeroizing;

use crate::datakey::{self, DataKey};
use crate::document::index_path::{self, Index};
use crate::document::resolve::Type;
use crate::document::value::Value;
use crate::document::{self, Document, Format, NodeId, binary, bytes};
use crate::error::{Error, Kind, Result};
use crate::metadata::{self, Metadata};
use crate::recipient::{Identities, RecipientSpec};
use crate::seal::encrypt::{self, Request, Sealed};
use crate::seal::value::{Cipher, Token};
use crate::seal::{decrypt, verify};
use crate::select::Selection;

/// How a file is encrypted.
pub struct Plan {
    /// For whom, by key group.
    pub groups: Vec<Vec<RecipientSpec>>,
    /// How many groups must be opened.
    pub threshold: Option<usize>,
    /// Which values.
    pub selection: Selection,
    /// Whether the MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// Columns a level for the `sops` block; [`None`] as genuine sops.
    pub indent: Option<usize>,
    /// Whether a layout record may be written.
    pub layout: bool,
    /// Accept what genuine sops accepts of empty first documents.
    pub lenient: bool,
    /// The time for `lastmodified`, RFC 3339 in UTC.
    pub now: String,
}

/// Encrypts a parsed plain file under a new data key, and checks the result before it is given out. Programs and services
/// that recipients need are found as `identities` says.
///
/// # Errors
/// Those of [`encrypt::encrypt`], [`datakey::wrap`] and [`verify::check`].
pub fn encrypt(document: &Document<'_>, plan: &Plan, identities: &Identities) -> Result<Sealed> {
    let data_key = DataKey::generate()?;
    let groups = datakey::wrap(&data_key, &plan.groups, plan.threshold, identities)?;
    let metadata = Metadata {
        threshold: if groups.len() > 1 { datakey::threshold(groups.len(), plan.threshold)? } else { None },
        groups,
        last_modified: plan.now.clone(),
        mac: None,
        version: metadata::VERSION.to_owned(),
        selector: plan.selection.written(),
        mac_only_encrypted: plan.mac_only_encrypted,
        layout: None,
        unknown: Vec::new(),
    };
    let cipher = Cipher::new(data_key.bytes());
    let request = Request {
        selection: &plan.selection,
        cipher: &cipher,
        metadata,
        indent: plan.indent,
        layout: plan.layout,
        lenient: plan.lenient,
        earlier: None,
    };
    let sealed = encrypt::encrypt(document, request)?;
    verify::check(document, &sealed.text, &cipher, plan.layout, None, || ())?;
    Ok(sealed)
}

/// The metadata of an encrypted file.
///
/// # Errors
/// `Generic` (1) with genuine sops's phrase if there is no `sops` block, or one that can't be read.
pub fn metadata_of(document: &Document<'_>) -> Result<Metadata> {
    let Some(block) = document.block()? else {
        refuse_lost_block(document, Kind::Generic, "sops metadata not found: an encrypted value in a file without a sops block")?;
        let error = Error::new(Kind::Generic, "sops metadata not found: the file has no top-level `sops` entry, it isn't encrypted");
        return Err(error.hint("it is in clear already; kveil encrypt encrypts it"));
    };
    Metadata::read(&block)
}

/// The first value that is a complete token of SOPS.
pub fn first_token(document: &Document<'_>) -> Option<NodeId> {
    memchr::memmem::find(document.source.as_bytes(), TOKEN_START)?;
    (0..document.nodes.len() as NodeId).find(|id| {
        let node = document.node(*id);
        let scalar = !node.is_collection() && node.kind != document::Kind::Alias;
        scalar && Token::is_whole(document.text(*id))
    })
}

/// How a token begins.
const TOKEN_START: &[u8] = b"ENC[AES256_GCM,";

/// Refuses a file that holds encrypted values and has lost its `sops` block: encrypted once more, they would look sound.
///
/// # Errors
/// `AlreadyEncrypted` (203) with the place of the first.
pub fn refuse_sealed(document: &Document<'_>) -> Result<()> {
    match document.block() {
        Ok(None) => refuse_lost_block(document, Kind::AlreadyEncrypted, "an encrypted value in a file without a sops block"),
        _ => Ok(()),
    }
}

fn refuse_lost_block(document: &Document<'_>, kind: Kind, message: &str) -> Result<()> {
    let Some(token) = first_token(document) else { return Ok(()) };
    let error = document.error(token, kind, message);
    Err(error.hint("restore the sops block from an older version of the file: nobody can open the value without it"))
}

/// Decrypts the text of a file with the identities at hand.
///
/// # Errors
/// `Generic` (1) for text that can't be read or has no `sops` block, `NoDataKey` (128), `DecryptTree` (25),
/// `MacMismatch` (51) unless `ignore_mac`.
pub fn decrypt_text(
    text: &str,
    format: &'static dyn Format,
    identities: &Identities,
    order: &[String],
    ignore_mac: bool,
) -> Result<decrypt::Opened> {
    let opened = |text: &str| decrypt(&format.parse_encrypted(text).map_err(as_generic)?, identities, order, ignore_mac);
    // Positions in errors are those of the whole file.
    match format.without_repeats(text) {
        Some(shorter) => opened(&shorter).or_else(|_| opened(text)),
        None => opened(text),
    }
}

/// Text that can't be read is an input error of encrypt; decrypt has 1 for it, as genuine sops.
pub fn as_generic(mut error: Error) -> Error {
    if error.kind == Kind::Empty {
        error.message.insert_str(0, "sops metadata not found: ");
    }
    if matches!(error.kind, Kind::Unreadable | Kind::EncryptTree | Kind::Empty) {
        error.kind = Kind::Generic;
    }
    error
}

/// Decrypts a parsed file with the identities at hand.
///
/// # Errors
/// As [`decrypt_text`].
pub fn decrypt(document: &Document<'_>, identities: &Identities, order: &[String], ignore_mac: bool) -> Result<decrypt::Opened> {
    let metadata = metadata_of(document)?;
    let data_key = datakey::unwrap(&metadata, identities, order)?;
    if document.format.is_bytes() && document.format.content(document).is_none() {
        return Err(binary::no_data());
    }
    decrypt::decrypt(document, &metadata, &Cipher::new(data_key.bytes()), ignore_mac)
}

/// Decrypts a file for its values: with its text, what they are, where the text of another writer's file doesn't say it
/// (`1` for the float 1.0).
///
/// # Errors
/// As [`decrypt`](fn@decrypt).
pub fn decrypt_values(
    text: &str,
    format: &'static dyn Format,
    identities: &Identities,
    order: &[String],
) -> Result<(decrypt::Opened, Vec<Value>)> {
    let document = format.parse_encrypted(text).map_err(as_generic)?;
    let metadata = metadata_of(&document)?;
    let data_key = datakey::unwrap(&metadata, identities, order)?;
    let (reading, text) = decrypt::open(&document, &metadata, &Cipher::new(data_key.bytes()), false)?;
    let trees = reading.trees(&document)?;
    Ok((decrypt::Opened { text, notes: reading.notes }, trees))
}

/// What a decrypted file is asked for.
#[derive(Clone, Copy)]
pub struct Wanted<'w> {
    /// A part of it: an index path.
    pub part: Option<&'w str>,
    /// The format to print.
    pub format: &'static dyn Format,
    /// Columns a level of what is printed.
    pub indent: Option<usize>,
    /// Whether the part's numbers count the comments of lists, as in genuine sops.
    pub counts_comments: bool,
}

impl Wanted<'_> {
    /// The steps to the part.
    fn steps(&self) -> Result<Option<Vec<Index>>> {
        self.part.map(|path| index_path::parse(path, Kind::BadPath)).transpose()
    }
}

/// Decrypts the text of a file, and gives a part of it or all in another format. Nothing goes by way of text in the file's
/// own format, which might not hold every value.
///
/// # Errors
/// Those of [`decrypt_text`]; `BadPath` (91) for a path that can't be parsed, `Generic` (1) if nothing is there; `Emit` (4)
/// for what the other format has no form for.
pub fn decrypt_as(
    text: &str,
    format: &'static dyn Format,
    identities: &Identities,
    order: &[String],
    ignore_mac: bool,
    wanted: Wanted<'_>,
) -> Result<decrypt::Opened> {
    if format.name() == wanted.format.name() && wanted.part.is_none() {
        return decrypt_text(text, format, identities, order, ignore_mac);
    }
    let document = format.parse_encrypted(text).map_err(as_generic)?;
    let metadata = metadata_of(&document)?;
    let data_key = datakey::unwrap(&metadata, identities, order)?;
    let reading = decrypt::read(&document, &metadata, &Cipher::new(data_key.bytes()), ignore_mac)?;
    let is_comment = |id| decrypt::is_comment(&document, id);
    let steps = match wanted.steps()? {
        Some(steps) if wanted.counts_comments => Some(index_path::of_values(&document, &steps, &is_comment, Kind::Generic)?),
        steps => steps,
    };
    let trees = reading.trees(&document)?;
    let left_out = refuse_several(&trees, wanted.format).err().filter(|_| steps.is_none());
    let notes = reading.notes.into_iter().chain(left_out.map(|error| format!("{}: the first is shown", error.message)));
    Ok(decrypt::Opened { text: print(&trees, steps.as_deref(), wanted)?, notes: notes.collect() })
}

/// A plain file, part of it or all in another format.
///
/// # Errors
/// As [`decrypt_as`].
pub fn shown_as(plain: Zeroizing<String>, format: &dyn Format, wanted: Wanted<'_>) -> Result<Zeroizing<String>> {
    let same = format.name() == wanted.format.name() && wanted.part.is_none();
    if same { Ok(plain) } else { print(&trees(&plain, format)?, wanted.steps()?.as_deref(), wanted) }
}

fn print(trees: &[Value], steps: Option<&[Index]>, wanted: Wanted<'_>) -> Result<Zeroizing<String>> {
    match (steps, trees.first()) {
        (Some(steps), Some(first)) => extract(first, steps, wanted.format, wanted.indent),
        _ => wanted.format.print(trees, wanted.indent).map(Zeroizing::new),
    }
}

/// The same data as text of another format, as genuine sops prints it.
///
/// # Errors
/// Text that can't be read, or data that the format has no form for.
pub fn convert(text: &str, from: &dyn Format, to: &dyn Format, indent: Option<usize>) -> Result<Zeroizing<String>> {
    to.print(&trees(text, from)?, indent).map(Zeroizing::new)
}

/// What the documents of a plain file say, comments included.
///
/// # Errors
/// Text that can't be read.
pub fn trees(text: &str, format: &dyn Format) -> Result<Vec<Value>> {
    let document = format.parse_plain(text)?;
    document.parts.iter().map(|part| value_of_part(&document, part.root)).collect()
}

/// Only YAML has a place for a second document.
fn refuse_several(trees: &[Value], format: &dyn Format) -> Result<()> {
    if trees.len() < 2 || format.name() == "yaml" {
        return Ok(());
    }
    let message = format!("{} holds one document, and the file has {}", format.name(), trees.len());
    Err(Error::new(Kind::Emit, message).hint("split the file, or keep it YAML"))
}

/// Reads what was printed from `trees`, with the values they have. An error there has a key path, and no position: that
/// of the printed text says nothing to anyone.
///
/// # Errors
/// Values that the format has no form for, such as two of one key; `Emit` (4) for several documents where there is room
/// for one, which genuine sops drops under a MAC that then fails.
pub fn read_printed<'t>(text: &'t str, trees: &[Value], format: &'static dyn Format) -> Result<Document<'t>> {
    refuse_several(trees, format)?;
    let mut document = format.parse_plain(text).map_err(|mut error| {
        let name = format.name();
        error.position = None;
        error.hint(format!("it was read, but doesn't fit {name}: correct it, or keep its own format"))
    })?;
    document.give(trees);
    Ok(document)
}

fn value_of_part(document: &Document<'_>, root: crate::document::NodeId) -> Result<Value> {
    if root == crate::document::NONE {
        return Ok(Value::Map(Vec::new()));
    }
    let value = Value::with_comments(document, root)?;
    Ok(if value.is_null() { Value::Map(Vec::new()) } else { value })
}

/// The value at an index path such as `["data"]["password"]` or `["list"][0]`: strings as they are, anything else as
/// the format prints it.
///
/// # Errors
/// `BadPath` (91) for a path that can't be parsed, `Generic` (1) if nothing is there.
pub fn extract(tree: &Value, steps: &[Index], to: &dyn Format, indent: Option<usize>) -> Result<Zeroizing<String>> {
    let mut value = tree;
    for (at, step) in steps.iter().enumerate() {
        let inner = match step {
            Index::Key(key) => value.get(key),
            Index::Item(index) => usize::try_from(*index).ok().and_then(|index| values_of(value).nth(index)),
        };
        value = inner.ok_or_else(|| not_there(at, &index_path::shown(steps), value))?;
    }
    part(value, to, indent)
}

/// One value of a file, as `--extract` shows it.
///
/// # Errors
/// Those of [`Format::print`].
pub fn part(value: &Value, to: &dyn Format, indent: Option<usize>) -> Result<Zeroizing<String>> {
    match value {
        Value::Map(_) => to.print(std::slice::from_ref(value), indent).map(Zeroizing::new),
        value if !to.is_tree() && !matches!(value, Value::Scalar(Type::Str, _)) => {
            let error =
                Error::new(Kind::Emit, format!("{} output holds text only, not the value of another type that is there", to.name()));
            Err(error.hint("choose YAML or JSON output"))
        }
        Value::Scalar(Type::Str, text) => part_of_bytes(text, to),
        Value::List(_) => Ok(Zeroizing::new(to.print_fragment(value, indent))),
        scalar => {
            let text = matches!(scalar, Value::Scalar(Type::Str, _)) || to.name() != "yaml";
            Ok(Zeroizing::new(scalar.shown() + if text { "" } else { "\n" }))
        }
    }
}

/// What is missing, and what is there: names of keys are public, they stand in the encrypted file too.
/// The items of a list that are no comments.
fn values_of(list: &Value) -> impl Iterator<Item = &Value> {
    list.items().iter().filter(|item| !item.is_comment())
}

/// A string as it is, which genuine sops may have made of any bytes.
fn part_of_bytes(content: &[u8], to: &dyn Format) -> Result<Zeroizing<String>> {
    match std::str::from_utf8(content) {
        _ if to.is_bytes() => Ok(bytes::to_text(content)),
        _ if !to.is_tree() || to.flat().is_some() => Ok(bytes::marked(content)),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Error::new(Kind::Emit, format!("the value isn't UTF-8, which {} output can't hold", to.name()))
            .hint("--output-type binary prints its bytes")),
    }
}

fn not_there(at: usize, path: &str, inside: &Value) -> Error {
    const SHOWN: usize = 20;
    let error = Error::new(Kind::Generic, format!("component {} of the path isn't in the file", at + 1)).for_key(path);
    match inside {
        Value::Map(fields) => {
            let fields = || fields.iter().filter(|(_, value)| !value.is_comment());
            let names: Vec<&str> = fields().map(|(name, _)| name.as_str()).take(SHOWN).collect();
            let more = fields().count().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            error.hint(if names.is_empty() { "there are no keys".to_owned() } else { format!("there are: {}{more}", names.join(", ")) })
        }
        list @ Value::List(_) => error.hint(format!("there are {} items, counted from 0", values_of(list).count())),
        _ => error.hint("what stands there is a single value, with nothing inside"),
    }
}
