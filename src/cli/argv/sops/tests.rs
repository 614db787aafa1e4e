use super::*;

fn asked(args: &[&str]) -> Result<Asked> {
    read(args.iter().map(OsString::from).collect(), &|name| name == "init" || name.to_string_lossy().contains('.') || name == "config")
}

fn line(args: &[&str]) -> (String, Vec<String>) {
    match asked(args) {
        Ok(Asked::Command(line)) => (line.verb, line.rest.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()),
        other => (format!("{other:?}"), Vec::new()),
    }
}

#[track_caller]
fn reads(args: &[&str], verb: &str, rest: &[&str]) {
    assert_eq!(line(args), (verb.to_owned(), rest.iter().map(|arg| (*arg).to_owned()).collect()));
}

#[test]
fn flags_for_all_verbs_stand_before_the_verb() {
    let rest = ["--config=c.yaml", "--mac-only-encrypted", "--age=x", "f.yaml"];
    reads(&["--config", "c.yaml", "--mac-only-encrypted", "encrypt", "--age", "x", "f.yaml"], "encrypt", &rest);
    // sops passes over the others there.
    reads(&["-i", "--age", "x", "--encrypted-regex", "^a$", "decrypt", "f.yaml"], "decrypt", &["f.yaml"]);
}

#[test]
fn flags_of_a_verb_stand_anywhere_behind_it() {
    reads(&["decrypt", "f.yaml", "-i"], "decrypt", &["--in-place", "f.yaml"]);
    reads(&["decrypt", "f.yaml", "--output", "-o", "--ignore-mac"], "decrypt", &["--output=-o", "--ignore-mac", "f.yaml"]);
    reads(&["decrypt", "--ignore-mac", "--", "-i"], "decrypt", &["--ignore-mac", "--", "-i"]);
    reads(&["decrypt", "f.yaml", "--nope", "g.yaml"], "decrypt", &["f.yaml"]);
}

#[test]
fn go_spells_flags_with_one_dash_or_two() {
    reads(&["decrypt", "-in-place", "-output-type=json", "f.yaml"], "decrypt", &["--in-place", "--output-type=json", "f.yaml"]);
    reads(&["decrypt", "--i", "f.yaml"], "decrypt", &["--in-place", "f.yaml"]);
    reads(&["decrypt", "-i", "--in-place=false", "f.yaml"], "decrypt", &["f.yaml"]);
    reads(&["decrypt", "--in-place=T", "f.yaml"], "decrypt", &["--in-place", "f.yaml"]);
    reads(&["decrypt", "--enable-local-keyservice=false", "f.yaml"], "decrypt", &["--enable-local-keyservice=false", "f.yaml"]);
    assert!(asked(&["decrypt", "--in-place=maybe", "f.yaml"]).is_err());
    assert!(asked(&["decrypt", "--output"]).is_err());
}

#[test]
fn the_last_of_a_flag_counts() {
    reads(&["encrypt", "--age", "x", "-a", "y", "f.yaml"], "encrypt", &["--age=y", "f.yaml"]);
    reads(&["encrypt", "--keyservice", "x", "--keyservice", "y", "f"], "encrypt", &["--keyservice=x", "--keyservice=y", "f"]);
}

#[test]
fn old_forms_mean_verbs() {
    reads(&["-d", "f.yaml"], "decrypt", &["f.yaml"]);
    reads(&["--age", "x", "-e", "f.yaml"], "encrypt", &["--age=x", "f.yaml"]);
    reads(&["f.yaml"], "edit", &["f.yaml"]);
    reads(&["-r", "-e", "-d", "f.yaml"], "rotate", &["f.yaml"]);
    reads(&["--d", "--output=x", "f.yaml"], "decrypt", &["--output=x", "f.yaml"]);
    // Flags that the verb has no use for are passed over, and the mode itself is no flag of the verb.
    reads(&["--add-age", "x", "--ignore-mac", "-d", "f.yaml"], "decrypt", &["--ignore-mac", "f.yaml"]);
    assert_eq!(asked(&["-d"]).map_err(|error| error.kind), Err(Kind::NoFile));
    assert!(asked(&["-nope", "-d", "f.yaml"]).is_err());
}

#[test]
fn an_old_set_is_parted_into_index_and_value() {
    let (verb, rest) = line(&["--set", "[\"a\"][0] \"x] y\"", "f.yaml"]);
    assert_eq!(verb, "set");
    assert_eq!(rest[rest.len() - 3..], ["f.yaml", "[\"a\"][0]", "\"x] y\""].map(str::to_owned));
    let (_, rest) = line(&["--set", "[\"a\"]", "f.yaml"]);
    assert_eq!(rest[rest.len() - 2..], ["[\"a\"]".to_owned(), String::new()]);
}

