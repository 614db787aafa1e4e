//! `edit`: what the editor is shown, what comes of it, and that nothing of it stays.
#![cfg(target_os = "linux")]

mod sandbox;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sandbox::{Call, RECIPIENT_1, RECIPIENT_2, Sandbox, tool};

const PLAIN: &str =
    "# kept\ntoken: 'hunter2-hunter2'   # as it is\nuser:   admin\nlist: [one, two]\nfolded: >-\n  a long\n  text\nport: 5\n";
const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: aHVudGVyMi1odW50ZXIy\n  user: 'YWRtaW4='\n  binary: /wAB\n";

/// A sandbox with `e.yaml`: `plain`, encrypted.
fn with(plain: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity();
    let keys = sandbox.home().join(".config/sops/age/keys.txt");
    std::fs::set_permissions(keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.write("p.yaml", plain);
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok();
    sandbox.write("e.yaml", sealed);
    sandbox
}

/// Makes an editor of shell lines, in which `$1` is the file. It notes where the file was.
fn editor(sandbox: &Sandbox, lines: &str) -> PathBuf {
    let path = sandbox.home().join("editor");
    let text = format!("#!/bin/sh\nset -e\necho \"$1\" >{}/where\n{lines}\n", sandbox.home().display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn edit(sandbox: &Sandbox, lines: &str, file: &str) -> Call {
    sandbox.kveil(["edit", file]).env("EDITOR", editor(sandbox, lines))
}

/// The file that the editor was given: gone by now, with its directory.
fn assert_gone(sandbox: &Sandbox) {
    let noted = std::fs::read_to_string(sandbox.home().join("where")).unwrap();
    let file = Path::new(noted.trim());
    assert!(file.is_absolute() && !file.exists() && !file.parent().unwrap().exists(), "{noted}");
}

fn decrypted(sandbox: &Sandbox, file: &str) -> String {
    if let Some(genuine) = sandbox.genuine(["decrypt", file]) {
        genuine.run().ok();
    }
    sandbox.kveil(["decrypt", file]).run().text()
}

#[test]
fn a_changed_value_changes_its_line_and_the_signature() {
    let sandbox = with(PLAIN);
    let before = sandbox.read("e.yaml");
    edit(&sandbox, "sed -i s/admin/root-of-all/ \"$1\"", "e.yaml").run().ok();
    assert_eq!(decrypted(&sandbox, "e.yaml"), PLAIN.replace("admin", "root-of-all"));
    let lines = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(&before), lines(&sandbox.read("e.yaml")));
    let changed: Vec<&str> = new.iter().filter(|line| !old.contains(line)).filter_map(|line| line.split(':').next()).collect();
    let but_the_time: Vec<&str> = changed.into_iter().filter(|key| key.trim() != "lastmodified").collect();
    assert_eq!(but_the_time, ["user", "    mac"]);
    assert_gone(&sandbox);
}

#[test]
fn the_editor_gets_the_authors_bytes_in_a_private_place() {
    let sandbox = with(PLAIN);
    let look =
        "cat \"$1\" >seen; stat -c %a \"$1\" \"$(dirname \"$1\")\" >modes; ls -A \"$(dirname \"$1\")\" >names; basename \"$1\" >>names";
    assert_eq!(edit(&sandbox, look, "e.yaml").run().code, 200);
    assert_eq!(sandbox.read("seen"), PLAIN.as_bytes());
    assert_eq!(sandbox.read("modes"), b"600\n700\n");
    assert_eq!(sandbox.read("names"), b"e.yaml\ne.yaml\n");
    assert_gone(&sandbox);
}

#[test]
fn an_unchanged_file_is_left_alone() {
    let sandbox = with(PLAIN);
    let identity = |sandbox: &Sandbox| {
        let metadata = std::fs::metadata(sandbox.path("e.yaml")).unwrap();
        (metadata.ino(), metadata.mtime_nsec(), sandbox.read("e.yaml"))
    };
    let before = identity(&sandbox);
    for call in [edit(&sandbox, "true", "e.yaml"), sandbox.sops(["e.yaml"]).env("SOPS_EDITOR", "true").env("EDITOR", "false")] {
        let reason = call.run().refused(200);
        assert!(reason.contains("File has not changed, exiting."), "{reason}");
    }
    assert!(identity(&sandbox) == before);
}

/// What both do with the same scripted editor: exit code and decrypted outcome.
#[test]
fn genuine_sops_comes_to_the_same_end() {
    let cases: [(&str, &[&str]); 8] = [
        ("sed -i s/admin/root/ \"$1\"", &["edit", "e.yaml"]),
        ("echo new: value >>\"$1\"", &["e.yaml"]),
        ("sed s/admin/root/ \"$1\" >\"$1.new\"; mv \"$1.new\" \"$1\"", &["edit", "e.yaml"]),
        ("true", &["edit", "e.yaml"]),
        ("exit 3", &["edit", "e.yaml"]),
        ("rm \"$1\"", &["edit", "e.yaml"]),
        ("true", &["edit", "p.yaml"]),
        ("true", &["edit"]),
    ];
    for (lines, arguments) in cases {
        let (ours, theirs) = (with(PLAIN), with(PLAIN));
        let Some(genuine) = theirs.genuine(arguments) else { return };
        let done = ours.sops(arguments).env("EDITOR", editor(&ours, lines)).run();
        let genuine = genuine.env("EDITOR", editor(&theirs, lines)).run();
        assert_eq!(done.code, genuine.code, "{arguments:?} {lines}: {}", done.err);
        assert!(done.code != 0 || done.err.is_empty(), "{}", done.err);
        let shown = |sandbox: &Sandbox| sandbox.genuine(["decrypt", "e.yaml"]).map(|call| call.run().text());
        assert_eq!(shown(&ours), shown(&theirs), "{lines}");
    }
}

#[test]
fn the_editor_is_split_into_words_without_a_shell() {
    let sandbox = with("a: $HOME\n");
    let call = |line: &str| sandbox.kveil(["edit", "e.yaml"]).env("SOPS_EDITOR", line).run();
    call("sed -i -e 's/[$]HOME/a b; c/'").ok();
    assert_eq!(decrypted(&sandbox, "e.yaml"), "a: a b; c\n");
    for bad in ["'", "no-such-editor-here", "false"] {
        call(bad).refused(201);
    }
    sandbox.kveil(["edit", "e.yaml"]).env("PATH", sandbox.work()).run().refused(201);
}

#[test]
fn secrets_are_edited_decoded_and_raw_or_as_sops_in_base64() {
    let sandbox = with(SECRET);
    let before = sandbox.read("e.yaml");
    let look = "cat \"$1\" >seen; sed -i 's/hunter2-hunter2/correct horse/; s/aHVudGVyMi1odW50ZXIy/eHh4/' \"$1\"";
    edit(&sandbox, look, "e.yaml").run().ok();
    let seen = String::from_utf8(sandbox.read("seen")).unwrap();
    assert!(seen.contains("password: hunter2-hunter2\n") && seen.contains("binary: !!binary /wAB\n"), "{seen}");
    assert_eq!(decrypted(&sandbox, "e.yaml"), SECRET.replace("aHVudGVyMi1odW50ZXIy", "Y29ycmVjdCBob3JzZQ=="));
    for arguments in [["kveil", "edit --raw e.yaml"], ["sops", "edit e.yaml"]] {
        sandbox.write("e.yaml", &before);
        sandbox.shell(&arguments.join(" ")).env("EDITOR", editor(&sandbox, look)).run().ok();
        assert_eq!(sandbox.read("seen"), SECRET.as_bytes());
        assert_eq!(decrypted(&sandbox, "e.yaml"), SECRET.replace("aHVudGVyMi1odW50ZXIy", "eHh4"));
    }
}

#[test]
fn an_invalid_text_leaves_the_file_and_says_where_it_is_wrong() {
    let sandbox = with(PLAIN);
    let before = sandbox.read("e.yaml");
    for lines in ["echo 'a: [' >>\"$1\"", "echo 'sops: {}' >>\"$1\"", "printf '\\377' >>\"$1\"", "echo 'port: 6' >>\"$1\"", ": >\"$1\""] {
        let reason = edit(&sandbox, lines, "e.yaml").run().refused(2);
        assert!(reason.contains("e.yaml") && !reason.contains("hunter2"), "{reason}");
        assert_eq!(sandbox.read("e.yaml"), before, "{lines}");
        assert_gone(&sandbox);
    }
}

/// A line of shell at a terminal of its own, with prompts and what is typed at them: the exit code, and all that was shown.
/// [`None`] without the program that plays the terminal.
fn at_terminal(sandbox: &Sandbox, line: &str, typed: &[&str]) -> Option<(i32, String)> {
    if !there(sandbox, "python3") {
        return None;
    }
    let script = sandbox::root().join("tests/terminal.py");
    let call = sandbox.shell("exec python3 \"$@\"").arg("bash").arg(script).arg(line).args(typed);
    let done = call.env("TERM", "xterm").env("EDITOR", sandbox.home().join("editor")).run();
    Some((done.code, String::from_utf8_lossy(&done.out).into_owned() + &done.err))
}

/// Whether a program is there; a failure in CI if it isn't.
fn there(sandbox: &Sandbox, program: &str) -> bool {
    let found = sandbox.shell(&format!("command -v {program}")).run().code == 0;
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing");
        println!("ignored: {program} is missing");
    }
    found
}

#[test]
fn at_a_terminal_an_invalid_text_is_shown_again() {
    let sandbox = with(PLAIN);
    editor(&sandbox, "if grep -q broken \"$1\"; then sed -i 's/broken: \\[/mended: 1/' \"$1\"; else echo 'broken: [' >>\"$1\"; fi");
    // The prompt shows what is typed; no more than a line break is.
    let Some((_, said)) = at_terminal(&sandbox, "stty -echo; kveil edit e.yaml", &["return to the editor", ""]) else { return };
    assert!(said.contains("Press enter to return to the editor"), "{said}");
    assert_eq!(decrypted(&sandbox, "e.yaml"), format!("{PLAIN}mended: 1\n"));
    assert_gone(&sandbox);
}

#[test]
fn a_file_that_changed_meanwhile_is_left_and_both_are_kept() {
    let sandbox = with(PLAIN);
    let lines = format!("sed -i s/admin/root/ \"$1\"; echo '# theirs' >>{}", sandbox.path("e.yaml").display());
    let before = sandbox.read("e.yaml");
    let reason = edit(&sandbox, &lines, "e.yaml").run().refused(3);
    assert!(reason.contains("changed on disk") && reason.contains("e.edited.yaml"), "{reason}");
    assert_eq!(sandbox.read("e.yaml"), [before.as_slice(), b"# theirs\n"].concat());
    assert_eq!(decrypted(&sandbox, "e.edited.yaml"), PLAIN.replace("admin", "root"));
    edit(&sandbox, &lines, "e.yaml").run().refused(3);
    assert!(sandbox.path("e.edited-1.yaml").exists());
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_edit_beside_it() {
    let sandbox = with(PLAIN);
    std::fs::hard_link(sandbox.path("e.yaml"), sandbox.path("other-name.yaml")).unwrap();
    let before = sandbox.read("e.yaml");
    let reason = edit(&sandbox, "sed -i s/admin/root/ \"$1\"", "e.yaml").run().refused(3);
    assert!(reason.contains("e.edited.yaml"), "{reason}");
    assert_eq!(sandbox.read("e.yaml"), before);
    assert_eq!(decrypted(&sandbox, "e.edited.yaml"), PLAIN.replace("admin", "root"));
}

#[test]
fn an_edit_brings_nothing_into_clear_unseen() {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", "x: in-clear\n# secret\npw: hunter2-hunter2\n");
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "--encrypted-comment-regex", "secret", "p.yaml"]).run().ok();
    sandbox.write("e.yaml", &sealed);
    let reason = edit(&sandbox, "sed -i /secret/d \"$1\"", "e.yaml").run().refused(1);
    assert!(reason.contains("pw would come into clear") && !reason.contains("hunter2"), "{reason}");
    assert_eq!(sandbox.read("e.yaml"), sealed);
    edit(&sandbox, "sed -i /secret/d \"$1\"", "e.yaml").arg("--allow-clear").run().ok();
    assert!(String::from_utf8(sandbox.read("e.yaml")).unwrap().contains("pw: hunter2"));
}

