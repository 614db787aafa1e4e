//! A scratch directory with its own home, and the programs that run in it with nothing of the caller's environment.
#![allow(dead_code)] // each test program uses a part of this

pub mod keyring;
pub mod repository;
pub mod servers;
pub mod tree;
pub mod workflow;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub use keyring::Keyring;

/// Age recipients of `testdata/sops/3.13.3/keys`: throwaway identities.
pub const RECIPIENT_1: &str = "age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc";
pub const RECIPIENT_2: &str = "age1ac76cl9nuzd96kdp6mvslh55wl74rt3sl3zfl9y4c6l99dltndqsxemwwp";
/// The identity of [`RECIPIENT_1`].
pub const IDENTITY_1: &str = "AGE-SECRET-KEY-1F9GUPEV246P3K8YDDYMMXMXZQGWNT7KA2NFNVP2LCWZ0GFAH2YUS725UTY";

/// The directory of `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The cases made by genuine sops.
pub fn cases() -> PathBuf {
    root().join("testdata/sops/3.13.3")
}

/// A file of the keys beside the cases.
pub fn key(name: &str) -> PathBuf {
    cases().join("keys").join(name)
}

/// The program under test; `KVEIL_UNDER_TEST` puts another one in its place.
pub fn program() -> PathBuf {
    std::env::var_os("KVEIL_UNDER_TEST").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kveil")), PathBuf::from)
}

/// A tool that `tests/run.sh` installs. `None` after saying that the test is ignored; in CI a missing tool is a failure.
pub fn tool(name: &str) -> Option<PathBuf> {
    installed(&format!("bin/{name}"))
}

/// As [`tool`], by its path below the folder of all tools.
pub fn installed(name: &str) -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folders = [std::env::var_os("KVEIL_TOOLS").map(PathBuf::from), Some(target.join("tools"))];
    let found = folders.into_iter().flatten().map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is missing: tests/run.sh installs it");
        println!("ignored: {name} is missing, tests/run.sh installs it");
    }
    found
}

/// A scratch directory; gone when dropped.
pub struct Sandbox {
    dir: TempDir,
    /// The keyring that commands find; see [`Sandbox::with_keyring`].
    keyring: Option<Keyring>,
}

impl Sandbox {
    /// An empty one: `work/` to work in, `home/`, and `bin/` with the program under both its names.
    pub fn new() -> Sandbox {
        let dir = TempDir::with_prefix("kveil-test-").unwrap();
        for folder in ["work", "home", "bin", "genuine", "tmp"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for name in ["kveil", "sops"] {
            link(&program(), &dir.path().join("bin").join(name));
        }
        Sandbox { dir, keyring: None }
    }

    /// One whose home holds the identity of [`RECIPIENT_1`] in the default place.
    pub fn with_identity() -> Sandbox {
        let sandbox = Sandbox::new();
        let file = sandbox.home().join(".config/sops/age/keys.txt");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, format!("{IDENTITY_1}\n")).unwrap();
        sandbox
    }

    /// The same, where gpg finds this keyring.
    pub fn with_keyring(mut self, keyring: Keyring) -> Sandbox {
        self.keyring = Some(keyring);
        self
    }

    /// The keyring of [`Sandbox::with_keyring`].
    pub fn keyring(&self) -> &Keyring {
        self.keyring.as_ref().expect("a sandbox with a keyring")
    }

