//! From an encrypted file to its next version: what didn't change keeps its bytes.

use std::cell::LazyCell;

use zeroize::Zeroizing;

use super::{metadata_of, read_printed};
use crate::datakey::{self, DataKey, rewrap};
use crate::document::change::Changed;
use crate::document::resolve::{Scalar, Type};
use crate::document::value::Value;
use crate::document::{self, Document, Format, NONE, Span, edit::Edits};
use crate::error::{Error, Kind, Result};
use crate::kubernetes;
use crate::metadata::Metadata;
use crate::recipient::{Identities, RecipientSpec};
use crate::seal::decrypt::{self, Reading};
use crate::seal::encrypt::{self, Request, Sealed};
use crate::seal::keep::Earlier;
use crate::seal::value::Cipher;
use crate::seal::verify;
use crate::select::Selection;

/// An encrypted file, opened.
pub struct Opened<'t> {
    /// The encrypted file, parsed.
    pub document: Document<'t>,
    /// Its `sops` block.
    pub metadata: Metadata,
    /// Its data key.
    pub data_key: DataKey,
    /// What it decrypts to.
    pub plain: Zeroizing<String>,
    /// Things worth a line on stderr.
    pub notes: Vec<String>,
    pub(super) reading: Reading<'static>,
}

/// A value of an opened file.
pub struct Held<'o> {
    /// The number of its document.
    pub document: u32,
    /// Its key path.
    pub path: String,
    /// Its type.
    pub kind: Type,
    /// What it says.
    pub plaintext: &'o [u8],
    /// The token that the file holds of it, unless it is in clear.
    pub token: Option<&'o str>,
}

impl Opened<'_> {
    /// Parses a plain text of this file: what only another writer would let stand in it may stand there if it does now.
    ///
    /// # Errors
    /// Those of the format's parser.
    pub fn parsed<'p>(&self, plain: &'p str) -> Result<Document<'p>> {
        let format = self.document.format;
        if format.repeated(&self.document).is_some() { format.parse_opened(plain) } else { format.parse_plain(plain) }
    }

    /// What its documents say, with the types that the text may not tell, such as that of a float shown as an integer.
    ///
    /// # Errors
    /// A scalar that doesn't resolve.
    pub fn trees(&self) -> Result<Vec<Value>> {
        self.reading.trees(&self.document)
    }

    /// The key paths of its encrypted values.
    pub fn encrypted_paths(&self) -> Vec<String> {
        self.reading.encrypted().map(|id| self.document.key_path(id)).collect()
    }

    /// Its encrypted values by key path, with their types.
    pub fn encrypted_values(&self) -> impl Iterator<Item = (String, (Type, Zeroizing<Vec<u8>>))> + '_ {
        let pairs = self.reading.walk.leaves.iter().zip(&self.reading.values);
        let encrypted = pairs.filter(|(_, plain)| plain.encrypted && plain.value.kind != Type::Comment);
        encrypted.map(|(leaf, plain)| (self.document.key_path(leaf.node), (plain.value.kind, Zeroizing::new(plain.value.bytes.to_vec()))))
    }

    /// The values that it holds in clear.
    pub fn clear(&self) -> impl Iterator<Item = &Scalar<'_>> {
        self.reading.values.iter().filter(|plain| !plain.encrypted).map(|plain| &plain.value)
    }

    /// All its values in the order of the text, with what the file holds of them.
    pub fn values(&self) -> impl Iterator<Item = Held<'_>> {
        let pairs = self.reading.walk.leaves.iter().zip(&self.reading.values);
        let own = pairs.filter(|(leaf, plain)| leaf.alias == NONE && !leaf.shadow && plain.value.kind != Type::Comment);
        own.map(|(leaf, plain)| Held {
            document: self.document.node(leaf.node).document,
            path: self.document.key_path(leaf.node),
            kind: plain.value.kind,
            plaintext: &plain.value.bytes,
            token: plain.encrypted.then(|| self.document.text(leaf.node)),
        })
    }

    /// Where its tokens are, those of comments included, and what they say.
    pub fn secrets(&self) -> Vec<(Span, Type, &[u8])> {
        let document = &self.document;
        let token_in = |span: Span| {
            let text = document.slice(span);
            let start = text.find("ENC[")?;
            let end = start + text[start..].find(']')? + 1;
            Some(Span::new(span.start as usize + start, span.start as usize + end))
        };
        let pairs = self.reading.walk.leaves.iter().zip(&self.reading.values).filter(|(leaf, plain)| plain.encrypted && leaf.alias == NONE);
        let values =
            pairs.filter_map(|(leaf, plain)| Some((token_in(document.node(leaf.node).span)?, plain.value.kind, &*plain.value.bytes)));
        let comments = self.reading.comments.iter().filter_map(|open| {
            let comment = document.comments.get(self.reading.walk.remarks.get(open.remark)?.comment)?;
            Some((token_in(comment.span)?, Type::Comment, open.text.as_bytes()))
        });
        values.chain(comments).collect()
    }

    /// Its tokens by the key path they stand at, with what they say.
    pub fn tokens(&self) -> impl Iterator<Item = (String, &str, Type, &[u8])> {
        let pairs = self.reading.walk.leaves.iter().zip(&self.reading.values);
        let own = pairs.filter(|(leaf, plain)| plain.encrypted && leaf.alias == NONE);
        own.map(|(leaf, plain)| (self.document.key_path(leaf.node), self.document.text(leaf.node), plain.value.kind, &*plain.value.bytes))
    }

    /// The values and comments that the file holds encrypted: the path as the additional data has it (`data:password:`), the
    /// type, the plain bytes.
    pub fn hidden(&self) -> impl Iterator<Item = (&str, Type, &[u8])> {
        let walk = &self.reading.walk;
        let leaves = walk.leaves.iter().zip(&self.reading.values).filter(|(_, plain)| plain.encrypted);
        let values = leaves.map(|(leaf, plain)| (walk.path(leaf.path), plain.value.kind, &*plain.value.bytes));
        let comments = self.reading.comments.iter().filter_map(|open| {
            let path = walk.path(walk.remarks.get(open.remark)?.path);
            Some((path, Type::Comment, open.text.as_bytes()))
        });
        values.chain(comments)
    }

    /// Whether its MAC is that of its values; it may not be if the MAC was to be ignored.
    pub fn is_signed(&self) -> bool {
        self.reading.signed.is_some()
    }
}

