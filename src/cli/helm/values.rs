//! Values files, read and decrypted within the jail.

use zeroize::Zeroizing;

use super::border::Border;
use super::keys;
use crate::cli::context::Context;
use crate::cli::flags::{Common, Types};
use crate::cli::{identities, report};
use crate::deploy::helm::address::{self, Values};
use crate::error::{Error, Kind, Result};
use crate::pipeline;
use crate::recipient::{Environment, Identities};
use crate::seal::decrypt::is_encrypted;
use crate::source::{Source, utf8};

/// What allows remote files, and which.
const REMOTE: &str = "KVEIL_HELM_ALLOW_REMOTE";
/// What has variables in the addresses of remote files filled in.
const EXPANSION: &str = "HELM_SECRETS_URL_VARIABLE_EXPANSION";
/// How every encrypted value begins.
const TOKEN: &[u8] = b"ENC[AES256_GCM,";

/// A decrypted file.
struct Opened {
    clear: Zeroizing<Vec<u8>>,
    /// Things worth a line on stderr.
    notes: Vec<String>,
}

/// Reads values files for one run of Helm.
pub struct Reader {
    border: Border,
    identities: Identities,
    environment: Environment,
    order: Vec<String>,
}

impl Reader {
    /// A reader with the identities that `environment` leads to.
    ///
    /// # Errors
    /// Those of [`Border::of`].
    pub fn new(context: &Context, common: &Common, environment: Environment, order: Vec<String>) -> Result<Reader> {
        let border = Border::of(context)?;
        let identities = identities::within(context, common, environment.clone());
        Ok(Reader { border, identities, environment, order })
    }

    /// Says what came up while identities were gathered.
    pub fn tell(&self, context: &Context, common: &Common) {
        identities::tell(context, common, &self.identities);
    }

    /// A values file in clear: decrypted, or as it is if it isn't encrypted. Nothing for one that is missing and may be.
    ///
    /// # Errors
    /// Those of the jail, of reading and of decrypting; `Generic` (1) for a file that is encrypted in part, and for a remote one.
    pub fn read(&self, context: &Context, values: &Values) -> Result<Zeroizing<Vec<u8>>> {
        let named = |error: Error| error.in_file(&values.path);
        let bytes = match values.scheme() {
            Some(scheme) => self.fetch(scheme, &values.path),
            None => self.local(context, &values.path),
        };
        match bytes {
            Err(error) if error.kind == Kind::NoFile && values.is_optional(&self.environment) => Ok(Zeroizing::default()),
            Err(error) => Err(named(error)),
            Ok(bytes) if values.verbatim => Ok(bytes),
            Ok(bytes) => self.clear(context, &values.path, bytes).map_err(named),
        }
    }

