//! Opening an entry: which identities are tried, and in what order.
//!
//! What is at hand comes first, the identity that the entry names before all others. What may ask a person or run a
//! program follows, what the entry names first; a passphrase for a key file is asked for near the end, since nobody knows
//! what is in the file.

use std::cell::{Cell, RefCell};

use age::DecryptError;
use age_core::format::{FileKey, Stanza};

use super::sources::Found;
use super::{Identities, Identity, Trouble, ssh};

/// An entry that is being opened.
pub(super) struct Opening<'i> {
    identities: &'i Identities,
    recipient: &'i str,
    tried: Cell<usize>,
    troubles: RefCell<Vec<String>>,
}

type Answer = Option<Result<FileKey, DecryptError>>;

impl<'i> Opening<'i> {
    /// The entry for `recipient`.
    pub(super) fn new(identities: &'i Identities, recipient: &'i str) -> Opening<'i> {
        Opening { identities, recipient, tried: Cell::new(0), troubles: RefCell::default() }
    }

    /// Why nothing fitted.
    pub(super) fn why(&self) -> String {
        let mut why = match self.tried.get() {
            0 => "no age identity was found".to_owned(),
            1 => "the one age identity at hand doesn't fit".to_owned(),
            count => format!("none of the {count} age identities at hand fits"),
        };
        for trouble in self.troubles.borrow().iter() {
            why.push_str("; ");
            why.push_str(trouble);
        }
        why
    }

    /// What was read: the sources of the recipient's own sort first, so that an ssh key isn't parsed for nothing.
    fn found(&self) -> impl Iterator<Item = &'i Found> {
        let (sources, identities, is_ssh) = (&self.identities.age, self.identities, self.is_ssh());
        sources.read(identities, is_ssh).chain(sources.read(identities, !is_ssh))
    }

    fn is_ssh(&self) -> bool {
        self.recipient.starts_with(ssh::PREFIX)
    }

    fn among<'f>(&self, found: impl Iterator<Item = &'f Found>, stanzas: &[Stanza], asks: bool, fits: bool) -> Answer {
        let all = found.flat_map(|found| &found.identities);
        let mut these = all.filter(|identity| identity.asks() == asks && identity.fits(self.recipient) == fits);
        these.find_map(|identity| self.attempt(identity.as_ref(), stanzas))
    }

    /// All that one source gave, in the same order.
    fn within(&self, found: &Found, stanzas: &[Stanza]) -> Answer {
        let kinds = [(false, true), (false, false), (true, true), (true, false)];
        kinds.into_iter().find_map(|(asks, fits)| self.among(std::iter::once(found), stanzas, asks, fits))
    }

    fn attempt(&self, identity: &dyn Identity, stanzas: &[Stanza]) -> Answer {
        self.tried.set(self.tried.get() + 1);
        match identity.unwrap(stanzas, self.identities)? {
            Ok(file_key) => Some(Ok(file_key)),
            Err(Trouble::Damaged(error)) => Some(Err(error)),
            Err(Trouble::Unusable(why)) => {
                self.troubles.borrow_mut().push(why);
                None
            }
        }
    }

    fn by_commands(&self, stanzas: &[Stanza]) -> Answer {
        [self.is_ssh(), !self.is_ssh()].into_iter().find_map(|is_ssh| {
            let found = self.identities.age.by_command(self.identities, self.recipient, is_ssh)?;
            self.within(&found, stanzas).or_else(|| self.unlocked(&found, stanzas))
        })
    }

    /// What is in a key file under a passphrase. There are no ssh keys in such files.
    fn unlocked(&self, found: &Found, stanzas: &[Stanza]) -> Answer {
        let locked = found.locked.as_ref().filter(|_| !self.is_ssh())?;
        let inside = locked.unlock(self.identities);
        self.troubles.borrow_mut().extend(inside.remark.as_ref().map(|why| format!("{}: {why}", inside.place)));
        self.within(inside, stanzas)
    }
}

impl age::Identity for Opening<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Answer {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Answer {
        self.among(self.found(), stanzas, false, true)
            .or_else(|| self.among(self.found(), stanzas, false, false))
            .or_else(|| self.among(self.found(), stanzas, true, true))
            .or_else(|| self.by_commands(stanzas))
            .or_else(|| self.found().find_map(|found| self.unlocked(found, stanzas)))
            .or_else(|| self.among(self.found(), stanzas, true, false))
    }
}
