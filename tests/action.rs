//! The GitHub Action, run step by step as its runner would: nothing of a secret is left in the log, in the files of variables and outputs,
//! or in the workspace, and nothing in a file or in what a child says is a command.
#![cfg(all(unix, feature = "age"))]

mod sandbox;

use sandbox::workflow::Job;
use sandbox::{IDENTITY_1, RECIPIENT_1, Sandbox, root};
use std::path::Path;

const PASSWORD: &str = "correct-horse-9";
const NESTED: &str = "s3cr3t-in-json";
const TOKEN: &str = "docker-t0ken";
const LINE: &str = "second line 100%25 done";

/// A repository with an encrypted Secret and an encrypted dotenv file, committed.
fn repository() -> Sandbox {
    let sandbox = Sandbox::new();
    let auth = sandbox.shell(&format!("printf %s user:{TOKEN} | base64 -w0")).run().text();
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  PASSWORD: {PASSWORD}\n  PIN: '123'\n  DEBUG: 'true'\n  MULTI: |-\n    EOF\n    {LINE}\n    ::warning::x\n  JSON: |\n    {{\n      \"key\": \"{NESTED}\",\n      \"auths\": {{\n        \"r.example\": {{\"auth\": \"{auth}\"}}\n      }}\n    }}\n"
    );
    let data = sandbox.shell(&format!("printf %s {PASSWORD}-data | base64 -w0")).run().text();
    sandbox.write("secret.yaml", format!("{secret}data:\n  STORED: {data}\n"));
    sandbox.write("app.env", format!("APP_KEY={PASSWORD}-env\nLD_PRELOAD=/tmp/evil-library.so\nGITHUB_ENV=/tmp/elsewhere\n"));
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "secret.yaml", "app.env"]).run().ok();
    commit(&sandbox, "first");
    sandbox
}

fn commit(sandbox: &Sandbox, message: &str) {
    let git = "git -c user.name=a -c user.email=a@example.invalid -c init.defaultBranch=main";
    sandbox
        .shell(&format!("git rev-parse --git-dir >/dev/null 2>&1 || {git} init -q; git add -A && {git} commit -qm '{message}'"))
        .run()
        .ok();
}

/// A job that holds the key.
fn job<'s>(sandbox: &'s Sandbox, event: &str, payload: &str) -> Job<'s> {
    Job::new(sandbox, event, payload).env("SOPS_AGE_KEY", IDENTITY_1)
}

fn program() -> String {
    sandbox::program().to_str().unwrap().to_owned()
}

/// No secret in the log, the summaries, nor anywhere but in the job's own folder.
#[track_caller]
fn assert_clean(job: &Job<'_>) {
    for secret in [PASSWORD, NESTED, TOKEN, LINE, "evil-library"] {
        assert!(!job.log.contains(secret), "{secret} in the log:\n{}", job.log);
        assert!(!job.summary.contains(secret), "{secret} in the summary:\n{}", job.summary);
        for (path, bytes) in job.left_behind() {
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{secret} in {}", path.display());
        }
    }
    assert!(!job.log.contains(IDENTITY_1) && !job.log.contains("\u{1b}"));
}

/// Commands that no step of ours gives.
fn foreign<'j>(job: &'j Job<'_>) -> Vec<&'j (String, String)> {
    job.commands
        .iter()
        .filter(|(name, data)| !(["error", "warning", "notice"].contains(&name.as_str()) && data.contains("title=")))
        .collect()
}

const PRINTS_ALL: &str = r###"
echo "$PASSWORD $STORED $APP_KEY"; echo "$PASSWORD" >&2
printf '%s\n' "$MULTI" "$JSON"; printf '%s' "$JSON" | base64 -w0; echo; printf '%s' "$PASSWORD" | base64; printf %s "$MULTI" | base64 -w0
echo; python3 -c 'import json, os; print(json.dumps(dict(os.environ)))' | tr -d '\n' | grep -o '"MULTI": "[^}]*"' || true
echo "::set-env name=PWNED::1"; echo "  ::add-path::/tmp"; echo "x ##[add-mask]y"; printf 'progress\r::error title=mine::pwned\n'
echo "::set-output name=a::b" >&2; echo "##[set-env name=PWNED]1" >&2
"###;

