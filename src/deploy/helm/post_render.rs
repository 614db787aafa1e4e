//! What Helm rendered, with its encrypted objects in clear: an encrypted file in `templates/` comes out of Helm as it went in,
//! apart from what Helm puts around and, since version 4, into it.

use zeroize::Zeroizing;

use crate::document::edit::Edits;
use crate::document::index_path::Index;
use crate::document::value::Value;
use crate::document::{Format, NONE, Span, change, format_by_name};
use crate::error::{Error, Kind, Result};
use crate::kubernetes;
use crate::pipeline;
use crate::recipient::Identities;
use crate::seal::decrypt::is_encrypted;

/// What Helm 4 puts on every object on the way to a post-renderer, and takes off again.
const ANNOTATION: &str = "postrenderer.helm.sh/postrender-filename";
/// What Helm 3 writes above every object.
const SOURCE: &str = "# Source: ";

/// What came out.
pub struct Rendered {
    /// All objects.
    pub text: Zeroizing<String>,
    /// Where those that were decrypted come from.
    pub decrypted: Vec<String>,
    /// Things worth a line on stderr.
    pub notes: Vec<String>,
}

/// Decrypts the encrypted objects in what Helm rendered; all else keeps its bytes. An object whose kind has the fields of
/// SOPS in its schema is left to its controller.
///
/// # Errors
/// Those of [`pipeline::decrypt_text`], with the template they come from.
pub fn decrypt(rendered: &str, identities: &Identities, order: &[String]) -> Result<Rendered> {
    let Some(yaml) = format_by_name("yaml") else { return Err(Error::new(Kind::Generic, "YAML isn't built in")) };
    let mut edits = Edits::default();
    let (mut decrypted, mut notes) = (Vec::new(), Vec::new());
    for file in files(rendered, yaml)? {
        let opened = file.open(yaml, identities, order).or_else(|error| file.open_copies(error, yaml, identities, order));
        let opened = opened.map_err(|error| file.explain(error))?;
        for (object, plain) in file.objects.iter().zip(&opened.objects) {
            edits.replace(object.span, plain);
        }
        notes.extend(opened.notes.into_iter().map(|note| format!("{}: {note}", file.name())));
        decrypted.push(file.name());
    }
    Ok(Rendered { text: edits.apply(rendered), decrypted, notes })
}

/// An encrypted object.
#[derive(Clone)]
struct Object {
    /// Where it stands.
    span: Span,
    /// Its text without Helm's annotation.
    text: String,
    /// That annotation's value.
    annotation: Option<String>,
    /// The template it comes from.
    template: Option<String>,
    mac: String,
}

/// Objects that were encrypted as one file: they have one MAC.
struct File {
    objects: Vec<Object>,
}

/// The objects of a file, in clear.
struct Clear {
    objects: Vec<Zeroizing<String>>,
    /// Things worth a line on stderr.
    notes: Vec<String>,
}

/// The encrypted files among what was rendered.
fn files(rendered: &str, yaml: &'static dyn Format) -> Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    for span in documents(rendered) {
        let text = &rendered[span.range()];
        if !text.contains("sops") || !text.contains("mac") {
            continue;
        }
        let Some(object) = object(span, text, yaml)? else { continue };
        match files.iter_mut().find(|file| file.objects.iter().any(|other| other.mac == object.mac)) {
            Some(file) => file.objects.push(object),
            None => files.push(File { objects: vec![object] }),
        }
    }
    Ok(files)
}

/// Where the documents of a stream stand: between lines that begin with `---`, which no scalar can hold.
fn documents(stream: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in stream.split_inclusive('\n') {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.trim_end_matches(['\r', '\n']).is_empty() || rest.starts_with([' ', '\t']));
        if marker {
            spans.push(Span::new(start, at));
            start = at + line.len();
        }
        at += line.len();
    }
    spans.push(Span::new(start, at));
    spans.retain(|span| !stream[span.range()].trim().is_empty());
    spans
}

/// The object of a document, if it is an encrypted one that is ours to decrypt. What can't be parsed is left to the guard.
fn object(span: Span, text: &str, yaml: &'static dyn Format) -> Result<Option<Object>> {
    let Ok(document) = yaml.parse(text) else { return Ok(None) };
    if !is_encrypted(&document) || kubernetes::lists_sops_fields(&document) {
        return Ok(None);
    }
    let block = document.block()?;
    let mac = block.as_ref().and_then(|block| block.get("mac")).and_then(Value::text).map(|mac| mac.to_string());
    let source = text.lines().find_map(|line| line.strip_prefix(SOURCE)).map(|path| path.trim().to_owned());
    let (text, annotation) = match without_annotation(text, yaml)? {
        Some((before, value)) => (before, Some(value)),
        None => (text.to_owned(), None),
    };
    let template = source.or_else(|| annotation.clone());
    Ok(Some(Object { span, text, annotation, template, mac: mac.unwrap_or_default() }))
}

impl File {
    /// Where it comes from.
    fn name(&self) -> String {
        self.objects.iter().find_map(|object| object.template.clone()).unwrap_or_else(|| "a rendered object".to_owned())
    }

