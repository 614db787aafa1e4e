//! Tagged recipients (`age1tag1…`, `age1tagpq1…`): the public side of keys in hardware.
//!
//! Encrypting needs no plugin, where sops wants `age-plugin-tag`. The identity is the plugin's that holds the key.

use super::{Variety, Wrapper};

pub(super) const P256: Variety = Variety {
    title: "a tagged age recipient",
    names: |text| text.starts_with("age1tag1"),
    recipient: |text, _| read::<age::tag::Recipient>(text),
    expected: "expected what the plugin of the key printed; a mistyped one doesn't pass its checksum",
    identity: None,
};

pub(super) const POST_QUANTUM: Variety = Variety {
    title: "a tagged post-quantum age recipient",
    names: |text| text.starts_with("age1tagpq1"),
    recipient: |text, _| read::<age::tagpq::Recipient>(text),
    ..P256
};

fn read<'i, R: age::Recipient + std::str::FromStr + ToString + 'i>(text: &str) -> Wrapper<'i> {
    let recipient = text.parse::<R>().ok().filter(|recipient| recipient.to_string() == text);
    recipient.map(|recipient| Box::new(recipient) as _).ok_or_else(String::new)
}
