"""Runs a line of shell at a terminal of its own, and types: terminal.py LINE PROMPT ANSWER [PROMPT ANSWER].

Each time PROMPT is shown, and once nothing that is typed is shown any more and nothing else comes, ANSWER is typed; with a
second pair the first counts once. With TYPE=at-once nothing is waited for but PROMPT. What was shown is printed. A program that
waits for more than it gets is ended.
"""

import os
import pty
import select
import signal
import sys
import termios
import time

# A program that still draws may take a key for an interruption of that.
QUIET, PATIENCE = 0.3, 120

line, prompt, answer, *then = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    # As at a person's terminal: a run in the background would leave these ignored, and so would all that it starts.
    for ignored in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_DFL)
    os.execvp("bash", ["bash", "-c", line])

signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGHUP))
signal.alarm(PATIENCE)


def read():
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


shown, answered, at_once = b"", 0, os.environ.get("TYPE") == "at-once"
while part := read():
    shown += part
    while shown.count(prompt.encode()) > answered:
        while not at_once and termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.001)
        while not at_once and select.select([terminal], [], [], QUIET)[0] and (part := read()):
            shown += part
        os.write(terminal, answer.encode() + b"\n")
        answered += 1
        if then:
            (prompt, answer), then = then, []
            answered = shown.count(prompt.encode())

sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