#[test]
fn a_command_has_the_values_and_nobody_else() {
    let sandbox = repository();
    let before = sandbox.listing();
    let mut job = job(&sandbox, "push", "{}");
    let step = job.uses(&[("mode", "exec"), ("files", "secret.yaml\n  app.env\n"), ("path", &program()), ("run", PRINTS_ALL)]);
    assert_eq!(step.code, 0, "{}", job.log);
    assert!(job.log.contains("***") && job.log.contains("\\::set-env"), "{}", job.log);
    assert_clean(&job);
    assert!(foreign(&job).is_empty(), "{:?}", foreign(&job));
    assert_eq!(sandbox.listing(), before);
    assert_eq!((job.exported("PASSWORD"), job.exported("PWNED")), (None, None));
    // What isn't masked is said.
    assert!(job.log.contains("stringData.DEBUG (too short or too common), stringData.PIN (too short"), "{}", job.log);
    assert!(job.log.contains("LD_PRELOAD is skipped") && job.log.contains("GITHUB_ENV is skipped"), "{}", job.log);
}

#[test]
fn the_exit_code_of_a_command_is_the_steps() {
    let sandbox = repository();
    let mut job = job(&sandbox, "push", "{}");
    let run = "echo \"$PASSWORD\"; test -z \"${KVEIL_ACTION_RUN:-}\"; false | true; echo never";
    let step = job.uses(&[("mode", "exec"), ("files", "secret.yaml"), ("path", &program()), ("run", run)]);
    assert_eq!(step.code, 1, "{}", job.log);
    assert!(!job.log.contains("never"));
    let step = job.uses(&[("mode", "exec"), ("files", "secret.yaml"), ("path", &program()), ("run", "exit 7")]);
    assert_eq!(step.code, 7);
    // After the child's end commands count again.
    job.run("echo '::warning title=later::ours'");
    assert!(job.commands.iter().any(|(_, data)| data.contains("ours")));
    assert_clean(&job);
}

#[test]
fn a_json_output_of_a_later_step_survives_the_masks() {
    let sandbox = repository();
    let mut job = job(&sandbox, "push", "{}");
    assert_eq!(job.uses(&[("mode", "exec"), ("files", "secret.yaml"), ("path", &program()), ("run", "true")]).code, 0);
    let json = "{\n  \"include\": [\n    {\n      \"name\": \"a\",\n      \"auths\": {\n      }\n    }\n  ]\n}";
    let step =
        job.run(&format!("{{ echo 'matrix<<END'; cat <<'J'\n{json}\nJ\necho END; }} >>\"$GITHUB_OUTPUT\"; echo 'EOF {{ }} true 123'"));
    assert_eq!(job.job_output(&step.outputs["matrix"]).as_deref(), Some(json));
    assert!(job.log.contains("{ } true 123"), "{}", job.log);
}

#[test]
fn files_are_decrypted_into_the_jobs_own_folder() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = repository();
    let before = sandbox.listing();
    let mut job = job(&sandbox, "push", "{}");
    let step = job.uses(&[("mode", "decrypt"), ("files", "secret.yaml\n./app.env"), ("path", &program())]);
    assert_eq!(step.code, 0, "{}", job.log);
    let folder = Path::new(&step.outputs["directory"]);
    assert!(folder.starts_with(job.temp()));
    let plain = std::fs::read_to_string(folder.join("secret.yaml")).unwrap();
    assert!(plain.contains(&format!("  PASSWORD: {PASSWORD}\n")));
    assert_eq!(step.outputs["files"].lines().count(), 2);
    for (path, mode) in [(folder.to_owned(), 0o700), (folder.join("secret.yaml"), 0o600), (folder.join("app.env"), 0o600)] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    assert_eq!(sandbox.listing(), before);
    let leak = job.run("cat \"$RUNNER_TEMP\"/kveil-plain-*/* && echo \"x=$(grep PASSWORD \"$RUNNER_TEMP\"/kveil-plain-*/secret.yaml)\" >>\"$GITHUB_OUTPUT\"");
    assert_eq!(job.job_output(&leak.outputs["x"]), None);
    std::fs::remove_dir_all(leak.files).unwrap();
    assert_clean(&job);
    assert!(job.summary.contains("`secret.yaml`"));
}