#[test]
fn old_forms_ignore_flags_behind_the_file_but_for_those_that_overwrite() {
    reads(&["-d", "f.yaml", "--ignore-mac"], "decrypt", &["f.yaml"]);
    reads(&["f.yaml", "-d"], "edit", &["f.yaml"]);
    for late in ["-i", "--in-place", "-output=x", "--output"] {
        assert_eq!(asked(&["-d", "f.yaml", late]).map_err(|error| error.kind), Err(Kind::ConflictingFlags), "{late}");
    }
}

#[test]
fn own_commands_give_way_to_files_of_their_name() {
    reads(&["init"], "edit", &["init"]);
    reads(&["-d", "config"], "decrypt", &["config"]);
    reads(&["man"], "man", &[]);
}

#[test]
fn help_version_and_words() {
    let help = |words: &[&str]| Ok(Asked::Help(words.iter().map(|word| (*word).to_owned()).collect()));
    assert_eq!(asked(&["help"]), help(&[]));
    assert_eq!(asked(&["h", "decrypt"]), help(&["decrypt"]));
    assert_eq!(asked(&["decrypt", "f.yaml", "--help"]), help(&["decrypt"]));
    assert_eq!(asked(&["-v", "decrypt"]), Ok(Asked::Version));
    assert_eq!(asked(&["decrypt", "--ignore", "--generate-bash-completion"]), Ok(Asked::Words(vec!["--ignore-mac".to_owned()])));
    assert_eq!(asked(&["decrypt", "--generate-bash-completion"]), Ok(Asked::Words(Vec::new())));
}

const PAGE: &str = include_str!("../../../../docs/sops.md");

/// The sections of flags: the verb, and its flags with what the page says of them.
fn sections() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let section = |text: &'static str| {
        let (verb, rest) = text.split_once('\n').unwrap();
        let rows = rest.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `--"));
        let flags = rows.flat_map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            cells[1]
                .split(", ")
                .map(|flag| flag.trim_matches('`').trim_start_matches("--"))
                .map(move |flag| (flag, cells[2]))
                .collect::<Vec<_>>()
        });
        (verb, flags.collect())
    };
    PAGE.split("\n### ").skip(1).map(section).collect()
}

/// The verbs of the page: each is sops's, and a command unless the page says that it isn't there.
#[test]
fn the_page_names_every_verb() {
    let table = PAGE.split("## Verbs").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let said: Vec<(&str, bool)> = rows.map(|row| (row.split('`').nth(1).unwrap(), row.contains("| not there"))).collect();
    for verb in VERBS {
        let rows: Vec<_> = said.iter().filter(|(name, _)| name.split(' ').next() == Some(verb.name)).collect();
        assert!(!rows.is_empty(), "docs/sops.md doesn't list {}", verb.name);
        assert!(rows.iter().all(|(_, gone)| !(*gone && is_command(verb.name))), "docs/sops.md says that {} isn't there", verb.name);
        if !is_command(verb.name) && rows.iter().all(|(_, gone)| !gone) {
            println!("pending: {}", verb.name);
        }
    }
    assert!(said.iter().all(|(name, _)| VERBS.iter().any(|verb| name.split(' ').next() == Some(verb.name))));
}

#[test]
fn what_the_page_calls_the_same_is_taken() {
    for (verb, flags) in sections().into_iter().filter(|(verb, _)| *verb != "Without a verb") {
        let mut words = verb.split(' ');
        let Some(mut command) = words.next().and_then(declared) else { continue };
        if let Some(part) = words.next() {
            command = command.find_subcommand(part).unwrap_or_else(|| panic!("{verb}")).clone();
        }
        let known = Known::of(&command);
        for (flag, _) in flags.iter().filter(|(_, said)| !said.starts_with("not there")) {
            assert!(known.names.contains_key(*flag), "{verb} doesn't take --{flag}");
        }
    }
}

#[test]
fn the_page_lists_the_flags_without_a_verb() {
    let (_, flags) = sections().into_iter().find(|(verb, _)| *verb == "Without a verb").unwrap();
    let mut said: Vec<&str> = flags.into_iter().map(|(flag, _)| flag).collect();
    let mut known: Vec<&str> = SWITCHES.iter().chain(&VALUES).map(|row| row.split(',').next().unwrap()).collect();
    said.sort_unstable();
    known.sort_unstable();
    assert_eq!(said, known);
}
