//! `kveil git textconv`.

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use crate::cli::context::Context;
use crate::cli::flags::Types;
use crate::cli::report;
use crate::error::Result;
use crate::git::mask::Masks;
use crate::git::textconv;
use crate::pipeline::next;
use crate::source::{self, Source};

/// Print a file as git shall compare it: every secret value as a mask
///
/// git calls it for `diff`, `show`, `log -p` and `blame`. A mask says type, length class and a fingerprint under a key that
/// this clone has for itself: a changed value is a changed line, a new ciphertext of the same value is none. Without a key,
/// and for files that aren't encrypted, the input is printed as it is.
#[derive(ClapArgs)]
pub struct Args {
    /// Show the values themselves; `git config kveil.reveal true` does the same
    #[arg(long)]
    reveal: bool,
    /// The file; git gives old versions under other names
    file: String,
}

/// Prints. Whatever is in the way, git gets something to compare: else it would compare nothing at all.
///
/// # Errors
/// A file that can't be read.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let bytes = Source::of(&args.file).read_bytes()?;
    let converted = source::utf8(bytes.clone()).ok().and_then(|text| converted(context, args, &text));
    match converted {
        Some(text) => report::data(text.as_bytes()),
        None => report::data(&bytes),
    }
}

fn converted(context: &Context, args: &Args, text: &str) -> Option<Zeroizing<String>> {
    if !text.contains("sops") {
        return None;
    }
    let format = Types::default().input(&args.file, text).ok()?;
    let (repository, settings) = super::surroundings(context).unwrap_or_default();
    let identities = super::identities(context, settings.network);
    let opened = next::open(text, format, &identities, &[], true).ok()?;
    // Where nothing can be kept with the clone, the data key keeps masks alike from run to run.
    let masks = repository.and_then(|repository| repository.masks().ok()).unwrap_or_else(|| Masks::new(opened.data_key.bytes()));
    Some(if args.reveal || settings.reveal { textconv::revealed(&opened, &masks) } else { textconv::masked(&opened, &masks) })
}
