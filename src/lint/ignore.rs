//! `# kveil-ignore: KV101 reason`: an exception beside what it is for.
//!
//! Behind something it is for that line. On a line of its own it is for what follows, to the end of what is indented below
//! that; before everything else it is for the whole document. An exception without a reason is none.

use std::ops::RangeInclusive;

use super::{Finding, Level, Rule, rules};

/// An exception that says nothing.
pub static WITHOUT_REASON: Rule = Rule::new("KV001", "ignore-without-reason", Level::Warning);

pub(super) const RULES: &[&Rule] = &[&WITHOUT_REASON];

/// What marks an exception.
pub const MARK: &str = "kveil-ignore:";

/// An exception.
pub struct Ignore<'t> {
    /// The comment, from its mark on.
    pub text: &'t str,
    ids: Vec<&'t str>,
    lines: RangeInclusive<usize>,
    /// What it stands at: the keys above and of the first line that it is for, or that it is for a whole document.
    place: String,
}

impl Ignore<'_> {
    /// Whether another text has the same one. One that moved is for something else than what was agreed on.
    pub fn stands_in(&self, other: &str) -> bool {
        read("", other).0.iter().any(|there| self.text == there.text && self.place == there.place)
    }
}

/// The exceptions of a text, and findings about those that don't count.
pub fn read<'t>(name: &str, text: &'t str) -> (Vec<Ignore<'t>>, Vec<Finding>) {
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    if memchr::memmem::find(text.as_bytes(), MARK.as_bytes()).is_none() {
        return (found, wrong);
    }
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some((before, comment)) = line.split_once(MARK).filter(|(before, _)| before.trim_end().ends_with(['#', ';', '/'])) else {
            continue;
        };
        let (ids, reason) = split(comment);
        if ids.is_empty() || reason.is_empty() {
            let mut finding = Finding::of_file(
                &WITHOUT_REASON,
                name,
                "an exception that names no rule or no reason, and doesn't count",
                "# kveil-ignore: KV101 the reason",
            );
            finding.position = Some(crate::error::Position { line: at + 1, column: before.chars().count() + 1 });
            wrong.push(finding);
            continue;
        }
        let alone = before.trim_matches([' ', '\t', '#', ';', '/']).is_empty();
        let covers = if alone { covered(&lines, at) } else { at + 1..=at + 1 };
        let place = place(&lines, at, alone);
        found.push(Ignore { text: comment.trim(), ids, lines: covers, place });
    }
    (found, wrong)
}

/// The ids at the start, and the reason behind them.
fn split(comment: &str) -> (Vec<&str>, &str) {
    let mut rest = comment.trim();
    let mut ids = Vec::new();
    while let Some(word) = rest.split_whitespace().next() {
        let id = word.trim_end_matches([',', ':']);
        if !rules().iter().any(|rule| rule.id == id) {
            break;
        }
        ids.push(id);
        rest = rest.get(word.len()..).unwrap_or_default().trim_start();
    }
    (ids, rest)
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// The lines, from 1, that a comment on the line `at`, from 0, is for.
fn covered(lines: &[&str], at: usize) -> RangeInclusive<usize> {
    let starts = |line: &&str| starts_document(line);
    let end_of_document = || lines.iter().skip(at).position(starts).map_or(lines.len(), |more| at + more);
    let head = lines[..at].iter().rev().take_while(|line| !starts(line)).all(|line| is_blank(line));
    if head {
        return (if lines[..at].iter().any(starts) { at + 1 } else { 0 })..=end_of_document();
    }
    let Some(first) = (at + 1..lines.len()).find(|next| !is_blank(lines[*next])) else { return at + 1..=at + 1 };
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(lines[first]);
    let inside = |line: &&str| is_blank(line) || indent(line) > own || indent(line) == own && line.trim_start().starts_with("- ");
    let below = lines[first + 1..].iter().take_while(|line| inside(line) && !starts(line)).count();
    at + 1..=first + 1 + below
}

fn starts_document(line: &str) -> bool {
    line == "---" || line.starts_with("--- ")
}

/// Where an exception stands, whatever was put in above it.
fn place(lines: &[&str], at: usize, alone: bool) -> String {
    let start = lines[..=at].iter().rposition(|line| starts_document(line)).map_or(0, |line| line + 1);
    let rest = lines.get(start..).unwrap_or_default();
    let document = &rest[..rest.iter().position(|line| starts_document(line)).unwrap_or(rest.len())];
    let says = |key: &str| document.iter().map(|line| line.trim()).find(|line| line.starts_with(key)).unwrap_or_default();
    let object = format!("{}\n{}", says("kind:"), says("name:"));
    let head = alone && lines[start..at].iter().all(|line| is_blank(line));
    let first = if alone { (at + 1..lines.len()).find(|next| !is_blank(lines[*next])) } else { Some(at) };
    match first.filter(|_| !head) {
        Some(first) => format!("{object}\n{alone}{}", keys_above(&lines[start..], first - start)),
        None => object,
    }
}

/// The key of a line, and those that it is indented below.
fn keys_above(lines: &[&str], at: usize) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut keys, mut least) = (String::new(), usize::MAX);
    for line in lines[..=at].iter().rev().filter(|line| !is_blank(line)) {
        if indent(line) < least {
            least = indent(line);
            keys.extend(["\n", line.split([':', '=']).next().unwrap_or_default().trim()]);
        }
    }
    keys
}

