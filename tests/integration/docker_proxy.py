"""A proxy of the tests between a client and an HTTP server, that breaks the calls it is told to.

It stands between sandboxd and an engine (unix sockets), or between an engine and a registry (TCP). Each call has a
connection of its own to the server, so that a fault hurts one call alone; answers are passed on as they come.
"""

import contextlib
import os
import re
import select
import socket
import threading
import time

VERSION = re.compile(r"^/v\d+\.\d+(?=/)")


def answer_of(body, status="200 OK", kind="application/json"):
    """A whole answer that the server never gave."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# What a broken call gets for an answer. The server has done what it was asked to, unless the name says "before".
REPLACED = {
    "garbage status line": b"\x00\xffHTP/9.9 maybe\r\n\r\n",
    "garbage JSON": answer_of(b'{"Id": "abc", "State": {"Stat'),
    "wrong types": answer_of(b'{"Id": 7, "Name": [], "Created": {}, "Config": 1, "State": "x", "HostConfig": null, '
                             b'"NetworkSettings": [3], "ApiVersion": 1.5, "Ports": -1}'),
    "a list": answer_of(b'[1, "x", null, {"Id": 7, "Names": "no", "State": []}, [[]]]'),
    "nothing": answer_of(b""),
    "500": answer_of(b'{"message": "the engine is out of order"}', "500 Internal Server Error"),
    "500 without a reason": answer_of(b"<html>oops</html>", "500 Internal Server Error", "text/html"),
}
FAULTS = ["cut before", "cut after", "cut in the middle", "endless", *REPLACED]


class Rule:
    """Calls whose "METHOD /path" matches, from number `first` (of the matching ones) on, `times` of them."""

    def __init__(self, pattern, fault=None, first=1, times=1, delay=0, until=None, rate=None, answer=None, sent=None,
                 answered=None):
        self.pattern, self.first, self.times = re.compile(pattern), first, times
        self.fault, self.answer = fault, answer or REPLACED.get(fault)
        self.delay = delay  # seconds before the call is passed on
        self.until = until  # an Event that it waits for
        self.rate = rate  # bytes a second of the answer
        self.sent = sent  # is called once the server has the call
        self.answered = answered  # is called once the server has begun to answer, before anything of that is passed on
        self.seen = self.applied = 0
        assert fault is None or fault in FAULTS, fault

    def applies(self, call):
        if not self.pattern.search(call):
            return False
        self.seen += 1
        if self.first <= self.seen < self.first + self.times:
            self.applied += 1
            return True
        return False


class Cut(Exception):
    """This connection is over."""


class Proxy:
    """Listens until close(). `calls` are all calls so far, as "METHOD /path" without the API's version."""

    def __init__(self, upstream, path=None):
        """`upstream`: the path of a unix socket, or a TCP port. `path`: where to listen; None: on a TCP port."""
        self.upstream = upstream
        self.calls, self.rules, self.lock = [], [], threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(str(path) if path else ("127.0.0.1", 0))
        self.listener.listen(128)
        self.path, self.port = path, None if path else self.listener.getsockname()[1]
        self.open, self.closed = set(), False
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def host(self):
        return f"unix://{self.path}"

    def rule(self, pattern, fault=None, **options):
        rule = Rule(pattern, fault, **options)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules = []

    def matching(self, pattern):
        with self.lock:
            return [call for call in self.calls if re.search(pattern, call)]

    def cut_all(self):
        """Every connection that is open now, streams too."""
        with self.lock:
            sockets = list(self.open)
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.closed = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.path:
            os.unlink(self.path)
        self.cut_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- one connection

    def accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        server = None
        with self.lock:
            self.open.add(client)
        try:
            call, request = self.receive(client)
            with self.lock:
                self.calls.append(call)
                rule = next((rule for rule in self.rules if rule.applies(call)), None)
            if rule and rule.delay:
                time.sleep(rule.delay)
            if rule and rule.until:
                rule.until.wait(60)
            if rule and rule.fault == "cut before":
                return
            server = self.connect()
            server.sendall(request)
            if rule and rule.sent:
                rule.sent()
            if rule and rule.answered:
                select.select([server], [], [], 60)
                rule.answered()
            self.answer(client, server, rule)
        except (OSError, Cut):
            pass
        finally:
            with self.lock:
                self.open.discard(client)
            client.close()
            if server:
                server.close()

    def connect(self):
        if isinstance(self.upstream, int):
            return socket.create_connection(("127.0.0.1", self.upstream))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.upstream))
        return server

    @staticmethod
    def receive(client):
        """One request: what it calls, and its bytes, which ask for the connection to be closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = client.recv(65536)
            if not piece or data + piece < b"\x20":  # the engine tries TLS first, with a registry
                raise Cut
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            piece = client.recv(65536)
            if not piece:
                raise Cut
            body += piece
        method, target, _ = lines[0].decode("latin-1").split(" ")
        kept = [line for line in lines[1:] if not line.lower().startswith(b"connection:")]
        request = b"\r\n".join([lines[0], *kept, b"Connection: close", b"", b""]) + body
        return f"{method} {VERSION.sub('', target)}", request

    @staticmethod
    def pieces(client, server):
        """What the server sends, for as long as the client is there."""
        while True:
            readable, _, _ = select.select([client, server], [], [])
            if client in readable and not client.recv(65536):
                return
            if server in readable:
                piece = server.recv(65536)
                if not piece:
                    return
                yield piece

    def answer(self, client, server, rule):
        if rule and rule.fault == "cut in the middle":
            first = next(self.pieces(client, server), b"")  # a stream may have no end: half of what it begins with
            client.sendall(first[:first.find(b"\r\n\r\n") + 4 + (len(first) - first.find(b"\r\n\r\n") - 4) // 2])
        elif rule and (rule.fault or rule.answer):
            stream = self.pieces(client, server)
            next(stream, None)  # once it answers, it has done what it was asked to
            if rule.answer:
                client.sendall(rule.answer)
            elif rule.fault == "endless":
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n")
                while not self.closed:
                    client.sendall(b"10000\r\n" + b"[" * 65536 + b"\r\n")
        else:
            for piece in self.pieces(client, server):
                for at in range(0, len(piece), 4096) if rule and rule.rate else [None]:
                    part = piece if at is None else piece[at:at + 4096]
                    client.sendall(part)
                    if at is not None:
                        time.sleep(len(part) / rule.rate)
