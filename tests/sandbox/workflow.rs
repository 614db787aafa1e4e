//! A runner of GitHub Actions, as far as composite actions and shell steps go: it reads the commands in their output, keeps masks,
//! and takes the files of outputs, variables and summaries. Written after the runner's source.

use super::{Sandbox, root};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use yaml_rust2::{Yaml, YamlLoader};

/// A job on its runner.
pub struct Job<'s> {
    pub sandbox: &'s Sandbox,
    temp: PathBuf,
    environment: BTreeMap<String, String>,
    path: Vec<String>,
    masks: Vec<String>,
    stopped: Option<String>,
    /// What people see.
    pub log: String,
    /// The summaries of all steps, as people see them.
    pub summary: String,
    /// Commands that were carried out: name, properties and data.
    pub commands: Vec<(String, String)>,
}

/// Steps of all jobs of a test program.
static STEPS: AtomicUsize = AtomicUsize::new(0);

/// A step that is over.
#[derive(Debug)]
pub struct Step {
    pub code: i32,
    pub outputs: BTreeMap<String, String>,
    /// Where the files of its outputs and variables are.
    pub files: PathBuf,
}

impl<'s> Job<'s> {
    /// A job in the repository of the sandbox, triggered by `event` with `payload`.
    pub fn new(sandbox: &'s Sandbox, event: &str, payload: &str) -> Job<'s> {
        let temp = sandbox.tmp().join("runner");
        // The runner empties it between two jobs.
        let _ = std::fs::remove_dir_all(&temp);
        std::fs::create_dir_all(&temp).unwrap();
        let event_file = sandbox.tmp().join("event.json");
        std::fs::write(&event_file, payload).unwrap();
        let head = sandbox.shell("git rev-parse HEAD").run().text();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let environment = [
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", event.to_owned()),
            ("GITHUB_EVENT_PATH", text(&event_file)),
            ("GITHUB_REPOSITORY", "team/app".to_owned()),
            ("GITHUB_SHA", head.trim().to_owned()),
            ("GITHUB_WORKSPACE", text(&sandbox.work())),
            ("RUNNER_ARCH", "X64".to_owned()),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_TEMP", text(&temp)),
        ];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (log, summary) = (String::new(), String::new());
        Job { sandbox, temp, environment, path: vec![], masks: vec![], stopped: None, log, summary, commands: vec![] }
    }

    /// Sets a variable of the whole job.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The folder that is emptied after the job.
    pub fn temp(&self) -> &Path {
        &self.temp
    }

    /// A step that uses the action, `with` these inputs.
    pub fn uses(&mut self, with: &[(&str, &str)]) -> Step {
        let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
        let action = YamlLoader::load_from_str(&text).unwrap().remove(0);
        let mut inputs = BTreeMap::new();
        for (name, input) in action["inputs"].as_hash().unwrap() {
            let name = name.as_str().unwrap();
            let given = with.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            inputs.insert(format!("inputs.{name}"), given.unwrap_or_else(|| input["default"].as_str().unwrap_or_default()).to_owned());
        }
        with.iter().for_each(|(name, _)| assert!(inputs.contains_key(&format!("inputs.{name}")), "no input {name}"));
        inputs.insert("github.server_url".into(), "https://forge.invalid".into());
        // As it is for `uses: ./`.
        inputs.insert("github.action_repository".into(), String::new());
        inputs.insert("github.action_path".into(), root().to_str().unwrap().into());
        let (mut code, mut files) = (0, PathBuf::new());
        for step in action["runs"]["steps"].as_vec().unwrap() {
            if code != 0 || !is_wanted(&step["if"], &inputs) {
                continue;
            }
            let environment = step["env"].as_hash().unwrap().iter();
            let environment: Vec<(String, String)> =
                environment.map(|(name, value)| (name.as_str().unwrap().to_owned(), filled(value, &inputs))).collect();
            let folder = filled(&step["working-directory"], &inputs);
            let done = self.shell(step["run"].as_str().unwrap(), &environment, &folder);
            (code, files) = (done.code, done.files);
            let id = step["id"].as_str().unwrap();
            inputs.extend(done.outputs.into_iter().map(|(name, value)| (format!("steps.{id}.outputs.{name}"), value)));
        }
        let outputs = action["outputs"].as_hash().unwrap().iter();
        let outputs = outputs.map(|(name, output)| (name.as_str().unwrap().to_owned(), filled(&output["value"], &inputs)));
        Step { code, outputs: outputs.filter(|(_, value)| !value.is_empty()).collect(), files }
    }

    /// A step of shell.
    pub fn run(&mut self, script: &str) -> Step {
        self.shell(script, &[], "")
    }

    fn shell(&mut self, script: &str, environment: &[(String, String)], folder: &str) -> Step {
        let files = self.sandbox.tmp().join(format!("step-{}", STEPS.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&files).unwrap();
        let file = files.join("script.sh");
        std::fs::write(&file, script).unwrap();
        let mut command = self.sandbox.shell("").into_command();
        let path = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
        let path = self.path.iter().map(PathBuf::from).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(path).unwrap();
        command = self.based_on(&command);
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&file).env("PATH", path);
        command.envs(&self.environment).envs(environment.iter().map(|(name, value)| (name, value)));
        for name in ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"] {
            std::fs::File::create(files.join(name)).unwrap();
            command.env(name, files.join(name));
        }
        let output = command.current_dir(self.sandbox.work().join(folder)).stdin(Stdio::null()).output().unwrap();
        // Two pipes: what stands on the second may be seen first, before any mask of the other.
        for stream in [&output.stderr, &output.stdout] {
            String::from_utf8_lossy(stream).split(['\n', '\r']).for_each(|line| self.line(line));
        }
        self.stopped = None;
        let read = |name: &str| std::fs::read_to_string(files.join(name)).unwrap();
        self.environment.extend(pairs(&read("GITHUB_ENV")));
        self.path.extend(read("GITHUB_PATH").lines().map(str::to_owned));
        self.summary += &self.masked(&read("GITHUB_STEP_SUMMARY"));
        Step { code: output.status.code().unwrap_or(-1), outputs: pairs(&read("GITHUB_OUTPUT")), files }
    }

