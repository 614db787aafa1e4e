//! `kveil exec-env`.

use std::ffi::OsString;
use std::process::Stdio;

use clap::Args as ClapArgs;

use super::context::Context;
use super::flags::{Common, DecryptionOrder, Types};
use super::{identities, report};
use crate::error::{Error, Kind, Result, printable};
use crate::pipeline;
use crate::source::{Source, platform};
use crate::variables::{self, Variable};

/// Run a command with a file's values in its environment
///
/// The scalars at the top level become variables; of a Secret the decoded values of `data` and `stringData`. The command
/// line goes to the shell and takes this program's place.
#[derive(ClapArgs)]
pub struct Args {
    /// The encrypted file
    file: String,
    /// The command line, for /bin/sh -c
    #[arg(value_name = "COMMAND")]
    line: OsString,
    /// Nothing of the environment but the file's variables
    #[arg(long)]
    pristine: bool,
    /// Run it as this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Take this program's place; that is so anyway, unless --background is given
    #[arg(long)]
    same_process: bool,
    /// Don't wait for it
    #[arg(long)]
    background: bool,
    /// Pass on names like PATH and LD_PRELOAD too, by which other code is made to run
    #[arg(long)]
    allow_env: bool,
    #[command(flatten)]
    order: DecryptionOrder,
    #[arg(long, value_name = "FORMAT", hide = true)]
    input_type: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Runs the command: returns only if it can't, or needn't wait.
///
/// # Errors
/// Those of [`pipeline::decrypt_values`] and [`variables::of`]; 2 for a missing file; the command's own exit code.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    if args.background && args.same_process {
        let message = "the --same-process flag cannot be used with --background";
        return Err(Error::new(Kind::ConflictingFlags, message).hint("give one of them"));
    }
    let variables = of_file(context, args).map_err(|error| missing_is_unreadable(error).in_file(&args.file))?;
    let mut command = platform::shell(&args.line);
    if args.pristine {
        command.env_clear();
    }
    if let Some(user) = &args.user {
        command.envs(platform::become_user(user)?);
    }
    for Variable { name, value } in variables {
        command.env(&name, platform::variable(&value).ok_or_else(|| not_text(&name))?);
    }
    if args.background {
        if context.is_sops() {
            report::always(context, "exec-env's --background option is deprecated and will be removed in a future version of sops");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        return platform::spawn(&mut command).map(drop).map_err(|why| not_started(&why));
    }
    Err(not_started(&platform::replace_process(&mut command)))
}

fn of_file(context: &Context, args: &Args) -> Result<Vec<Variable>> {
    let order = args.order.kinds()?;
    let text = Source::of(&args.file).read_encrypted()?;
    let types = Types { input_type: args.input_type.clone(), ..Types::default() };
    let format = types.input(&args.file, &text)?;
    let identities = identities::of(context, &args.common);
    let opened = pipeline::decrypt_values(&text, format, &identities, &order);
    identities::tell(context, &args.common, &identities);
    let (opened, values) = opened?;
    opened.notes.iter().for_each(|note| report::warning(context, &format!("{}: {note}", args.file)));
    let mut document = format.parse_opened(&opened.text)?;
    document.give(&values);
    if document.parts.len() > 1 {
        report::warning(context, &format!("{}: only the first of {} documents gives variables", args.file, document.parts.len()));
    }
    let mut variables = variables::of(&document, !context.is_sops())?;
    variables.retain(|variable| args.allow_env || is_harmless(context, args, variable));
    Ok(variables)
}

/// Whether a variable is passed on. Under the name `sops` all are, as genuine sops does.
fn is_harmless(context: &Context, args: &Args, variable: &Variable) -> bool {
    if !variables::steers_programs(&variable.name) {
        return true;
    }
    let name = printable(&variable.name);
    let what = if context.is_sops() { "is passed on" } else { "is skipped, --allow-env passes it on" };
    report::warning(context, &format!("{}: {name} can make programs run other code and {what}", args.file));
    context.is_sops()
}

/// A missing file has another code here than in decrypt (sops).
pub fn missing_is_unreadable(mut error: Error) -> Error {
    if error.kind == Kind::NoFile {
        error.kind = Kind::Unreadable;
    }
    error
}

fn not_text(name: &str) -> Error {
    Error::new(Kind::Generic, "the value isn't text, which this system's environment can't hold").for_key(name)
}

/// There is no shell.
pub fn not_started(why: &std::io::Error) -> Error {
    Error::new(Kind::Generic, format!("can't start the shell for the command: {why}"))
}
