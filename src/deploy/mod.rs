//! Decrypting where manifests are rendered: functions for kustomize (KRM, legacy exec plugins), plugins for Helm, and the guard that lets
//! no ciphertext through. No flags, no printing; files are read by whoever calls, except in [`build`].

pub mod actions;
pub mod argocd;
pub mod build;
pub mod dotenv;
pub mod flux;
pub mod generator;
pub mod guard;
pub mod helm;
pub mod resource_list;
pub mod tokens;
pub mod transformer;
mod written;

use crate::document::value::Value;
use crate::error::{Error, Kind, Result};
use generator::Generator;
use transformer::Integrity;

/// What a function's configuration asks for.
pub enum Function {
    /// Objects from encrypted files: `kveil.dev/v1 Secrets`, `viaduct.ai/v1 ksops`.
    Generate(Generator),
    /// What is encrypted among the objects, in clear: `kveil.dev/v1 Decrypt`.
    Decrypt(Integrity),
    /// No object may hold ciphertext: `kveil.dev/v1 Guard`.
    Guard,
}

/// The kinds that are understood, as a plugin folder has them: group, version, kind.
pub const KINDS: [(&str, &str, &str); 5] = [
    ("kveil.dev", "v1", "Secrets"),
    ("kveil.dev", "v1", "Decrypt"),
    ("kveil.dev", "v1", "Guard"),
    ("viaduct.ai", "v1", "ksops"),
    ("viaduct.ai", "v2", "ksops"),
];

impl Function {
    /// Reads a function's configuration.
    ///
    /// # Errors
    /// `Generic` (1) for another kind, and for fields that aren't known.
    pub fn read(config: &Value) -> Result<Function> {
        let text = |key: &str| config.get(key).and_then(Value::text).unwrap_or_default();
        let (api, kind) = (text("apiVersion"), text("kind"));
        let Some((group, ..)) = KINDS.iter().find(|(group, version, name)| api == format!("{group}/{version}") && kind == *name) else {
            let known: Vec<String> = KINDS.iter().map(|(group, version, kind)| format!("{group}/{version} {kind}")).collect();
            let error = Error::new(Kind::Generic, format!("a function of the kind {api} {kind} isn't known"));
            return Err(error.hint(format!("the kinds are {}", known.join(", "))));
        };
        match &*kind {
            "Decrypt" => Integrity::read(config).map(Function::Decrypt),
            "Guard" => fields(config, &[]).map(|_| Function::Guard),
            _ => Generator::read(config, *group == "kveil.dev").map(Function::Generate),
        }
    }
}

/// Where a function's own fields stand: under `spec` if there is one, else at the top.
fn spec(config: &Value) -> &Value {
    config.get("spec").filter(|spec| !spec.entries().is_empty()).unwrap_or(config)
}

/// The same, where no other field than `known` may stand.
fn fields<'c>(config: &'c Value, known: &[&str]) -> Result<&'c Value> {
    const OBJECT: [&str; 6] = ["apiVersion", "kind", "metadata", "spec", "argsOneLiner", "argsFromFile"];
    let spec = spec(config);
    let object: &[&str] = if std::ptr::eq(spec, config) { &OBJECT } else { &[] };
    let other = spec.entries().iter().map(|(name, _)| name.as_str()).find(|name| !known.contains(name) && !object.contains(name));
    let Some(other) = other else { return Ok(spec) };
    let kind = config.get("kind").and_then(Value::text).unwrap_or_default();
    let error = Error::new(Kind::Generic, format!("{kind} has no field {other}"));
    Err(match crate::config::did_you_mean(other, known) {
        Some(meant) => error.hint(format!("did you mean {meant}?")),
        None if known.is_empty() => error.hint("it takes none"),
        None => error.hint(format!("its fields are {}", known.join(", "))),
    })
}
