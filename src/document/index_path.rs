//! Index paths as sops writes them on the command line: `["data"]["password"]`, `["list"][0]`, `['key']`.

use super::{Document, Kind as NodeKind, NONE, NodeId};
use crate::error::{Error, Kind, Result};

/// A step of an index path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Index {
    /// A key of a mapping.
    Key(String),
    /// A place in a list; negative ones are read, and refused where they are used.
    Item(i64),
}

/// Reads an index path as genuine sops does: it is split at every `[`, each part ends with `]` and holds a quoted key,
/// whose quotes may be of either kind, or a number. An empty path has no steps.
///
/// # Errors
/// `kind` with the expected form.
pub fn parse(path: &str, kind: Kind) -> Result<Vec<Index>> {
    path.split('[').filter(|part| !part.is_empty()).map(|part| step(part).ok_or_else(|| refused(path, kind))).collect()
}

fn step(part: &str) -> Option<Index> {
    let inner = part.strip_suffix(']')?;
    let Some(open) = inner.strip_prefix(['"', '\'']) else { return inner.parse().ok().map(Index::Item) };
    // Genuine sops takes any last character for the closing quote, and loses it.
    open.strip_suffix(['"', '\'']).map(|key| Index::Key(key.to_owned()))
}

fn refused(path: &str, kind: Kind) -> Error {
    let what = if kind == Kind::BadPath { "error parsing --extract path: not an index path" } else { "not an index path" };
    let error = Error::new(kind, what).for_key(path);
    match spelled(path) {
        Some(index) => error.hint(format!("write {index}, if every dot stands between two keys")),
        None => error.hint("expected a form like [\"data\"][\"password\"] or [\"list\"][0]"),
    }
}

/// The index that a path with dots most likely means.
fn spelled(path: &str) -> Option<String> {
    let mut steps = Vec::new();
    for word in path.split('.') {
        let (key, items) = word.split_at(word.find('[').unwrap_or(word.len()));
        if key.is_empty() || key.contains(['"', '\'', ']']) {
            return None;
        }
        steps.push(Index::Key(key.to_owned()));
        let items = parse(items, Kind::BadIndex).ok()?;
        steps.extend(items);
    }
    Some(shown(&steps))
}

/// Reads a path as people write it, `data.password` or `list[2].name`, in the light of what `document` holds. `flat`
/// names top-level mappings whose keys have dots of their own, such as `tls.crt`.
///
/// # Errors
/// `BadIndex` (7) if it can mean several things: a key with a dot, or a key inside another.
pub fn dotted(document: &Document<'_>, path: &str, flat: &[&str]) -> Result<Vec<Index>> {
    let opaque = flat.iter().find_map(|name| Some((name, path.strip_prefix(name)?.strip_prefix('.')?)));
    if let Some((name, key)) = opaque.filter(|(_, key)| !key.is_empty()) {
        return Ok(vec![Index::Key((*name).to_string()), Index::Key(key.to_owned())]);
    }
    let mut search = Search { document, found: Vec::new(), open: Vec::new() };
    search.walk(document.parts.first().map_or(NONE, |part| part.root), path, Vec::new());
    match search.found.as_slice() {
        [only] => Ok(only.clone()),
        [] => search.new_entry().ok_or_else(|| unclear(path, &spelled(path).into_iter().collect::<Vec<_>>())),
        several => Err(unclear(path, &several.iter().map(|steps| shown(steps)).collect::<Vec<_>>())),
    }
}

fn unclear(path: &str, meanings: &[String]) -> Error {
    let error = Error::new(Kind::BadIndex, "it isn't clear which key this path means").for_key(path);
    match meanings {
        [] => error.hint("write it as an index, such as [\"data\"][\"password\"] or [\"list\"][0]"),
        meanings => error.hint(format!("write what is meant as an index: {}", meanings.join(" or "))),
    }
}

/// All ways to read a dotted path.
struct Search<'d, 's> {
    document: &'d Document<'s>,
    /// Paths of what is there.
    found: Vec<Vec<Index>>,
    /// Paths to collections, and what is left over there.
    open: Vec<(Vec<Index>, NodeId, &'d str)>,
}

impl<'d> Search<'d, '_> {
    fn walk(&mut self, id: NodeId, rest: &'d str, path: Vec<Index>) {
        if rest.is_empty() {
            return self.found.push(path);
        }
        let document = self.document;
        let node = if id == NONE { None } else { Some(document.node(id)) };
        match node.map(|node| node.kind) {
            None | Some(NodeKind::Scalar) => return,
            Some(NodeKind::Alias) => return self.walk(document.node(id).target(), rest, path),
            Some(NodeKind::Mapping) => {
                for (key, value) in document.entries(id) {
                    let name = document.key_text(key);
                    if let Some(rest) = rest.strip_prefix(name).and_then(after_step).filter(|_| !name.is_empty()) {
                        self.walk(value, rest, [path.as_slice(), &[Index::Key(name.to_owned())]].concat());
                    }
                }
            }
            Some(NodeKind::Sequence) => {
                if let Some((at, rest)) = item(rest)
                    && let Some(child) = usize::try_from(at).ok().and_then(|at| document.children(id).nth(at))
                {
                    self.walk(child, rest, [path.as_slice(), &[Index::Item(at)]].concat());
                }
            }
        }
        self.open.push((path, id, rest));
    }

