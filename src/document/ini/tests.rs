use super::super::Role;
use super::*;

fn sections(source: &str) -> Vec<(String, Vec<(String, String)>)> {
    let document = Ini.parse(source).unwrap();
    let text = |id| document.text(id).to_owned();
    let keys = |section| fields(&document, section).into_iter().map(|(key, value)| (text(key), text(value))).collect();
    document.entries(0).map(|(name, section)| (text(name), keys(section))).collect()
}

/// The keys before any section.
fn keys(source: &str) -> Vec<(String, String)> {
    sections(source).swap_remove(0).1
}

fn comments(source: &str) -> Vec<String> {
    let document = Ini.parse(source).unwrap();
    document.comments.iter().map(|comment| document.comment_text(comment).into_owned()).collect()
}

/// What genuine sops 3.13.3 reads.
#[test]
fn values_are_read_as_sops_reads_them() {
    let cases = [
        ("k=v", "v"),
        ("k : v ", "v"),
        ("k=", ""),
        ("k = a b ; c", "a b"),
        ("k = \"a;b\"", "\"a"),
        ("k = \"a b \"", "a b "),
        ("k = 'a'", "a"),
        ("k = 'a' b", "'a' b"),
        ("k = \"a\"b\"", "\"a\"b\""),
        ("k = `a;b` junk", "a;b"),
        ("k = `a` `b`", "a` `b"),
        ("k = \"\"\"a\n b\"\"\" ; c", "a\n b"),
        ("k = `a\r\nb`", "a\r\nb"),
        ("k = a\\\n  b", "ab"),
        ("k = a \\\n b ; \\\n\nx = y", "a b ; "),
        ("k = a\\ ; c", "a\\"),
        ("k = \"\"\"\"\"\"", ""),
        ("k = \u{a0}a\u{a0}", "a"),
        ("k=1\nk=2", "2"),
        ("\u{feff}k = v", "v"),
    ];
    for (source, wanted) in cases {
        assert_eq!(keys(source)[0], ("k".to_owned(), wanted.to_owned()), "{source}");
    }
}

#[test]
fn keys_may_stand_in_quotes_and_a_dash_counts() {
    let read = keys("\"a=b\" = 1\n`c:d`= 2\n\"\"\"e\"\"\" =3\n- = 4\n- = 5\n f g = 6");
    let names: Vec<&str> = read.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(names, ["a=b", "c:d", "e", "#1", "#2", "f g"]);
}

#[test]
fn sections_repeat_and_their_names_go_to_the_last_bracket() {
    let names: Vec<String> = sections("[s]\na=1\n[s]\n[DEFAULT]\n[x ; y] ; z]\n").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["DEFAULT", "s", "s", "DEFAULT", "x ; y] ; z"]);
}

/// What genuine sops 3.13.3 refuses with exit code 2.
#[test]
fn what_isnt_ini_is_refused_with_its_place_and_without_its_text() {
    for line in ["secret", "[secret", "[]", "=secret", "\"\"=secret", "\"secret = 1", "k = \"\"\"secret", "k = `secret\n"] {
        let error = Ini.parse(&format!("a=1\n{line}")).err().unwrap_or_else(|| panic!("accepted: {line}"));
        assert_eq!((error.kind.exit_code(), error.position.map(|position| position.line)), (2, Some(2)), "{line}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn the_comments_of_a_key_are_one() {
    assert_eq!(comments("; a\n## b\nk = v # c\n;d\n[s];e\n;end\n"), ["a\n## b\n# c", "d\n;e", "end"]);
    assert_eq!(comments("k = `v` junk\n"), ["junk"]);
}

#[test]
fn an_entry_that_a_later_one_stands_for_is_kept_beside_it() {
    let document = Ini.parse("k=1 ; a\nl=2\nk=3 ; b\n").unwrap();
    let values: Vec<(&str, Role)> = document
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| matches!(node.role, Role::Value | Role::Shadow) && !node.is_collection())
        .map(|(id, node)| (document.text(id as NodeId), node.role))
        .collect();
    assert_eq!(values, [("3", Role::Value), ("1", Role::Shadow), ("2", Role::Value)]);
}

fn metadata(fields: &[(&str, &str)]) -> Value {
    let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), Value::string(*value))).collect();
    Value::Map(vec![("sops".to_owned(), Value::Map(fields))])
}

