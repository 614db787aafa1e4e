//! A recipient added to or taken out of the rules of a `.sops.yaml`: only the lines that name it change.
//!
//! What comes out is read again and compared: every rule must say what it said, but for this recipient. A way of writing
//! rules that isn't known here so is a refusal, never a rule for others.

use std::collections::HashSet;

use super::{CREATION_RULES, Config, Rule, recipients};
use crate::document::edit::Edits;
use crate::document::{Document, Kind as Node, NONE, NodeId, Role, Span, yaml};
use crate::error::{Error, Kind, Result};
use crate::recipient::{RecipientSpec, arn_and_role};

/// Fields of an entry in a key group that name its key, and the kind they are of.
const ENTRY_KEYS: [(&str, &str); 3] = [("arn", "kms"), ("resource_id", "gcp_kms"), ("key_id", "hckms")];

/// `text` without a recipient, in whichever spelling; [`None`] if no rule names it.
///
/// # Errors
/// `Generic` (1) if a rule would be left without any recipient, or if the text can't be changed without a person.
pub fn without(text: &str, config: &Config, recipient: &RecipientSpec) -> Result<Option<String>> {
    let expected: Vec<Vec<Vec<RecipientSpec>>> = config.rules.iter().map(|rule| remaining(rule, recipient)).collect();
    refuse_emptied(config, &expected)?;
    let document = yaml::parse(text)?;
    let mut edits = Edits::default();
    if let Some(rules) = document.get(document.parts.first().map_or(NONE, |part| part.root), CREATION_RULES) {
        let mut id = rules;
        while id < document.node(rules).end {
            let entry = is_entry_of(&document, id, recipient);
            if entry {
                take_out_whole(&document, id, &mut edits)?;
            } else if is_value(&document, id) {
                take_out(&document, id, recipient, &mut edits)?;
            }
            id = if entry { document.node(id).end } else { id + 1 };
        }
    }
    if edits.is_empty() {
        let named = config.rules.iter().flat_map(|rule| rule.groups.iter().flatten()).any(|known| recipient.means(known));
        return if named { Err(by_hand(config, "it isn't clear how to take it out of the rules")) } else { Ok(None) };
    }
    let changed = edits.apply(text).to_string();
    match compare(&changed, config, config.rules.iter().zip(expected)) {
        true => Ok(Some(changed)),
        false => Err(by_hand(config, "it isn't clear how to take it out of the rules")),
    }
}

fn by_hand(config: &Config, why: &str) -> Error {
    Error::new(Kind::Generic, why).in_file(&config.file).hint("change the rules by hand, then run kveil updatekeys")
}

/// The recipients of a rule that stay.
fn remaining(rule: &Rule, gone: &RecipientSpec) -> Vec<Vec<RecipientSpec>> {
    rule.groups.iter().map(|group| group.iter().filter(|known| !gone.means(known)).cloned().collect()).collect()
}

fn refuse_emptied(config: &Config, expected: &[Vec<Vec<RecipientSpec>>]) -> Result<()> {
    for (rule, groups) in config.rules.iter().zip(expected) {
        let emptied = rule.groups.iter().zip(groups).any(|(before, after)| !before.is_empty() && after.is_empty());
        if emptied {
            let what = if rule.groups.len() > 1 { "a key group of the rule" } else { "the rule" };
            let message = format!("{what} in line {} would be left without a recipient", rule.line);
            return Err(Error::new(Kind::Generic, message).in_file(&config.file).hint("add another one to it first, or take it out"));
        }
    }
    Ok(())
}

