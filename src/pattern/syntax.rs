//! Go's `regexp/syntax`: pattern text to a tree, refusing what Go refuses.

use super::*;

/// A parsed expression. Groups and greediness leave no trace: they do not change whether
/// something matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Literal {
        c: char,
        fold: bool,
    },
    /// A class in the syntax of the `regex` crate, good inside and outside of brackets.
    Class {
        text: String,
        fold: bool,
    },
    Dot {
        newline: bool,
    },
    Look(Look),
    Sequence(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NotWordBoundary,
}

impl Node {
    pub(super) fn sequence(&self) -> &[Self] {
        match self {
            Self::Sequence(nodes) => nodes,
            node => std::slice::from_ref(node),
        }
    }

    pub(super) fn children(&self) -> &[Self] {
        match self {
            Self::Sequence(nodes) | Self::Alternate(nodes) => nodes,
            Self::Repeat { node, .. } => std::slice::from_ref(node),
            _ => &[],
        }
    }

    pub(super) fn height(&self) -> usize {
        let below = self.children().iter().map(Self::height).max();
        1 + below.unwrap_or(0)
    }

    /// The largest product of nested counts, as `repeatIsValid` of `regexp/syntax` counts.
    pub(super) fn copies(&self) -> u32 {
        let below = self.children().iter().map(Self::copies).max().unwrap_or(1);
        match self {
            Self::Repeat { max: Some(0), .. } => 1,
            // `*`, `+` and `?` count as 1 here.
            Self::Repeat { min, max, .. } => below.saturating_mul(max.unwrap_or(*min).max(1)),
            _ => below,
        }
    }
}

/// The settings of `(?ims)`. `U` is not kept: greediness does not matter here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) fold: bool,
    pub(super) multi_line: bool,
    pub(super) dot_newline: bool,
}

impl Flags {
    /// Changes one flag; false if there is no such flag.
    pub(super) fn set(&mut self, flag: char, on: bool) -> bool {
        match flag {
            'i' => self.fold = on,
            'm' => self.multi_line = on,
            's' => self.dot_newline = on,
            'U' => {}
            _ => return false,
        }
        true
    }
}

/// An open group, or the whole expression.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) offset: usize,
    /// The flags to go back to at the end of the group.
    pub(super) flags: Flags,
    pub(super) alternatives: Vec<Node>,
    pub(super) items: Vec<Node>,
}

impl Group {
    pub(super) fn end_alternative(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        self.alternatives.push(match items.len() {
            1 => items.remove(0),
            _ => Node::Sequence(items),
        });
    }

    pub(super) fn finish(mut self) -> Node {
        self.end_alternative();
        match self.alternatives.len() {
            1 => self.alternatives.remove(0),
            _ => Node::Alternate(self.alternatives),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Node, PatternError> {
    let mut parser = Parser { text, offset: 0, flags: Flags::default(), outer: Vec::new(), group: Group::default(), repeated: false };
    while let Some(c) = parser.peek() {
        parser.repeated = parser.token(c)?;
    }
    parser.finish()
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) offset: usize,
    pub(super) flags: Flags,
    pub(super) outer: Vec<Group>,
    pub(super) group: Group,
    /// The last token was a repetition operator, so another one is refused.
    pub(super) repeated: bool,
}

impl<'a> Parser<'a> {
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.offset += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.offset += prefix.len();
        }
        found
    }

    /// A complaint about the text from `start` up to here.
    pub(super) fn error(&self, what: &str, start: usize) -> PatternError {
        let part = printable(&self.text[start..self.offset]);
        PatternError { message: format!("{what}: `{part}` at byte {start}") }
    }

    pub(super) fn push(&mut self, node: Node) {
        self.group.items.push(node);
    }

    pub(super) fn push_char(&mut self, c: char) {
        // Without case, folding would only keep the word from being compared plainly.
        let cased = !c.is_ascii() || c.is_ascii_alphabetic();
        let fold = self.flags.fold && cased;
        self.push(Node::Literal { c, fold });
    }

    pub(super) fn push_class(&mut self, text: String) {
        let fold = self.flags.fold;
        self.push(Node::Class { text, fold });
    }

    /// Reads one token that begins with `c`; true if it is a repetition operator.
    pub(super) fn token(&mut self, c: char) -> Result<bool, PatternError> {
        match c {
            '(' => self.open_group()?,
            ')' => self.close_group()?,
            '[' => self.class()?,
            '\\' => self.escape()?,
            '*' | '+' | '?' => return self.repeat_operator(),
            '{' => return self.counted_repeat(),
            _ => self.plain_token(c),
        }
        Ok(false)
    }

