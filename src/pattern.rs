//! Go's regular expressions (RE2 syntax) on the `regex` crate.
//!
//! The selection rules of sops are Go regexps, searched unanchored. The two syntaxes look
//! alike and differ in many places: Go's `\w`, `\d`, `\s` and `\b` are ASCII, `{a}` and
//! `[a&&b]` are literal text, `a**` is refused. A difference could leave a value in clear
//! which sops encrypts, so the text is parsed here after the rules of Go's `regexp/syntax`
//! and handed to the `regex` crate only in forms that mean the same there.
//!
//! Known differences: the `regex` crate knows a newer Unicode version (a handful of letters
//! gained a category or an upper case there); a pattern that is nested deeper than 100 levels or compiles to more than 64 MiB is
//! refused (Go's limits are higher); a lone surrogate such as `\x{D800}` never matches.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

mod syntax;

use syntax::{Look, Node, parse};

/// The largest count in a repetition, and the largest product of nested counts.
const MAX_REPEAT: u32 = 1000;
/// The deepest nesting of groups and repetitions.
const MAX_HEIGHT: usize = 100;
/// The largest compiled expression, in bytes.
const SIZE_LIMIT: usize = 64 << 20;
/// Up to this [`cost`] a compiled expression is far below [`SIZE_LIMIT`].
const LAZY_COST: u64 = 20_000;
/// The most words a pattern is spelled out to, to be compared without an expression.
const MAX_WORDS: usize = 64;
/// The most characters of a pattern shown in a complaint.
const MAX_SHOWN: usize = 60;
/// A bracket expression that matches nothing.
const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

// The names Go takes after `\p`, as `canonicalName` of `regexp/syntax` leaves them, but in
// lower case. Scripts of several words are missing: Go drops the underscore from
// the name it looks up and then no longer finds them.
const CATEGORIES: &str = "\
    c cc cf cn co l lc ll lm lo lt lu m mc me mn n nd nl no p pc pd pe pf pi po ps s sc sk sm so \
    z zl zp zs casedletter closepunctuation cntrl combiningmark connectorpunctuation control \
    currencysymbol dashpunctuation decimalnumber digit enclosingmark finalpunctuation format \
    initialpunctuation letter letternumber lineseparator lowercaseletter mark mathsymbol \
    modifierletter modifiersymbol nonspacingmark number openpunctuation other otherletter \
    othernumber otherpunctuation othersymbol paragraphseparator privateuse punct punctuation \
    separator spaceseparator spacingmark symbol titlecaseletter unassigned uppercaseletter \
    assigned";
const SCRIPTS: &str = "\
    adlam ahom arabic armenian avestan balinese bamum batak bengali bhaiksuki bopomofo brahmi \
    braille buginese buhid carian chakma cham cherokee chorasmian common coptic cuneiform \
    cypriot cyrillic deseret devanagari dogra duployan elbasan elymaic ethiopic georgian \
    glagolitic gothic grantha greek gujarati gurmukhi han hangul hanunoo hatran hebrew hiragana \
    inherited javanese kaithi kannada katakana kawi kharoshthi khmer khojki khudawadi lao latin \
    lepcha limbu lisu lycian lydian mahajani makasar malayalam mandaic manichaean marchen \
    medefaidrin miao modi mongolian mro multani myanmar nabataean nandinagari newa nko nushu \
    ogham oriya osage osmanya palmyrene phoenician rejang runic samaritan saurashtra sharada \
    shavian siddham sinhala sogdian soyombo sundanese syriac tagalog tagbanwa takri tamil tangsa \
    tangut telugu thaana thai tibetan tifinagh tirhuta toto ugaritic vai vithkuqi wancho \
    yezidi yi";
const POSIX: &str = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";

/// A compiled pattern with the meaning it has in Go.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

/// What is wrong with a pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// The complaint in plain words, with the offending part and its byte offset.
    pub message: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Reads a pattern in Go's syntax; refuses what Go refuses.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let matcher = matcher(&parse(text)?)?;
        let text = text.to_owned();
        Ok(Self { text, matcher })
    }

    /// Whether the pattern matches anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Globs(_, engine) if text.contains('\n') => engine.is_match(text),
            Matcher::Words(branches) | Matcher::Globs(branches, _) => branches.iter().any(|branch| branch.is_match(text)),
            Matcher::Engine(engine) => engine.is_match(text),
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[derive(Debug, Clone)]
enum Matcher {
    /// Plain words, compared one by one: compiling an expression takes far longer
    /// than comparing all the keys of a usual file.
    Words(Vec<Branch>),
    /// Words with `.*` in them. A text with a newline, where `.` may stop, is left to
    /// the engine.
    Globs(Vec<Branch>, Engine),
    Engine(Engine),
}

