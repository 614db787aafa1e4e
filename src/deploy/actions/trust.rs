//! Who triggered a run: where it may be somebody without write access, whose files are looked at, no key is used.

use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// What the runner says of a run.
pub struct Job<'j> {
    /// `GITHUB_EVENT_NAME`.
    pub event: &'j str,
    /// `GITHUB_REPOSITORY`.
    pub repository: &'j str,
    /// The payload of the event, `GITHUB_EVENT_PATH`; null if there is none.
    pub payload: &'j Value,
}

/// Events that run with the repository's own rights on what anybody may have written.
const OF_ANYBODY: [&str; 2] = ["pull_request_target", "issue_comment"];

impl Job<'_> {
    /// Why the run may be a stranger's; none if nothing says so.
    pub fn distrust(&self) -> Option<String> {
        if OF_ANYBODY.contains(&self.event) {
            return Some(format!("{} runs for anybody, with the repository's own rights", self.event));
        }
        if self.event == "workflow_run" {
            let run = self.payload.get("workflow_run");
            let fine = text(run, &["event"]) == Some("push") && self.is_own(text(run, &["head_repository", "full_name"]));
            return (!fine).then(|| "this workflow_run wasn't started by a push to this repository".to_owned());
        }
        let request = self.payload.get("pull_request");
        if !self.event.starts_with("pull_request") && request.is_none() {
            return None;
        }
        let own = self.is_own(text(request, &["head", "repo", "full_name"]));
        (!own).then(|| "the pull request comes from a fork".to_owned())
    }

    fn is_own(&self, name: Option<&str>) -> bool {
        !self.repository.is_empty() && name.is_some_and(|name| name.eq_ignore_ascii_case(self.repository))
    }

    /// The commit that the run's changes start from; none where the event knows none.
    pub fn base(&self) -> Option<&str> {
        let payload = Some(self.payload);
        let known = match self.event {
            "push" => text(payload, &["before"]),
            "merge_group" => text(payload, &["merge_group", "base_sha"]),
            _ => text(payload, &["pull_request", "base", "sha"]),
        };
        // The first push of a branch has zeros.
        known.filter(|sha| is_hash(sha) && sha.bytes().any(|byte| byte != b'0'))
    }
}

fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn text<'v>(value: Option<&'v Value>, path: &[&str]) -> Option<&'v str> {
    path.iter().try_fold(value?, |value, key| value.get(key))?.as_str()
}

/// Refuses to open files where [`Job::distrust`] has a reason.
///
/// # Errors
/// `Generic` (1).
pub fn refuse_untrusted(job: &Job<'_>) -> Result<()> {
    match job.distrust() {
        None => Ok(()),
        Some(why) => Err(refusal(&why)),
    }
}

/// Refuses a checkout that isn't the commit the run is about: a later step may have put a stranger's in its place.
///
/// # Errors
/// `Generic` (1).
pub fn refuse_other_checkout(head: Option<&str>, sha: &str) -> Result<()> {
    match head {
        Some(head) if head == sha => Ok(()),
        Some(_) => Err(refusal("what is checked out is not the commit that this run is about (GITHUB_SHA)")),
        None => Err(refusal("no commit is checked out that could be compared with GITHUB_SHA")),
    }
}

fn refusal(why: &str) -> Error {
    let error = Error::new(Kind::Generic, format!("no file is opened here: {why}"));
    error
        .hint("the modes check, and diff without a key, need no secret: use them for what strangers send in")
        .hint("if whoever can trigger this run may see the secrets: allow-untrusted: true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn distrusted(event: &str, payload: &Value) -> bool {
        refuse_untrusted(&Job { event, repository: "team/app", payload }).is_err()
    }

    fn request(head: Value) -> Value {
        json!({"pull_request": {"head": {"repo": head}, "base": {"sha": "a".repeat(40)}}})
    }

    #[test]
    fn strangers_get_no_key() {
        for event in ["pull_request_target", "issue_comment"] {
            assert!(distrusted(event, &request(json!({"full_name": "team/app"}))), "{event}");
        }
        // The fork of a head is gone when somebody deletes it.
        for head in [json!({"full_name": "stranger/app"}), Value::Null, json!({})] {
            for event in ["pull_request", "pull_request_review", "pull_request_review_comment", "check_run"] {
                assert!(distrusted(event, &request(head.clone())), "{event} {head}");
            }
        }
        assert!(distrusted("pull_request", &Value::Null), "no payload");
        let run = |event: &str, head: &str| json!({"workflow_run": {"event": event, "head_repository": {"full_name": head}}});
        assert!(distrusted("workflow_run", &run("pull_request", "team/app")) && distrusted("workflow_run", &run("push", "fork/app")));
        assert!(distrusted("workflow_run", &Value::Null));
        assert!(!distrusted("workflow_run", &run("push", "team/app")));
    }

    #[test]
    fn who_may_push_may_use_the_key() {
        assert!(!distrusted("pull_request", &request(json!({"full_name": "Team/App"}))));
        for event in ["push", "schedule", "workflow_dispatch", "merge_group", "release"] {
            assert!(!distrusted(event, &json!({})), "{event}");
        }
        assert!(refuse_other_checkout(Some("abc"), "abc").is_ok());
        assert!(refuse_other_checkout(Some("abc"), "abd").is_err() && refuse_other_checkout(None, "abc").is_err());
    }

    #[test]
    fn the_base_is_a_commit() {
        let base = |event: &str, payload: Value| Job { event, repository: "", payload: &payload }.base().map(str::to_owned);
        let sha = "a".repeat(40);
        assert_eq!(base("pull_request", request(Value::Null)), Some(sha.clone()));
        assert_eq!(base("push", json!({"before": sha})), Some(sha));
        assert_eq!(base("push", json!({"before": "0".repeat(40)})), None);
        assert_eq!(base("push", json!({"before": "--output=/etc/passwd"})), None);
        assert_eq!(base("schedule", json!({})), None);
    }
}
