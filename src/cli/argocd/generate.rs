//! `kveil argocd generate`: nothing is printed unless all of it is there, and in clear.

use std::path::Path;
use std::process::Stdio;

use zeroize::Zeroizing;

use super::GenerateArgs;
use super::files::{self, Listed};
use crate::cli::context::Context;
use crate::cli::flags::Types;
use crate::cli::jail::Jail;
use crate::cli::{identities, report};
use crate::deploy::argocd::{self, SKIPPED, TOOLS, Tool};
use crate::deploy::guard;
use crate::document::{Format, NONE};
use crate::error::{Error, Kind, Result};
use crate::recipient::Identities;
use crate::source::{self, Source, platform, signals};
use crate::{kubernetes, pipeline};

/// Renders the current directory, which is the application's.
///
/// # Errors
/// Those of what renders; `Generic` (1) for nothing at all, or ciphertext.
pub fn run(context: &Context, args: &GenerateArgs) -> Result<()> {
    args.common.check()?;
    let text = match tool(context, args)? {
        Tool::Kustomize => rendered(context, args, &["build".into(), ".".into()])?,
        Tool::Helm => rendered(context, args, &helm(context)?)?,
        Tool::Directory => plain_files(context, args)?,
    };
    let verdict = guard::manifests(&text)?;
    if verdict.objects == 0 {
        let error = Error::new(Kind::Generic, "there are no manifests: Argo CD would prune all of the application");
        return Err(error.hint("is the application's path right? plain files below it count with --recurse"));
    }
    verdict.settle(guard::LEFT_OVER)?;
    report::data(text.as_bytes())
}

fn tool(context: &Context, args: &GenerateArgs) -> Result<Tool> {
    if let Some(wanted) = &args.tool {
        return TOOLS
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, tool)| *tool)
            .ok_or_else(|| Error::new(Kind::Generic, "no such tool"));
    }
    let failed = |why: std::io::Error| Error::new(Kind::Unreadable, format!("the application's directory can't be read: {why}"));
    let entries = std::fs::read_dir(&context.directory).map_err(failed)?;
    let names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    argocd::tool(names.iter().map(String::as_str))
}

/// What this program prints with other arguments; what it says beside goes on to stderr, which Argo CD shows.
fn rendered(context: &Context, args: &GenerateArgs, arguments: &[String]) -> Result<Zeroizing<String>> {
    let failed = |why: std::io::Error| Error::new(Kind::Generic, format!("can't start kveil: {why}"));
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = context.environment.command(program);
    args.common.hand_on(&args.order, &mut command);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    // It wipes what it made, if a signal ends both.
    let output = signals::output(signals::start_passing_on(&mut command)).map_err(failed)?;
    let out = Zeroizing::new(output.stdout);
    match platform::exit_code(output.status) {
        0 => source::utf8(out),
        // It has said why.
        code => Err(Error::new(Kind::Child(code), "rendering failed")),
    }
}

/// Helm's command line, from what Argo CD says of the application.
fn helm(context: &Context) -> Result<Vec<String>> {
    let variable = |name: &str| context.environment.var(name);
    let name = variable("ARGOCD_APP_NAME").ok_or_else(|| {
        Error::new(Kind::Generic, "ARGOCD_APP_NAME isn't set: a release needs a name").hint("Argo CD sets it for its plugins")
    })?;
    // An application in another namespace than Argo CD's own is called NAMESPACE_NAME.
    let release = name.rsplit('_').next().unwrap_or(&name).to_owned();
    let mut line: Vec<String> = ["helm", "run", "template"].map(str::to_owned).into();
    line.extend([format!("--name-template={release}"), ".".to_owned(), "--include-crds".to_owned()]);
    line.extend(variable("ARGOCD_APP_NAMESPACE").map(|namespace| format!("--namespace={namespace}")));
    line.extend(variable("KUBE_VERSION").filter(|version| !version.is_empty()).map(|version| format!("--kube-version={version}")));
    let versions = variable("KUBE_API_VERSIONS").unwrap_or_default();
    line.extend(versions.split(',').filter(|version| !version.is_empty()).map(|version| format!("--api-versions={version}")));
    let jail = Jail::of(context, Path::new(""))?;
    for file in values_files(context)? {
        refuse_outside(context, &jail, &file)?;
        line.push(format!("--values={file}"));
    }
    Ok(line)
}