const DECODED: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  labels: {tier: back-end}\ndata:\n  password: aHVudGVyMi1odW50ZXIy\n\
                       stringData:\n  pin: 4711\n  owner: back-end\n";

#[test]
fn a_key_or_a_place_that_is_not_selected_any_more_is_refused() {
    let cases = [
        ("s/^stringData:/stringdata:/", "stringdata.pin"),
        ("s/^data:/datas:/", "datas.password"),
        ("s/^data:/datas:/; s/hunter2-hunter2/new-one/", "datas.password"),
        ("s/^stringData:/stringdata:/; s/4711/0815/", "stringdata.pin"),
        ("/pin:/d; s/^  name: db/  name: db\\n  annotations: {x: 4711}/", "metadata.annotations.x"),
        ("s/^  name: db/  name: db\\n  annotations: {x: hunter2-hunter2}/", "metadata.annotations.x"),
        ("s/^kind:/password: hunter2-hunter2\\nkind:/", "password"),
    ];
    for (script, path) in cases {
        let sandbox = with(DECODED);
        let before = sandbox.read("e.yaml");
        let lines = format!("sed -i '{script}' \"$1\"");
        let reason = edit(&sandbox, &lines, "e.yaml").run().refused(1);
        assert!(reason.contains(&format!("{path} would come into clear")), "{script}: {reason}");
        assert!(!reason.contains("hunter2") && !reason.contains("4711"), "{reason}");
        assert_eq!(sandbox.read("e.yaml"), before);
        edit(&sandbox, &lines, "e.yaml").arg("--allow-clear").run().ok();
    }
}