/// The pieces of a text between which anything may stand.
type Word = Vec<String>;

/// Words that all stand between the same anchors.
#[derive(Debug, Clone)]
struct Branch {
    start: bool,
    end: bool,
    words: Vec<Word>,
}

impl Branch {
    fn is_match(&self, text: &str) -> bool {
        self.words.iter().any(|word| self.fits(word, text))
    }

    /// Finds the pieces one after the other. Taking the leftmost place for each but the last
    /// leaves the most room for the others.
    fn fits(&self, word: &[String], text: &str) -> bool {
        let Some((last, before)) = word.split_last() else {
            return true;
        };
        let mut rest = text;
        let mut fixed = self.start;
        for piece in before {
            let tail = match fixed {
                true => rest.strip_prefix(piece.as_str()),
                false => rest.split_once(piece.as_str()).map(|(_, tail)| tail),
            };
            let Some(tail) = tail else { return false };
            rest = tail;
            fixed = false;
        }
        match (fixed, self.end) {
            (true, true) => rest == last,
            (true, false) => rest.starts_with(last),
            (false, true) => rest.ends_with(last),
            (false, false) => rest.contains(last),
        }
    }

    fn has_gaps(&self) -> bool {
        self.words.iter().any(|word| word.len() > 1)
    }
}

fn matcher(node: &Node) -> Result<Matcher, PatternError> {
    Ok(match branches(node) {
        Some(branches) if branches.iter().any(Branch::has_gaps) => Matcher::Globs(branches, Engine::new(node)?),
        Some(branches) => Matcher::Words(branches),
        None => Matcher::Engine(Engine::new(node)?),
    })
}

/// The words of a pattern without any operator that needs the expression engine.
fn branches(node: &Node) -> Option<Vec<Branch>> {
    let branches: Vec<_> = match node {
        Node::Alternate(nodes) => nodes.iter().map(branch).collect::<Option<_>>()?,
        _ => vec![branch(node)?],
    };
    let count: usize = branches.iter().map(|branch| branch.words.len()).sum();
    (count <= MAX_WORDS).then_some(branches)
}

fn branch(node: &Node) -> Option<Branch> {
    let nodes = node.sequence();
    let (start, nodes) = match nodes {
        [Node::Look(Look::TextStart), rest @ ..] => (true, rest),
        _ => (false, nodes),
    };
    let (end, nodes) = match nodes {
        [rest @ .., Node::Look(Look::TextEnd)] => (true, rest),
        _ => (false, nodes),
    };
    let words = spell_sequence(nodes)?;
    Some(Branch { start, end, words })
}

/// All the words a node matches, if they are few.
fn spell(node: &Node) -> Option<Vec<Word>> {
    let words = match node {
        Node::Literal { c, fold: false } => vec![vec![c.to_string()]],
        Node::Sequence(nodes) => spell_sequence(nodes)?,
        Node::Alternate(nodes) => {
            let lists: Vec<_> = nodes.iter().map(spell).collect::<Option<_>>()?;
            lists.concat()
        }
        Node::Repeat { node, min, max } => spell_repeat(node, *min, *max)?,
        _ => return None,
    };
    (words.len() <= MAX_WORDS).then_some(words)
}

fn spell_repeat(node: &Node, min: u32, max: Option<u32>) -> Option<Vec<Word>> {
    let is_dot = matches!(node, Node::Dot { .. });
    match (min, max) {
        (0, None) if is_dot => Some(vec![vec![String::new(); 2]]),
        (0, Some(1)) => {
            let mut words = spell(node)?;
            words.push(vec![String::new()]);
            Some(words)
        }
        _ => None,
    }
}

fn spell_sequence(nodes: &[Node]) -> Option<Vec<Word>> {
    let mut words = vec![vec![String::new()]];
    for node in nodes {
        let tails = spell(node)?;
        if words.len() * tails.len() > MAX_WORDS {
            return None;
        }
        words = join_words(words, &tails);
    }
    Some(words)
}

fn join_words(mut words: Vec<Word>, tails: &[Word]) -> Vec<Word> {
    if let [tail] = tails {
        words.iter_mut().for_each(|word| append(word, tail));
        return words;
    }
    let mut joined = Vec::with_capacity(words.len() * tails.len());
    for word in &words {
        for tail in tails {
            let mut word = word.clone();
            append(&mut word, tail);
            joined.push(word);
        }
    }
    joined
}

/// Puts `tail` behind `word`: the pieces that meet become one.
fn append(word: &mut Word, tail: &[String]) {
    if let (Some(end), Some((first, others))) = (word.last_mut(), tail.split_first()) {
        end.push_str(first);
        word.extend_from_slice(others);
    }
}