    pub(super) fn plain_token(&mut self, c: char) {
        self.offset += c.len_utf8();
        let newline = self.flags.dot_newline;
        match c {
            '|' => self.group.end_alternative(),
            '.' => self.push(Node::Dot { newline }),
            '^' if self.flags.multi_line => self.push(Node::Look(Look::LineStart)),
            '^' => self.push(Node::Look(Look::TextStart)),
            '$' if self.flags.multi_line => self.push(Node::Look(Look::LineEnd)),
            '$' => self.push(Node::Look(Look::TextEnd)),
            _ => self.push_char(c),
        }
    }

    pub(super) fn finish(mut self) -> Result<Node, PatternError> {
        if !self.outer.is_empty() {
            let offset = self.group.offset;
            return Err(self.error("missing closing )", offset));
        }
        let node = std::mem::take(&mut self.group).finish();
        self.check_height(&node, 0)?;
        Ok(node)
    }

    pub(super) fn check_height(&self, node: &Node, start: usize) -> Result<(), PatternError> {
        if node.height() > MAX_HEIGHT {
            return Err(self.error("expression nests too deeply", start));
        }
        Ok(())
    }

    /// `(`, `(?:`, `(?flags:`, `(?flags)`, `(?P<name>` or `(?<name>`.
    pub(super) fn open_group(&mut self) -> Result<(), PatternError> {
        let offset = self.offset;
        let outside = self.flags;
        if self.eat("(?P<") || self.eat("(?<") {
            self.group_name(offset)?;
        } else if self.eat("(?") {
            if self.flags(offset)? == ')' {
                return Ok(());
            }
        } else {
            self.offset += 1;
        }
        let inner = Group { offset, flags: outside, ..Group::default() };
        self.outer.push(std::mem::replace(&mut self.group, inner));
        Ok(())
    }

    pub(super) fn group_name(&mut self, start: usize) -> Result<(), PatternError> {
        let name = self.rest().split('>').next().unwrap_or_default();
        self.offset += name.len();
        let closed = self.eat(">");
        let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if !closed || name.is_empty() || !name.chars().all(is_word) {
            return Err(self.error("invalid named capture", start));
        }
        Ok(())
    }

    /// Reads flags up to and with the `:` or `)`, and returns that.
    pub(super) fn flags(&mut self, start: usize) -> Result<char, PatternError> {
        let mut flags = self.flags;
        let mut on = true;
        let mut dangling = false;
        while let Some(c) = self.next() {
            match c {
                ':' | ')' if !dangling => {
                    self.flags = flags;
                    return Ok(c);
                }
                '-' if on => {
                    on = false;
                    dangling = true;
                }
                c if flags.set(c, on) => dangling = false,
                _ => break,
            }
        }
        Err(self.error("invalid or unsupported Perl syntax", start))
    }

    pub(super) fn close_group(&mut self) -> Result<(), PatternError> {
        let start = self.offset;
        self.offset += 1;
        let Some(outer) = self.outer.pop() else {
            return Err(self.error("unexpected )", start));
        };
        let group = std::mem::replace(&mut self.group, outer);
        self.flags = group.flags;
        let start = group.offset;
        let node = group.finish();
        self.check_height(&node, start)?;
        self.push(node);
        Ok(())
    }

