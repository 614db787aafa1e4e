//! `kveil doctor`.

mod surroundings;

use std::path::Path;

use clap::Args as ClapArgs;

use super::context::Context;
use super::flags::{Common, Types};
use super::git::setup;
use super::settings::{self, Configs, Found};
use super::{identities, left, report};
use crate::datakey::rewrap;
use crate::diagnosis::{Diagnosis, FileFound, GitFound, Here, KindFound, Reader, json, said, text};
use crate::error::{Error, Kind, Result, printable};
use crate::git::{Repository, patches};
use crate::metadata::Metadata;
use crate::pipeline;
use crate::recipient::probe::{self, Tried};
use crate::recipient::{Identities, KINDS, Looked, RecipientSpec, kind_by_field, pgp};
use crate::source::Source;

/// Say what identities are here, which files they open, and what is wrong: settings, clock, permissions, git drivers
///
/// Without --probe nothing is asked for: no network, no gpg, no plugin, no command, no prompt. Exit code: 0 nothing to mend,
/// 1 something, 2 trouble.
#[derive(ClapArgs)]
pub struct Args {
    /// Encrypted files; without any, the recipients of .sops.yaml
    files: Vec<String>,
    /// Have every recipient wrap a random key and unwrap it again, and the files' own data keys unwrapped
    #[arg(long)]
    probe: bool,
    /// Explain what kustomize, kubectl or Helm said in this file, and look at nothing else; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "probe"])]
    said: Option<String>,
    /// Form of the answer
    #[arg(long, value_name = "FORMAT", value_parser = ["json", "text"], default_value = "text")]
    format: String,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    common: Common,
}

/// A file with what it says of its recipients.
struct Subject {
    name: String,
    found: Option<std::sync::Arc<Found>>,
    /// None of a configuration.
    metadata: Option<Metadata>,
    groups: Vec<Vec<RecipientSpec>>,
}

/// Looks, and says what was found.
///
/// # Errors
/// `Found` (1) if something is to be mended; any other is trouble (2).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    if let Some(name) = &args.said {
        return explain(context, name, &args.format);
    }
    let (subjects, trouble) = subjects(context, args)?;
    let make = || identities_of(context, args);
    let identities = make();
    let files = subjects.iter().map(|subject| file(subject, args.probe, &identities, &make)).collect();
    let diagnosis = Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        probed: args.probe,
        offline: args.common.offline,
        settings: surroundings::settings(&context.environment),
        kinds: kinds(&identities),
        files,
        git: git(context)?,
        patches: patches::of_pre_commit(&context.environment),
    };
    identities.take_warnings().iter().for_each(|warning| report::warning(context, warning));
    match args.format.as_str() {
        "json" => report::data(format!("{}\n", report::one_line(&json::json(&diagnosis))).as_bytes())?,
        _ => report::data(text::text(&diagnosis).as_bytes())?,
    }
    match trouble {
        Some(error) => Err(error),
        None if diagnosis.findings().is_empty() => Ok(()),
        None => Err(Error::new(Kind::Found, "something is to be mended")),
    }
}

/// Says what the words of other programs mean.
fn explain(context: &Context, name: &str, format: &str) -> Result<()> {
    let output = Source::of(name).read().map_err(|error| error.in_file(name))?;
    let explained = said::explained(&output);
    if format == "json" {
        let rows = explained.iter().map(|row| serde_json::json!({ "what": row.what, "fix": row.fix }));
        report::line(&report::one_line(&serde_json::json!({ "said": rows.collect::<Vec<_>>() })))?;
    } else {
        explained.iter().try_for_each(|row| report::line(&format!("{}\n  → {}", row.what, row.fix)))?;
    }
    if explained.is_empty() {
        report::note(context, "nothing in it is known: what kveil itself says comes with its next step");
        return Ok(());
    }
    Err(Error::new(Kind::Found, "something is to be mended"))
}

/// Those that the environment leads to; where nothing shall be asked, without the network and without commands.
fn identities_of(context: &Context, args: &Args) -> Identities {
    let identities = identities::of(context, &args.common);
    if args.probe { identities } else { identities.without_commands().offline() }
}

/// The files, and what kept one from being read: the others are told all the same.
fn subjects(context: &Context, args: &Args) -> Result<(Vec<Subject>, Option<Error>)> {
    let configs = Configs::new(context, &args.common);
    if args.files.is_empty() {
        let found = configs.find(None)?;
        return Ok((found.map(of_config).into_iter().collect(), None));
    }
    let (mut subjects, mut trouble) = (Vec::new(), None);
    for name in &args.files {
        match of_file(context, args, &configs, name) {
            Ok(subject) => subjects.push(subject),
            Err(error) => {
                let error = error.in_file(name);
                if let Some(earlier) = trouble.replace(error) {
                    report::error(context, &earlier);
                }
            }
        }
    }
    Ok((subjects, trouble))
}