/// Opens an encrypted file with the identities at hand.
///
/// # Errors
/// As [`super::decrypt_text`].
pub fn open<'t>(
    text: &'t str,
    format: &'static dyn Format,
    identities: &Identities,
    order: &[String],
    ignore_mac: bool,
) -> Result<Opened<'t>> {
    let document = format.parse_encrypted(text).map_err(super::as_generic)?;
    let metadata = metadata_of(&document)?;
    let data_key = datakey::unwrap(&metadata, identities, order)?;
    open_with(document, metadata, data_key, ignore_mac)
}

/// Opens an encrypted file whose data key is known.
///
/// # Errors
/// As [`decrypt::read`].
pub fn open_with(document: Document<'_>, metadata: Metadata, data_key: DataKey, ignore_mac: bool) -> Result<Opened<'_>> {
    let (mut reading, plain) = decrypt::open(&document, &metadata, &Cipher::new(data_key.bytes()), ignore_mac)?;
    let notes = std::mem::take(&mut reading.notes);
    let reading = reading.into_owned();
    Ok(Opened { document, metadata, data_key, plain, notes, reading })
}

/// Encrypts `plain` as the next version of `opened`, for the same recipients and under the same rule: tokens of unchanged
/// values and comments, the record, the MAC and the bytes of the block that don't change are kept. Unchanged text gives the
/// encrypted file back, byte for byte. `check` may refuse what was read; it runs while the second reader does. `now` is RFC 3339
/// in UTC.
///
/// # Errors
/// Those of the format's parser, `check`, [`encrypt::encrypt`] and [`verify::check`].
pub fn reseal(opened: &Opened<'_>, plain: &str, check: impl FnOnce(&Document<'_>) -> Result<()>, now: &str) -> Result<Zeroizing<String>> {
    if plain == opened.plain.as_str() && opened.is_signed() {
        return Ok(Zeroizing::new(opened.document.source.to_owned()));
    }
    let sealed = revised(opened, |_| Ok(Some(plain)), |plain| opened.parsed(plain), |_, _, after| check(after), now)?;
    Ok(sealed.unwrap_or_default())
}

