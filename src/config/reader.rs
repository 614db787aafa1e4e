//! Typed reading of the config's nodes, the way yaml.v3 decodes into SOPS's structs: aliases followed, `<<` merged.

use std::collections::{BTreeMap, HashSet};

use super::{Finding, Scope, did_you_mean};
use crate::document::render::Style;
use crate::document::resolve::Type;
use crate::document::{Document, Kind as NodeKind, NodeId};
use crate::error::{Error, Kind, Position, Result};

/// How many fields and items are read, aliases expanded; more is taken for an attack.
const BUDGET: usize = 100_000;
/// How deep `<<` and `merge` may lead.
pub(super) const MAX_MERGES: usize = 100;
/// Names that aren't a typo away from what SOPS calls them.
const SYNONYMS: [(&str, &str); 2] = [("azure_kv", "azure_keyvault"), ("vault", "hc_vault")];
const MERGE_KEY: &str = "<<";
const MERGE_TAG: &str = "tag:yaml.org,2002:merge";

/// An entry of a mapping.
#[derive(Clone)]
pub(super) struct Field<'d> {
    pub name: &'d str,
    pub key: NodeId,
    pub value: NodeId,
}

/// Reads nodes and gathers what is wrong with them.
pub(super) struct Reader<'d, 's> {
    pub document: &'d Document<'s>,
    /// What findings are about from here on.
    pub scope: Scope,
    findings: BTreeMap<(u32, String), Finding>,
    left: usize,
    exceeded: Option<String>,
}

impl<'d, 's> Reader<'d, 's> {
    pub fn new(document: &'d Document<'s>) -> Self {
        Reader { document, scope: Scope::File, findings: BTreeMap::new(), left: BUDGET, exceeded: None }
    }

    /// The findings in order of position.
    pub fn finish(self, file: &str) -> Result<Vec<Finding>> {
        match self.exceeded {
            Some(message) => Err(Error::new(Kind::Generic, message).in_file(file)),
            None => Ok(self.findings.into_values().collect()),
        }
    }

    /// Notes something that SOPS would pass over in silence.
    pub fn find(&mut self, node: NodeId, message: String, hints: Vec<String>) {
        self.note(node, message, hints, (self.scope, false, Kind::Generic));
    }

    /// Notes something that SOPS would refuse in this scope, or write clear text for.
    pub fn find_grave(&mut self, node: NodeId, scope: Scope, message: String, hints: Vec<String>) {
        self.note(node, message, hints, (scope, true, Kind::Generic));
    }

    /// Notes that there is nobody to encrypt for.
    pub fn find_keyless(&mut self, node: NodeId, scope: Scope, message: String, hints: Vec<String>) {
        self.note(node, message, hints, (scope, true, Kind::NoKeys));
    }

    fn note(&mut self, node: NodeId, message: String, hints: Vec<String>, (scope, grave, kind): (Scope, bool, Kind)) {
        let start = self.document.node(node).span.start;
        let position = Position::of(self.document.source, start as usize);
        // What an anchor holds is read once for each alias: the same finding counts once, in its widest scope.
        let finding = Finding { position, message: message.clone(), hints, scope, grave, kind };
        let known = self.findings.entry((start, message)).or_insert_with(|| finding.clone());
        if known.scope != finding.scope {
            known.scope = Scope::File;
        }
    }

    /// Notes an unknown field, with the one that was meant.
    pub fn unknown(&mut self, field: &Field<'_>, known: &[&str], place: &str) {
        let synonym = SYNONYMS.iter().find(|(name, _)| *name == field.name).map_or(field.name, |(_, meant)| meant);
        let meant = known.iter().find(|name| **name == synonym).copied().or_else(|| did_you_mean(synonym, known));
        let mut hints: Vec<String> = meant.map(|meant| format!("did you mean {meant}?")).into_iter().collect();
        if matches!(field.name, "input_type" | "output_type") {
            hints.push(format!("the format follows from the file's name, or from --{}", field.name.replace('_', "-")));
        }
        self.find(field.key, format!("unknown field {} {place}", shortened(field.name)), hints);
    }

    /// Notes all fields that aren't `known`.
    pub fn check_names(&mut self, fields: &[Field<'_>], known: &[&str], place: &str) {
        for field in fields.iter().filter(|field| !known.contains(&field.name)) {
            self.unknown(field, known, place);
        }
    }

    /// The node itself, or the one an alias stands for.
    fn target(&self, id: NodeId) -> NodeId {
        let node = self.document.node(id);
        if node.kind == NodeKind::Alias { node.target() } else { id }
    }

    fn kind(&self, id: NodeId) -> NodeKind {
        self.document.node(self.target(id)).kind
    }

    /// The type of a scalar; none for anything else.
    fn scalar_type(&self, id: NodeId) -> Option<Type> {
        if self.kind(id) != NodeKind::Scalar {
            return None;
        }
        self.document.scalar(id).ok().map(|scalar| scalar.kind)
    }

    pub fn is_null(&self, id: NodeId) -> bool {
        self.scalar_type(id) == Some(Type::Null)
    }

    /// Whether it is a string, not a number or the like that only looks like one.
    pub fn is_string(&self, id: NodeId) -> bool {
        self.scalar_type(id) == Some(Type::Str)
    }

    pub fn is_list(&self, id: NodeId) -> bool {
        self.kind(id) == NodeKind::Sequence
    }

    pub fn is_scalar(&self, id: NodeId) -> bool {
        self.kind(id) == NodeKind::Scalar
    }

    fn spend(&mut self) -> bool {
        if self.left == 0 {
            self.exceed(format!("aliases expand to more than {BUDGET} entries"));
            return false;
        }
        self.left -= 1;
        true
    }

    /// Gives up: the config is too large to be honest.
    pub fn exceed(&mut self, message: String) {
        self.left = 0;
        self.exceeded.get_or_insert(message);
    }

    /// Notes a value of the wrong shape; SOPS can't load such a file.
    pub fn mismatch(&mut self, id: NodeId, name: &str, expected: &str) {
        let found = match self.kind(id) {
            NodeKind::Mapping => "a mapping",
            NodeKind::Sequence => "a list",
            _ => "a single value",
        };
        self.find_grave(id, Scope::File, format!("{} is {found}, expected {expected}", shortened(name)), Vec::new());
    }

    /// The entries of a mapping, `<<` merged: own fields win, then what is merged first.
    pub fn fields(&mut self, id: NodeId, name: &str) -> Vec<Field<'d>> {
        let mut fields = Vec::new();
        if self.kind(id) == NodeKind::Mapping {
            self.collect(id, &mut fields, &mut HashSet::new(), 0);
        } else if !self.is_null(id) {
            self.mismatch(id, name, "a mapping");
        }
        fields
    }