#[test]
fn exported_values_arrive_exactly() {
    let sandbox = repository();
    let mut job = job(&sandbox, "push", "{}");
    let step = job.uses(&[("mode", "decrypt"), ("export", "env"), ("files", "secret.yaml\napp.env"), ("path", &program())]);
    assert_eq!(step.code, 0, "{}", job.log);
    assert_eq!(job.exported("PASSWORD"), Some(PASSWORD));
    assert_eq!(job.exported("MULTI"), Some(format!("EOF\n{LINE}\n::warning::x").as_str()));
    assert!(job.exported("JSON").unwrap().ends_with("}\n"));
    assert_eq!((job.exported("LD_PRELOAD"), job.exported("GITHUB_ENV")), (None, None));
    assert_eq!(job.run(PRINTS_ALL).code, 0);
    assert!(!job.log.contains(PASSWORD) && !job.log.contains(LINE) && !job.log.contains(NESTED), "{}", job.log);
    assert!(job.summary.contains("`PASSWORD`") && !job.summary.contains("LD_PRELOAD"));
    let step = job.uses(&[("mode", "decrypt"), ("export", "yes"), ("files", "secret.yaml"), ("path", &program())]);
    assert_eq!(step.code, 1);
}

#[test]
fn strangers_runs_open_nothing() {
    let sandbox = repository();
    let fork = r#"{"pull_request": {"head": {"repo": {"full_name": "stranger/app"}}}}"#;
    let own = r#"{"pull_request": {"head": {"repo": {"full_name": "team/app"}}}}"#;
    let run = r#"{"workflow_run": {"event": "pull_request", "head_repository": {"full_name": "team/app"}}}"#;
    let push = r#"{"workflow_run": {"event": "push", "head_repository": {"full_name": "team/app"}}}"#;
    let with = [("mode", "decrypt"), ("files", "secret.yaml"), ("path", &program())];
    for (event, payload, code) in [
        ("pull_request_target", own, 1),
        ("issue_comment", "{}", 1),
        ("pull_request", fork, 1),
        ("pull_request", "{}", 1),
        ("workflow_run", run, 1),
        ("workflow_run", push, 0),
        ("pull_request", own, 0),
        ("merge_group", "{}", 0),
    ] {
        let mut job = job(&sandbox, event, payload);
        let step = job.uses(&with);
        assert_eq!(step.code, code, "{event} {payload}: {}", job.log);
        assert_eq!(step.outputs.contains_key("directory"), code == 0);
        assert!(code == 0 || job.log.contains("no file is opened here") && job.log.contains("allow-untrusted"), "{}", job.log);
    }
    let mut trusting = job(&sandbox, "pull_request_target", own);
    assert_eq!(trusting.uses(&[with.as_slice(), &[("allow-untrusted", "true")]].concat()).code, 0, "{}", trusting.log);
    // Another commit than the run's.
    let mut other = job(&sandbox, "push", "{}");
    sandbox.write("more.txt", "x");
    commit(&sandbox, "another");
    assert_eq!(other.uses(&with).code, 1);
    assert!(other.log.contains("GITHUB_SHA"), "{}", other.log);
}

#[test]
fn what_cant_be_opened_is_an_annotation_with_the_next_step() {
    let sandbox = repository();
    let mut job = Job::new(&sandbox, "push", "{}");
    for (files, word) in [("secret.yaml", "secret.yaml"), ("none.yaml", "no such file"), ("", "needs the input files")] {
        let step = job.uses(&[("mode", "exec"), ("run", "echo ran"), ("files", files), ("path", &program())]);
        assert_ne!(step.code, 0);
        assert!(job.log.contains(word) && !job.log.contains("\nran"), "{}", job.log);
    }
    assert!(job.commands.iter().all(|(name, _)| name == "error"), "{:?}", job.commands);
    assert_clean(&job);
}

#[test]
fn a_file_whose_names_are_commands_gives_none() {
    let sandbox = repository();
    sandbox.write("##[add-mask]x.yaml", "a: b\n");
    let mut job = job(&sandbox, "push", "{}");
    let step = job.uses(&[("mode", "exec"), ("run", "true"), ("files", "##[add-mask]x.yaml"), ("path", &program())]);
    assert_eq!(step.code, 1);
    assert!(foreign(&job).is_empty(), "{:?}", foreign(&job));
    assert!(job.log.contains("##\\[add-mask]x.yaml"), "{}", job.log);
}

#[test]
fn no_input_is_part_of_a_script() {
    let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
    let scripts = text.lines().filter(|line| line.trim_start().starts_with("run: "));
    assert_eq!(scripts.clone().count(), 2);
    assert!(!scripts.clone().any(|line| line.contains("${{") || line.contains("run: |")), "an expression may be in a script");
}

