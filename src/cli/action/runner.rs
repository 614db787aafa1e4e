//! The runner around a step: its inputs, its files, its log.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::context::Context;
use crate::cli::report;
use crate::deploy::actions::commands::{self, Annotation, Level};
use crate::deploy::actions::trust::{self, Job};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::source::{Source, platform, signals};

/// How the variables of the inputs begin.
const INPUTS: &str = "KVEIL_ACTION_";
/// How a command of kveil's says what went wrong; the lines after it, set in, say what to do.
const ERROR: &str = "error: ";
/// As many of them are in an annotation.
const MOST_HINTS: usize = 8;

/// The runner of this step.
pub struct Runner<'c> {
    /// The world.
    pub context: &'c Context,
    /// What the event says.
    payload: Value,
}

/// What a program that was run left behind.
pub struct Ended {
    /// Its exit code.
    pub code: u8,
    /// Its standard output.
    pub out: Zeroizing<Vec<u8>>,
    /// What it said beside: none of it has been shown.
    pub said: Zeroizing<Vec<u8>>,
}

impl<'c> Runner<'c> {
    /// The runner, as its variables describe it.
    ///
    /// # Errors
    /// An event that can't be read.
    pub fn of(context: &'c Context) -> Result<Runner<'c>> {
        let payload = match context.environment.path("GITHUB_EVENT_PATH").filter(|path| path.exists()) {
            Some(path) => serde_json::from_slice(&Source::File(path).read_bytes()?)
                .map_err(|_| Error::new(Kind::Unreadable, "GITHUB_EVENT_PATH holds no JSON"))?,
            None => Value::Null,
        };
        Ok(Runner { context, payload })
    }

    /// An input of the action; none if it is empty.
    pub fn input(&self, name: &str) -> Option<String> {
        self.context.environment.var(&format!("{INPUTS}{name}")).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// An input that is true or false.
    ///
    /// # Errors
    /// `Generic` (1) for another word.
    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.input(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => {
                let input = name.to_ascii_lowercase().replace('_', "-");
                Err(Error::new(Kind::Generic, format!("the input {input} is true or false")))
            }
        }
    }

    /// An input of several lines.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = self.input(name).unwrap_or_default();
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// The run, as far as trust in it goes.
    pub fn job<'j>(&'j self, event: &'j str, repository: &'j str) -> Job<'j> {
        Job { event, repository, payload: &self.payload }
    }

    /// The commit that the changes start from, as far as the event says.
    pub fn base(&self) -> Option<String> {
        self.job(&self.variable("GITHUB_EVENT_NAME"), "").base().map(str::to_owned)
    }

    /// Whether the run may be a stranger's.
    pub fn is_distrusted(&self) -> bool {
        self.job(&self.variable("GITHUB_EVENT_NAME"), &self.variable("GITHUB_REPOSITORY")).distrust().is_some()
    }

    fn variable(&self, name: &str) -> String {
        self.context.environment.var(name).unwrap_or_default()
    }

    /// Refuses to open files of `folders` where a stranger may have written them.
    ///
    /// # Errors
    /// `Generic` (1); git in trouble (2).
    pub fn refuse_untrusted<'p>(&self, folders: impl IntoIterator<Item = &'p Path>) -> Result<()> {
        if self.flag("ALLOW_UNTRUSTED")? {
            return Ok(());
        }
        trust::refuse_untrusted(&self.job(&self.variable("GITHUB_EVENT_NAME"), &self.variable("GITHUB_REPOSITORY")))?;
        let sha = self.variable("GITHUB_SHA");
        let check = |folder: &Path| {
            let repository = Repository::at(&self.context.environment, &self.context.directory, folder)?;
            let head = repository.map_or(Ok(None), |repository| repository.head())?;
            trust::refuse_other_checkout(head.as_deref(), &sha)
        };
        check(&self.context.directory)?;
        folders.into_iter().try_for_each(check)
    }

    /// Says a line of our own or of somebody else's: the runner finds no command in it.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn say(&self, line: &str) -> Result<()> {
        report::data(commands::tamed(line).as_bytes())
    }

    /// As [`Runner::say`], all lines of a text.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn say_all(&self, bytes: &[u8]) -> Result<()> {
        let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
        text.lines().try_for_each(|line| self.say(line))
    }

    /// Puts an annotation into the log.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn annotate(&self, annotation: &Annotation) -> Result<()> {
        report::data(annotation.line().as_bytes())
    }

    /// Gives the step an output.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn output(&self, name: &str, value: &str) -> Result<()> {
        self.append("GITHUB_OUTPUT", commands::assignment(name, value)?.as_bytes())
    }

    /// Gives all later steps a variable.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn export(&self, name: &str, value: &str) -> Result<()> {
        self.append("GITHUB_ENV", commands::assignment(name, value)?.as_bytes())
    }

    /// Adds Markdown to the summary of the step.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn summary(&self, markdown: &str) -> Result<()> {
        self.append("GITHUB_STEP_SUMMARY", format!("{}\n", markdown.trim_end()).as_bytes())
    }

    fn append(&self, variable: &str, bytes: &[u8]) -> Result<()> {
        let unset = || Error::new(Kind::Unwritable, format!("{variable} isn't set")).hint("the runner sets it for every step");
        let path = self.context.environment.path(variable).ok_or_else(unset)?;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(bytes))
            .map_err(|why| Error::new(Kind::Unwritable, format!("can't write to the file of {variable}: {why}")))
    }

    /// The folder that the runner empties after the job.
    ///
    /// # Errors
    /// `Unwritable` (3) if there is none.
    pub fn temporary(&self) -> Result<PathBuf> {
        let unset = || Error::new(Kind::Unwritable, "RUNNER_TEMP isn't set").hint("the runner sets it: plaintext goes nowhere else");
        self.context.environment.path("RUNNER_TEMP").ok_or_else(unset)
    }

    /// A new folder in there, which only this user can enter.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn private_folder(&self) -> Result<PathBuf> {
        let path = self.temporary()?.join(format!("kveil-plain-{}", commands::nonce()?));
        let made = platform::private_directory().recursive(true).create(&path);
        made.map_err(|why| Error::new(Kind::Unwritable, format!("can't make a folder in RUNNER_TEMP: {why}")))?;
        Ok(path)
    }

    /// Runs this program with other arguments and waits.
    ///
    /// # Errors
    /// It can't be started.
    pub fn kveil<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Ended> {
        let program = std::env::current_exe().map_err(|why| not_started("kveil", &why))?;
        let mut command = self.context.environment.command(program);
        command.args(arguments);
        self.without_inputs(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // It wipes what it made, if a signal ends both.
        let output = signals::output(signals::start_passing_on(&mut command)).map_err(|why| not_started("kveil", &why))?;
        let (out, said) = (Zeroizing::new(output.stdout), Zeroizing::new(output.stderr));
        Ok(Ended { code: platform::exit_code(output.status), out, said })
    }

    /// Says in an annotation what a command has said first, and what to do next.
    pub fn trouble(&self, what: &str, ended: &Ended) -> Error {
        let said = Zeroizing::new(String::from_utf8_lossy(&ended.said).into_owned());
        let mut lines = said.lines().skip_while(|line| !line.starts_with(ERROR));
        let first = lines.next().and_then(|line| line.strip_prefix(ERROR)).unwrap_or("it failed, the log says why");
        let next = lines.take_while(|line| line.starts_with(' ')).take(MOST_HINTS);
        let text = Zeroizing::new(std::iter::once(first).chain(next).collect::<Vec<_>>().join("\n"));
        let _ = self.annotate(&Annotation::plain(Level::Error, &format!("kveil {what}"), &text));
        Error::new(Kind::Child(ended.code), "the command failed")
    }

    /// The inputs of the action are none of the business of what it runs.
    pub fn without_inputs(&self, command: &mut Command) {
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(INPUTS)).for_each(|(name, _)| {
            command.env_remove(name);
        });
    }

    /// Shows what a program says, on either stream, line by line, so that the runner finds no command in it.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn relay(&self, child: &mut Child) -> Result<()> {
        let (sender, lines) = channel();
        let streams = [child.stdout.take().map(boxed), child.stderr.take().map(boxed)];
        std::thread::scope(|scope| {
            for stream in streams.into_iter().flatten() {
                let sender = sender.clone();
                scope.spawn(move || read_lines(stream, &sender));
            }
            drop(sender);
            // What can't be shown is still read: the child must not stop at a full pipe.
            let mut shown = Ok(());
            for line in lines {
                shown = shown.and_then(|()| self.say(&String::from_utf8_lossy(&line)));
            }
            shown
        })
    }
}

fn boxed(stream: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(stream)
}

fn read_lines(stream: Box<dyn Read + Send>, lines: &Sender<Zeroizing<Vec<u8>>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Zeroizing::new(Vec::new());
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if lines.send(line).is_err() => return,
            Ok(_) => {}
        }
    }
}

/// A program that can't be started.
pub fn not_started(program: &str, why: &std::io::Error) -> Error {
    Error::new(Kind::Generic, format!("can't start {program}: {why}"))
}
