//! `exec-file`: the pipe or file that the command gets, and that nothing of it stays.
#![cfg(target_os = "linux")]

mod sandbox;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sandbox::{RECIPIENT_1, Sandbox};

const PLAIN: &str = "# kept\ntoken: 'hunter2-hunter2'   # as it is\nport: 5\n";

fn ready() -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", PLAIN);
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok();
    sandbox.write("e.yaml", sealed);
    sandbox
}

/// What is left in the directory for temporary files.
fn left(sandbox: &Sandbox) -> Vec<PathBuf> {
    std::fs::read_dir(sandbox.tmp()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Waits until `file` is there.
fn until(file: &Path) {
    for _ in 0..500 {
        if file.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} never came", file.display());
}

#[test]
fn the_command_reads_the_authors_bytes_from_a_pipe() {
    let sandbox = ready();
    assert_eq!(sandbox.kveil(["exec-file", "e.yaml", "cat {}"]).run().text(), PLAIN);
    let about = "test -p {} && ls -l {} | cut -c1-10 && basename {} && stat -c %a \"$(dirname {})\" && basename {}";
    let ours = sandbox.sops(["exec-file", "e.yaml", about]).run().text();
    assert_eq!(ours, "prw-------\ntmp-file\n700\ntmp-file\n");
    if let Some(genuine) = sandbox.genuine(["exec-file", "e.yaml", about]) {
        assert_eq!(genuine.run().text(), ours);
    }
    assert!(left(&sandbox).is_empty());
}

#[test]
fn a_file_can_be_read_twice_and_has_the_name_that_was_asked_for() {
    let sandbox = ready();
    assert_eq!(sandbox.kveil(["exec-file", "--no-fifo", "e.yaml", "cat {} {}"]).run().text(), format!("{PLAIN}{PLAIN}"));
    let about = "test -f {} && ls -l {} | cut -c1-10 && basename {}";
    let arguments = ["exec-file", "--no-fifo", "--filename", "values.yaml", "e.yaml", about];
    let ours = sandbox.kveil(arguments).run().text();
    assert_eq!(ours, "-rw-------\nvalues.yaml\n");
    if let Some(genuine) = sandbox.genuine(arguments) {
        assert_eq!(genuine.run().text(), ours);
    }
    assert!(left(&sandbox).is_empty());
}

#[test]
fn a_name_leads_nowhere_else() {
    let sandbox = ready();
    for name in ["../x", "/tmp/x", "a/b", ".", ".."] {
        let arguments = ["exec-file", "--no-fifo", "--filename", name, "e.yaml", "cat {}"];
        sandbox.kveil(arguments).run().refused(1);
        if let Some(genuine) = sandbox.genuine(arguments) {
            assert_ne!(genuine.run().code, 0);
        }
    }
}

#[test]
fn the_command_gets_another_format() {
    let sandbox = ready();
    let arguments = ["exec-file", "--output-type", "json", "e.yaml", "cat {}"];
    let ours = sandbox.kveil(arguments).run().text();
    assert_eq!(ours, "{\n\t\"token\": \"hunter2-hunter2\",\n\t\"port\": 5\n}\n");
    if let Some(genuine) = sandbox.genuine(arguments) {
        assert_eq!(genuine.run().text(), ours);
    }
}

#[test]
fn tmpdir_wins_and_without_it_memory_is_used() {
    let sandbox = ready();
    let place = sandbox.kveil(["exec-file", "--no-fifo", "e.yaml", "echo {}"]).run().text();
    assert!(place.starts_with(&format!("{}/kveil-", sandbox.tmp().display())), "{place}");
    let done = sandbox.kveil(["exec-file", "--no-fifo", "e.yaml", "echo {}; df -T {} | tail -1"]).env("TMPDIR", "").run();
    if done.err.contains("on disk") {
        assert!(!done.clone().text().contains("tmpfs"));
    } else {
        assert!(done.clone().text().contains("tmpfs"), "{done:?}");
    }
    let place = done.text().lines().next().unwrap().to_owned();
    assert!(!Path::new(&place).exists());
}

#[test]
fn the_exit_code_is_the_commands() {
    let sandbox = ready();
    for (line, code) in [("exit 7", 7), ("no-such-program-here", 127)] {
        assert_eq!(sandbox.kveil(["exec-file", "e.yaml", line]).run().code, code);
        if let Some(genuine) = sandbox.genuine(["exec-file", "e.yaml", line]) {
            assert_eq!(genuine.run().code, code);
        }
    }
    assert_eq!(sandbox.kveil(["exec-file", "e.yaml", "kill -TERM $$"]).run().code, 128 + 15);
    assert_eq!(sandbox.kveil(["exec-file", "e.yaml", "kill -KILL $$"]).run().code, 128 + 9);
    sandbox.sops(["exec-file", "nofile.yaml", "true"]).run().refused(2);
    assert!(left(&sandbox).is_empty());
}

#[test]
fn signals_reach_the_command_and_nothing_stays() {
    for (signal, flag) in [("-TERM", "--no-fifo"), ("-INT", "--no-fifo"), ("-HUP", "--filename=f")] {
        let sandbox = ready();
        let line = "trap 'echo got; exit 3' TERM INT HUP; touch started; while :; do sleep 0.05; done; : {}";
        let mut command = sandbox.kveil(["exec-file", flag, "e.yaml", line]).into_command();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        until(&sandbox.path("started"));
        assert_eq!(left(&sandbox).len(), 1);
        send(signal, &child);
        let out = child.wait_with_output().unwrap();
        assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(3), &b"got\n"[..]), "{signal}");
        assert!(left(&sandbox).is_empty(), "{signal}");
    }
}