/// Whether `changed` has the rules of `config` with these recipients, and is wrong in no new way.
fn compare<'c>(changed: &str, config: &Config, expected: impl Iterator<Item = (&'c Rule, Vec<Vec<RecipientSpec>>)>) -> bool {
    let Ok(after) = super::parse(changed, &config.file) else { return false };
    let grave = |config: &Config| config.findings.iter().filter(|finding| finding.grave).count();
    let pattern = |rule: &Rule| rule.path_regex.as_ref().map(|pattern| pattern.as_str().to_owned());
    let mut rules = after.rules.iter();
    let same = expected.into_iter().all(|(before, groups)| {
        rules.next().is_some_and(|rule| {
            let rest = (&rule.selector, rule.threshold, rule.mac_only_encrypted)
                == (&before.selector, before.threshold, before.mac_only_encrypted);
            rest && pattern(rule) == pattern(before) && same_groups(&rule.groups, &groups)
        })
    });
    same && rules.next().is_none() && grave(&after) <= grave(config)
}

/// The same recipients in the same groups; their order means nothing.
fn same_groups(a: &[Vec<RecipientSpec>], b: &[Vec<RecipientSpec>]) -> bool {
    let within = |a: &[RecipientSpec], b: &[RecipientSpec]| a.iter().all(|spec| b.contains(spec));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.len() == b.len() && within(a, b) && within(b, a))
}

fn is_value(document: &Document<'_>, id: NodeId) -> bool {
    let node = document.node(id);
    matches!(node.kind, Node::Scalar | Node::Alias) && node.role != Role::Key
}

/// Whether an item is a mapping that names the recipient, as in the lists of key groups.
fn is_entry_of(document: &Document<'_>, id: NodeId, recipient: &RecipientSpec) -> bool {
    let node = document.node(id);
    if node.kind != Node::Mapping || node.role != Role::Item {
        return false;
    }
    let field = |name: &str| document.get(id, name).map(|value| text_at(document, value));
    if recipient.kind == "azure_kv" {
        let Some((vault, key)) = field("vaultUrl").zip(field("key")) else { return false };
        let version = field("version").filter(|version| !version.is_empty()).map(|version| format!("/{version}"));
        let text = format!("{}/keys/{key}{}", vault.trim_end_matches('/'), version.unwrap_or_default());
        return names(&text, recipient);
    }
    // A role beside it is for the comparison of the whole to judge.
    ENTRY_KEYS.iter().any(|(name, kind)| *kind == recipient.kind && field(name).is_some_and(|text| names(text, recipient)))
}

fn text_at<'d>(document: &'d Document<'_>, id: NodeId) -> &'d str {
    document.text(target(document, id))
}

/// The node itself, or the one that an alias stands for.
fn target(document: &Document<'_>, id: NodeId) -> NodeId {
    let node = document.node(id);
    if node.kind == Node::Alias { node.target() } else { id }
}

/// Whether one part of a text with commas is the recipient. Blanks inside mean nothing where keys are copied with them.
fn names(part: &str, recipient: &RecipientSpec) -> bool {
    let text = if matches!(recipient.kind, "pgp" | "kms" | "gcp_kms") { part.replace(' ', "") } else { part.trim().to_owned() };
    let (text, role) = if recipient.kind == "kms" { arn_and_role(&text) } else { (text.as_str(), None) };
    let extra = role.map(|role| ("role".to_owned(), role.to_owned())).into_iter().collect();
    recipient.means(&RecipientSpec { kind: recipient.kind, text: text.to_owned(), extra })
}

/// Takes a recipient out of a scalar: the whole of it, or those parts between commas that name it.
fn take_out(document: &Document<'_>, id: NodeId, recipient: &RecipientSpec, edits: &mut Edits) -> Result<()> {
    let texts: Vec<&str> = text_at(document, id).split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let count = texts.iter().filter(|part| names(part, recipient)).count();
    if count == 0 {
        return Ok(());
    }
    if count == texts.len() {
        return take_out_whole(document, id, edits);
    }
    if document.node(id).kind == Node::Alias {
        return Err(document.error(id, Kind::Generic, "an alias of several recipients can't be changed in one place"));
    }
    let parts = parts(document, id);
    let gone: Vec<bool> = parts.iter().map(|part| names(document.slice(*part), recipient)).collect();
    for (at, part) in parts.iter().enumerate().filter(|(at, _)| gone[*at]) {
        let last = gone[at..].iter().all(|gone| *gone);
        let before = at.checked_sub(1).and_then(|before| parts.get(before)).filter(|_| last);
        let start = before.map_or(part.start, |before| before.end);
        let end = parts.get(at + 1).filter(|_| !last).map_or(part.end, |next| next.start);
        edits.replace(Span { start, end }, "");
    }
    Ok(())
}

