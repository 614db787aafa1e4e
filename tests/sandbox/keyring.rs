//! A keyring of gpg's own, with its agent, in a folder whose name is short enough for the agent's sockets.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A keyring; its agent ends and its folder is gone when it is dropped.
pub struct Keyring {
    folder: TempDir,
}

impl Keyring {
    /// Whether gpg is there. If not, the test is ignored; in CI that is a failure.
    pub fn is_possible() -> bool {
        let found = Command::new("gpg").arg("--version").output().is_ok_and(|output| output.status.success());
        if !found {
            assert!(std::env::var_os("CI").is_none(), "gpg is missing: install GnuPG");
            println!("ignored: gpg is missing");
        }
        found
    }

    /// An empty one, unless gpg is missing; see [`Keyring::is_possible`].
    pub fn new() -> Option<Keyring> {
        let place = if cfg!(unix) { "/tmp".into() } else { std::env::temp_dir() };
        Keyring::is_possible().then(|| Keyring { folder: TempDir::with_prefix_in("kg", place).unwrap() })
    }

    /// The folder for `GNUPGHOME`.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// The same with the keys of a file.
    pub fn importing(self, file: &Path) -> Keyring {
        self.gpg(["--import", &file.to_string_lossy()]);
        self
    }

    /// Makes a key, locked by a passphrase unless that is empty; gives its fingerprint.
    pub fn generate(&self, name: &str, passphrase: &str) -> String {
        let unlocked = ["--pinentry-mode", "loopback", "--passphrase", passphrase];
        self.gpg(unlocked.into_iter().chain([
            "--quick-generate-key",
            &format!("{name} <{name}@example.invalid>"),
            "ed25519",
            "sign",
            "never",
        ]));
        let listed = String::from_utf8(self.gpg(["--with-colons", "--list-keys", name]).stdout).unwrap();
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned();
        self.gpg(unlocked.into_iter().chain(["--quick-add-key", &fingerprint, "cv25519", "encr", "never"]));
        self.end_agent();
        fingerprint
    }

    /// Ends the agent, and with it what it knows of passphrases.
    pub fn end_agent(&self) {
        let _ = Command::new("gpgconf").args(["--kill", "gpg-agent"]).env("GNUPGHOME", self.home()).stderr(Stdio::null()).status();
    }

    fn gpg<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = Command::new("gpg");
        let output = command.args(["--batch", "--quiet"]).args(arguments).env("GNUPGHOME", self.home()).output().unwrap();
        assert!(output.status.success(), "gpg: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.end_agent();
    }
}
