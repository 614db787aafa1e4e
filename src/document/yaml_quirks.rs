//! Where the YAML 1.2 parser and genuine sops's yaml.v3 disagree: text that yaml.v3 refuses, or reads as another
//! value, is refused here with its position; text that only yaml.v3 reads is normalised for the parser.

use super::block_scalar::BlockScalar;
use super::render::Style;
use super::{Document, Kind as NodeKind, NONE, NodeId, Span};
use crate::error::{Error, Kind, Result};

fn unreadable(source: &str, offset: usize, message: &str) -> Error {
    Error::new(Kind::Unreadable, message).at(source, offset)
}

/// Refuses NUL and other control characters: yaml.v3 takes none, and some parsers end a document at NUL.
pub(super) fn refuse_characters(source: &str) -> Result<()> {
    // Whole chunks at a time: the compiler makes vector code of it.
    let odd = |chunk: &[u8]| {
        chunk.iter().fold(false, |any, byte| any | (*byte < 0x20) & !matches!(byte, b'\t' | b'\n' | b'\r') | (*byte == 0x7f))
    };
    if !source.as_bytes().chunks(64).any(odd) {
        return Ok(());
    }
    let control = source.bytes().position(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r') || byte == 0x7f);
    match control {
        Some(at) => Err(unreadable(source, at, "a control character, YAML allows it only as an escape in double quotes")),
        None => Ok(()),
    }
}

/// Refuses characters that readers of YAML 1.1 take for line breaks and those of 1.2 don't: their meaning differs.
pub(super) fn refuse_foreign_breaks(source: &str) -> Result<()> {
    let bytes = source.as_bytes();
    let foreign = |at: &usize| match bytes[*at] {
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        0xc2 => bytes.get(at + 1) == Some(&0x85),
        _ => bytes.get(at + 1) == Some(&0x80) && matches!(bytes.get(at + 2), Some(0xa8 | 0xa9)),
    };
    let found = memchr::memchr3_iter(b'\r', 0xc2, 0xe2, bytes).find(foreign);
    match found {
        Some(at) => {
            let error = unreadable(source, at, "a line break other than LF or CRLF (a lone CR, NEL, LS or PS), readers disagree on it");
            Err(error.hint("write it as an escape in double quotes, such as \"\\N\" or \"\\L\""))
        }
        None => Ok(()),
    }
}

/// yaml.v3 reads `%YAML 1.1` only.
pub(super) fn refuse_version(source: &str, marker: usize) -> Result<()> {
    let before = &source[..marker];
    let Some(at) = before.rfind("%YAML") else { return Ok(()) };
    let version = before[at + 5..].split_whitespace().next().unwrap_or("");
    if version == "1.1" {
        return Ok(());
    }
    Err(unreadable(source, at, "a %YAML directive of a version other than 1.1, genuine sops refuses the file").hint("delete the line"))
}

/// yaml.v3 wants `---` before content that follows `...`, and a document before `...`.
pub(super) fn refuse_bare_document(source: &str, from: usize, start: usize, explicit: bool, later: bool) -> Result<()> {
    if explicit && later {
        return Ok(());
    }
    let after_end_mark = source[from..start].lines().any(|line| line.starts_with("..."));
    if after_end_mark {
        return Err(unreadable(source, start, "content after `...` without a document before it, or without `---`"));
    }
    Ok(())
}

/// yaml.v3 ends an anchor's name at the first character that isn't a letter, a digit, `_` or `-`; the parser goes on.
/// Where the two differ, the offset at which yaml.v3 goes on with the value.
///
/// # Errors
/// `Unreadable` (2) where yaml.v3 wants a blank.
pub(super) fn end_of_anchor(source: &str, anchor: Span) -> Result<Option<usize>> {
    let name = &source[anchor.range()][1..];
    let Some(at) = name.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))) else { return Ok(None) };
    let stop = anchor.start as usize + 1 + at;
    if at > 0 && matches!(name.as_bytes()[at], b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`') {
        return Ok(Some(stop));
    }
    Err(unreadable(source, stop, "an anchor name with characters other than letters, digits, `-` and `_`"))
}

/// `text` with a blank at each of `places`, as yaml.v3 would read anchors that run into their value.
pub(super) fn split_anchors(text: &str, places: &[usize]) -> Normal {
    let (mut out, mut shifts, mut done) = (String::with_capacity(text.len() + places.len()), Vec::new(), 0);
    for place in places {
        out.push_str(&text[done..*place]);
        shift(&mut shifts, out.len(), -1);
        out.push(' ');
        done = *place;
    }
    out.push_str(&text[done..]);
    Normal { text: out, shifts }
}

/// yaml.v3 refuses a tab where the indentation of a block scalar's line is expected, also on blank lines below the last one,
/// and anywhere above the first.
pub(super) fn refuse_block(source: &str, block: &BlockScalar) -> Result<()> {
    let explicit = super::block_scalar::header_token(source.as_bytes(), block.span.start as usize).iter().any(u8::is_ascii_digit);
    let (mut at, mut started) = (block.body as usize, explicit);
    for line in source[at..].split_inclusive('\n') {
        let text = line.trim_start_matches(' ');
        let column = line.len() - text.len();
        if text.starts_with('\t') && (!started || column < block.indent) {
            return Err(unreadable(source, at, "a tab where the indentation of a block scalar is expected, genuine sops refuses it"));
        }
        if at >= block.after && !text.trim().is_empty() {
            break;
        }
        started |= !text.trim().is_empty();
        at += line.len();
    }
    Ok(())
}

/// What only some readers take inside brackets: plain scalars that start with `:` or hold `?`, tags that run into a
/// comma, keys that are parted from their colon by a line break.
pub(super) fn refuse_in_flow(source: &str, span: Span, style: Style, key: bool, tag: Option<Span>) -> Result<()> {
    let bytes = source.as_bytes();
    let (start, end) = (span.start as usize, span.end as usize);
    if let Some(tag) = tag
        && bytes.get(tag.end as usize).is_some_and(|byte| !byte.is_ascii_whitespace())
    {
        return Err(unreadable(source, tag.start as usize, "a tag without a blank after it, genuine sops refuses it inside brackets"));
    }
    if style == Style::Plain && (bytes[start..end].starts_with(b":") || bytes[start..end].contains(&b'?')) {
        return Err(unreadable(
            source,
            start,
            "a plain value with `?`, or `:` first, inside brackets, genuine sops refuses it or takes it for a key",
        )
        .hint("quote the value"));
    }
    let gap = &source[end..];
    let colon = gap.trim_start();
    let broken = gap[..gap.len() - colon.len()].contains('\n') && colon.starts_with(':');
    let explicit = source[..start].trim_end().ends_with('?');
    if key && broken && !explicit {
        return Err(unreadable(source, start, "a key whose colon stands on another line, genuine sops refuses it"));
    }
    Ok(())
}

/// yaml.v3 knows `%YAML` and `%TAG` only.
pub(super) fn refuse_directives(source: &str, from: usize, marker: usize) -> Result<()> {
    let mut at = from;
    for line in source[from..marker].split_inclusive('\n') {
        let word = line.split_whitespace().next().unwrap_or("");
        if word.starts_with('%') && !matches!(word, "%YAML" | "%TAG") {
            return Err(unreadable(source, at, "a directive other than %YAML and %TAG"));
        }
        at += line.len();
    }
    Ok(())
}

/// yaml.v3 takes no tab where a block's indentation, or the first key of an entry, is expected.
pub(super) fn refuse_tabs(document: &Document<'_>) -> Result<()> {
    let source = document.source;
    if !source.contains('\t') {
        return Ok(());
    }
    let (mut line_start, mut below_comment) = (0, false);
    for line in source.split_inclusive('\n') {
        // Its reader of comments takes tabs, too, once it has met the first one.
        let start = line.trim_start();
        let comment = start.starts_with('#');
        let skipped = comment && below_comment;
        below_comment = comment || below_comment && start.is_empty();
        // The colon of an explicit value (`? key`, `: value`) counts, that of a key like `::` doesn't.
        let value = line.trim_start_matches(' ').strip_prefix(':').is_some_and(|rest| rest.starts_with([' ', '\t']));
        let inside = |c: char| matches!(c, ' ' | '\t' | '-' | '?') || value && c == ':';
        let indentation = line.len() - line.trim_start_matches(inside).len();
        let passed = line.starts_with("---") || skipped;
        if let Some(tab) = line[..indentation].find('\t').filter(|_| !passed) {
            refuse_tab(document, line_start + tab, line)?;
        }
        line_start += line.len();
    }
    Ok(())
}

fn refuse_tab(document: &Document<'_>, at: usize, line: &str) -> Result<()> {
    let next = document.nodes.partition_point(|node| (node.span.start as usize) <= at);
    let Some(previous) = next.checked_sub(1) else {
        return Err(unreadable(document.source, at, TAB));
    };
    let around = |id: &NodeId| {
        let node = document.node(*id);
        (node.kind == NodeKind::Scalar || node.flow) && (at as u32) < node.span.end
    };
    let mut ancestors =
        std::iter::successors(Some(previous as NodeId), |id| Some(document.node(*id).parent).filter(|parent| *parent != NONE));
    let node = document.node(previous as NodeId);
    let column = document.column(at);
    let after_plain = line.trim().is_empty()
        && node.kind == NodeKind::Scalar
        && node.style == Style::Plain
        && column > document.parent_column(previous as NodeId);
    // Below a block scalar every line with a deeper indentation is its content, or skipped.
    let after_block = line.trim().is_empty() && node.is_block_scalar();
    if ancestors.any(|id| around(&id)) || after_plain || after_block {
        return Ok(());
    }
    Err(unreadable(document.source, at, TAB))
}

const TAB: &str = "a tab where only blanks may indent, genuine sops refuses it";

/// Escapes that JSON and YAML 1.2 know and yaml.v3 doesn't.
pub(super) fn refuse_scalar(source: &str, span: Span, style: Style) -> Result<()> {
    if style != Style::Double {
        return Ok(());
    }
    let bytes = &source.as_bytes()[span.range()];
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        let escape = at + found;
        let bad = match bytes.get(escape + 1) {
            Some(b'/') => Some("the escape `\\/`, genuine sops refuses it in YAML"),
            Some(b'u') if surrogate(&bytes[escape + 2..]) => Some("a surrogate pair escape, genuine sops refuses it in YAML"),
            _ => None,
        };
        if let Some(message) = bad {
            return Err(unreadable(source, span.start as usize + escape, message).hint("write the character itself"));
        }
        at = (escape + 2).min(bytes.len());
    }
    Ok(())
}

fn surrogate(hex: &[u8]) -> bool {
    hex.len() >= 2 && matches!(hex[0], b'd' | b'D') && matches!(hex[1], b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F')
}

/// A place where the parsed text differs in length from the source.
#[derive(Clone, Copy)]
pub(super) struct Shift {
    /// Offset in the parsed text.
    pub at: usize,
    /// What to add to offsets behind it to get those of the source.
    pub bytes: isize,
    /// What the shifts before this one add.
    before: isize,
}

fn shift(shifts: &mut Vec<Shift>, at: usize, bytes: isize) {
    let before = shifts.last().map_or(0, |last| last.before + last.bytes);
    shifts.push(Shift { at, bytes, before });
}

/// Text for the parser in which what only yaml.v3 reads is written so that every parser reads the same.
pub(super) struct Normal {
    /// The text to parse.
    pub text: String,
    /// Where it differs, in order.
    pub shifts: Vec<Shift>,
}

/// The offset in the source of an offset in the parsed text.
pub(super) fn original_offset(shifts: &[Shift], at: usize) -> usize {
    let behind = shifts.partition_point(|shift| shift.at < at);
    // What was taken out right here counts, too.
    let here = shifts[behind..].iter().take_while(|shift| shift.at == at && shift.bytes >= 0);
    let last = here.last().or_else(|| shifts[..behind].last());
    at.saturating_add_signed(last.map_or(0, |last| last.before + last.bytes))
}

/// Indents the continuation lines of quoted scalars (yaml.v3 lets them stand at the parent's column), and straightens
/// block scalars of blank lines only that a comment ends. [`None`] if nothing in the text could be meant.
pub(super) fn normalise(source: &str) -> Option<Normal> {
    let mut normal = Normal { text: String::with_capacity(source.len() + 64), shifts: Vec::new() };
    let mut quote = None;
    let mut previous = '\n';
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let taken = match quote {
            None => outside(rest, previous, &mut normal),
            Some('"') if c == '\\' => escaped(rest, &mut normal),
            Some(_) => 0,
        };
        if taken > 0 {
            previous = rest[..taken].chars().next_back().unwrap_or(c);
            rest = &rest[taken..];
            continue;
        }
        match quote {
            None if matches!(c, '\'' | '"') && may_open(&normal.text) => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        normal.text.push(c);
        previous = c;
        rest = &rest[c.len_utf8()..];
        if quote.is_some() && c == '\n' {
            if rest.starts_with("---") || rest.starts_with("...") {
                return None;
            }
            indent(&mut normal);
        }
    }
    (!normal.shifts.is_empty()).then_some(normal)
}

/// Whether a quote may open a scalar here: at the start of a line, or after an indicator.
fn may_open(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let word = line.trim_end();
    word.is_empty() || word.ends_with(['[', '{', ',']) || word.len() < line.len() && word.ends_with([':', '-', '?'])
}

/// Outside of quotes: comments are passed over, and so are the blank lines below a block header.
fn outside(rest: &str, previous: char, normal: &mut Normal) -> usize {
    let line = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
    if rest.starts_with('#') && previous.is_whitespace() {
        normal.text.push_str(&rest[..line]);
        return line;
    }
    if !rest.starts_with(['|', '>']) || previous != ' ' {
        return 0;
    }
    let body = &rest[line..];
    let lines = block_lines(&rest[..line], body, normal);
    if lines > 0 {
        normal.text.push_str(&rest[..line + lines]);
        return line + lines;
    }
    let blank: usize = body.split_inclusive('\n').take_while(|line| line.trim().is_empty()).map(str::len).sum();
    let comment = body[blank..].trim_start_matches(' ');
    if blank == 0 || !comment.starts_with('#') {
        return 0;
    }
    normal.text.push_str(&rest[..line]);
    for line in body[..blank].split_inclusive('\n') {
        remove(line.trim_end_matches('\n').len(), normal);
        normal.text.push('\n');
    }
    let indented = body[blank..].len() - comment.len();
    remove(indented, normal);
    line + blank + indented
}

/// The length of the lines of a block scalar: those as deep as the first, and blank ones between them. 0 without a first
/// line right below the header that is deeper than the header's own.
fn block_lines(header: &str, body: &str, normal: &Normal) -> usize {
    let blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let above = normal.text.rsplit('\n').next().map_or(0, blanks);
    let word = header[1..].split([' ', '\n', '\r']).next().unwrap_or_default();
    let indent = blanks(body);
    if !matches!(word, "" | "-" | "+") || indent <= above || body.trim_start_matches(' ').starts_with(['\n', '\r', '#']) {
        return 0;
    }
    let inside = |line: &&str| blanks(line) >= indent || line.trim_end_matches(['\n', '\r']).is_empty();
    body.split_inclusive('\n').take_while(inside).map(str::len).sum()
}

fn escaped(rest: &str, normal: &mut Normal) -> usize {
    let taken = rest.chars().take(2).map(char::len_utf8).sum();
    normal.text.push_str(&rest[..taken]);
    if rest[..taken].ends_with('\n') {
        indent(normal);
    }
    taken
}

/// More than any block is deep in a file that people write.
const CONTINUATION: &str = "                                        ";

fn indent(normal: &mut Normal) {
    shift(&mut normal.shifts, normal.text.len(), -(CONTINUATION.len() as isize));
    normal.text.push_str(CONTINUATION);
}

fn remove(bytes: usize, normal: &mut Normal) {
    if bytes > 0 {
        shift(&mut normal.shifts, normal.text.len(), bytes as isize);
    }
}