#[test]
fn the_block_comes_and_goes() {
    for source in ["", "k=v\n", "\n", "k=v\r\n", "[s]\n; end\n", "k = a\\\n", "[s] ; c\n\n\n"] {
        let mut edits = Edits::default();
        Ini.add_block(&Ini.parse(source).unwrap(), &metadata(&[("age", "x\ny"), ("mac", "a;b")]), None, &mut edits);
        let text = edits.apply(source);
        let document = Ini.parse(&text).unwrap();
        let block = Ini.block(&document).unwrap().unwrap();
        assert_eq!(block.get("age").and_then(Value::text).as_deref(), Some("x\ny"));
        assert_eq!(block.get("mac").and_then(Value::text).as_deref(), Some("a;b"));
        let mut edits = Edits::default();
        Ini.remove_block(&document, "", &mut edits);
        assert_eq!(edits.apply(&text).as_str(), source);
    }
}

#[test]
fn other_metadata_changes_only_its_lines() {
    let source = "a = 1\n\n[sops]\nmac     = x\nversion = 1\n";
    let replaced = |fields: &[(&str, &str)]| {
        let mut edits = Edits::default();
        Ini.replace_block(&Ini.parse(source).unwrap(), &metadata(fields), &mut edits);
        edits.apply(source).to_string()
    };
    assert_eq!(replaced(&[("mac", "y"), ("version", "1")]), source.replace("= x", "= y"));
    assert_eq!(replaced(&[("mac", "y")]), "a = 1\n\n[sops]\nmac = y\n");
}

#[test]
fn two_blocks_are_refused() {
    let error = Ini.block(&Ini.parse("[sops]\nmac=x\n[sops]\n").unwrap()).err().unwrap();
    assert_eq!(error.kind.exit_code(), 1);
}

/// Values that sops's own form loses get another one.
#[test]
fn every_value_that_fits_a_form_is_written_so_that_it_reads_back() {
    let source = "k = v\n";
    let document = Ini.parse(source).unwrap();
    for text in ["a", "a;b", " a ", "a\nb", "a`b", "a\\", "\"\"\"", "'a'", "", "a\r\nb"] {
        let mut out = String::new();
        Ini.render(&document, 4, &Scalar::text(text), &mut out);
        assert_eq!(keys(&format!("k = {out}\n"))[0].1, text, "{out}");
    }
}

#[test]
fn trees_are_printed_as_sops_does() {
    let comment = |text: &str| (String::new(), Value::Scalar(Type::Comment, text.as_bytes().to_vec()));
    let section = Value::Map(vec![
        comment(" of the section"),
        ("a".into(), Value::int(1)),
        comment("of a\n; more"),
        ("long=key".into(), Value::string("x;y")),
        ("t".into(), Value::bool(true)),
    ]);
    let tree = Value::Map(vec![("DEFAULT".into(), Value::Map(Vec::new())), ("s".into(), section), ("e".into(), Value::Map(Vec::new()))]);
    let wanted = ";  of the section\n[s]\n; of a\n; more\na          = 1\n`long=key` = `x;y`\nt          = true\n\n[e]\n";
    assert_eq!(Ini.print(&[tree], None).unwrap(), wanted);
    for wrong in [Value::string("x"), Value::Map(vec![("k".into(), Value::List(Vec::new()))])] {
        let error = Ini.print(&[Value::Map(vec![("s".into(), wrong)])], None).err().unwrap();
        assert_eq!(error.kind.exit_code(), 4);
    }
}
