//! The key services that tests ask, on ports of 127.0.0.1 that the system chooses: programs of `tests/servers/`, started by
//! the first test of a process that needs them. They end with their standard input, so with this process, however it ends.

use super::{Call, Sandbox, installed, root, tool};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// AWS KMS with STS and IAM, by moto; signatures and permissions are checked.
pub fn aws() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("aws_kms.py", "--kms", &[])).as_ref()
}

/// Google Cloud KMS, ours.
pub fn gcp() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("gcp_kms.py", "--gcp-kms", &[])).as_ref()
}

/// Azure Key Vault, ours.
pub fn azure() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("key_vault.py", "--azure-kv", &[])).as_ref()
}

/// The real Vault.
pub fn vault() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let start = || Server::start("vault.py", "--hc-vault-transit", &[tool("vaultsrv")?.to_str()?]);
    SERVER.get_or_init(start).as_ref()
}

/// Huawei Cloud KMS, ours.
pub fn huawei() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("huawei_kms.py", "--hckms", &[])).as_ref()
}

/// All of them; those that aren't there are left out.
pub fn all() -> Vec<&'static Server> {
    [aws(), gcp(), azure(), vault(), huawei()].into_iter().flatten().collect()
}

/// The lines of the one entry of a kind in a file, without the values that differ at every encryption.
pub fn entry(sealed: &[u8], field: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(sealed).into_owned();
    let lines = text.lines().skip_while(|line| *line != format!("    {field}:")).skip(1).take_while(|line| line.starts_with("        "));
    let random =
        |line: &str| ["created_at", "enc"].iter().find(|name| line.starts_with(&format!("{name}: "))).map(|name| (*name).to_owned());
    let lines: Vec<String> =
        lines.map(|line| line.trim_start_matches([' ', '-'])).map(|line| random(line).unwrap_or_else(|| line.to_owned())).collect();
    assert!(lines.len() >= 3 && lines.contains(&"enc".to_owned()), "{text}");
    lines
}

/// A running server, as its ready line describes it.
pub struct Server {
    /// The flag for its recipients.
    pub flag: &'static str,
    about: Value,
    talk: Mutex<(Option<ChildStdin>, BufReader<ChildStdout>)>,
    child: Child,
}