    /// `*`, `+` or `?`.
    pub(super) fn repeat_operator(&mut self) -> Result<bool, PatternError> {
        let start = self.offset;
        let (min, max) = match self.next() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            _ => (0, Some(1)),
        };
        self.repeat(min, max, start)
    }

    /// `{2}`, `{2,}` or `{2,3}`; a brace that begins none of them stands for itself.
    pub(super) fn counted_repeat(&mut self) -> Result<bool, PatternError> {
        let start = self.offset;
        let Some((min, max, length)) = counts(self.rest()) else {
            self.offset += 1;
            self.push_char('{');
            return Ok(false);
        };
        self.offset += length;
        if min.max(max.unwrap_or(0)) > MAX_REPEAT || max.is_some_and(|max| min > max) {
            return Err(self.error("invalid repeat count", start));
        }
        self.repeat(min, max, start)
    }

    pub(super) fn repeat(&mut self, min: u32, max: Option<u32>, start: usize) -> Result<bool, PatternError> {
        self.eat("?");
        if self.repeated {
            return Err(self.error("invalid nested repetition operator", start));
        }
        let Some(operand) = self.group.items.pop() else {
            return Err(self.error("missing argument to repetition operator", start));
        };
        let node = Box::new(operand);
        let node = Node::Repeat { node, min, max };
        self.check_height(&node, start)?;
        if node.copies() > MAX_REPEAT {
            return Err(self.error("invalid repeat count", start));
        }
        self.push(node);
        Ok(true)
    }

    /// A backslash outside of brackets.
    pub(super) fn escape(&mut self) -> Result<(), PatternError> {
        if self.eat(r"\Q") {
            self.quoted();
        } else if self.eat(r"\A") {
            self.push(Node::Look(Look::TextStart));
        } else if self.eat(r"\z") {
            self.push(Node::Look(Look::TextEnd));
        } else if self.eat(r"\b") {
            self.push(Node::Look(Look::WordBoundary));
        } else if self.eat(r"\B") {
            self.push(Node::Look(Look::NotWordBoundary));
        } else if let Some(class) = self.class_escape()? {
            self.push_class(class);
        } else {
            let c = self.char_escape()?;
            match char::from_u32(c) {
                Some(c) => self.push_char(c),
                None => self.push_class(NOTHING.to_owned()),
            }
        }
        Ok(())
    }

    /// The text after `\Q`, up to `\E` or the end.
    pub(super) fn quoted(&mut self) {
        let literal = self.rest().split(r"\E").next().unwrap_or_default();
        literal.chars().for_each(|c| self.push_char(c));
        self.offset += literal.len();
        self.eat(r"\E");
    }

    /// An escape for a whole class: `\d`, `\pN`, `\p{Greek}` and the like.
    pub(super) fn class_escape(&mut self) -> Result<Option<String>, PatternError> {
        let perl = match self.rest().as_bytes() {
            [b'\\', b'p' | b'P', ..] => return self.unicode_class().map(Some),
            [b'\\', b'd', ..] => "[0-9]",
            [b'\\', b'D', ..] => "[^0-9]",
            [b'\\', b's', ..] => r"[\t\n\f\r\x20]",
            [b'\\', b'S', ..] => r"[^\t\n\f\r\x20]",
            [b'\\', b'w', ..] => "[0-9A-Za-z_]",
            [b'\\', b'W', ..] => "[^0-9A-Za-z_]",
            _ => return Ok(None),
        };
        self.offset += 2;
        Ok(Some(perl.to_owned()))
    }

    pub(super) fn unicode_class(&mut self) -> Result<String, PatternError> {
        let start = self.offset;
        let negated = self.eat(r"\P");
        self.offset += if negated { 0 } else { 2 };
        let name = self.unicode_name();
        let class = name.and_then(|name| match name.strip_prefix('^') {
            Some(name) => unicode_class_text(name, !negated),
            None => unicode_class_text(name, negated),
        });
        class.ok_or_else(|| self.error("invalid character class range", start))
    }

    /// The name after `\p`: in braces, or one character.
    pub(super) fn unicode_name(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        if let Some(braced) = rest.strip_prefix('{') {
            let (name, _) = braced.split_once('}')?;
            self.offset += name.len() + 2;
            return Some(name);
        }
        let length = self.next()?.len_utf8();
        Some(&rest[..length])
    }

    /// An escape for one character. It may be a surrogate, which no text contains.
    pub(super) fn char_escape(&mut self) -> Result<u32, PatternError> {
        let start = self.offset;
        self.offset += 1;
        let Some(c) = self.next() else {
            return Err(self.error("trailing backslash", start));
        };
        let value = match c {
            '0'..='7' => self.octal(c),
            'x' => self.hexadecimal(),
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        value.ok_or_else(|| self.error("invalid escape sequence", start))
    }

    /// Up to three octal digits; a single one but 0 would be a back-reference.
    pub(super) fn octal(&mut self, first: char) -> Option<u32> {
        let mut value = first.to_digit(8)?;
        let mut digits = 1;
        while digits < 3
            && let Some(digit) = self.peek().and_then(|c| c.to_digit(8))
        {
            value = value * 8 + digit;
            digits += 1;
            self.offset += 1;
        }
        (digits > 1 || first == '0').then_some(value)
    }

    /// Two hexadecimal digits, or any number of them in braces.
    pub(super) fn hexadecimal(&mut self) -> Option<u32> {
        let rest = self.rest();
        let (digits, length) = match rest.strip_prefix('{') {
            Some(braced) => {
                let (digits, _) = braced.split_once('}')?;
                (digits, digits.len() + 2)
            }
            None => (rest.get(..2)?, 2),
        };
        let value = code_point(digits)?;
        self.offset += length;
        Some(value)
    }

    /// A bracket expression. A `]` in first place stands for itself.
    pub(super) fn class(&mut self) -> Result<(), PatternError> {
        let start = self.offset;
        self.offset += 1;
        let mut text = String::from("[");
        if self.eat("^") {
            text.push('^');
        }
        loop {
            self.class_item(&mut text, start)?;
            if self.eat("]") {
                break;
            }
        }
        text.push(']');
        self.push_class(text);
        Ok(())
    }

    pub(super) fn class_item(&mut self, out: &mut String, class: usize) -> Result<(), PatternError> {
        if let Some(name) = self.posix_class()? {
            out.push_str(name);
        } else if let Some(group) = self.class_escape()? {
            out.push_str(&group);
        } else {
            self.class_range(out, class)?;
        }
        Ok(())
    }

    /// `[:name:]` or `[:^name:]`. Go looks for the end of the name in all of the rest;
    /// without one the bracket stands for itself.
    pub(super) fn posix_class(&mut self) -> Result<Option<&'a str>, PatternError> {
        let rest = self.rest();
        let tail = rest.strip_prefix("[:");
        let Some((name, _)) = tail.and_then(|tail| tail.split_once(":]")) else {
            return Ok(None);
        };
        let start = self.offset;
        self.offset += name.len() + 4;
        if !lists(POSIX, name.strip_prefix('^').unwrap_or(name)) {
            return Err(self.error("invalid character class range", start));
        }
        Ok(Some(&rest[..name.len() + 4]))
    }

    /// One character, or two with a `-` between them.
    pub(super) fn class_range(&mut self, out: &mut String, class: usize) -> Result<(), PatternError> {
        let start = self.offset;
        let low = self.class_char(class)?;
        let mut high = low;
        let mut ahead = self.rest().chars();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.offset += 1;
            high = self.class_char(class)?;
        }
        if high < low {
            return Err(self.error("invalid character class range", start));
        }
        push_range(out, low, high);
        Ok(())
    }

    pub(super) fn class_char(&mut self, class: usize) -> Result<u32, PatternError> {
        if self.peek() == Some('\\') {
            return self.char_escape();
        }
        match self.next() {
            Some(c) => Ok(u32::from(c)),
            None => Err(self.error("missing closing ]", class)),
        }
    }
}