/// Where the parts of a scalar with commas stand in the source, without quotes and blanks; none that is blank.
fn parts(document: &Document<'_>, id: NodeId) -> Vec<Span> {
    let node = document.node(id);
    let raw = document.slice(node.span);
    let header = if node.is_block_scalar() { raw.find('\n').map_or(raw.len(), |newline| newline + 1) } else { 0 };
    let mut offset = node.span.start as usize + header;
    let mut parts = Vec::new();
    for part in raw[header..].split(',') {
        let trimmed = part.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        if let Some(lead) = part.find(trimmed).filter(|_| !trimmed.is_empty()) {
            parts.push(Span::new(offset + lead, offset + lead + trimmed.len()));
        }
        offset += part.len() + 1;
    }
    parts
}

/// Takes a node out with the lines, the field or the comma that are there for it alone.
fn take_out_whole(document: &Document<'_>, id: NodeId, edits: &mut Edits) -> Result<()> {
    let node = document.node(id);
    let begin = document.props(id).anchor_span.map_or(node.span.start, |anchor| anchor.start.min(node.span.start)) as usize;
    let start = document.line_start(begin);
    let lead = document.source[start..begin].trim();
    let flow = node.parent != NONE && document.node(node.parent).flow;
    let key = if node.role == Role::Value { document.slice(document.node(id - 1).span) } else { "" };
    match node.role {
        Role::Item if flow => edits.replace(flow_item(document, id), ""),
        Role::Item if lead == "-" => edits.replace(lines(document, start, node.span.end as usize), ""),
        Role::Value if !flow && lead == format!("{key}:") => edits.replace(lines(document, start, node.span.end as usize), ""),
        // The first field of a rule stands beside its dash: the next one takes its place.
        Role::Value if !flow && node.end < document.node(node.parent).end => {
            edits.replace(Span { start: document.node(id - 1).span.start, end: document.node(node.end).span.start }, "");
        }
        Role::Value if !flow => edits.replace(node.span, ""),
        _ => return Err(document.error(id, Kind::Generic, "the recipient shares its line with something else")),
    }
    Ok(())
}

fn flow_item(document: &Document<'_>, id: NodeId) -> Span {
    let node = document.node(id);
    if node.end < document.node(node.parent).end {
        return Span { start: node.span.start, end: document.node(node.end).span.start };
    }
    let previous = document.children(node.parent).take_while(|child| *child != id).last();
    Span { start: previous.map_or(node.span.start, |previous| document.node(previous).span.end), end: node.span.end }
}

/// Whole lines, the last line break included.
fn lines(document: &Document<'_>, start: usize, end: usize) -> Span {
    let end = last_line(document, end);
    let after = document.source[end..].find('\n').map_or(document.source.len(), |newline| end + newline + 1);
    Span::new(start, after)
}

/// The end of what stands before `end`, which may lie behind its line break.
fn last_line(document: &Document<'_>, end: usize) -> usize {
    document.line_end(document.source[..end].trim_end_matches(['\n', '\r']).len())
}

