use super::*;
use crate::error::Position;
use crate::lint::Finding;
use crate::lint::clear::PLAINTEXT_SECRET;
use serde_json::Value;

fn report(file: &str, key: &str, count: usize) -> Report {
    let mut finding = Finding::of_file(&PLAINTEXT_SECRET, file, "a message with 100%", "kveil encrypt -i FILE");
    finding.position = Some(Position { line: 3, column: 5 });
    finding.key_path = Some(key.to_owned());
    Report { findings: vec![finding; count], files: 1, ..Report::default() }
}

fn form(name: &str, report: &Report) -> String {
    (FORMS.iter().find(|form| form.name == name).unwrap().write)(report)
}

#[test]
fn names_can_do_no_harm_in_any_form() {
    let report = report("a\n::error::x,y:z\u{1b}[2J\u{202e}.yaml", "k\r\n##[set-output]::", 1);
    for name in FORMS {
        let text = (name.write)(&report);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{}", name.name);
    }
    let text = form("github", &report);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!((text.matches("::").count(), text.contains("##[")), (2, false), "{text}");
    assert!(text.starts_with("::error file=a\\u{a}%3A%3Aerror%3A%3Ax%2Cy%3Az"), "{text}");
    let json: Value = serde_json::from_str(&form("json", &report)).unwrap();
    assert_eq!(json["findings"][0]["file"], report.findings[0].file.as_str());
    assert_eq!((json["findings"][0]["line"].as_u64(), json["summary"]["errors"].as_u64()), (Some(3), Some(1)));
}

#[test]
fn sarif_is_bounded_and_every_result_has_a_place() {
    let log: Value = serde_json::from_str(&form("sarif", &report("a b/ü.yaml", "data.x", 6_000))).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!((results.len(), log["version"].as_str()), (5_000, Some("2.1.0")));
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!((place["artifactLocation"]["uri"].as_str(), place["region"]["startLine"].as_u64()), (Some("a%20b/%C3%BC.yaml"), Some(3)));
    assert!(place["region"].get("snippet").is_none());
    let mut nowhere = report("", "", 1);
    nowhere.findings[0].position = None;
    let log: Value = serde_json::from_str(&form("sarif", &nowhere)).unwrap();
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!((place["artifactLocation"]["uri"].as_str(), place["region"]["startLine"].as_u64()), (Some(".sops.yaml"), Some(1)));
}
