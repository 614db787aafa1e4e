//! `kveil krm`.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::flags::{Common, DecryptionOrder};
use super::jail::Jail;
use super::{files, identities, report};
use crate::deploy::generator::{Decrypted, Files, Generator};
use crate::deploy::resource_list::{self, Caller, Resources};
use crate::deploy::tokens::{Sealed, Unsealed};
use crate::deploy::transformer::{Integrity, Originals, Wanted, Work};
use crate::deploy::{Function, KINDS, guard};
use crate::document::value::Value;
use crate::document::{self, Format};
use crate::error::{Error, Result};
use crate::pipeline;
use crate::recipient::Identities;
use crate::source::{self, Source};
use crate::tree;

/// Decrypt for kustomize: a function that it calls (KRM exec, or a legacy exec plugin)
///
/// Reads a ResourceList and writes one. Its functionConfig says what to do: `kveil.dev/v1 Secrets` and `viaduct.ai/v1 ksops`
/// make objects of encrypted files, `kveil.dev/v1 Decrypt` decrypts what is encrypted among the resources, `kveil.dev/v1
/// Guard` fails if any ciphertext is left. kustomize needs --enable-alpha-plugins --enable-exec; without --enable-exec it
/// skips functions in silence, which kveil guard notices.
#[derive(ClapArgs)]
pub struct Args {
    /// The configuration of a legacy exec plugin; documents come on standard input then
    #[arg(value_name = "CONFIG")]
    plugin: Option<PathBuf>,
    /// What else a legacy plugin's configuration passes on
    #[arg(hide = true)]
    rest: Vec<String>,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Under the names of kinds, which `kveil kustomize install-legacy` gives it, and as KSOPS's program, it is this command.
pub fn as_plugin(mut args: Vec<OsString>) -> Vec<OsString> {
    let name = args.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim_end_matches(".exe").to_owned();
    if !KINDS.iter().any(|(_, _, kind)| *kind == name) {
        return args;
    }
    let verb = args.get(1).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    match verb.as_str() {
        "install" if name == "ksops" => {
            args.insert(2, "--as-ksops".into());
        }
        "krm" | "--help" | "-h" | "--version" | "-V" => {}
        _ => args.insert(1, "krm".into()),
    }
    args[0] = "kveil".into();
    args
}

/// Runs the function.
///
/// # Errors
/// Those of the function; also as a result in the ResourceList.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let caller = if args.plugin.is_some() { Caller::Legacy } else { Caller::Krm };
    match of_input(context, args, caller) {
        Ok(text) => report::data(text.as_bytes()),
        Err(error) => {
            if caller == Caller::Krm {
                report::data(resource_list::failed(&error).as_bytes())?;
            }
            Err(error)
        }
    }
}

fn of_input(context: &Context, args: &Args, caller: Caller) -> Result<Zeroizing<String>> {
    args.common.check()?;
    let stdin = Source::Stdin.read()?;
    let resources = Resources::read(&stdin, caller).map_err(|error| error.in_file("standard input"))?;
    let config = match &args.plugin {
        None => resources.config()?,
        Some(path) => {
            let text = Source::File(path.clone()).read().map_err(|error| error.in_file(&path.display().to_string()))?;
            resource_list::config(&text)?
        }
    };
    let run = Run {
        context,
        identities: identities::of(context, &args.common),
        order: args.order.kinds()?,
        jail: Jail::of(context, Path::new(""))?,
    };
    let text = match Function::read(&config)? {
        Function::Generate(generator) => run.generated(&generator, caller),
        Function::Decrypt(integrity) => run.decrypt(&resources, integrity, caller),
        Function::Guard => {
            super::guard::pass(context, &guard::objects(resources.document(), &resources.roots), guard::UNOPENED)?;
            Ok(stdin.clone())
        }
    };
    identities::tell(context, &args.common, &run.identities);
    text
}

/// What one call works with.
struct Run<'c> {
    context: &'c Context,
    identities: Identities,
    order: Vec<String>,
    jail: Jail,
}

