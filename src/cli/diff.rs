//! `kveil diff`.

mod asked;

use std::ffi::OsString;

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::flags::{Common, DecryptionOrder, Types};
use super::settings::Configs;
use super::{files, identities, report};
use crate::deploy::actions::commands;
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::git::diff::output::{Output, output};
use crate::git::diff::sides::Pair;
use crate::git::diff::version::{Opening, Version, View};
use crate::git::diff::{self, Differences, Read, Saying, readers};
use asked::{Asked, Sides};

/// Show what differs between versions of encrypted files, values masked
///
/// Without arguments: the work tree against the index. REV: the work tree against REV; REV..REV and REV...REV as in git;
/// two files: these. Exit code: 0 nothing differs, 1 something does, 2 trouble.
#[derive(ClapArgs)]
pub struct Args {
    /// REV, REV..REV or REV...REV, then paths; or two files, of which one may be `-`
    #[arg(value_name = "REV|PATHS")]
    words: Vec<OsString>,
    /// Paths
    #[arg(last = true, value_name = "PATHS")]
    paths: Vec<OsString>,
    /// The index against the last commit, or REV
    #[arg(long, visible_alias = "cached")]
    staged: bool,
    /// Open nothing: what the structure alone says, without key, network or prompt
    #[arg(long)]
    keyless: bool,
    /// Show values; where CI is set only as --reveal=always
    #[arg(long, value_name = "always", num_args = 0..=1, require_equals = true, default_missing_value = "here", value_parser = ["always", "here"])]
    reveal: Option<String>,
    /// Say which values are equal also in JSON, in Markdown, and where CI is set
    #[arg(long)]
    show_equal: bool,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json", "markdown"])]
    format: String,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Compares.
///
/// # Errors
/// `Found` (1) if something differs; any other is trouble (2).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let output = output(&args.format).ok_or_else(|| Error::new(Kind::ConflictingFlags, "no such format"))?;
    let saying = saying(context, args, output)?;
    let asked = asked::read(context, args)?;
    let pairs = asked.pairs()?;
    let looked = look(context, args, &asked, pairs)?;
    if matches!(asked.sides, Sides::Files(..)) && looked.passed_over > 0 {
        let error = Error::new(Kind::Unreadable, "neither of the two files is encrypted or a Secret");
        return Err(error.hint("diff compares text"));
    }
    let (files, mut calls) = diff::compare(&looked.read, saying, &labels(context, args, &asked));
    calls.extend(still_read(&asked, &looked.read, &readers::gone(&files))?);
    calls.extend(looked.errors.iter().map(diff::calls::unreadable));
    let calls = diff::calls::gathered(calls);
    let differences = Differences { old: asked.old.clone(), new: asked.new.clone(), calls, files, passed_over: looked.passed_over };
    tell(context, output, &differences)?;
    if let Some(error) = looked.errors.into_iter().next() {
        return Err(error);
    }
    if differences.files.is_empty() { Ok(()) } else { Err(Error::new(Kind::Found, "the two differ")) }
}

/// What may be said of values.
fn saying(context: &Context, args: &Args, output: &Output) -> Result<Saying> {
    let in_ci = context.environment.var("CI").is_some();
    let refuse = |message: &str, hint: &str| Err(Error::new(Kind::ConflictingFlags, message).hint(hint));
    if args.reveal.is_some() && !output.reveals {
        return refuse("--reveal is for text: other forms are made to be stored or sent", "leave out --format, or --reveal");
    }
    if args.reveal.is_some() && args.keyless {
        return refuse("--reveal and --keyless exclude each other", "give one of them");
    }
    if in_ci && args.reveal.as_deref() == Some("here") {
        return refuse("--reveal would print values into the log of a CI job", "if that is meant: --reveal=always");
    }
    Ok(Saying { reveal: args.reveal.is_some(), equal: args.show_equal || output.reveals && !in_ci })
}

/// What was read.
struct Looked {
    read: Vec<Read>,
    errors: Vec<Error>,
    passed_over: usize,
}

