//! The three-way merge of encrypted files: values by key path on what they say, clear lines as git does it, recipients and
//! data key three ways.
//!
//! The versions are opened and their MACs checked; their texts are woven line by line with stand-ins in place of secret
//! values (`frame`, `weave`, `refine`), so that a changed value is no changed line. For every value it is decided
//! whose version is taken (`view`), and the text is encrypted as the next version of ours: what didn't change keeps its
//! ciphertext. A conflict is written as both sides' ciphertext under the key of the result, with markers around nothing but
//! the lines in conflict: no plaintext gets near the work tree.

mod commas;
mod dispute;
mod frame;
mod keys;
pub mod markers;
mod refine;
mod text;
mod view;
mod weave;
mod whole;

use zeroize::Zeroizing;

use crate::datakey::DataKey;
use crate::document::{Document, Format};
use crate::error::{Error, Kind, Result};
use crate::git::mask::Masks;
use crate::kubernetes;
use crate::metadata::Metadata;
use crate::pipeline;
use crate::pipeline::next::{self, Next, Opened};
use crate::seal::decrypt::is_encrypted;
use crate::select::Selection;
pub use dispute::{Contested, Dispute, Pick};
use frame::Frame;
use keys::Sides;
pub use keys::Wrapping;
pub use text::{Files, MARKER_SIZE, whole_files};
use view::{Decisions, Frames, View, Woven};
use weave::{Side, Threads};

/// The texts of the three versions.
#[derive(Clone, Copy)]
pub struct Versions<'t> {
    /// The common ancestor; empty where both sides added the file.
    pub base: &'t str,
    /// Ours, whose layout the result has.
    pub ours: &'t str,
    /// Theirs.
    pub theirs: &'t str,
    /// Their format.
    pub format: &'static dyn Format,
}

/// How a merge is done.
#[derive(Clone, Copy)]
pub struct Manner {
    /// Characters of a conflict marker.
    pub marker_size: usize,
    /// Whether the result is but an ancestor for another merge: what is in conflict stays as it was, without markers.
    pub inner: bool,
}

/// A merged file.
pub struct Merged {
    /// The file, encrypted; with markers where it is in conflict.
    pub text: Zeroizing<String>,
    /// Whether nothing is left to do.
    pub clean: bool,
    /// The key paths of the values in conflict.
    pub conflicts: Vec<String>,
    /// Whether it was merged without a key: its MAC has to be made anew.
    pub keyless: bool,
    /// What to tell.
    pub notes: Vec<String>,
}

/// Whether any version is encrypted; text that can't be read isn't.
pub fn concerns(versions: &Versions<'_>) -> bool {
    [versions.ours, versions.theirs].iter().any(|text| versions.format.parse(text).is_ok_and(|document| is_encrypted(&document)))
}

/// Merges. Without a key for a side, what can be merged by structure alone is, and is marked as unsigned.
///
/// # Errors
/// `MacMismatch` (51) naming the side; `NoDataKey` (128) where structure alone doesn't do; `Generic` (1) where the versions
/// don't go together, or a recipient would be added that `wrapping` doesn't consent to. Nothing is lost then: the caller
/// has the three texts.
pub fn merge(versions: &Versions<'_>, manner: Manner, now: &str, wrapping: &Wrapping<'_>) -> Result<Merged> {
    let opened = Loaded::open(versions, wrapping, false);
    match opened {
        Err(error) if error.kind == Kind::NoDataKey && !manner.inner => {
            structural(versions, manner).map_err(|why| error.hint(why.message.as_str()))
        }
        Err(error) => Err(error),
        Ok(opened) => opened.merge(versions, now, wrapping, |sealer, woven| sealer.merged(woven, manner)),
    }
}

/// How what is in dispute is settled.
pub struct Asking<'a> {
    /// What values are shown as.
    pub masks: &'a Masks,
    /// Answers all questions, in their order.
    pub choose: &'a dyn Fn(&[Dispute]) -> Result<Vec<Pick>>,
    /// Whether theirs needs no MAC that fits: a part of a file with markers has none.
    pub theirs_unsigned: bool,
}

/// Merges, and has what is in dispute settled: the result is clean.
///
/// # Errors
/// As [`merge`]; `NoDataKey` (128) without a key for any side; those of `asking`.
pub fn resolve(versions: &Versions<'_>, now: &str, wrapping: &Wrapping<'_>, asking: &Asking<'_>) -> Result<Merged> {
    let opened = Loaded::open(versions, wrapping, asking.theirs_unsigned)?;
    opened.merge(versions, now, wrapping, |sealer, woven| sealer.settled(woven, asking))
}