/// Appends a range of a bracket expression without its surrogates.
pub(super) fn push_range(out: &mut String, low: u32, high: u32) {
    let surrogate = 0xd800..=0xdfff;
    let low = if surrogate.contains(&low) { 0xe000 } else { low };
    let high = if surrogate.contains(&high) { 0xd7ff } else { high };
    if low > high {
        return out.push_str(NOTHING);
    }
    push_escaped(out, low);
    out.push('-');
    push_escaped(out, high);
}

/// The class of a Unicode category or script, if Go knows the name.
pub(super) fn unicode_class_text(name: &str, negated: bool) -> Option<String> {
    let separator = |c: char| matches!(c, '_' | '-' | ' ');
    let name = name.replace(separator, "").to_ascii_lowercase();
    let sign = if negated { 'P' } else { 'p' };
    let caret = if negated { "^" } else { "" };
    match name.as_str() {
        "any" => Some(format!(r"[{caret}\x{{0}}-\x{{10FFFF}}]")),
        "ascii" => Some(format!(r"[{caret}\x{{0}}-\x{{7F}}]")),
        // Go has the surrogates as a category, but no text contains one.
        "cs" | "surrogate" => Some(format!("[{caret}{NOTHING}]")),
        name if lists(CATEGORIES, name) => Some(format!(r"\{sign}{{gc={name}}}")),
        name if lists(SCRIPTS, name) => Some(format!(r"\{sign}{{sc={name}}}")),
        _ => None,
    }
}

/// The beginning of a part of a pattern, which may come from a foreign file, for a terminal.
pub(super) fn printable(part: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    part.chars().take(MAX_SHOWN).map(clean).collect()
}

pub(super) fn lists(names: &str, name: &str) -> bool {
    names.split(' ').any(|listed| listed == name)
}

/// The counts in braces at the beginning of `rest`, and the length of it all.
pub(super) fn counts(rest: &str) -> Option<(u32, Option<u32>, usize)> {
    let (body, _) = rest.strip_prefix('{')?.split_once('}')?;
    let (min, max) = match body.split_once(',') {
        None => (integer(body)?, Some(integer(body)?)),
        Some((min, "")) => (integer(min)?, None),
        Some((min, max)) => (integer(min)?, Some(integer(max)?)),
    };
    Some((min, max, body.len() + 2))
}

/// A decimal number without leading zeros; one that is too large is just very large.
pub(super) fn integer(digits: &str) -> Option<u32> {
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let padded = digits.len() > 1 && digits.starts_with('0');
    (decimal && !padded).then(|| digits.parse().unwrap_or(u32::MAX))
}

/// The code point with these hexadecimal digits.
pub(super) fn code_point(digits: &str) -> Option<u32> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = u32::from_str_radix(digits.trim_start_matches('0'), 16);
    match value {
        Ok(value) => (value <= u32::from(char::MAX)).then_some(value),
        Err(_) => digits.bytes().all(|b| b == b'0').then_some(0),
    }
}