    /// A new key or item of the one collection that most of the path leads to.
    fn new_entry(self) -> Option<Vec<Index>> {
        let least = self.open.iter().map(|(.., rest)| rest.len()).min()?;
        let mut nearest = self.open.into_iter().filter(|(.., rest)| rest.len() == least);
        let (path, id, rest) = nearest.next()?;
        let step = match self.document.node(id).kind {
            NodeKind::Sequence => item(rest).filter(|(_, rest)| rest.is_empty()).map(|(at, _)| Index::Item(at)),
            _ => (!rest.contains(['.', '[', ']'])).then(|| Index::Key(rest.to_owned())),
        };
        let clear = nearest.next().is_none();
        step.filter(|_| clear).map(|step| [path.as_slice(), &[step]].concat())
    }
}

/// A path whose numbers count as genuine sops counts, with the numbers that count values alone: its tree has each comment
/// of a list as an item, before the one that it stands above or beside. `is_comment` tells items that are comments.
///
/// # Errors
/// `kind` for a number that means a comment.
pub fn of_values(document: &Document<'_>, path: &[Index], is_comment: &dyn Fn(NodeId) -> bool, kind: Kind) -> Result<Vec<Index>> {
    let mut at = document.parts.first().map_or(NONE, |part| part.root);
    let mut steps = Vec::with_capacity(path.len());
    for step in path {
        at = if at != NONE && document.node(at).kind == NodeKind::Alias { document.node(at).target() } else { at };
        let node = (at != NONE).then(|| document.node(at).kind);
        let (step, next) = match (node, step) {
            (Some(NodeKind::Sequence), Index::Item(number)) if *number >= 0 => {
                let (number, item) = value_of_number(document, at, *number, is_comment).ok_or_else(|| no_value(path, kind))?;
                (Index::Item(number), item)
            }
            (Some(NodeKind::Mapping), Index::Key(key)) => (step.clone(), document.get(at, key).unwrap_or(NONE)),
            _ => (step.clone(), NONE),
        };
        steps.push(step);
        at = next;
    }
    Ok(steps)
}

/// The number among values, and the item, that `number` among values and comments means; [`None`] for a comment.
fn value_of_number(document: &Document<'_>, list: NodeId, number: i64, is_comment: &dyn Fn(NodeId) -> bool) -> Option<(i64, NodeId)> {
    let (mut seen, mut values) = (0, 0);
    for item in document.children(list) {
        seen += document.comments.iter().filter(|comment| comment.element == item).count() as i64;
        if seen > number {
            return None;
        }
        let value = !is_comment(item);
        if seen == number {
            return value.then_some((values, item));
        }
        seen += 1;
        values += i64::from(value);
    }
    let below = document.comments.iter().filter(|comment| comment.container == list && comment.element == NONE).count() as i64;
    (number >= seen + below).then_some((values, NONE))
}

fn no_value(path: &[Index], kind: Kind) -> Error {
    let error = Error::new(kind, "a comment is at this place of the list: sops counts the comments of a list as its items");
    error.for_key(shown(path)).hint("count the comments above and beside the items, too; kveil under its own name counts values alone")
}

/// What follows a step: nothing, a dot and more, or a bracket.
fn after_step(rest: &str) -> Option<&str> {
    match rest.strip_prefix('.') {
        Some(more) => (!more.is_empty()).then_some(more),
        None => (rest.is_empty() || rest.starts_with('[')).then_some(rest),
    }
}

/// `[7]`, and what follows.
fn item(rest: &str) -> Option<(i64, &str)> {
    let (number, rest) = rest.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, after_step(rest)?))
}