impl Server {
    /// `None` after saying that the test is ignored: it isn't installed.
    fn start(program: &str, flag: &'static str, arguments: &[&str]) -> Option<Server> {
        let mut command = Command::new(installed("servers-venv/bin/python")?);
        command.arg("-B").arg(root().join("tests/servers").join(program)).args(arguments).env_clear();
        for name in ["PATH", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let talk = Mutex::new((child.stdin.take(), BufReader::new(child.stdout.take().unwrap())));
        let mut server = Server { flag, about: Value::Null, talk, child };
        server.about = server.hear();
        assert!(server.about["url"].is_string(), "{program} doesn't start");
        Some(server)
    }

    fn hear(&self) -> Value {
        let mut line = String::new();
        self.talk.lock().unwrap_or_else(PoisonError::into_inner).1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_default()
    }

    /// What the server answers to a command.
    pub fn tell(&self, command: &Value) -> Value {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(talk.0.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        talk.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        self.about["url"].as_str().unwrap()
    }

    /// What is in every request to wrap a data key, and in no other.
    pub fn wrap(&self) -> &str {
        self.about["calls"]["wrap"].as_str().unwrap()
    }

    /// What is in every request to unwrap one, and in no other.
    pub fn unwrap(&self) -> &str {
        self.about["calls"]["unwrap"].as_str().unwrap()
    }

    /// A recipient by the server's name for it; every server has a `key`.
    #[track_caller]
    pub fn recipient(&self, name: &str) -> String {
        self.about["recipients"][name].as_str().unwrap_or_else(|| panic!("no recipient {name}")).to_owned()
    }

    /// All ways to prove who one is that lead to it, genuine sops's.
    pub fn ways(&self) -> Vec<Way> {
        self.group("ways")
    }

    /// Ways that genuine sops can't be led by here.
    pub fn own_ways(&self) -> Vec<Way> {
        self.group("own ways")
    }

    /// A way by its name, one of [`Server::ways`] or one that the server refuses.
    #[track_caller]
    pub fn way(&self, name: &str) -> Way {
        let all = ["ways", "own ways", "denied"].into_iter().flat_map(|group| self.group(group));
        all.into_iter().find(|way| way.name == name).unwrap_or_else(|| panic!("no way {name}"))
    }

    /// The first way.
    pub fn any_way(&self) -> Way {
        self.ways().remove(0)
    }

    /// Encrypts `plain.yaml` for a recipient into `sealed.yaml`.
    #[track_caller]
    pub fn seal(&self, sandbox: &Sandbox, recipient: &str, way: &Way) {
        let sealed = sandbox.kveil(["encrypt", self.flag, recipient, "plain.yaml"]).way(way).run().ok();
        sandbox.write("sealed.yaml", sealed);
    }

    /// The first way, to another address (host and port) where nothing but the address of the service is another.
    pub fn way_to(&self, address: &str) -> Way {
        let mut way = self.any_way();
        for (_, value) in &mut way.variables {
            *value = replaced(value, self.url(), &format!("http://{address}"));
        }
        way
    }

    fn group(&self, group: &str) -> Vec<Way> {
        let pairs = |value: &Value| -> Vec<(String, String)> {
            let fields = value.as_object().into_iter().flatten();
            fields.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        };
        let ways = self.about[group].as_object().into_iter().flatten();
        ways.map(|(name, own)| {
            let mut variables = pairs(&self.about["always"]);
            variables.extend(pairs(own));
            Way { name: name.clone(), variables }
        })
        .collect()
    }

    /// A proxy of its own before it, which passes all on until it is told otherwise.
    pub fn behind_faults(&'static self) -> Faults {
        let certificate = self.about["certificate"].as_str();
        let arguments: Vec<&str> = std::iter::once(self.url()).chain(certificate).collect();
        Faults { target: self, proxy: Server::start("faults.py", self.flag, &arguments).unwrap() }
    }

    /// The same, which clients speak TLS to: certificate and key, in one file.
    pub fn behind_tls(&'static self, certificate: &str) -> Faults {
        Faults { target: self, proxy: Server::start("faults.py", self.flag, &[self.url(), "--https", certificate]).unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input.
        self.talk.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
        let _ = self.child.wait();
    }
}

/// Variables that lead a client to a server, and prove to it who the client is.
#[derive(Clone, Debug)]
pub struct Way {
    pub name: String,
    pub variables: Vec<(String, String)>,
}

impl Way {
    /// The same with a variable more, or another value.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Way {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A recipient of the server at the address that this way leads to, where the recipient names it.
    pub fn recipient(&self, server: &Server, name: &str) -> String {
        let recipient = server.recipient(name);
        match self.variables.iter().rfind(|(name, _)| name == "VAULT_ADDR") {
            Some((_, address)) => recipient.replace(server.url(), address),
            None => recipient,
        }
    }

    /// All variables of both.
    #[must_use]
    pub fn and(mut self, other: &Way) -> Way {
        self.variables.extend(other.variables.iter().cloned());
        self
    }
}

impl Call {
    /// Along this way; a variable `NAME+` goes before what is there.
    pub fn way(mut self, way: &Way) -> Call {
        for (name, value) in &way.variables {
            self = match name.strip_suffix('+') {
                Some(name) => {
                    let rest = std::env::var(name).unwrap_or_default();
                    self.env(name, format!("{value}:{rest}"))
                }
                None => self.env(name, value),
            };
        }
        self
    }
}

/// A server behind a proxy that gets in the way: `tests/servers/faults.py` says how. Gone when dropped.
pub struct Faults {
    target: &'static Server,
    proxy: Server,
}

impl Faults {
    /// The flag for the server's recipients.
    pub fn flag(&self) -> &'static str {
        self.target.flag
    }

    /// See [`Server::wrap`].
    pub fn wrap(&self) -> &str {
        self.target.wrap()
    }

    /// See [`Server::unwrap`].
    pub fn unwrap(&self) -> &str {
        self.target.unwrap()
    }

    /// Sets the rules, and forgets what was counted.
    pub fn rules(&self, rules: &Value) {
        self.proxy.tell(&json!({ "rules": rules }));
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        self.proxy.url()
    }

    /// What was asked since the rules were set: `POST /path`, for AWS with the action behind it.
    pub fn requests(&self) -> Vec<String> {
        let all = self.proxy.tell(&json!({}));
        all["requests"].as_array().unwrap().iter().map(|request| request["asked"].as_str().unwrap().to_owned()).collect()
    }

    /// How many of them hold this.
    pub fn count(&self, part: &str) -> usize {
        self.requests().iter().filter(|request| request.contains(part)).count()
    }

    /// How many were there at once.
    pub fn most(&self) -> u64 {
        self.proxy.tell(&json!({}))["most"].as_u64().unwrap()
    }

    /// A way of the server, through the proxy. Where a file says where the service is, that stays.
    pub fn way(&self, name: &str) -> Way {
        self.led(self.target.way(name))
    }

    /// Its first way, through the proxy.
    pub fn any_way(&self) -> Way {
        self.led(self.target.any_way())
    }

    fn led(&self, mut way: Way) -> Way {
        for (_, value) in &mut way.variables {
            *value = self.led_here(value);
        }
        way
    }

    /// A recipient of the server, through the proxy.
    pub fn recipient(&self, name: &str) -> String {
        self.led_here(&self.target.recipient(name))
    }

    fn led_here(&self, text: &str) -> String {
        replaced(text, self.target.url(), self.url())
    }
}

/// A text with another address in place of one, with its scheme or without.
fn replaced(text: &str, from: &str, to: &str) -> String {
    let bare = |url: &str| url.split_once("://").map_or(url.to_owned(), |(_, rest)| rest.to_owned());
    text.replace(from, to).replace(&bare(from), &bare(to))
}
