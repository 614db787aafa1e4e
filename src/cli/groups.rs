//! `kveil groups`.

use clap::{Args as ClapArgs, Subcommand};

use super::consent::Consent;
use super::context::Context;
use super::flags::{Common, DecryptionOrder, Recipients, Types};
use super::settings::Configs;
use super::{argv, identities, report, rewrite};
use crate::datakey::{rewrap, unwrap};
use crate::error::{Error, Kind, Result};
use crate::metadata::Metadata;
use crate::pipeline::{self, next};
use crate::recipient::RecipientSpec;
use crate::source::{self, Source};

/// Add or delete a key group of a file
///
/// With several key groups the data key is shared out among them (Shamir): recipients of as many groups as the threshold
/// says are needed to open the file. The data key stays; after deleting a group, rotate the file.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add a key group with these recipients
    Add {
        #[command(flatten)]
        file: Box<File>,
        #[command(flatten)]
        recipients: Box<Recipients>,
    },
    /// Delete the key group of this number, counted from 0
    Delete {
        /// The number of the group
        index: usize,
        #[command(flatten)]
        file: Box<File>,
        /// How many key groups must be opened
        #[arg(long, value_name = "N", value_parser = argv::whole::<usize>)]
        shamir_secret_sharing_threshold: Option<usize>,
    },
}

/// The file, and where it goes.
#[derive(ClapArgs)]
struct File {
    /// The encrypted file
    #[arg(long = "file", short = 'f', value_name = "FILE")]
    name: String,
    /// Replace the file
    #[arg(long, short)]
    in_place: bool,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Changes the key groups.
///
/// # Errors
/// Those of opening and writing; `Generic` (1) for a group that isn't there, or a threshold that can't be met.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let file = match &args.action {
        Action::Add { file, .. } | Action::Delete { file, .. } => file,
    };
    file.common.check()?;
    change(context, file, |metadata| match &args.action {
        Action::Add { recipients, .. } => add(recipients, metadata),
        Action::Delete { index, shamir_secret_sharing_threshold, .. } => delete(metadata, *index, *shamir_secret_sharing_threshold),
    })
    .map_err(|error| error.in_file(&file.name))
}

/// The key groups that a file shall have, and its threshold.
type Groups = (Vec<Vec<RecipientSpec>>, Option<usize>);

fn add(recipients: &Recipients, metadata: &Metadata) -> Result<Groups> {
    let mut groups = rewrap::recipients(metadata);
    groups.push(recipients.given("")?);
    let kept = metadata.threshold.filter(|_| metadata.groups.len() > 1);
    Ok((groups, recipients.shamir_secret_sharing_threshold.or(kept)))
}

fn delete(metadata: &Metadata, index: usize, threshold: Option<usize>) -> Result<Groups> {
    let mut groups = rewrap::recipients(metadata);
    if index >= groups.len() {
        let error = Error::new(Kind::Generic, format!("there is no key group {index}, the file has {}", groups.len()));
        return Err(error.hint("groups are counted from 0"));
    }
    groups.remove(index);
    let threshold = threshold.or(metadata.threshold);
    if let Some(threshold) = threshold.filter(|threshold| *threshold > groups.len()) {
        let message = format!(
            "removing this key group will make the Shamir threshold impossible to satisfy: it is {threshold}, but only {} key groups are left",
            groups.len()
        );
        return Err(Error::new(Kind::Generic, message).hint("give a lower --shamir-secret-sharing-threshold"));
    }
    Ok((groups, threshold))
}

fn change(context: &Context, file: &File, groups: impl Fn(&Metadata) -> Result<Groups>) -> Result<()> {
    let input = Source::of(&file.name);
    if let (Source::File(path), true) = (&input, file.in_place) {
        source::refuse_irregular(path, source::PRINT)?;
    }
    let text = rewrite::read(&input, Kind::Unreadable)?;
    let format = file.types.input(&file.name, &text)?;
    let document = format.parse_encrypted(&text).map_err(pipeline::as_generic)?;
    let metadata = pipeline::metadata_of(&document)?;
    let (groups, threshold) = groups(&metadata)?;
    // The shares are wrapped anew for all who stay; those who come by flag are consented to.
    let stay = |spec: &RecipientSpec| groups.iter().flatten().any(|kept| kept.is(spec));
    let stay: Vec<RecipientSpec> = rewrap::recipients(&metadata).concat().into_iter().filter(stay).collect();
    let (configs, target) = (Configs::new(context, &file.common), context.absolute(&file.name));
    let found = file.consent.configuration(&configs, &target)?;
    file.consent.check(&configs, found.as_deref(), &target, &stay)?;
    let identities = identities::of(context, &file.common);
    let data_key = unwrap(&metadata, &identities, &file.order.kinds()?)?;
    let metadata = rewrap::rewrap(&data_key, &metadata, &groups, threshold, &identities)?;
    let next = next::with_metadata(&document, &metadata)?;
    identities::tell(context, &file.common, &identities);
    match &input {
        Source::File(path) if file.in_place => source::write(path, &next, false),
        _ => report::data(next.as_bytes()),
    }
}