    /// The home directory.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The directory that commands run in.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// The directory for temporary files.
    pub fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// A path below [`Sandbox::work`].
    pub fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Writes a file below [`Sandbox::work`], with its folders.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The bytes of a file below [`Sandbox::work`].
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The first folder of the `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// Writes a file that is encrypted for the first identity.
    pub fn encrypted(&self, name: &str, plain: &str) {
        self.write(name, plain);
        self.kveil(["encrypt", "-i", "--age", RECIPIENT_1, name]).run().ok();
    }

    /// A program in front of all others of its name.
    #[cfg(unix)]
    pub fn script(&self, name: &str, body: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.bin().join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// All files and folders below [`Sandbox::work`], sorted.
    pub fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.work()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(self.work()).unwrap().to_string_lossy().into_owned());
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The program under its own name.
    pub fn kveil<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Call {
        self.call(&self.dir.path().join("bin/kveil")).args(arguments)
    }

    /// The program under the name `sops`.
    pub fn sops<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Call {
        self.call(&self.dir.path().join("bin/sops")).args(arguments)
    }

    /// Genuine sops, if it is there; see [`tool`].
    pub fn genuine<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Option<Call> {
        Some(self.call(&tool("sops")?).args(arguments))
    }

    /// A line of shell, in which `sops` and `kveil` are the program under test.
    pub fn shell(&self, line: &str) -> Call {
        self.call(Path::new("bash")).args(["-c", line]).env("PATH", search_path(&self.dir.path().join("bin")))
    }

    /// A line of shell, in which `sops` is the genuine one.
    pub fn genuine_shell(&self, line: &str) -> Option<Call> {
        let folder = self.dir.path().join("genuine");
        if !folder.join("sops").exists() {
            link(&tool("sops")?, &folder.join("sops"));
        }
        Some(self.call(Path::new("bash")).args(["-c", line]).env("PATH", search_path(&folder)))
    }

    fn call(&self, program: &Path) -> Call {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.work()).env("HOME", self.home()).env("TMPDIR", self.tmp());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // Only a few of genuine sops's own words.
        command.env("SOPS_DISABLE_VERSION_CHECK", "1").env("RUST_BACKTRACE", "0");
        if let Some(keyring) = &self.keyring {
            command.env("GNUPGHOME", keyring.home());
        }
        Call { command, input: None }
    }
}

fn search_path(first: &Path) -> std::ffi::OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first.to_path_buf()).chain(std::env::split_paths(&rest))).unwrap()
}

#[cfg(unix)]
pub fn link(target: &Path, name: &Path) {
    std::os::unix::fs::symlink(target, name).unwrap();
}

#[cfg(windows)]
pub fn link(target: &Path, name: &Path) {
    std::fs::copy(target, name.with_extension("exe")).unwrap();
}

/// A program about to be run.
pub struct Call {
    command: Command,
    input: Option<Vec<u8>>,
}

impl Call {
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Call {
        self.command.arg(argument);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Call {
        self.command.args(arguments);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Call {
        self.command.env(name, value);
        self
    }

    pub fn within(mut self, folder: impl AsRef<Path>) -> Call {
        self.command.current_dir(folder);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Call {
        self.input = Some(bytes.into());
        self
    }

    /// The command itself, for a test that wants to watch it run.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Done {
        self.command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let feeder = self.input.map(|bytes| {
            let mut pipe = child.stdin.take().unwrap();
            // A program that refuses early closes the pipe: its business.
            std::thread::spawn(move || drop(pipe.write_all(&bytes)))
        });
        let output = child.wait_with_output().unwrap();
        if let Some(feeder) = feeder {
            feeder.join().unwrap();
        }
        let code = output.status.code().unwrap_or(-1);
        Done { code, out: output.stdout, err: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Done {
    /// The exit code; -1 for a signal.
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Done {
    /// The standard output of a run that succeeded.
    #[track_caller]
    pub fn ok(self) -> Vec<u8> {
        assert_eq!(self.code, 0, "exit code; stderr: {}", self.err);
        self.out
    }

    /// The standard output as text.
    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.ok()).unwrap()
    }

    /// What is wrong with a refusal: a crash, output, another code than `code`; `None` if nothing is.
    pub fn refusal_fault(&self, code: Option<i32>) -> Option<String> {
        let crashed = matches!(self.code, -1 | 101 | 134 | 139) || self.err.contains("panicked");
        match code {
            _ if crashed => Some(format!("crashed ({}): {}", self.code, self.err)),
            _ if self.code == 0 => Some("was accepted".to_owned()),
            _ if !self.out.is_empty() => Some(format!("{} bytes on the standard output", self.out.len())),
            Some(code) if self.code != code => Some(format!("exit code {} instead of {code}: {}", self.code, self.err)),
            _ if self.err.trim().is_empty() => Some("says nothing".to_owned()),
            _ => None,
        }
    }

    /// Asserts a refusal with this exit code, an empty standard output, and a reason; gives the reason.
    #[track_caller]
    pub fn refused(self, code: i32) -> String {
        if let Some(fault) = self.refusal_fault(Some(code)) {
            panic!("{fault}");
        }
        self.err
    }
}

/// Bytes for people, in failures.
pub fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "␍").replace('\t', "␉")
}

/// Words of five and more letters or digits in what may have to be hidden: anchors, aliases, tags and directives may stay in clear.
pub fn words(bytes: &[u8]) -> std::collections::BTreeSet<String> {
    let escapes = regex::Regex::new(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)").expect("a pattern");
    let text = String::from_utf8_lossy(bytes);
    let text = escapes.replace_all(&text, " ");
    let mut found = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('%')) {
        for part in line.split(|c: char| c.is_whitespace() || "[]{},()".contains(c)) {
            if !part.starts_with(['&', '*', '!']) {
                let split = part.split(|c: char| !(c.is_ascii_alphanumeric() || "_+/=-".contains(c)));
                found.extend(split.filter(|word| word.len() >= 5).map(str::to_owned));
            }
        }
    }
    found
}

/// Whether all that genuine sops hides is hidden: value by value with its type, and word by word for the comments.
/// Keys and values that both leave in clear may be spelled differently.
pub fn hides(extension: &str, plain: &[u8], genuine: &[u8], ours: &[u8]) -> Result<(), String> {
    let (want, got) = (tree::sealed(extension, genuine)?, tree::sealed(extension, ours)?);
    if want.len() != got.len() {
        return Err(format!("{} documents instead of {}", got.len(), want.len()));
    }
    if let Some(place) = want.iter().zip(&got).find_map(|(want, got)| tree::difference(want, got, "")) {
        return Err(format!("not the values that genuine sops encrypts: {place}"));
    }
    let clear = words(tree::clear(extension, ours)?.as_bytes());
    let (hidden, shown) = (words(genuine), words(ours));
    match words(plain).into_iter().find(|word| !hidden.contains(word) && shown.contains(word) && !clear.contains(word)) {
        Some(word) => Err(format!("in clear: {word}")),
        None => Ok(()),
    }
}