/// Holds a values file against the jail: one in clear Helm reads itself, whatever it is. The getter has a jail of its own.
fn refuse_outside(context: &Context, jail: &Jail, file: &str) -> Result<()> {
    let is_optional = file.starts_with('?');
    let path = file.trim_start_matches('?');
    if path.contains("://") {
        return Ok(());
    }
    match jail.resolve(context, &context.directory, path) {
        Err(error) if !(is_optional && error.kind == Kind::NoFile) => Err(error.in_file(path)),
        _ => Ok(()),
    }
}

/// The application's parameter `values-files`, else its variable VALUES_FILES, one a line.
fn values_files(context: &Context) -> Result<Vec<String>> {
    if let Some(text) = context.environment.var("ARGOCD_APP_PARAMETERS") {
        let parameters: serde_json::Value =
            serde_json::from_str(&text).map_err(|_| Error::new(Kind::Generic, "ARGOCD_APP_PARAMETERS holds no JSON"))?;
        let mut all = parameters.as_array().into_iter().flatten();
        let found = all.find(|parameter| parameter.get("name").and_then(serde_json::Value::as_str) == Some("values-files"));
        if let Some(files) = found.and_then(|found| found.get("array")?.as_array()) {
            return Ok(files.iter().filter_map(|file| file.as_str().map(str::to_owned)).collect());
        }
    }
    let text = context.environment.var("ARGOCD_ENV_VALUES_FILES").unwrap_or_default();
    Ok(text.split([',', '\n']).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// All manifests of the directory, decrypted, in order of their names.
fn plain_files(context: &Context, args: &GenerateArgs) -> Result<Zeroizing<String>> {
    let identities = identities::of(context, &args.common);
    let order = args.order.kinds()?;
    let mut pieces = Vec::new();
    for Listed { name, path } in manifests(context, args)? {
        pieces.extend(manifest(&path, &identities, &order).map_err(|error| error.in_file(&name))?);
    }
    identities::tell(context, &args.common, &identities);
    let mut text = Zeroizing::new(String::with_capacity(pieces.iter().map(|piece| piece.len() + 5).sum()));
    for piece in &pieces {
        text.push_str("---\n");
        text.push_str(piece.trim_start_matches('\u{feff}'));
        if !piece.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

fn manifests(context: &Context, args: &GenerateArgs) -> Result<Vec<Listed>> {
    let recurse = args.recurse || context.environment.var("ARGOCD_ENV_RECURSE").is_some_and(|value| value == "true");
    files::list(context, recurse, argocd::is_manifest)
}

/// A file's text in clear; none if it holds no object.
fn manifest(path: &Path, identities: &Identities, order: &[String]) -> Result<Option<Zeroizing<String>>> {
    let text = Source::of(path).read()?;
    if text.contains(SKIPPED) {
        return Ok(None);
    }
    let format = Types::default().format(&path.display().to_string(), &text);
    let document = format.parse(&text)?;
    let is_encrypted = document.parts.iter().any(|part| document.block_key(part).is_some());
    let plain = if is_encrypted { pipeline::decrypt_text(&text, format, identities, order, false)?.text } else { text };
    Ok(holds_object(&plain, format)?.then_some(plain))
}

fn holds_object(plain: &str, format: &'static dyn Format) -> Result<bool> {
    let document = format.parse_plain(plain)?;
    let mut roots = document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
    Ok(roots.any(|root| kubernetes::object(&document, root).is_some()))
}
