"""A runtime API of the tests: what its public clients know of it, and no sandboxes. It does as it is told: runtimes
become ready when a test says so, and calls fail in the ways that a test asks for.

For those who speak the runtime API as clients. A second sandboxd is the real counterpart: daemon_pair.py.
"""

import contextlib
import json
import re
import socket
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from harness import free_port

KEY = "runtime-api-key-of-the-tests"


class Rule:
    """What happens to calls whose "METHOD /path" matches, from number `first` of these on, `times` of them.

    `fault`: "cut before" and "cut after" the call was carried out, "garbage" (no JSON), "huge", "empty", or nothing.
    `status`, `body`, `headers`: an answer without the call being carried out. `delay`: seconds before anything happens;
    `late`: before the answer goes, the call being carried out. `until`: an Event that is waited for first.
    """

    def __init__(self, pattern, fault=None, *, first=1, times=10**9, status=None, body=None, headers=None, delay=0,
                 late=0, until=None):
        self.pattern, self.fault, self.first, self.times = re.compile(pattern), fault, first, times
        self.status, self.body, self.headers = status, body, headers or {}
        self.delay, self.late, self.until = delay, late, until
        self.seen = 0

    def applies(self, call):
        if not self.pattern.search(call):
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""


class FakeRuntimeApi:
    """Listens on a port of its own until close(). `runtimes` are by session; `calls` all calls so far, in order."""

    def __init__(self, ready=True, host="127.0.0.1", key=KEY):
        self.ready, self.key = ready, key  # ready: runtimes are, at once
        self.runtimes, self.calls, self.rules, self.requests = {}, [], [], []
        self.lock = threading.RLock()
        self.url_of = lambda runtime_id: f"https://{runtime_id}.runtime.example.com"
        self.rotate_keys = False
        self.stopped_stays = False  # after /stop there is a runtime with status `stopped`, for good
        self.too_many = (10**9, 0, None)  # more ids than that in a batch: refused so
        self.refused = 0  # for that
        self.first_calls_only = False  # no /sessions/batch: a session may have that name
        self.most_at_once = self.at_once = 0
        self.open = set()
        self.host, self.port, self.server = host, free_port(), None
        self.up()

    # ---- the server

    def up(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def setup(self):
                super().setup()
                api.open.add(self.connection)

            def finish(self):
                api.open.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def do_GET(self):
                with contextlib.suppress(OSError):
                    api.handle(self)

            do_POST = do_GET

        self.server = Server((self.host, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self):
        """Nobody listens any more, and connections are cut. The runtimes stay."""
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    close = down

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def rule(self, *arguments, **options):
        rule = Rule(*arguments, **options)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules = []

    def matching(self, pattern):
        with self.lock:
            return [call for call in self.calls if re.search(pattern, call)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- what becomes of runtimes

    def set(self, session_id, **members):
        with self.lock:
            self.runtimes[session_id].update(members)

    def set_ready(self, session_id):
        self.set(session_id, status="running", pod_status="ready")

    # ---- one call

    def handle(self, handler):
        target = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        call = f"{handler.command} {target.path}"
        with self.lock:
            self.calls.append(call)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            rule = next((rule for rule in list(self.rules) if rule.applies(call)), None)
        try:
            answer = self.obey(handler, rule, call, target, body)
        finally:
            with self.lock:
                self.at_once -= 1  # before the client can know of it, and ask for more
        if answer:
            self.answer(handler, *answer)
        else:
            self.cut(handler)

    def obey(self, handler, rule, call, target, body):
        """The answer: its status, body and headers; None: there is none."""
        if rule and rule.until:
            rule.until.wait(60)
        if rule and rule.delay:
            time.sleep(rule.delay)
        if rule and rule.fault == "cut before":
            return None
        if rule and rule.status:
            return rule.status, rule.body, rule.headers
        if handler.headers.get("X-API-Key") != self.key:
            return 401, {"detail": f"wrong key {handler.headers.get('X-API-Key')}"}
        query = parse_qs(target.query)
        most, status, refusal = self.too_many
        if len(query.get("ids", [])) > most:
            self.refused += 1
            return status, refusal
        with self.lock:
            status, result = self.carry_out(call, query, json.loads(body) if body else None)
            text = json.dumps(result).encode()
        if rule and rule.late:
            time.sleep(rule.late)
        fault = rule.fault if rule else None
        if fault == "cut after":
            return None
        if fault == "huge":
            return status, b'["' + b"x" * (80 << 20) + b'"]'
        return status, {"garbage": b'{"runtime_id": "abc", "sta', "empty": b""}.get(fault, text)

    @staticmethod
    def cut(handler):
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.connection.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def answer(handler, status, body, headers=None):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    # ---- the protocol

    def carry_out(self, call, query, body):
        method, path = call.split(" ")
        if call == "POST /start":
            return self.start(body)
        if path in ("/pause", "/resume", "/stop") and method == "POST":
            return self.act(path[1:], body["runtime_id"])
        if call == "GET /sessions/batch" and not self.first_calls_only:
            return 200, [self.runtimes.get(session) for session in query.get("ids", [])]
        if path.startswith("/sessions/"):
            runtime = self.runtimes.get(path.removeprefix("/sessions/"))
            return (200, runtime) if runtime else (404, {"detail": "Session not found"})
        if call == "GET /image_exists" and not self.first_calls_only:
            return 200, {"exists": query["image"][0].startswith("good"),
                         "image": {"upload_time": "2026-01-01T00:00:00Z", "image_size_bytes": 5}}
        if path in ("/start", "/pause", "/resume", "/stop"):
            return 405, {"detail": "Method Not Allowed"}
        return 404, {"detail": "Not Found"}

    def start(self, request):
        self.requests.append(request)
        session = request["session_id"]
        if session not in self.runtimes:
            runtime_id = uuid.uuid4().hex[:16]
            self.runtimes[session] = {
                "runtime_id": runtime_id, "session_id": session, "url": self.url_of(runtime_id),
                "session_api_key": uuid.uuid4().hex, "image": request["image"], "restart_count": 0,
                "restart_reasons": [], "pod_logs": None,
                **({"status": "running", "pod_status": "ready"} if self.ready else
                   {"status": "starting", "pod_status": "pending"})}
        runtime = dict(self.runtimes[session])
        del runtime["pod_status"]  # as the seed has it
        return 200, runtime

    def act(self, verb, runtime_id):
        runtime = next((r for r in self.runtimes.values() if r["runtime_id"] == runtime_id), None)
        if not runtime:
            return 404, {"detail": "Runtime not found"}
        if verb == "stop":
            if self.stopped_stays:
                runtime.update(status="stopped", pod_status="not found")
            else:
                del self.runtimes[runtime["session_id"]]
        elif verb == "pause":
            runtime.update(status="paused", pod_status="not found")
        else:
            runtime.update({"status": "running", "pod_status": "ready"} if self.ready else
                           {"status": "starting", "pod_status": "pending"})
            if self.rotate_keys:
                runtime["session_api_key"] = uuid.uuid4().hex
            return 200, {**runtime, "status": "starting", "pod_status": "pending"}
        return 200, dict(runtime)
