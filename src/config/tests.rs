//! Shapes of `.sops.yaml` as they occur, and all that is wrong with some.

use super::*;
use crate::metadata::SelectorKind;

const A: &str = "age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc";
const B: &str = "age1ac76cl9nuzd96kdp6mvslh55wl74rt3sl3zfl9y4c6l99dltndqsxemwwp";
const C: &str = "age1va8kzkh24tqzpw0kdszvv4cvr2pm4hvk00ac8unvxz83hdckqd4sjnldjh";

fn config(text: &str) -> Config {
    parse(text, ".sops.yaml").unwrap_or_else(|error| panic!("{error}"))
}

/// A config without findings.
fn clean(text: &str) -> Config {
    let config = config(text);
    assert_eq!(config.findings, []);
    config
}

/// The lines of the strict error: message, then hints.
fn lines(text: &str) -> Vec<String> {
    let error = config(text).strict().expect_err("findings");
    assert_eq!(error.kind.exit_code(), 1);
    [error.to_string()].into_iter().chain(error.hints.clone()).collect()
}

fn keys(config: &Config, rule: usize) -> Vec<Vec<String>> {
    let show = |spec: &crate::recipient::RecipientSpec| {
        let extra: String = spec.extra.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        format!("{} {}{extra}", spec.kind, spec.text)
    };
    config.rules[rule].groups.iter().map(|group| group.iter().map(show).collect()).collect()
}

