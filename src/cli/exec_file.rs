//! `kveil exec-file`.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::exec_env::{missing_is_unreadable, not_started};
use super::flags::{Common, DecryptionOrder, Types};
use super::settings::Configs;
use super::{identities, report};
use crate::error::{Error, Kind, Result};
use crate::pipeline::{self, Wanted};
use crate::source::private::{Places, Private};
use crate::source::{Source, platform, signals};

/// What the file is called for the command, if nothing else is said (sops).
const NAME: &str = "tmp-file";
/// What stands for the path in the command line.
const PLACEHOLDER: &str = "{}";

/// Run a command with the decrypted file in place of {}
///
/// {} in the command line becomes the path of a pipe that can be read once, or with --no-fifo of a file, in a directory
/// that only this user can enter. It is gone when the command ends, also on INT, TERM and HUP, which the command gets.
#[derive(ClapArgs)]
pub struct Args {
    /// The encrypted file
    file: String,
    /// The command line, for /bin/sh -c
    #[arg(value_name = "COMMAND")]
    line: String,
    /// A file instead of a pipe, for commands that read it twice or seek
    #[arg(long)]
    no_fifo: bool,
    /// The name of the pipe or file
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    /// Run it as this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Don't wait for it; implies --no-fifo
    #[arg(long)]
    background: bool,
    /// Format of the input, whatever its name
    #[arg(long, value_name = "FORMAT")]
    input_type: Option<String>,
    /// Format that the command gets
    #[arg(long, value_name = "FORMAT")]
    output_type: Option<String>,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
///
/// # Errors
/// Those of [`pipeline::decrypt_text`]; 2 for a missing file; the command's own exit code, 128 + n after signal n.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    if args.background && !platform::HAS_PIPES {
        return Err(Error::new(Kind::Generic, "--background isn't supported on this system"));
    }
    let name = local_name(args)?;
    let plain = of_file(context, args).map_err(|error| missing_is_unreadable(error).in_file(&args.file))?;
    let variables = args.user.as_deref().map(platform::become_user).transpose()?;
    let private = Private::create(&places(context, args)).map_err(|mut error| {
        error.kind = Kind::Generic;
        error
    })?;
    let is_pipe = platform::HAS_PIPES && !args.no_fifo && !args.background;
    let path = if is_pipe { pipe(&private, name)? } else { file(context, &private, name, &plain)? };
    let mut command = platform::shell(&line(args, &path));
    command.envs(variables.into_iter().flatten());
    if args.background {
        if context.is_sops() {
            report::always(context, "exec-file's --background option is deprecated and will be removed in a future version of sops");
        }
        return in_background(&command, private);
    }
    if is_pipe {
        // Opening waits for a reader: if none comes, the thread ends with the process.
        std::thread::spawn(move || std::fs::OpenOptions::new().write(true).open(path).and_then(|mut pipe| fill(&mut pipe, &plain)));
    }
    let status = signals::start_passing_on(&mut command).and_then(|mut child| child.wait());
    signals::ended();
    drop(private);
    match platform::exit_code(status.map_err(|why| not_started(&why))?) {
        0 => Ok(()),
        code => Err(Error::new(Kind::Child(code), "the command failed")),
    }
}

fn fill(pipe: &mut std::fs::File, plain: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    pipe.write_all(plain)
}

/// The name of the file: no way out of its directory.
fn local_name(args: &Args) -> Result<&OsStr> {
    let Some(name) = args.filename.as_deref().filter(|name| !name.is_empty()) else { return Ok(OsStr::new(NAME)) };
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) => Ok(only),
        _ => Err(Error::new(Kind::Generic, "the provided filename is not a local path").hint("give --filename a name without a directory")),
    }
}

/// The decrypted text, in the format that was asked for.
fn of_file(context: &Context, args: &Args) -> Result<Zeroizing<Vec<u8>>> {
    let order = args.order.kinds()?;
    let text = Source::of(&args.file).read_encrypted()?;
    let types = Types { input_type: args.input_type.clone(), output_type: args.output_type.clone(), filename_override: None };
    let format = types.input(&args.file, &text)?;
    let to = types.output_of(&args.file, format, false);
    let identities = identities::of(context, &args.common);
    let converted = to.name() != format.name();
    let indent = if converted { Configs::new(context, &args.common).indent(None, to)? } else { args.common.indent(to)? };
    let wanted = Wanted { part: None, format: to, indent, counts_comments: false };
    let opened = pipeline::decrypt_as(&text, format, &identities, &order, false, wanted);
    identities::tell(context, &args.common, &identities);
    let opened = opened?;
    opened.notes.iter().for_each(|note| report::warning(context, &format!("{}: {note}", args.file)));
    Ok(Zeroizing::new(to.plain_bytes(&opened.text).into_owned()))
}

/// An explicit TMPDIR wins; the session's directory belongs to the user who started this, not to another one.
fn places(context: &Context, args: &Args) -> Places {
    let runtime = context.environment.path("XDG_RUNTIME_DIR").filter(|_| args.user.is_none());
    Places { named: context.environment.path("TMPDIR"), runtime }
}

fn pipe(private: &Private, name: &OsStr) -> Result<PathBuf> {
    let path = private.path().join(name);
    let failed = |why: std::io::Error| Error::new(Kind::Generic, format!("can't make a pipe: {why}")).hint("--no-fifo uses a file");
    platform::make_pipe(&path).map_err(failed).map(|()| path)
}

fn file(context: &Context, private: &Private, name: &OsStr, plain: &[u8]) -> Result<PathBuf> {
    if private.on_disk {
        let place = private.path().display();
        report::warning(
            context,
            &format!("there is no file system in memory: the plaintext is on disk, in {place}, until the command ends"),
        );
    }
    private.write(name, plain)
}

fn line(args: &Args, path: &Path) -> OsString {
    let mut line = OsString::new();
    for (at, part) in args.line.split(PLACEHOLDER).enumerate() {
        if at > 0 {
            line.push(path);
        }
        line.push(part);
    }
    line
}

/// A second shell waits for the command and removes the directory; it holds the lock as its standard input, so that no
/// later start takes the directory for a dead one's.
fn in_background(command: &Command, private: Private) -> Result<()> {
    let mut waiting = platform::shell(OsStr::new("/bin/sh -c \"$1\" </dev/null; rm -rf -- \"$2\""));
    waiting.arg("sh").args(command.get_args().skip(1)).arg(private.path()).stdout(Stdio::null()).stderr(Stdio::null());
    waiting.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    waiting.stdin(private.hand_over().map_or_else(Stdio::null, Stdio::from));
    platform::spawn(&mut waiting).map(drop).map_err(|why| not_started(&why))
}
