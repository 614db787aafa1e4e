//! For machines: `docs/cli.md` says what stands where, and nothing of it goes.

use serde_json::{Value, json};

use super::{Diagnosis, FileFound, Here, Reader};
use crate::recipient::probe::{Probe, Step};

/// One object.
pub fn json(diagnosis: &Diagnosis) -> Value {
    let kinds = diagnosis.kinds.iter().map(|kind| {
        let places: Vec<Value> = kind.places.iter().map(|looked| json!({"place": looked.place, "found": looked.found})).collect();
        json!({"kind": kind.kind, "built": kind.built, "places": places})
    });
    let settings =
        diagnosis.settings.iter().map(|setting| json!({"name": setting.name, "value": setting.value, "trouble": setting.trouble}));
    let git = diagnosis
        .git
        .as_ref()
        .map(|git| json!({"top": git.top, "encrypted": git.encrypted, "lacking": git.lacking, "left_in_clear": git.in_clear}));
    let patches = diagnosis.patches.iter().map(|patch| json!({"patch": patch.path.display().to_string(), "files": patch.files}));
    let findings = diagnosis.findings();
    let findings = findings.iter().map(|finding| json!({"about": finding.about, "what": finding.what, "fix": finding.fix}));
    json!({
        "version": diagnosis.version,
        "probed": diagnosis.probed,
        "offline": diagnosis.offline,
        "clock_ahead_seconds": diagnosis.clock(),
        "settings": settings.collect::<Vec<_>>(),
        "identities": kinds.collect::<Vec<_>>(),
        "files": diagnosis.files.iter().map(file).collect::<Vec<_>>(),
        "git": git,
        "pre_commit_patches": patches.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
    })
}

fn file(file: &FileFound) -> Value {
    let groups = file.groups.iter().map(|group| group.iter().map(reader).collect::<Vec<_>>());
    json!({
        "file": file.name,
        "encrypted": file.encrypted,
        "opens": if file.encrypted { file.opens() } else { None },
        "groups_needed": file.needed,
        "groups": groups.collect::<Vec<_>>(),
    })
}

fn reader(reader: &Reader) -> Value {
    let here = match reader.here {
        Here::Yes => Some(true),
        Here::No => Some(false),
        Here::Unknown => None,
    };
    json!({
        "kind": reader.spec.kind,
        "recipient": reader.spec.text,
        "name": reader.label,
        "identity_here": here,
        "probe": reader.probe.as_ref().map(probe),
    })
}

fn probe(probe: &Probe) -> Value {
    let needs = probe.needs.map(|needs| needs.map(Some)).unwrap_or_default();
    let half = |step: &Step, needs: Option<&str>| {
        let (word, why) = match step {
            Step::Done => ("done", None),
            Step::NotMine(why) => ("no-identity", Some(why)),
            Step::Refused(why) => ("refused", Some(why)),
            Step::NotTried => ("not-tried", None),
        };
        json!({"result": word, "why": why, "needs": needs})
    };
    json!({"as": probe.callers, "encrypt": half(&probe.encrypt, needs[0]), "decrypt": half(&probe.decrypt, needs[1])})
}