/// Takes out what exceptions are for, and says how much that was.
pub fn apply(ignores: &[Ignore<'_>], findings: &mut Vec<Finding>) -> usize {
    let before = findings.len();
    findings.retain(|finding| {
        let line = finding.position.map_or(0, |position| position.line);
        !ignores.iter().any(|ignore| ignore.ids.contains(&finding.rule.id) && ignore.lines.contains(&line))
    });
    before - findings.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str) -> Vec<RangeInclusive<usize>> {
        read("x", text).0.into_iter().map(|ignore| ignore.lines).collect()
    }

    #[test]
    fn a_comment_is_for_its_line_for_what_follows_or_for_the_document() {
        assert_eq!(ranges("a: 1\nb: 2 # kveil-ignore: KV101 test\n"), [2..=2]);
        assert_eq!(ranges("a: 1\n# kveil-ignore: KV101, KV110 test\nb:\n  c: 1\n\n  d: 2\ne: 3\n"), [2..=6]);
        assert_eq!(ranges("# kveil-ignore: KV101 test\na: 1\n---\nb: 1\n"), [0..=2]);
        assert_eq!(ranges("a: 1\n---\n# x\n# kveil-ignore: KV101 test\nb: 1\n"), [4..=5]);
    }

    #[test]
    fn an_exception_that_moved_is_another_one() {
        let same = |old: &str, new: &str| read("x", new).0.iter().all(|ignore| ignore.stands_in(old));
        let text = "kind: Secret\nstringData:\n  a: x # kveil-ignore: KV101 test\n  b: y\n";
        assert!(same(text, &format!("# more\n{}", text.replace("a: x", "a: new").replace("  b: y\n", ""))));
        assert!(!same(text, "kind: Secret\nstringData:\n  a: x\n  b: y # kveil-ignore: KV101 test\n"));
        assert!(!same(text, "# kveil-ignore: KV101 test\nkind: Secret\nstringData:\n  a: x\n  b: y\n"));
        assert!(!same(text, &text.replace("stringData", "data")));
        assert!(!same(
            &format!("{text}---\nkind: Secret\nname: z\n"),
            "kind: Secret\nname: z\nstringData:\n  a: x # kveil-ignore: KV101 test\n"
        ));
    }

    #[test]
    fn an_exception_without_a_reason_is_a_finding() {
        let (found, wrong) = read("x", "a: 1 # kveil-ignore: KV101\nb: 2 # kveil-ignore: KV9 x\nc: 'kveil-ignore: KV101 x'\n");
        assert_eq!((found.len(), wrong.len()), (0, 2));
    }
}
