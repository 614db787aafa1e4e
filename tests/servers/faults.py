#!/usr/bin/env python3
"""Stands before a server of the tests and, rule by rule, gets in the way: answers itself, waits, stays silent, breaks off,
cuts short, changes fields. Counts the requests. usage: faults.py URL [CERTIFICATE]

With a certificate it is an HTTPS proxy as `key_vault.py` is one, and reaches it as its proxy; with `--https` before the
certificate it speaks TLS to whom it serves, and HTTP to the server.

A line `{"rules": […]}` on the standard input sets the rules and forgets what was counted; the answer to any line is
`{"requests": […], "most": N}`: who asked for what and was answered how, and how many were there at once. A rule:

  path      only requests whose path (or `X-Amz-Target`) contains this
  times     only this many of them; else all
  reply     answers by the name in `replies.json`; or `status`, `headers`, `content`
  delay     seconds before anything else is done
  clock     seconds that the `Date` of the answer is ahead
  fault     `silent`: no answer; `reset`: the connection breaks off; `truncated`: half of the server's answer
  change    fields of the server's JSON answer that get other values
"""

import http.client
import json
import pathlib
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

import serving

REPLIES = json.loads((pathlib.Path(__file__).parent / "replies.json").read_text())
# Those of a connection, not of the message.
OF_THE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
NO_CHECK = ssl.create_default_context()
NO_CHECK.check_hostname, NO_CHECK.verify_mode = False, ssl.CERT_NONE


class Watch:
    """The rules, and what was counted."""

    def __init__(self):
        self.lock = threading.Lock()
        self.set([])

    def set(self, rules):
        with self.lock:
            self.rules, self.requests, self.now, self.most = [dict(rule) for rule in rules], [], 0, 0

    def begin(self, asked):
        """Counts a request; gives the record of it and its rule."""
        record = {"asked": asked, "answered": None}
        with self.lock:
            self.requests.append(record)
            self.now += 1
            self.most = max(self.most, self.now)
            rule = next((rule for rule in self.rules if rule.get("path", "") in asked and rule.get("times", 1) > 0), {})
            if "times" in rule:
                rule["times"] -= 1
            return record, dict(rule)

    def end(self):
        with self.lock:
            self.now -= 1

    def obey(self, command):
        if "rules" in command:
            self.set(command["rules"])
        with self.lock:
            return {"requests": list(self.requests), "most": self.most}


WATCH = Watch()
TARGET = urllib.parse.urlsplit(sys.argv[1])


class Handler(serving.Handler):
    def do_any(self):
        record, rule = WATCH.begin(self.asked())
        self.ahead = rule.get("clock", 0)
        try:
            time.sleep(rule.get("delay", 0))
            answer = self.answer_by(rule)
        finally:
            # Before the client knows the answer: its next request isn't one beside this.
            WATCH.end()
        if answer:
            record["answered"] = answer[0]
            self.give(*answer, half=rule.get("fault") == "truncated")

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + getattr(self, "ahead", 0))

    def asked(self):
        # Without a body a client of Azure only asks whose token it needs.
        if self.tunnel and self.command == "POST" and not self.body:
            return "challenge"
        return " ".join(filter(None, [self.command, self.path, self.headers.get("X-Amz-Target")]))

    def answer_by(self, rule):
        fault = rule.get("fault")
        if fault == "silent":
            # Until the client goes.
            return self.connection.recv(1) and None
        if fault == "reset":
            return self.reset()
        known = REPLIES[rule["reply"]] if "reply" in rule else rule
        if "status" in known:
            return known["status"], known.get("headers", {}).items(), json.dumps(known.get("content", {})).encode()
        status, headers, body = self.server_answers()
        if "change" in rule:
            body = json.dumps(json.loads(body) | rule["change"]).encode()
        return status, headers, body

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        # A TLS connection would say goodbye.
        socket.socket(fileno=self.connection.detach()).close()

    def server_answers(self):
        if self.tunnel:
            server = http.client.HTTPSConnection(TARGET.hostname, TARGET.port, context=NO_CHECK)
            host, _, port = self.tunnel.partition(":")
            server.set_tunnel(host, int(port))
        else:
            server = http.client.HTTPConnection(TARGET.hostname, TARGET.port)
        server.request(self.command, self.path, self.body, dict(self.headers.items()))
        answer = server.getresponse()
        body = answer.read()
        server.close()
        return answer.status, answer.getheaders(), body

    def give(self, status, headers, body, half):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in OF_THE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.wfile.flush()
        self.close_connection = self.close_connection or half


if __name__ == "__main__":
    certificate = sys.argv[-1] if len(sys.argv) > 2 else None
    serving.serve(Handler, lambda url: {}, certificate, "--https" in sys.argv, WATCH.obey)