    /// Its objects in clear, with Helm's annotations, and what is worth a line.
    fn open(&self, yaml: &'static dyn Format, identities: &Identities, order: &[String]) -> Result<Clear> {
        let text = self.objects.iter().map(|object| ended(&object.text).to_string()).collect::<Vec<_>>().join("---\n");
        let opened = pipeline::decrypt_text(&text, yaml, identities, order, false)?;
        let plain = documents(&opened.text);
        if plain.len() != self.objects.len() {
            return Err(Error::new(Kind::Generic, "the decrypted file doesn't have the objects that Helm rendered"));
        }
        let objects = self.objects.iter().zip(plain).map(|(object, span)| {
            let text = ended(&opened.text[span.range()]);
            object.annotation.as_ref().map_or_else(|| Ok(text.clone()), |value| annotated(&text, value, yaml))
        });
        Ok(Clear { objects: objects.collect::<Result<_>>()?, notes: opened.notes })
    }

    /// The same where each object is a file of its own, rendered more than once: a chart may be used twice. `error` is what
    /// stands in the way of one file.
    fn open_copies(&self, error: Error, yaml: &'static dyn Format, identities: &Identities, order: &[String]) -> Result<Clear> {
        if error.kind != Kind::MacMismatch || self.objects.len() < 2 {
            return Err(error);
        }
        let mut all = Clear { objects: Vec::new(), notes: Vec::new() };
        for object in &self.objects {
            let one = File { objects: vec![object.clone()] }.open(yaml, identities, order).map_err(|_| error.clone())?;
            all.objects.extend(one.objects);
            all.notes.extend(one.notes);
        }
        Ok(all)
    }

    /// Names the template. A position in what was rendered is none in the template.
    fn explain(&self, mut error: Error) -> Error {
        error.position = None;
        if error.kind == Kind::MacMismatch {
            error.hints.clear();
            error = error
                .hint("either the template was changed without the data key, or Helm changed it on the way")
                .hint("values that are set by the template language must not be signed: encrypt it with --mac-only-encrypted");
            if self.objects.len() > 1 {
                error = error.hint("Helm sorts objects by kind: keep objects of different kinds in files of their own");
            }
        }
        error.in_file(&self.name())
    }
}

fn ended(text: &str) -> Zeroizing<String> {
    Zeroizing::new(if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") })
}

/// An object as it was before Helm put its annotation on it, and the annotation's value; [`None`] if there is none. In brackets it stands
/// as well as on lines of its own.
fn without_annotation(text: &str, yaml: &'static dyn Format) -> Result<Option<(String, String)>> {
    let document = yaml.parse_plain(text)?;
    let root = document.parts.first().map_or(NONE, |part| part.root);
    let annotations = document.get(root, "metadata").and_then(|metadata| document.get(metadata, "annotations"));
    let own = annotations.and_then(|annotations| document.get(annotations, ANNOTATION));
    let Some((annotations, own)) = annotations.zip(own) else { return Ok(None) };
    let value = Value::of(&document, own)?.text().map(|value| value.into_owned()).unwrap_or_default();
    let mut path = place();
    // Without it there may be none: Helm made the mapping, too.
    path.truncate(if document.entries(annotations).count() == 1 { 2 } else { 3 });
    let Some(changed) = change::unset(&document, &path)? else { return Ok(None) };
    let before = changed.read(yaml)?.source.to_owned();
    Ok(Some((before, value)))
}

/// A decrypted object with Helm's annotation put back: without it Helm doesn't know the object again.
fn annotated(plain: &str, value: &str, yaml: &'static dyn Format) -> Result<Zeroizing<String>> {
    let changed = change::set(&yaml.parse_plain(plain)?, &place(), &Value::string(value))?;
    Ok(Zeroizing::new(changed.read(yaml)?.source.to_owned()))
}

/// Where the annotation stands.
fn place() -> Vec<Index> {
    ["metadata", "annotations", ANNOTATION].map(|key| Index::Key(key.to_owned())).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_parted_by_lines_of_their_own() {
        let stream = "---\n# Source: a\na: |\n  ---\n---  # c\nb: --- x\n---x: 1\n---\n\n---\n";
        let texts: Vec<&str> = documents(stream).into_iter().map(|span| &stream[span.range()]).collect();
        assert_eq!(texts, ["# Source: a\na: |\n  ---\n", "b: --- x\n---x: 1\n"]);
    }

    #[test]
    fn helms_annotation_goes_and_comes_back() {
        let yaml = format_by_name("yaml").unwrap();
        let own = format!("kind: Secret\nmetadata:\n  name: a\n  annotations:\n    {ANNOTATION}: c/s.yaml\ndata: {{}}\n");
        let beside = format!("kind: Secret\nmetadata:\n  name: a\n  annotations:\n    x: y\n    {ANNOTATION}: c/s.yaml\n");
        let brackets = format!("kind: Secret\nmetadata: {{name: a, annotations: {{{ANNOTATION}: c/s.yaml}}}}\n");
        let json = format!(r#"{{"kind": "Secret", "metadata": {{"name": "a", "annotations": {{"{ANNOTATION}": "c/s.yaml"}}}}}}"#);
        for text in [own, beside, brackets, json] {
            let (before, value) = without_annotation(&text, yaml).unwrap().unwrap();
            assert!(!before.contains("helm.sh") && before.contains("annotations") == text.contains("x: y"), "{before}");
            assert!(without_annotation(&before, yaml).unwrap().is_none());
            assert_eq!((&**annotated(&before, &value, yaml).unwrap(), &*value), (&*text, "c/s.yaml"));
        }
    }
}
