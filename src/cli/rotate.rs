//! `kveil rotate`.

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::consent::Consent;
use super::context::Context;
use super::flags::{Common, DecryptionOrder, Recipients, Types};
use super::rewrite::{self, Target, Written};
use super::{clock, files, settings};
use crate::datakey::rewrap;
use crate::error::{Error, Kind, Result};
use crate::pipeline::{self, next};
use crate::recipient::{Identities, RecipientSpec};
use crate::select::Selection;
use crate::source::Source;

/// Give files a new data key, and every value a new IV
///
/// Recipients stay, but for those that are added or removed by flag. Whoever could read the file so far can still read
/// its old versions: change the values themselves at their source.
#[derive(ClapArgs)]
pub struct Args {
    /// Files
    files: Vec<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    changes: Changes,
    /// Don't compare the MAC
    #[arg(long)]
    ignore_mac: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Recipients to add and to remove, by kind; lists are joined by commas.
#[derive(ClapArgs, Default)]
struct Changes {
    /// Add age recipients
    #[arg(long, value_name = "RECIPIENTS", help_heading = "Recipients")]
    add_age: Vec<String>,
    /// Remove age recipients
    #[arg(long, value_name = "RECIPIENTS", help_heading = "Recipients")]
    rm_age: Vec<String>,
    /// Add PGP fingerprints
    #[arg(long, value_name = "FINGERPRINTS", help_heading = "Recipients")]
    add_pgp: Vec<String>,
    /// Remove PGP fingerprints
    #[arg(long, value_name = "FINGERPRINTS", help_heading = "Recipients")]
    rm_pgp: Vec<String>,
    /// Add AWS KMS key ARNs
    #[arg(long, value_name = "ARNS", help_heading = "Recipients")]
    add_kms: Vec<String>,
    /// Remove AWS KMS key ARNs
    #[arg(long, value_name = "ARNS", help_heading = "Recipients")]
    rm_kms: Vec<String>,
    /// Add GCP KMS resource ids
    #[arg(long, value_name = "IDS", help_heading = "Recipients")]
    add_gcp_kms: Vec<String>,
    /// Remove GCP KMS resource ids
    #[arg(long, value_name = "IDS", help_heading = "Recipients")]
    rm_gcp_kms: Vec<String>,
    /// Add Huawei Cloud KMS key ids
    #[arg(long, value_name = "IDS", help_heading = "Recipients")]
    add_hckms: Vec<String>,
    /// Remove Huawei Cloud KMS key ids
    #[arg(long, value_name = "IDS", help_heading = "Recipients")]
    rm_hckms: Vec<String>,
    /// Add Azure Key Vault key URLs
    #[arg(long, value_name = "URLS", help_heading = "Recipients")]
    add_azure_kv: Vec<String>,
    /// Remove Azure Key Vault key URLs
    #[arg(long, value_name = "URLS", help_heading = "Recipients")]
    rm_azure_kv: Vec<String>,
    /// Add HashiCorp Vault transit key URIs
    #[arg(long, value_name = "URIS", help_heading = "Recipients")]
    add_hc_vault_transit: Vec<String>,
    /// Remove HashiCorp Vault transit key URIs
    #[arg(long, value_name = "URIS", help_heading = "Recipients")]
    rm_hc_vault_transit: Vec<String>,
    /// Encryption context of the KMS keys that are added: key:value pairs
    #[arg(long, value_name = "PAIRS", help_heading = "Recipients")]
    encryption_context: Option<String>,
}

impl Changes {
    fn added(&self) -> Result<Vec<RecipientSpec>> {
        let flags = Recipients {
            age: self.add_age.clone(),
            pgp: self.add_pgp.clone(),
            kms: self.add_kms.clone(),
            gcp_kms: self.add_gcp_kms.clone(),
            hckms: self.add_hckms.clone(),
            azure_kv: self.add_azure_kv.clone(),
            hc_vault_transit: self.add_hc_vault_transit.clone(),
            encryption_context: self.encryption_context.clone(),
            ..Recipients::default()
        };
        flags.given()
    }

