//! One encrypted file that a verb changes in place: opened, changed as plain text, sealed with what didn't change kept
//! byte for byte, verified, replaced in one step.

use std::path::PathBuf;

use super::context::Context;
use super::earlier::refuse_cleared;
use super::flags::{Common, DecryptionOrder, Types, around};
use super::settings::Configs;
use super::{argv, clock, git, identities, report};
use crate::document::Document;
use crate::document::change::Changed;
use crate::error::{Error, Kind, Result};
use crate::pipeline::disclosed::disclosed;
use crate::pipeline::next;
use crate::secret::Secret;
use crate::select::Selection;
use crate::source::{self, Source};
use clap::Args;

/// Flags of the verbs that change one file.
#[derive(Args)]
pub struct Flags {
    /// Don't compare the MAC: the changed file gets a new one
    #[arg(long)]
    ignore_mac: bool,
    /// Write into the file itself where it can't be replaced in one step (a bind mount, hard links)
    #[arg(long)]
    write_through: bool,
    /// Let values that the file holds encrypted come into clear
    #[arg(long)]
    allow_clear: bool,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    types: Types,
    #[arg(long, hide = true, value_parser = argv::whole::<i64>)]
    shamir_secret_sharing_threshold: Option<i64>,
    #[command(flatten)]
    common: Common,
}

/// Changes the file `name`: `change` gets its plain text, and gives the new one, or [`None`] to leave the file alone. A
/// text that didn't change leaves it alone, too.
///
/// # Errors
/// `Unreadable` (2) for a missing file, as in sops; `ConflictingFlags` (8) for what isn't a regular file or, but under the
/// name `sops`, would become another format; those of decrypting and encrypting.
pub fn change(context: &Context, flags: &Flags, name: &str, change: impl FnOnce(&Document<'_>) -> Result<Option<Changed>>) -> Result<()> {
    flags.common.check()?;
    changed(context, flags, name, change).map_err(|error| error.in_file(name))
}

fn changed(context: &Context, flags: &Flags, name: &str, change: impl FnOnce(&Document<'_>) -> Result<Option<Changed>>) -> Result<()> {
    let order = flags.order.kinds()?;
    let path = PathBuf::from(name);
    if name == "-" {
        return Err(Error::new(Kind::ConflictingFlags, "standard input can't be changed in place").hint("name a file"));
    }
    source::refuse_irregular(&path, source::COPY)?;
    let text = Secret::from(Source::File(path.clone()).read_encrypted().map_err(missing_is_unreadable)?);
    let format = flags.types.input(name, &text)?;
    let asked = flags.types.output(format)?;
    let to = around(format, asked);
    if to.name() != format.name() && !context.is_sops() {
        let error = Error::new(Kind::ConflictingFlags, "--output-type would make another format of the file");
        return Err(error.hint("leave it out; decrypt --output-type converts"));
    }
    let identities = identities::of(context, &flags.common);
    let opened = next::open(&text, format, &identities, &order, flags.ignore_mac);
    identities::tell(context, &flags.common, &identities);
    let opened = opened?;
    opened.notes.iter().for_each(|note| report::warning(context, &format!("{name}: {note}")));
    let check = |after: &Document<'_>| {
        // The comment of the entry may have been the one that chose.
        let selection = Selection::of_metadata(opened.metadata.selector.as_ref());
        if flags.allow_clear { Ok(()) } else { refuse_cleared(context, &disclosed(&opened, after, &selection)?, "the file") }
    };
    let now = clock::now();
    let sealed = match next::reseal_changed(&opened, change, check, &now)? {
        Some(sealed) if to.name() != format.name() => {
            let indent = Configs::new(context, &flags.common).indent(None, asked)?;
            Some(next::converted(&opened, &Secret::from(sealed), to, indent, &now)?)
        }
        sealed => sealed,
    };
    let Some(sealed) = sealed.map(Secret::from).filter(|sealed| sealed.as_str() != text.as_str()) else { return Ok(()) };
    match flags.write_through {
        true => source::write_through(&path, sealed.as_str()),
        false => source::write(&path, sealed.as_str(), false),
    }?;
    git::add_attributes(context, &[context.absolute(name)]);
    Ok(())
}

/// The verbs that change a file have 2 for a missing one, as in sops.
fn missing_is_unreadable(mut error: Error) -> Error {
    if error.kind == Kind::NoFile {
        error.kind = Kind::Unreadable;
    }
    error
}
