//! `kveil unset`.

use clap::Args as ClapArgs;

use super::context::Context;
use super::in_place;
use super::set::path_of;
use crate::document::change;
use crate::error::{Error, Kind, Result};

/// Take one entry out of an encrypted file, in place
///
/// Only its lines change. Comments beside it go with it, comments above it stay. Of several documents the first is meant.
#[derive(ClapArgs)]
pub struct Args {
    /// The file
    file: Option<String>,
    /// Which entry: an index such as ["data"]["password"] or, where it is clear, data.password
    index: Option<String>,
    /// Leave the file alone if there is no such entry
    #[arg(long)]
    idempotent: bool,
    #[command(flatten)]
    flags: in_place::Flags,
}

/// Takes an entry out.
///
/// # Errors
/// `BadIndex` (7), `Generic` (1) if nothing is there, and those of [`in_place::change`].
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let (Some(file), Some(index)) = (&args.file, &args.index) else {
        return Err(Error::new(Kind::NoFile, "no file specified, or index is missing").hint("unset FILE '[\"data\"][\"password\"]'"));
    };
    path_of(context, index, None)?;
    in_place::change(context, &args.flags, file, |document| {
        let path = path_of(context, index, Some(document))?;
        match change::unset(document, &path)? {
            Some(changed) => Ok(Some(changed)),
            None if args.idempotent => Ok(None),
            None => Err(Error::new(Kind::Generic, "key not found: nothing is there to be unset")
                .for_key(index)
                .hint("--idempotent takes that for success")),
        }
    })
}
