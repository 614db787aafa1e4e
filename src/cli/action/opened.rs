//! The modes that open files: into a folder of the job, into variables of one command, or, if asked for, of all later steps.

use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::Args;
use super::runner::{Runner, not_started};
use crate::cli::flags::Types;
use crate::cli::{identities, report};
use crate::deploy::actions::commands::{self, Annotation, Level};
use crate::deploy::actions::findings::code;
use crate::deploy::actions::masks::Masks;
use crate::document::Format;
use crate::error::{Error, Kind, Result, printable};
use crate::pipeline::next;
use crate::source::{Source, platform, signals};
use crate::variables::{self, Variable};

/// Names of variables that are the runner's own.
const OF_RUNNER: [&str; 4] = ["GITHUB_", "RUNNER_", "ACTIONS_", "INPUT_"];

/// A file, opened.
struct File {
    name: String,
    format: &'static dyn Format,
    plain: Zeroizing<String>,
}

/// The files of the input, opened and masked: nothing was printed before.
fn opened(runner: &Runner<'_>, args: &Args) -> Result<Vec<File>> {
    let names = runner.lines("FILES");
    if names.is_empty() {
        return Err(Error::new(Kind::Generic, "this mode needs the input files").hint("files: secrets/app.yaml, one a line"));
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| runner.context.absolute(name)).collect();
    runner.refuse_untrusted(paths.iter().filter_map(|path| path.parent()))?;
    let identities = identities::of(runner.context, &args.common);
    let order = args.order.kinds()?;
    let (mut masks, mut notes, mut files) = (Masks::default(), Vec::new(), Vec::new());
    for name in names {
        let text = Source::of(&name).read_encrypted().map_err(|error| error.in_file(&name))?;
        let format = Types::default().format(&name, &text);
        let opened = next::open(&text, format, &identities, &order, false).map_err(|error| error.in_file(&name))?;
        add_masks(&mut masks, &name, &opened);
        notes.extend(opened.notes.iter().map(|note| format!("{name}: {note}")));
        files.push(File { name, format, plain: opened.plain });
    }
    report::data(&masks.commands())?;
    let warnings = identities.take_warnings();
    notes.into_iter().chain(warnings).try_for_each(|note| runner.annotate(&Annotation::plain(Level::Warning, "kveil", &note)))?;
    say_skipped(runner, &masks)?;
    Ok(files)
}

/// Masks all that a file hides.
pub fn add_masks(masks: &mut Masks, file: &str, opened: &next::Opened<'_>) {
    let is_bytes = opened.document.format.is_bytes();
    for (path, kind, bytes) in opened.hidden() {
        let key = path.trim_end_matches(':').rsplit(':').next().unwrap_or_default();
        masks.add(path, if is_bytes { file } else { key }, kind, bytes);
    }
}

/// Says which values stand in the log as they are, should a later step print them.
pub fn say_skipped(runner: &Runner<'_>, masks: &Masks) -> Result<()> {
    let skipped: Vec<&str> = masks.skipped().collect();
    if skipped.is_empty() {
        return Ok(());
    }
    let text = format!("not masked, as it would blot out other words: {}", skipped.join(", "));
    runner.annotate(&Annotation::plain(Level::Notice, "kveil", &printable(&text)))
}

/// Decrypts into a folder of RUNNER_TEMP; gives later steps variables only if `export: env` says so.
///
/// # Errors
/// Those of opening files; `Generic` (1) for another word in `export`.
pub fn decrypt(runner: &Runner<'_>, args: &Args) -> Result<()> {
    let export = match runner.input("EXPORT").as_deref() {
        None | Some("none") => false,
        Some("env") => true,
        Some(_) => return Err(Error::new(Kind::Generic, "the input export is none or env")),
    };
    let files = opened(runner, args)?;
    if export {
        return export_all(runner, &files);
    }
    let folder = runner.private_folder()?;
    let mut written = Vec::new();
    for file in &files {
        let path = folder.join(below(runner, &file.name));
        write(&path, &file.format.plain_bytes(&file.plain)).map_err(|error| error.in_file(&file.name))?;
        written.push(path.display().to_string());
    }
    runner.output("directory", &folder.display().to_string())?;
    runner.output("files", &written.join("\n"))?;
    let names: Vec<String> = files.iter().map(|file| format!("- {}\n", code(&file.name))).collect();
    runner.summary(&format!("### kveil decrypt\n\nDecrypted for this job:\n\n{}", names.concat()))
}

