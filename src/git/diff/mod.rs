//! What differs between two sides of encrypted files, by object and key path.
//!
//! ```text
//! sides ─► version ─► objects ─► values (inner), block ─► calls (readers) ─► output
//!  which    read and   pair by    what changed, as data      what to look      text, json,
//!  files    open       identity                              at first          markdown
//! ```
//!
//! What is compared is decided here, and what it may say: who can write to a repository without a key must not be able to
//! test a guess by reading a comparison that someone with a key makes. Under a data key that was replaced nothing is
//! compared with what was there before.

pub mod block;
pub mod calls;
pub mod inner;
pub mod objects;
pub mod output;
pub mod readers;
pub mod sides;
pub mod values;
pub mod version;

use zeroize::Zeroizing;

use crate::document::resolve::Type;
use crate::kubernetes::Identity;
use block::BlockChange;
use calls::Call;
use sides::Pair;
use version::{Version, View};

/// All that differs between two sides.
pub struct Differences {
    /// The old side's name.
    pub old: String,
    /// The new side's name.
    pub new: String,
    /// What to look at first.
    pub calls: Vec<Call>,
    /// The files that differ.
    pub files: Vec<FileChange>,
    /// Files that differ and are neither encrypted nor Secrets.
    pub passed_over: usize,
}

/// Whether a file or an object is on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// On the new side only.
    Added,
    /// On the old side only.
    Removed,
    /// On both.
    Both,
}

impl Presence {
    /// The word for machines.
    pub fn id(self) -> &'static str {
        match self {
            Presence::Added => "added",
            Presence::Removed => "removed",
            Presence::Both => "changed",
        }
    }
}

/// A file that differs.
pub struct FileChange {
    /// Its path; of a removed one the old one.
    pub path: String,
    /// Its old path, where it has another one now.
    pub old_path: Option<String>,
    /// Whether it is on both sides.
    pub presence: Presence,
    /// How much of it was seen.
    pub view: View,
    /// What changed in its `sops` block.
    pub block: Vec<BlockChange>,
    /// Its objects that differ.
    pub objects: Vec<ObjectChange>,
}

impl FileChange {
    /// Whether its bytes differ and nothing else.
    pub fn is_layout_only(&self) -> bool {
        self.presence == Presence::Both && self.old_path.is_none() && self.block.is_empty() && self.objects.is_empty()
    }
}

/// An object that differs.
pub struct ObjectChange {
    /// Who it is; of one without a name its place in the file counts.
    pub identity: Option<Identity>,
    /// Its `kind`, if it has one.
    pub kind: Option<String>,
    /// Its place in the file, from 0.
    pub place: usize,
    /// Whether it is a Secret of the core group.
    pub is_secret: bool,
    /// Whether it is on both sides.
    pub presence: Presence,
    /// The file it stood in, if it was another one.
    pub moved_from: Option<String>,
    /// Who it was, if it is another one now.
    pub renamed_from: Option<Identity>,
    /// What changed in it, in its order.
    pub changes: Vec<Change>,
}

impl ObjectChange {
    /// Its name for people.
    pub fn title(&self) -> String {
        match (&self.identity, &self.kind) {
            (Some(identity), _) => identity.title(),
            (None, Some(kind)) => format!("{kind} (document {})", self.place + 1),
            (None, None) if self.place == 0 => "values".to_owned(),
            (None, None) => format!("document {}", self.place + 1),
        }
    }
}

/// What happened to a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum What {
    /// It is in clear now, and was encrypted.
    Bared,
    /// It is encrypted now, and was in clear.
    Encrypted,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It stood at another key path.
    Moved,
    /// It is another one.
    Changed,
    /// It is of another type.
    Retyped,
    /// It is encrypted under another data key: whether it is the same isn't said.
    Replaced,
    /// It is the same under new ciphertext.
    Reencrypted,
    /// Its ciphertext is another one; what it says isn't seen.
    Ciphertext,
}

impl What {
    /// The word for machines.
    pub fn id(self) -> &'static str {
        match self {
            What::Bared => "now-in-clear",
            What::Encrypted => "now-encrypted",
            What::Added => "added",
            What::Removed => "removed",
            What::Moved => "moved",
            What::Changed => "changed",
            What::Retyped => "retyped",
            What::Replaced => "replaced",
            What::Reencrypted => "re-encrypted",
            What::Ciphertext => "ciphertext-changed",
        }
    }

    /// The words for people.
    pub fn text(self) -> &'static str {
        match self {
            What::Bared => "IN CLEAR now",
            What::Encrypted => "encrypted now",
            What::Ciphertext => "ciphertext changed",
            What::Replaced => "replaced (under another data key)",
            What::Reencrypted => "re-encrypted, same value",
            other => other.id(),
        }
    }
}

/// A value at one side, as far as it is shown.
pub struct Seen {
    /// Its type.
    pub kind: Type,
    /// Whether it is encrypted there.
    pub encrypted: bool,
    /// How long it is, by class.
    pub length: &'static str,
    /// What it says: where values are revealed, and in clear what says who an object is.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

/// A value that differs.
pub struct Change {
    /// Its key path for people.
    pub path: String,
    /// What happened to it.
    pub what: What,
    /// The key path it had, if it was moved.
    pub from: Option<String>,
    /// At the old side.
    pub old: Option<Seen>,
    /// At the new side.
    pub new: Option<Seen>,
    /// Which part of it changed, for values of a known form.
    pub inner: Vec<String>,
    /// Other values of the change set that say the same, where that may be said.
    pub equals: Vec<String>,
}

/// What of values is said beside that they changed.
#[derive(Clone, Copy, Default)]
pub struct Saying {
    /// The values themselves.
    pub reveal: bool,
    /// Which values of the change set are equal.
    pub equal: bool,
}

/// A pair of files, read; one that is of no interest on a side counts as missing there.
pub struct Read {
    /// Where they are.
    pub pair: Pair,
    /// At the old side.
    pub old: Option<Version>,
    /// At the new side.
    pub new: Option<Version>,
}

/// Compares all pairs. `names` labels recipients.
pub fn compare(read: &[Read], saying: Saying, names: &[(String, String)]) -> (Vec<FileChange>, Vec<Call>) {
    let mut files = objects::files(read, saying);
    for (file, read) in files.iter_mut().zip(read) {
        file.block = block::changes(read.old.as_ref(), read.new.as_ref(), names);
        file.block.extend(mac_line(file, read));
    }
    files.retain(|file| file.view != View::Clear || !file.is_layout_only());
    let calls = calls::of(&files);
    (files, calls)
}

/// What the line of the MAC says.
fn mac_line(file: &FileChange, read: &Read) -> Option<block::BlockChange> {
    let (old, new) = (read.old.as_ref()?.block.as_ref()?, read.new.as_ref()?.block.as_ref()?);
    let counts = |change: &Change| !new.mac_only_encrypted || change.old.iter().chain(&change.new).any(|seen| seen.encrypted);
    let changed = file.objects.iter().any(|object| object.changes.iter().any(counts));
    block::mac_line(old, new, file.view.is_sealed(), changed)
}