#[test]
fn inputs_that_are_shell_stay_text() {
    let sandbox = repository();
    let mut job = job(&sandbox, "push", "{}");
    let evil = "$(touch pwned)`touch pwned`'; touch pwned; \"\ntouch pwned\n::set-env name=A::b";
    for name in ["mode", "files", "base", "export", "sarif-file", "path", "version", "checksum", "base-url", "placeholders", "directory"] {
        let mut with = vec![("mode", "decrypt"), ("files", "secret.yaml"), ("path", "")];
        let program = program();
        with[2].1 = &program;
        if ["version", "checksum", "base-url"].contains(&name) {
            with = vec![("mode", "install")];
        }
        with.retain(|(known, _)| *known != name);
        with.push((name, evil));
        job.uses(&with);
        assert!(!sandbox.path("pwned").exists(), "{name}");
        assert!(foreign(&job).is_empty(), "{name}: {:?}", foreign(&job));
    }
}

/// A mirror with one release, and the checksum of its binary.
fn mirror(sandbox: &Sandbox) -> (String, String) {
    let folder = sandbox.home().join("mirror/v1.2.3");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("kveil-linux-amd64");
    std::fs::write(&file, format!("#!/bin/sh\nexec '{}' \"$@\"\n", program())).unwrap();
    let sum = sandbox.shell(&format!("sha256sum '{}'", file.display())).run().text();
    (format!("file://{}", folder.parent().unwrap().display()), sum.split(' ').next().unwrap().to_owned())
}

#[test]
fn a_release_is_installed_only_with_its_checksum() {
    let sandbox = repository();
    let (base, sum) = mirror(&sandbox);
    let mut job = job(&sandbox, "push", "{}");
    let release = [("mode", "install"), ("version", "v1.2.3"), ("base-url", &base)];
    let step = job.uses(&[release.as_slice(), &[("checksum", &sum)]].concat());
    assert_eq!(step.code, 0, "{}", job.log);
    assert!(Path::new(&step.outputs["path"]).starts_with(job.temp()));
    assert_eq!(job.run("kveil --version").code, 0, "{}", job.log);
    let wrong = "0".repeat(64);
    for (checksum, word) in [(wrong.as_str(), "expected 0000"), ("", "no SHA-256"), ("abc", "no SHA-256")] {
        let step = job.uses(&[release.as_slice(), &[("checksum", checksum)]].concat());
        assert_eq!((step.code, step.outputs.len()), (1, 0), "{}", job.log);
        assert!(job.log.contains(word), "{}", job.log);
    }
    let binaries = job.sandbox.shell("find \"$TMPDIR\" -name kveil -o -name download").run().text();
    assert_eq!(binaries.lines().count(), 1, "a binary with another checksum is left: {binaries}");
    for (with, word) in [
        (vec![("mode", "install")], "pins no release"),
        (vec![("path", "no/such")], "no program at the path"),
        (vec![("version", "v1.2.3"), ("checksum", &sum)], "uses: ./"),
        (vec![("version", "v9"), ("checksum", &sum), ("base-url", &base)], "can't download"),
        (vec![("version", "v1.2.3"), ("checksum", &sum), ("base-url", "http://127.0.0.1:9")], "can't download"),
    ] {
        assert_eq!(job.uses(&with).code, 1, "{}", job.log);
        assert!(job.log.contains(word), "{word}: {}", job.log);
    }
}

