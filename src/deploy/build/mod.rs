//! Builds a kustomization without a plugin: what it refers to is copied into a private directory, decrypted on the way, and
//! kustomize runs there. Full MACs are checked, since files are decrypted as they are.
//!
//! What Flux decrypts is decrypted: resources, patches, files and envs of `secretGenerator`, in bases and components, too.

pub mod closure;
mod plugins;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::deploy::guard;
use crate::document::{Format, format_by_text};
use crate::error::{Error, Kind, Result};
use crate::recipient::{Environment, Identities};
use crate::source::private::Private;
use crate::source::{self, Source, platform, signals};
use crate::{pipeline, placeholders};
pub use closure::{Closure, Piece};

/// What kustomize is tested with, and so what a failure of an older one is put down to.
const OLDEST: u64 = 5;

/// How encrypted files are opened.
pub enum Opening<'i> {
    /// With these identities, asked in this order.
    Decrypt(&'i Identities, &'i [String]),
    /// Dummies of the right type and shape; no key is needed.
    Placeholders,
}

impl Opening<'_> {
    fn open(&self, text: &str, format: &'static dyn Format) -> Result<(Zeroizing<String>, Vec<String>)> {
        match self {
            Opening::Decrypt(identities, order) => {
                pipeline::decrypt_text(text, format, identities, order, false).map(|opened| (opened.text, opened.notes))
            }
            Opening::Placeholders => placeholders::text(text, format).map(|text| (text, Vec::new())),
        }
    }
}

/// Copies a file of a closure to its place below `private`, in clear if it is encrypted and may be. Gives what is worth a
/// line on stderr.
///
/// # Errors
/// As [`pipeline::decrypt_text`] with the file's name; `Unwritable` (3), for example if memory is full.
pub fn copy(closure: &Closure, piece: &Piece, private: &Private, opening: &Opening<'_>) -> Result<Vec<String>> {
    let inside = closure.inside(&piece.path);
    let name = inside.display().to_string();
    let bytes = Source::File(piece.path.clone()).read_bytes().map_err(|error| error.in_file(&name))?;
    let place = private.path().join(inside);
    place.parent().map_or(Ok(()), source::make_private_directory)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|_| piece.may_open);
    let Some((text, format)) = text.and_then(|text| Some((text, format_by_text(text)?))) else {
        return private.write(inside.as_os_str(), &bytes).map(|_| Vec::new()).map_err(full);
    };
    let (plain, notes) = opening.open(text, format).map_err(|error| error.in_file(&name))?;
    private.write(inside.as_os_str(), &format.plain_bytes(&plain)).map_err(full)?;
    Ok(notes.into_iter().map(|note| format!("{name}: {note}")).collect())
}

/// The files of a closure that hold ciphertext and were copied as they are, with what is wrong about each.
pub fn copied_sealed(closure: &Closure) -> Vec<String> {
    let sealed = closure.pieces.iter().filter(|piece| source::holds(&piece.path, guard::TOKEN).unwrap_or(false));
    let what = |piece: &Piece| {
        let text = Source::File(piece.path.clone()).read().ok()?;
        let why = match format_by_text(&text) {
            None => "holds ciphertext, and no sops block to open it by: take the file from its last good version",
            Some(_) if !piece.may_open => "is encrypted, and stands where encrypted files aren't opened: move its values into a Secret",
            Some(_) => return None,
        };
        Some(format!("{} {why}", closure.inside(&piece.path).display()))
    };
    sealed.filter_map(what).collect()
}

fn full(mut error: Error) -> Error {
    error.hints.clear();
    error.hint(
        "the directory is in memory, which containers often limit to 64 MB: enlarge /dev/shm, or point XDG_RUNTIME_DIR to a larger tmpfs",
    )
}

/// The program that builds: kustomize, or kubectl, which has it inside.
pub struct Program {
    path: PathBuf,
    is_kubectl: bool,
}

