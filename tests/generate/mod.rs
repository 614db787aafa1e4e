//! Random YAML of every style, as text: block and flow, all kinds of scalars, comments everywhere, anchors and aliases, several
//! documents, line ends, byte order mark, no final newline.

use proptest::prelude::*;

/// Words that are no one's keyword; each value of five and more letters is looked for in the encrypted file.
const WORDS: [&str; 12] =
    ["alpha", "bravo-two", "charlie", "delta_4", "echo", "foxtrot.net", "golf/hotel", "india", "juliett", "kilo@lima", "Ærø", "秘密"];
/// Plain scalars that are no strings, or look as if they weren't.
const SPELLINGS: [&str; 38] = [
    "1",
    "-7",
    "0x1F",
    "0o17",
    "0777",
    "1_000",
    "+5",
    "9223372036854775807",
    "08",
    "0b101",
    "1.0",
    "1.50",
    "1e3",
    ".5",
    "5.",
    ".inf",
    "-.INF",
    ".nan",
    "true",
    "True",
    "FALSE",
    "yes",
    "No",
    "on",
    "y",
    "null",
    "~",
    "2020-01-01",
    "2020-1-1",
    "2001-12-14t21:59:43.10-05:00",
    "2020-01-01 12:00:00",
    "1:30",
    "1.2.3",
    "0x",
    "1e400",
    "-",
    "=",
    "<<x",
];
const COMMENTS: [&str; 8] =
    ["# note", "#tight", "#", "# password is sesame-open", "#  two  spaces", "## twice", "# a: b", "# \"quoted\" 'text' [x]"];

/// What stands around an entry.
#[derive(Clone, Debug)]
pub struct Around {
    /// Lines before it: comments and blank lines (empty).
    before: Vec<String>,
    /// At the end of its line.
    beside: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Node {
    /// A scalar on its line: the text as it is spelled.
    Inline(String),
    /// A plain or quoted scalar of several lines; each is indented, an empty one stays empty.
    Lines(Vec<String>),
    /// A block scalar: its indicator (`|` or `>`), its chomping, an indentation digit or none, its lines.
    Block {
        indicator: char,
        chomping: &'static str,
        digit: Option<usize>,
        lines: Vec<String>,
    },
    Map(Vec<(String, Node, Around)>),
    List(Vec<(Node, Around)>),
    /// A flow collection, on one line.
    Flow(String),
    /// The anchor of this number before the node.
    Anchor(u8, Box<Node>),
    /// An alias; where no anchor precedes it, it becomes a word.
    Alias(u8),
    /// A tag before a scalar.
    Tagged(&'static str, Box<Node>),
}

/// A file: documents and how its bytes are written.
#[derive(Clone)]
pub struct File {
    documents: Vec<Node>,
    indent: usize,
    /// Whether lists stand at the column of their key.
    flush_lists: bool,
    crlf: bool,
    bom: bool,
    final_newline: bool,
    start_marker: bool,
    foot: Vec<String>,
}

fn word() -> impl Strategy<Value = String> {
    (prop::sample::select(&WORDS[..]), 0u16..1000).prop_map(|(word, number)| format!("{word}{number}"))
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 1..4).prop_map(|words| words.join(" "))
}

fn inline() -> impl Strategy<Value = Node> {
    prop_oneof![
        4 => text(),
        3 => prop::sample::select(&SPELLINGS[..]).prop_map(str::to_owned),
        2 => text().prop_map(|text| format!("'{text}'")),
        1 => text().prop_map(|text| format!("'it''s {text} # no comment: really'")),
        2 => text().prop_map(|text| format!("\"{text}\"")),
        1 => text().prop_map(|text| format!("\"\\t{text}\\n\\x41\\u00e9\\U0001F511\\\\ \\\"\"")),
        1 => prop::sample::select(&SPELLINGS[..]).prop_map(|text| format!("\"{text}\"")),
        1 => Just(String::new()),
        1 => Just("\"\"".to_owned()),
        1 => Just("''".to_owned()),
        1 => Just("[]".to_owned()),
        1 => Just("{}".to_owned()),
    ]
    .prop_map(Node::Inline)
}

fn lines() -> impl Strategy<Value = Node> {
    let body = prop::collection::vec(prop_oneof![5 => text(), 1 => Just(String::new())], 1..4);
    (text(), body, text(), 0..3usize).prop_map(|(first, body, last, style)| {
        let quote = ["", "'", "\""][style];
        let mut lines = vec![format!("{quote}{first}")];
        lines.extend(body);
        lines.push(format!("{last}{quote}"));
        Node::Lines(lines)
    })
}

fn block() -> impl Strategy<Value = Node> {
    let line = prop_oneof![6 => text(), 2 => text().prop_map(|text| format!("  {text}")), 1 => Just(String::new()), 1 => text().prop_map(|text| format!("{text}  ")), 1 => text().prop_map(|text| format!("# {text}")), 1 => text().prop_map(|text| format!("a\t{text}"))];
    (
        prop::bool::ANY,
        prop::sample::select(&["", "-", "+"][..]),
        prop::option::weighted(0.2, 1..5usize),
        text(),
        prop::collection::vec(line, 0..5),
        0..3usize,
    )
        .prop_map(|(folded, chomping, digit, first, mut lines, blank)| {
            lines.insert(0, first);
            lines.extend(vec![String::new(); blank]);
            Node::Block { indicator: if folded { '>' } else { '|' }, chomping, digit, lines }
        })
}

fn flow() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        3 => word(),
        1 => prop::sample::select(&["1", "0x1F", "true", "null", "1.50", "2020-01-01", "yes"][..]).prop_map(str::to_owned),
        2 => text().prop_map(|text| format!("'{text}'")),
        2 => text().prop_map(|text| format!("\"{text}\"")),
    ];
    let tree = leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(inner, 0..4).prop_map(|items| {
                let entries: Vec<String> = items.iter().enumerate().map(|(at, item)| format!("f{at}: {item}")).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    });
    prop::collection::vec(tree, 0..4).prop_map(|items| Node::Flow(format!("[{}]", items.join(" , "))))
}

