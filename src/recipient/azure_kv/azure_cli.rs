//! The account of Azure's command line: `az account get-access-token`.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::super::Identities;
use super::super::http_service::Asked;
use super::super::network::REPLY;
use super::super::refusal::own_words;
use super::challenge::Challenge;
use super::credentials::Given;
use super::token::Token;

const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };
const WHO: &str = "the account of az";
/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// No token is longer.
const LONGEST: u64 = 1 << 20;

/// A token of the account; nothing if there is no `az`, or nobody logged in.
pub async fn token(challenge: &Challenge, identities: &Identities) -> Asked<Given> {
    if !identities.runs_commands() {
        return Ok(Given::Nothing("not run here".to_owned()));
    }
    let mut command = identities.environment().command(PROGRAM);
    command.args(["account", "get-access-token", "-o", "json", "--resource", &challenge.resource, "--tenant", &challenge.tenant]);
    let ran = tokio::task::spawn_blocking(move || run(command)).await;
    Ok(match ran.unwrap_or_else(|_| Err("it can't be waited for".to_owned())).and_then(|output| read(&output)) {
        Ok(token) => Given::Token(token),
        Err(why) => Given::Nothing(why),
    })
}

fn read(output: &[u8]) -> Result<Token, String> {
    let mut json: Json = serde_json::from_slice(output).unwrap_or_default();
    if let Some(token) = json.get_mut("accessToken").map(Json::take) {
        json["access_token"] = token;
    }
    Token::read(&mut json, WHO).ok_or_else(|| "az printed no token".to_owned())
}

/// What the command prints, within the time of a service's reply.
fn run(mut command: Command) -> Result<Zeroizing<Vec<u8>>, String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|why| {
        if why.kind() == std::io::ErrorKind::NotFound { "az isn't in PATH".to_owned() } else { format!("az can't be run: {why}") }
    })?;
    let output = child.stdout.take().map(|pipe| std::thread::spawn(move || drained(pipe)));
    let complaint = child.stderr.take().map(|pipe| std::thread::spawn(move || drained(pipe)));
    let until = Instant::now() + REPLY;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
            _ => {
                // What it started may hold the pipes: they aren't waited for.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("az gave no answer within {} s", REPLY.as_secs()));
            }
        }
    };
    let text = |pipe: Option<std::thread::JoinHandle<Zeroizing<Vec<u8>>>>| pipe.and_then(|pipe| pipe.join().ok()).unwrap_or_default();
    let (output, complaint) = (text(output), text(complaint));
    if status.success() { Ok(output) } else { Err(format!("az says: {}", own_words(&String::from_utf8_lossy(&complaint)))) }
}

fn drained(pipe: impl Read) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::new());
    // A pipe that breaks off leaves what was read.
    let _ = pipe.take(LONGEST).read_to_end(&mut text);
    text
}

/// Whether it can be asked, without running it.
pub fn looked(identities: &Identities) -> String {
    let folders = identities.environment().path("PATH").unwrap_or_default();
    match std::env::split_paths(&folders).map(|folder| folder.join(PROGRAM)).any(|file| file.is_file()) {
        _ if !identities.runs_commands() => "not run here".to_owned(),
        true => "asked when nothing else gives a token".to_owned(),
        false => "az isn't in PATH".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_az_prints_is_read() {
        assert_eq!(read(br#"{"accessToken": "t", "expires_on": 4070908800, "tokenType": "Bearer"}"#).unwrap().who, WHO);
        assert_eq!(read(b"ERROR").err().unwrap(), "az printed no token");
    }

    #[cfg(unix)]
    #[test]
    fn what_az_complains_of_is_told() {
        let shell = |line: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", line]);
            run(command).map(|output| String::from_utf8_lossy(&output).into_owned())
        };
        assert_eq!(shell("echo out; echo err >&2"), Ok("out\n".to_owned()));
        assert_eq!(shell("echo 'Please run az login.' >&2; exit 1"), Err("az says: Please run az login.".to_owned()));
        assert_eq!(run(Command::new("/nowhere/az")).err(), Some("az isn't in PATH".to_owned()));
    }
}
