//! kveil's own keys of the git configuration, and the key under which a clone masks values.

use std::io::Write;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::mask::{KEY_LENGTH, Masks};
use super::{Repository, text};
use crate::error::{Error, Kind, Result};
use crate::source::{self, Source, platform};

/// Below what all work trees of a repository share.
const MASK_KEY: &str = "kveil/mask-key";

/// What `git config kveil.…` says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Settings {
    /// Whether work that git starts may use the network, gpg, plugins and commands.
    pub network: bool,
    /// Whether merges may, though showing differences may not.
    pub network_for_merges: bool,
    /// Whether textconv shows values.
    pub reveal: bool,
}

impl Repository {
    /// kveil's settings in this repository, those of the user included.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn settings(&self) -> Result<Settings> {
        let output = self.run(&["config", "-z", "--get-regexp", r"^kveil\."], None)?;
        let mut settings = Settings::default();
        for entry in super::fields(&output.stdout) {
            let entry = text(entry);
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
            let yes = matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1");
            match key {
                "kveil.network" => (settings.network, settings.network_for_merges) = (yes, yes || value == "merge"),
                "kveil.reveal" => settings.reveal = yes,
                _ => {}
            }
        }
        Ok(settings)
    }

    /// The masks of this clone: under a random key that is made at the first use.
    ///
    /// # Errors
    /// `Unwritable` (3): there is none yet, and it can't be kept.
    pub fn masks(&self) -> Result<Masks> {
        let path = self.common.join(MASK_KEY);
        match self.mask_key(&path) {
            Some(masks) => Ok(masks),
            None => {
                self.keep_mask_key(&path)?;
                self.mask_key(&path).ok_or_else(|| Error::new(Kind::Unwritable, format!("{} can't be read", path.display())))
            }
        }
    }

    fn mask_key(&self, path: &std::path::Path) -> Option<Masks> {
        let bytes = Source::File(path.to_owned()).read_bytes().ok()?;
        let key: Zeroizing<[u8; KEY_LENGTH]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
        Some(Masks::new(&key))
    }

    /// Written whole beside its place first: of two processes that make one, the first one's counts for both.
    fn keep_mask_key(&self, path: &std::path::Path) -> Result<()> {
        let failed = |why: std::io::Error| Error::new(Kind::Unwritable, format!("can't write {}: {why}", path.display()));
        let folder = path.parent().map_or_else(PathBuf::new, PathBuf::from);
        source::make_directory(&folder)?;
        let beside = folder.join(format!("mask-key.{}", std::process::id()));
        let written = platform::private().create_new(true).write(true).open(&beside).and_then(|mut file| {
            file.write_all(Masks::random().map_err(std::io::Error::other)?.key())?;
            file.sync_all()
        });
        let linked = written.and_then(|()| match std::fs::hard_link(&beside, path) {
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
        let _ = std::fs::remove_file(&beside);
        linked.map_err(failed)
    }
}
