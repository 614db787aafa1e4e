//! For people: a section each, and at the end what to mend.

use std::fmt::Write as _;

use super::{Diagnosis, FileFound, Finding, GitFound, Here, KindFound, Reader};
use crate::error::printable;
use crate::recipient::kind_by_field;
use crate::recipient::probe::{Probe, Step};

/// Sections, with an empty line between them.
pub fn text(diagnosis: &Diagnosis) -> String {
    let mut sections = vec![head(diagnosis), identities(&diagnosis.kinds)];
    sections.extend(diagnosis.files.iter().map(file));
    sections.extend(diagnosis.git.as_ref().map(git));
    sections.push(findings(&diagnosis.findings(), diagnosis.probed));
    sections.join("\n")
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{}", printable(text));
}

fn head(diagnosis: &Diagnosis) -> String {
    let mut out = String::new();
    line(&mut out, &format!("kveil {}", diagnosis.version));
    if diagnosis.offline {
        line(&mut out, "  the network is switched off (--offline or KVEIL_OFFLINE)");
    }
    for setting in &diagnosis.settings {
        line(&mut out, &format!("  {}={}", setting.name, setting.value));
    }
    if let Some(ahead) = diagnosis.clock() {
        let word = if ahead < 0 { "behind" } else { "ahead of" };
        line(&mut out, &format!("  clock: {} s {word} the services'", ahead.abs()));
    }
    out
}

fn identities(kinds: &[KindFound]) -> String {
    let mut out = "identities\n".to_owned();
    for kind in kinds {
        if !kind.built {
            line(&mut out, &format!("  {}: not in this build", kind.kind));
            continue;
        }
        line(&mut out, &format!("  {}", kind.kind));
        for looked in &kind.places {
            line(&mut out, &format!("    {}: {}", looked.place, looked.found));
        }
    }
    out
}

fn file(file: &FileFound) -> String {
    let mut out = String::new();
    let opens = match (file.encrypted, file.opens()) {
        (false, _) => "recipients of its rules",
        (true, Some(true)) => "opens",
        (true, Some(false)) => "doesn't open",
        (true, None) => "may open: some of its recipients weren't asked",
    };
    line(&mut out, &format!("{}: {opens}", file.name));
    for (at, group) in file.groups.iter().enumerate() {
        if file.encrypted && file.groups.len() > 1 {
            line(&mut out, &format!("  key group {} ({} of {} must open)", at + 1, file.needed, file.groups.len()));
        }
        group.iter().for_each(|reader| self::reader(&mut out, reader));
    }
    out
}

fn reader(out: &mut String, reader: &Reader) {
    let spec = &reader.spec;
    let short = kind_by_field(spec.kind).map_or_else(|| spec.text.clone(), |kind| kind.short(&spec.text));
    let name = reader.label.as_ref().map_or_else(|| short.clone(), |label| format!("{label} ({short})"));
    let state = match (&reader.probe, reader.here) {
        (Some(_), _) => "",
        (None, Here::Yes) => ": its identity is here",
        (None, Here::No) => ": its identity isn't here",
        (None, Here::Unknown) => ": not asked (--probe asks)",
    };
    line(out, &format!("  {} {name}{state}", spec.kind));
    if let Some(probe) = &reader.probe {
        self::probe(out, probe);
    }
}

fn probe(out: &mut String, probe: &Probe) {
    for caller in &probe.callers {
        line(out, &format!("    asked as {caller}"));
    }
    for (verb, step) in [("encrypt", &probe.encrypt), ("decrypt", &probe.decrypt)] {
        let state = match step {
            Step::Done => "works".to_owned(),
            Step::NotMine(why) => format!("no identity: {why}"),
            Step::Refused(why) => why.clone(),
            Step::NotTried => "not tried".to_owned(),
        };
        line(out, &format!("    {verb}: {state}"));
    }
}

fn git(git: &GitFound) -> String {
    let mut out = String::new();
    let drivers = match (git.encrypted, git.lacking.len()) {
        (0, _) => "no encrypted file",
        (_, 0) => "git compares and merges the encrypted files by their values",
        _ => "git doesn't compare and merge the encrypted files by their values",
    };
    line(&mut out, &format!("git repository {}", git.top));
    line(&mut out, &format!("  {} encrypted files; {drivers}", git.encrypted));
    out
}

fn findings(findings: &[Finding], probed: bool) -> String {
    let mut out = String::new();
    if findings.is_empty() {
        let rest = if probed { "" } else { "; --probe asks key services, gpg and plugins, too" };
        line(&mut out, &format!("nothing to mend{rest}"));
        return out;
    }
    line(&mut out, "to mend");
    for Finding { about, what, fix } in findings {
        let fix = if fix.is_empty() { String::new() } else { format!(" ({fix})") };
        line(&mut out, &format!("  {about}: {what}{fix}"));
    }
    out
}