/// A version: opened, or in clear.
enum Version<'t> {
    Encrypted(Box<Opened<'t>>),
    Clear(&'t str),
    /// An ancestor that none of the identities opens: what it holds is known, and not what that says.
    Sealed(&'t str, Box<Metadata>),
}

impl<'t> Version<'t> {
    fn open(text: &'t str, format: &'static dyn Format, name: &str, wrapping: &Wrapping<'_>, unsigned: bool) -> Result<Version<'t>> {
        let document = format.parse(text).map_err(pipeline::as_generic)?;
        if !is_encrypted(&document) {
            return Ok(Version::Clear(text));
        }
        let opened = next::open(text, format, wrapping.identities, &[], unsigned).map_err(|mut error| {
            error.message = format!("{name}: {}", error.message);
            error
        })?;
        Ok(Version::Encrypted(Box::new(opened)))
    }

    fn plain(&self) -> &str {
        match self {
            Version::Encrypted(opened) => &opened.plain,
            Version::Clear(text) | Version::Sealed(text, _) => text,
        }
    }

    fn opened(&self) -> Option<&Opened<'t>> {
        match self {
            Version::Encrypted(opened) => Some(opened),
            Version::Clear(_) | Version::Sealed(..) => None,
        }
    }

    fn metadata(&self) -> Option<&Metadata> {
        match self {
            Version::Encrypted(opened) => Some(&opened.metadata),
            Version::Sealed(_, metadata) => Some(metadata),
            Version::Clear(_) => None,
        }
    }

    /// Its values; tokens stand for those of a sealed one, so that each counts as changed where the sides differ.
    fn document(&self, format: &'static dyn Format) -> Result<Document<'_>> {
        match self {
            Version::Sealed(text, _) => format.parse(text),
            _ => format.parse_plain(self.plain()),
        }
    }
}

/// The three versions, opened.
struct Loaded<'t> {
    base: Option<Version<'t>>,
    ours: Version<'t>,
    theirs: Version<'t>,
}

impl<'t> Loaded<'t> {
    fn open(versions: &Versions<'t>, wrapping: &Wrapping<'_>, theirs_unsigned: bool) -> Result<Loaded<'t>> {
        let open = |text, name| Version::open(text, versions.format, name, wrapping, theirs_unsigned && name == "theirs");
        let (ours, theirs) = (open(versions.ours, "ours")?, open(versions.theirs, "theirs")?);
        // An ancestor that git merged from two, with markers in it, or one before the file was there, says nothing.
        let base = match Some(versions.base).filter(|base| !base.trim().is_empty()).map(|base| open(base, "the common ancestor")) {
            Some(Err(error)) if error.kind == Kind::MacMismatch => return Err(error),
            // As if there were none, what one side removed would come back from the other.
            Some(Err(error)) if error.kind == Kind::NoDataKey => {
                let metadata = pipeline::metadata_of(&versions.format.parse(versions.base)?)?;
                Some(Version::Sealed(versions.base, Box::new(metadata)))
            }
            Some(opened) => opened.ok(),
            None => None,
        };
        Ok(Loaded { base, ours, theirs })
    }

    /// Merges as far as it goes without a question; `done` makes the file of it.
    fn merge(
        &self,
        versions: &Versions<'_>,
        now: &str,
        wrapping: &Wrapping<'_>,
        done: impl FnOnce(&Sealer<'_, '_, '_, '_>, &Woven<'_, '_, '_>) -> Result<Merged>,
    ) -> Result<Merged> {
        let format = versions.format;
        let versions = [self.base.as_ref(), Some(&self.ours), Some(&self.theirs)].into_iter().flatten();
        let own: Vec<&Metadata> = versions.filter_map(Version::metadata).collect();
        let (base, before) = (self.base.as_ref().and_then(Version::opened), self.base.as_ref().and_then(Version::metadata));
        let sides = Sides { base, before, ours: self.ours.opened(), theirs: self.theirs.opened() };
        let settled = keys::settle(sides, now, wrapping)?;
        let selections = selections(&settled.metadata, &own);
        let selections: Vec<&Selection> = selections.iter().collect();
        let base = self.base.as_ref().map(|base| base.document(format)).transpose()?;
        let (ours, theirs) = (format.parse_plain(self.ours.plain())?, format.parse_plain(self.theirs.plain())?);
        let loom = Loom::new(base.as_ref(), &ours, &theirs, &selections)?;
        let anchor = if settled.anchor == Side::Theirs { sides.theirs } else { sides.ours };
        let Some(anchor) = anchor else { return Err(Error::new(Kind::Generic, "no side is encrypted")) };
        let sealer = Sealer { anchor, metadata: &settled.metadata, data_key: settled.data_key.as_ref(), loom: &loom };
        let mut merged = loom.woven(|woven| done(&sealer, woven))?;
        merged.notes = settled.notes;
        Ok(merged)
    }
}

/// The rule of the result first, then those of the versions that have another one.
fn selections(result: &Metadata, versions: &[&Metadata]) -> Vec<Selection> {
    let mut rules = vec![result.selector()];
    for metadata in versions {
        if !rules.contains(&metadata.selector()) {
            rules.push(metadata.selector());
        }
    }
    rules.into_iter().map(|(kind, text)| Selection::of_metadata(Some(&(kind, text.to_owned())))).collect()
}

/// The versions as lines, ready to be woven.
struct Loom<'d, 's> {
    base: Option<Frame<'d>>,
    ours: Frame<'d>,
    theirs: Frame<'d>,
    /// What was decided for every value.
    decisions: Decisions,
    selections: &'s [&'s Selection],
    numbering: frame::Numbering,
}

impl<'d, 's> Loom<'d, 's> {
    fn new(
        base: Option<&Document<'d>>,
        ours: &Document<'d>,
        theirs: &Document<'d>,
        selections: &'s [&'s Selection],
    ) -> Result<Loom<'d, 's>> {
        let all: Vec<&Document<'_>> = base.into_iter().chain([ours, theirs]).map(|document| document as _).collect();
        let numbering = frame::numbering(&all);
        let frame = |document| Frame::new(document, selections, numbering);
        let spans = |document| whole::spans(document, numbering);
        let (mut base_frame, mut our, mut their) = (base.map(frame).transpose()?, frame(ours)?, frame(theirs)?);
        let mut decisions = Frames { base: base_frame.as_ref(), ours: &our, theirs: &their }.decide();
        let base_spans = base.map(spans).unwrap_or_default();
        let was = base_frame.as_mut().map(|frame| (frame, &base_spans));
        whole::join(was, (&mut our, &spans(ours)), (&mut their, &spans(theirs)), &mut decisions);
        Ok(Loom { base: base_frame, ours: our, theirs: their, decisions, selections, numbering })
    }

    /// What `done` makes of the woven versions.
    fn woven<R>(&self, done: impl FnOnce(&Woven<'_, '_, 'd>) -> Result<R>) -> Result<R> {
        let frames = Frames { base: self.base.as_ref(), ours: &self.ours, theirs: &self.theirs };
        let threads = Threads::new(frames.base, frames.ours, frames.theirs, |side, place| frames.mark(&self.decisions, side, place));
        done(&Woven::new(frames, &threads, &self.decisions))
    }

    /// The text of a view, checked against what was decided.
    fn text(&self, woven: &Woven<'_, '_, '_>, view: &View, format: &dyn Format) -> Result<Zeroizing<String>> {
        let text = woven.text(view)?;
        let frame = Frame::new(&format.parse_plain(&text)?, self.selections, self.numbering)?;
        woven.check(&frame, view)?;
        Ok(text)
    }
}

/// Encrypts what was woven.
struct Sealer<'m, 'o, 'd, 's> {
    anchor: &'m Opened<'o>,
    metadata: &'m Metadata,
    data_key: Option<&'m DataKey>,
    loom: &'m Loom<'d, 's>,
}

impl Sealer<'_, '_, '_, '_> {
    fn merged(&self, woven: &Woven<'_, '_, '_>, manner: Manner) -> Result<Merged> {
        let clean = woven.is_clean();
        let view = if manner.inner { Side::Base } else { Side::Ours };
        let format = self.anchor.document.format;
        let ours = self.sealed(self.anchor, &self.loom.text(woven, &View::of(view), format)?, self.data_key)?;
        let mut merged = Merged { text: ours, clean: clean || manner.inner, conflicts: Vec::new(), keyless: false, notes: Vec::new() };
        if merged.clean {
            return Ok(merged);
        }
        // The next version of ours: what isn't in conflict has the same ciphertext in both.
        let data_key = DataKey::from_bytes(self.data_key.unwrap_or(&self.anchor.data_key).bytes());
        let lost = || Error::new(Kind::Generic, "the merged file has no data key");
        let document = format.parse(&merged.text)?;
        let opened = next::open_with(document, self.metadata_of(&merged.text)?, data_key.ok_or_else(lost)?, false)?;
        let theirs = self.sealed(&opened, &self.loom.text(woven, &View::of(Side::Theirs), format)?, None)?;
        let (quiet, their_quiet) = (frame::blocks(&opened.document), frame::blocks(&format.parse(&theirs)?));
        let theirs = text::Part { text: &theirs, quiet: &their_quiet };
        merged.text = text::marked(text::Part { text: &merged.text, quiet: &quiet }, theirs, manner.marker_size);
        merged.conflicts = woven.conflicts();
        Ok(merged)
    }

    /// The file with what was chosen.
    fn settled(&self, woven: &Woven<'_, '_, '_>, asking: &Asking<'_>) -> Result<Merged> {
        let disputes = dispute::disputes(woven, asking.masks)?;
        let picks = if disputes.is_empty() { Vec::new() } else { (asking.choose)(&disputes)? };
        let plain = self.loom.text(woven, &dispute::view(&disputes, &picks), self.anchor.document.format)?;
        let text = self.sealed(self.anchor, &plain, self.data_key)?;
        Ok(Merged { text, clean: true, conflicts: Vec::new(), keyless: false, notes: Vec::new() })
    }

    fn metadata_of(&self, text: &str) -> Result<Metadata> {
        pipeline::metadata_of(&self.anchor.document.format.parse(text)?)
    }

    fn sealed(&self, earlier: &Opened<'_>, plain: &str, data_key: Option<&DataKey>) -> Result<Zeroizing<String>> {
        let document = earlier.document.format.parse_plain(plain)?;
        let selection = Selection::of_metadata(self.metadata.selector.as_ref());
        self.refuse_clear(&document, &selection)?;
        let layout = !kubernetes::lists_sops_fields(&document);
        let next = Next { selection: &selection, metadata: self.metadata.clone(), layout, data_key };
        Ok(next::reseal_as(earlier, &document, &next)?.text)
    }

    /// Refuses a result in which a value that any version keeps secret would be in clear.
    fn refuse_clear(&self, document: &Document<'_>, selection: &Selection) -> Result<()> {
        if self.loom.selections.len() < 2 {
            return Ok(());
        }
        let all = Frame::new(document, self.loom.selections, self.loom.numbering)?;
        let hidden = Frame::new(document, &[selection], self.loom.numbering)?;
        let shown = all.leaves.iter().find(|leaf| !leaf.value.1.is_empty() && !hidden.leaves.iter().any(|other| other.span == leaf.span));
        match shown {
            Some(leaf) => Err(Error::new(Kind::Generic, "a value that one side keeps encrypted would come into clear").for_key(&leaf.path)),
            None => Ok(()),
        }
    }
}

/// Merges ciphertexts where nothing can be opened: under one data key, values that only one side changed go together. The
/// MAC fits no longer, and a marker stands in the `sops` block so that nobody commits it unseen.
fn structural(versions: &Versions<'_>, manner: Manner) -> Result<Merged> {
    let format = versions.format;
    let refuse = |why: &str| Err(Error::new(Kind::Generic, format!("without a key: {why}")));
    if format.flat().is_some() || format.is_bytes() {
        return refuse("files of this format can't be merged");
    }
    let (ours, theirs) = (format.parse(versions.ours)?, format.parse(versions.theirs)?);
    let base = Some(versions.base).filter(|base| !base.trim().is_empty()).and_then(|base| format.parse(base).ok());
    let (our, their) = (pipeline::metadata_of(&ours), pipeline::metadata_of(&theirs));
    let (Ok(our), Ok(their)) = (our, their) else { return refuse("one side is in clear") };
    if our.groups != their.groups || our.selector() != their.selector() || our.mac_only_encrypted != their.mac_only_encrypted {
        return refuse("recipients, data key or rule differ between the sides");
    }
    let selections = selections(&our, &[&their]);
    let selections: Vec<&Selection> = selections.iter().collect();
    let loom = Loom::new(base.as_ref(), &ours, &theirs, &selections)?;
    loom.woven(|woven| {
        let text = |view| -> Result<Zeroizing<String>> {
            let view = View::of(view);
            let text = woven.text(&view)?;
            woven.check(&Frame::new(&format.parse(&text)?, loom.selections, loom.numbering)?, &view)?;
            Ok(text)
        };
        let (ours, theirs) = (text(Side::Ours)?, text(Side::Theirs)?);
        let part = |text| text::Part { text, quiet: &[] };
        let mut marked = text::marked(part(&ours), part(&theirs), manner.marker_size);
        let blocks = frame::blocks(&format.parse(&ours)?);
        let in_block = ours.get(blocks.first().cloned().unwrap_or_default()).unwrap_or_default();
        let their_blocks = frame::blocks(&format.parse(&theirs)?);
        if theirs.get(their_blocks.first().cloned().unwrap_or_default()) == Some(in_block) {
            marked = text::marked_block(&marked, in_block, manner.marker_size);
        }
        Ok(Merged { text: marked, clean: false, conflicts: woven.conflicts(), keyless: true, notes: Vec::new() })
    })
}