/// As [`reseal`], where `change` gives the next version of the plain text, parsed; [`None`] if it wants none.
///
/// # Errors
/// As [`reseal`], and those of `change`.
pub fn reseal_changed(
    opened: &Opened<'_>,
    change: impl FnOnce(&Document<'_>) -> Result<Option<Changed>>,
    check: impl FnOnce(&Document<'_>) -> Result<()>,
    now: &str,
) -> Result<Option<Zeroizing<String>>> {
    let both = |changed: &Changed, before: &Document<'_>, after: &Document<'_>| {
        changed.check(before, after)?;
        check(after)
    };
    revised(opened, change, |changed| changed.read(opened.document.format), both, now)
}

fn revised<T>(
    opened: &Opened<'_>,
    write: impl FnOnce(&Document<'_>) -> Result<Option<T>>,
    read: impl for<'t> FnOnce(&'t T) -> Result<Document<'t>>,
    check: impl FnOnce(&T, &Document<'_>, &Document<'_>) -> Result<()>,
    now: &str,
) -> Result<Option<Zeroizing<String>>> {
    let selection = Selection::of_metadata(opened.metadata.selector.as_ref());
    let metadata = Metadata { last_modified: now.to_owned(), ..opened.metadata.clone() };
    std::thread::scope(|scope| {
        let earlier = scope.spawn(|| earlier(opened, true));
        let before = opened.parsed(&opened.plain)?;
        let Some(written) = write(&before)? else { return Ok(None) };
        let after = read(&written)?;
        if after.source == before.source && opened.is_signed() {
            check(&written, &before, &after)?;
            return Ok(Some(Zeroizing::new(opened.document.source.to_owned())));
        }
        let earlier = joined(earlier)?.with_styles(&before);
        let layout = !kubernetes::lists_sops_fields(&after);
        let next = Next { selection: &selection, metadata, layout, data_key: None };
        let checked = LazyCell::new(|| check(&written, &before, &after));
        let sealed = resealed(opened, earlier, &after, &next, &|| {
            LazyCell::force(&checked);
        });
        // What was refused counts before what failed.
        LazyCell::force(&checked).clone()?;
        Ok(Some(sealed?.text))
    })
}

fn earlier<'e>(opened: &'e Opened<'_>, reuse: bool) -> Earlier<'e> {
    Earlier::new(&opened.document, &opened.reading, &opened.metadata, reuse)
}

fn joined<T>(worker: std::thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    worker.join().map_err(|_| Error::new(Kind::Generic, "a worker thread failed"))
}

/// How the next version of a file is encrypted.
pub struct Next<'n> {
    /// Which values.
    pub selection: &'n Selection,
    /// Recipients, selector, time and version of the next version.
    pub metadata: Metadata,
    /// Whether a layout record may be written.
    pub layout: bool,
    /// A new data key, which `metadata` has wrapped; [`None`] keeps the old one, and with it what is unchanged.
    pub data_key: Option<&'n DataKey>,
}

/// Encrypts a parsed plain file as the next version of `opened`.
///
/// # Errors
/// Those of [`encrypt::encrypt`] and [`verify::check`].
pub fn reseal_as(opened: &Opened<'_>, plain: &Document<'_>, next: &Next<'_>) -> Result<Sealed> {
    std::thread::scope(|scope| {
        let earlier = scope.spawn(|| earlier(opened, next.data_key.is_none()));
        let before = opened.parsed(&opened.plain)?;
        resealed(opened, joined(earlier)?.with_styles(&before), plain, next, &|| ())
    })
}

fn resealed(opened: &Opened<'_>, known: Earlier<'_>, plain: &Document<'_>, next: &Next<'_>, meanwhile: &dyn Fn()) -> Result<Sealed> {
    let format = opened.document.format;
    let cipher = Cipher::new(next.data_key.unwrap_or(&opened.data_key).bytes());
    let sealed = |earlier: Earlier<'_>| {
        let request = Request {
            selection: next.selection,
            cipher: &cipher,
            metadata: next.metadata.clone(),
            indent: format.block_indent(&opened.document),
            layout: next.layout,
            lenient: true,
            earlier: Some(&earlier),
        };
        let mut sealed = encrypt::encrypt(plain, request)?;
        if let Some(text) = document::with_block_of(&opened.document, &sealed.text, &sealed.metadata.write()) {
            sealed.text = text;
        }
        verify::check(plain, &sealed.text, &cipher, next.layout, Some(&earlier), meanwhile)?;
        Ok(sealed)
    };
    // Another writer's style that doesn't carry the new text is no reason to refuse.
    sealed(known).or_else(|_: Error| sealed(earlier(opened, next.data_key.is_none())))
}

