//! Every row of `testdata/scalars.tsv`: its type and its plaintext are those of genuine sops, and its bytes come back.

mod sandbox;

use sandbox::{RECIPIENT_1, Sandbox, root};

struct Row {
    number: usize,
    /// The file: the row's text after `k:`, below `data:`.
    plain: String,
    /// The type inside the first `ENC[…]`; `None` where nothing is encrypted.
    kind: Option<&'static str>,
    refused: bool,
    /// What genuine sops prints when it decrypts.
    printed: String,
}

/// `\n`, `\t`, `\r`, `\\` and `\uXXXX` as the characters they stand for.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('\\')) => out.push('\\'),
            ('\\', Some('u')) => {
                let digits: String = rest.by_ref().take(4).collect();
                out.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).expect("four digits of a character"));
            }
            ('\\', Some(other)) => out.extend(['\\', other]),
            (c, _) => out.push(c),
        }
    }
    out
}

/// What stands at `k:`, without the comments and the blank lines at the end.
fn value(printed: &str) -> String {
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    lines.join("\n").trim_start_matches("data:").trim().to_owned()
}

fn rows() -> Vec<Row> {
    let table = std::fs::read_to_string(root().join("testdata/scalars.tsv")).unwrap();
    let rows = table.split('\n').skip(1).filter(|line| !line.is_empty()).enumerate().map(|(number, line)| {
        let column: Vec<&str> = line.split('\t').collect();
        let kind = match column[2].split('|').next().unwrap() {
            "str" => Some("str"),
            "int" => Some("int"),
            "float" => Some("float"),
            "bool" => Some("bool"),
            "time" => Some("time"),
            "comment" => Some("comment"),
            _ => None,
        };
        let printed = value(column.get(5).map(|text| unescape(text)).unwrap_or_default().as_str());
        Row { number, plain: format!("data:\n  k:{}\n", unescape(column[1])), kind, refused: column[2].starts_with("ERROR"), printed }
    });
    let rows: Vec<Row> = rows.collect();
    assert_eq!(rows.len(), 239);
    rows
}

fn tell(failed: &[String]) {
    assert!(failed.is_empty(), "{} rows failed\n{}", failed.len(), failed.join("\n"));
}

/// The type inside the first `ENC[…]` above the metadata: that of the value, or of a comment where nothing else is encrypted.
fn kind(sealed: &str) -> Option<&str> {
    let above = sealed.split("\nsops:").next()?;
    let kinds = || above.split("type:").skip(1).filter_map(|rest| rest.split(']').next());
    kinds().find(|kind| *kind != "comment").or_else(|| kinds().next())
}

#[test]
fn types_are_those_of_genuine_sops_and_bytes_come_back() {
    let sandbox = Sandbox::with_identity();
    let accepted: Vec<Row> = rows().into_iter().filter(|row| !row.refused).collect();
    let names: Vec<String> = accepted.iter().map(|row| format!("row{:03}.yaml", row.number)).collect();
    for (row, name) in accepted.iter().zip(&names) {
        sandbox.write(name, &row.plain);
    }
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "--encrypted-regex", "^data$"]).args(&names).run().ok();
    let mut failed = Vec::new();
    for (row, name) in accepted.iter().zip(&names) {
        let sealed = String::from_utf8(sandbox.read(name)).unwrap();
        if kind(&sealed) != row.kind {
            failed.push(format!("{:?}: type {:?} instead of {:?}", row.plain, kind(&sealed), row.kind));
        }
    }
    sandbox.kveil(["decrypt", "-i"]).args(&names).run().ok();
    for (row, name) in accepted.iter().zip(&names) {
        let opened = sandbox.read(name);
        if opened != row.plain.as_bytes() {
            failed.push(format!("{:?}: came back as {:?}", row.plain, sandbox::shown(&opened)));
        }
    }
    tell(&failed);
}

#[test]
fn genuine_sops_prints_the_value_of_the_table() {
    if sandbox::tool("sops").is_none() {
        return;
    }
    let sandbox = Sandbox::with_identity();
    let mut failed = Vec::new();
    for row in rows().iter().filter(|row| !row.refused) {
        sandbox.write("row.yaml", &row.plain);
        let sealed = sandbox.sops(["encrypt", "--age", RECIPIENT_1, "--encrypted-regex", "^data$", "row.yaml"]).run();
        sandbox.write("sealed.yaml", &sealed.out);
        let opened = sandbox.genuine(["decrypt", "sealed.yaml"]).unwrap().run();
        let printed = value(&String::from_utf8_lossy(&opened.out));
        if opened.code != 0 || printed != row.printed {
            failed.push(format!("{:?}: {printed:?} instead of {:?}; {}{}", row.plain, row.printed, sealed.err, opened.err));
        }
    }
    tell(&failed);
}

#[test]
fn what_genuine_sops_refuses_is_refused() {
    let sandbox = Sandbox::with_identity();
    let mut failed = Vec::new();
    for row in rows().iter().filter(|row| row.refused) {
        sandbox.write("row.yaml", &row.plain);
        for done in [
            sandbox.sops(["encrypt", "--age", RECIPIENT_1, "--encrypted-regex", "^data$", "row.yaml"]).run(),
            sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--encrypted-regex", "^data$", "row.yaml"]).run(),
        ] {
            failed.extend(done.refusal_fault(None).map(|fault| format!("{:?}: {fault}", row.plain)));
        }
    }
    tell(&failed);
}
