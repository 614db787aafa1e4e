//! The runner's grammar: commands are lines of the output that begin with `::`, or that hold `##[` anywhere; outputs and
//! variables are written to files, with a delimiter that no value may hold.

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};

/// A random word that no file and no child can know.
///
/// # Errors
/// `Generic` (1) if the system gives no random bytes.
pub fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::new(Kind::Generic, "the system gives no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Text as the data of a command: what would end its line is escaped.
fn data(text: &str) -> Zeroizing<String> {
    escaped(text, &[('%', "%25"), ('\r', "%0D"), ('\n', "%0A")])
}

/// Text as a property of a command, where `:` and `,` have a meaning, too.
fn property(text: &str) -> Zeroizing<String> {
    escaped(text, &[('%', "%25"), ('\r', "%0D"), ('\n', "%0A"), (':', "%3A"), (',', "%2C")])
}

fn escaped(text: &str, escapes: &[(char, &str)]) -> Zeroizing<String> {
    // Room for the worst case: a buffer that grows leaves copies behind.
    let mut out = Zeroizing::new(String::with_capacity(3 * text.len()));
    for c in text.chars() {
        match escapes.iter().find(|(special, _)| *special == c) {
            Some((_, escape)) => out.push_str(escape),
            None => out.push(c),
        }
    }
    out
}

/// The command that masks a text of one line in all that comes after it.
pub fn mask(piece: &str) -> Zeroizing<String> {
    let data = data(piece);
    let mut line = Zeroizing::new(String::with_capacity(data.len() + 16));
    line.push_str("::add-mask::");
    line.push_str(&data);
    line.push('\n');
    line
}

/// How bad an annotation is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// It fails the step.
    Error,
    /// Worth a look.
    Warning,
    /// Information.
    Notice,
}

impl Level {
    /// The runner's word.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
        }
    }
}

/// A message at a line of a file, or at none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Annotation {
    /// How bad it is.
    pub level: Level,
    /// The file, below the top of the repository.
    pub file: Option<String>,
    /// Its line and column, from 1.
    pub position: Option<(u64, Option<u64>)>,
    /// A few words.
    pub title: String,
    /// What it is.
    pub message: String,
}

impl Annotation {
    /// One of no file.
    pub fn plain(level: Level, title: &str, message: &str) -> Annotation {
        Annotation { level, file: None, position: None, title: title.to_owned(), message: message.to_owned() }
    }

    /// The command, with its line end. `##[` is broken: the runner would find a command in a name.
    pub fn line(&self) -> String {
        let mut properties = Vec::new();
        let mut add = |name: &str, value: &str| properties.push(format!("{name}={}", *property(&unhooked(value))));
        self.file.iter().for_each(|file| add("file", file));
        if let Some((line, column)) = self.position {
            add("line", &line.to_string());
            column.iter().for_each(|column| add("col", &column.to_string()));
        }
        add("title", &self.title);
        format!("::{} {}::{}\n", self.level.word(), properties.join(","), *data(&unhooked(&self.message)))
    }
}

fn unhooked(text: &str) -> String {
    text.replace("##[", "##\\[")
}

/// A line of somebody else's output, in which the runner finds no command. A carriage return begins a line for it.
pub fn tamed(line: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(2 * line.len() + 2));
    for (at, piece) in line.trim_end_matches(['\r', '\n']).split('\r').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let inner = piece.trim_start();
        out.push_str(&piece[..piece.len() - inner.len()]);
        if inner.starts_with("::") {
            out.push('\\');
        }
        let mut rest = inner;
        while let Some(found) = rest.find("##[") {
            out.push_str(&rest[..found]);
            out.push_str("##\\[");
            rest = &rest[found + 3..];
        }
        out.push_str(rest);
    }
    out.push('\n');
    out
}

/// As [`tamed`], all lines of a text.
pub fn tamed_text(text: &str) -> Zeroizing<String> {
    // Room for the worst case of each line.
    let mut out = Zeroizing::new(String::with_capacity(2 * text.len() + 2));
    text.split_inclusive('\n').for_each(|line| out.push_str(&tamed(line)));
    out
}

/// JSON in which the runner finds no command: none of its lines begins with `::`, and strings may hold the other mark.
pub fn tamed_json(json: &str) -> Zeroizing<String> {
    Zeroizing::new(json.replace("##[", "##\\u005b"))
}

/// A name with its value as the runner's files take it: `name<<delimiter`, the value, the delimiter.
///
/// # Errors
/// `Generic` (1) if there is no random delimiter, or the name can't stand there.
pub fn assignment(name: &str, value: &str) -> Result<Zeroizing<String>> {
    if name.is_empty() || name.contains(['\r', '\n', '=']) || name.contains("<<") {
        return Err(Error::new(Kind::Generic, "a name that the runner's files can't hold").for_key(name));
    }
    let delimiter = loop {
        let delimiter = format!("kveil_{}", nonce()?);
        if !value.contains(&delimiter) {
            break delimiter;
        }
    };
    let mut text = Zeroizing::new(String::with_capacity(name.len() + value.len() + 2 * delimiter.len() + 5));
    for part in [name, "<<", &delimiter, "\n", value, "\n", &delimiter, "\n"] {
        text.push_str(part);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_command_is_escaped() {
        assert_eq!(*mask("100%\r\n::x"), "::add-mask::100%25%0D%0A::x\n");
        let annotation = Annotation {
            level: Level::Error,
            file: Some("a,b:c.yaml".to_owned()),
            position: Some((3, Some(5))),
            title: "KV101 ##[x]".to_owned(),
            message: "one\n::two".to_owned(),
        };
        assert_eq!(annotation.line(), "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=KV101 ##\\[x]::one%0A::two\n");
    }

    #[test]
    fn no_line_of_others_is_a_command() {
        assert_eq!(*tamed("::set-env name=A::b\n"), "\\::set-env name=A::b\n");
        assert_eq!(*tamed(" \u{a0}::x\r\n"), " \u{a0}\\::x\n");
        assert_eq!(*tamed("a ##[add-mask]b ##[c\n"), "a ##\\[add-mask]b ##\\[c\n");
        assert_eq!(*tamed("progress\r::stop-commands::x"), "progress\n\\::stop-commands::x\n");
        assert_eq!(*tamed("plain::text"), "plain::text\n");
        assert_eq!(*tamed("x\r\n"), "x\n");
        assert_eq!(*tamed_text("::a\r\n  ::b\r\nc::d ##[e]\n"), "\\::a\n  \\::b\nc::d ##\\[e]\n");
        assert_eq!(*tamed_text(""), "");
        assert_eq!(*tamed_json("{\"a\":\"##[e]\"}\n"), "{\"a\":\"##\\u005be]\"}\n");
    }

    #[test]
    fn a_value_can_neither_end_its_assignment_nor_guess_its_delimiter() {
        let (one, two) = (assignment("A", "x\nEOF\nB=c").unwrap(), assignment("A", "x\nEOF\nB=c").unwrap());
        assert_ne!(one, two);
        let lines: Vec<&str> = one.lines().collect();
        assert_eq!(lines[1..4], ["x", "EOF", "B=c"]);
        assert_eq!(lines[0], format!("A<<{}", lines[4]));
        assert!(assignment("A=B", "x").is_err() && assignment("A\nB", "x").is_err() && assignment("", "x").is_err());
    }
}
