//! The name that the session of an assumed role has in AWS's logs.

/// AWS takes no longer one.
const LONGEST: usize = 64;

/// `sops@HOST`, as SOPS names it: audits and trust policies match on it.
pub fn name() -> String {
    name_on(&host())
}

/// Of the host's name stays what SOPS's pattern `[a-zA-Z0-9=,.@-_]` keeps; its `@-_` is a range, so a dash isn't kept.
fn name_on(host: &str) -> String {
    let stays = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '=' | ',' | '.') || ('@'..='_').contains(c);
    "sops@".chars().chain(host.chars().filter(stays)).take(LONGEST).collect()
}

#[cfg(unix)]
fn host() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_name_is_cut_as_sops_cuts_it() {
        assert_eq!(name_on("web-1.example_corp"), "sops@web1.example_corp");
        assert_eq!(name_on("Bücher [7]"), "sops@Bcher[7]");
        assert_eq!(name_on(&"x".repeat(99)).len(), LONGEST);
        assert!(name().starts_with("sops@"));
    }
}