    fn removed(&self) -> Result<Vec<RecipientSpec>> {
        let flags = Recipients {
            age: self.rm_age.clone(),
            pgp: self.rm_pgp.clone(),
            kms: self.rm_kms.clone(),
            gcp_kms: self.rm_gcp_kms.clone(),
            hckms: self.rm_hckms.clone(),
            azure_kv: self.rm_azure_kv.clone(),
            hc_vault_transit: self.rm_hc_vault_transit.clone(),
            encryption_context: self.encryption_context.clone(),
            ..Recipients::default()
        };
        flags.given()
    }
}

/// Rotates.
///
/// # Errors
/// Those of opening and writing; `NoFileForKeys` (49) for changes to a file that isn't there.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let inputs = rewrite::inputs(&args.files)?;
    args.target.check(&inputs)?;
    let (added, removed) = (args.changes.added()?, args.changes.removed()?);
    let identities = Identities::new(context.environment.clone());
    let results =
        files::each(context, inputs.len(), args.target.writes(), |at| one(context, args, &added, &removed, &identities, &inputs[at]));
    rewrite::finish(context, &args.target, &identities, results)
}

fn one(
    context: &Context,
    args: &Args,
    added: &[RecipientSpec],
    removed: &[RecipientSpec],
    identities: &Identities,
    input: &Source,
) -> Result<Written> {
    let name = args.types.filename_override.clone().unwrap_or_else(|| input.name());
    let located = |error: Error| error.in_file(&name);
    args.target.refuse_irregular(input)?;
    let missing = if added.is_empty() && removed.is_empty() { Kind::Unreadable } else { Kind::NoFileForKeys };
    let text = rewrite::read(input, missing).map_err(located)?;
    let order = args.order.kinds()?;
    let format = args.types.input(&name, &text).map_err(located)?;
    let to = args.types.output(format).map_err(located)?;
    let opened = next::open(&text, format, identities, &order, args.ignore_mac).map_err(located)?;
    let groups = changed(rewrap::recipients(&opened.metadata), added, removed);
    let target = context.absolute(&name);
    let found = settings::find_leniently(context, &args.common, &target);
    let others: Vec<RecipientSpec> = groups.iter().flatten().filter(|spec| !added.contains(spec)).cloned().collect();
    args.consent.check(context, found.as_ref(), &target, &others).map_err(located)?;
    let threshold = opened.metadata.threshold.map(|threshold| threshold.min(groups.len()));
    let rotated = if format.name() == to.name() {
        next::rotate(&opened, &groups, threshold, identities, &clock::now())
    } else {
        let document = pipeline::convert(&opened.plain, format, to, args.common.indent()?)?;
        converted(&opened, &document, to, groups.clone(), threshold, identities)
    };
    let text = rotated.map_err(located)?;
    args.target.write(input, &text).map_err(located)?;
    let names = found.map(|found| found.config.names).unwrap_or_default();
    let note = format!("{name}: a new data key for {}", settings::people(&groups, &names));
    Ok(Written { name, status: "rotated", text, notes: vec![note], warnings: opened.notes })
}

/// The same values in another format.
fn converted(
    opened: &next::Opened<'_>,
    text: &str,
    to: &'static dyn crate::document::Format,
    groups: Vec<Vec<RecipientSpec>>,
    threshold: Option<usize>,
    identities: &Identities,
) -> Result<Zeroizing<String>> {
    let plan = pipeline::Plan {
        groups,
        threshold,
        selection: Selection::of_metadata(opened.metadata.selector.as_ref()),
        mac_only_encrypted: opened.metadata.mac_only_encrypted,
        indent: None,
        layout: true,
        lenient: true,
        now: clock::now(),
    };
    Ok(pipeline::encrypt(&to.parse(text)?, &plan, identities)?.text)
}

/// Additions go into the first group, as in SOPS; removals apply to all.
fn changed(mut groups: Vec<Vec<RecipientSpec>>, added: &[RecipientSpec], removed: &[RecipientSpec]) -> Vec<Vec<RecipientSpec>> {
    if let Some(first) = groups.first_mut() {
        for spec in added {
            if !first.iter().any(|known| rewrap::same(known, spec)) {
                first.push(spec.clone());
            }
        }
    }
    groups.iter_mut().for_each(|group| group.retain(|spec| !removed.iter().any(|gone| rewrap::same(gone, spec))));
    groups
}
