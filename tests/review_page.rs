//! `docs/review.md` as a reviewer follows it: every command from top to bottom, in one shell's place, at a clean home. What
//! the page shows below a command is what comes; `KVEIL_UPDATE=1` writes it anew. What differs from run to run is masked.
#![cfg(unix)]

mod sandbox;

use regex::Regex;
use sandbox::{Done, Sandbox, root};

const HOME: &str = "/home/ana";
/// Commands that end with 1 where they find something: then they show it.
const FIND: [&str; 4] = ["git merge ", "git -c merge.", "kveil diff", "kveil check"];
/// How a question ends, and what is typed behind it.
const QUESTION: &str = r"\? (\([a-z/]+\):) (\w+)$";

/// A line that begins with `$ `, a text for it to read included, and the picture below.
struct Step {
    command: String,
    picture: Vec<String>,
}

/// A piece of the page.
enum Piece {
    Prose(String),
    Session(Vec<Step>),
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/review.md")).unwrap()
}

/// The page in pieces. Every block is a session: a block of another kind would be a picture that nothing keeps true.
fn pieces(page: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    let mut prose = String::new();
    while let Some(line) = lines.next() {
        if !line.starts_with("```") {
            prose.extend([line, "\n"]);
            continue;
        }
        assert_eq!(line, "```sh", "a block that isn't run");
        found.push(Piece::Prose(std::mem::take(&mut prose)));
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        found.push(Piece::Session(steps(&block)));
    }
    found.push(Piece::Prose(prose));
    found
}

fn steps(block: &[&str]) -> Vec<Step> {
    let mut found: Vec<Step> = Vec::new();
    let mut lines = block.iter();
    while let Some(line) = lines.next() {
        match line.strip_prefix("$ ") {
            Some(command) => {
                let mut command = command.to_owned();
                if command.ends_with("<<'EOF'") {
                    let text = lines.by_ref().take_while(|line| **line != "EOF");
                    command.extend(text.map(|line| format!("\n{line}")));
                    command.push_str("\nEOF");
                }
                found.push(Step { command, picture: Vec::new() });
            }
            None => found.last_mut().expect("a picture stands below its command").picture.push((*line).to_owned()),
        }
    }
    found
}

/// What differs from run to run, by what it looks like.
fn masked(line: &str) -> String {
    let masks = [
        (r"(?-u:\b)age1[a-z0-9]{4}…[a-z0-9]{6}", "age1…"),
        (r"(?-u:\b)age1[a-z0-9]{20,}", "age1…"),
        (r"(?-u:\b)(data|iv|tag):[A-Za-z0-9+/=]+", "$1:…"),
        (r"\^?(?-u:\b)[0-9a-f]{7,40}(?-u:\b)", "0000000"),
    ];
    masks.iter().fold(line.to_owned(), |line, (pattern, mask)| Regex::new(pattern).unwrap().replace_all(&line, *mask).into_owned())
}

/// A shell that goes on where it was, one command after the other.
struct Shell {
    sandbox: Sandbox,
}

impl Shell {
    fn new() -> Shell {
        let sandbox = Sandbox::new();
        // What a reviewer has before kveil: a name in git, and the usual language.
        std::fs::write(sandbox.home().join(".gitconfig"), "[user]\n\tname = Ana\n\temail = ana@example.org\n").unwrap();
        Shell { sandbox }
    }

    /// Runs a command where the one before ended; what is printed is in the order in which it is.
    fn run(&self, step: &Step) -> (Done, Vec<String>) {
        let question = Regex::new(QUESTION).unwrap();
        let asked = step.picture.iter().find_map(|line| question.captures(line));
        let place = self.sandbox.home().join(".place");
        let from = std::fs::read_to_string(&place).unwrap_or_else(|_| self.sandbox.work().display().to_string());
        let call = match &asked {
            None => self.sandbox.shell(&format!("set -o pipefail\nexec 2>&1\n{}\ncode=$?\npwd > \"$PLACE\"\nexit $code", step.command)),
            Some(asked) => {
                let call = self.sandbox.shell("exec python3 \"$SCRIPT\" \"$LINE\" \"$PROMPT\" \"$ANSWER\" 2>&1").env("TYPE", "at-once");
                let call = call.env("SCRIPT", root().join("tests/terminal.py")).env("LINE", &step.command);
                call.env("PROMPT", &asked[1]).env("ANSWER", &asked[2])
            }
        };
        let done = call.env("PLACE", &place).env("XDG_CONFIG_HOME", self.sandbox.home().join(".config")).within(from.trim_end()).run();
        let text = String::from_utf8_lossy(&done.out).replace("\r\n", "\n");
        let text = text.replace(&self.sandbox.home().display().to_string(), HOME);
        let text = text.replace(&self.sandbox.work().display().to_string(), HOME);
        (done, text.lines().map(str::to_owned).collect())
    }
}