#[test]
fn what_a_killed_run_left_is_wiped_by_the_next() {
    let sandbox = ready();
    let line = "touch started; exec sleep 3; : {}";
    let mut command = sandbox.kveil(["exec-file", "--no-fifo", "e.yaml", line]).into_command();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    until(&sandbox.path("started"));
    send("-KILL", &child);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(left(&sandbox).len(), 1);
    sandbox.kveil(["exec-file", "e.yaml", "true"]).run().ok();
    assert!(left(&sandbox).is_empty());
}

/// Only root can become another user.
#[test]
fn another_user_gets_the_file_and_nobody_elses_directory() {
    use std::os::unix::fs::MetadataExt;
    let sandbox = ready();
    if std::fs::metadata(sandbox.tmp()).unwrap().uid() != 0 {
        return println!("ignored: only root can become another user");
    }
    let about = "id -un; echo $USER $LOGNAME; stat -c %U {} \"$(dirname {})\"; cat {}";
    let expected = format!("nobody\nnobody nobody\nnobody\nnobody\n{PLAIN}");
    for flags in [&[][..], &["--no-fifo"]] {
        let arguments = [&["exec-file"], flags, &["--user", "nobody", "e.yaml", about]].concat();
        assert_eq!(sandbox.kveil(&arguments).env("TMPDIR", "/tmp").run().text(), expected);
        if let Some(genuine) = sandbox.genuine(&arguments) {
            let theirs = genuine.env("TMPDIR", "/tmp").run().text();
            assert!(theirs.starts_with(expected.trim_end_matches(PLAIN)), "{theirs}");
        }
    }
    let place = sandbox.kveil(["exec-file", "--user", "nobody", "e.yaml", "echo {}"]).env("TMPDIR", "");
    let place = place.env("XDG_RUNTIME_DIR", sandbox.tmp()).run().text();
    assert!(!place.contains(sandbox.tmp().to_str().unwrap()) && !Path::new(place.trim()).exists(), "{place}");
    sandbox.kveil(["exec-file", "--user", "no-such-user", "e.yaml", "true"]).run().refused(1);
}

#[test]
fn in_the_background_the_file_stays_as_long_as_the_command() {
    let sandbox = ready();
    let line = "sleep 0.2; cat {} >copy.new; mv copy.new copy; cat >>copy";
    sandbox.kveil(["exec-file", "--background", "e.yaml", line]).run().ok();
    // A start in between leaves it alone.
    sandbox.kveil(["exec-file", "e.yaml", "true"]).run().ok();
    until(&sandbox.path("copy"));
    assert_eq!(sandbox.read("copy"), PLAIN.as_bytes());
    for _ in 0..500 {
        if left(&sandbox).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{:?}", left(&sandbox));
}

#[test]
fn success_is_silent_under_the_name_sops() {
    let done = ready().sops(["exec-file", "--no-fifo", "e.yaml", "true {}"]).env("TMPDIR", "").run();
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}
