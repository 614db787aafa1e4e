//! YAML as most Secrets are written, read line by line: a mapping of plain keys to one-line values, block scalars,
//! lists and comments. Builds the index that [`super::yaml`] builds through the parser, several times faster, and
//! gives up on the whole file at anything else, or in doubt: the parser then reads it and finds the words for errors.

use std::hash::BuildHasher;

use memchr::{memchr, memchr2, memchr2_iter, memchr3_iter};

use super::render::Style;
use super::resolve::{self, Type};
use super::{Comment, Document, Kind, NONE, Node, NodeId, Part, Role, Span, Text, comment, yaml};

/// Deeper files are left to the parser, which has the limit.
const MAX_DEPTH: usize = 100;
/// Far below the length up to which the parser looks for a key's colon.
const MAX_KEY: usize = 256;
/// The parser bounds comments; files with more than these are its own.
const MAX_COMMENTS: usize = 1 << 19;

/// The index of `source`, or [`None`] if it isn't certain that the parser would build the same. Control characters
/// must have been refused before.
pub(super) fn parse(source: &str) -> Option<Document<'_>> {
    let tabs = match memchr2(b'\r', b'\t', source.as_bytes()) {
        Some(at) if memchr(b'\r', &source.as_bytes()[at..]).is_some() => return None,
        found => found.is_some(),
    };
    if has_odd_characters(source) {
        return None;
    }
    let mut reader = Reader::new(source, tabs);
    reader.lines()?;
    let Reader { mut document, .. } = reader;
    comment::place(&mut document);
    Some(document)
}

/// Whether there are characters that some reader takes for a line break, a mark or nothing at all: C1 controls with
/// NEL, LS and PS, byte order marks and non-characters.
fn has_odd_characters(source: &str) -> bool {
    let bytes = source.as_bytes();
    !source.is_ascii()
        && memchr3_iter(0xc2, 0xe2, 0xef, bytes).any(|at| match &bytes[at..] {
            [0xc2, second, ..] => *second < 0xa0,
            [0xe2, second, third, ..] => *second == 0x80 && matches!(third, 0xa8 | 0xa9),
            [_, second, third, ..] => matches!((second, third), (0xbb, 0xbf) | (0xbf, 0xbe | 0xbf)),
            _ => true,
        })
}

/// A collection whose end hasn't been seen yet.
struct Open {
    id: NodeId,
    column: usize,
    sequence: bool,
}

struct Reader<'s> {
    document: Document<'s>,
    bytes: &'s [u8],
    /// Whether lines must be searched for tabs.
    tabs: bool,
    open: Vec<Open>,
    /// The last key has no value yet.
    pending: bool,
    /// Where the last node ends.
    cursor: usize,
    /// The hash of a mapping's keys, and room for the hashes.
    state: foldhash::fast::RandomState,
    hashes: Vec<u64>,
}

