//! The mode that renders what is deployed.

use zeroize::Zeroizing;

use super::Args;
use super::opened::{add_masks, say_skipped, write};
use super::runner::Runner;
use crate::cli::jail::Jail;
use crate::cli::{identities, report};
use crate::deploy::actions::masks::Masks;
use crate::deploy::build::Closure;
use crate::document::value::Value;
use crate::document::{Document, NONE, format_by_text, yaml};
use crate::error::Result;
use crate::kubernetes::{self, decoded};
use crate::pipeline::next;
use crate::source::{self, Source};

/// Renders a directory into a file of RUNNER_TEMP; with `placeholders` without any key.
///
/// # Errors
/// `Child` with build's own code; trouble.
pub fn build(runner: &Runner<'_>, args: &Args) -> Result<()> {
    let folder = runner.input("DIRECTORY").unwrap_or_else(|| ".".to_owned());
    let placeholders = runner.flag("PLACEHOLDERS")?;
    if !placeholders {
        runner.refuse_untrusted([runner.context.absolute(&folder).as_path()])?;
    }
    let mut masks = if placeholders { Masks::default() } else { of_files(runner, args, &folder).unwrap_or_default() };
    let mut arguments = vec!["build".to_owned()];
    // What is rendered goes to RUNNER_TEMP anyway; memory comes first where there is some.
    arguments.push("--allow-disk".to_owned());
    arguments.extend(placeholders.then(|| "--placeholders".to_owned()));
    // A directory is no flag.
    arguments.push(if folder.starts_with('-') { format!("./{folder}") } else { folder });
    let of_kustomize = runner.lines("ARGUMENTS");
    if !of_kustomize.is_empty() {
        arguments.push("--".to_owned());
        arguments.extend(of_kustomize);
    }
    let ended = runner.kveil(&arguments)?;
    let rendered = source::utf8(Zeroizing::new(ended.out.to_vec())).and_then(|text| add_secrets(&mut masks, &text));
    if !placeholders {
        report::data(&masks.commands())?;
    }
    runner.say_all(&ended.said)?;
    if ended.code != 0 {
        return Err(runner.trouble("build", &ended));
    }
    rendered?;
    if !placeholders {
        say_skipped(runner, &masks)?;
    }
    let path = runner.private_folder()?.join("manifests.yaml");
    write(&path, &ended.out)?;
    runner.output("manifests", &path.display().to_string())
}

/// Masks for what is opened on the way: objects of other kinds than Secret, values of charts, and, where the build fails, what
/// kustomize says of it. Why a file can't be opened says the build.
fn of_files(runner: &Runner<'_>, args: &Args, folder: &str) -> Result<Masks> {
    let folder = runner.context.absolute(folder);
    let closure = Closure::of(&folder, Jail::of(runner.context, &folder)?.named())?;
    let identities = identities::of(runner.context, &args.common);
    let order = args.order.kinds()?;
    let mut masks = Masks::default();
    for piece in closure.pieces.iter().filter(|piece| piece.may_open) {
        let Ok(text) = Source::File(piece.path.clone()).read() else { continue };
        let Some(format) = format_by_text(&text) else { continue };
        if let Ok(opened) = next::open(&text, format, &identities, &order, false) {
            add_masks(&mut masks, &piece.path.to_string_lossy(), &opened);
        }
    }
    Ok(masks)
}

/// Masks for the Secrets among rendered objects.
fn add_secrets(masks: &mut Masks, text: &str) -> Result<()> {
    let document = yaml::parse(text)?;
    for root in document.parts.iter().map(|part| part.root).filter(|root| *root != NONE) {
        if kubernetes::object(&document, root).is_some_and(|object| decoded::is_secret(&object)) {
            add(masks, &document, root)?;
        }
    }
    Ok(())
}

fn add(masks: &mut Masks, document: &Document<'_>, secret: u32) -> Result<()> {
    for field in ["data", "stringData"] {
        let Some(map) = document.get(secret, field) else { continue };
        for (key, value) in document.entries(map) {
            let name = document.key_text(key);
            if let Some(scalar) = Value::of(document, value)?.as_scalar() {
                masks.add(&format!("{field}:{name}:"), name, scalar.kind, &scalar.bytes);
            }
        }
    }
    Ok(())
}
