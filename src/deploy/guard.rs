//! The guard: no manifest that still holds ciphertext goes on to a cluster.
//!
//! Ciphertext shows as a `sops` block, as a token (`ENC[…]`) in place of a value, or hides inside the strings of `data`,
//! `binaryData` and `stringData`: kustomize's generators take encrypted files for data like any other.

use super::resource_list;
use crate::document::{Document, Format, Kind as NodeKind, NONE, NodeId, Role, format_by_text, json, yaml};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::{self, Object, decoded};
use crate::seal::value::Token;

/// Lets an object through: its value says why.
pub const ALLOW: &str = "kveil.dev/allow-encrypted";
/// Fields whose strings may hold whole files.
const HOLDERS: [&str; 3] = ["data", "binaryData", "stringData"];
/// How ciphertext begins.
pub const TOKEN: &[u8] = b"ENC[AES256_GCM,";

/// What the guard found.
#[derive(Default)]
pub struct Verdict {
    /// How many objects there are.
    pub objects: usize,
    /// Ciphertext: object and key path, and what it is; the first of it.
    found: Vec<(String, &'static str)>,
    /// How often there is more of it.
    more: usize,
    /// Objects that hold ciphertext and may: their titles and why.
    pub allowed: Vec<String>,
}

/// Looks at rendered manifests: YAML documents, or JSON.
///
/// # Errors
/// `Unreadable` (2) for text that can't be read.
pub fn manifests(text: &str) -> Result<Verdict> {
    let is_json = text.trim_start().starts_with('{');
    let document = if resource_list::is_blank(text) {
        return Ok(Verdict::default());
    } else if is_json && let Ok(document) = json::Json.parse_plain(text) {
        document
    } else {
        yaml::Yaml.parse_plain(text)?
    };
    let roots: Vec<NodeId> = document.parts.iter().map(|part| part.root).filter(|root| *root != NONE).collect();
    Ok(objects(&document, &roots))
}

/// Looks at the objects of a document.
pub fn objects(document: &Document<'_>, roots: &[NodeId]) -> Verdict {
    let (mut verdict, mut hidden) = (Verdict::default(), Hidden::default());
    for root in roots {
        verdict.look(document, *root, &mut hidden);
    }
    verdict
}

/// Of so much ciphertext it is said where it stands.
const SHOWN: usize = 20;

/// What to do where nothing was to be decrypted.
pub const UNOPENED: &str =
    "decrypt while rendering: kveil build DIR, or a plugin; kustomize skips plugins in silence without --enable-exec";
/// What to do where the rest was decrypted.
pub const LEFT_OVER: &str = "its file has lost its sops block, or stands where nothing is opened (docs/deploy.md): restore the block, or list \
     the file where it is opened";

impl Verdict {
    /// The error that ciphertext is; `advice` is what to do about it, one of [`UNOPENED`] and [`LEFT_OVER`].
    ///
    /// # Errors
    /// `Generic` (1) with object and key path of each.
    pub fn settle(&self, advice: &str) -> Result<()> {
        if self.found.is_empty() {
            return Ok(());
        }
        let message = "ciphertext is left in the manifests: it would be deployed as it is".to_owned();
        let mut error = Error::new(Kind::Generic, message);
        for (place, what) in &self.found {
            error = error.hint(format!("{place}: {what}"));
        }
        if self.more > 0 {
            error = error.hint(format!("and {} more", self.more));
        }
        Err(error.hint(advice).hint(format!("an object that is meant to hold ciphertext says so: annotation {ALLOW}: <reason>")))
    }

    fn look(&mut self, document: &Document<'_>, root: NodeId, hidden: &mut Hidden) {
        // `null` and `{}` are no objects: whoever applies them applies nothing.
        if document.node(root).kind != NodeKind::Mapping || document.children(root).next().is_none() {
            return;
        }
        let object = kubernetes::object(document, root);
        let items = document.get(root, "items").filter(|items| document.node(*items).kind == NodeKind::Sequence);
        if let Some(items) = items.filter(|_| object.is_some_and(|object| object.kind.ends_with("List"))) {
            return document.children(items).for_each(|item| self.look(document, item, hidden));
        }
        self.objects += 1;
        let title = object.map_or_else(|| "a document without a kind".to_owned(), title);
        let found = ciphertext(document, root, hidden);
        match reason(document, root, object.as_ref()) {
            Some(reason) if !found.is_empty() => self.allowed.push(format!("{title}: {reason}")),
            Some(_) => {}
            None => self.add(document, root, &title, &found),
        }
    }

