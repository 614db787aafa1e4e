//! `kveil rotate`.

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::consent::Consent;
use super::context::Context;
use super::files::{self, Outcome};
use super::flags::{self, Common, DecryptionOrder, Recipients, Types};
use super::paths::{Handling, Mode, Paths, Target};
use super::rewrite::{self, Destination, Written};
use super::settings::{self, Configs};
use super::{clock, identities};
use crate::datakey::rewrap;
use crate::document::Document;
use crate::error::{Kind, Result};
use crate::pipeline::{self, next};
use crate::recipient::{self, Identities, RecipientSpec};
use crate::select::Selection;

/// Give files a new data key, and every value a new IV
///
/// Recipients stay, but for those that are added or removed by flag. Whoever could read the file so far can still read
/// its old versions: change the values themselves at their source.
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    handling: Handling,
    #[command(flatten)]
    destination: Destination,
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
        flags.given("add-")
    }

    /// What is no fingerprint is no file's: genuine sops removes nothing then.
    fn removed(&self, context: &Context) -> Result<Vec<RecipientSpec>> {
        let pgp = recipient::kind_by_field("pgp").filter(|_| context.is_sops());
        let is_fingerprint = |text: &&str| pgp.is_none_or(|kind| kind.parse(text.trim()).is_ok());
        let flags = Recipients {
            age: self.rm_age.clone(),
            pgp: self.rm_pgp.iter().flat_map(|list| list.split(',')).filter(is_fingerprint).map(str::to_owned).collect(),
            kms: self.rm_kms.clone(),
            gcp_kms: self.rm_gcp_kms.clone(),
            hckms: self.rm_hckms.clone(),
            azure_kv: self.rm_azure_kv.clone(),
            hc_vault_transit: self.rm_hc_vault_transit.clone(),
            encryption_context: self.encryption_context.clone(),
            ..Recipients::default()
        };
        flags.given("rm-")
    }
}

/// Rotates.
///
/// # Errors
/// Those of opening and writing; `NoFileForKeys` (49) for changes to a file that isn't there.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    args.paths.refuse_none()?;
    let targets = args.paths.resolve(context, Mode::Encrypted)?;
    args.destination.check(context, &targets, args.handling.dry_run)?;
    let work = Work {
        args,
        added: args.changes.added()?,
        removed: args.changes.removed(context)?,
        configs: Configs::new(context, &args.common),
        identities: identities::of(context, &args.common),
    };
    let ran = files::work(context, targets, |target| work.one(target));
    rewrite::finish(context, &args.handling, &args.destination, &work.identities, ran, &args.common)
}

/// What all files share.
struct Work<'a> {
    args: &'a Args,
    added: Vec<RecipientSpec>,
    removed: Vec<RecipientSpec>,
    configs: Configs<'a>,
    identities: Identities,
}

impl Work<'_> {
    fn one(&self, target: &Target) -> Result<Outcome<Written>> {
        let name = self.args.types.filename_override.clone().unwrap_or_else(|| target.name());
        self.rotate(target, &name).map(Outcome::Done).map_err(|error| error.in_file(&name))
    }

    fn rotate(&self, target: &Target, name: &str) -> Result<Written> {
        let args = self.args;
        args.destination.refuse_irregular(target)?;
        let missing = match (target.named, self.added.is_empty() && self.removed.is_empty()) {
            (false, _) => Kind::NoFile,
            (true, true) => Kind::Unreadable,
            (true, false) => Kind::NoFileForKeys,
        };
        let text = rewrite::read(&target.source, missing)?;
        let order = args.order.kinds()?;
        let format = args.types.input(name, &text)?;
        let asked = args.types.output(format)?;
        let to = flags::around(format, asked);
        let opened = next::open(&text, format, &self.identities, &order, args.ignore_mac)?;
        let groups = changed(rewrap::recipients(&opened.metadata), &self.added, &self.removed);
        let path = target.absolute(self.configs.context, args.types.filename_override.as_deref());
        let found = args.consent.configuration(&self.configs, &path)?;
        let others: Vec<RecipientSpec> =
            groups.iter().flatten().filter(|spec| !self.added.iter().any(|added| added.is(spec))).cloned().collect();
        match args.handling.dry_run {
            true => args.consent.foresee(&self.configs, found.as_deref(), &path, &others)?,
            false => args.consent.check(&self.configs, found.as_deref(), &path, &others)?,
        }
        let people = settings::people(&groups, found.as_ref().map_or(&[], |found| &found.config.names));
        if args.handling.dry_run {
            let notes = vec![format!("{name}: would get a new data key for {people}")];
            return Ok(Written { name: name.to_owned(), status: "would-rotate", text: None, notes, warnings: opened.notes });
        }
        let threshold = opened.metadata.threshold.map(|threshold| threshold.min(groups.len()));
        let text = if format.name() == to.name() {
            next::rotate(&opened, &groups, threshold, &self.identities, &clock::now())?
        } else {
            let trees = opened.trees()?;
            let indent = self.configs.indent(Some(&path), asked)?;
            let text = Zeroizing::new(to.print(&trees, indent)?);
            let document = pipeline::read_printed(&text, &trees, to)?;
            converted(&opened, &document, (groups, threshold), indent, &self.identities)?
        };
        args.destination.write(target, &text)?;
        let notes = vec![format!("{name}: a new data key for {people}")];
        let text = Some(text).filter(|_| !args.destination.writes());
        Ok(Written { name: name.to_owned(), status: "rotated", text, notes, warnings: opened.notes })
    }
}

/// The same values in another format.
fn converted(
    opened: &next::Opened<'_>,
    document: &Document<'_>,
    (groups, threshold): (Vec<Vec<RecipientSpec>>, Option<usize>),
    indent: Option<usize>,
    identities: &Identities,
) -> Result<Zeroizing<String>> {
    let plan = pipeline::Plan {
        groups,
        threshold,
        selection: Selection::of_metadata(opened.metadata.selector.as_ref()),
        mac_only_encrypted: opened.metadata.mac_only_encrypted,
        indent,
        layout: true,
        lenient: true,
        now: clock::now(),
    };
    Ok(pipeline::encrypt(document, &plan, identities)?.text)
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
