//! `kveil helm get`.

use clap::Args as ClapArgs;

use super::keys;
use super::values::Reader;
use crate::cli::context::Context;
use crate::cli::flags::{Common, DecryptionOrder};
use crate::cli::report;
use crate::deploy::helm::address::{Address, Wanted};
use crate::error::Result;

/// Print the values file of an address, decrypted: what Helm calls for secrets:// and its relatives
///
/// A file that isn't encrypted comes as it is. The file must lie in the git work tree, else below KVEIL_ROOT, else below the
/// current directory.
#[derive(ClapArgs)]
pub struct Args {
    /// The address: secrets://FILE, secrets://?FILE, secrets+age-import:///KEY?FILE. Certificate, key and CA file, which Helm
    /// puts before it, don't count
    #[arg(value_name = "ADDRESS", required = true)]
    address: Vec<String>,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Prints the values, all or nothing.
///
/// # Errors
/// Those of reading the address, of the jail, and of decrypting.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let backend = context.environment.var("HELM_SECRETS_BACKEND");
    let address = args.address.last().map(String::as_str).unwrap_or_default();
    let address = Address::read(address, backend.as_deref()).map_err(|error| error.in_file(address))?;
    let imported = keys::import(context, &address.imports)?;
    let environment = imported.environment(&context.environment);
    let reader = Reader::new(context, &args.common, environment, args.order.kinds()?)?;
    let text = match &address.wanted {
        Wanted::File(values) => reader.read(context, values),
        Wanted::Literal(text) => reader.literal(text),
    };
    reader.tell(context, &args.common);
    report::data(&text?)
}