    fn add(&mut self, document: &Document<'_>, root: NodeId, title: &str, found: &[(NodeId, &'static str)]) {
        // The path of an item is as much work as there are items before it.
        let room = SHOWN.saturating_sub(self.found.len()).min(found.len());
        for (id, what) in &found[..room] {
            let (top, path) = (document.key_path(root), document.key_path(*id));
            let path = path.strip_prefix(&top).unwrap_or(&path).trim_start_matches('.');
            self.found.push((format!("{title}, {path}"), what));
        }
        self.more += found.len() - room;
    }
}

/// Kind, namespace and name.
pub fn title(object: Object<'_>) -> String {
    match object.namespace {
        Some(namespace) => format!("{} {namespace}/{}", object.kind, object.name.unwrap_or_default()),
        None => object.title(),
    }
}

/// Why an object may hold ciphertext.
fn reason(document: &Document<'_>, root: NodeId, object: Option<&Object<'_>>) -> Option<String> {
    if let Some(object) = object.filter(|object| object.kind == "SopsSecret") {
        return Some(format!("{} is decrypted by its controller", object.kind));
    }
    let annotations = document.get(root, "metadata").and_then(|metadata| document.get(metadata, "annotations"))?;
    let reason = document.text(document.get(annotations, ALLOW)?);
    (!reason.trim().is_empty()).then(|| reason.to_owned())
}

/// Where ciphertext stands below an object's root, and what it is.
fn ciphertext(document: &Document<'_>, root: NodeId, hidden: &mut Hidden) -> Vec<(NodeId, &'static str)> {
    let mut found = Vec::new();
    let block = document.get(root, "sops");
    let mac = block.and_then(|block| document.get(block, "mac")).filter(|mac| document.text(*mac).starts_with("ENC["));
    let block = block.filter(|_| mac.is_some());
    found.extend(block.map(|block| (block, "the metadata of an encrypted file")));
    let block = block.map_or(0..0, |block| block..document.node(block).end);
    for id in (root..document.node(root).end).filter(|id| !block.contains(id)) {
        if !matches!(document.node(id).role, Role::Value | Role::Item) {
            continue;
        }
        let what = match document.node(id).kind {
            NodeKind::Scalar => of_scalar(document, id),
            NodeKind::Alias => of_alias(document, id, hidden),
            _ => None,
        };
        found.extend(what.map(|what| (id, what)));
    }
    found
}

