//! `kveil keygen`.

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;
use zeroize::Zeroizing;

use super::context::Context;
use super::{clock, report};
use crate::error::{Error, Kind, Result};
use crate::recipient::age;
use crate::source;

/// Make an age identity (a private key) and print it, or write it to a file of mode 0600
#[derive(ClapArgs)]
pub struct Args {
    /// Write to this file, which must not exist
    #[arg(long, short, value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    output: Option<String>,
    /// A post-quantum identity: its recipient is 1,959 characters long
    #[arg(long)]
    pq: bool,
    /// Say more on stderr
    #[arg(long, short, hide = true)]
    verbose: bool,
}

/// The text of a key file with a new identity, and its recipient.
pub fn key_file(post_quantum: bool) -> (Zeroizing<String>, String) {
    let (identity, recipient) = if post_quantum { age::generate_post_quantum() } else { age::generate() };
    let text = format!("# created: {}\n# public key: {recipient}\n{}\n", clock::now(), identity.as_str());
    (Zeroizing::new(text), recipient)
}

/// Makes an identity.
///
/// # Errors
/// `Generic` (1) if the file exists, `Unwritable` (3).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let (text, recipient) = key_file(args.pq);
    let Some(output) = args.output.as_deref() else {
        report::data(text.as_bytes())?;
        report::note(context, &format!("Public key: {recipient}"));
        return Ok(());
    };
    if context.absolute(output).exists() {
        return Err(Error::new(Kind::Generic, "the file exists, and an identity can't be made again")
            .in_file(output)
            .hint("name another file"));
    }
    source::write(&context.absolute(output), &text, true)?;
    report::note(context, &format!("Public key: {recipient}"));
    Ok(())
}
