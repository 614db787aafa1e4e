//! What kustomize hands to a function, and gets back: a `ResourceList` (KRM functions specification, v1), or for legacy
//! exec plugins a stream of documents.
//!
//! What isn't changed goes back as it came, byte for byte; a changed object takes its old place (see `written`).

use zeroize::Zeroizing;

use super::written;
use crate::document::edit::Edits;
use crate::document::value::Value;
use crate::document::{Document, Format, Kind as NodeKind, NONE, NodeId, Span, yaml};
use crate::error::{Error, Kind, Result};

const HEAD: &str = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n";

/// Who calls a function, and so what the input looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A `ResourceList` on standard input.
    Krm,
    /// Documents on standard input, the configuration in a file.
    Legacy,
}

/// The objects that a function is given.
pub struct Resources<'t> {
    document: Document<'t>,
    /// The root of each object.
    pub roots: Vec<NodeId>,
}

impl<'t> Resources<'t> {
    /// Reads the input of a function, or rendered manifests.
    ///
    /// # Errors
    /// `Unreadable` (2) for text that can't be read, or is no `ResourceList` where one is expected.
    pub fn read(text: &'t str, caller: Caller) -> Result<Resources<'t>> {
        let document = parse(text)?;
        let roots = match caller {
            Caller::Legacy => document.parts.iter().map(|part| part.root).filter(|root| has_content(&document, *root)).collect(),
            Caller::Krm => {
                let root = list_root(&document)?;
                let items = document.get(root, "items").filter(|items| document.node(*items).kind == NodeKind::Sequence);
                items.map_or_else(Vec::new, |items| document.children(items).collect())
            }
        };
        Ok(Resources { document, roots })
    }

    /// The configuration in a `ResourceList`.
    ///
    /// # Errors
    /// `Unreadable` (2) if there is none.
    pub fn config(&self) -> Result<Value> {
        let root = list_root(&self.document)?;
        let config = self.document.get(root, "functionConfig");
        config.map_or_else(|| Err(not_a_list("it has no functionConfig")), |id| Value::of(&self.document, id))
    }

    /// The text that was read, parsed.
    pub fn document(&self) -> &Document<'t> {
        &self.document
    }

    /// An object as a tree.
    ///
    /// # Errors
    /// A scalar that doesn't resolve.
    pub fn object(&self, at: usize) -> Result<Value> {
        self.roots.get(at).map_or_else(|| Ok(Value::Map(Vec::new())), |root| Value::of(&self.document, *root))
    }

    /// The text with the `changed` objects (by index) in place of the old ones.
    pub fn with(&self, changed: &[(usize, Value)]) -> Zeroizing<String> {
        let mut edits = Edits::default();
        for (at, object) in changed {
            if let Some(root) = self.roots.get(*at) {
                let span = self.whole(*root);
                let column = self.document.column(span.start as usize);
                let text = if self.document.node(*root).flow { written::on_one_line(object) } else { written::object(object, column) };
                edits.replace(span, &text);
            }
        }
        edits.apply(self.document.source)
    }

    /// All bytes of a mapping.
    fn whole(&self, id: NodeId) -> Span {
        let node = self.document.node(id);
        if node.flow {
            return node.span;
        }
        let inside = || (id..node.end).map(|id| self.document.node(id).span);
        let start = inside().skip(1).map(|span| span.start).min().unwrap_or(node.span.start);
        let end = inside().skip(1).map(|span| span.end).max().unwrap_or(node.span.end) as usize;
        // A block scalar at its end brings its line break along.
        Span { start, end: self.document.source[..end].trim_end_matches(['\n', '\r']).len() as u32 }
    }
}

fn parse(text: &str) -> Result<Document<'_>> {
    yaml::Yaml.parse_plain(if is_blank(text) { "---\n" } else { text })
}

/// Whether a text holds nothing but comments and marks between documents.
pub fn is_blank(text: &str) -> bool {
    let blank = |line: &str| matches!(line, "" | "---" | "...") || line.starts_with('#');
    text.lines().all(|line| blank(line.trim()))
}

fn has_content(document: &Document<'_>, root: NodeId) -> bool {
    root != NONE && document.node(root).kind == NodeKind::Mapping
}

fn list_root(document: &Document<'_>) -> Result<NodeId> {
    let root = document.parts.first().map_or(NONE, |part| part.root);
    let is_list = document.get(root, "kind").is_some_and(|kind| document.text(kind) == "ResourceList");
    if is_list { Ok(root) } else { Err(not_a_list("it is no ResourceList")) }
}