/// Makes `to` of `sealed`, the next version of `opened`, under the same data key and for the same recipients; `indent` is that of
/// what is printed.
///
/// # Errors
/// Those of [`Format::print`], [`encrypt::encrypt`] and [`verify::check`].
pub fn converted(
    opened: &Opened<'_>,
    sealed: &str,
    to: &'static dyn Format,
    indent: Option<usize>,
    now: &str,
) -> Result<Zeroizing<String>> {
    let (document, cipher) = (opened.document.format.parse_encrypted(sealed)?, Cipher::new(opened.data_key.bytes()));
    let metadata = metadata_of(&document)?;
    let trees = decrypt::read(&document, &metadata, &cipher, false)?.trees(&document)?;
    let printed = Zeroizing::new(to.print(&trees, indent)?);
    let plain = read_printed(&printed, &trees, to)?;
    let selection = Selection::of_metadata(metadata.selector.as_ref());
    let metadata = Metadata { last_modified: now.to_owned(), mac: None, layout: None, ..metadata };
    let request = Request { selection: &selection, cipher: &cipher, metadata, indent, layout: true, lenient: true, earlier: None };
    let sealed = encrypt::encrypt(&plain, request)?;
    verify::check(&plain, &sealed.text, &cipher, true, None, || ())?;
    Ok(sealed.text)
}

/// Encrypts the values of `opened` under a new data key with fresh IVs, wrapped for `groups`.
///
/// # Errors
/// Those of [`datakey::wrap`] and [`reseal_as`].
pub fn rotate(
    opened: &Opened<'_>,
    groups: &[Vec<RecipientSpec>],
    threshold: Option<usize>,
    identities: &Identities,
    now: &str,
) -> Result<Zeroizing<String>> {
    let data_key = DataKey::generate()?;
    let groups = rewrap::continued(datakey::wrap(&data_key, groups, threshold, identities)?, &opened.metadata.groups);
    let selection = Selection::of_metadata(opened.metadata.selector.as_ref());
    let metadata = Metadata {
        threshold: datakey::threshold(groups.len(), threshold)?,
        groups,
        last_modified: now.to_owned(),
        ..opened.metadata.clone()
    };
    let document = opened.parsed(&opened.plain)?;
    let layout = !kubernetes::lists_sops_fields(&document);
    Ok(resealed(
        opened,
        earlier(opened, false).with_styles(&document),
        &document,
        &Next { selection: &selection, metadata, layout, data_key: Some(&data_key) },
        &|| (),
    )?
    .text)
}

/// An encrypted file with other metadata: only the `sops` blocks change, values, MAC and time stay.
///
/// # Errors
/// `Generic` (1) if what would be written isn't that.
pub fn with_metadata(document: &Document<'_>, metadata: &Metadata) -> Result<Zeroizing<String>> {
    let mut edits = Edits::default();
    let block = metadata.write();
    document.format.replace_block(document, &block, &mut edits);
    let text = edits.apply(document.source);
    let written = document.format.parse_encrypted(&text)?;
    // Entries are written in lists by kind: an added one may stand elsewhere than it was put.
    let wanted = block.get("sops").map(Metadata::read).transpose()?;
    // Binary files have no selector.
    let chosen =
        |metadata: Metadata| Metadata { selector: Some(metadata.selector()).map(|(kind, text)| (kind, text.to_owned())), ..metadata };
    let same = wanted.map(chosen) == Some(chosen(metadata_of(&written)?)) && without_block(&written)? == without_block(document)?;
    let doubt = || Error::new(Kind::Generic, "refused to write: the new sops block doesn't read back").hint("nothing was changed");
    if same { Ok(text) } else { Err(doubt()) }
}

