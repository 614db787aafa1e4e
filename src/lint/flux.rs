//! Files that Flux wouldn't decrypt, as findings.

use super::{Finding, Level, Rule};
use crate::deploy::flux::{Cause, Fate};

/// A place in which Flux decrypts nothing.
pub static PLACE: Rule = Rule::new("KV501", "flux-place", Level::Error);
/// A name that says another format than the file has.
pub static FORMAT: Rule = Rule::new("KV502", "flux-format", Level::Error);
/// An object that can't be decrypted on its own.
pub static OBJECT: Rule = Rule::new("KV503", "flux-object", Level::Error);
/// A value that isn't a string in clear.
pub static TYPE: Rule = Rule::new("KV504", "flux-type", Level::Error);
/// A file that is too large for Flux.
pub static SIZE: Rule = Rule::new("KV505", "flux-size", Level::Error);
/// An object that asks to be left alone.
pub static OPTED_OUT: Rule = Rule::new("KV506", "flux-opted-out", Level::Error);
/// A patch that keeps an object from being decrypted.
pub static PATCH: Rule = Rule::new("KV507", "flux-patch", Level::Error);
/// A kustomization that can't be followed.
pub static KUSTOMIZATION: Rule = Rule::new("KV508", "flux-kustomization", Level::Error);

pub(super) const RULES: &[&Rule] = &[&PLACE, &FORMAT, &OBJECT, &TYPE, &SIZE, &OPTED_OUT, &PATCH, &KUSTOMIZATION];

/// What a replay of Flux found about a file that is named `name`; none if Flux decrypts it.
pub fn finding(fate: &Fate, name: &str) -> Option<Finding> {
    let trouble = fate.trouble.as_ref()?;
    let message = format!("{} ({})", trouble.text, crate::error::printable(&fate.step));
    Some(Finding::of_file(rule(trouble.cause), name, message, trouble.way_out))
}

fn rule(cause: Cause) -> &'static Rule {
    match cause {
        Cause::Place => &PLACE,
        Cause::Format => &FORMAT,
        Cause::Object => &OBJECT,
        Cause::Type => &TYPE,
        Cause::Size => &SIZE,
        Cause::OptedOut => &OPTED_OUT,
        Cause::Patch => &PATCH,
        Cause::Kustomization => &KUSTOMIZATION,
    }
}
