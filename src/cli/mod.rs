//! The command line: reads flags, calls, prints. The table of commands is [`COMMANDS`]; a new one is its own file and a
//! row there.

mod action;
mod argocd;
mod argv;
mod ask;
mod build;
mod check;
mod clock;
mod completion;
mod config;
mod consent;
mod context;
mod decrypt;
mod diff;
mod doctor;
mod earlier;
mod edit;
mod editor;
mod encrypt;
mod exec_env;
mod exec_file;
mod files;
mod filestatus;
mod flags;
mod flux;
mod git;
mod groups;
mod guard;
mod helm;
mod identities;
mod in_place;
#[cfg(feature = "age")]
mod init;
mod install;
mod jail;
#[cfg(feature = "age")]
mod keygen;
mod krm;
mod kustomize;
mod left;
mod man;
mod paths;
mod policy;
mod recipients;
mod report;
mod resign;
mod resolve;
mod rewrite;
mod rotate;
mod set;
mod settings;
mod staged;
mod status;
mod unset;
mod updatekeys;
mod usage;
mod view;

use std::ffi::OsString;

use clap::{ArgMatches, FromArgMatches};

use crate::error::{Error, Kind, Result};
use argv::Asked;
use context::{Context, Name};

/// A command: its name, how its flags are declared, and what it does.
pub struct Command {
    /// The word on the command line.
    pub name: &'static str,
    build: fn(clap::Command) -> clap::Command,
    run: fn(&Context, &ArgMatches) -> Result<()>,
    /// Whether the exit code 1 is its answer: all trouble is then 2, wrong usage included.
    answers: bool,
}

/// A row of the table: the module holds `Args`, whose doc comment is the help, and `run`.
macro_rules! command {
    ($name:literal, $module:ident) => {
        command!($name, $module, false)
    };
    ($name:literal, $module:ident, $answers:literal) => {
        Command {
            name: $name,
            answers: $answers,
            build: <$module::Args as clap::Args>::augment_args,
            run: |context, matches| {
                let args = $module::Args::from_arg_matches(matches).map_err(|why| unread(&why))?;
                $module::run(context, &args)
            },
        }
    };
}

/// A row of a command that answers with its exit code: 0 nothing found, 1 found, 2 trouble.
macro_rules! question {
    ($name:literal, $module:ident) => {
        command!($name, $module, true)
    };
}

/// All commands, in the order of the help.
pub static COMMANDS: &[Command] = &[
    #[cfg(feature = "age")]
    command!("init", init),
    #[cfg(feature = "age")]
    command!("keygen", keygen),
    command!("encrypt", encrypt),
    command!("decrypt", decrypt),
    command!("view", view),
    command!("set", set),
    command!("unset", unset),
    command!("rotate", rotate),
    command!("updatekeys", updatekeys),
    command!("groups", groups),
    command!("recipients", recipients),
    command!("edit", edit),
    command!("exec-env", exec_env),
    command!("exec-file", exec_file),
    command!("status", status),
    question!("diff", diff),
    question!("doctor", doctor),
    question!("check", check),
    command!("filestatus", filestatus),
    command!("git", git),
    command!("resolve", resolve),
    command!("resign", resign),
    command!("action", action),
    command!("argocd", argocd),
    question!("flux", flux),
    command!("build", build),
    command!("krm", krm),
    command!("guard", guard),
    command!("kustomize", kustomize),
    command!("install", install),
    command!("helm", helm),
    command!("config", config),
    command!("completion", completion),
    command!("man", man),
];

impl Command {
    fn declare(&self) -> clap::Command {
        (self.build)(clap::Command::new(self.name))
    }
}

/// The whole command line, as help, completions and manual pages show it.
fn whole(program: &'static str) -> clap::Command {
    let command = clap::Command::new(program)
        .about("Keep Kubernetes Secrets in git, encrypted: the SOPS file format, byte-exact and fast")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help("Called under the name `sops`, it takes sops's command line and defaults.");
    COMMANDS.iter().fold(command, |command, row| command.subcommand(row.declare()))
}