/// The values of all documents, the blocks left out.
fn without_block(document: &Document<'_>) -> Result<Vec<Value>> {
    let roots = document.parts.iter().map(|part| part.root).filter(|root| *root != document::NONE);
    let mut values: Vec<Value> = roots.map(|root| Value::of(document, root)).collect::<Result<_>>()?;
    for value in &mut values {
        if let Value::Map(entries) = value {
            entries.retain(|(key, _)| !document.format.is_block(key));
        }
    }
    Ok(values)
}

#[cfg(all(test, feature = "age"))]
mod tests {
    use super::*;
    use crate::document::format_by_path;
    use crate::recipient::Environment;

    const NOW: &str = "2030-01-01T00:00:00Z";

    fn identities() -> Identities {
        let keys = ["age1", "age2", "age3"].map(|name| std::fs::read_to_string(format!("../testdata/recipients/{name}.txt")).unwrap());
        Identities::new(Environment::fixed([("SOPS_AGE_KEY", keys.concat())]))
    }

    /// Genuine files that open with age.
    fn genuine() -> Vec<(String, &'static dyn Format, String)> {
        let cases = std::fs::read_dir("../testdata/sops/3.13.3").unwrap().map(|case| case.unwrap().path());
        let files = cases.filter(|case| !case.join("expected.txt").exists()).flat_map(|case| std::fs::read_dir(case).unwrap());
        let files = files.map(|file| file.unwrap().path()).filter(|path| path.file_stem().is_some_and(|stem| stem == "encrypted"));
        files
            .filter_map(|path| {
                let name = path.display().to_string();
                Some((name.clone(), format_by_path(&name)?, std::fs::read_to_string(path).ok()?))
            })
            .filter(|(_, format, text)| open(text, *format, &identities(), &[], false).is_ok())
            .collect()
    }

    fn differing<'t>(a: &'t str, b: &'t str) -> Vec<&'t str> {
        let there: std::collections::HashSet<&str> = a.lines().collect();
        b.lines().filter(|line| !there.contains(line)).collect()
    }

    #[test]
    fn the_unchanged_text_of_a_genuine_file_gives_it_back() {
        // What another writer shows differs from what it means: negative zero, lists and documents of nothing, a comment of
        // two lines in one token.
        let known = ["ini_basic", "floats", "json_unicode_escapes", "comment_only_list_and_map", "multidoc_three_with_empty"];
        let mut changed = Vec::new();
        for (name, format, text) in genuine().into_iter().filter(|(name, ..)| !known.iter().any(|known| name.contains(known))) {
            let opened = open(&text, format, &identities(), &[], false).unwrap();
            assert_eq!(reseal(&opened, &opened.plain, |_| Ok(()), NOW).unwrap().as_str(), text, "{name}");
            let plain = format.parse(&opened.plain).unwrap();
            let selection = Selection::of_metadata(opened.metadata.selector.as_ref());
            let metadata = Metadata { last_modified: NOW.to_owned(), ..opened.metadata.clone() };
            match reseal_as(&opened, &plain, &Next { selection: &selection, metadata, layout: true, data_key: None }) {
                Ok(next) if next.text.as_str() == text => {}
                Ok(next) => changed.push(format!("{name}: {:#?}", differing(&text, &next.text))),
                Err(error) => changed.push(format!("{name}: {error}")),
            }
        }
        assert!(changed.is_empty(), "{}", changed.join("\n"));
    }

    /// The first string value that is encrypted, in `plain` itself: its span.
    fn a_secret(opened: &Opened<'_>, plain: &Document<'_>) -> Option<document::Span> {
        let selection = Selection::of_metadata(opened.metadata.selector.as_ref());
        let walk = crate::seal::walk::walk(plain, &selection).unwrap();
        let leaf = walk.leaves.iter().find(|leaf| {
            let word = plain.format.name() == "yaml"
                && !plain.text(leaf.node).is_empty()
                && plain.text(leaf.node).bytes().all(|byte| byte.is_ascii_lowercase());
            leaf.selected && leaf.alias == document::NONE && word && plain.slice(plain.node(leaf.node).span) == plain.text(leaf.node)
        })?;
        Some(plain.node(leaf.node).span)
    }