    /// A text in the address: one document of SOPS, or any other.
    ///
    /// # Errors
    /// Those of decrypting.
    pub fn literal(&self, text: &str) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        self.opened("", &bytes).map(|opened| opened.map_or(bytes, |opened| opened.clear))
    }

    fn local(&self, context: &Context, path: &str) -> Result<Zeroizing<Vec<u8>>> {
        let admitted = self.border.admit(path)?;
        admitted.warning.iter().for_each(|warning| report::warning(context, warning));
        Source::File(admitted.path).read_bytes()
    }

    /// The file in clear, with what is worth a line said.
    fn clear(&self, context: &Context, name: &str, bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>> {
        let Some(Opened { clear, notes }) = self.opened(name, &bytes)? else {
            refuse_tokens(&bytes)?;
            return Ok(bytes);
        };
        notes.iter().for_each(|note| report::warning(context, &format!("{name}: {note}")));
        refuse_tokens(&clear)?;
        Ok(clear)
    }

    /// The decrypted file; [`None`] for one that has no metadata of SOPS.
    fn opened(&self, name: &str, bytes: &[u8]) -> Result<Option<Opened>> {
        // A search for a word is quicker than a parser, and whatever is in clear may be of any form.
        if memchr::memmem::find(bytes, b"sops").is_none() {
            return Ok(None);
        }
        let Ok(text) = utf8(Zeroizing::new(bytes.to_vec())) else { return Ok(None) };
        let format = Types::default().input(name, &text)?;
        let marked = memchr::memmem::find(bytes, TOKEN).is_some();
        match format.parse(&text) {
            // Text of a template engine, or with a word by chance: Helm says what it thinks of it.
            Err(_) if !marked => return Ok(None),
            Err(error) => return Err(pipeline::as_generic(error)),
            Ok(document) if !is_encrypted(&document) => return Ok(None),
            Ok(_) => {}
        }
        let opened = pipeline::decrypt_text(&text, format, &self.identities, &self.order, false)?;
        Ok(Some(Opened { clear: Zeroizing::new(format.plain_bytes(&opened.text).into_owned()), notes: opened.notes }))
    }

    /// The address with its variables, where that is asked for.
    fn filled(&self, address: &str) -> Result<Zeroizing<String>> {
        let wanted = self.environment.var(EXPANSION).is_some_and(|value| value == "true");
        let text = if wanted { address::expanded(address, |name| self.environment.var(name))? } else { Zeroizing::new(address.to_owned()) };
        if text.chars().any(char::is_control) {
            return Err(Error::new(Kind::Generic, "the address holds a line break, or another character that none has"));
        }
        Ok(text)
    }

    /// A remote file, by curl as helm-secrets does it: with its settings for proxies and certificates.
    fn fetch(&self, scheme: &str, address: &str) -> Result<Zeroizing<Vec<u8>>> {
        let allowed = self.environment.var(REMOTE).unwrap_or_default();
        if scheme != "https" && scheme != "http" {
            let error = Error::new(Kind::Generic, format!("files by {scheme}:// aren't read"));
            return Err(error.hint("fetch the file before, and name it by its path"));
        }
        if !allowed.split(',').any(|word| word.trim() == scheme) {
            let error = Error::new(Kind::Generic, "remote files aren't read unless that is allowed");
            return Err(error.hint(format!("{REMOTE}={scheme} allows it, to any address that a values list names")));
        }
        let curl = self.environment.path("HELM_SECRETS_CURL_PATH").unwrap_or_else(|| "curl".into());
        let mut command = self.environment.command(&curl);
        command.args([
            "--silent",
            "--show-error",
            "--fail",
            "--location",
            "--netrc-optional",
            "--proto",
            &format!("={scheme}"),
            "--config",
            "-",
        ]);
        // Arguments can be seen by every user of the machine, and an address may hold a token.
        let line = Zeroizing::new(format!("url = \"{}\"\n", self.filled(address)?.replace('\\', "\\\\").replace('"', "\\\"")));
        let output = keys::fed(&mut command, line.as_bytes());
        let output = output.map_err(|why| Error::new(Kind::Generic, format!("{} can't be started: {why}", curl.display())))?;
        if output.status.success() { Ok(Zeroizing::new(output.stdout)) } else { Err(Error::new(Kind::NoFile, "it can't be fetched")) }
    }
}

impl Values {
    fn is_optional(&self, environment: &Environment) -> bool {
        self.optional || environment.var("HELM_SECRETS_IGNORE_MISSING_VALUES").is_some_and(|value| value == "true")
    }
}

/// Ciphertext must not be deployed: a file that is encrypted in part has lost its metadata, or got values by hand.
fn refuse_tokens(bytes: &[u8]) -> Result<()> {
    let Some(at) = memchr::memmem::find(bytes, TOKEN) else { return Ok(()) };
    let line = memchr::memchr_iter(b'\n', &bytes[..at]).count() + 1;
    let error =
        Error::new(Kind::Generic, format!("line {line} holds an encrypted value that can't be decrypted: the metadata for it is missing"));
    Err(error.hint("restore the `sops` block from the last good version; secrets://noop!FILE gives the file as it is"))
}
