//! Keys that an address of a values file imports: for this run only, beside those at hand.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use zeroize::Zeroizing;

use crate::cli::context::Context;
use crate::config::cleaned;
use crate::deploy::helm::address::{Import, Place, Tool};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::decoded;
use crate::recipient::Environment;
use crate::source::private::{Places, Private};
use crate::source::signals;

/// Imported keys; gone when dropped.
#[derive(Default)]
pub struct Imported {
    variables: Vec<(&'static str, OsString)>,
    keyring: Option<Keyring>,
}

/// A keyring of gpg's own.
struct Keyring {
    folder: Private,
    environment: Environment,
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let mut command = self.environment.command("gpgconf");
        command.args(["--kill", "gpg-agent"]).env("GNUPGHOME", self.folder.path());
        // The agent ends with its folder, too, only later.
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl Imported {
    /// The environment in which they are found.
    pub fn environment(&self, own: &Environment) -> Environment {
        self.variables.iter().fold(own.clone(), |environment, (name, value)| environment.with(name, value.clone()))
    }
}

/// Gets the keys.
///
/// # Errors
/// `Generic` (1): helm-secrets's variables forbid it, or gpg or kubectl fails.
pub fn import(context: &Context, imports: &[Import]) -> Result<Imported> {
    let mut imported = Imported::default();
    for import in imports {
        refuse(&context.environment, import)?;
        match (import.tool, &import.place) {
            (Tool::Age, Place::File(path)) => imported.variables.push(("SOPS_AGE_KEY_FILE", context.absolute(path).into())),
            (Tool::Age, Place::Cluster { .. }) => {
                let keys = in_cluster(&context.environment, &import.place)?;
                let own = context.environment.var("SOPS_AGE_KEY").map(|own| own + "\n").unwrap_or_default();
                imported.variables.push(("SOPS_AGE_KEY", (own + &String::from_utf8_lossy(&keys)).into()));
            }
            (Tool::Gpg, place) => {
                let keyring = keyring(context, place)?;
                imported.variables.push(("GNUPGHOME", keyring.folder.path().into()));
                imported.keyring = Some(keyring);
            }
        }
    }
    Ok(imported)
}

fn refuse(environment: &Environment, import: &Import) -> Result<()> {
    let (place, scheme) = match import.place {
        Place::File(_) => ("", ""),
        Place::Cluster { .. } => ("_KUBERNETES", "-kubernetes"),
    };
    let word = import.tool.word();
    let variable = format!("HELM_SECRETS_ALLOW_{}_IMPORT{place}", word.to_uppercase());
    if environment.var(&variable).is_some_and(|value| value != "true") {
        let error = Error::new(Kind::Generic, format!("secrets+{word}-import{scheme}:// isn't allowed here"));
        return Err(error.hint(format!("{variable} forbids it")));
    }
    let prefix = environment.var("HELM_SECRETS_KEY_LOCATION_PREFIX").unwrap_or_default();
    match &import.place {
        Place::File(path) if !cleaned(path.as_ref()).to_string_lossy().starts_with(&prefix) => {
            let error = Error::new(Kind::Generic, "a key from this place isn't allowed here").in_file(path);
            Err(error.hint(format!("HELM_SECRETS_KEY_LOCATION_PREFIX allows what begins with {prefix}")))
        }
        _ => Ok(()),
    }
}

/// A key out of a Secret of the cluster, through kubectl.
fn in_cluster(environment: &Environment, place: &Place) -> Result<Zeroizing<Vec<u8>>> {
    let Place::Cluster { namespace, name, key } = place else { return Ok(Zeroizing::default()) };
    let kubectl = environment.path("HELM_SECRETS_KUBECTL_PATH").unwrap_or_else(|| "kubectl".into());
    let mut command = environment.command(&kubectl);
    command.args(["get", "secret", "-o", "json"]);
    command.args(namespace.iter().flat_map(|namespace| ["-n", namespace])).args(["--", name]);
    let out = output(&mut command, &format!("{} doesn't give the Secret {name}", kubectl.display()), None)?;
    let secret: serde_json::Value = serde_json::from_slice(&out).unwrap_or_default();
    let value = secret["data"][key].as_str().and_then(decoded::decode);
    let missing = || Error::new(Kind::Generic, format!("the Secret {name} has no key {key}"));
    value.ok_or_else(|| missing().hint("what stands before the question mark is NAMESPACE/SECRET#KEY"))
}

fn keyring(context: &Context, place: &Place) -> Result<Keyring> {
    let places = Places { named: None, runtime: context.environment.path("XDG_RUNTIME_DIR") };
    let keyring = Keyring { folder: Private::create(&places)?, environment: context.environment.clone() };
    let mut gpg = context.environment.command("gpg");
    gpg.env("GNUPGHOME", keyring.folder.path()).args(["--batch", "--no-permission-warning", "--quiet", "--import"]);
    let failed = "gpg doesn't import the key";
    match place {
        Place::File(path) => output(gpg.arg("--").arg(context.absolute(path)), failed, None).map_err(|error| error.in_file(path))?,
        Place::Cluster { .. } => output(&mut gpg, failed, Some(&in_cluster(&context.environment, place)?))?,
    };
    Ok(keyring)
}

/// What a program answers; what it says goes to this one's stderr.
fn output(command: &mut Command, failed: &str, input: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>> {
    let error = |why: &str| Error::new(Kind::Generic, format!("{failed}{why}"));
    let output = fed(command, input.unwrap_or_default()).map_err(|why| error(&format!(": it can't be started: {why}")))?;
    if output.status.success() { Ok(Zeroizing::new(output.stdout)) } else { Err(error("")) }
}

/// Runs a program with this on its standard input, and ends it with this one.
///
/// # Errors
/// It can't be started, or read.
pub fn fed(command: &mut Command, input: &[u8]) -> std::io::Result<Output> {
    let started = signals::start_ending_both(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    signals::output(started.inspect(|child| {
        // A key is shorter than a pipe holds; whoever doesn't read it says so.
        let _ = child.stdin.as_ref().map(|mut pipe| pipe.write_all(input));
    }))
}