impl<'s> Reader<'s> {
    fn new(source: &'s str, tabs: bool) -> Reader<'s> {
        Reader {
            document: Document::empty(source, &yaml::Yaml),
            bytes: source.as_bytes(),
            tabs,
            open: Vec::new(),
            pending: false,
            cursor: 0,
            state: foldhash::fast::RandomState::default(),
            hashes: Vec::new(),
        }
    }

    fn lines(&mut self) -> Option<()> {
        let mut line = 0;
        while line < self.bytes.len() {
            let end = self.line_end(line);
            let first = self.skip_blanks(line, end);
            line = match self.bytes[first..end] {
                [] if end == self.bytes.len() => return None,
                [] => end + 1,
                [b'#', ..] => self.comment(first, end)?,
                [b'-', b'-', b'-'] if first == line => self.marker(line)?,
                _ => self.entry(line, first, end)?,
            };
        }
        if self.document.parts.is_empty() {
            return None;
        }
        self.end_of_part(self.bytes.len())
    }

    fn line_end(&self, from: usize) -> usize {
        memchr(b'\n', &self.bytes[from..]).map_or(self.bytes.len(), |newline| from + newline)
    }

    fn skip_blanks(&self, from: usize, end: usize) -> usize {
        from + self.bytes[from..end].iter().take_while(|byte| **byte == b' ').count()
    }

    /// A comment up to the end of its line. All line readers give the start of the line to go on with.
    fn comment(&mut self, start: usize, end: usize) -> Option<usize> {
        let document = self.document.parts.len().saturating_sub(1) as u32;
        let span = Span::new(start, end);
        if self.document.comments.len() >= MAX_COMMENTS {
            return None;
        }
        let comment = Comment { span, document, container: NONE, element: NONE, inline: false, certain: false };
        self.document.comments.push(comment);
        Some(end + 1)
    }

    /// A `---` line.
    fn marker(&mut self, line: usize) -> Option<usize> {
        if !self.document.parts.is_empty() {
            self.end_of_part(line)?;
        }
        self.start_part(line + 3);
        Some(line + 4)
    }

    fn start_part(&mut self, start: usize) {
        self.cursor = start;
        self.document.parts.push(Part { root: NONE, end: 0 });
    }

    fn end_of_part(&mut self, end: usize) -> Option<()> {
        self.settle_value();
        while !self.open.is_empty() {
            self.close()?;
        }
        if self.document.parts.last()?.root == NONE {
            self.omitted(Role::Root);
        }
        self.document.parts.last_mut()?.end = end as u32;
        Some(())
    }

    /// A line with a key or a list item, which starts at `first`.
    fn entry(&mut self, line: usize, first: usize, end: usize) -> Option<usize> {
        if self.tabs && memchr(b'\t', &self.bytes[line..end]).is_some() {
            return None;
        }
        if self.document.parts.is_empty() {
            self.start_part(first);
        }
        let dash = self.bytes[first] == b'-';
        self.enter(dash, first - line, first)?;
        if dash { self.item(line, first, end) } else { self.pair(first, end) }
    }

    /// Closes what ends above a line with this column, and opens the collection that starts with it.
    fn enter(&mut self, dash: bool, column: usize, first: usize) -> Option<()> {
        let below = |open: &Open| open.column < column || open.column == column && dash;
        if self.pending && self.open.last().is_some_and(below) {
            return self.open(dash, column, first, Role::Value);
        }
        self.settle_value();
        while self.open.last().is_some_and(|open| open.column > column || open.column == column && open.sequence && !dash) {
            self.close()?;
        }
        match self.open.last() {
            Some(open) => (open.column == column && open.sequence == dash).then_some(()),
            None if dash || self.document.parts.last()?.root != NONE => None,
            None => self.open(false, column, first, Role::Root),
        }
    }

    fn open(&mut self, sequence: bool, column: usize, first: usize, role: Role) -> Option<()> {
        let kind = if sequence { Kind::Sequence } else { Kind::Mapping };
        let id = self.node(kind, Style::Plain, role, Span::new(first, first));
        self.pending = false;
        self.open.push(Open { id, column, sequence });
        (self.open.len() < MAX_DEPTH).then_some(())
    }

    fn close(&mut self) -> Option<()> {
        let Open { id, sequence, .. } = self.open.pop()?;
        let end = self.document.nodes.len() as NodeId;
        let node = &mut self.document.nodes[id as usize];
        (node.end, node.span.end) = (end, self.cursor as u32);
        if sequence { Some(()) } else { self.distinct(id) }
    }

    /// Gives up if a key may stand twice.
    fn distinct(&mut self, mapping: NodeId) -> Option<()> {
        let keys = || self.document.entries(mapping).map(|(key, _)| self.document.text(key).as_bytes());
        // Most mappings are in order already.
        if keys().is_sorted_by(|one, next| one < next) {
            return Some(());
        }
        self.hashes.clear();
        self.hashes.extend(keys().map(|key| self.state.hash_one(key)));
        self.hashes.sort_unstable();
        self.hashes.windows(2).all(|pair| pair[0] != pair[1]).then_some(())
    }

    /// `- x` or `- key: value`.
    fn item(&mut self, line: usize, dash: usize, end: usize) -> Option<usize> {
        let start = self.skip_blanks(dash + 1, end);
        if start == dash + 1 || start == end {
            return None;
        }
        if self.key_end(start, end).is_none() {
            return self.value(start, end, Role::Item);
        }
        self.open(false, start - line, start, Role::Item)?;
        self.pair(start, end)
    }

    /// `key:` with or without a value.
    fn pair(&mut self, start: usize, end: usize) -> Option<usize> {
        let colon = self.key_end(start, end)?;
        let key = &self.document.source[start..colon];
        if resolve::resolve(key, true, None).ok()?.kind != Type::Str {
            return None;
        }
        self.leaf(Style::Plain, Role::Key, Span::new(start, colon), Span::new(start, colon));
        let rest = self.skip_blanks(colon + 1, end);
        if rest < end && self.bytes[rest] != b'#' {
            return self.value(rest, end, Role::Value);
        }
        self.pending = true;
        if rest < end { self.comment(rest, end) } else { Some(end + 1) }
    }

    /// The colon behind a plain key.
    fn key_end(&self, start: usize, end: usize) -> Option<usize> {
        let line = &self.bytes[start..end];
        let len = line.iter().position(|byte| !KEY[*byte as usize])?;
        let plain = len > 0 && len <= MAX_KEY && line[0] != b'-';
        (plain && line[len] == b':' && line.get(len + 1).is_none_or(|byte| *byte == b' ')).then_some(start + len)
    }

    fn value(&mut self, start: usize, end: usize, role: Role) -> Option<usize> {
        let close = match self.bytes[start] {
            b'|' | b'>' => return self.block(start, end, role),
            b'"' => self.quoted(Style::Double, start, end, role)?,
            b'\'' => self.quoted(Style::Single, start, end, role)?,
            b'{' | b'[' => self.empty_flow(start, end, role)?,
            _ => self.plain(start, end, role)?,
        };
        let rest = self.skip_blanks(close, end);
        match self.bytes[rest..end] {
            [] => Some(end + 1),
            [b'#', ..] if rest > close => self.comment(rest, end),
            _ => None,
        }
    }

    /// Quotes on one line without escapes.
    fn quoted(&mut self, style: Style, start: usize, end: usize, role: Role) -> Option<usize> {
        let (quote, inside) = (self.bytes[start], &self.bytes[start + 1..end]);
        let len = match style {
            Style::Double => memchr2(quote, b'\\', inside).filter(|at| inside[*at] == quote)?,
            // Two quotes in a row, which stand for one, leave something behind the first.
            _ => memchr(quote, inside)?,
        };
        let close = start + 1 + len;
        self.leaf(style, role, Span::new(start, close + 1), Span::new(start + 1, close));
        Some(close + 1)
    }

    /// `{}` or `[]`.
    fn empty_flow(&mut self, start: usize, end: usize, role: Role) -> Option<usize> {
        let kind = match self.bytes[start..end] {
            [b'{', b'}', ..] => Kind::Mapping,
            [b'[', b']', ..] => Kind::Sequence,
            _ => return None,
        };
        let id = self.node(kind, Style::Plain, role, Span::new(start, start + 2));
        self.document.nodes[id as usize].flow = true;
        self.cursor = start + 2;
        Some(start + 2)
    }

    /// A plain value, up to the blanks before a comment or the end of the line.
    fn plain(&mut self, start: usize, end: usize, role: Role) -> Option<usize> {
        let text = &self.bytes[start..end];
        let first = if text[0] == b'-' { *text.iter().find(|byte| **byte != b'-')? } else { text[0] };
        if !PLAIN[first as usize] {
            return None;
        }
        let len = plain_len(text)?;
        let blanks = text[..len].iter().rev().take_while(|byte| **byte == b' ').count();
        let span = Span::new(start, start + len - blanks);
        self.leaf(Style::Plain, role, span, span);
        Some(start + len - blanks)
    }

    /// A literal or folded scalar without an indentation indicator or a comment in its header.
    fn block(&mut self, start: usize, end: usize, role: Role) -> Option<usize> {
        let (style, chomp) = match self.bytes[start..end] {
            [b'|', ref chomp @ ..] => (Style::Literal, chomp),
            [_, ref chomp @ ..] => (Style::Folded, chomp),
            [] => return None,
        };
        let body = (end + 1).min(self.bytes.len());
        let indent = self.skip_blanks(body, self.bytes.len()) - body;
        if !matches!(chomp, [] | [b'-' | b'+']) || indent <= self.open.last()?.column {
            return None;
        }
        if self.document.arena.capacity() == 0 {
            // Decoded text is never longer: the arena won't move and leave copies behind.
            self.document.arena.make_room(self.bytes.len() - body);
        }
        let text_start = self.document.arena.len();
        let lines = self.block_lines(style, body, indent)?;
        let stop = if chomp == b"+" { lines.after - 1 } else { lines.end };
        let text = self.block_text(&lines, chomp, text_start);
        let id = self.node(Kind::Scalar, style, role, Span::new(start, stop));
        let node = &mut self.document.nodes[id as usize];
        (node.text, node.aux) = (text, body as u32);
        self.cursor = lines.after;
        Some(lines.after)
    }

    /// The value whose lines, unless it is but one, are in the arena from `start`; puts its last line breaks there.
    fn block_text(&mut self, lines: &Lines, chomp: &[u8], start: usize) -> Text {
        match lines.only {
            // One line, as a token is: its text and its line break stand in the source.
            Some(line) if chomp == b"-" => return Text::of_source(line),
            Some(line) if chomp.is_empty() || lines.blank == 0 => return Text::of_source(Span { start: line.start, end: line.end + 1 }),
            Some(line) => self.document.arena.push_str(&self.document.source[line.range()]),
            None => {}
        }
        match chomp {
            [b'-'] => {}
            [b'+'] => self.keep(1 + lines.blank, '\n'),
            _ => self.keep(1, '\n'),
        }
        Text { start: start as u32, len: (self.document.arena.len() - start) as u32, owned: true }
    }

    /// Decodes the lines of a block scalar, all but its last line break; a single line is left where it is.
    fn block_lines(&mut self, style: Style, body: usize, indent: usize) -> Option<Lines> {
        let mut lines = Lines { end: body, after: body, blank: 0, only: None };
        while lines.after < self.bytes.len() {
            let line = lines.after;
            let end = self.line_end(line);
            let first = self.skip_blanks(line, end);
            if first < end && first < line + indent {
                break;
            }
            // Blank lines above the first line, blanks beyond the indentation, and a last line without its break
            // are the parser's.
            if end == self.bytes.len() || first == end && (first > line + indent || line == body) {
                return None;
            }
            lines.after = end + 1;
            if first == end {
                lines.blank += 1;
                continue;
            }
            self.block_line(style, &mut lines, first == line + indent, Span::new(line + indent, end), line == body)?;
            (lines.end, lines.blank) = (end, 0);
        }
        (lines.end > body).then_some(lines)
    }

    /// One line with content, and the breaks before it.
    fn block_line(&mut self, style: Style, lines: &mut Lines, flush: bool, text: Span, first: bool) -> Option<()> {
        // yaml.v3 refuses a tab at the start of the first line; folds leave indented lines alone.
        let (tab, folded) = (self.bytes[text.start as usize] == b'\t', style == Style::Folded);
        if tab && (first || folded) || folded && !flush {
            return None;
        }
        if first {
            lines.only = Some(text);
            return Some(());
        }
        if let Some(line) = lines.only.take() {
            self.document.arena.push_str(&self.document.source[line.range()]);
        }
        match style {
            Style::Folded if lines.blank == 0 => self.keep(1, ' '),
            Style::Folded => self.keep(lines.blank, '\n'),
            _ => self.keep(1 + lines.blank, '\n'),
        }
        self.document.arena.push_str(&self.document.source[text.range()]);
        Some(())
    }

    fn keep(&mut self, times: usize, character: char) {
        (0..times).for_each(|_| self.document.arena.push(character));
    }

    /// A key without a value has a null, which stands right behind the key.
    fn settle_value(&mut self) {
        if self.pending {
            self.omitted(Role::Value);
        }
    }

    fn omitted(&mut self, role: Role) {
        self.pending = false;
        self.node(Kind::Scalar, Style::Plain, role, Span::new(self.cursor, self.cursor));
    }

    /// A scalar whose decoded text is a piece of the source.
    fn leaf(&mut self, style: Style, role: Role, span: Span, text: Span) {
        let id = self.node(Kind::Scalar, style, role, span);
        self.document.nodes[id as usize].text = Text::of_source(text);
        self.cursor = span.end as usize;
    }

    fn node(&mut self, kind: Kind, style: Style, role: Role, span: Span) -> NodeId {
        let id = self.document.nodes.len() as NodeId;
        let document = self.document.parts.len() as u32 - 1;
        let parent = self.open.last().map_or(NONE, |open| open.id);
        if role == Role::Root {
            self.document.parts[document as usize].root = id;
        }
        let node = Node { kind, style, flow: false, role, document, parent, end: id + 1, span, aux: 0, text: Text::default(), props: 0 };
        self.document.push(node)
    }
}

/// The length of a plain value up to a comment; [`None`] if something in it looks like a key.
fn plain_len(text: &[u8]) -> Option<usize> {
    if text.ends_with(b":") {
        return None;
    }
    // Tokens and most secrets are a single word.
    let Some(blank) = memchr(b' ', text) else { return Some(text.len()) };
    if blank > 0 && text[blank - 1] == b':' {
        return None;
    }
    for at in memchr2_iter(b':', b'#', &text[blank..]).map(|at| blank + at) {
        match text[at] {
            b'#' if text[at - 1] == b' ' => return Some(at),
            b':' if text.get(at + 1) == Some(&b' ') => return None,
            _ => {}
        }
    }
    Some(text.len())
}

/// The lines of a block scalar.
struct Lines {
    /// Where the last line with content ends, before its line break.
    end: usize,
    /// Where the first line that isn't its own starts.
    after: usize,
    /// Blank lines behind the last line with content.
    blank: usize,
    /// The line with content, while there is but one.
    only: Option<Span>,
}

/// Characters of a key that needs no quotes.
const KEY: [bool; 256] = table(b"_./-", false);

/// What may start a plain value: no indicator of any reader.
const PLAIN: [bool; 256] = table(b"_./+=$(^~<;\\", true);

/// Letters, digits and `others`, and perhaps all that isn't ASCII.
const fn table(others: &[u8], beyond_ascii: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || beyond_ascii && byte >= 0x80;
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use super::*;
    use crate::document::yaml_quirks;

    /// Everything that an index holds, as text.
    fn shown(document: &Document<'_>) -> String {
        let mut out = String::new();
        for (id, node) in document.nodes.iter().enumerate() {
            let Node { kind, style, flow, role, document: part, parent, end, span, aux, props, .. } = node;
            let text = document.text(id as NodeId);
            writeln!(out, "{id} {kind:?} {style:?} {flow} {role:?} {part} {parent} {end} {span:?} {aux} {props} {text:?}").unwrap();
        }
        for Comment { span, document, container, element, inline, certain } in &document.comments {
            writeln!(out, "# {span:?} {document} {container} {element} {inline} {certain}").unwrap();
        }
        for Part { root, end } in &document.parts {
            writeln!(out, "--- {root} {end}").unwrap();
        }
        writeln!(out, "{} {:?} {}", document.format.name(), document.newline, document.props.len()).unwrap();
        out
    }

    /// Whether the text is read here; panics if the parser builds another index.
    fn taken(source: &str) -> bool {
        if source.is_empty() || yaml_quirks::refuse_characters(source).is_err() {
            return false;
        }
        let Some(document) = parse(source) else { return false };
        match yaml::parse_events(source) {
            Ok(wanted) => assert_eq!(shown(&document), shown(&wanted), "{source:?}"),
            Err(error) => panic!("the parser refuses it ({}): {source:?}", error.message),
        }
        true
    }

    fn files(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "yaml")
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                found.push((path.display().to_string(), text));
            }
        }
    }

    fn corpus() -> Vec<(String, String)> {
        let mut found = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata"), &mut found);
        found.sort();
        found
    }

    static CORPUS: OnceLock<Vec<(String, String)>> = OnceLock::new();

    /// Pieces of lines as they stand in Secrets, and pieces that break them.
    const PIECES: [&str; 64] = [
        "apiVersion: v1\n",
        "kind: Secret\n",
        "metadata:\n",
        "  name: app\n",
        "data:\n",
        "  key: dmFsdWU=\n",
        "stringData:\n",
        "a: b\n",
        "b:\n",
        "  c: d\n",
        "  d:\n",
        "    e: 1\n",
        "c: |\n",
        "  text\n",
        "    deeper\n",
        "d: >-\n",
        "  k: |+\n",
        "\n",
        "---\n",
        "- x\n",
        "- y: 1\n",
        "  - z\n",
        "  - w: |-\n",
        "      v\n",
        "# note\n",
        "  # note\n",
        "e: 'q'\n",
        "f: \"q\"\n",
        "g: ENC[AES256_GCM,data:x,iv:y==,type:str]\n",
        "h: {}\n",
        "i: []\n",
        "j: x # note\n",
        "k: # note\n",
        "    # note\n",
        " ",
        "  ",
        "    ",
        "\n",
        "x",
        "é",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
        "\u{85}",
        ": ",
        " #",
        "#",
        "-",
        "- ",
        "|",
        ">",
        "'",
        "\"",
        "&",
        "*",
        "!",
        "?",
        "{}",
        "[]",
        ",",
        "\t",
        "\r",
        "...\n",
        "%",
    ];

    /// The text with a piece put in, or a few bytes taken away or replaced, at each place.
    fn mutated(base: &str, changes: &[(usize, usize, usize)]) -> String {
        let mut text = base.to_owned();
        for (place, cut, piece) in changes {
            let boundary = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            let start = boundary(place % (text.len() + 1));
            let end = boundary((start + cut).min(text.len()));
            text.replace_range(start..end, PIECES.get(*piece).unwrap_or(&""));
        }
        text
    }

    fn changes() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
        prop::collection::vec((0..1_usize << 20, 0..4_usize, 0..PIECES.len() + 16), 0..4)
    }

    #[test]
    fn no_file_of_the_corpus_is_read_differently() {
        let corpus = corpus();
        let read: Vec<&str> = corpus.iter().filter(|(_, text)| taken(text)).map(|(name, _)| name.as_str()).collect();
        assert!(corpus.len() > 300 && read.len() > 200, "{} of {}", read.len(), corpus.len());
        let encrypted = read.iter().filter(|name| name.ends_with("encrypted.yaml")).count();
        assert!(encrypted > 50, "{encrypted} encrypted files");
    }
    #[test]
    fn common_shapes_are_taken() {
        let shapes = [
            "a: b",
            "a: b\n",
            "a:\nb:\n",
            "---\na: b\n---\n# none\n---\nc: d\n---\n",
            "# head\n---\na: b # beside\n# foot\n",
            "a: # beside a key\n  b: c\n\n  # foot\nd: e\n",
            "a:\n- b\n- c: d\n  e:\n  - f\ng:\n  - h # note\n  # above\n  - i: j\n",
            "a: 'single: #\\ \"'\nb: \"double: # '\"\nc: \"\"\nd: ''\n",
            ".dockerconfigjson: '{\"auths\":{\"registry.example.com\":{\"auth\":\"a\\\"b\"}}}'\n",
            "a: ENC[AES256_GCM,data:Zm9v,iv:YmFy+/=,tag:cXV4==,type:str]\nb: -5\nc: -----BEGIN\nd: http://x/#y?z=1&q\ne: ünï c*de!\n",
            "a: |\n  one\n\n    two\n  \n\n# not its own\nb: |-\n   three\nc: |+\n four\n\nd: >\n  five\n  six\n\n  seven\n",
            "a:\n  b: >-\n    # text\n    x\n  c:\n    - |\n      \u{e9}\t1\n      \tx\n    - d: >+\n        y\n\n",
            "#\tnote\na: one two#three x:y # note: #\n",
            "kms: []\ngcp_kms: [] # none\nemptyDir: {}\na:\n  - {}\n",
            "a.b/c-d_E: x   \n1a: y\n_: z\n",
        ];
        for shape in shapes {
            assert!(taken(shape), "not taken: {shape:?}");
        }
    }

    #[test]
    fn all_else_is_left_to_the_parser() {
        let shapes = [
            "",
            "# only\n",
            "- list\n",
            "text\n",
            "a: b\r\n",
            "\u{feff}a: b\n",
            "a: b\u{85}c\n",
            "a:\tb\n",
            "a: b\n  c\n",
            "a: b: c\n",
            "a: b:\n",
            "a: \"b\nc\"\n",
            "a: \"\\n\"\n",
            "a: 'it''s'\n",
            "a: \"b\" c\n",
            "a: \"b\"#c\n",
            "a: &b c\n",
            "a: *b\n",
            "a: !!str 1\n",
            "a: {b: c}\n",
            "? a\n: b\n",
            "\"a\": b\n",
            "a : b\n",
            "a:b\n",
            "<<: b\n",
            "true: b\n",
            "null: b\n",
            "1: b\n",
            ".5: b\n",
            "2020-01-01: b\n",
            "...\n",
            "--- a\n",
            "%YAML 1.1\n---\na: b\n",
            "a: b\na: c\n",
            "b: 1\na: 2\nb: 3\n",
            "a:\n  b: c\n d: e\n",
            "a:\n-\n- b\n",
            "a:\n- - b\n",
            "a: |2\n   b\n",
            "a: | # note\n  b\n",
            "a: |\n\n  b\n",
            "a: |\nb: c\n",
            "a: |\n  b",
            "a: |\n  b\n    \n",
            "a: >\n  b\n    c\n",
            "a: >\n  b\n  \tc\n",
            "a: b\u{2028}c\n",
            "a: b\u{fffe}c\n",
            "a: |\n  \tb\n",
            "  a: b\nc: d\n",
            "a: b\n  ",
        ];
        for shape in shapes {
            assert!(!taken(shape), "taken: {shape:?}");
        }
        let deep: String = (0..MAX_DEPTH).map(|level| format!("{:level$}a:\n", "")).collect();
        assert!(!taken(&deep));
    }

    #[test]
    fn keys_that_stand_twice_are_found_among_many() {
        let mut text: String = (0..1000).map(|key| format!("k{}: v\n", key * 7 % 1000)).collect();
        assert!(taken(&text));
        text.push_str("k500: v\n");
        assert!(!taken(&text));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn no_nearly_common_text_is_read_differently(
            lines in prop::collection::vec(0..PIECES.len(), 0..12),
            changes in changes(),
        ) {
            let text: String = lines.into_iter().map(|piece| PIECES[piece % 38]).collect();
            taken(&mutated(&text, &changes));
        }

        #[test]
        fn no_changed_file_is_read_differently(file in any::<prop::sample::Index>(), from in 0..40_usize, changes in changes()) {
            let corpus = CORPUS.get_or_init(corpus);
            let lines = file.get(corpus).1.split_inclusive('\n').skip(from % 20 * (from / 20)).take(30);
            taken(&mutated(&lines.collect::<String>(), &changes));
        }
    }
}