/// The path in the same form, for messages.
pub fn shown(path: &[Index]) -> String {
    let step = |step: &Index| match step {
        Index::Key(key) => format!("[\"{key}\"]"),
        Index::Item(at) => format!("[{at}]"),
    };
    path.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<String> {
        parse(path, Kind::BadPath).ok().map(|steps| shown(&steps))
    }

    /// Tried with genuine sops 3.13.3, which panics at the last two.
    #[test]
    fn paths_are_read_as_genuine_sops_reads_them() {
        let read_as = [
            (r#"["a"]["b"]"#, r#"["a"]["b"]"#),
            (r#"['a'][0]["x\"]"#, r#"["a"][0]["x\"]"#),
            (r#"['a"]"#, r#"["a"]"#),
            (r#""a"]"#, r#"["a"]"#),
            (r#"["a]b"]"#, r#"["a]b"]"#),
            (r#"[""]"#, r#"[""]"#),
            (r#"["a.b c"]"#, r#"["a.b c"]"#),
            ("[+1][-2]", "[1][-2]"),
            ("", ""),
        ];
        for (path, wanted) in read_as {
            assert_eq!(read(path).as_deref(), Some(wanted), "{path}");
        }
        for path in ["a", r#"["a"] "#, r#"[ "a"]"#, r#"["a"] ["b"]"#, "[x]", "[1 ]", "[1", r#"["a[b"]"#, "[]", "[\"]"] {
            assert_eq!(read(path), None, "{path}");
        }
    }

    #[test]
    fn dotted_paths_mean_what_is_there() {
        let text = "a:\n  b: 1\n  c.d: 2\n  l: [{m: 1}, 2]\na.b: 3\nx.y: {z: 1}\nx: {q: 1}\nr: &r {s: 1}\nt: *r\ndata: {}\n";
        let document = crate::document::yaml::parse(text).unwrap();
        let read = |path: &str| dotted(&document, path, &["data"]).map(|steps| shown(&steps)).unwrap_or_default();
        for (path, wanted) in [
            ("a", r#"["a"]"#),
            ("a.c.d", r#"["a"]["c.d"]"#),
            ("a.l[0].m", r#"["a"]["l"][0]["m"]"#),
            ("a.l[9]", r#"["a"]["l"][9]"#),
            ("a.new", r#"["a"]["new"]"#),
            ("x.y.z", r#"["x.y"]["z"]"#),
            ("x.y.new", r#"["x.y"]["new"]"#),
            ("x.q", r#"["x"]["q"]"#),
            ("t.s", r#"["t"]["s"]"#),
            ("new", r#"["new"]"#),
            ("data.tls.crt", r#"["data"]["tls.crt"]"#),
            ("data.a[0]", r#"["data"]["a[0]"]"#),
        ] {
            assert_eq!(read(path), wanted, "{path}");
        }
        for path in ["a.b", "a.new.other", "new.other", "a.l[0", "a.l.0", "a.", ".a", "", "a..b", "a.b.c", "data."] {
            assert_eq!(read(path), "", "{path}");
        }
    }

    /// Tried with genuine sops 3.13.3.
    #[test]
    fn numbers_of_sops_count_comments() {
        let text = "l:\n    # cm\n    - one\n    - two # beside\n    # a\n    # b\n    - [x] \n    # end\nm: [{n: 1}]\n";
        let document = crate::document::yaml::parse(text).unwrap();
        let read = |path: &str| {
            let steps = of_values(&document, &parse(path, Kind::BadIndex).unwrap(), &|_| false, Kind::BadIndex);
            steps.map(|steps| shown(&steps)).map_err(|error| error.kind.exit_code())
        };
        let wanted = [Err(7), Ok(0), Err(7), Ok(1), Err(7), Err(7), Ok(2), Err(7), Ok(3), Ok(3)];
        for (number, wanted) in wanted.into_iter().enumerate() {
            assert_eq!(read(&format!("[\"l\"][{number}]")), wanted.map(|number| format!("[\"l\"][{number}]")), "{number}");
        }
        for same in ["[\"m\"][0][\"n\"]", "[\"l\"][-1]", "[\"l\"][\"x\"]", "[\"no\"][3]", "[\"m\"][0][3]"] {
            assert_eq!(read(same).as_deref(), Ok(same));
        }
    }

    #[test]
    fn a_path_with_dots_is_spelled_out() {
        let hint = |path: &str| parse(path, Kind::BadIndex).unwrap_err().hints.concat();
        assert!(hint("x.y[0]").contains(r#"["x"]["y"][0]"#));
        assert!(hint("data.tls").contains(r#"["data"]["tls"]"#));
        for unclear in ["a..b", ".a", "\"a", "a]", "a[x]"] {
            assert!(hint(unclear).starts_with("expected a form"), "{unclear}");
        }
        let document = crate::document::yaml::parse("a.b: 1\na: {b: 2}\n").unwrap();
        let hints = dotted(&document, "a.b", &[]).unwrap_err().hints.concat();
        assert!(hints.contains(r#"["a.b"] or ["a"]["b"]"#), "{hints}");
        assert!(dotted(&document, "x.y.z", &[]).unwrap_err().hints.concat().contains(r#"["x"]["y"]["z"]"#));
    }

    #[test]
    fn the_error_has_the_code_of_the_verb() {
        assert_eq!(parse("a", Kind::BadPath).unwrap_err().kind.exit_code(), 91);
    }
}
