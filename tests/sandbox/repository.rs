//! A repository with an encrypted file, and what tests of merging do in it.

use super::{Done, RECIPIENT_1, RECIPIENT_2, Sandbox, root};

/// A Secret of three values; `hunter2` marks what must never be seen.
pub const BASE: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: web
  labels:
    app: web
    tier: front
type: Opaque
stringData:
  # hunter2 of the database
  password: hunter2-base-password
  token: hunter2-base-token
  user: hunter2-base-user
";

pub const PASSWORD: (&str, &str) = ("hunter2-base-password", "hunter2-new-password");
pub const TOKEN: (&str, &str) = ("hunter2-base-token", "hunter2-new-token");
pub const USER: (&str, &str) = ("hunter2-base-user", "hunter2-new-user");

/// [`BASE`] with changes.
#[track_caller]
pub fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// One with [`BASE`], encrypted, in `secret.yaml`.
pub struct Repository {
    pub sandbox: Sandbox,
}

impl Repository {
    /// One with the drivers set up.
    pub fn new() -> Repository {
        Repository::of(BASE, &format!("{RECIPIENT_1},{RECIPIENT_2}"))
    }

    /// The same with another file, for these recipients.
    pub fn of(base: &str, recipients: &str) -> Repository {
        let repository = Repository::bare(base, recipients);
        repository.git("kveil git setup && git add .gitattributes && git commit -qm drivers");
        repository
    }

    /// One that git merges by lines.
    pub fn without_drivers() -> Repository {
        Repository::bare(BASE, &format!("{RECIPIENT_1},{RECIPIENT_2}"))
    }

    fn bare(base: &str, recipients: &str) -> Repository {
        let sandbox = Sandbox::with_identity();
        let config = "[user]\n\tname = A\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n";
        std::fs::write(sandbox.home().join(".gitconfig"), config).unwrap();
        sandbox.write(".sops.yaml", format!("creation_rules:\n  - age: {recipients}\n"));
        let repository = Repository { sandbox };
        repository.git("git init -q && git add .sops.yaml && git commit -qm rules");
        repository.commit(base, "base");
        repository
    }

    /// A line of shell.
    pub fn run(&self, line: &str) -> Done {
        self.sandbox.shell(line).run()
    }

    /// A line of shell that has to end well: what it prints.
    #[track_caller]
    pub fn git(&self, line: &str) -> String {
        let done = self.run(line);
        assert_eq!(done.code, 0, "{line}: {}{}", String::from_utf8_lossy(&done.out), done.err);
        String::from_utf8(done.out).unwrap()
    }

    /// The same at a terminal of its own, where `answer` is typed at each `prompt`: the exit code, and all that was shown.
    pub fn at_a_terminal(&self, line: &str, prompt: &str, answer: &str) -> (i32, String) {
        let done = self.sandbox.shell("exec python3 \"$SCRIPT\" \"$LINE\" \"$PROMPT\" \"$ANSWER\"").env("TYPE", "at-once");
        let done = done.env("SCRIPT", root().join("tests/terminal.py")).env("LINE", line).env("PROMPT", prompt).env("ANSWER", answer).run();
        (done.code, String::from_utf8_lossy(&done.out).into_owned() + &done.err)
    }

    /// Puts `plain`, encrypted, into secret.yaml, and commits it.
    #[track_caller]
    pub fn commit(&self, plain: &str, message: &str) {
        self.sandbox.write("secret.yaml", plain);
        self.git(&format!("kveil encrypt -i secret.yaml && git add -A && git commit -qm '{message}'"));
    }

    /// Two branches that start at the same commit: `theirs`, and `main`, which is checked out.
    #[track_caller]
    pub fn branches(&self, ours: &str, theirs: &str) {
        self.git("git checkout -qb theirs");
        self.commit(theirs, "theirs");
        self.git("git checkout -q main");
        self.commit(ours, "ours");
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.sandbox.read(name)).unwrap()
    }

    /// A file with markers as one of its sides has it.
    pub fn side_of_markers(&self, name: &str, kept: &str) -> String {
        let (mut side, mut lines) = ("both", String::new());
        for line in self.text(name).lines() {
            match line.split(' ').next().unwrap() {
                "<<<<<<<" => side = "ours",
                "=======" => side = "theirs",
                ">>>>>>>" => side = "both",
                _ if side == "both" || side == kept => lines.extend([line, "\n"]),
                _ => {}
            }
        }
        lines
    }

    /// What genuine sops makes of the file, its MAC checked; kveil where it isn't there.
    #[track_caller]
    pub fn decrypted(&self, name: &str) -> String {
        let own = self.sandbox.kveil(["decrypt", name]).run().text();
        if let Some(genuine) = self.sandbox.genuine(["decrypt", name]) {
            let theirs = super::tree::read("yaml", &genuine.run().ok());
            assert_eq!(theirs, super::tree::read("yaml", own.as_bytes()));
        }
        own
    }

    /// Nothing of what is secret is in the work tree, in an object, or in what was printed.
    #[track_caller]
    pub fn nothing_leaks(&self, outputs: &[&Done]) {
        for done in outputs {
            assert!(!String::from_utf8_lossy(&done.out).contains("hunter2") && !done.err.contains("hunter2"), "{done:?}");
        }
        for name in self.sandbox.listing() {
            let path = self.sandbox.path(&name);
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"), "{name}");
            }
        }
        let objects = "git cat-file --batch-all-objects --batch --buffer | grep -ac hunter2";
        assert_eq!(self.run(objects).out, b"0\n");
        let left = std::fs::read_dir(self.sandbox.tmp()).unwrap().next();
        assert!(left.is_none(), "a file is left in the directory for temporary ones");
    }
}