#[test]
fn what_stays_encrypted_or_was_in_clear_is_no_question() {
    let harmless = [
        "s/pin: 4711/pin: 4712/; s/^  name: db/  name: db\\n  annotations: {x: back-end, y: 4711, z: 4712}/",
        "s/pin:/code:/",
        "/pin:/d; s/hunter2-hunter2/4711/",
        "/password:/d; s/stringData:/stringData:\\n  password: hunter2-hunter2/",
        "s/tier: back-end/part: back-end/",
    ];
    for script in harmless {
        let sandbox = with(DECODED);
        edit(&sandbox, &format!("sed -i '{script}' \"$1\""), "e.yaml").run().ok();
    }
}

#[test]
fn a_new_file_is_for_whom_its_rule_has() {
    let sandbox = with(PLAIN);
    sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {RECIPIENT_1}\n"));
    let call = || edit(&sandbox, "echo 'a: mine' >\"$1\"", "new.yaml").args(["--age", RECIPIENT_2]);
    assert!(call().run().refused(1).contains("--allow-recipient"));
    assert!(!sandbox.home().join("where").exists() && !sandbox.path("new.yaml").exists());
    call().args(["--allow-recipient", RECIPIENT_2]).run().ok();
    assert!(sandbox.path("new.yaml").exists());
}

