"""Runs a line of shell at a terminal of its own, and types: terminal.py LINE PROMPT ANSWER [PROMPT ANSWER].

Each time PROMPT is shown, and once nothing that is typed is shown any more, ANSWER is typed; with a second pair the first
counts once. With TYPE=at-once nothing is waited for but PROMPT. What was shown is printed.
"""

import os
import pty
import signal
import sys
import termios
import time

line, prompt, answer, *then = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    # As at a person's terminal: a run in the background would leave these ignored, and so would all that it starts.
    for ignored in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_DFL)
    os.execvp("bash", ["bash", "-c", line])

shown, answered = b"", 0
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    while shown.count(prompt.encode()) > answered:
        while os.environ.get("TYPE") != "at-once" and termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.001)
        os.write(terminal, answer.encode() + b"\n")
        answered += 1
        if then:
            (prompt, answer), then = then, []
            answered = shown.count(prompt.encode())

sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
