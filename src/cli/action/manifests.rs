//! The mode that renders what is deployed.

use zeroize::Zeroizing;

use super::Args;
use super::opened::{say_skipped, write};
use super::runner::Runner;
use crate::cli::report;
use crate::deploy::actions::masks::Masks;
use crate::document::value::Value;
use crate::document::{Document, NONE, yaml};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::{self, decoded};
use crate::source;

/// Renders a directory into a file of RUNNER_TEMP; with `placeholders` without any key.
///
/// # Errors
/// `Child` with build's own code; trouble.
pub fn build(runner: &Runner<'_>, _args: &Args) -> Result<()> {
    let folder = runner.input("DIRECTORY").unwrap_or_else(|| ".".to_owned());
    let placeholders = runner.flag("PLACEHOLDERS")?;
    if !placeholders {
        runner.refuse_untrusted([runner.context.absolute(&folder).as_path()])?;
    }
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
    let rendered = source::utf8(Zeroizing::new(ended.out.to_vec()));
    let masks = rendered.and_then(|text| masks(&text));
    if let Ok(masks) = &masks
        && !placeholders
    {
        report::data(&masks.commands())?;
    }
    runner.say_all(&ended.said)?;
    if ended.code != 0 {
        return Err(Error::new(Kind::Child(ended.code), "build failed"));
    }
    say_skipped(runner, &masks?)?;
    let path = runner.private_folder()?.join("manifests.yaml");
    write(&path, &ended.out)?;
    runner.output("manifests", &path.display().to_string())
}

/// Masks for the Secrets among rendered objects.
fn masks(text: &str) -> Result<Masks> {
    let document = yaml::parse(text)?;
    let mut masks = Masks::default();
    for root in document.parts.iter().map(|part| part.root).filter(|root| *root != NONE) {
        if kubernetes::object(&document, root).is_some_and(|object| decoded::is_secret(&object)) {
            add(&mut masks, &document, root)?;
        }
    }
    Ok(masks)
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