    fn based_on(&self, prepared: &Command) -> Command {
        let mut command = Command::new("bash");
        command.env_clear();
        for (name, value) in prepared.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    /// A line of output: a command, or text.
    fn line(&mut self, line: &str) {
        let Some((name, properties, data)) = second_form(line).or_else(|| first_form(line)) else {
            self.log += &format!("{}\n", self.masked(line));
            return;
        };
        if let Some(token) = &self.stopped {
            if *token == name {
                self.stopped = None;
            } else {
                self.log += &format!("{}\n", self.masked(line));
            }
            return;
        }
        match name.as_str() {
            "add-mask" => self.mask(&data),
            "stop-commands" => self.stopped = Some(data),
            // What isn't a command is text.
            "error" | "warning" | "notice" | "debug" | "group" | "endgroup" | "set-env" | "set-output" | "add-path" | "add-matcher" => {
                self.log += &format!("{}\n", self.masked(&format!("{name} {properties} {data}")));
                self.commands.push((name, format!("{properties} {data}")));
            }
            _ => self.log += &format!("{}\n", self.masked(line)),
        }
    }

    /// Of a value the runner masks the whole, its lines, and some encodings of each.
    fn mask(&mut self, value: &str) {
        assert!(!value.trim().is_empty(), "an empty mask");
        for piece in std::iter::once(value).chain(value.split(['\r', '\n'])).filter(|piece| !piece.trim().is_empty()) {
            let json = serde_json::to_string(piece).unwrap();
            let base64: Vec<String> = (0..3).map(|shift| shifted_base64(piece.as_bytes(), shift)).collect();
            self.masks.push(piece.to_owned());
            self.masks.push(json[1..json.len() - 1].to_owned());
            self.masks.extend(base64.into_iter().filter(|text| !text.is_empty()));
        }
        self.masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
        self.masks.dedup();
    }

    /// A text with all masks.
    pub fn masked(&self, text: &str) -> String {
        self.masks.iter().fold(text.to_owned(), |text, mask| text.replace(mask.as_str(), "***"))
    }

    /// What of a step's outputs reaches other jobs: those without a secret.
    pub fn job_output(&self, value: &str) -> Option<String> {
        (self.masked(value) == value).then(|| value.to_owned())
    }

    /// A variable that later steps see.
    pub fn exported(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// All that stays behind beside the log: files of the workspace and of the steps (variables, outputs, summaries).
    pub fn left_behind(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.sandbox.work(), self.sandbox.tmp()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.starts_with(&self.temp) {
                    found.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        found
    }
}

/// The base64 of bytes within a longer text, without the digits that its neighbours share.
fn shifted_base64(bytes: &[u8], shift: usize) -> String {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(bytes);
    let text = base64(&padded);
    let text = text.trim_end_matches('=');
    let start = if shift == 0 { 0 } else { shift + 1 };
    text.get(start..text.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

fn base64(bytes: &[u8]) -> String {
    let mut child = Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// `::name properties::data` at the start of a line.
fn second_form(line: &str) -> Option<(String, String, String)> {
    let rest = line.trim_start().strip_prefix("::")?;
    let (head, data) = rest.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    (!name.is_empty()).then(|| (name.to_owned(), unescaped(properties), unescaped(data)))
}

/// `##[name properties]data` anywhere in a line.
fn first_form(line: &str) -> Option<(String, String, String)> {
    let rest = &line[line.find("##[")? + 3..];
    let (head, data) = rest.split_once(']')?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    Some((name.to_owned(), properties.to_owned(), data.to_owned()))
}

fn unescaped(text: &str) -> String {
    [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// `name=value`, or `name<<delimiter`, lines, the delimiter alone on its line.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let line = line.trim_end_matches('\n');
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (equals, Some(at)) if equals.is_none_or(|equals| at < equals) => {
                let (name, delimiter) = (&line[..at], &line[at + 2..]);
                let mut value = String::new();
                loop {
                    let next = lines.next().unwrap_or_else(|| panic!("{name} has no end"));
                    if next.trim_end_matches('\n') == delimiter {
                        break;
                    }
                    value += next;
                }
                found.insert(name.to_owned(), value.strip_suffix('\n').unwrap_or_default().to_owned());
            }
            (Some(at), _) => {
                found.insert(line[..at].to_owned(), line[at + 1..].to_owned());
            }
            _ if line.is_empty() => {}
            _ => panic!("the runner can't read {line}"),
        }
    }
    found
}

/// An `if` of the action: nothing, or `inputs.x != 'y'`.
fn is_wanted(condition: &Yaml, known: &BTreeMap<String, String>) -> bool {
    let Some(condition) = condition.as_str() else { return true };
    let (name, value) = condition.split_once(" != ").expect("a condition that the harness knows");
    known[name] != value.trim_matches('\'')
}

/// A text with its expressions filled in: only names of inputs, outputs and facts of the run.
fn filled(text: &Yaml, known: &BTreeMap<String, String>) -> String {
    let text = match text {
        Yaml::BadValue => return String::new(),
        text => text.as_str().expect("a string"),
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (name, tail) = after.split_once("}}").expect("an expression's end");
        out += before;
        out += known.get(name.trim()).map_or("", String::as_str);
        rest = tail;
    }
    out + rest
}
