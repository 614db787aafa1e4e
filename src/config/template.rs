//! The `.sops.yaml` that `init` writes.

/// A config with one rule, for `recipients` (age or SSH public keys) and every file. With `selector` the rule also says
/// what to encrypt in a Secret, for teams that use SOPS beside kveil: SOPS has no default of its own for Secrets.
///
/// Several recipients are written as one folded text with commas, a line each: every version of SOPS reads that.
pub fn template(recipients: &[String], selector: bool) -> String {
    let mut text = String::from("creation_rules:\n  - age: ");
    match recipients {
        [only] => text.push_str(&quoted_if_needed(only)),
        several => text.push_str(&format!(">-\n      {}", several.join(",\n      "))),
    }
    text.push('\n');
    if selector {
        text.push_str("    encrypted_regex: ^(data|stringData)$\n");
    }
    text
}

/// SSH keys may end in a comment of any kind.
fn quoted_if_needed(recipient: &str) -> String {
    let plain = recipient.starts_with(|c: char| c.is_ascii_alphabetic())
        && recipient.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '/' | '=' | '.' | '_' | '@' | ' '));
    if plain { recipient.to_owned() } else { format!("'{}'", recipient.replace('\'', "''")) }
}