fn around() -> impl Strategy<Value = Around> {
    let comment = || prop::sample::select(&COMMENTS[..]).prop_map(str::to_owned);
    let before = prop::collection::vec(prop_oneof![comment(), Just(String::new())], 0..3);
    (prop_oneof![2 => Just(Vec::new()), 1 => before], prop::option::weighted(0.25, comment()))
        .prop_map(|(before, beside)| Around { before, beside })
}

fn key(at: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(format!("k{at}")),
        1 => Just(format!("\"key {at}\"")),
        1 => Just(format!("'k-{at}'")),
        1 => Just(format!("k{at}_unencrypted")),
        1 => Just(format!("k.{at}/x y")),
    ]
}

fn map(inner: impl Strategy<Value = Node> + Clone, entries: std::ops::Range<usize>) -> impl Strategy<Value = Node> {
    prop::collection::vec((inner, around()), entries)
        .prop_flat_map(|entries| {
            entries.into_iter().enumerate().map(|(at, (node, around))| (key(at), Just(node), Just(around))).collect::<Vec<_>>()
        })
        .prop_map(Node::Map)
}

fn node() -> impl Strategy<Value = Node> {
    let scalar = prop_oneof![
        8 => inline(),
        2 => lines(),
        3 => block(),
        2 => flow(),
        1 => (0u8..3).prop_map(Node::Alias),
        1 => (prop::sample::select(&["!custom", "!!str", "!x/y"][..]), text()).prop_map(|(tag, text)| Node::Tagged(tag, Box::new(Node::Inline(text)))),
    ];
    scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            3 => map(inner.clone(), 1..5),
            2 => prop::collection::vec((inner.clone(), around()), 1..5).prop_map(Node::List),
            1 => (0u8..3, inner).prop_map(|(number, node)| Node::Anchor(number, Box::new(node))),
        ]
    })
}

/// Files that mostly are what genuine sops accepts.
pub fn file() -> impl Strategy<Value = File> {
    let documents =
        prop_oneof![3 => Just(1usize), 1 => 2..4usize].prop_flat_map(|count| prop::collection::vec(map(node().boxed(), 1..6), count));
    let foot = prop::collection::vec(prop::sample::select(&COMMENTS[..]).prop_map(str::to_owned), 0..2);
    let flags = (
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
    );
    (documents, 1..5usize, flags, foot).prop_map(|(documents, indent, (flush_lists, crlf, bom, final_newline, start_marker), foot)| File {
        documents,
        indent: indent.max(2),
        flush_lists,
        crlf,
        bom,
        final_newline,
        start_marker,
        foot,
    })
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes()))
    }
}

