//! `kveil config explain`.

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use super::flags::{Common, Recipients, Selectors, Types};
use super::report;
use super::settings::{self, Asked, Decision};
use crate::document::Document;
use crate::error::{Error, Position, Result, printable};
use crate::seal::encrypt;
use crate::seal::walk::{self, Walk};
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
    let document = args.types.plain_input(&args.file, text.as_bytes(), true).parse_plain(&text)?;
    if crate::seal::decrypt::is_encrypted(&document) {
        let error = Error::new(crate::error::Kind::AlreadyEncrypted, "the file is encrypted already, its own sops block says how");
        return Err(error.hint("explain its plain version"));
    }
    let target = context.absolute(&args.file);
    let found = settings::find(context, &args.common, Some(&target))?;
    let asked = Asked {
        common: &args.common,
        recipients: &args.recipients,
        selectors: &args.selectors,
        mac_only_encrypted: false,
        layout: true,
        whole: document.format.is_bytes(),
    };
    let decision = settings::decide(context, &asked, found.as_deref(), &target, &document)?;
    let walk = walk::walk(&document, &decision.plan.selection)?;
    let parts = Parts { values: values(&document, &walk)?, comments: comments(&document, &walk) };
    let shown = if args.format == "json" { as_json(args, &decision, &parts) } else { as_text(args, &decision, &parts) };
    report::data(shown.as_bytes())
}

/// What of a file would be encrypted.
struct Parts {
    /// Key paths of values.
    values: Vec<(String, bool)>,
    /// Lines of comments; their text may be secret.
    comments: Vec<(usize, bool)>,
}

fn comments(document: &Document<'_>, walk: &Walk) -> Vec<(usize, bool)> {
    let line = |at: u32| Position::of(document.source, at as usize).line;
    let comment = |remark: &walk::Remark| {
        let text = document.comment_text(&document.comments[remark.comment]);
        (line(document.comments[remark.comment].span.start), remark.selected && !text.is_empty())
    };
    walk.remarks.iter().map(comment).collect()
}

fn values(document: &Document<'_>, walk: &Walk) -> Result<Vec<(String, bool)>> {
    let value = |leaf: &walk::Leaf| Ok((document.key_path(leaf.node), leaf.selected && encrypt::hidden(&document.scalar(leaf.node)?)));
    walk.leaves.iter().map(value).collect()
}

fn as_text(args: &Explain, decision: &Decision, parts: &Parts) -> String {
    let (kind, text) = decision.plan.selection.parts();
    let rule = match &decision.rule {
        Some((file, line)) => format!("{file}:{line}, the first rule that matches"),
        None => "none: flags and environment".to_owned(),
    };
    let mut out = format!("file        {}\nrule        {rule}\nselection   {}: {text} ({})\n", args.file, kind.name(), decision.because);
    out.push_str(&format!("recipients  {}\n", settings::people(&decision.plan.groups, &decision.names)));
    let fate = |encrypted: &bool| if *encrypted { "encrypted" } else { "clear    " };
    out.push_str("values\n");
    for (path, encrypted) in &parts.values {
        out.push_str(&format!("  {}  {}\n", fate(encrypted), printable(path)));
    }
    out.push_str(if parts.comments.is_empty() { "" } else { "comments\n" });
    for (line, encrypted) in &parts.comments {
        out.push_str(&format!("  {}  line {line}\n", fate(encrypted)));
    }
    out
}

fn as_json(args: &Explain, decision: &Decision, parts: &Parts) -> String {
    let (kind, text) = decision.plan.selection.parts();
    let groups: Vec<Vec<_>> = decision
        .plan
        .groups
        .iter()
        .map(|group| group.iter().map(|spec| serde_json::json!({"kind": spec.kind, "recipient": spec.text})).collect())
        .collect();
    let rule = decision.rule.as_ref().map(|(file, line)| serde_json::json!({"file": file, "line": line}));
    let values: Vec<_> = parts.values.iter().map(|(path, encrypted)| serde_json::json!({"path": path, "encrypted": encrypted})).collect();
    let comments: Vec<_> =
        parts.comments.iter().map(|(line, encrypted)| serde_json::json!({"line": line, "encrypted": encrypted})).collect();
    let selection = serde_json::json!({"kind": kind.name(), "text": text, "because": decision.because});
    format!(
        "{}\n",
        serde_json::json!({"file": args.file, "rule": rule, "selection": selection, "groups": groups, "values": values, "comments": comments})
    )
}
