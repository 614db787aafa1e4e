//! The identities of a command, as its flags say, and what is said of them afterwards.

use super::context::Context;
use super::flags::Common;
use super::report;
use crate::recipient::Identities;

/// The identities that the environment leads to; without the network where that is asked for.
pub fn of(context: &Context, common: &Common) -> Identities {
    let identities = Identities::new(context.environment.clone());
    if common.offline { identities.offline() } else { identities }
}

/// Says what came up while identities were gathered; with `-v` also which services were called, how often, and as whom.
pub fn tell(context: &Context, common: &Common, identities: &Identities) {
    identities.take_warnings().iter().for_each(|warning| report::warning(context, warning));
    if common.verbose {
        identities.calls().iter().for_each(|line| report::note(context, line));
    }
}