/// `text` with a recipient added to the rules of these indexes: to the flat list of its kind, or to the first key group.
///
/// # Errors
/// `Generic` (1) if the text can't be changed without a person, or not without letting the recipient into other rules.
pub fn with(text: &str, config: &Config, rules: &[usize], recipient: &RecipientSpec) -> Result<String> {
    let document = yaml::parse(text)?;
    let mut edits = Edits::default();
    let mut changed_nodes = HashSet::new();
    let lacks = |at: usize, rule: &Rule| rules.contains(&at) && !rule.groups.iter().flatten().any(|known| known.is(recipient));
    for (at, rule) in config.rules.iter().enumerate() {
        if lacks(at, rule) {
            add(&document, rule, recipient, &mut changed_nodes, &mut edits)
                .ok_or_else(|| by_hand(config, &format!("it isn't clear how to add a recipient to the rule in line {}", rule.line)))?;
        }
    }
    let changed = edits.apply(text).to_string();
    let expected = config.rules.iter().enumerate().map(|(at, rule)| {
        let mut groups = rule.groups.clone();
        match groups.first_mut() {
            Some(first) if lacks(at, rule) => first.push(recipient.clone()),
            None if lacks(at, rule) => groups.push(vec![recipient.clone()]),
            _ => {}
        }
        (rule, groups)
    });
    match compare(&changed, config, expected) {
        true => Ok(changed),
        false => Err(by_hand(config, "it isn't clear how to add a recipient to these rules, and to no others")),
    }
}

/// Adds a recipient to a rule. What several rules share is changed once.
fn add(document: &Document<'_>, rule: &Rule, recipient: &RecipientSpec, changed: &mut HashSet<NodeId>, edits: &mut Edits) -> Option<()> {
    let text = plain(&recipient.text)?;
    let (mapping, field) = if rule.grouped {
        let groups = target(document, document.get(target(document, rule.node), "key_groups")?);
        let group = target(document, document.children(groups).next()?);
        (group, if recipient.kind == "azure_kv" { "azure_keyvault" } else { recipient.kind })
    } else {
        (target(document, rule.node), recipients::FLAT.iter().find(|(_, kind)| *kind == recipient.kind)?.0)
    };
    let value = document.get(mapping, field).map(|value| target(document, value));
    if !changed.insert(value.unwrap_or(mapping)) {
        return Some(());
    }
    match value {
        Some(value) => add_to(document, value, recipient, &text, edits),
        None => add_field(document, mapping, &format!("{field}: {text}"), edits),
    }
}

/// A recipient as a scalar of its own: in quotes where it would be a number. None for one that commas would part.
fn plain(recipient: &str) -> Option<String> {
    if recipient.contains([',', '\'', '"', '\\', '#', '\n']) || recipient.contains(": ") {
        return None;
    }
    let number = recipient.starts_with(|c: char| c.is_ascii_digit());
    Some(if number { format!("'{recipient}'") } else { recipient.to_owned() })
}

fn add_to(document: &Document<'_>, value: NodeId, recipient: &RecipientSpec, item: &str, edits: &mut Edits) -> Option<()> {
    let node = document.node(value);
    let (at, text) = match node.kind {
        Node::Sequence => {
            let last = document.children(value).last()?;
            let end = document.node(last).span.end as usize;
            if node.flow {
                (end, format!(", {item}"))
            } else {
                let column = " ".repeat(document.column(node.span.start as usize));
                (last_line(document, end), format!("{}{column}- {item}", document.newline()))
            }
        }
        Node::Scalar if node.is_block_scalar() => {
            let end = document.source[..node.span.end as usize].trim_end_matches(['\n', '\r']).len();
            let column = " ".repeat(document.body_indent(value));
            (end, format!(",{}{column}{}", document.newline(), recipient.text))
        }
        // Nothing yet: behind the colon of its key.
        Node::Scalar if node.span.start == node.span.end && node.role == Role::Value => {
            let key = document.node(value - 1).span.end as usize;
            (key + document.source[key..].find(':')? + 1, format!(" {item}"))
        }
        Node::Scalar => {
            let quoted = document.slice(node.span).ends_with(['"', '\'']);
            let comma = if document.text(value).trim().is_empty() { "" } else { "," };
            (node.span.end as usize - usize::from(quoted), format!("{comma}{}", recipient.text))
        }
        _ => return None,
    };
    edits.replace(Span::new(at, at), &text);
    Some(())
}

