//! What transformers check a MAC on, against an older version: who changes manifests without holding a key could choose the
//! weakest check, and put old values back one by one.

use super::shown::Line;
use super::{Finding, Level, Rule};
use crate::deploy::transformer::Integrity;
use crate::document::yaml::Yaml;
use crate::document::{Document, Format, Kind, NodeId, Span};
use crate::error::Position;

/// A `Decrypt` resource that checks less than before.
pub static WEAKER: Rule = Rule::new("KV327", "weaker-integrity", Level::Error);

pub(super) const RULES: &[&Rule] = &[&WEAKER];

/// What stands in every text that configures the transformer, or patches such a configuration.
const MARKS: [&str; 2] = ["kveil.dev/", "/integrity"];
/// A kustomization holds configurations as strings, and those of lists may hold some again.
const DEPTH: usize = 4;
/// What patches by path are compared by: they have no name.
const PATCH: &str = "(patch)";

/// Whether a file of these bytes can say what is checked.
pub fn may_say(bytes: &[u8]) -> bool {
    MARKS.iter().any(|mark| memchr::memmem::find(bytes, mark.as_bytes()).is_some())
}

/// A choice, and where it is made.
struct Choice {
    name: String,
    integrity: Integrity,
    span: Span,
}

/// Where the file `name` of this text checks less than `old`, its text in `revision`. A resource that isn't there counts as
/// one that checks files, the default.
pub fn weaker(old: Option<&str>, name: &str, text: &str, revision: &str) -> Vec<Finding> {
    let now = choices(text, DEPTH);
    if now.iter().all(|choice| choice.integrity == Integrity::File) {
        return Vec::new();
    }
    let before = old.map(|old| choices(old, DEPTH)).unwrap_or_default();
    let weakest = |name: &str| before.iter().filter(|old| old.name == name).map(|old| old.integrity).max().unwrap_or(Integrity::File);
    let weaker = now.iter().filter(|choice| choice.integrity > weakest(&choice.name));
    weaker.map(|choice| finding(name, text, choice, weakest(&choice.name), revision)).collect()
}

fn finding(name: &str, text: &str, choice: &Choice, before: Integrity, revision: &str) -> Finding {
    let lost = match choice.integrity {
        Integrity::Values => "no MAC is checked any more, so that old values can be put back one by one",
        _ => "the MAC of its own file isn't checked any more",
    };
    let message = format!("integrity: {} where {revision} has {}: {lost}", choice.integrity.word(), before.word());
    let next = "take it back; if it is meant, whoever answers for deployments agrees to it";
    let start = choice.span.start as usize;
    Finding {
        position: Some(Position::of(text, start)),
        line: Some(Line::blotted(text, None, start)),
        ..Finding::of_file(&WEAKER, name, message, next)
    }
}

fn choices(text: &str, depth: usize) -> Vec<Choice> {
    if depth == 0 || !may_say(text.as_bytes()) {
        return Vec::new();
    }
    if let Ok(document) = Yaml.parse(text) {
        return of_document(&document, depth);
    }
    // A patch by path is a list, which an encrypted file never is.
    let key = if text.trim_start().starts_with('[') { "list: " } else { "list:\n" };
    let below = format!("{key}{text}");
    let Ok(document) = Yaml.parse(&below) else { return Vec::new() };
    let moved = |span: Span| Span::new((span.start as usize).saturating_sub(key.len()), (span.end as usize).saturating_sub(key.len()));
    of_document(&document, depth).into_iter().map(|choice| Choice { span: moved(choice.span), ..choice }).collect()
}

fn of_document(document: &Document<'_>, depth: usize) -> Vec<Choice> {
    (0..document.nodes.len() as NodeId).flat_map(|id| of_node(document, id, depth)).collect()
}

fn of_node(document: &Document<'_>, id: NodeId, depth: usize) -> Vec<Choice> {
    let node = document.node(id);
    match node.kind {
        Kind::Mapping => of_object(document, id).or_else(|| of_patch(document, id)).into_iter().collect(),
        // A configuration or a patch inside a kustomization.
        Kind::Scalar if document.text(id).contains(':') => {
            let inside = choices(document.text(id), depth - 1).into_iter();
            inside.map(|choice| Choice { span: node.span, ..choice }).collect()
        }
        _ => Vec::new(),
    }
}

