//! `kveil init`.

use std::path::Path;

use clap::Args as ClapArgs;

use super::context::Context;
use super::flags::Common;
use super::{keygen, report};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::recipient::{Identities, age};
use crate::source;

/// Make an age identity, if there is none, and a `.sops.yaml` here
///
/// What exists is left as it is; run it again at any time.
#[derive(ClapArgs)]
pub struct Args {
    /// Further age recipients, joined by commas
    #[arg(long, short = 'a', value_name = "RECIPIENTS")]
    age: Vec<String>,
    /// Write encrypted_regex into the rule, for teams that use sops beside it
    #[arg(long)]
    with_selector: bool,
    #[command(flatten)]
    common: Common,
}

/// Sets up.
///
/// # Errors
/// `Generic` (1) without a home directory, `Unwritable` (3).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let path = context.directory.join(".sops.yaml");
    let further = further(args)?;
    if path.exists() {
        report::note(context, "left as it is: .sops.yaml");
        let recipients = own(context)?;
        return missing(context, &path, &recipients, &further);
    }
    let mut recipients = own(context)?;
    recipients.extend(further);
    let mut seen = std::collections::HashSet::new();
    recipients.retain(|recipient| seen.insert(recipient.clone()));
    source::write(&path, config::template(&recipients, args.with_selector), false)?;
    report::note(context, &format!("wrote .sops.yaml for {}", recipients.join(", ")));
    report::note(context, "next: kveil encrypt -i secret.yaml, and commit both files");
    Ok(())
}

/// The recipients of `--age`.
fn further(args: &Args) -> Result<Vec<String>> {
    let texts = args.age.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty());
    texts.map(|text| Ok(crate::recipient::RecipientKind::parse(&age::Age, text)?.text)).collect()
}

/// Says what a new colleague has to do, and whom `--age` didn't add.
fn missing(context: &Context, path: &Path, recipients: &[String], further: &[String]) -> Result<()> {
    let text = source::Source::File(path.to_owned()).read()?;
    for recipient in further.iter().filter(|recipient| !text.contains(recipient.as_str())) {
        report::warning(context, &format!("{recipient} was not added: .sops.yaml is left as it is; add it to the rule there"));
    }
    for recipient in recipients.iter().filter(|recipient| !text.contains(recipient.as_str())) {
        report::note(
            context,
            &format!(
                "your recipient {recipient} isn't in .sops.yaml yet: one who can open the files runs kveil recipients add {recipient} ."
            ),
        );
    }
    Ok(())
}

/// The recipients of the identities at hand; makes the default key file if there are none.
fn own(context: &Context) -> Result<Vec<String>> {
    let identities = Identities::new(context.environment.clone());
    let mut recipients: Vec<String> = age::own_recipients(&identities).map(str::to_owned).collect();
    recipients.dedup();
    if !recipients.is_empty() {
        report::note(context, &format!("using the identity of {}", recipients[0]));
        recipients.truncate(1);
        return Ok(recipients);
    }
    let path = age::default_key_file(&context.environment).ok_or_else(|| {
        Error::new(Kind::Generic, "there is no home directory to keep an identity in")
            .hint("set HOME, or make one with kveil keygen -o FILE and set SOPS_AGE_KEY_FILE")
    })?;
    make(context, &path).map(|recipient| vec![recipient])
}

fn make(context: &Context, path: &Path) -> Result<String> {
    if path.exists() {
        let error =
            Error::new(Kind::Generic, "the default key file holds no age identity that can be used").in_file(&path.display().to_string());
        return Err(error.hint("check it; it is left as it is"));
    }
    if let Some(folder) = path.parent() {
        source::make_private_directory(folder)?;
    }
    let (text, recipient) = keygen::key_file(false);
    source::write(path, &text, true)?;
    report::note(context, &format!("made an identity in {} (keep a copy: without it the files can't be read)", path.display()));
    Ok(recipient)
}
