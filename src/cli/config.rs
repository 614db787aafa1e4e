//! `kveil config explain`.

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use super::flags::{Common, Recipients, Selectors, Types};
use super::report;
use super::settings::{self, Asked, Decision};
use crate::document::Document;
use crate::error::{Error, Result, printable};
use crate::seal::{encrypt, walk};
use crate::source::Source;

/// Look at the configuration
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Say which rule counts for a file and why, which values would be encrypted, and for whom
    Explain(Explain),
}

#[derive(ClapArgs)]
struct Explain {
    /// The file, in clear
    file: String,
    /// text or json
    #[arg(long, value_name = "FORMAT", value_parser = ["json", "text"], default_value = "text")]
    format: String,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    recipients: Recipients,
    #[command(flatten)]
    selectors: Selectors,
    #[command(flatten)]
    common: Common,
}

/// Explains.
///
/// # Errors
/// As encrypting the file would fail.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let What::Explain(args) = &args.what;
    explain(context, args).map_err(|error| error.in_file(&args.file))
}

fn explain(context: &Context, args: &Explain) -> Result<()> {
    let text = Source::of(&args.file).read()?;
    let document = args.types.input(&args.file, &text)?.parse(&text)?;
    if crate::seal::decrypt::is_encrypted(&document) {
        let error = Error::new(crate::error::Kind::AlreadyEncrypted, "the file is encrypted already, its own sops block says how");
        return Err(error.hint("explain its plain version"));
    }
    let target = context.absolute(&args.file);
    let found = settings::find(context, &args.common, Some(&target))?;
    let asked =
        Asked { common: &args.common, recipients: &args.recipients, selectors: &args.selectors, mac_only_encrypted: false, layout: true };
    let decision = settings::decide(context, &asked, found.as_ref(), &target, &document)?;
    let values = values(&document, &decision)?;
    let shown = if args.format == "json" { as_json(args, &decision, &values) } else { as_text(args, &decision, &values) };
    report::data(shown.as_bytes())
}

/// Key paths of values, and whether each would be encrypted.
fn values(document: &Document<'_>, decision: &Decision) -> Result<Vec<(String, bool)>> {
    let walk = walk::walk(document, &decision.plan.selection)?;
    let value = |leaf: &walk::Leaf| Ok((document.key_path(leaf.node), leaf.selected && encrypt::hidden(&document.scalar(leaf.node)?)));
    walk.leaves.iter().map(value).collect()
}

fn as_text(args: &Explain, decision: &Decision, values: &[(String, bool)]) -> String {
    let (kind, text) = decision.plan.selection.parts();
    let rule = match &decision.rule {
        Some((file, line)) => format!("{file}:{line}, the first rule that matches"),
        None => "none: flags and environment".to_owned(),
    };
    let mut out = format!("file        {}\nrule        {rule}\nselection   {}: {text} ({})\n", args.file, kind.name(), decision.because);
    out.push_str(&format!("recipients  {}\n", settings::people(&decision.plan.groups, &decision.names)));
    out.push_str("values\n");
    for (path, encrypted) in values {
        out.push_str(&format!("  {}  {}\n", if *encrypted { "encrypted" } else { "clear    " }, printable(path)));
    }
    out
}

fn as_json(args: &Explain, decision: &Decision, values: &[(String, bool)]) -> String {
    let (kind, text) = decision.plan.selection.parts();
    let groups: Vec<Vec<_>> = decision
        .plan
        .groups
        .iter()
        .map(|group| group.iter().map(|spec| serde_json::json!({"kind": spec.kind, "recipient": spec.text})).collect())
        .collect();
    let rule = decision.rule.as_ref().map(|(file, line)| serde_json::json!({"file": file, "line": line}));
    let values: Vec<_> = values.iter().map(|(path, encrypted)| serde_json::json!({"path": path, "encrypted": encrypted})).collect();
    let selection = serde_json::json!({"kind": kind.name(), "text": text, "because": decision.because});
    format!("{}\n", serde_json::json!({"file": args.file, "rule": rule, "selection": selection, "groups": groups, "values": values}))
}
