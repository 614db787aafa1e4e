"""What the servers of the tests share: one port on 127.0.0.1 that the system chooses, JSON answers, TLS behind CONNECT.

A server prints one line of JSON when it is ready: its URL, recipients, and the variables that lead clients to it. It lives
until its standard input ends, so that none outlives the test process, however that ends. What it writes goes into a folder
of its own, which is gone afterwards.
"""

import atexit
import http.server
import json
import pathlib
import shutil
import ssl
import sys
import tempfile
import threading

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="kveil-servers-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """A request; `do_any` answers it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    # Set by `serve` where there is a certificate.
    tls = None
    # The host of the tunnel that the request came through.
    tunnel = None

    def setup(self):
        super().setup()
        if self.tls and self.server.tls_at_once:
            self.encrypt()

    def encrypt(self):
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")

    def do_CONNECT(self):
        """Whichever host is asked for, it is this server that answers."""
        if not self.tls:
            return self.answer(405, {})
        self.tunnel = self.path
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        try:
            self.encrypt()
        except OSError:
            self.close_connection = True
        else:
            # HTTP/1.0, in which some ask for the tunnel, would end here.
            self.close_connection = False

    def do_any(self):
        raise NotImplementedError

    def do_GET(self):
        # The body is read in any case: what is left of it would be taken for the next request.
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_any()

    do_POST = do_PUT = do_DELETE = do_GET

    def json(self):
        try:
            read = json.loads(self.body)
        except ValueError:
            read = None
        return read if isinstance(read, dict) else {}

    def bearer(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None

    def answer(self, status, content, headers=()):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Forty clients may knock at once.
    request_queue_size = 128
    tls_at_once = False

    def handle_error(self, *_):
        """A client that goes away is no news."""


def context(certificate):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


def serve(handler, about, certificate=None, tls_at_once=False, obey=None):
    """Serves until the standard input ends. `about(url)` is what the ready line says beside the URL; `obey(command)` answers a
    line of JSON on the standard input with one on the standard output."""
    if certificate:
        handler.tls = context(certificate)
    server = Server(("127.0.0.1", 0), handler)
    server.tls_at_once = tls_at_once
    url = f"{'https' if tls_at_once else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ready(url, about(url), obey)


def ready(url, about, obey=None):
    say({"url": url, **about})
    for line in sys.stdin:
        say(obey(json.loads(line)) if obey else {})


def write(name, content):
    """A file of the folder, with text or JSON; gives its path."""
    file = FOLDER / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def say(content):
    print(json.dumps(content), flush=True)