impl File {
    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer { out: String::new(), indent: self.indent, flush_lists: self.flush_lists, anchors: Vec::new() };
        for (at, document) in self.documents.iter().enumerate() {
            if at > 0 || self.start_marker {
                writer.out.push_str("---\n");
            }
            writer.anchors.clear();
            writer.collection(document, 0);
        }
        let mut text = writer.out;
        for line in &self.foot {
            text.push_str(line);
            text.push('\n');
        }
        if !self.final_newline {
            text.truncate(text.trim_end_matches('\n').len());
        }
        if self.crlf {
            text = text.replace('\n', "\r\n");
        }
        if self.bom { format!("\u{feff}{text}") } else { text }.into_bytes()
    }
}

struct Writer {
    out: String,
    indent: usize,
    flush_lists: bool,
    anchors: Vec<u8>,
}

impl Writer {
    fn pad(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    fn before(&mut self, around: &Around, column: usize) {
        for line in &around.before {
            if !line.is_empty() {
                self.pad(column);
            }
            self.out.push_str(line);
            self.out.push('\n');
        }
    }

    fn end(&mut self, around: &Around) {
        if let Some(comment) = &around.beside {
            self.out.push(' ');
            self.out.push_str(comment);
        }
        self.out.push('\n');
    }

    /// The entries of a block collection whose first line begins at `column`.
    fn collection(&mut self, node: &Node, column: usize) {
        match node {
            Node::Map(entries) => {
                for (key, value, around) in entries {
                    self.before(around, column);
                    self.pad(column);
                    self.out.push_str(key);
                    self.out.push(':');
                    self.value(value, column, true, around);
                }
            }
            Node::List(items) => {
                for (item, around) in items {
                    self.before(around, column);
                    self.pad(column);
                    self.out.push('-');
                    self.value(item, column, false, around);
                }
            }
            _ => {}
        }
    }

    /// What follows `key:` or `-` at `column`, to the end of its last line.
    fn value(&mut self, node: &Node, column: usize, in_map: bool, around: &Around) {
        match node {
            Node::Inline(text) | Node::Flow(text) => {
                self.word(text);
                self.end(around);
            }
            Node::Lines(lines) => {
                self.word(&lines[0]);
                for line in &lines[1..] {
                    self.out.push('\n');
                    if !line.is_empty() {
                        self.pad(column + self.indent);
                        self.out.push_str(line);
                    }
                }
                self.end(around);
            }
            Node::Block { indicator, chomping, digit, lines } => {
                let digit = digit.map(|digit| digit.max(1));
                self.word(&format!("{indicator}{}{chomping}", digit.map(|digit| digit.to_string()).unwrap_or_default()));
                self.end(around);
                let depth = column + digit.unwrap_or(self.indent);
                for line in lines {
                    if !line.is_empty() {
                        self.pad(depth);
                        self.out.push_str(line);
                    }
                    self.out.push('\n');
                }
            }
            Node::Map(_) => {
                self.end(around);
                self.collection(node, column + self.indent);
            }
            Node::List(_) => {
                self.end(around);
                let deeper = if in_map && self.flush_lists { 0 } else { self.indent };
                self.collection(node, column + deeper);
            }
            Node::Anchor(number, inner) => {
                self.word(&format!("&x{number}"));
                match **inner {
                    // Two anchors before one node, or one before an alias, are no YAML.
                    Node::Anchor(..) | Node::Alias(_) => {
                        self.word("anchored");
                        self.end(around);
                    }
                    ref inner => self.value(inner, column, in_map, around),
                }
                self.anchors.push(*number);
            }
            Node::Alias(number) => {
                let name = if self.anchors.contains(number) { format!("*x{number}") } else { format!("word{number}") };
                self.word(&name);
                self.end(around);
            }
            Node::Tagged(tag, inner) => {
                self.word(tag);
                self.value(inner, column, in_map, around);
            }
        }
    }

    fn word(&mut self, text: &str) {
        if !text.is_empty() {
            self.out.push(' ');
            self.out.push_str(text);
        }
    }
}