/// Reads and opens all files, in parallel: each wrapped data key is unwrapped once.
fn look(context: &Context, args: &Args, asked: &Asked, pairs: Vec<Pair>) -> Result<Looked> {
    let identities = (!args.keyless).then(|| args.common.check().map(|()| identities::of(context, &args.common))).transpose()?;
    let order = args.order.kinds()?;
    let opening = Opening { identities: identities.as_ref(), order: &order, format: format_of };
    let pairs: Vec<Pair> = pairs.into_iter().filter(|pair| pair.old != pair.new || pair.before != pair.after).collect();
    let versions = files::each(context, pairs.len(), |at| both(asked, &pairs[at], &opening));
    identities.iter().for_each(|identities| identities::tell(context, &args.common, identities));
    let mut looked = Looked { read: Vec::new(), errors: Vec::new(), passed_over: 0 };
    for (pair, versions) in pairs.into_iter().zip(versions) {
        match versions {
            Ok((None, None)) => looked.passed_over += 1,
            Ok((old, new)) => looked.read.push(Read { pair, old, new }),
            Err(error) => looked.errors.push(error),
        }
    }
    looked.errors.iter().skip(1).for_each(|error| report::error(context, error));
    Ok(looked)
}

fn both(asked: &Asked, pair: &Pair, opening: &Opening<'_>) -> Result<(Option<Version>, Option<Version>)> {
    let old_name = |name: &str| match asked.sides {
        Sides::Files(..) => name.to_owned(),
        Sides::Git { .. } => format!("{name} ({})", asked.old),
    };
    let (old, new) = (pair.old.as_ref().zip(pair.before.as_ref()), pair.new.as_ref().zip(pair.after.as_ref()));
    let read = |side: Option<(&String, &Zeroizing<Vec<u8>>)>| side.map_or(Ok(None), |(name, bytes)| Version::read(name, bytes, opening));
    let located = |error: Error, name: String| error.in_file(&name);
    let before = read(old).map_err(|error| located(error, pair.old.as_deref().map(old_name).unwrap_or_default()))?;
    let after = read(new).map_err(|error| located(error, pair.path().to_owned()))?;
    Ok((before, after))
}

fn format_of(name: &str, text: &str) -> &'static dyn Format {
    Types::default().format(name, text)
}

/// The labels of recipients, from the work tree's configuration.
fn labels(context: &Context, args: &Args, asked: &Asked) -> Vec<(String, String)> {
    let target = asked.top().unwrap_or_else(|| context.directory.clone()).join("any.yaml");
    Configs::new(context, &args.common).find_leniently(&target).map(|found| found.config.names.clone()).unwrap_or_default()
}

/// Workloads at the new side that read what is gone.
fn still_read(asked: &Asked, read: &[Read], gone: &[readers::Gone]) -> Result<Vec<diff::calls::Call>> {
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = gone.iter().map(readers::Gone::name).collect();
    let found = match &asked.sides {
        Sides::Git { repository, new, .. } => repository.naming(new, &names)?,
        Sides::Files(..) => Vec::new(),
    };
    let of_files =
        read.iter().filter(|_| found.is_empty()).filter_map(|read| Some((read.pair.new.clone()?, read.pair.after.as_ref()?.as_slice())));
    let texts: Vec<(String, &[u8])> = found.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice())).chain(of_files).collect();
    Ok(readers::calls(gone, &texts, format_of))
}

fn tell(context: &Context, output: &Output, differences: &Differences) -> Result<()> {
    let text = (output.write)(differences, context.colour_out);
    let text = if output.name == "json" { format!("{}\n", report::json(&text)) } else { text };
    let in_actions = context.environment.var("GITHUB_ACTIONS").is_some();
    let text = match in_actions {
        true if output.name == "json" => commands::tamed_json(&text),
        true => commands::tamed_text(&text),
        false => Zeroizing::new(text),
    };
    report::data(text.as_bytes())?;
    let unopened = differences.files.iter().filter(|file| file.view == View::NoIdentity).count();
    if unopened > 0 {
        report::note(context, &format!("no identity at hand opens {}: the keyless view", count(unopened)));
    }
    if differences.passed_over > 0 {
        report::note(context, &format!("not shown: {} neither encrypted nor Secrets", count(differences.passed_over)));
    }
    Ok(())
}

fn count(files: usize) -> String {
    format!("{files} file{}", if files == 1 { "" } else { "s" })
}