/// All recipients of the rules, each once.
fn of_config(found: std::sync::Arc<Found>) -> Subject {
    let mut all: Vec<RecipientSpec> = Vec::new();
    for spec in found.config.rules.iter().flat_map(|rule| rule.groups.iter().flatten()) {
        if !all.iter().any(|known| known.is(spec)) {
            all.push(spec.clone());
        }
    }
    Subject { name: found.config.file.clone(), metadata: None, groups: vec![all], found: Some(found) }
}

fn of_file(context: &Context, args: &Args, configs: &Configs<'_>, name: &str) -> Result<Subject> {
    let text = Source::of(name).read_encrypted()?;
    let document = args.types.input(name, &text)?.parse(&text)?;
    let metadata = pipeline::metadata_of(&document)?;
    let found = configs.find_leniently(Path::new(&context.absolute(name)));
    Ok(Subject { name: name.to_owned(), groups: rewrap::recipients(&metadata), metadata: Some(metadata), found })
}

fn file(subject: &Subject, probe: bool, identities: &Identities, make: &(impl Fn() -> Identities + Sync)) -> FileFound {
    let names = subject.found.as_deref().map(|found| found.config.names.as_slice()).unwrap_or_default();
    let reader = |(spec, entry): (&RecipientSpec, Option<&crate::document::value::Value>)| Reader {
        spec: spec.clone(),
        label: settings::label(spec, names).map(str::to_owned),
        here: entry.map_or(Here::Unknown, |entry| here(spec, entry, identities)),
        probe: None,
    };
    let tried: Vec<Vec<Tried<'_>>> = subject.groups.iter().enumerate().map(|(at, group)| subject.tried(at, group)).collect();
    let mut groups: Vec<Vec<Reader>> =
        tried.iter().map(|group| group.iter().map(|tried| reader((tried.spec, tried.entry))).collect()).collect();
    if probe {
        for (readers, tried) in groups.iter_mut().zip(&tried) {
            for (reader, answer) in readers.iter_mut().zip(probe::all(tried, make)) {
                reader.probe = Some(answer);
            }
        }
    }
    let needed = subject.metadata.as_ref().map_or(1, |metadata| metadata.threshold.unwrap_or(metadata.groups.len()));
    FileFound { name: subject.name.clone(), encrypted: subject.metadata.is_some(), needed, groups }
}

impl Subject {
    /// The recipients of a group with their entries.
    fn tried<'s>(&'s self, at: usize, group: &'s [RecipientSpec]) -> Vec<Tried<'s>> {
        let entries = self.metadata.as_ref().and_then(|metadata| metadata.groups.get(at)).map(|group| &group.entries);
        let entry = |number: usize| entries.and_then(|entries| entries.get(number)).map(|entry| &entry.value);
        group.iter().enumerate().map(|(number, spec)| Tried { spec, entry: entry(number) }).collect()
    }
}

/// What is known without asking anyone: of age identities all but those of plugins and locked files.
fn here(spec: &RecipientSpec, entry: &crate::document::value::Value, identities: &Identities) -> Here {
    let Some(kind) = kind_by_field(spec.kind) else { return Here::No };
    match kind.expects(entry, identities) {
        true => Here::Yes,
        false if kind.service().is_some() || spec.kind != "age" => Here::Unknown,
        false if surroundings::may_be_locked(&kind.looked(identities)) || surroundings::is_of_plugin(&spec.text) => Here::Unknown,
        false => Here::No,
    }
}

/// Where identities of each kind are looked for.
fn kinds(identities: &Identities) -> Vec<KindFound> {
    let found = |kind: &&dyn crate::recipient::RecipientKind| {
        let mut places = kind.looked(identities);
        if kind.field() == "pgp" && identities.runs_commands() {
            places.push(keyring(identities));
        }
        KindFound { kind: kind.field(), built: (kind.is_local() && !places.is_empty()) || kind.service().is_some(), places }
    };
    KINDS.iter().map(found).collect()
}

fn keyring(identities: &Identities) -> Looked {
    let found = match pgp::secret_keys(identities) {
        Ok(keys) if keys.is_empty() => "none".to_owned(),
        Ok(keys) => keys.join(", "),
        Err(why) => why,
    };
    Looked { place: "secret keys".to_owned(), found: printable(&found) }
}

fn git(context: &Context) -> Result<Option<GitFound>> {
    let Some(repository) = Repository::at(&context.environment, &context.directory, &context.directory)? else { return Ok(None) };
    let (encrypted, lacking) = setup::looked(context, &repository)?;
    let in_clear = left::decrypted(context, &repository.top)?.iter().map(|path| path.display().to_string()).collect();
    Ok(Some(GitFound { top: repository.top.display().to_string(), encrypted, lacking, in_clear }))
}