/// A pattern for the `regex` crate.
///
/// It searches bytes because only there the ASCII `\B` is allowed; everything else in
/// the pattern matches whole characters.
#[derive(Debug, Clone)]
struct Engine {
    source: String,
    /// There is a `\B`, which can hold inside a character.
    inside: bool,
    regex: OnceLock<Regex>,
}

impl Engine {
    fn new(node: &Node) -> Result<Self, PatternError> {
        let mut engine = Self { source: String::new(), inside: false, regex: OnceLock::new() };
        engine.write(node);
        if cost(node) > LAZY_COST {
            let regex = engine
                .compile()
                .map_err(|_| PatternError { message: format!("expression too large: it needs more than {SIZE_LIMIT} bytes") })?;
            engine.regex = OnceLock::from(regex);
        }
        Ok(engine)
    }

    fn compile(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.source).size_limit(SIZE_LIMIT).nest_limit(8 * MAX_HEIGHT as u32).build()
    }

    fn is_match(&self, text: &str) -> bool {
        let regex = self.regex.get_or_init(|| match self.compile() {
            Ok(regex) => regex,
            // The source is valid by its making and its cost is checked. An answer made
            // up here could leave a value in clear, so there is none.
            Err(error) => unreachable!("a translated pattern does not compile: {error}"),
        });
        if !self.inside {
            return regex.is_match(text.as_bytes());
        }
        let mut matches = regex.find_iter(text.as_bytes());
        matches.any(|found| text.is_char_boundary(found.start()))
    }

    /// Appends `node` in the syntax of the `regex` crate, as one item of a sequence.
    fn write(&mut self, node: &Node) {
        match node {
            Node::Literal { c, fold: false } => push_escaped(&mut self.source, u32::from(*c)),
            Node::Literal { c, fold: true } => {
                self.source.push_str("(?i:");
                push_escaped(&mut self.source, u32::from(*c));
                self.source.push(')');
            }
            Node::Class { text, fold: false } => self.source.push_str(text),
            Node::Class { text, fold: true } => self.source += &format!("(?i:{text})"),
            Node::Dot { newline: false } => self.source.push('.'),
            Node::Dot { newline: true } => self.source.push_str("(?s:.)"),
            Node::Look(look) => self.write_look(*look),
            Node::Sequence(nodes) => nodes.iter().for_each(|node| self.write(node)),
            Node::Alternate(nodes) => self.write_alternate(nodes),
            Node::Repeat { node, min, max } => self.write_repeat(node, *min, *max),
        }
    }

    fn write_look(&mut self, look: Look) {
        self.inside |= look == Look::NotWordBoundary;
        self.source.push_str(match look {
            Look::TextStart => r"\A",
            Look::TextEnd => r"\z",
            Look::LineStart => "(?m:^)",
            Look::LineEnd => "(?m:$)",
            Look::WordBoundary => r"(?-u:\b)",
            Look::NotWordBoundary => r"(?-u:\B)",
        });
    }

    fn write_alternate(&mut self, nodes: &[Node]) {
        let mut separator = "(?:";
        for node in nodes {
            self.source.push_str(separator);
            self.write(node);
            separator = "|";
        }
        self.source.push(')');
    }

    fn write_repeat(&mut self, node: &Node, min: u32, max: Option<u32>) {
        self.source.push_str("(?:");
        self.write(node);
        let _ = match max {
            Some(max) => write!(self.source, "){{{min},{max}}}"),
            None => write!(self.source, "){{{min},}}"),
        };
    }
}

/// A measure of the size of the compiled expression, in hundreds of bytes or so.
fn cost(node: &Node) -> u64 {
    match node {
        Node::Literal { .. } | Node::Look(_) => 1,
        Node::Dot { .. } => 10,
        Node::Class { text, .. } => 10 * text.len() as u64,
        Node::Sequence(nodes) | Node::Alternate(nodes) => 1 + nodes.iter().map(cost).sum::<u64>(),
        Node::Repeat { node, min, max } => {
            let copies = max.unwrap_or(*min).max(1);
            cost(node).saturating_mul(u64::from(copies))
        }
    }
}