fn not_a_list(what: &str) -> Error {
    Error::new(Kind::Unreadable, format!("{what}: kustomize calls this command with one"))
        .hint("name it in the annotation config.kubernetes.io/function, or use kveil build DIR, which needs no plugin")
}

/// The configuration of a legacy plugin.
///
/// # Errors
/// Text that can't be read.
pub fn config(text: &str) -> Result<Value> {
    let document = parse(text)?;
    let root = document.parts.first().map_or(NONE, |part| part.root);
    if root == NONE { Ok(Value::Map(Vec::new())) } else { Value::of(&document, root) }
}

/// The configurations in a file of plugins: documents, and what a `List` holds.
///
/// # Errors
/// Text that can't be read.
pub fn configs(text: &str) -> Result<Vec<Value>> {
    let document = parse(text)?;
    let mut found = Vec::new();
    for part in document.parts.iter().filter(|part| part.root != NONE) {
        let config = Value::of(&document, part.root)?;
        match config.get("items").filter(|_| config.get("kind").and_then(Value::text).is_some_and(|kind| kind == LIST)) {
            Some(items) => found.extend(items.items().iter().cloned()),
            None => found.push(config),
        }
    }
    Ok(found)
}

/// The kind that stands for its items.
const LIST: &str = "List";

/// Generated objects, as the caller reads them.
pub fn generated(objects: &[Value], caller: Caller) -> Zeroizing<String> {
    let (head, mark, column) = match caller {
        Caller::Krm if objects.is_empty() => (format!("{HEAD}items: []\n"), "", 0),
        Caller::Krm => (format!("{HEAD}items:\n"), "- ", 2),
        Caller::Legacy => (String::new(), "---\n", 0),
    };
    let lines: Vec<Zeroizing<String>> = objects.iter().map(|object| written::object(object, column)).collect();
    let mut text = Zeroizing::new(String::with_capacity(head.len() + lines.iter().map(|line| line.len() + 5).sum::<usize>()));
    text.push_str(&head);
    for line in &lines {
        text.push_str(mark);
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A list that says what went wrong: no object stands in it.
pub fn failed(error: &Error) -> String {
    let file = error.file.as_ref().map(|path| ("file".to_owned(), Value::Map(vec![("path".to_owned(), Value::string(path.as_str()))])));
    let field =
        error.key_path.as_ref().map(|path| ("field".to_owned(), Value::Map(vec![("path".to_owned(), Value::string(path.as_str()))])));
    let message = [error.to_string()].into_iter().chain(error.hints.iter().cloned()).collect::<Vec<_>>().join("; ");
    let mut result = vec![("message".to_owned(), Value::string(message)), ("severity".to_owned(), Value::string("error"))];
    result.extend(field.into_iter().chain(file));
    format!("{HEAD}items: []\nresults:\n- {}\n", written::on_one_line(&Value::Map(result)).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a # kept\n- apiVersion: v1\n  kind: Secret\n  data:\n    text: |\n      x\n\n- {kind: X}\nfunctionConfig:\n  kind: Decrypt\n";

    const SECRET: &str = "apiVersion: v1\n  kind: Secret\n  data:\n    text: |\n      x\n";

    #[test]
    fn what_is_not_changed_stays_as_it_came() {
        let resources = Resources::read(LIST, Caller::Krm).unwrap();
        assert_eq!(resources.roots.len(), 3);
        assert_eq!(resources.with(&[]).as_str(), LIST);
        let changed = resources.with(&[(1, Value::Map(vec![("b".into(), Value::string("x\ny\n"))])), (2, Value::int(3))]);
        let want = LIST.replace(SECRET, "b: |\n    x\n    y\n").replace("{kind: X}", "3");
        assert_eq!(changed.as_str(), want);
    }

    #[test]
    fn a_stream_holds_objects_and_may_be_empty() {
        for (text, count) in [("", 0), ("---\n", 0), ("a: 1\n---\n---\nb: 2\n", 2)] {
            assert_eq!(Resources::read(text, Caller::Legacy).unwrap().roots.len(), count, "{text}");
        }
    }

    #[test]
    fn generated_objects_and_failures_can_be_read_again() {
        let text = generated(&[Value::int(1), Value::string("a: b")], Caller::Krm);
        assert!(Resources::read(&text, Caller::Krm).unwrap().roots.len() == 2);
        let text = failed(&Error::new(Kind::NoFile, "no such file").in_file("x.yaml").for_key("a.b").hint("check it"));
        assert!(text.contains("\"message\": \"x.yaml: no such file (at a.b); check it\", \"severity\": \"error\""), "{text}");
        assert!(Resources::read(&text, Caller::Krm).unwrap().roots.is_empty());
    }
}
