//! Questions to the person at the terminal, never on the standard streams: those may be files.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Identities, held};
use crate::error::printable;

const INPUT: &str = if cfg!(windows) { "CONIN$" } else { "/dev/tty" };
const OUTPUT: &str = if cfg!(windows) { "CONOUT$" } else { "/dev/tty" };

/// Asks for the passphrase of an identity.
///
/// # Errors
/// What is in the way: nothing may be asked, no terminal, no answer.
pub(super) fn passphrase(identities: &Identities, place: &str) -> Result<SecretString, String> {
    if !identities.runs_commands() {
        return Err("locked with a passphrase, and none is asked for here".to_owned());
    }
    let _one_question_at_a_time = held(&identities.age.asking);
    let answer = secret(&format!("Enter passphrase for {place}: "));
    answer.map_err(|_| "locked with a passphrase, and there is no terminal to ask for it".to_owned())
}

/// A line that isn't shown while it is typed.
pub(super) fn secret(prompt: &str) -> io::Result<SecretString> {
    let mut answer = Zeroizing::new(rpassword::prompt_password(safe(prompt))?);
    Ok(SecretString::from(std::mem::take(&mut *answer)))
}

/// A line that is shown while it is typed.
pub(super) fn line(prompt: &str) -> io::Result<String> {
    let mut answer = String::new();
    let input = File::open(INPUT)?;
    write(&safe(prompt))?;
    BufReader::new(input).read_line(&mut answer)?;
    Ok(answer.trim_end_matches(['\r', '\n']).to_owned())
}

/// Shows a message.
pub(super) fn tell(message: &str) -> io::Result<()> {
    write(&format!("{}\n", safe(message)))
}

fn write(text: &str) -> io::Result<()> {
    File::options().write(true).open(OUTPUT)?.write_all(text.as_bytes())
}

/// Texts of plugins and names of files can't move the cursor.
pub(super) fn safe(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}