impl Program {
    /// The one that is named, else kustomize in the `PATH`, else kubectl there.
    ///
    /// # Errors
    /// `Generic` (1) if there is none.
    pub fn find(environment: &Environment, named: Option<&Path>) -> Result<Program> {
        let folders = environment.path("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
        let in_path = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|file| platform::is_program(file));
        let found = match named {
            Some(path) if path.components().count() > 1 => Some(path.to_owned()).filter(|path| platform::is_program(path)),
            Some(name) => in_path(&name.to_string_lossy()),
            None => in_path("kustomize").or_else(|| in_path("kubectl")),
        };
        let Some(path) = found else {
            let error = Error::new(Kind::Generic, "neither kustomize nor kubectl can be run: they aren't in the PATH");
            return Err(error
                .hint("install kustomize (https://kubectl.docs.kubernetes.io/installation/kustomize), or name it: --kustomize PROGRAM"));
        };
        let is_kubectl = path.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("kubectl"));
        Ok(Program { path, is_kubectl })
    }

    fn name(&self) -> &'static str {
        if self.is_kubectl { "kubectl kustomize" } else { "kustomize build" }
    }

    /// Runs it over the closure that was copied to `private`; gives the manifests, and what it said.
    ///
    /// # Errors
    /// `Generic` (1) with its own words if it fails; `Signal` if one ended it.
    pub fn build(&self, environment: &Environment, closure: &Closure, private: &Private, flags: &[OsString]) -> Result<Built> {
        let folder = private.path().join(closure.inside(&closure.start));
        let mut command = environment.command(&self.path);
        command.arg(if self.is_kubectl { "kustomize" } else { "build" }).arg(&folder).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (code, out, said) =
            run(&mut command).map_err(|why| Error::new(Kind::Generic, format!("{} can't be run: {why}", self.path.display())))?;
        // What it says of files is meant of those that were copied.
        let said = said.replace(&*private.path().to_string_lossy(), &closure.root.to_string_lossy());
        let said: Vec<String> = said.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        if code == 0 {
            return Ok(Built { manifests: out, said });
        }
        let error = Error::new(Kind::Generic, format!("{} failed ({code})", self.name()));
        let error = said.into_iter().fold(error, Error::hint);
        Err(match self.old(environment) {
            Some(version) => error.hint(format!("{version} is old: kveil is tested with kustomize {OLDEST} and later")),
            None => error,
        })
    }

    /// Its version, if it is older than what is tested: asked only after a failure.
    fn old(&self, environment: &Environment) -> Option<String> {
        let mut command = environment.command(&self.path);
        command.args(if self.is_kubectl { &["version", "--client"][..] } else { &["version"] });
        let output = command.stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let of_kustomize = |line: &&str| !self.is_kubectl || line.starts_with("Kustomize");
        let version = text.lines().find(of_kustomize)?.split('v').next_back()?.trim().to_owned();
        let major: u64 = version.split('.').next()?.parse().ok()?;
        (major < OLDEST).then(|| format!("kustomize {version}"))
    }
}

/// What a build gave.
pub struct Built {
    /// The manifests.
    pub manifests: Zeroizing<Vec<u8>>,
    /// Its words on stderr.
    pub said: Vec<String>,
}

/// Runs a program that is ended together with this process.
fn run(command: &mut Command) -> std::io::Result<(u8, Zeroizing<Vec<u8>>, String)> {
    let output = signals::output(signals::start_ending_both(command))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((platform::exit_code(output.status), Zeroizing::new(output.stdout), said))
}

/// Refuses flags that would have kustomize write files: nothing would be printed, or guarded.
///
/// # Errors
/// `ConflictingFlags` (8).
pub fn refuse_output(flags: &[OsString]) -> Result<()> {
    let writes = |flag: &OsString| {
        let flag = flag.to_string_lossy();
        flag == "-o" || flag == "--output" || flag.starts_with("--output=") || flag.starts_with("-o") && !flag.starts_with("--")
    };
    match flags.iter().find(|flag| writes(flag)) {
        Some(flag) => {
            let error = Error::new(Kind::ConflictingFlags, format!("{} would write manifests past the guard", OsStr::new(flag).display()));
            Err(error.hint("leave it out: the manifests go to standard output"))
        }
        None => Ok(()),
    }
}