fn of_scalar(document: &Document<'_>, id: NodeId) -> Option<&'static str> {
    let text = document.text(id);
    if Token::parse(text).is_some() {
        return Some("an encrypted value");
    }
    if !is_holder(document, document.node(id).parent) || document.node(id).role != Role::Value {
        return None;
    }
    if document.key_text(id - 1) == "sops_mac" {
        return Some("an entry of an encrypted dotenv file");
    }
    hides(text)
}

/// What stands elsewhere may be part of a holder through an alias, merged or not.
fn of_alias(document: &Document<'_>, id: NodeId, hidden: &mut Hidden) -> Option<&'static str> {
    let above = || std::iter::successors(Some(id), |at| Some(document.node(*at).parent).filter(|parent| *parent != NONE));
    let top = above().last()?;
    // An anchor may hold aliases itself: all before counts, rather than following them.
    if above().any(|at| is_holder(document, at)) { hidden.before(document, top, id) } else { None }
}

/// The first scalar of a YAML document that hides ciphertext: each is looked at once, however many aliases there are.
#[derive(Default)]
struct Hidden {
    /// The root of the document, and the node to go on with.
    place: Option<(NodeId, NodeId)>,
    first: Option<(NodeId, &'static str)>,
}

impl Hidden {
    fn before(&mut self, document: &Document<'_>, top: NodeId, id: NodeId) -> Option<&'static str> {
        let next = match self.place {
            Some((known, next)) if known == top => next,
            _ => {
                self.first = None;
                top
            }
        };
        if self.first.is_none() {
            let mut scalars = (next..id).filter(|at| document.node(*at).kind == NodeKind::Scalar);
            self.first = scalars.find_map(|at| Some((at, hides(document.text(at))?)));
        }
        self.place = Some((top, next.max(id)));
        self.first.filter(|(at, _)| *at < id).map(|(_, what)| what)
    }
}

fn is_holder(document: &Document<'_>, id: NodeId) -> bool {
    id != NONE && document.node(id).role == Role::Value && HOLDERS.contains(&document.key_text(id - 1))
}

/// Whether a text that may be a whole file, or its base64, holds ciphertext.
fn hides(text: &str) -> Option<&'static str> {
    let hidden = |bytes: &[u8]| {
        let whole = std::str::from_utf8(bytes).is_ok_and(|text| format_by_text(text).is_some());
        whole || memchr::memmem::find(bytes, TOKEN).is_some()
    };
    let decoded = || decoded::decode(text).is_some_and(|bytes| hidden(&bytes));
    (hidden(text.as_bytes()) || decoded()).then_some("an encrypted file, or a part of one")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENC: &str = "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]";

    fn found(text: &str) -> Vec<String> {
        let verdict = manifests(&text.replace("ENC", ENC)).unwrap();
        verdict.found.iter().map(|(place, _)| place.clone()).collect()
    }

    #[test]
    fn ciphertext_is_found_wherever_it_stands() {
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
        assert_eq!(found(&format!("{head}data:\n  k: ENC\n")), ["Secret a, data.k"]);
        assert_eq!(found(&format!("{head}stringData: {{l: \"x ENC\"}}\n")), ["Secret a, stringData.l"]);
        assert_eq!(found(&format!("{head}data: {{}}\nsops: {{mac: \"ENC\", age: [{{enc: x}}]}}\n")), ["Secret a, sops"]);
        assert_eq!(found(&format!("{head}data: {{sops_mac: eA==}}\n")), ["Secret a, data.sops_mac"]);
        let inside = decoded::encode(format!("a: {ENC}\nsops:\n    mac: {ENC}\n").as_bytes());
        assert_eq!(found(&format!("{head}data: {{f: {}}}\n", inside.as_str())), ["Secret a, data.f"]);
        let list =
            "apiVersion: v1\nkind: List\nitems:\n- kind: X\n  apiVersion: v1\n  metadata: {name: n, namespace: s}\n  spec: [b, \"ENC\"]\n";
        assert_eq!(found(list), ["X s/n, spec[1]"]);
        assert_eq!(found("{\"apiVersion\": \"v1\", \"kind\": \"X\", \"a\": \"ENC\"}"), ["X, a"]);
    }

    #[test]
    fn ciphertext_is_found_behind_aliases() {
        let object = |rest: &str| found(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{rest}"));
        assert_eq!(object("x: &a \"x ENC\"\nstringData: {k: *a}\n"), ["Secret a, stringData.k"]);
        assert_eq!(object("x: &a {k: \"x ENC\"}\nstringData: {<<: *a}\n"), ["Secret a, stringData.<<"]);
        assert_eq!(object("x: &a {k: \"x ENC\"}\nstringData: *a\n"), ["Secret a, stringData"]);
        assert_eq!(object("x: &a \"x ENC\"\ny: &b {k: *a}\nstringData: {<<: *b}\n"), ["Secret a, stringData.<<"]);
        assert!(object("x: &a \"x ENC\"\nspec: {k: *a}\n").is_empty());
    }

    /// Each alias once looked at all scalars before it, and the path of each item at all items before it: this took
    /// many minutes.
    #[test]
    fn many_aliases_and_many_tokens_are_looked_at_once() {
        const MANY: usize = 20_000;
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nx: &a harmless\n";
        let mut text = format!("{head}stringData:\n");
        text.extend((0..MANY).map(|at| format!("  k{at}: *a\n  t{at}: harmless, too\n")));
        assert!(found(&text).is_empty());
        text.push_str("  last: \"x ENC\"\n  again: *a\n");
        assert_eq!(found(&text), ["Secret a, stringData.last", "Secret a, stringData.again"]);
        let list = format!("{head}spec:\n{}", "- ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]\n".repeat(MANY));
        let verdict = manifests(&list).unwrap();
        assert_eq!((verdict.found.len(), verdict.more), (SHOWN, MANY - SHOWN));
        assert!(verdict.settle(UNOPENED).unwrap_err().hints.contains(&format!("and {} more", MANY - SHOWN)));
    }

    #[test]
    fn text_about_ciphertext_is_none() {
        assert!(found("apiVersion: v1\nkind: X\nspec: {doc: 'values look like ENC[AES256_GCM,…]', sops: {mac: x}}\nsops: 1\n").is_empty());
    }

    #[test]
    fn objects_that_may_hold_ciphertext_are_listed() {
        let text = format!(
            "apiVersion: isindir.github.com/v1\nkind: SopsSecret\nspec: {ENC}\n---\napiVersion: v1\nkind: X\nmetadata: {{name: n, annotations: {{{ALLOW}: opened later}}}}\na: {ENC}\n"
        );
        let verdict = manifests(&text).unwrap();
        assert!(verdict.found.is_empty() && verdict.settle(UNOPENED).is_ok());
        assert_eq!(verdict.allowed, ["SopsSecret: SopsSecret is decrypted by its controller", "X n: opened later"]);
        let without_reason = text.replace("opened later", "''");
        assert!(manifests(&without_reason).unwrap().settle(UNOPENED).is_err());
    }

    #[test]
    fn nothing_is_no_object() {
        for text in ["", "---\n", "# c\n", "---\n---\n", "null\n---\n~\n", "{}\n---\n", "apiVersion: v1\nkind: List\nitems: [null, {}]\n"] {
            assert_eq!(manifests(text).unwrap().objects, 0, "{text}");
        }
    }
}
