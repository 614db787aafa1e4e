//! `kveil filestatus`.

use clap::Args as ClapArgs;

use super::context::Context;
use super::flags::{Common, Types};
use super::{files, report};
use crate::error::{Kind, Result};
use crate::pipeline;
use crate::seal::decrypt::is_encrypted;
use crate::source::Source;

/// Say whether a file is encrypted
#[derive(ClapArgs)]
pub struct Args {
    /// The file; `-` is standard input
    file: Option<String>,
    /// json: {"encrypted":true}; text: encrypted or clear
    #[arg(long, value_name = "FORMAT", value_parser = ["json", "text"], default_value = "json")]
    format: String,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    common: Common,
}

/// Prints the status.
///
/// # Errors
/// `NoFile` (100) if none is named, `Generic` (1) for one that is missing or can't be read, as in sops.
pub fn run(_context: &Context, args: &Args) -> Result<()> {
    let file = args.file.as_deref().ok_or_else(|| files::none("name one, or - for standard input"))?;
    let encrypted = status(args, file).map_err(|mut error| {
        error.kind = Kind::Generic;
        error.in_file(file)
    })?;
    let text = match (args.format.as_str(), encrypted) {
        ("text", true) => "encrypted\n",
        ("text", false) => "clear\n",
        (_, true) => "{\"encrypted\":true}\n",
        (_, false) => "{\"encrypted\":false}\n",
    };
    report::data(text.as_bytes())
}

/// A block that sops can't read is an error, one without a MAC no encryption.
fn status(args: &Args, file: &str) -> Result<bool> {
    let text = Source::of(file).read_encrypted()?;
    let format = args.types.input(file, &text)?;
    // In JSON, which a binary file's encrypted form is, an empty text is none.
    if text.is_empty() && !matches!(format.name(), "json" | "binary") {
        return Ok(false);
    }
    let document = match format.parse_encrypted(&text) {
        // What nobody could have encrypted (a key that is a number) may be read all the same.
        Err(error) if error.kind == Kind::EncryptTree && !text.lines().any(|line| line.starts_with("sops:")) => return Ok(false),
        parsed => parsed?,
    };
    if !is_encrypted(&document) {
        return Ok(false);
    }
    Ok(pipeline::metadata_of(&document)?.mac.is_some_and(|mac| !mac.is_empty()))
}