impl Run<'_> {
    /// The objects, as the caller reads them. What KSOPS's kind lets through, it lets through here, too.
    fn generated(&self, generator: &Generator, caller: Caller) -> Result<Zeroizing<String>> {
        let text = resource_list::generated(&self.generate(generator)?, caller);
        if generator.is_own() { self.guarded(text, caller) } else { Ok(text) }
    }

    /// The same text, if no ciphertext is left in it.
    fn guarded(&self, text: Zeroizing<String>, caller: Caller) -> Result<Zeroizing<String>> {
        let result = Resources::read(&text, caller)?;
        super::guard::pass(self.context, &guard::objects(result.document(), &result.roots), guard::LEFT_OVER)?;
        drop(result);
        Ok(text)
    }

    fn generate(&self, generator: &Generator) -> Result<Vec<Value>> {
        let paths = generator.paths();
        let opened = files::each(self.context, paths.len(), |at| self.file(generator, paths[at]));
        let mut found = Files::new();
        for (path, file) in paths.iter().zip(files::all(self.context, opened)?) {
            found.insert((*path).to_owned(), file);
        }
        generator.objects(&found)
    }

    fn file(&self, generator: &Generator, path: &str) -> Result<Decrypted> {
        let place = self.jail.resolve(self.context, &self.context.directory, path).map_err(|error| error.in_file(path))?;
        // Each overlay has its secret.yaml, and kustomize doesn't say in which one it is.
        let name = self.shown(&place);
        let located = |error: Error| error.in_file(&name);
        let text = Source::File(place).read_encrypted().map_err(located)?;
        let format = generator.format(path, &text);
        let opened = pipeline::decrypt_text(&text, format, &self.identities, &self.order, false).map_err(located)?;
        opened.notes.iter().for_each(|note| report::warning(self.context, &format!("{name}: {note}")));
        Ok(Decrypted { format, text: opened.text })
    }

    /// A file's path from the root, if it lies below.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.jail.root).unwrap_or(path).display().to_string()
    }

    fn decrypt(&self, resources: &Resources<'_>, integrity: Integrity, caller: Caller) -> Result<Zeroizing<String>> {
        let work = Work::find(resources, integrity)?;
        let originals = self.originals(&work.wanted())?;
        if work.is_unsigned() {
            report::warning(self.context, "integrity: values: no MAC is checked; a value that was rolled back or left out isn't noticed");
        }
        let to_open = work.to_open(&originals);
        let opened = files::each(self.context, to_open.len(), |at| to_open[at].open(&self.identities, &self.order));
        let opened: Vec<Unsealed> = files::all(self.context, opened)?;
        opened.iter().flat_map(|unsealed| &unsealed.notes).for_each(|note| report::warning(self.context, note));
        self.guarded(resources.with(&work.done(&originals, &opened)?), caller)
    }

    /// The files that objects come from, known by their MACs: first where kustomize says, then anywhere below the root.
    fn originals(&self, wanted: &[Wanted]) -> Result<Originals> {
        let mut missing: HashSet<&str> = wanted.iter().map(|wanted| wanted.mac.as_str()).collect();
        let mut found = HashMap::new();
        let hints: HashSet<&str> = wanted.iter().filter_map(|wanted| wanted.hint.as_deref()).collect();
        for folder in [&self.context.directory, &self.jail.root] {
            for hint in &hints {
                // Only a hint: it leads nowhere from the folder of a component.
                if let Ok(path) = std::fs::canonicalize(folder.join(hint))
                    && path.starts_with(&self.jail.root)
                {
                    self.take(&path, &mut missing, &mut found);
                }
            }
        }
        // Nearby first: the repository may be large.
        for folder in [&self.context.directory, &self.jail.root] {
            let files = if missing.is_empty() { Vec::new() } else { tree::walk(folder, None)?.files };
            for path in files {
                let real = std::fs::canonicalize(&path).unwrap_or(path);
                self.take(&real, &mut missing, &mut found);
            }
        }
        Ok(found)
    }

    fn take(&self, path: &Path, missing: &mut HashSet<&str>, found: &mut Originals) {
        const TOKEN: &str = "ENC[AES256_GCM,";
        if missing.is_empty() || !source::holds(path, TOKEN.as_bytes()).unwrap_or(false) {
            return;
        }
        let Ok(text) = Source::File(path.to_owned()).read() else { return };
        let tokens = text.match_indices(TOKEN).filter_map(|(at, _)| text[at..].find(']').map(|end| &text[at..=at + end]));
        let named: Vec<&str> = tokens.filter(|token| missing.contains(token)).collect();
        if named.is_empty() {
            return;
        }
        let name = self.shown(path);
        let by_name = || document::format_by_path(&name);
        let format = document::format_by_text(&text).or_else(by_name).unwrap_or(&document::detect::BINARY);
        // A patch, a log or a page of documentation may quote what a file holds.
        let Some(mac) = mac(&text, format).and_then(|mac| missing.take(mac.as_str())) else { return };
        found.insert(mac.to_owned(), Sealed { name, text, format, ignore_mac: false });
    }
}

/// The MAC that a file's metadata hold; none if it isn't encrypted.
fn mac(text: &str, format: &'static dyn Format) -> Option<String> {
    let document = format.parse(text).ok()?;
    let block = document.block().ok()??;
    block.get("mac").and_then(Value::text).map(|mac| mac.into_owned())
}