/// A `Decrypt` resource, wherever it stands; of two fields the weaker counts.
fn of_object(document: &Document<'_>, id: NodeId) -> Option<Choice> {
    let text = |of: NodeId, key: &str| document.get(of, key).map(|value| document.text(value));
    text(id, "apiVersion").filter(|version| version.starts_with("kveil.dev/"))?;
    text(id, "kind").filter(|kind| *kind == "Decrypt")?;
    let metadata = document.get(id, "metadata").and_then(|metadata| text(metadata, "name")).unwrap_or_default();
    let fields = [Some(id), document.get(id, "spec")].into_iter().flatten().filter_map(|of| document.get(of, "integrity"));
    let chosen = fields.filter_map(|field| Some((Integrity::named(document.text(field))?, document.node(field).span)));
    let (integrity, span) = chosen.max_by_key(|(integrity, _)| *integrity).unwrap_or((Integrity::File, document.node(id).span));
    Some(Choice { name: metadata.to_owned(), integrity, span })
}

/// `path: /spec/integrity` with a value, as patches by path have it.
fn of_patch(document: &Document<'_>, id: NodeId) -> Option<Choice> {
    let path = document.get(id, "path")?;
    let value = document.get(id, "value").filter(|_| document.text(path).ends_with("/integrity"))?;
    Some(Choice { name: PATCH.to_owned(), integrity: Integrity::named(document.text(value))?, span: document.node(value).span })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(integrity: &str) -> String {
        format!("apiVersion: kveil.dev/v1\nkind: Decrypt\nmetadata:\n  name: decrypt\n{integrity}")
    }

    fn count(old: Option<&str>, text: &str) -> usize {
        weaker(old, "a.yaml", text, "main").len()
    }

    #[test]
    fn a_weaker_check_is_found_wherever_it_is_written() {
        let (file, values) = (config("integrity: file\n"), config("spec:\n  integrity: values\n"));
        assert_eq!((count(Some(&file), &file), count(Some(&values), &values), count(Some(&values), &file)), (0, 0, 0));
        assert_eq!((count(Some(&file), &values), count(Some(&config("")), &values), count(None, &values)), (1, 1, 1));
        assert_eq!((count(None, &file), count(None, &config("")), count(Some(&values), &config("integrity: object\n"))), (0, 0, 0));
        let inside = |text: &str| format!("kind: Kustomization\ntransformers:\n  - |-\n    {}", text.trim_end().replace('\n', "\n    "));
        assert_eq!((count(Some(&inside(&file)), &inside(&values)), count(Some(&inside(&values)), &inside(&values))), (1, 0));
        let flow = "transformers: ['{\"apiVersion\": \"kveil.dev/v1\", \"kind\": \"Decrypt\", \"integrity\": \"object\"}']\n";
        assert_eq!((count(None, flow), count(Some(flow), flow)), (1, 0));
        let patch = "patches:\n  - target: {kind: Decrypt}\n    patch: |-\n      - {op: add, path: /spec/integrity, value: values}\n";
        assert_eq!((count(None, patch), count(Some(patch), patch)), (1, 0));
        let found = weaker(None, "patch.yaml", "- op: replace\n  path: /integrity\n  value: object\n", "main");
        assert_eq!(found.iter().map(|finding| finding.position.map(|at| (at.line, at.column))).collect::<Vec<_>>(), [Some((3, 10))]);
        assert_eq!(count(None, "[\n{\"op\": \"add\", \"path\": \"/integrity\", \"value\": \"values\"}\n]\n"), 1);
    }

    #[test]
    fn one_weak_resource_excuses_no_other() {
        let named = |name: &str, integrity: &str| config(integrity).replace("name: decrypt", &format!("name: {name}"));
        let old = format!("{}---\n{}", named("a", "integrity: values\n"), named("b", ""));
        let new = format!("{}---\n{}", named("a", "integrity: values\n"), named("b", "integrity: values\n"));
        let found = weaker(Some(&old), "a.yaml", &new, "main");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].position.map(|position| position.line), Some(11));
        assert!(found[0].message.starts_with("integrity: values where main has file"), "{}", found[0].message);
    }
}
