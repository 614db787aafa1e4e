//! `kveil helm run`.

use std::io::{PipeReader, Write};
use std::path::Path;
use std::process::Command;

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::values::Reader;
use crate::cli::context::Context;
use crate::cli::flags::{Common, DecryptionOrder};
use crate::deploy::helm::address::{self, Values};
use crate::deploy::helm::arguments;
use crate::error::{Error, Kind, Result};
use crate::source::{self, neighbour, platform, signals};

/// Run a command of Helm with its values files decrypted: what `helm kveil` is
///
/// `helm kveil upgrade RELEASE CHART -f secrets.yaml`. The files of -f, --values and --set-file that are encrypted reach Helm
/// through pipes, or where a plugin of Helm reads them, as with diff, by secrets://. `?FILE` may be missing. kveil's own flags stand before
/// Helm's command.
#[derive(ClapArgs)]
pub struct Args {
    /// Helm's command line
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<String>,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Runs Helm, and ends as it does.
///
/// # Errors
/// Those of reading and decrypting a file, before Helm is started; Helm's own exit code.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let backend = context.environment.var("HELM_SECRETS_BACKEND");
    let piped = neighbour::HAS_DESCRIPTORS && arguments::reads_once(&args.arguments);
    args.common.check()?;
    let reader = Reader::new(context, &args.common, context.environment.clone(), args.order.kinds()?)?;
    let mut pipes = Pipes::default();
    let renamed = arguments::renamed(&args.arguments, |name| {
        if name == "-" || address::split(name).is_some() {
            return Ok(name.to_owned());
        }
        let values = Values::read(name, backend.as_deref())?;
        if values.scheme().is_some() || is_plain(&context.directory.join(&values.path), &values) {
            return Ok(if values.scheme().is_some() { name.to_owned() } else { values.path });
        }
        if piped { pipes.rename(context, &reader, &values) } else { Ok(by_address(&values)) }
    })?;
    reader.tell(context, &args.common);
    let mut command = helm(context);
    args.common.hand_on(&args.order, &mut command);
    command.args(renamed);
    end(&mut command, pipes)
}

/// The Helm that called, else the one in the search path. It finds its global flags, which it doesn't pass on to plugins, in the
/// variables that it sets for them.
fn helm(context: &Context) -> Command {
    let helm = context.environment.path("HELM_BIN").unwrap_or_else(|| "helm".into());
    context.environment.command(helm)
}

/// Whether Helm can read the file itself: it holds no ciphertext, or is a pipe already, which can't be looked into.
fn is_plain(path: &Path, values: &Values) -> bool {
    path.exists() && (values.verbatim || !path.is_file() || source::holds(path, b"ENC[").is_ok_and(|holds| !holds))
}

/// An address by which whatever Helm starts reads the file through the getter.
fn by_address(values: &Values) -> String {
    let mark = if values.optional { "?" } else { "" };
    // What follows the slashes is a host's name for Helm, which holds no blanks.
    let folder = if values.path.starts_with(['/', '.']) { "" } else { "./" };
    format!("secrets://{mark}{folder}{}", values.path)
}

/// Files in clear on their way to Helm.
#[derive(Default)]
struct Pipes {
    held: Vec<(PipeReader, std::io::PipeWriter, Zeroizing<Vec<u8>>)>,
}

impl Pipes {
    /// The path by which Helm reads the file.
    fn rename(&mut self, context: &Context, reader: &Reader, values: &Values) -> Result<String> {
        let clear = reader.read(context, values)?;
        let failed = |why: std::io::Error| Error::new(Kind::Generic, format!("can't make a pipe: {why}"));
        let (outlet, inlet) = std::io::pipe().map_err(failed)?;
        let path = neighbour::inherited(&outlet).map_err(failed)?;
        self.held.push((outlet, inlet, clear));
        Ok(path)
    }

    /// Fills the pipes beside Helm; one that it doesn't read ends with it.
    fn fill(self) {
        for (outlet, mut inlet, clear) in self.held {
            drop(outlet);
            std::thread::spawn(move || inlet.write_all(&clear));
        }
    }
}

fn end(command: &mut Command, pipes: Pipes) -> Result<()> {
    let not_started = |why: std::io::Error| {
        let error = Error::new(Kind::Generic, format!("can't start Helm: {why}"));
        error.hint("it is looked for in the search path, or under the name in HELM_BIN")
    };
    let mut child = signals::start_passing_on(command).map_err(not_started)?;
    pipes.fill();
    let status = child.wait();
    signals::ended();
    match platform::exit_code(status.map_err(not_started)?) {
        0 => Ok(()),
        code => Err(Error::new(Kind::Child(code), "Helm failed")),
    }
}