    #[test]
    fn one_changed_value_is_one_changed_line() {
        let mut tried = 0;
        for (name, format, text) in genuine() {
            let opened = open(&text, format, &identities(), &[], false).unwrap();
            let plain = format.parse(&opened.plain).unwrap();
            let Some(span) = a_secret(&opened, &plain) else { continue };
            let mut edits = Edits::default();
            edits.replace(span, "another-value");
            let next = reseal(&opened, &edits.apply(plain.source), |_| Ok(()), NOW).unwrap();
            let changed = differing(&text, &next);
            let known = ["floats", "comment_only_list_and_map", "multidoc_three_with_empty"].iter().any(|known| name.contains(known));
            // Equal values under one path had one IV: they part now.
            let same_iv = text.lines().count() - text.lines().collect::<std::collections::HashSet<_>>().len() > 8;
            assert!(known || same_iv || changed.len() == 3, "{name}: {changed:#?}");
            let reopened = open(&next, format, &identities(), &[], false).unwrap();
            assert!(reopened.plain.contains("another-value") && reopened.metadata.last_modified == NOW, "{name}");
            tried += 1;
        }
        assert!(tried > 20, "{tried}");
    }

    #[test]
    fn what_is_known_of_a_token_counts_at_its_own_key_path_only() {
        let mut tried = 0;
        for (name, format, text) in genuine() {
            let opened = open(&text, format, &identities(), &[], false).unwrap();
            let (known, cipher) = (earlier(&opened, true), Cipher::new(opened.data_key.bytes()));
            let plain = format.parse_opened(&opened.plain).unwrap();
            let accepts = |output: &str| verify::check(&plain, output, &cipher, true, Some(&known), || ()).is_ok();
            if !accepts(&text) {
                continue;
            }
            let tokens: Vec<(String, &str)> = opened.tokens().map(|(path, token, ..)| (path, token)).collect();
            let Some(pair) = tokens.windows(2).find(|pair| pair[0].1 != pair[1].1 && text.matches(pair[0].1).count() == 1) else {
                continue;
            };
            let (one, other) = (pair[0].1, pair[1].1);
            let swapped = text.replace(one, "@").replace(other, one).replace('@', other);
            let damaged = text.replace(one, &one.replacen(",iv:", "A,iv:", 1));
            let repeated = text.replace(one, other);
            for (what, output) in [("swapped", swapped), ("damaged", damaged), ("repeated", repeated)] {
                assert!(output == text || !accepts(&output), "{name}: {what}");
            }
            tried += 1;
        }
        assert!(tried > 20, "{tried}");
    }

    #[test]
    fn a_rotated_file_has_no_token_of_the_old_one_and_the_same_text() {
        for (name, format, text) in genuine() {
            let opened = open(&text, format, &identities(), &[], false).unwrap();
            let age = |spec: &RecipientSpec| spec.kind == "age" && !spec.text.starts_with("ssh");
            let mut groups = datakey::rewrap::recipients(&opened.metadata);
            groups.iter_mut().for_each(|group| group.retain(age));
            let next = rotate(&opened, &groups, opened.metadata.threshold, &identities(), NOW).unwrap();
            let reopened = open(&next, format, &identities(), &[], false).unwrap();
            assert!(reopened.plain.as_str() == opened.plain.as_str(), "{name}");
            let tokens = |text: &str| -> std::collections::HashSet<String> {
                text.split("ENC[").skip(1).filter_map(|token| Some(token.split_once(",iv:")?.1.get(..43)?.to_owned())).collect()
            };
            assert!(tokens(&text).is_disjoint(&tokens(&next)), "{name}");
        }
    }

    #[test]
    fn other_metadata_changes_nothing_but_the_block() {
        for (name, format, text) in genuine() {
            let opened = open(&text, format, &identities(), &[], false).unwrap();
            let mut metadata = opened.metadata.clone();
            assert_eq!(with_metadata(&opened.document, &metadata).unwrap().as_str(), text, "{name}");
            let twice = metadata.groups[0].entries[0].clone();
            metadata.groups[0].entries.push(twice);
            let next = with_metadata(&opened.document, &metadata).unwrap();
            let reopened = open(&next, format, &identities(), &[], false).unwrap();
            assert!(reopened.plain.as_str() == opened.plain.as_str() && next.len() > text.len(), "{name}");
            assert!(text.lines().filter(|line| !next.contains(line)).count() == 0, "{name}");
        }
    }
}