    fn collect(&mut self, id: NodeId, fields: &mut Vec<Field<'d>>, seen: &mut HashSet<&'d str>, depth: usize) {
        if depth > MAX_MERGES {
            return self.exceed(format!("<< leads deeper than {MAX_MERGES} levels"));
        }
        let document = self.document;
        let (merges, own): (Vec<_>, Vec<_>) = document.entries(self.target(id)).partition(|(key, _)| self.is_merge(*key));
        for (key, value) in own {
            let name = document.key_text(key);
            if self.spend() && seen.insert(name) {
                fields.push(Field { name, key, value });
            }
        }
        for (_, value) in merges {
            self.merge(value, fields, seen, depth);
        }
    }

    fn merge(&mut self, value: NodeId, fields: &mut Vec<Field<'d>>, seen: &mut HashSet<&'d str>, depth: usize) {
        let sources: Vec<NodeId> = if self.is_list(value) { self.document.children(self.target(value)).collect() } else { vec![value] };
        for source in sources {
            if self.kind(source) != NodeKind::Mapping {
                self.mismatch(source, MERGE_KEY, "an alias of a mapping, or a list of them");
            } else if self.spend() {
                self.collect(source, fields, seen, depth + 1);
            }
        }
    }

    /// A plain `<<` merges; a quoted one is a field like any other (yaml.v3).
    fn is_merge(&self, key: NodeId) -> bool {
        let plain = self.document.node(key).style == Style::Plain;
        let tag = self.document.props(key).tag.as_deref();
        self.document.key_text(key) == MERGE_KEY && tag.map_or(plain, |tag| tag == MERGE_TAG)
    }

    /// The items of a list; none for null.
    pub fn list(&mut self, field: &Field<'_>) -> Vec<NodeId> {
        if self.is_null(field.value) {
            return Vec::new();
        }
        if !self.is_list(field.value) {
            self.mismatch(field.value, field.name, "a list");
            return Vec::new();
        }
        let items: Vec<NodeId> = self.document.children(self.target(field.value)).collect();
        items.into_iter().take_while(|_| self.spend()).collect()
    }

    /// The text of a scalar of any type, as yaml.v3 puts it into a string; none for null and the empty string.
    pub fn text(&mut self, field: &Field<'_>) -> Option<String> {
        self.text_of(field.value, field.name)
    }

    /// As [`Reader::text`], of an item of `name`.
    pub fn text_of(&mut self, id: NodeId, name: &str) -> Option<String> {
        if !self.is_scalar(id) {
            self.mismatch(id, name, "a single value");
            return None;
        }
        let text = self.document.text(self.target(id));
        (!text.is_empty() && !self.is_null(id)).then(|| text.to_owned())
    }

    /// The number of an integer.
    pub fn int(&mut self, field: &Field<'_>) -> Option<i64> {
        if self.is_null(field.value) {
            return None;
        }
        let scalar = if self.is_scalar(field.value) { self.document.scalar(field.value).ok() } else { None };
        let number = scalar.filter(|scalar| scalar.kind == Type::Int).and_then(|scalar| scalar.as_text()?.parse().ok());
        if number.is_none() {
            self.mismatch_of_type(field, "an integer");
        }
        number
    }

    /// A boolean; for these yaml.v3 also takes the words of YAML 1.1.
    pub fn bool(&mut self, field: &Field<'_>) -> bool {
        if self.is_null(field.value) {
            return false;
        }
        let text = if self.is_scalar(field.value) { self.document.text(self.target(field.value)) } else { "" };
        match text {
            "y" | "Y" | "yes" | "on" => true,
            "n" | "N" | "no" | "off" => false,
            _ if self.scalar_type(field.value) == Some(Type::Bool) => text.eq_ignore_ascii_case("true"),
            _ => {
                self.mismatch_of_type(field, "true or false");
                false
            }
        }
    }

    fn mismatch_of_type(&mut self, field: &Field<'_>, expected: &str) {
        self.find_grave(field.value, Scope::File, format!("{} is not {expected}", field.name), Vec::new());
    }
}

/// A name from the file, cut to what fits a message.
fn shortened(name: &str) -> String {
    let mut short: String = name.chars().take(40).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}
