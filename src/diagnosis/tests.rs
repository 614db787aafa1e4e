use super::*;

fn reader(here: Here, decrypt: Option<Step>) -> Reader {
    let spec = RecipientSpec { kind: "kms", text: "arn:aws:kms:us-east-1:1:key/x".to_owned(), extra: Vec::new() };
    let needs = Some(["kms:Encrypt", "kms:Decrypt"]);
    let probe = decrypt.map(|decrypt| Probe { encrypt: Step::Done, decrypt, callers: vec!["ana".to_owned()], ahead: Some(-90), needs });
    Reader { spec, label: None, here, probe }
}

fn file(needed: usize, groups: Vec<Vec<Reader>>) -> FileFound {
    FileFound { name: "a.yaml".to_owned(), encrypted: true, needed, groups }
}

fn diagnosis(files: Vec<FileFound>) -> Diagnosis {
    let (settings, kinds, git, patches) = Default::default();
    Diagnosis { version: "1", probed: true, offline: false, settings, kinds, files, git, patches }
}

#[test]
fn a_file_opens_if_enough_of_its_groups_do() {
    let opens = |needed, states: &[Here]| file(needed, states.iter().map(|here| vec![reader(*here, None)]).collect()).opens();
    assert_eq!(opens(1, &[Here::Yes]), Some(true));
    assert_eq!(opens(1, &[Here::No]), Some(false));
    assert_eq!(opens(1, &[Here::Unknown]), None);
    assert_eq!(opens(2, &[Here::Yes, Here::Unknown]), None);
    assert_eq!(opens(2, &[Here::Yes, Here::No]), Some(false));
    assert_eq!(opens(1, &[Here::Yes, Here::No]), Some(true));
}

#[test]
fn what_is_refused_names_the_permission_and_the_clock_is_told() {
    let found = diagnosis(vec![file(1, vec![vec![reader(Here::Unknown, Some(Step::Refused("AccessDenied".to_owned())))]])]);
    let lines: Vec<String> =
        found.findings().into_iter().map(|finding| format!("{}: {} ({})", finding.about, finding.what, finding.fix)).collect();
    assert_eq!(
        lines,
        [
            "clock: this machine's clock is 90 s behind the services' (set the clock)",
            "a.yaml: no identity here opens it (each recipient's answer stands above)",
            "arn:aws:kms:us-east-1:1:key/x: can't decrypt: AccessDenied (it needs kms:Decrypt)",
        ]
    );
    let shown = text::text(&found);
    assert!(shown.contains("    asked as ana\n    encrypt: works\n    decrypt: AccessDenied\n"), "{shown}");
    assert_eq!(json::json(&found)["files"][0]["groups"][0][0]["probe"]["decrypt"]["needs"], "kms:Decrypt");
}

#[test]
fn an_identity_that_is_elsewhere_is_nothing_to_mend() {
    let readers = vec![reader(Here::Unknown, Some(Step::NotMine("no credentials".to_owned()))), reader(Here::Yes, None)];
    assert_eq!(file(1, vec![readers]).findings(true), []);
}
