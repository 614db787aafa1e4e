//! What of AWS's ways to have an identity is visible on this machine, without asking anyone: names, never values.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::printable;
use crate::recipient::{Environment, Looked};

/// A file of profiles, and how its sections are headed.
struct File {
    variable: &'static str,
    default: &'static str,
    /// What stands before a profile's name; in the file of credentials nothing.
    head: &'static str,
}

const FILES: [File; 2] = [
    File { variable: "AWS_CONFIG_FILE", default: ".aws/config", head: "profile " },
    File { variable: "AWS_SHARED_CREDENTIALS_FILE", default: ".aws/credentials", head: "" },
];
/// Where a container asks for credentials (ECS, EKS Pod Identity): one of them is set there.
pub const CONTAINER: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
/// More names than these say nothing.
const SHOWN: usize = 12;

/// Whether a profile of this name is here.
pub fn has_profile(environment: &Environment, name: &str) -> bool {
    let read = |file: &File| std::fs::read_to_string(file.path(environment)?).ok();
    FILES.iter().any(|file| read(file).is_some_and(|text| file.names(&text).any(|found| found == name)))
}

/// The sources of credentials in the SDK's order, and what is there.
pub fn looked(environment: &Environment) -> Vec<Looked> {
    let place = |place: &str, found: String| Looked { place: place.to_owned(), found };
    let mut all = vec![place("AWS_ACCESS_KEY_ID", keys(environment)), place("AWS_PROFILE", chosen(environment))];
    all.extend(FILES.iter().filter_map(|file| file.looked(environment)));
    all.push(place("AWS_WEB_IDENTITY_TOKEN_FILE", web_identity(environment)));
    let variable = CONTAINER.iter().find(|name| environment.var(name).is_some()).unwrap_or(&CONTAINER[0]);
    all.push(place(variable, state(environment, variable).to_owned()));
    let off = environment.var("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let metadata = if off { "switched off by AWS_EC2_METADATA_DISABLED" } else { "asked last" };
    all.push(place("instance metadata", metadata.to_owned()));
    all
}

fn state(environment: &Environment, variable: &str) -> &'static str {
    if environment.var(variable).is_some() { "set" } else { "not set" }
}

fn keys(environment: &Environment) -> String {
    let secret = environment.var("AWS_SECRET_ACCESS_KEY").is_some();
    match state(environment, "AWS_ACCESS_KEY_ID") {
        "set" if !secret => "set, but AWS_SECRET_ACCESS_KEY isn't".to_owned(),
        state => state.to_owned(),
    }
}

/// The profile that counts where an entry names none.
fn chosen(environment: &Environment) -> String {
    match environment.var("AWS_PROFILE") {
        None => "not set".to_owned(),
        Some(name) if has_profile(environment, &name) => printable(&name),
        Some(name) => format!("{}, which isn't here", printable(&name)),
    }
}

fn web_identity(environment: &Environment) -> String {
    match environment.path("AWS_WEB_IDENTITY_TOKEN_FILE") {
        None => "not set".to_owned(),
        Some(file) if !file.exists() => "set, but there is no such file".to_owned(),
        Some(_) if environment.var("AWS_ROLE_ARN").is_none() => "set, but AWS_ROLE_ARN isn't".to_owned(),
        Some(_) => "set".to_owned(),
    }
}

impl File {
    fn path(&self, environment: &Environment) -> Option<PathBuf> {
        let home = environment.home();
        match environment.path(self.variable) {
            Some(named) => match (named.strip_prefix("~"), home) {
                (Ok(rest), Some(home)) => Some(home.join(rest)),
                _ => Some(named),
            },
            None => home.map(|home| home.join(self.default)),
        }
    }

    /// The profiles in its text. `[default]` needs no head.
    fn names<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let head = self.head;
        let sections = text.lines().filter_map(|line| line.trim_start().strip_prefix('[')?.split(']').next());
        sections.filter_map(move |section| match section.trim() {
            "default" => Some("default"),
            section => section.strip_prefix(head).map(str::trim),
        })
    }

    fn looked(&self, environment: &Environment) -> Option<Looked> {
        let path = self.path(environment)?;
        let found = match std::fs::read_to_string(&path) {
            Ok(text) => listed(&self.names(&text).collect::<Vec<_>>()),
            Err(why) if why.kind() == ErrorKind::NotFound => "no such file".to_owned(),
            Err(why) => format!("not readable: {why}"),
        };
        Some(Looked { place: printable(&path.to_string_lossy()), found })
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(SHOWN).map(|name| printable(name)).collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { ", …" } else { "" };
    match names.len() {
        0 => "no profile".to_owned(),
        1 => format!("profile {shown}"),
        count => format!("{count} profiles: {shown}{more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_in_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let (config, credentials) = (folder.path().join("config"), folder.path().join("credentials"));
        std::fs::write(&config, "[default]\nregion=x\n[profile dev] # mine\n [sso-session s]\n[services profile]\n[bare]\n").unwrap();
        std::fs::write(&credentials, "[ci]\naws_secret_access_key = not-shown\n").unwrap();
        let environment = Environment::fixed([
            ("AWS_CONFIG_FILE", config.into_os_string()),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.into_os_string()),
            ("AWS_ACCESS_KEY_ID", "not-shown".into()),
        ]);
        for (name, expected) in [("default", true), ("dev", true), ("ci", true), ("s", false), ("bare", false), ("other", false)] {
            assert_eq!(has_profile(&environment, name), expected, "{name}");
        }
        let found: Vec<String> = looked(&environment).into_iter().map(|looked| looked.found).collect();
        assert_eq!(found[..2], ["set, but AWS_SECRET_ACCESS_KEY isn't", "not set"]);
        assert_eq!(found[2..4], ["2 profiles: default, dev", "profile ci"]);
        assert!(!format!("{found:?}").contains("not-shown"));
    }

    #[test]
    fn nothing_here_is_said_so() {
        let looked = looked(&Environment::fixed([("HOME", "/nowhere"), ("AWS_PROFILE", "dev")]));
        let lines: Vec<String> = looked.iter().map(|looked| format!("{}: {}", looked.place, looked.found)).collect();
        assert_eq!(lines[1], "AWS_PROFILE: dev, which isn't here");
        assert_eq!(lines.last().map(String::as_str), Some("instance metadata: asked last"));
        assert_eq!(lines.iter().filter(|line| line.ends_with("not set")).count(), 3);
    }
}