fn vector(name: &str) -> String {
    let path = format!("{}/../testdata/config/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn configs_of_the_vectors() {
    let config = clean(&vector("config_indent2"));
    assert_eq!(config.stores.yaml_indent, Some(2));
    assert_eq!(config.rules[0].selector, Some((SelectorKind::EncryptedRegex, "^b$".to_owned())));
    for name in ["shamir_2_of_3", "shamir_2_of_3_one_key_fails"] {
        let config = clean(&vector(name));
        assert_eq!(config.rules[0].threshold, Some(2));
        assert_eq!(keys(&config, 0), [A, B, C].map(|key| vec![format!("age {key}")]));
    }
}

#[test]
fn anchors_at_the_top_and_aliases_in_key_groups() {
    let config = clean(&vector("anchors_in_key_groups"));
    assert_eq!(config.rules.len(), 2);
    assert_eq!(keys(&config, 0), [[format!("age {A}"), format!("age {B}"), "pgp 97C5A80A0101996640EFAD0FEF8D840356324056".to_owned()]]);
    assert_eq!(keys(&config, 1), [[format!("age {A}")]]);
    assert_eq!(config.rule_for("hosts/web/secrets.yaml").map(|(index, _)| index), Some(0));
    assert_eq!(config.rule_for("other/secrets.yaml").map(|(index, rule)| (index, rule.line)), Some((1, 14)));
    assert!(config.rule_for("README.md").is_none());
}

#[test]
fn folded_text_with_commas() {
    let config = clean(&vector("comma_folded"));
    assert_eq!(keys(&config, 0), [[format!("age {A}"), format!("age {B}"), "pgp 97C5A80A0101996640EFAD0FEF8D840356324056".to_owned()]]);
    let config = clean(&format!("creation_rules: [{{age: '{A},{B},'}}]"));
    assert_eq!(keys(&config, 0), [[format!("age {A}"), format!("age {B}")]]);
}

#[test]
fn paths_are_searched_unanchored() {
    let config = clean(
        "creation_rules:\n- {path_regex: .*.sops.yaml, age: a}\n- {path_regex: /dev/stdin, age: b}\n- {path_regex: 'kube/.*\\.ya?ml$', age: c}\n",
    );
    let index = |path| config.rule_for(path).map(|(index, _)| index);
    assert_eq!(index("a/x.sops.yaml.bak"), Some(0));
    assert_eq!(index("axsopsxyaml"), Some(0));
    assert_eq!(index("/dev/stdin"), Some(1));
    assert_eq!(index("old/kube/a.yml"), Some(2));
    assert_eq!(index("kube/a.json"), None);
}

#[test]
fn the_first_match_wins_and_a_rule_without_path_takes_all() {
    let config = clean("creation_rules:\n  - path_regex: ^prod/\n    age: a\n  - path_regex: ''\n    age: b\n");
    assert_eq!(config.rule_for("prod/x").map(|(index, _)| index), Some(0));
    assert_eq!(config.rule_for("x").map(|(index, _)| index), Some(1));
}

#[test]
fn flat_keys_of_all_kinds_stand_in_the_order_of_sops() {
    let config = clean(
        "creation_rules:\n- hc_vault_transit_uri: https://vault:8200/v1/sops/keys/k, http://v/v1/t/keys/l\n  azure_keyvault: [https://v.vault.azure.net/keys/n/abc]\n  hckms: [tr-west-1:aa, tr-west-1:bb]\n  gcp_kms: projects/p\n  \
         kms: arn:aws:kms:us-east-1:1:key/a+arn:aws:iam::1:role/r, arn:aws:kms:us-east-1:1:alias/b\n  aws_profile: dev\n  pgp: [97C5 A80A, EF8D]\n  age: [a, 'b, c']\n",
    );
    let expected = [
        "age a",
        "age b",
        "age c",
        "pgp 97C5A80A",
        "pgp EF8D",
        "kms arn:aws:kms:us-east-1:1:key/a role=arn:aws:iam::1:role/r aws_profile=dev",
        "kms arn:aws:kms:us-east-1:1:alias/b aws_profile=dev",
        "gcp_kms projects/p",
        "hckms tr-west-1:aa",
        "hckms tr-west-1:bb",
        "azure_kv https://v.vault.azure.net/keys/n/abc",
        "hc_vault https://vault:8200/v1/sops/keys/k",
        "hc_vault http://v/v1/t/keys/l",
    ];
    assert_eq!(keys(&config, 0), [expected]);
}

#[test]
fn key_groups_of_all_kinds_merge_first_and_drop_duplicates() {
    let config = clean(&vector("key_groups_all"));
    let first = [
        "age inner",
        "age shared",
        "age own",
        "pgp 97C5A80A",
        "kms arn:aws:kms:us-east-1:1:key/a role=arn:aws:iam::1:role/r context.App=web context.Env=prod aws_profile=dev",
        "gcp_kms projects/p",
        "hckms tr-west-1:aa",
        "azure_kv https://v.vault.azure.net/keys/n/abc",
        "azure_kv https://v.vault.azure.net/keys/m",
        "hc_vault https://vault:8200/v1/sops/keys/k",
    ];
    assert_eq!(keys(&config, 0), [first.to_vec(), vec!["age second"]]);
}

#[test]
fn merge_keys_fill_what_a_rule_leaves_out() {
    let config = clean(
        "base: &base {age: a, encrypted_regex: ^data$}\nlast: &last {age: z, mac_only_encrypted: yes}\ncreation_rules:\n- <<: *base\n  path_regex: x\n- <<: [*base, *last]\n  encrypted_regex: ^b$\n",
    );
    assert_eq!(keys(&config, 0), [["age a"]]);
    assert_eq!(config.rules[0].selector, Some((SelectorKind::EncryptedRegex, "^data$".to_owned())));
    assert_eq!(keys(&config, 1), [["age a"]]);
    assert_eq!(config.rules[1].selector, Some((SelectorKind::EncryptedRegex, "^b$".to_owned())));
    assert!(config.rules[1].mac_only_encrypted);
}

#[test]
fn no_list_of_rules_is_not_an_empty_list() {
    for text in ["", "# nothing\n---\n", "stores: {}\n", "creation_rules:\n", "creation_rules: null\n", "---\n", "null\n"] {
        let config = clean(text);
        assert!(!config.has_creation_rules && config.rules.is_empty(), "{text}");
    }
    let config = clean("creation_rules: []\n");
    assert!(config.has_creation_rules && config.rule_for("x").is_none());
}

#[test]
fn a_rule_without_recipients_is_shown_not_refused() {
    let config =
        clean("creation_rules:\n- path_regex: a\n- path_regex: b\n  age: ''\n- {path_regex: c, pgp: [], key_groups: []}\n- age: a\n");
    let with: Vec<bool> = config.rules.iter().map(Rule::has_recipients).collect();
    assert_eq!(with, [false, false, false, true]);
}

#[test]
fn names_and_free_fields_at_the_top() {
    let text = format!(
        "names:\n  {A}: anna\n  97C5: ci\nkeys: [x]\nx-note: {{any: 1}}\nadmins:\n  - &anna {A}\ncreation_rules:\n- age: [*anna]\n"
    );
    let config = clean(&text);
    assert_eq!(config.names, [(A.to_owned(), "anna".to_owned()), ("97C5".to_owned(), "ci".to_owned())]);
    assert_eq!(clean("destination_rules:\n- {path_regex: a, s3_bucket: b}\n").destination_rules, 1);
}

#[test]
fn stores() {
    let config = clean("stores:\n  dotenv: {}\n  ini:\n  yaml: {indent: 2}\n  json: {indent: 0}\n  json_binary: {indent: -1}\n");
    assert_eq!(config.stores, Stores { yaml_indent: Some(2), json_indent: Some(0), json_binary_indent: Some(-1) });
    assert_eq!(clean("stores: {yaml: {indent: 0}}\n").stores.yaml_indent, None);
    assert_eq!(clean("stores: {yaml: {indent: 12}}\n").stores.yaml_indent, Some(2));
    let refused = [
        ("stores: {yaml: {indent: -1}}\n", ".sops.yaml:1:25: a negative indent for YAML, expected 2 to 9"),
        ("stores: {json: {indent: -2}}\n", ".sops.yaml:1:25: an indent for JSON out of range, expected -1 (a tab) to 64"),
        ("stores: {json: {indent: '2'}}\n", ".sops.yaml:1:25: indent is not an integer"),
    ];
    for (text, message) in refused {
        assert_eq!(lines(text), [message]);
    }
    assert_eq!(lines("stores: {yml: {}}\n"), [".sops.yaml:1:10: unknown field yml in stores", "did you mean yaml?"]);
    assert_eq!(lines("stores: {yaml: {indentation: 2}}\n")[0], ".sops.yaml:1:17: unknown field indentation in the store yaml");
}

#[test]
fn unknown_fields_come_with_a_guess() {
    let cases = [
        (
            "creation_rules:\n- age: a\n  unencrypted-regex: x\n",
            ".sops.yaml:3:3: unknown field unencrypted-regex in a rule of creation_rules",
            "did you mean unencrypted_regex?",
        ),
        ("creation_rules:\n- gcp: a\n", ".sops.yaml:2:3: unknown field gcp in a rule of creation_rules", "did you mean gcp_kms?"),
        (
            "creation_rules:\n- azure_kv: a\n",
            ".sops.yaml:2:3: unknown field azure_kv in a rule of creation_rules",
            "did you mean azure_keyvault?",
        ),
        (
            "creation_rules:\n- age: a\n  input_type: x\n",
            ".sops.yaml:3:3: unknown field input_type in a rule of creation_rules",
            "the format follows from the file's name, or from --input-type",
        ),
        (
            "creation_rules:\n- key_groups:\n  - hc_vault_transit_uri: [a]\n    age: [a]\n",
            ".sops.yaml:3:5: unknown field hc_vault_transit_uri in a key group",
            "did you mean hc_vault?",
        ),
        (
            "creation_rules:\n- key_groups:\n  - kms: [{arn: a, aws-profile: b}]\n",
            ".sops.yaml:3:20: unknown field aws-profile in an entry of kms",
            "did you mean aws_profile?",
        ),
        ("creation-rules:\n- age: a\n", ".sops.yaml:1:1: unknown field creation-rules at the top level", "did you mean creation_rules?"),
        ("creation_rule:\n- age: &a x\n", ".sops.yaml:1:1: unknown field creation_rule at the top level", "did you mean creation_rules?"),
        ("age: a\n", ".sops.yaml:1:1: unknown field age at the top level", "age belongs into a rule of creation_rules"),
    ];
    for (text, message, hint) in cases {
        assert_eq!(lines(text), [message, hint]);
        assert!(config(text).lenient(Some(0)).is_ok(), "{text}");
    }
    assert_eq!(lines("note: free text\n"), [".sops.yaml:1:1: unknown field note at the top level"]);
}

#[test]
fn two_selectors() {
    let text = "creation_rules:\n- age: a\n  encrypted_regex: x\n  unencrypted_suffix: _y\n";
    let message = ".sops.yaml:3:3: a rule with both unencrypted_suffix and encrypted_regex, at most one of these may be set";
    assert_eq!(lines(text), [message, "drop one of them"]);
    assert!(config(text).lenient(Some(0)).is_err());
    clean("creation_rules:\n- age: a\n  encrypted_regex: x\n  unencrypted_suffix: ''\n");
}

#[test]
fn bad_patterns_never_match_and_count_when_they_are_reached() {
    let config = config(
        "creation_rules:\n- {path_regex: ^a/, age: a}\n- {path_regex: '(', age: b}\n- {path_regex: ^c/, age: c, encrypted_regex: 'a**'}\n",
    );
    let positions: Vec<_> = config.findings.iter().map(|finding| (finding.position.line, finding.position.column, finding.scope)).collect();
    assert_eq!(positions, [(3, 16, Scope::Tried(1)), (4, 46, Scope::Used(2))]);
    assert!(config.strict().unwrap_err().message.starts_with("path_regex is not a regular expression that SOPS can read: "));
    assert_eq!(config.rule_for("b/x").map(|(index, _)| index), None);
    assert!(config.lenient(config.rule_for("a/x").map(|(index, _)| index)).is_ok());
    assert!(config.lenient(config.rule_for("c/x").map(|(index, _)| index)).is_err());
    assert!(config.lenient(None).is_err());
}

#[test]
fn rules_that_never_match() {
    let after_all = lines("creation_rules:\n- age: a\n- {path_regex: x, age: b}\n");
    assert_eq!(
        after_all,
        [
            ".sops.yaml:3:3: this rule never matches: the rule of line 2 has no path_regex and takes every file",
            "put the rule for all files last"
        ]
    );
    let twice = lines("creation_rules:\n- {path_regex: x, age: a}\n- {path_regex: y, age: b}\n- {path_regex: x, age: c}\n");
    assert_eq!(twice, [".sops.yaml:4:3: this rule never matches: the rule of line 2 has the same path_regex", "make one rule of the two"]);
}

#[test]
fn groups_hide_flat_lists() {
    let text = "creation_rules:\n- pgp: x\n  key_groups:\n  - age: [a]\n";
    assert_eq!(
        lines(text),
        [".sops.yaml:2:3: pgp has no effect beside key_groups, which replaces it", "move these keys into one of the groups, or drop them"]
    );
    assert_eq!(keys(&config(text), 0), [["age a"]]);
    assert!(config(text).lenient(Some(0)).is_ok());
}

#[test]
fn groups_without_keys_and_incomplete_entries() {
    let text = "creation_rules:\n- key_groups:\n  - age: [a]\n  - pgp: []\n";
    assert_eq!(
        lines(text),
        [".sops.yaml:4:5: empty key group provided: a key group without a key", "give it at least one key, or drop it"]
    );
    let text = "creation_rules:\n- key_groups:\n  - age: [a]\n    kms:\n    - role: r\n";
    assert_eq!(lines(text), [".sops.yaml:5:7: an entry of kms without arn", "write - arn: …"]);
    assert_eq!(
        lines("creation_rules:\n- key_groups:\n  - gcp_kms: [projects/p]\n")[0],
        ".sops.yaml:3:5: empty key group provided: a key group without a key"
    );
}

#[test]
fn wrong_shapes_are_findings_and_the_rest_is_read() {
    let cases = [
        ("creation_rules: {age: a}\n", ".sops.yaml:1:17: creation_rules is a mapping, expected a list"),
        ("creation_rules: [x]\n", ".sops.yaml:1:18: a creation rule is a single value, expected a mapping"),
        ("creation_rules:\n- {age: a, path_regex: [x]}\n", ".sops.yaml:2:24: path_regex is a list, expected a single value"),
        ("creation_rules:\n- {age: a, hckms: x}\n", ".sops.yaml:2:19: hckms is a single value, expected a list"),
        ("creation_rules:\n- age: [a, 12]\n", ".sops.yaml:2:12: a key of age is not a string"),
        ("creation_rules:\n- age: [a, [b]]\n", ".sops.yaml:2:12: a key of age is not a string"),
        ("creation_rules:\n- {age: a, mac_only_encrypted: maybe}\n", ".sops.yaml:2:32: mac_only_encrypted is not true or false"),
        (
            "creation_rules:\n- {age: a, <<: x}\n",
            ".sops.yaml:2:16: << is a single value, expected an alias of a mapping, or a list of them",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(lines(text)[0], message);
        assert!(config(text).lenient(Some(0)).is_err(), "{text}");
    }
}

#[test]
fn thresholds() {
    let rule = |threshold, groups: usize| {
        format!("creation_rules:\n- shamir_threshold: {threshold}\n  key_groups:\n{}", "  - age: [a]\n".repeat(groups))
    };
    for threshold in [-1, 1, 4] {
        assert_eq!(
            lines(&rule(threshold, 3)),
            [".sops.yaml:2:21: shamir_threshold out of range, expected 2 to the number of key groups, which is 3"]
        );
    }
    // Who keeps the threshold of a file doesn't need the rule's.
    assert_eq!([-1, 1, 4].map(|threshold| config(&rule(threshold, 3)).lenient(Some(0)).is_ok()), [false, true, true]);
    assert_eq!(clean(&rule(0, 3)).rules[0].threshold, None);
    assert_eq!(clean(&rule(3, 3)).rules[0].threshold, Some(3));
    assert_eq!(clean(&rule(2, 1)).rules[0].threshold, Some(2));
}

#[test]
fn several_findings_make_one_error() {
    let expected = [
        ".sops.yaml:2:3: unknown field gcp in a rule of creation_rules",
        "did you mean gcp_kms?",
        "also .sops.yaml:4:3: unknown field input_typ in a rule of creation_rules",
        "also .sops.yaml:5:1: unknown field store at the top level; did you mean stores?",
    ];
    assert_eq!(lines("creation_rules:\n- gcp: a\n  age: a\n  input_typ: b\nstore: {}\n"), expected);
}

#[test]
fn a_finding_in_an_anchor_counts_once_and_for_all_its_rules() {
    let config = config("x-a: &a {encrypted_regex: '(', age: a}\ncreation_rules:\n- {<<: *a, path_regex: x}\n- {<<: *a, path_regex: y}\n");
    assert_eq!(config.findings.len(), 1);
    assert_eq!(config.findings[0].scope, Scope::File);
}

#[test]
fn text_that_is_not_yaml() {
    let error = |text| parse(text, "dir/.sops.yaml").map(|_| ()).unwrap_err();
    let broken = error("creation_rules:\n  - path_regex: \"a\\.yaml\"\n");
    assert_eq!((broken.kind, broken.position.map(|at| at.line), broken.file.as_deref()), (Kind::Generic, Some(2), Some("dir/.sops.yaml")));
    assert!(broken.hints[0].contains("single quotes"), "{:?}", broken.hints);
    assert_eq!(error("- a\n").kind, Kind::Generic);
    assert_eq!(error("a: 1\na: 2\n").position, Some(Position { line: 2, column: 1 }));
}

#[test]
fn only_the_first_document_counts_and_windows_files_are_read() {
    assert_eq!(keys(&clean("---\ncreation_rules:\n- age: a\n---\ncreation_rules: 3\n"), 0), [["age a"]]);
    assert_eq!(keys(&clean("\u{feff}creation_rules:\r\n- age: a\r\n  pgp: b\r\n"), 0), [["age a", "pgp b"]]);
}

#[test]
fn aliases_can_neither_exhaust_memory_nor_the_stack() {
    let mut bomb = String::from("a0: &a0 {age: [a,a,a,a,a,a,a,a]}\n");
    let mut chain = String::from("a0: &a0 {age: [a]}\n");
    let mut merges = chain.clone();
    for level in 1..2000 {
        let below = level - 1;
        if level < 12 {
            bomb.push_str(&format!("a{level}: &a{level} {{merge: [{}]}}\n", vec![format!("*a{below}"); 8].join(", ")));
        }
        chain.push_str(&format!("a{level}: &a{level} {{merge: [*a{below}]}}\n"));
        merges.push_str(&format!("a{level}: &a{level} {{<<: *a{below}}}\n"));
    }
    bomb.push_str("creation_rules: [{key_groups: [*a11]}]\n");
    chain.push_str("creation_rules: [{key_groups: [*a1999]}]\n");
    merges.push_str("creation_rules: [{key_groups: [*a1999]}]\n");
    for text in [bomb, chain, merges] {
        assert_eq!(parse(&text, "x").map(|_| ()).unwrap_err().kind, Kind::Generic);
    }
}

#[test]
fn paths_relative_to_the_config() {
    let relative = |directory: &str, target: &str| relative_path(Path::new(directory), Path::new(target));
    assert_eq!(relative("/repo", "/repo/a/b.yaml"), "a/b.yaml");
    assert_eq!(relative("/repo/", "/repo/./a/../b.yaml"), "b.yaml");
    assert_eq!(relative("/repo/x/..", "/repo/b.yaml"), "b.yaml");
    assert_eq!(relative("/repo", "/other/b.yaml"), "/other/b.yaml");
    assert_eq!(relative("/repo", "/repository/b.yaml"), "/repository/b.yaml");
    assert_eq!(relative("/repo", "/dev/stdin"), "/dev/stdin");
    assert_eq!(relative("/", "/b.yaml"), "/b.yaml");
    assert_eq!(relative(".", "a/b.yaml"), "a/b.yaml");
}

#[test]
fn the_template_reads_back() {
    let one = template(&[A.to_owned()], false);
    assert_eq!(one, format!("creation_rules:\n  - age: {A}\n"));
    let two = template(&[A.to_owned(), B.to_owned()], true);
    assert_eq!(two, format!("creation_rules:\n  - age: >-\n      {A},\n      {B}\n    encrypted_regex: ^(data|stringData)$\n"));
    let config = clean(&two);
    assert_eq!(keys(&config, 0), [[format!("age {A}"), format!("age {B}")]]);
    assert_eq!(config.rules[0].selector, Some((SelectorKind::EncryptedRegex, "^(data|stringData)$".to_owned())));
    let ssh = "ssh-ed25519 AAAAC3Nz anna's: #1".to_owned();
    assert_eq!(keys(&clean(&template(std::slice::from_ref(&ssh), false)), 0), [[format!("age {ssh}")]]);
}

#[test]
fn no_cut_or_changed_text_panics() {
    for name in ["anchors_in_key_groups", "comma_folded", "key_groups_all", "shamir_2_of_3"] {
        let text = vector(name);
        for at in (0..text.len()).step_by(7).filter(|at| text.is_char_boundary(*at)) {
            let (head, tail) = text.split_at(at);
            let changed = [":", "- ", "*", "&a ", "{", "[", "\n", "<<: "].map(|piece| format!("{head}{piece}{tail}"));
            for text in changed.iter().map(String::as_str).chain([head, tail]) {
                if let Ok(config) = parse(text, "x") {
                    let _ = (config.strict(), config.lenient(config.rule_for("a/b.yaml").map(|(index, _)| index)));
                }
            }
        }
    }
}

#[test]
fn a_comment_beside_a_recipient_is_its_label() {
    let text = format!(
        "names: {{97C5: ci}}\ncreation_rules:\n- age:\n  - {A} # anna\n  # not a label\n  pgp: 97C5 # other\n- pgp: ABCD # {}\n",
        "x".repeat(61)
    );
    let config = parse(&text, ".sops.yaml").unwrap();
    assert_eq!(config.names, [("97C5".to_owned(), "ci".to_owned()), (A.to_owned(), "anna".to_owned())]);
}