/// A new field behind the last one of a rule or a group.
fn add_field(document: &Document<'_>, mapping: NodeId, field: &str, edits: &mut Edits) -> Option<()> {
    let node = document.node(mapping);
    let (first, last) = (document.children(mapping).next()?, node.end - 1);
    if node.flow {
        return None;
    }
    let column = " ".repeat(document.column(document.node(first).span.start as usize));
    let end = last_line(document, document.node(last).span.end as usize);
    edits.replace(Span::new(end, end), &format!("{}{column}{field}", document.newline()));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "age1teycljmw7sclx4gr5wx6a5wujm750xay04enwh8k00jpqexzhdas47qnef";
    const B: &str = "age1rrxzd98rdeuupdvwk6t689acawtr633uqjklendc4awwgpfv7e2qwq6uyz";

    fn spec(text: &str) -> RecipientSpec {
        RecipientSpec { kind: "age", text: text.to_owned(), extra: Vec::new() }
    }

    fn config(text: &str) -> Config {
        crate::config::parse(text, ".sops.yaml").unwrap()
    }

    fn added(text: &str) -> Result<String> {
        with(text, &config(text), &[0], &spec(B))
    }

    fn removed(text: &str) -> Result<Option<String>> {
        without(text, &config(text), &spec(B))
    }

    #[test]
    fn a_recipient_comes_and_goes_in_every_form() {
        let forms = [
            (format!("creation_rules:\n  - age: {A}\n"), format!("creation_rules:\n  - age: {A},{B}\n")),
            (format!("creation_rules:\n  - age: '{A}' # us\n"), format!("creation_rules:\n  - age: '{A},{B}' # us\n")),
            (
                format!("creation_rules:\n- age:\n    - {A} # a\n  pgp: x\n"),
                format!("creation_rules:\n- age:\n    - {A} # a\n    - {B}\n  pgp: x\n"),
            ),
            (format!("creation_rules: [{{age: [{A}]}}]\n"), format!("creation_rules: [{{age: [{A}, {B}]}}]\n")),
            (format!("creation_rules:\n  - age: >-\n      {A}\n"), format!("creation_rules:\n  - age: >-\n      {A},\n      {B}\n")),
            (
                format!("creation_rules:\n  - key_groups:\n      - age:\n          - {A}\n      - age: [{A}]\n"),
                format!("creation_rules:\n  - key_groups:\n      - age:\n          - {A}\n          - {B}\n      - age: [{A}]\n"),
            ),
            ("creation_rules:\n  - pgp: ABCD\n".to_owned(), format!("creation_rules:\n  - pgp: ABCD\n    age: {B}\n")),
        ];
        for (without, with) in forms {
            assert_eq!(added(&without).unwrap(), with);
            assert_eq!(removed(&with).unwrap().as_deref(), Some(without.as_str()));
            assert_eq!(removed(&without).unwrap(), None);
        }
    }

    #[test]
    fn an_alias_goes_and_its_anchor_stays() {
        let text = format!("keys:\n  - &b {B}\ncreation_rules:\n  - age:\n      - {A}\n      - *b\n");
        assert_eq!(removed(&text).unwrap().unwrap(), text.replace("      - *b\n", ""));
    }

    #[test]
    fn the_next_field_takes_the_place_beside_the_dash() {
        let text = format!("creation_rules:\n  - age: {B}\n    pgp: ABCD\n");
        assert_eq!(removed(&text).unwrap().unwrap(), "creation_rules:\n  - pgp: ABCD\n");
    }

    #[test]
    fn the_last_recipient_of_a_rule_or_a_group_stays() {
        let error = removed(&format!("creation_rules:\n  - age: {B}\n")).unwrap_err();
        assert!(error.message.contains("the rule in line 2"), "{error}");
        let error = removed(&format!("creation_rules:\n  - key_groups:\n      - age: [{A}]\n      - age: [{B}]\n")).unwrap_err();
        assert!(error.message.contains("a key group of the rule in line 2"), "{error}");
    }

    fn without_spec(text: &str, kind: &'static str, gone: &str) -> Result<Option<String>> {
        let spec = crate::recipient::kind_by_field(kind).unwrap().parse(gone).unwrap();
        without(text, &config(text), &spec)
    }

    const F: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    #[test]
    fn another_spelling_is_the_same_recipient() {
        let spaced = "0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567";
        for (written, given) in [(F, "0x0123456789abcdef0123456789abcdef01234567"), (spaced, F), (&F.to_lowercase(), F)] {
            let text = format!("creation_rules:\n  - age: {A}\n    pgp: '{written}'\n");
            let left = without_spec(&text, "pgp", given).unwrap();
            assert_eq!(left.unwrap(), format!("creation_rules:\n  - age: {A}\n"), "{written} {given}");
        }
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDpzIKdBBv8YLMaVMwjJ8lzYXqvYk8oXqLVrB8fGgU6X";
        let text = format!("creation_rules:\n  - age:\n      - {A}\n      - {key} bert@home\n");
        let spec = spec(&format!("{key} bert@work"));
        assert_eq!(without(&text, &config(&text), &spec).unwrap().unwrap(), format!("creation_rules:\n  - age:\n      - {A}\n"));
        // It is there already.
        assert_eq!(with(&text, &config(&text), &[0], &spec).unwrap(), text);
    }

    #[test]
    fn only_the_part_itself_is_taken_out_of_a_text_with_commas() {
        // The first fingerprint ends in the second one's digits.
        let (long, short) = (format!("{}{F}", &F[..24]), F);
        let text = format!("creation_rules:\n  - pgp: \"{long}, {short},{A}\"\n");
        assert_eq!(without_spec(&text, "pgp", short).unwrap().unwrap(), format!("creation_rules:\n  - pgp: \"{long}, {A}\"\n"));
        for (before, after) in [
            (format!("{B},{A},{B}"), A.to_owned()),
            (format!("{B}, {B} ,{A},"), format!("{A},")),
            (format!("'{A} , {B}'"), format!("'{A}'")),
            (format!(">-\n      {B},\n      {A}"), format!(">-\n      {A}")),
            (format!("|\n      {A},\n      {B},"), format!("|\n      {A},")),
            (format!("{A},\n      {B}"), A.to_owned()),
        ] {
            let text = |value: &str| format!("creation_rules:\n  - age: {value}\n    pgp: '{F}'\n");
            assert_eq!(removed(&text(&before)).unwrap().unwrap(), text(&after), "{before}");
        }
    }

    #[test]
    fn entries_of_key_groups_go_as_a_whole() {
        let text = |entries: &str| format!("creation_rules:\n  - key_groups:\n      - age: [{A}]\n{entries}");
        let arn = "arn:aws:kms:us-east-1:1:key/a";
        let kms = format!("        kms:\n          - arn: {arn}\n            role: arn:aws:iam::1:role/r\n          - arn: {arn}b\n");
        let left = without_spec(&text(&kms), "kms", arn).unwrap().unwrap();
        assert_eq!(left, text(&format!("        kms:\n          - arn: {arn}b\n")));
        let gcp = "        gcp_kms:\n          - resource_id: projects/p/x\n          - {resource_id: projects/p/y}\n";
        let left = without_spec(&text(gcp), "gcp_kms", "projects/p/y").unwrap().unwrap();
        assert_eq!(left, text("        gcp_kms:\n          - resource_id: projects/p/x\n"));
        let azure = "        azure_keyvault:\n          - vaultUrl: https://v.vault.azure.net\n            key: n\n            version: a\n        pgp: []\n";
        let left = without_spec(&text(azure), "azure_kv", "https://v.vault.azure.net/keys/n/a").unwrap().unwrap();
        assert_eq!(left, text("        azure_keyvault:\n        pgp: []\n"));
    }

    #[test]
    fn what_isnt_understood_is_left_to_a_person() {
        let by_hand = |result: Result<String>| assert!(result.unwrap_err().hints.iter().any(|hint| hint.contains("by hand")));
        // The recipients stand outside the rules, merged or by an alias of their list.
        let merged = format!("x-base: &base\n  age: {A},{B}\ncreation_rules:\n  - <<: *base\n    path_regex: a\n");
        let listed = format!("keys: &team [{A}, {B}]\ncreation_rules:\n  - age: *team\n    path_regex: a\n");
        for text in [&merged, &listed] {
            by_hand(removed(text).map(Option::unwrap_or_default));
        }
        // An own field would hide what is merged.
        let merged = merged.replace(&format!(",{B}"), "");
        by_hand(added(&merged));
        // A rule that shares the list of another would let the recipient in, too.
        let shared = format!("creation_rules:\n  - path_regex: a\n    age: &team\n      - {A}\n  - age: *team\n");
        by_hand(added(&shared));
        let both = with(&shared, &config(&shared), &[0, 1], &spec(B)).unwrap();
        assert_eq!(both, shared.replace(&format!("- {A}\n"), &format!("- {A}\n      - {B}\n")));
        // An anchor that is still needed.
        by_hand(
            removed(&format!("creation_rules:\n  - age:\n      - {A}\n      - &b {B}\nnames: {{*b : bert}}\n"))
                .map(Option::unwrap_or_default),
        );
    }

    #[test]
    fn an_anchor_goes_with_its_recipient() {
        let text = format!("creation_rules:\n  - path_regex: a\n    age:\n      - &b {B}\n      - {A}\n  - age: [{A}, *b]\n");
        let left = format!("creation_rules:\n  - path_regex: a\n    age:\n      - {A}\n  - age: [{A}]\n");
        assert_eq!(removed(&text).unwrap().unwrap(), left);
    }

    #[test]
    fn line_ends_and_block_scalars_stay_in_order() {
        let crlf = |text: &str| text.replace('\n', "\r\n");
        for (without, with) in [
            (
                format!("creation_rules:\n  - age:\n      - {A}\n    pgp: x\n"),
                format!("creation_rules:\n  - age:\n      - {A}\n      - {B}\n    pgp: x\n"),
            ),
            (
                format!("creation_rules:\n  - age: >-\n      {A}\n    pgp: x\n"),
                format!("creation_rules:\n  - age: >-\n      {A},\n      {B}\n    pgp: x\n"),
            ),
            (
                "creation_rules:\n  - pgp: >-\n      x\n  - kms: arn\n".to_owned(),
                format!("creation_rules:\n  - pgp: >-\n      x\n    age: {B}\n  - kms: arn\n"),
            ),
            ("creation_rules:\n  - pgp: x".to_owned(), format!("creation_rules:\n  - pgp: x\n    age: {B}")),
        ] {
            for (without, with) in [(without.clone(), with.clone()), (crlf(&without), crlf(&with))] {
                assert_eq!(added(&without).unwrap(), with);
                assert_eq!(removed(&with).unwrap().unwrap().trim_end(), without.trim_end());
            }
        }
        assert_eq!(added("creation_rules:\n  - pgp: x\n    age:\n").unwrap(), format!("creation_rules:\n  - pgp: x\n    age: {B}\n"));
    }

    #[test]
    fn a_fingerprint_of_digits_stays_a_text() {
        let text = format!("creation_rules:\n  - age: {A}\n");
        let spec = crate::recipient::read("0x0123456789012345").unwrap();
        let with = with(&text, &config(&text), &[0], &spec).unwrap();
        assert_eq!(with, format!("{text}    pgp: '0x0123456789012345'\n"));
        assert!(config(&with).findings.is_empty());
    }
}
