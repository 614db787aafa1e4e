//! The command line of Helm, as far as it names values files.

/// Commands of Helm that read the values files themselves, each once. What any other command, such as the plugin `diff`,
/// starts doesn't inherit pipes.
const READERS: [&str; 4] = ["install", "lint", "template", "upgrade"];

/// Whether this command line's values files may be pipes.
pub fn reads_once(arguments: &[String]) -> bool {
    let command = arguments.iter().find(|argument| !argument.starts_with('-'));
    command.is_some_and(|command| READERS.contains(&command.as_str()))
}

/// The command line with other names for its values files: those of `-f`, `--values` and `--set-file`, each asked for once.
///
/// # Errors
/// Those of `rename`.
pub fn renamed<E>(arguments: &[String], mut rename: impl FnMut(&str) -> Result<String, E>) -> Result<Vec<String>, E> {
    let mut out = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            out.push(argument.clone());
            break;
        }
        match Flag::of(argument) {
            None => out.push(argument.clone()),
            Some((flag, name, Some(value))) => out.push(format!("{name}{}", flag.renamed(value, &mut rename)?)),
            Some((flag, name, None)) => {
                out.push(name.to_owned());
                if let Some(value) = rest.next() {
                    out.push(flag.renamed(value, &mut rename)?);
                }
            }
        }
    }
    out.extend(rest.cloned());
    Ok(out)
}

/// A flag that names files.
#[derive(Clone, Copy)]
enum Flag {
    /// Files, joined by commas.
    Values,
    /// Pairs of a key and a file, joined by commas.
    SetFile,
}

impl Flag {
    /// The flag, its name with what stands before the value, and the value if it is in the same word.
    fn of(argument: &str) -> Option<(Flag, &str, Option<&str>)> {
        for (name, flag) in [("--values", Flag::Values), ("--set-file", Flag::SetFile)] {
            match argument.strip_prefix(name) {
                Some("") => return Some((flag, argument, None)),
                Some(rest) if rest.starts_with('=') => {
                    let (head, value) = argument.split_at(name.len() + 1);
                    return Some((flag, head, Some(value)));
                }
                _ => {}
            }
        }
        let value = argument.strip_prefix("-f")?;
        let value = (!value.is_empty()).then(|| value.strip_prefix('=').unwrap_or(value));
        Some((Flag::Values, "-f", value))
    }

    fn renamed<E>(self, value: &str, rename: &mut impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
        match self {
            Flag::Values => {
                let names: Result<Vec<String>, E> = values(value).iter().map(|name| Ok(quoted(&rename(name)?))).collect();
                Ok(names?.join(","))
            }
            Flag::SetFile => {
                let pair = |pair: &str| match pair.split_once('=') {
                    Some((key, file)) => Ok(format!("{key}={}", escaped(&rename(&unescaped(file))?))),
                    None => Ok(pair.to_owned()),
                };
                let pairs: Result<Vec<String>, E> = pairs(value).into_iter().map(pair).collect();
                Ok(pairs?.join(","))
            }
        }
    }
}

/// A line of CSV, as Helm reads lists of files.
fn values(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut inside = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if inside && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' if inside || field.is_empty() => inside = !inside,
            ',' if !inside => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

/// What commas part that no backslash stands before.
fn pairs(line: &str) -> Vec<&str> {
    let mut pairs = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in line.bytes().enumerate() {
        if byte == b',' && !escaped {
            pairs.push(&line[start..at]);
            start = at + 1;
        }
        escaped = byte == b'\\' && !escaped;
    }
    pairs.push(&line[start..]);
    pairs
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(',', "\\,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        renamed::<()>(&words, |name| Ok(format!("<{name}>"))).unwrap().join(" ")
    }

    #[test]
    fn files_are_found_in_every_spelling() {
        assert_eq!(line("template . -f a.yaml --debug"), "template . -f <a.yaml> --debug");
        assert_eq!(line("template -fa.yaml -f=b.yaml"), "template -f<a.yaml> -f<b.yaml>");
        assert_eq!(line("template --values=a.yaml,b.yaml --values c.yaml"), "template --values=<a.yaml>,<b.yaml> --values <c.yaml>");
        assert_eq!(line("template --values=\"a,b.yaml\",c"), "template --values=\"<a,b.yaml>\",<c>");
        assert_eq!(line("template --set-file a.b=x,c=y\\,z --set-file=k=v"), "template --set-file a.b=<x>,c=<y\\,z> --set-file=k=<v>");
        assert_eq!(line("template --set a=b --foo -- -f x"), "template --set a=b --foo -- -f x");
        assert_eq!(line("template -f"), "template -f");
    }

    #[test]
    fn plugins_read_no_pipes() {
        let reads = |text: &str| reads_once(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(reads("template . -f a") && reads("--debug upgrade r ."));
        assert!(!reads("diff upgrade r .") && !reads("--help"));
    }
}
