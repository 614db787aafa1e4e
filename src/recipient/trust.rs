//! Which addresses may get a token: a file names the service that is asked about it, and whoever writes the file could
//! name his own.

use std::sync::OnceLock;

type Find = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// Who vouches for addresses, beside the environment.
#[derive(Default)]
pub struct Trust {
    everywhere: bool,
    find: Option<Find>,
    found: OnceLock<Vec<String>>,
}

impl Trust {
    /// Addresses that `find` gives are vouched for; with `everywhere` all are.
    pub fn new(everywhere: bool, find: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Trust {
        Trust { everywhere, find: Some(Box::new(find)), found: OnceLock::new() }
    }

    /// Whether nobody needs to vouch for an address.
    pub fn is_everywhere(&self) -> bool {
        self.everywhere
    }

    /// The recipients of the committed configuration, whose addresses it vouches for.
    pub fn recipients(&self) -> &[String] {
        self.found.get_or_init(|| self.find.as_ref().map(|find| find()).unwrap_or_default())
    }
}
