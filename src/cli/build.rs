//! `kveil build`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::flags::{Common, DecryptionOrder};
use super::jail::Jail;
use super::{files, identities, report};
use crate::deploy::build::{self, Built, Closure, Opening, Program};
use crate::deploy::guard;
use crate::error::{Error, Kind, Result};
use crate::source;
use crate::source::private::{Places, Private};

/// Build a kustomization with its encrypted files in clear: kustomize build, without plugins
///
/// What the kustomization refers to is decrypted into a directory in memory that only this user can enter, kustomize (or
/// kubectl kustomize) builds it there, and the manifests are printed if no ciphertext is left in them.
#[derive(ClapArgs)]
pub struct Args {
    /// The folder of the kustomization
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Dummies of the right type and shape in place of the values, for schema tools; needs no key
    #[arg(long)]
    placeholders: bool,
    /// Let plaintext go to a disk where there is no file system in memory
    #[arg(long)]
    allow_disk: bool,
    /// The program that builds, if it isn't kustomize or kubectl in the PATH
    #[arg(long, value_name = "PROGRAM")]
    kustomize: Option<PathBuf>,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
    /// Flags for kustomize, behind `--`
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<OsString>,
}

/// Builds.
///
/// # Errors
/// Those of [`build`] and [`guard`]; nothing is printed then.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    build::refuse_output(&args.flags)?;
    let program = Program::find(&context.environment, args.kustomize.as_deref())?;
    let jail = Jail::of(context, &args.dir)?;
    let closure = Closure::of(&args.dir, jail.named())?;
    let built = within_private(context, args, &program, &closure)?;
    built.said.iter().for_each(|line| report::note(context, line));
    let text = source::utf8(Zeroizing::new(built.manifests.to_vec()))?;
    let verdict = guard::manifests(&text)?;
    if verdict.objects == 0 {
        let error = Error::new(Kind::Generic, "the kustomization gives no manifests").in_file(&args.dir.display().to_string());
        return Err(error.hint("list resources or generators in its kustomization"));
    }
    let named = |error| build::copied_sealed(&closure).into_iter().fold(error, Error::hint);
    super::guard::pass(context, &verdict, guard::LEFT_OVER).map_err(named)?;
    report::data(text.as_bytes())
}

/// The directory is gone when this returns.
fn within_private(context: &Context, args: &Args, program: &Program, closure: &Closure) -> Result<Built> {
    let identities = identities::of(context, &args.common);
    let order = args.order.kinds()?;
    let opening = if args.placeholders { Opening::Placeholders } else { Opening::Decrypt(&identities, &order) };
    let private = Private::create(&Places { named: None, runtime: context.environment.path("XDG_RUNTIME_DIR") })?;
    if private.on_disk && !args.allow_disk && !args.placeholders {
        return Err(on_disk(private.path()));
    }
    let copied = files::each(context, closure.pieces.len(), |at| build::copy(closure, &closure.pieces[at], &private, &opening));
    identities::tell(context, &args.common, &identities);
    let notes = files::all(context, copied)?;
    notes.iter().flatten().for_each(|note| report::warning(context, note));
    program.build(&context.environment, closure, &private, &args.flags)
}

fn on_disk(place: &Path) -> Error {
    let message = format!("there is no file system in memory: the plaintext would be on disk, in {}", place.display());
    Error::new(Kind::Generic, message)
        .hint("point XDG_RUNTIME_DIR to a tmpfs of yours, or mount one (an emptyDir with medium: Memory at /dev/shm)")
        .hint("--allow-disk lets it be there until the build ends")
}