/// Runs the command line `args` (the program's name first) and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args = krm::as_plugin(args.into_iter().collect());
    let program = args.first().map_or_else(|| "kveil".to_owned(), |name| name.to_string_lossy().into_owned());
    let verbose = args.iter().any(|arg| arg == "--verbose" || arg == "-verbose" || arg == "-v");
    let context = Context::of_process(&program, verbose);
    crate::source::platform::forbid_core_dumps();
    crate::source::signals::end_at_a_panic(report::bug);
    match dispatch(&context, args) {
        Ok(()) => 0,
        Err(Ended::Shown(code)) => code,
        Err(Ended::Failed(error)) => {
            if !matches!(error.kind, Kind::Child(_) | Kind::Found) {
                report::error(&context, &error);
            }
            error.kind.exit_code()
        }
    }
}

/// How a run ended before its command was through.
enum Ended {
    /// Help or a usage message was printed.
    Shown(u8),
    /// An error to report.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        Ended::Failed(error)
    }
}

fn dispatch(context: &Context, args: Vec<OsString>) -> std::result::Result<(), Ended> {
    let program = context.program();
    match argv::read(args, context.is_sops())? {
        Asked::Version => Ok(report::data(version(context.name).as_bytes())?),
        Asked::Help(path) => help(program, &path),
        Asked::Words(words) => Ok(report::data(words.iter().map(|word| format!("{word}\n")).collect::<String>().as_bytes())?),
        Asked::Command(line) => command(context, &line),
        Asked::Nothing => {
            report::usage(&whole(program).render_help().to_string());
            Err(Ended::Shown(1))
        }
    }
}

fn command(context: &Context, line: &argv::Line) -> std::result::Result<(), Ended> {
    let program = context.program();
    let Some(row) = COMMANDS.iter().find(|row| row.name == line.verb) else { return Err(no_command(program, &line.verb).into()) };
    line.ignored.iter().for_each(|text| report::always(context, text));
    line.unheard.iter().for_each(|text| report::warning(context, text));
    let command = row.declare().bin_name(format!("{program} {}", row.name)).no_binary_name(true);
    let matches = command.try_get_matches_from(&line.rest).map_err(|why| wrong(&why, &format!("{program} {}", row.name)));
    let ended = matches.and_then(|matches| Ok((row.run)(context, &matches)?));
    if row.answers { ended.map_err(as_trouble) } else { ended }
}

/// Where 1 is an answer, any failure is 2.
fn as_trouble(ended: Ended) -> Ended {
    match ended {
        Ended::Shown(code) => Ended::Shown(if code == 0 { 0 } else { 2 }),
        Ended::Failed(error) if matches!(error.kind, Kind::Found | Kind::Signal(_)) => Ended::Failed(error),
        Ended::Failed(error) => Ended::Failed(error.of_kind(Kind::Unreadable)),
    }
}

/// The first line is what scripts parse for sops's version; kveil's own follows.
fn version(name: Name) -> String {
    let own = format!("kveil {}\n", env!("CARGO_PKG_VERSION"));
    match name {
        Name::Kveil => own,
        Name::Sops => format!("sops {}\n{own}", crate::metadata::VERSION),
    }
}

/// Help on stdout: of the whole, or of a command.
fn help(program: &'static str, path: &[String]) -> std::result::Result<(), Ended> {
    let mut whole = whole(program);
    whole.build();
    let mut command = &mut whole;
    for word in path {
        command = command.find_subcommand_mut(word).ok_or_else(|| argv::no_topic(program, word))?;
    }
    Ok(report::data(command.render_long_help().to_string().as_bytes())?)
}

fn no_command(program: &str, word: &str) -> Error {
    let error = Error::new(Kind::Generic, format!("there is no command {word}"));
    if std::path::Path::new(word).is_file() {
        return error.hint(format!("to work on the file: {program} encrypt {word}, {program} decrypt {word}, {program} edit {word}"));
    }
    let names: Vec<&str> = COMMANDS.iter().map(|row| row.name).collect();
    let error = match crate::config::did_you_mean(word, &names) {
        Some(meant) => error.hint(format!("did you mean {meant}?")),
        None => error,
    };
    error.hint(format!("{program} --help lists the commands"))
}

fn wrong(why: &clap::Error, command: &str) -> Ended {
    if let Some(error) = usage::refusal(why, command) {
        return error.into();
    }
    let _ = why.print();
    Ended::Shown(if why.use_stderr() { 1 } else { 0 })
}

fn unread(why: &clap::Error) -> Error {
    Error::new(Kind::Generic, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        whole("kveil").debug_assert();
    }
}
