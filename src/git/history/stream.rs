//! One git process that is asked and listened to at the same time: its pipes have their bounds, and who writes all requests
//! before reading the first answer waits for ever.

use std::io::{BufReader, BufWriter, Read, Write};
use std::process::{ChildStdout, Command, Output, Stdio};

use crate::error::Result;
use crate::git::{Repository, missing, trouble};

/// What is read at a time.
const BUFFER: usize = 256 * 1024;

/// git's answers.
pub(super) type Answers = BufReader<ChildStdout>;

/// Runs `command` with `requests`, one a line, on its standard input, while `listen` reads its answers.
///
/// # Errors
/// Those of `listen`; `Unreadable` (2) if git can't be run or fails.
pub(super) fn converse<'r>(
    repository: &Repository,
    mut command: Command,
    requests: impl Iterator<Item = &'r str> + Send,
    listen: impl FnOnce(&mut Answers) -> Result<()>,
) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|why| missing(&why))?;
    let (input, output, said) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (heard, stderr) = std::thread::scope(|scope| {
        // git says itself what it misses if it stops early.
        scope.spawn(move || input.map(|pipe| write_all(BufWriter::new(pipe), requests)));
        let said = scope.spawn(move || {
            let mut text = Vec::new();
            said.map(|mut said| said.read_to_end(&mut text));
            text
        });
        let heard = output.map(|pipe| listen(&mut BufReader::with_capacity(BUFFER, pipe)));
        (heard.unwrap_or(Ok(())), said.join().unwrap_or_default())
    });
    let status = child.wait().map_err(|why| missing(&why))?;
    let output = Output { status, stdout: Vec::new(), stderr };
    match heard {
        // What git says of its end is why its answers broke off.
        Err(error) if output.stderr.is_empty() => Err(error),
        _ if !output.status.success() => Err(repository.with_depth(trouble(&output, &repository.top))),
        heard => heard,
    }
}

fn write_all<'r>(mut pipe: impl Write, requests: impl Iterator<Item = &'r str>) -> std::io::Result<()> {
    for request in requests {
        pipe.write_all(request.as_bytes())?;
        pipe.write_all(b"\n")?;
    }
    pipe.flush()
}
