//! `exec-env`: what the command finds in its environment, and how the run ends.
#![cfg(unix)]

mod sandbox;

use sandbox::{Call, RECIPIENT_1, Sandbox};

const SCALARS: &str = "# a comment\nTEXT: it's text # inline\nLINES: \"l1\\nl2\"\nINT: 5\nBIG: 1e21\nWHOLE: 3.0\nFLOAT: 1.50\nYES: true\nNOTHING: null\nWHEN: 2001-12-14T21:59:43.10-05:00\nEMPTY: \"\"\nFOO-BAR: dash\ntls.crt: dot\nUMLAUT: é\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  USER: YWRtaW4=\n  tls.crt: Y2VydA==\nstringData:\n  PASSWORD: hunter2-hunter2\n  USER: over\n";
/// What the shell was given: it hides from programs what isn't a name for it.
const SHOW: &str = "cat /proc/$$/environ";

/// A sandbox with `e.yaml`: `plain`, encrypted.
fn with(plain: &str) -> Sandbox {
    let sandbox = Sandbox::with_identity();
    sandbox.write("p.yaml", plain);
    let sealed = sandbox.kveil(["encrypt", "--age", RECIPIENT_1, "p.yaml"]).run().ok();
    sandbox.write("e.yaml", sealed);
    sandbox
}

fn variables(call: Call) -> Vec<String> {
    let text = call.run().text();
    let mut all: Vec<String> = text.split_terminator('\0').filter(|line| !line.starts_with("PWD=")).map(str::to_owned).collect();
    all.sort();
    all
}

#[cfg(target_os = "linux")]
#[test]
fn scalars_are_passed_as_genuine_sops_passes_them() {
    let sandbox = with(SCALARS);
    let arguments = ["exec-env", "--pristine", "e.yaml", SHOW];
    let ours = variables(sandbox.sops(arguments));
    assert_eq!(variables(sandbox.kveil(arguments)), ours);
    assert!(ours.contains(&"tls.crt=dot".to_owned()) && ours.contains(&"NOTHING=<nil>".to_owned()), "{ours:?}");
    if let Some(genuine) = sandbox.genuine(arguments) {
        assert_eq!(variables(genuine), ours);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_secret_gives_its_decoded_values_and_under_the_name_sops_an_error() {
    let sandbox = with(SECRET);
    let arguments = ["exec-env", "--pristine", "e.yaml", SHOW];
    assert_eq!(variables(sandbox.kveil(arguments)), ["PASSWORD=hunter2-hunter2", "USER=over", "tls.crt=cert"]);
    let refused = sandbox.sops(arguments).run().refused(1);
    assert!(refused.contains("cannot use complex value in environment"), "{refused}");
    if let Some(genuine) = sandbox.genuine(arguments) {
        genuine.run().refused(1);
    }
}

#[test]
fn the_rest_of_the_environment_stays_unless_it_is_pristine() {
    let sandbox = with("A: from-file\n");
    let show = "echo $A $B";
    let run = |call: Call| call.env("A", "outside").env("B", "kept").run().text();
    assert_eq!(run(sandbox.kveil(["exec-env", "e.yaml", show])), "from-file kept\n");
    assert_eq!(run(sandbox.kveil(["exec-env", "--pristine", "e.yaml", show])), "from-file\n");
    if let Some(genuine) = sandbox.genuine(["exec-env", "e.yaml", show]) {
        assert_eq!(run(genuine), "from-file kept\n");
    }
}

#[test]
fn names_that_steer_programs_are_skipped_unless_allowed() {
    let sandbox = with("LD_PRELOAD: evil.so\nGIT_SSH_COMMAND: evil\nTOKEN: t\n");
    let show = "echo ${LD_PRELOAD-none} ${GIT_SSH_COMMAND-none} $TOKEN";
    let done = sandbox.kveil(["exec-env", "e.yaml", show]).run();
    assert!(done.err.contains("LD_PRELOAD can make programs run other code and is skipped"), "{}", done.err);
    assert!(!done.err.contains("evil"), "{}", done.err);
    assert_eq!(done.text(), "none none t\n");
    let git = "echo ${GIT_SSH_COMMAND-none} $TOKEN";
    assert!(sandbox.kveil(["exec-env", "--allow-env", "e.yaml", git]).run().text().starts_with("evil t"));
    let done = sandbox.sops(["exec-env", "e.yaml", git]).run();
    assert!(done.text().starts_with("evil t"));
}

#[test]
fn the_command_takes_the_place_of_the_program() {
    let sandbox = with("A: b\n");
    let mut child = sandbox.kveil(["exec-env", "e.yaml", "echo $$"]).into_command();
    let child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let out = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap().trim(), id.to_string());
}

#[test]
fn the_exit_code_is_the_commands() {
    let sandbox = with("A: b\n");
    for (line, code) in [("exit 0", 0), ("exit 7", 7), ("no-such-program-here", 127)] {
        assert_eq!(sandbox.kveil(["exec-env", "e.yaml", line]).run().code, code);
        if let Some(genuine) = sandbox.genuine(["exec-env", "e.yaml", line]) {
            assert_eq!(genuine.run().code, code);
        }
    }
    assert_eq!(sandbox.shell("kveil exec-env e.yaml 'kill -TERM $$'; exit $?").run().code, 128 + 15);
}

#[test]
fn failures_have_the_codes_of_sops() {
    let sandbox = with("A: b\n");
    sandbox.write("list.yaml", sandbox.read("e.yaml"));
    sandbox.write("clear.yaml", "A: b\n");
    let cases: [(&[&str], i32); 5] = [
        (&["exec-env", "nofile.yaml", "true"], 2),
        (&["exec-env", "clear.yaml", "true"], 1),
        (&["exec-env", "e.yaml"], 1),
        (&["exec-env", "--background", "--same-process", "e.yaml", "true"], 8),
        (&["exec-env", "--user", "no-such-user-here", "e.yaml", "true"], 1),
    ];
    for (arguments, code) in cases {
        sandbox.sops(arguments).run().refused(code);
        if let Some(genuine) = sandbox.genuine(arguments) {
            assert_eq!(genuine.run().code, code, "{arguments:?}");
        }
    }
}

#[test]
fn what_no_environment_holds_is_refused() {
    for plain in ["a=b: hunter2-hunter2\n", "'': hunter2-hunter2\n", "a: {b: hunter2-hunter2}\n", "a: \"hunter2-hunter2\\0\"\n"] {
        let reason = with(plain).kveil(["exec-env", "e.yaml", "true"]).run().refused(1);
        assert!(!reason.contains("hunter2"), "{reason}");
    }
}

#[test]
fn another_user_gets_its_own_home() {
    let sandbox = with("A: b\n");
    let show = "id -un; echo $USER";
    if sandbox.shell("id -u").run().text() != "0\n" || sandbox.shell("id nobody").run().code != 0 {
        println!("ignored: only root can become another user");
        return;
    }
    let arguments = ["exec-env", "--user", "nobody", "--pristine", "e.yaml", show];
    let ours = sandbox.kveil(arguments).run().text();
    assert_eq!(ours, "nobody\nnobody\n");
    if let Some(genuine) = sandbox.genuine(arguments) {
        assert_eq!(genuine.run().text(), ours);
    }
}

#[test]
fn success_is_silent_under_the_name_sops() {
    let done = with("PATH_X: a\nENV: b\n").sops(["exec-env", "e.yaml", "true"]).run();
    assert_eq!((done.code, done.err.as_str()), (0, ""));
}
