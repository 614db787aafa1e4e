//! The surroundings that lead to identities: variables and folders, the process's own or, in tests, fixed ones.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use crate::error::printable;

/// The file and the folder of the certificate authorities that count, in place of the system's.
const AUTHORITIES: &str = "SSL_CERT_FILE";
const MORE_AUTHORITIES: &str = "SSL_CERT_DIR";

/// Where variables and folders are looked up.
#[derive(Clone, Default)]
pub struct Environment {
    fixed: Option<Vec<(String, OsString)>>,
    /// These come before all others.
    added: Vec<(String, OsString)>,
}

impl Environment {
    /// The environment of this process.
    pub fn process() -> Environment {
        Environment::default()
    }

    /// Exactly these variables; commands are run with these alone.
    pub fn fixed<N: Into<String>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Environment {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Environment { fixed: Some(variables), added: Vec::new() }
    }

    /// The same with a variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Environment {
        self.added.retain(|(known, _)| known != name);
        self.added.push((name.to_owned(), value.into()));
        self
    }

    fn raw(&self, name: &str) -> Option<OsString> {
        let added = self.added.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let value = match &self.fixed {
            _ if added.is_some() => added,
            None => std::env::var_os(name),
            Some(variables) => variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The text of a variable; an empty one counts as not set.
    pub fn var(&self, name: &str) -> Option<String> {
        let value = self.raw(name)?;
        Some(value.into_string().unwrap_or_else(|value| value.to_string_lossy().into_owned()))
    }

    /// The path in a variable; an empty one counts as not set.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    /// The user's own folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.path(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
    }

    /// The user's configuration folder, as SOPS finds it: `%AppData%` on Windows, else `$XDG_CONFIG_HOME`, else
    /// `~/Library/Application Support` on macOS and `~/.config` elsewhere.
    pub fn config_folder(&self) -> Option<PathBuf> {
        if cfg!(windows) {
            return self.path("AppData").or_else(|| self.path("APPDATA"));
        }
        let default = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
        self.path("XDG_CONFIG_HOME").or_else(|| Some(self.home()?.join(default)))
    }

    /// What is wrong with the file of certificates that a variable names, if it names one.
    pub fn broken_certificates(&self, name: &str) -> Option<String> {
        match std::fs::read(self.path(name)?) {
            Err(why) => Some(format!("the file can't be read: {why}")),
            Ok(bytes) if memchr::memmem::find(&bytes, b"-----BEGIN CERTIFICATE-----").is_none() => {
                Some("the file holds no PEM certificate".to_owned())
            }
            Ok(_) => None,
        }
    }

    /// Why no authority would be found for any certificate, if the environment is to blame: TLS libraries only say that
    /// there is none, and some end the program.
    pub fn broken_authorities(&self) -> Option<String> {
        let why = self.broken_certificates(AUTHORITIES).filter(|_| self.path(MORE_AUTHORITIES).is_none())?;
        Some(format!("{AUTHORITIES}={}: {why}", printable(&self.var(AUTHORITIES)?)))
    }

    /// A command that will see this environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(variables) = &self.fixed {
            command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        }
        command.envs(self.added.iter().map(|(name, value)| (name, value)));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_variables_count_as_not_set() {
        let environment = Environment::fixed([("EMPTY", ""), ("FULL", "x")]);
        assert_eq!((environment.var("EMPTY"), environment.var("FULL"), environment.var("NONE")), (None, Some("x".to_owned()), None));
    }

    #[test]
    fn an_added_variable_comes_before_the_others() {
        let environment = Environment::fixed([("A", "1"), ("B", "2")]).with("A", "3").with("A", "4");
        assert_eq!((environment.var("A"), environment.var("B")), (Some("4".to_owned()), Some("2".to_owned())));
    }

    #[test]
    fn authorities_that_cant_be_read_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (none, one) = (folder.path().join("none"), folder.path().join("one"));
        std::fs::write(&none, "-----BEGIN PRIVATE KEY-----").unwrap();
        std::fs::write(&one, "# ours\n-----BEGIN CERTIFICATE-----\n").unwrap();
        let broken = |file: &std::path::Path| Environment::fixed([(AUTHORITIES, file)]).broken_authorities();
        assert_eq!(broken(&one), None);
        assert_eq!(broken(&none), Some(format!("SSL_CERT_FILE={}: the file holds no PEM certificate", none.display())));
        assert!(broken(&folder.path().join("x")).unwrap().contains("can't be read"));
        assert_eq!(Environment::fixed([(AUTHORITIES, "/nowhere"), (MORE_AUTHORITIES, "/etc/ssl/certs")]).broken_authorities(), None);
        assert_eq!(Environment::fixed::<&str, &str>([]).broken_authorities(), None);
    }

    #[cfg(not(any(windows, target_os = "macos")))]
    #[test]
    fn the_configuration_folder_is_below_home_unless_it_is_set() {
        let config = |variables: &[(&str, &str)]| Environment::fixed(variables.iter().copied()).config_folder();
        assert_eq!(config(&[("HOME", "/h")]), Some("/h/.config".into()));
        assert_eq!(config(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), Some("/x".into()));
        assert_eq!(config(&[]), None);
    }
}