#[test]
fn a_new_file_starts_with_the_example_of_sops() {
    for name in ["new.yaml", "new.json"] {
        let sandbox = with(PLAIN);
        let call = |call: Call, lines: &str| call.env("EDITOR", editor(&sandbox, lines)).env("SOPS_AGE_RECIPIENTS", RECIPIENT_1).run();
        call(sandbox.kveil(["edit", name]), "cat \"$1\" >ours").refused(200);
        assert!(!sandbox.path(name).exists());
        if let Some(genuine) = sandbox.genuine(["edit", name]) {
            assert_eq!(call(genuine, "cat \"$1\" >theirs").code, 200);
            assert_eq!(sandbox.read("ours"), sandbox.read("theirs"));
        }
        call(sandbox.kveil(["edit", name]), "sed -i s/example_value/mine/ \"$1\"").ok();
        assert!(decrypted(&sandbox, name).contains("mine") && !String::from_utf8(sandbox.read(name)).unwrap().contains("mine"));
    }
}

#[test]
fn a_new_secret_is_encrypted_as_its_kind_wants() {
    let sandbox = with(PLAIN);
    let lines = format!("cp {} \"$1\"", sandbox.write("secret.yaml", SECRET).display());
    sandbox.kveil(["edit", "--age", RECIPIENT_1, "new.yaml"]).env("EDITOR", editor(&sandbox, &lines)).run().ok();
    let text = String::from_utf8(sandbox.read("new.yaml")).unwrap();
    assert!(text.contains("name: db\n") && text.contains("password: ENC["), "{text}");
    assert_eq!(decrypted(&sandbox, "new.yaml"), SECRET);
}

#[test]
fn without_recipients_or_a_directory_no_editor_is_opened() {
    let sandbox = with(PLAIN);
    edit(&sandbox, "true", "new.yaml").run().refused(1);
    edit(&sandbox, "true", "no-folder/new.yaml").run().refused(3);
    assert!(!sandbox.home().join("where").exists());
}