#[test]
fn the_page_can_be_followed_from_top_to_bottom() {
    let shell = Shell::new();
    let update = std::env::var_os("KVEIL_UPDATE").is_some_and(|value| value == "1");
    let (mut written, mut wrong) = (String::new(), Vec::new());
    for piece in pieces(&page()) {
        let steps = match piece {
            Piece::Prose(prose) => {
                written.push_str(&prose);
                continue;
            }
            Piece::Session(steps) => steps,
        };
        written.push_str("```sh\n");
        for step in steps {
            let (done, shown) = shell.run(&step);
            let found = done.code == 1 && !shown.is_empty() && FIND.iter().any(|command| step.command.starts_with(command));
            assert!(done.code == 0 || found, "$ {} ends with {}:\n{}", step.command, done.code, shown.join("\n"));
            let same = step.picture.len() == shown.len() && step.picture.iter().zip(&shown).all(|(a, b)| masked(a) == masked(b));
            if !same {
                wrong.push(format!("$ {}\nis shown with\n{}\nprints\n{}", step.command, step.picture.join("\n"), shown.join("\n")));
            }
            // A picture that is true keeps its bytes.
            let picture = if same { &step.picture } else { &shown };
            written.extend(std::iter::once(format!("$ {}\n", step.command)).chain(picture.iter().map(|line| format!("{line}\n"))));
        }
        written.push_str("```\n");
    }
    if update {
        std::fs::write(root().join("docs/review.md"), written).unwrap();
    }
    assert!(wrong.is_empty() || update, "look at the change, then run this test with KVEIL_UPDATE=1\n\n{}", wrong.join("\n\n"));
}

/// A command that the text names is one that was run, or the beginning of one; a word in capitals stands for any.
#[test]
fn every_command_that_the_page_names_is_run_on_it() {
    let pieces = pieces(&page());
    let sessions = pieces.iter().filter_map(|piece| if let Piece::Session(steps) = piece { Some(steps) } else { None });
    let parts = sessions.flatten().flat_map(|step| step.command.split(" && ").map(str::to_owned));
    let run: Vec<Vec<String>> = parts.map(|command| command.split_whitespace().map(str::to_owned).collect()).collect();
    assert!(run.len() > 20, "{run:?}");
    let is_any = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase());
    let fits =
        |words: &[&str], run: &[String]| words.len() <= run.len() && words.iter().zip(run).all(|(word, run)| word == run || is_any(word));
    let span = Regex::new("`((?:kveil|git) [^`]+)`").unwrap();
    let mut missing = Vec::new();
    for prose in pieces.iter().filter_map(|piece| if let Piece::Prose(prose) = piece { Some(prose) } else { None }) {
        let prose = prose.replace('\n', " ");
        for named in span.captures_iter(&prose) {
            let words: Vec<&str> = named[1].split_whitespace().collect();
            if !run.iter().any(|run| fits(&words, run)) {
                missing.push(named[1].to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "named and never run: {missing:?}");
}

#[test]
fn masks_hide_what_is_random_and_nothing_else() {
    let line = "index ee7e5b7..b3d931f  <str, 8 to 15 bytes, 1b57be3e> age1hymn…xtp8l8 ENC[AES256_GCM,data:x/y=,iv:a,tag:b,type:str]";
    assert_eq!(masked(line), "index 0000000..0000000  <str, 8 to 15 bytes, 0000000> age1… ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]");
    assert_ne!(masked("<str, 8 to 15 bytes, 1b57be3e>"), masked("<str, 16 to 31 bytes, 1b57be3e>"));
    assert_eq!(masked("stringData.token  changed"), "stringData.token  changed");
}
