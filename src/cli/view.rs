//! `kveil view`.

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::flags::{Common, DecryptionOrder, Types};
use super::set::path_of;
use super::{identities, report};
use crate::document::index_path::Index;
use crate::document::resolve::Type;
use crate::document::value::Value;
use crate::document::{Document, Format, NONE};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::decoded;
use crate::pipeline;
use crate::source::Source;

/// Show a decrypted file, the `data` of Secrets as text
///
/// Bytes that are no text are shown as `!!binary`. It is what `edit` opens; `decrypt` gives the file as it was written.
#[derive(ClapArgs)]
pub struct Args {
    /// The file; `-` is standard input
    file: String,
    /// Print one value and nothing else: a key of a Secret's `data` or `stringData`, data.password, or an index
    #[arg(long, short, value_name = "KEY")]
    key: Option<String>,
    /// Don't compare the MAC: shows what can still be read of a damaged file
    #[arg(long)]
    ignore_mac: bool,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    common: Common,
}

/// Shows.
///
/// # Errors
/// Those of decrypting; `Generic` (1) for a key that isn't there, `BadIndex` (7) for one that isn't clear.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let input = Source::of(&args.file);
    let shown = shown(context, args, &input).map_err(|error| error.in_file(&input.name()))?;
    report::data(&shown)
}

fn shown(context: &Context, args: &Args, input: &Source) -> Result<Zeroizing<Vec<u8>>> {
    let text = input.read_encrypted()?;
    let order = args.order.kinds()?;
    let format = args.types.input(&input.name(), &text)?;
    let identities = identities::of(context, &args.common);
    let opened = pipeline::decrypt_text(&text, format, &identities, &order, args.ignore_mac);
    identities::tell(context, &args.common, &identities);
    let opened = opened?;
    opened.notes.iter().for_each(|note| report::warning(context, note));
    match &args.key {
        Some(key) => one(context, &opened.text, format, key),
        None => decoded::shown(&opened.text, format).map(|text| Zeroizing::new(format.plain_bytes(&text).into_owned())),
    }
}

/// One value: of a Secret's `data` the bytes that it stands for.
fn one(context: &Context, plain: &str, format: &'static dyn Format, key: &str) -> Result<Zeroizing<Vec<u8>>> {
    let document = format.parse_opened(plain)?;
    let root = document.parts.first().map_or(NONE, |part| part.root);
    let secret = decoded::opens_with_secret(&document);
    let path = match secret.then(|| bare_key(&document, root, key)).flatten() {
        Some(path) => path,
        None => path_of(context, key, Some(&document))?,
    };
    let missing = || Error::new(Kind::Generic, "nothing is there").for_key(key).hint("kveil view without --key shows all keys");
    let tree = Value::of(&document, root)?;
    let found = path.iter().try_fold(&tree, |value, step| match step {
        Index::Key(key) => value.get(key),
        Index::Item(at) => value.items().get(usize::try_from(*at).ok()?),
    });
    let value = found.ok_or_else(missing)?;
    let encoded = secret && matches!(path.as_slice(), [Index::Key(name), _] if name == "data");
    match value {
        Value::Scalar(Type::Str, bytes) if encoded => {
            let decoded = std::str::from_utf8(bytes).ok().and_then(decoded::decode);
            Ok(decoded.unwrap_or_else(|| Zeroizing::new(bytes.clone())))
        }
        Value::Scalar(Type::Str, bytes) => Ok(Zeroizing::new(bytes.clone())),
        _ => {
            let text = pipeline::part(value, format, None)?;
            Ok(Zeroizing::new(text.as_bytes().to_vec()))
        }
    }
}

/// A key of `data` or `stringData`, as people name it.
fn bare_key(document: &Document<'_>, root: u32, key: &str) -> Option<Vec<Index>> {
    let holder =
        ["stringData", "data"].into_iter().find(|name| document.get(root, name).is_some_and(|data| document.get(data, key).is_some()))?;
    Some(vec![Index::Key(holder.to_owned()), Index::Key(key.to_owned())])
}