#[test]
fn an_edit_raises_the_version() {
    let sandbox = with(PLAIN);
    let old = String::from_utf8(sandbox.read("e.yaml")).unwrap().replace("version: 3.13.3", "version: 3.9.0");
    sandbox.write("e.yaml", old);
    edit(&sandbox, "sed -i s/admin/root/ \"$1\"", "e.yaml").run().ok();
    assert!(String::from_utf8(sandbox.read("e.yaml")).unwrap().contains("version: 3.13.3\n"));
}

#[test]
fn the_block_is_shown_but_not_changed() {
    let sandbox = with(PLAIN);
    let before = sandbox.read("e.yaml");
    let call = |lines: &str| sandbox.kveil(["edit", "-s", "e.yaml"]).env("EDITOR", editor(&sandbox, lines)).run();
    let reason =
        call("sed -i 's/recipient: age1.*/recipient: age1ac76cl9nuzd96kdp6mvslh55wl74rt3sl3zfl9y4c6l99dltndqsxemwwp/' \"$1\"").refused(2);
    assert!(reason.contains("the sops block was changed"), "{reason}");
    assert_eq!(sandbox.read("e.yaml"), before);
    call("cat \"$1\" >seen; sed -i s/admin/root/ \"$1\"").ok();
    let seen = String::from_utf8(sandbox.read("seen")).unwrap();
    assert!(seen.starts_with(PLAIN) && seen.contains("\nsops:\n") && seen.contains(RECIPIENT_1), "{seen}");
    assert_eq!(decrypted(&sandbox, "e.yaml"), PLAIN.replace("admin", "root"));
}

#[test]
fn a_wrong_mac_is_an_error_unless_ignored() {
    let sandbox = with(PLAIN);
    let broken = String::from_utf8(sandbox.read("e.yaml")).unwrap().replace("lastmodified: \"2", "lastmodified: \"1");
    sandbox.write("e.yaml", broken);
    edit(&sandbox, "true", "e.yaml").run().refused(51);
    sandbox.kveil(["edit", "--ignore-mac", "e.yaml"]).env("EDITOR", "sed -i s/admin/root/").run().ok();
    assert_eq!(decrypted(&sandbox, "e.yaml"), PLAIN.replace("admin", "root"));
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// An edit whose editor has written into the file and waits; the directory it uses.
fn waiting(sandbox: &Sandbox, call: Call) -> (Child, PathBuf) {
    let lines = "echo 'more: hunter2-hunter2' >>\"$1\"; cp \"$1\" \"$1~\"; touch started; exec sleep 5";
    let mut command = call.env("EDITOR", editor(sandbox, lines)).into_command();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..500 {
        if sandbox.path("started").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let file = std::fs::read_to_string(sandbox.home().join("where")).unwrap();
    (child, Path::new(file.trim()).parent().unwrap().to_owned())
}

#[test]
fn a_signal_leaves_nothing_behind() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129)] {
        for name in ["kveil", "sops"] {
            let sandbox = with(PLAIN);
            let before = sandbox.read("e.yaml");
            let call = if name == "sops" { sandbox.sops(["edit", "e.yaml"]) } else { sandbox.kveil(["edit", "e.yaml"]) };
            let (mut child, directory) = waiting(&sandbox, call);
            assert!(directory.exists());
            send(signal, &child);
            assert_eq!(child.wait().unwrap().code(), Some(if name == "sops" { 1 } else { code }), "{name} {signal}");
            assert!(!directory.exists(), "{name} {signal}");
            assert_eq!(sandbox.read("e.yaml"), before);
        }
    }
}

/// The process group of the terminal gets Ctrl+C: an editor that takes it for a key goes on, and so does the edit.
#[test]
fn ctrl_c_at_the_terminal_is_the_editors() {
    let lines = "trap 'echo caught: yes >>\"$1\"' INT QUIT; stty -echo; echo READY; read line || true; sleep 0.3; ls \"$1\"";
    for (name, typed) in [("kveil", "\u{3}"), ("sops", "\u{3}"), ("kveil", "\u{1c}")] {
        let sandbox = with(PLAIN);
        editor(&sandbox, lines);
        let Some((code, said)) = at_terminal(&sandbox, &format!("exec {name} edit e.yaml"), &["READY", typed]) else { return };
        assert_eq!(code, 0, "{said}");
        assert_eq!(decrypted(&sandbox, "e.yaml"), format!("{PLAIN}caught: yes\n"));
        assert_gone(&sandbox);
    }
}

