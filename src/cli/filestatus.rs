//! `kveil filestatus`.

use clap::Args as ClapArgs;

use super::context::Context;
use super::flags::{Common, Types};
use super::report;
use crate::error::{Kind, Result};
use crate::seal::decrypt::is_encrypted;
use crate::source::Source;

/// Say whether a file is encrypted
#[derive(ClapArgs)]
pub struct Args {
    /// The file
    file: String,
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
/// `Generic` (1) for a file that is missing or can't be read, as in sops.
pub fn run(_context: &Context, args: &Args) -> Result<()> {
    let encrypted = status(args).map_err(|mut error| {
        error.kind = Kind::Generic;
        error.in_file(&args.file)
    })?;
    let text = match (args.format.as_str(), encrypted) {
        ("text", true) => "encrypted\n",
        ("text", false) => "clear\n",
        (_, true) => "{\"encrypted\":true}\n",
        (_, false) => "{\"encrypted\":false}\n",
    };
    report::data(text.as_bytes())
}

fn status(args: &Args) -> Result<bool> {
    let text = Source::of(&args.file).read()?;
    let format = args.types.input(&args.file, &text)?;
    Ok(is_encrypted(&format.parse(&text)?))
}