#[test]
fn a_difference_becomes_markdown_without_values() {
    let sandbox = repository();
    let base = sandbox.shell("git rev-parse HEAD").run().text();
    let set = ["set", "secret.yaml", "[\"stringData\"][\"PASSWORD\"]", "\"correct-horse-10\""];
    sandbox.kveil(set).env("SOPS_AGE_KEY", IDENTITY_1).run().ok();
    commit(&sandbox, "another password");
    let payload = |repository: &str| {
        let base = base.trim();
        format!(r#"{{"pull_request": {{"base": {{"sha": "{base}"}}, "head": {{"repo": {{"full_name": "{repository}"}}}}}}}}"#)
    };
    let mut own = job(&sandbox, "pull_request", &payload("team/app"));
    let step = own.uses(&[("mode", "diff"), ("path", &program())]);
    assert_eq!(step.code, 0, "{}", own.log);
    assert_eq!(step.outputs["changed"], "true");
    let markdown = &step.outputs["markdown"];
    assert!(markdown.contains("secret.yaml") && markdown.contains("PASSWORD") && own.summary.contains("secret.yaml"), "{markdown}");
    assert_eq!(std::fs::read_to_string(&step.outputs["markdown-file"]).unwrap().trim_end(), markdown.trim_end());
    assert_clean(&own);
    let mut fork = job(&sandbox, "pull_request", &payload("stranger/app"));
    let step = fork.uses(&[("mode", "diff"), ("path", &program())]);
    assert_eq!((step.code, step.outputs["changed"].as_str()), (0, "true"), "{}", fork.log);
    assert_ne!(&step.outputs["markdown"], markdown, "without the key only the structure is seen");
    let mut none = job(&sandbox, "push", "{}");
    assert_eq!(none.uses(&[("mode", "diff"), ("path", &program())]).code, 1);
    assert!(none.log.contains("fetch-depth: 0"), "{}", none.log);
    assert_eq!(none.uses(&[("mode", "diff"), ("base", "HEAD"), ("path", &program())]).outputs["changed"], "false");
}

#[test]
fn findings_become_annotations_a_file_and_a_summary() {
    let sandbox = repository();
    let mut job = Job::new(&sandbox, "push", "{}");
    sandbox.write("clear.yaml", format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n  p: {PASSWORD}\n"));
    let step = job.uses(&[("mode", "check"), ("path", &program())]);
    assert_eq!(step.code, 1, "{}", job.log);
    let sarif = std::fs::read_to_string(&step.outputs["sarif"]).unwrap();
    assert!(sarif.contains("clear.yaml") && !sarif.contains(PASSWORD));
    assert!(job.commands.iter().any(|(name, data)| name == "error" && data.contains("file=clear.yaml")), "{:?}", job.commands);
    assert!(job.summary.contains("clear.yaml") && !job.summary.contains(PASSWORD) && !job.log.contains(PASSWORD));
}

/// A job that holds the key and finds kustomize; `None` without it.
fn rendering(sandbox: &Sandbox) -> Option<Job<'_>> {
    let kustomize = sandbox::tool("kustomize")?;
    let folders = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    let path = std::env::join_paths(std::iter::once(kustomize.parent().unwrap().to_owned()).chain(folders));
    Some(job(sandbox, "push", "{}").env("PATH", path.unwrap().to_str().unwrap()))
}

#[test]
fn rendered_objects_go_into_the_jobs_own_folder() {
    let sandbox = repository();
    sandbox.write("kustomization.yaml", "resources: [secret.yaml]\n");
    commit(&sandbox, "kustomization");
    let Some(mut job) = rendering(&sandbox) else { return };
    let step = job.uses(&[("mode", "build"), ("path", &program())]);
    assert_eq!(step.code, 0, "{}", job.log);
    let rendered = std::fs::read_to_string(&step.outputs["manifests"]).unwrap();
    assert!(rendered.contains(PASSWORD) && !rendered.contains("ENC["));
    job.run("cat \"$RUNNER_TEMP\"/kveil-plain-*/*");
    assert_clean(&job);
}

#[test]
fn what_a_build_opens_is_masked_in_objects_of_any_kind_and_its_failure_is_an_annotation() {
    let sandbox = repository();
    sandbox.write("app.yaml", format!("apiVersion: example.org/v1\nkind: App\nmetadata:\n  name: a\nspec:\n  token: {PASSWORD}-of-app\n"));
    sandbox.kveil(["encrypt", "-i", "--age", RECIPIENT_1, "--encrypted-regex", "^spec$", "app.yaml"]).run().ok();
    sandbox.write("kustomization.yaml", "resources: [app.yaml]\n");
    commit(&sandbox, "kustomization");
    let Some(mut job) = rendering(&sandbox) else { return };
    let step = job.uses(&[("mode", "build"), ("path", &program())]);
    assert_eq!(step.code, 0, "{}", job.log);
    job.run("cat \"$RUNNER_TEMP\"/kveil-plain-*/*");
    assert_clean(&job);
    sandbox.write("patch.yaml", "- {op: replace, path: /spec/none/deep, value: x}\n");
    sandbox.write("kustomization.yaml", "resources: [app.yaml]\npatches: [{path: patch.yaml, target: {kind: App}}]\n");
    commit(&sandbox, "patch");
    let Some(mut job) = rendering(&sandbox) else { return };
    let step = job.uses(&[("mode", "build"), ("path", &program())]);
    assert_ne!(step.code, 0);
    assert!(job.commands.iter().any(|(name, data)| name == "error" && data.contains("kustomize build failed")), "{:?}", job.commands);
    assert_clean(&job);
}
