//! A recipient added to or taken out of the rules of a `.sops.yaml`: only the lines that name it change.

use super::{CREATION_RULES, Config, recipients};
use crate::document::edit::Edits;
use crate::document::{Document, Kind as Node, NONE, NodeId, Role, Span, yaml};
use crate::error::{Error, Kind, Result};
use crate::recipient::RecipientSpec;

/// `text` without a recipient; [`None`] if no rule names it.
///
/// # Errors
/// `Generic` (1) if a rule would be left without any recipient, or if the text can't be changed without a person.
pub fn without(text: &str, config: &Config, recipient: &RecipientSpec) -> Result<Option<String>> {
    let document = yaml::parse(text)?;
    let rules = document.get(document.parts.first().map_or(NONE, |part| part.root), CREATION_RULES).unwrap_or(NONE);
    if rules == NONE {
        return Ok(None);
    }
    let mut edits = Edits::default();
    for id in rules..document.node(rules).end {
        let node = document.node(id);
        let leaf = matches!(node.kind, Node::Scalar | Node::Alias) && node.role != Role::Key;
        if leaf && names(text_at(&document, id), &recipient.text) {
            take_out(&document, id, &recipient.text, &mut edits)?;
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let changed = edits.apply(text).to_string();
    let after = super::parse(&changed, &config.file)?;
    let emptied = config.rules.iter().zip(&after.rules).find(|(before, after)| before.has_recipients() && !after.has_recipients());
    if let Some((rule, _)) = emptied {
        let message = format!("the rule in line {} would be left without a recipient", rule.line);
        return Err(Error::new(Kind::Generic, message).in_file(&config.file).hint("add another one to it first, or take the rule out"));
    }
    let left = after.rules.iter().flat_map(|rule| rule.groups.iter().flatten()).any(|spec| spec.text == recipient.text);
    if left { Err(by_hand(config, "it isn't clear how to take it out of the rules")) } else { Ok(Some(changed)) }
}

fn by_hand(config: &Config, why: &str) -> Error {
    Error::new(Kind::Generic, why).in_file(&config.file).hint("change the rules by hand, then run kveil updatekeys")
}

fn text_at<'d>(document: &'d Document<'_>, id: NodeId) -> &'d str {
    let node = document.node(id);
    if node.kind == Node::Alias { document.text(node.target()) } else { document.text(id) }
}

fn names(text: &str, recipient: &str) -> bool {
    text.split(',').any(|part| part.trim() == recipient)
}

fn take_out(document: &Document<'_>, id: NodeId, recipient: &str, edits: &mut Edits) -> Result<()> {
    let node = document.node(id);
    if text_at(document, id).trim() != recipient {
        if node.kind == Node::Alias {
            return Err(document.error(id, Kind::Generic, "an alias of several recipients can't be changed in one place"));
        }
        let offset = node.span.start as usize;
        let part = part_of(document.slice(node.span), recipient);
        edits.replace(Span::new(offset + part.start, offset + part.end), "");
        return Ok(());
    }
    let start = document.line_start(node.span.start as usize);
    let lead = document.source[start..node.span.start as usize].trim();
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

/// The bytes of one part of a text with commas, with one comma and the blanks that go with it.
fn part_of(text: &str, recipient: &str) -> std::ops::Range<usize> {
    let start = text.find(recipient).unwrap_or(0);
    let end = start + recipient.len();
    let rest = &text[end..];
    match rest.trim_start().strip_prefix(',') {
        Some(after) => start..text.len() - after.trim_start().len(),
        None => text[..start].trim_end().trim_end_matches(',').len()..end,
    }
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
    let after = document.source[end..].find('\n').map_or(document.source.len(), |newline| end + newline + 1);
    Span::new(start, after)
}

/// `text` with a recipient added to the rules of these indexes: to the flat list of its kind, or to the first key group.
///
/// # Errors
/// `Generic` (1) if the text can't be changed without a person.
pub fn with(text: &str, config: &Config, rules: &[usize], recipient: &RecipientSpec) -> Result<String> {
    let document = yaml::parse(text)?;
    let mut edits = Edits::default();
    for rule in rules.iter().filter_map(|at| config.rules.get(*at)) {
        if !rule.groups.iter().flatten().any(|known| known == recipient) {
            add(&document, rule.node, rule.grouped, recipient, &mut edits)
                .ok_or_else(|| by_hand(config, &format!("it isn't clear how to add a recipient to the rule in line {}", rule.line)))?;
        }
    }
    let changed = edits.apply(text).to_string();
    let after = super::parse(&changed, &config.file)?;
    let there = |at: &usize| after.rules.get(*at).is_some_and(|rule| rule.groups.iter().flatten().any(|spec| spec.text == recipient.text));
    if rules.iter().all(there) { Ok(changed) } else { Err(by_hand(config, "it isn't clear how to add a recipient to the rules")) }
}

fn add(document: &Document<'_>, rule: NodeId, grouped: bool, recipient: &RecipientSpec, edits: &mut Edits) -> Option<()> {
    let (mapping, field) = if grouped {
        let group = document.children(document.get(rule, "key_groups")?).next()?;
        (group, if recipient.kind == "azure_kv" { "azure_keyvault" } else { recipient.kind })
    } else {
        (rule, recipients::FLAT.iter().find(|(_, kind)| *kind == recipient.kind)?.0)
    };
    match document.get(mapping, field) {
        Some(value) => add_to(document, value, &recipient.text, edits),
        None => add_field(document, mapping, &format!("{field}: {}", recipient.text), edits),
    }
}

fn add_to(document: &Document<'_>, value: NodeId, recipient: &str, edits: &mut Edits) -> Option<()> {
    let node = document.node(value);
    let (at, text) = match node.kind {
        Node::Sequence => {
            let last = document.children(value).last()?;
            let end = document.node(last).span.end as usize;
            if node.flow {
                (end, format!(", {recipient}"))
            } else {
                let column = " ".repeat(document.column(node.span.start as usize));
                (document.line_end(end), format!("{}{column}- {recipient}", document.newline()))
            }
        }
        Node::Scalar if node.is_block_scalar() => {
            let end = node.span.end as usize;
            let column = " ".repeat(document.body_indent(value));
            (end, format!(",{}{column}{recipient}", document.newline()))
        }
        Node::Scalar => {
            let quoted = document.slice(node.span).ends_with(['"', '\'']);
            let comma = if document.text(value).trim().is_empty() { "" } else { "," };
            (node.span.end as usize - usize::from(quoted), format!("{comma}{recipient}"))
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
    let end = document.line_end(document.node(last).span.end as usize);
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
    fn the_last_recipient_of_a_rule_stays() {
        let error = removed(&format!("creation_rules:\n  - age: {B}\n")).unwrap_err();
        assert!(error.message.contains("line 2"), "{error}");
    }
}