/// The name of a plain file: that of the encrypted one below the current directory, without a way out of the folder.
fn below(runner: &Runner<'_>, name: &str) -> PathBuf {
    let path = runner.context.absolute(name);
    let inside = path.strip_prefix(&runner.context.directory).unwrap_or(&path);
    inside.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// Writes a new file that only this user can read, with its folders.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let failed = |why: std::io::Error| Error::new(Kind::Unwritable, format!("can't be written to RUNNER_TEMP: {why}"));
    if let Some(folder) = path.parent() {
        platform::private_directory().recursive(true).create(folder).map_err(failed)?;
    }
    platform::private().write(true).create_new(true).open(path).and_then(|mut file| file.write_all(bytes)).map_err(failed)
}

/// All variables of the files; of a name that comes twice the last.
fn variables(files: &[File]) -> Result<Vec<Variable>> {
    let mut all: Vec<Variable> = Vec::new();
    for file in files {
        let document = file.format.parse_plain(&file.plain).map_err(|error| error.in_file(&file.name))?;
        for variable in variables::of(&document, true).map_err(|error| error.in_file(&file.name))? {
            all.retain(|known| known.name != variable.name);
            all.push(variable);
        }
    }
    Ok(all)
}

/// Whether a variable is the file's to set; says so if not.
fn is_harmless(runner: &Runner<'_>, variable: &Variable) -> Result<bool> {
    let steers = variables::steers_programs(&variable.name);
    if !steers && !OF_RUNNER.iter().any(|start| variable.name.starts_with(start)) {
        return Ok(true);
    }
    let why = if steers { "it can make programs run other code" } else { "it is the runner's own" };
    let text = format!("{} is skipped: {why}", printable(&variable.name));
    runner.annotate(&Annotation::plain(Level::Warning, "kveil", &text)).map(|()| false)
}

/// Gives all later steps the variables.
fn export_all(runner: &Runner<'_>, files: &[File]) -> Result<()> {
    let mut names = Vec::new();
    for variable in variables(files)? {
        if !is_harmless(runner, &variable)? {
            continue;
        }
        let not_text = || Error::new(Kind::Generic, "the value isn't text, which no variable of a workflow holds").for_key(&variable.name);
        let value = std::str::from_utf8(&variable.value).map_err(|_| not_text())?;
        runner.export(&variable.name, value)?;
        names.push(format!("- {}\n", code(&variable.name)));
    }
    let what = "Every later step of this job, also of other actions, sees these variables:";
    runner.summary(&format!("### kveil decrypt\n\n{what}\n\n{}", names.concat()))
}

/// Runs a command with the files' values in its environment: no other step sees them.
///
/// # Errors
/// Those of opening files; `Child` with the command's own code.
pub fn exec(runner: &Runner<'_>, args: &Args) -> Result<()> {
    let line =
        runner.input("RUN").ok_or_else(|| Error::new(Kind::Generic, "the mode exec needs the input run").hint("run: ./deploy.sh"))?;
    let files = opened(runner, args)?;
    // The shell that steps have.
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c"]).arg(line);
    runner.without_inputs(&mut command);
    for variable in variables(&files)? {
        if is_harmless(runner, &variable)? {
            let not_text =
                || Error::new(Kind::Generic, "the value isn't text, which this system's environment can't hold").for_key(&variable.name);
            command.env(&variable.name, platform::variable(&variable.value).ok_or_else(not_text)?);
        }
    }
    drop(files);
    let code = quoted(runner, &mut command)?;
    if code == 0 { Ok(()) } else { Err(Error::new(Kind::Child(code), "the command failed")) }
}

/// Runs a command whose output the runner takes for nothing but text.
fn quoted(runner: &Runner<'_>, command: &mut Command) -> Result<u8> {
    let token = format!("kveil-{}", commands::nonce()?);
    report::data(format!("::stop-commands::{token}\n").as_bytes())?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = signals::start_passing_on(command).map_err(|why| not_started("bash", &why));
    let ended = started.and_then(|mut child| {
        let shown = runner.relay(&mut child);
        let status = child.wait().map_err(|why| not_started("bash", &why));
        shown.and(status)
    });
    signals::ended();
    report::data(format!("::{token}::\n").as_bytes())?;
    ended.map(platform::exit_code)
}
