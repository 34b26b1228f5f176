"""A callback of the tests: takes messages, checks their signature, and fails when it is told to."""

import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/hook?token=hush-hush"
MESSAGE_EVENTS = 100


class Message:
    """One POST."""

    def __init__(self, handler):
        self.at = time.monotonic()
        self.path, self.headers = handler.path, handler.headers
        self.body = handler.rfile.read(int(self.headers["Content-Length"]))
        self.events = json.loads(self.body)
        self.sandbox = self.headers["X-Sandboxd-Sandbox"]
        self.conversation = self.headers["X-Sandboxd-Conversation"]


def told(messages):
    """Of each sandbox and conversation the ids of the events, in the order in which they came first."""
    found = {}
    for message in messages:
        for event in message.events:
            found.setdefault((message.sandbox, message.conversation), {}).setdefault(event["id"])
    return {whose: list(ids) for whose, ids in found.items()}


class CallbackServer:
    """`status(n)` answers the n-th message (from 0): a status, "close" or "hang"."""

    def __init__(self, secret=None, port=0, status=lambda n: 200):
        self.secret, self.status = secret, status
        self.came, self.taken = [], []  # all messages, and those that were answered with 2xx
        self.wrong = []  # those that are not as they should be
        self.lock = threading.Lock()
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_POST(self):
                outer.take(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                if not isinstance(sys.exc_info()[1], ConnectionError):  # a daemon that was killed
                    super().handle_error(request, client_address)

        self.server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def config(self):
        url = f"http://127.0.0.1:{self.server.server_address[1]}{PATH}"
        return {"url": url, **({"secret": self.secret} if self.secret else {})}

    def status_of(self, _, number):
        return self.status(number)

    def is_right(self, message):
        signature = self.secret and "sha256=" + hmac.new(self.secret.encode(), message.body, hashlib.sha256).hexdigest()
        return (message.headers["X-Sandboxd-Signature"] == signature and message.path == PATH
                and message.headers["Content-Type"] == "application/json" and 0 < len(message.events) <= MESSAGE_EVENTS)

    def take(self, handler):
        message = Message(handler)
        with self.lock:
            # over: on a connection that was kept
            status = "close" if self.over.is_set() else self.status_of(message, len(self.came))
            self.came.append(message)
            if not self.is_right(message):
                self.wrong.append(message)
            if status in (200, 202):
                self.taken.append(message)
        if status == "hang":
            self.over.wait(60)
        if status in ("hang", "close"):
            handler.close_connection = True
            return
        handler.send_response(status)
        handler.send_header("Location", PATH)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    def told(self):
        with self.lock:
            return told(self.taken)

    def stop(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