#[test]
fn an_editor_that_ctrl_c_kills_ends_the_edit() {
    for (name, typed, wanted) in [("kveil", "\u{3}", 130), ("sops", "\u{3}", 1), ("kveil", "\u{1c}", 131)] {
        let sandbox = with(PLAIN);
        let before = sandbox.read("e.yaml");
        editor(&sandbox, "echo more: x >>\"$1\"; stty -echo; echo READY; exec sleep 5");
        let Some((code, said)) = at_terminal(&sandbox, &format!("exec {name} edit e.yaml"), &["READY", typed]) else { return };
        assert_eq!(code, wanted, "{said}");
        assert_eq!(sandbox.read("e.yaml"), before);
        assert_gone(&sandbox);
    }
}

#[test]
fn vim_goes_on_after_ctrl_c() {
    let sandbox = with(PLAIN);
    if !there(&sandbox, "vim") {
        return;
    }
    let typed = ["hunter2-hunter2", "\u{3}", "to exit Vim", ":%s/admin/root/\r:wq"];
    let Some((code, said)) = at_terminal(&sandbox, "EDITOR='vim -u NONE' exec kveil edit e.yaml", &typed) else { return };
    assert_eq!(code, 0, "{said}");
    assert_eq!(decrypted(&sandbox, "e.yaml"), PLAIN.replace("admin", "root"));
}

#[test]
fn what_a_killed_run_left_is_wiped_by_the_next() {
    let sandbox = with(PLAIN);
    let (mut child, directory) = waiting(&sandbox, sandbox.kveil(["edit", "e.yaml"]));
    send("-KILL", &child);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(directory.exists());
    edit(&sandbox, "true", "e.yaml").run().refused(200);
    assert!(!directory.exists());
}

#[test]
fn an_editor_that_crashes_leaves_nothing_behind() {
    let sandbox = with(PLAIN);
    let before = sandbox.read("e.yaml");
    edit(&sandbox, "echo x: y >>\"$1\"; cp \"$1\" \"$(dirname \"$1\")/.e.yaml.swp\"; kill -SEGV $$", "e.yaml").run().refused(201);
    assert_eq!(sandbox.read("e.yaml"), before);
    assert_gone(&sandbox);
}

#[test]
fn vim_keeps_no_copy_anywhere() {
    let sandbox = with(PLAIN);
    if !there(&sandbox, "vim") {
        return;
    }
    let home = sandbox.home();
    for folder in ["undo", "backup", "swap"] {
        std::fs::create_dir(home.join(folder)).unwrap();
    }
    let settings = "set nocompatible\nset undofile undodir=~/undo backup backupdir=~/backup directory=~/swap viminfo='100,n~/viminfo\n";
    std::fs::write(home.join(".vimrc"), settings).unwrap();
    let line = "vim -N -u ~/.vimrc -es -c '%s/admin/root/' -c wq".replace('~', &home.display().to_string());
    sandbox.kveil(["edit", "e.yaml"]).env("EDITOR", line).run().ok();
    assert_eq!(decrypted(&sandbox, "e.yaml"), PLAIN.replace("admin", "root"));
    for folder in ["undo", "backup", "swap"] {
        let left: Vec<_> = std::fs::read_dir(home.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(!home.join("viminfo").exists());
}

#[test]
fn links_stay_links_and_pipes_are_refused() {
    let sandbox = with(PLAIN);
    std::fs::rename(sandbox.path("e.yaml"), sandbox.path("real.yaml")).unwrap();
    sandbox::link(Path::new("real.yaml"), &sandbox.path("e.yaml"));
    edit(&sandbox, "sed -i s/admin/root/ \"$1\"", "e.yaml").run().ok();
    assert!(sandbox.path("e.yaml").is_symlink());
    assert_eq!(decrypted(&sandbox, "real.yaml"), PLAIN.replace("admin", "root"));
    assert!(sandbox.shell("mkfifo pipe.yaml").run().code == 0);
    edit(&sandbox, "true", "pipe.yaml").run().refused(8);
    if tool("sops").is_some() {
        assert_eq!(sandbox.sops(["edit", "."]).env("EDITOR", "true").run().code, 2);
    }
}