/// Appends a code point so that no syntax can take it for an operator.
fn push_escaped(out: &mut String, c: u32) {
    match char::from_u32(c) {
        Some(c) if c.is_ascii_alphanumeric() => out.push(c),
        _ => *out += &format!(r"\x{{{c:X}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../testdata/patterns.tsv");

    /// Undoes Go's `strconv.Quote` as far as the table uses it.
    fn unquote(quoted: &str) -> String {
        let mut out = String::new();
        let mut chars = quoted[1..quoted.len() - 1].chars();
        while let Some(c) = chars.next() {
            out.push(match (c, c == '\\') {
                (_, true) => unescape(&mut chars),
                (c, false) => c,
            });
        }
        out
    }

    fn unescape(chars: &mut std::str::Chars<'_>) -> char {
        match chars.next().unwrap() {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'x' => {
                let digits: String = chars.take(2).collect();
                char::from(u8::from_str_radix(&digits, 16).unwrap())
            }
            c => c,
        }
    }

    fn answer(pattern: &str, input: &str) -> &'static str {
        match Pattern::new(pattern) {
            Err(_) => "error",
            Ok(pattern) if pattern.is_match(input) => "match",
            Ok(_) => "no",
        }
    }

    #[test]
    fn the_answers_are_those_of_go() {
        let mut rows = 0;
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<_> = line.split('\t').collect();
            let [pattern, input, expected] = columns[..] else {
                panic!("not three columns: {line}");
            };
            assert_eq!(answer(&unquote(pattern), &unquote(input)), expected, "{line}");
            rows += 1;
        }
        assert!(rows > 500, "{rows}");
    }

    #[test]
    fn every_listed_name_compiles() {
        for name in CATEGORIES.split(' ').chain(SCRIPTS.split(' ')) {
            for pattern in [format!(r"\p{{{name}}}"), format!(r"(?i)[^\P{{{name}}}]")] {
                let engine = Engine::new(&parse(&pattern).unwrap()).unwrap();
                assert!(engine.compile().is_ok(), "{pattern}");
            }
        }
        for name in POSIX.split(' ') {
            assert!(Pattern::new(&format!("[[:{name}:][:^{name}:]]")).unwrap().is_match("x"));
        }
    }

    #[test]
    fn usual_patterns_do_without_the_engine() {
        for pattern in ["^(data|stringData)$", "^password$", r"\.ya?ml$", "secret", "^(a|b)|c$", "(?i)^_1$"] {
            let matcher = Pattern::new(pattern).unwrap().matcher;
            assert!(matches!(matcher, Matcher::Words(_)), "{pattern}");
        }
        for pattern in ["^.*_key$", r"secrets/.*\.yaml$", "^(password|.*token.*)$"] {
            let matcher = Pattern::new(pattern).unwrap().matcher;
            assert!(matches!(matcher, Matcher::Globs(..)), "{pattern}");
        }
    }

    #[test]
    fn the_words_and_the_engine_agree() {
        let inputs = ["", "ab", "aab", "aabb", "xaby", "abcab", "a\nb", "ba", "cab"];
        for pattern in ["a.*b", "^a.*b$", "^a.*|b$", "a.*b.*c?ab$", "^.*$", ".*ab.*", "(a|b).*a$"] {
            let pattern = Pattern::new(pattern).unwrap();
            let engine = Engine::new(&parse(pattern.as_str()).unwrap()).unwrap();
            for input in inputs {
                let both = (pattern.is_match(input), engine.is_match(input));
                assert_eq!(both.0, both.1, "{} on {input:?}", pattern.as_str());
            }
        }
    }

    #[test]
    fn complaints_name_the_part_and_its_offset() {
        let message = |pattern: &str| Pattern::new(pattern).unwrap_err().to_string();
        assert_eq!(message("ab("), "missing closing ): `(` at byte 2");
        assert_eq!(message(r"é\C"), r"invalid escape sequence: `\C` at byte 2");
        assert_eq!(message("a**"), "invalid nested repetition operator: `*` at byte 2");
        assert_eq!(message("[b-a]"), "invalid character class range: `b-a` at byte 1");
        assert_eq!(message("(?x\u{1b})"), "invalid or unsupported Perl syntax: `(?x` at byte 0");
    }

    #[test]
    fn huge_patterns_are_refused_or_compile_at_once() {
        let too_large = format!("{}x", r"\pL{1000}".repeat(20));
        assert!(Pattern::new(&too_large).unwrap_err().message.starts_with("expression too large"));
        let Matcher::Engine(engine) = Pattern::new(r"\pL{600}").unwrap().matcher else {
            panic!("no engine");
        };
        assert!(engine.regex.get().is_some());
    }

    #[test]
    fn deep_nesting_is_refused_and_does_no_harm() {
        for depth in [MAX_HEIGHT, 100_000] {
            let pattern = format!("{}a{}", "(?:".repeat(depth), ")+".repeat(depth));
            let message = Pattern::new(&pattern).unwrap_err().message;
            assert!(message.starts_with("expression nests too deeply"), "{message}");
        }
        let open = "(".repeat(100_000);
        assert!(Pattern::new(&open).is_err());
        let deep = format!("{}a{}", "(?:".repeat(80), ")+".repeat(80));
        assert!(Pattern::new(&deep).unwrap().is_match("a"));
    }

    #[test]
    fn the_text_is_kept() {
        assert_eq!(Pattern::new("^(a|b)$").unwrap().as_str(), "^(a|b)$");
    }
}
