"""Bad input and rare input, as real bytes on a real socket (RFC 9112)."""

import os
import random
import re
import resource
import socket
import ssl
import struct
import threading
import time

import pytest

from harness import AGENT, SLOWER, Client, Daemon, free_port, wait_until
from tls_front import certificate


@pytest.fixture(scope="module")
def server():
    with Daemon() as daemon:
        daemon.config["server"].update(max_body="4KiB", max_connections=50)
        daemon.write()
        daemon.start()
        yield daemon


@pytest.fixture
def impatient(make_daemon):
    """It waits a second for a head."""
    return make_daemon(lambda config: config["server"].update(header_timeout="1s")).start()


def statuses(received):
    """The status codes of all replies in the bytes."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def ask(server, *lines, body=b""):
    """Sends a request of these lines, then reads until the server closes (asking it to)."""
    return server.raw("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)


HOST = "Host: localhost"


@pytest.mark.parametrize("line", [
    "GET /health HTTP/1.1", "GET http://anything/health HTTP/1.1", "GET /health?x=1&&y HTTP/1.1",
    "GET /%68ealth HTTP/1.1", "HEAD /health HTTP/1.1"])
def test_good_request_lines(server, line):
    assert statuses(ask(server, line, HOST)) == [200]


@pytest.mark.parametrize("line, status", [
    ("GET  /health HTTP/1.1", 400), ("GET /health  HTTP/1.1", 400), (" GET /health HTTP/1.1", 400),
    ("GET /health HTTP/1.1 ", 400), ("GET\t/health\tHTTP/1.1", 400), ("GET health HTTP/1.1", 400),
    ("GET /health", 400), ("GET /health HTTP/1.1x", 400), ("GET /health http/1.1", 400),
    ("GET /health HTTP/2.0", 505), ("GET /health HTTP/1.10", 400), ("GET /health HTTP/0.9", (400, 505)),
    ("G@T /health HTTP/1.1", 400), ("GET /he\x00alth HTTP/1.1", 400), ("GET /he\x7falth HTTP/1.1", 400),
    ("GET /h%zz HTTP/1.1", 400), ("GET /h%0 HTTP/1.1", 400), ("GET /h%00 HTTP/1.1", 400), ("GET /%ff HTTP/1.1", 400),
    ("GET /health#part HTTP/1.1", 400), ("GET /\xe9 HTTP/1.1", 400), ("GET ftp://x/health HTTP/1.1", 400),
    ("", 400), ("\x16\x03\x01\x02\x00\x01\x00", 400)])
def test_bad_request_lines(server, line, status):
    got = statuses(ask(server, line, HOST))
    assert len(got) == 1 and got[0] in (status if isinstance(status, tuple) else (status,)), got


@pytest.mark.parametrize("headers", [
    ["Host : localhost"], ["Host: localhost", " folded: x"], ["Host: localhost", "\tfolded"],
    ["Host: localhost", ": empty"], ["Host: localhost", "no colon"], ["Host: localhost", "Bad Name: x"],
    ["Host: localhost", "X: a\x00b"], ["Host: localhost", "X: a\x0bb"], ["Host: localhost", "X: a\rb"],
    ["Host: localhost", "Host: localhost"], ["Host: a", "Host: b"], ["Host: a b"], ["Host: a/b"], ["Host: a@b"], [],
    ["Host: localhost", "Content-Length: 1", "Content-Length: 2"], ["Host: localhost", "Content-Length: 1, 2"],
    ["Host: localhost", "Content-Length: +5"], ["Host: localhost", "Content-Length: -1"],
    ["Host: localhost", "Content-Length: 0x5"], ["Host: localhost", "Content-Length: 5 5"],
    ["Host: localhost", "Content-Length: "], ["Host: localhost", "Content-Length: 5a"],
    ["Host: localhost", "Content-Length: 99999999999999999999999"],
    ["Host: localhost", "Content-Length: 5", "Transfer-Encoding: chunked"]])
def test_bad_headers_are_400(server, headers):
    assert statuses(ask(server, "POST /api/v1/sandboxes/x/pause HTTP/1.1", *headers, body=b"0\r\n\r\n")) == [400]


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "chunked, chunked", "identity", "chunked;q=1", "xchunked",
                                    "chunked, identity", ""])
def test_other_transfer_codings_are_refused(server, coding):
    got = statuses(ask(server, "POST /api/v1/sandboxes/x/pause HTTP/1.1", HOST, f"Transfer-Encoding: {coding}",
                       body=b"0\r\n\r\n"))
    assert got in ([400], [501])


def test_chunked_with_http_1_0_is_refused(server):
    got = statuses(ask(server, "POST /api/v1/sandboxes/x/pause HTTP/1.0", HOST, "Transfer-Encoding: chunked",
                       body=b"0\r\n\r\n"))
    assert got == [400]


def test_bare_line_feeds_are_400(server):
    assert statuses(server.raw(b"GET /health HTTP/1.1\nHost: localhost\nConnection: close\n\n")) == [400]
    assert statuses(server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\nConnection: close\r\n\r\n")) == [400]


SMUGGLED = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("body", [
    b"0x1\r\na\r\n0\r\n\r\n", b"+1\r\na\r\n0\r\n\r\n", b"-1\r\na\r\n0\r\n\r\n", b" 1\r\na\r\n0\r\n\r\n",
    b"\r\na\r\n0\r\n\r\n", b"g\r\na\r\n0\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n", b"1\na\n0\n\n", b"1\r\na0\r\n\r\n",
    b"ffffffffffffffffff\r\na\r\n0\r\n\r\n", b"1;\x00\r\na\r\n0\r\n\r\n", b"1 ; \n x\r\na\r\n0\r\n\r\n",
    b"0\r\nbad trailer\r\n\r\n"])
def test_bad_chunks_are_400_and_what_follows_is_no_request(server, body):
    head = b"POST /api/v1/sandboxes/x/pause HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(server.raw(head + body + SMUGGLED)) == [400]


@pytest.mark.parametrize("body", [b"0\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"00004;ext=1;q=\"a b\"\r\nnull\r\n000\r\n\r\n",
                                  b"A\r\n{        }\r\n0\r\nTrailer: x\r\n\r\n"])
def test_good_chunks_also_one_byte_at_a_time(server, body):
    head = (b"POST /api/v1/sandboxes/x/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n")
    assert statuses(server.raw(head + body + SMUGGLED)) == [404, 200]
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head + body + SMUGGLED:
            s.sendall(bytes([byte]))
        received = b""
        while piece := s.recv(4096):
            received += piece
    assert statuses(received) == [404, 200]


def test_pipelined_requests_are_answered_in_order(server):
    requests = b"".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
                        for path in ("/health", "/nowhere", "/alive", "/api/v1/sandboxes/x"))
    assert statuses(server.raw(requests + SMUGGLED)) == [200, 404, 200, 404, 200]


def test_http_1_0_is_answered_and_closed(server):
    received = server.raw(b"GET /health HTTP/1.0\r\n\r\n")
    assert statuses(received) == [200]


def test_empty_lines_before_a_request_are_ignored(server):
    assert statuses(server.raw(b"\r\n" + SMUGGLED)) == [200]


def test_a_half_closed_request_is_answered_once(server):
    got = statuses(server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", half_close=True))
    assert got == [200]


def test_a_client_that_ends_its_side_gets_its_sandbox(daemon):
    received = daemon.raw(b"POST /api/v1/sandboxes?wait=20s HTTP/1.1\r\nHost: localhost\r\n\r\n", half_close=True)
    assert statuses(received) == [200] and b'"status":"RUNNING"' in received
    assert len(daemon.everything()) == 1


def test_a_log_goes_on_for_a_client_that_ended_its_side(daemon):
    sandbox = daemon.start_sandbox()["id"]
    with socket.create_connection(("127.0.0.1", daemon.port), 20) as s:
        s.sendall(f"GET /api/v1/sandboxes/{sandbox}/logs?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        s.shutdown(socket.SHUT_WR)
        received = b""
        while b"\r\n\r\n" not in received:
            received += s.recv(4096)
        daemon.remove_sandbox(sandbox)
        while piece := s.recv(4096):
            received += piece
    assert statuses(received) == [200] and received.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("make", [
    lambda: b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
    lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    lambda: b"A" * 100000])
def test_an_oversized_head_is_refused(server, make):
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        try:
            s.sendall(make())
        except ConnectionError:
            pass
        received = b""
        try:
            while piece := s.recv(4096):
                received += piece
        except ConnectionResetError:
            pass
    assert statuses(received) in ([431], [414], [400])


def test_a_body_over_the_bound_is_413_and_nothing_was_done(server):
    head = "POST /api/v1/sandboxes HTTP/1.1"
    assert statuses(ask(server, head, HOST, "Content-Length: 4097", body=b"x" * 4097)) == [413]
    chunks = b"1000\r\n" + b"x" * 4096 + b"\r\n1\r\nx\r\n0\r\n\r\n"
    assert statuses(ask(server, head, HOST, "Transfer-Encoding: chunked", body=chunks)) == [413]
    assert server.everything() == []


def test_expect_continue(server):
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        s.sendall(b"POST /api/v1/sandboxes/x/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
                  b"Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 100 ")
        s.sendall(b"{}")
        assert s.recv(1000).startswith(b"HTTP/1.1 404 ")
    got = statuses(ask(server, "POST /nowhere HTTP/1.1", HOST, "Content-Length: 2", "Expect: 100-continue"))
    assert got == [404], "the answer is known from the head: the body is not asked for"
    got = statuses(ask(server, "POST /api/v1/sandboxes HTTP/1.1", HOST, "Content-Length: 5000", "Expect: 100-continue"))
    assert got == [413]
    assert statuses(ask(server, "GET /health HTTP/1.1", HOST, "Expect: miracles")) == [417]


def test_a_client_that_dawdles_over_its_head_is_cut_off(impatient):
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", impatient.port), 30) as s:
        s.settimeout(0.05)
        received, closed = b"", False
        for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 10000:
            try:
                s.sendall(bytes([byte]))
                piece = s.recv(1000)
                received += piece
                closed = not piece
            except TimeoutError:
                pass
            except ConnectionError:
                closed = True
            if closed:
                break
    assert closed and 0.8 < time.monotonic() - begun < 5 * SLOWER
    assert statuses(received) in ([408], [])


def test_a_client_that_dawdles_over_its_body_is_cut_off(impatient):
    begun = time.monotonic()
    received = impatient.raw(b"POST /api/v1/sandboxes/x/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf",
                             timeout=60)
    assert statuses(received) == [408] and time.monotonic() - begun < 30


def test_random_bytes_hurt_nothing(server):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    base = bytearray(b"POST /api/v1/sandboxes/x/pause?wait=1s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                     b"X-API-Key: abc\r\nConnection: close\r\n\r\nbody")
    for _ in range(300):
        data = bytearray(base)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass
    assert server.get("/health").status == 200


@pytest.mark.parametrize("begun", [b"", b"GET /health HT"])
def test_many_idle_clients_lock_nobody_out(make_daemon, begun):
    """Their deadline is 10 s, and a minute."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    daemon = make_daemon().start()
    idle = []
    try:
        for _ in range(1100):
            idle.append(socket.create_connection(("127.0.0.1", daemon.port)))
            idle[-1].sendall(begun)
        wait_until(lambda: "sandboxd_http_over_limit_total 0" not in daemon.get("/metrics").text, what="the limit")
        begin = time.monotonic()
        assert daemon.get("/health").status == 200
        assert time.monotonic() - begin < 5 * SLOWER
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_connections_than_allowed_wait_and_are_then_served(server):
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    late = socket.create_connection(("127.0.0.1", server.port), 20)
    late.sendall(SMUGGLED)
    for s in idle:
        s.close()
    assert late.recv(1000).startswith(b"HTTP/1.1 200")
    late.close()


def test_a_client_that_leaves_is_noticed(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("never", "--bind-delay", 600000)
    daemon.write()
    daemon.start()
    with socket.create_connection(("127.0.0.1", daemon.port)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing it resets it
        s.sendall(b"POST /api/v1/sandboxes?sandbox_spec_id=never&wait=10s HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: daemon.everything(), what="the sandbox")
    wait_until(lambda: "sandboxd_http_abandoned_total 1" in daemon.get("/metrics").text, what="it to be noticed")
    assert len(daemon.everything()) == 1, "what was begun goes on"


def test_a_reader_who_does_not_read_costs_bounded_memory(make_daemon):
    daemon = make_daemon()
    daemon.local["options"]["log_size"] = "8MiB"
    script = "head -c 8000000 /dev/zero | tr '\\0' 'x' | fold -w 100; exec \"$0\" --port {port}"
    daemon.add_spec("talks", command=["/bin/sh", "-c", script, str(AGENT)])
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("talks")
    before = daemon.status("VmRSS")
    held = []
    for _ in range(10):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", daemon.port))
        s.sendall(f"GET /api/v1/sandboxes/{sandbox['id']}/logs?tail=100000 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        held.append(s)
    for s in held:
        assert s.recv(12) == b"HTTP/1.1 200"
    assert daemon.get("/health").status == 200
    if SLOWER == 1:
        assert daemon.status("VmRSS") - before < 40 * 1024
    for s in held:
        s.close()


def test_sigterm_answers_what_was_sent(daemon):
    outcomes = []

    def kept():
        with socket.create_connection(("127.0.0.1", daemon.port), 20) as s:
            received = b""
            while b"Connection: close" not in received:
                s.sendall(b"GET /alive HTTP/1.1\r\nHost: localhost\r\n\r\n")
                received = s.recv(4096)
                outcomes.append(statuses(received))
    threads = [threading.Thread(target=kept) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(outcomes) > 50, what="requests without pause")
    assert daemon.stop() == 0
    for thread in threads:
        thread.join()
    assert outcomes == [[200]] * len(outcomes)


# ---- listeners

def test_several_addresses_and_a_unix_socket(make_daemon):
    daemon = make_daemon()
    path = daemon.directory / "api.sock"
    daemon.config["server"]["listen"] = ["127.0.0.1:0", f"unix:{path}", "[::1]:0"]
    daemon.write()
    daemon.start()
    assert len(daemon.addresses) == 3
    for address in daemon.addresses:
        with Client(address) as client:
            assert client.get("/health").status == 200
    assert path.stat().st_mode & 0o777 in (0o600, 0o660)
    daemon.kill()
    assert path.exists()
    daemon.start()  # what a dead daemon left is replaced
    with Client(f"unix:{path}") as client:
        assert client.get("/health").status == 200
    daemon.remove_all()
    assert daemon.stop() == 0
    assert not path.exists()


def test_a_port_that_is_taken_is_a_sentence_and_no_start(make_daemon):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        daemon = make_daemon()
        daemon.config["server"]["listen"] = [f"127.0.0.1:{s.getsockname()[1]}"]
        daemon.write()
        daemon.spawn()
        assert daemon.process.wait(20) == 1
        assert f"127.0.0.1:{s.getsockname()[1]}" in daemon.log() and "in use" in daemon.log()


def test_tls_and_its_reload(make_daemon):
    daemon = make_daemon()
    cert, key = certificate(daemon.directory, "first")
    port = free_port()
    daemon.config["server"].update(listen=[f"127.0.0.1:{port}"], tls={"cert": str(cert), "key": str(key)})
    daemon.write()
    daemon.start()

    def get(ca):
        context = ssl.create_default_context(cafile=ca)
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as s:
                s.sendall(SMUGGLED)
                received = b""
                while piece := s.recv(4096):
                    received += piece
                return statuses(received)
    assert get(cert) == [200]
    assert 200 not in statuses(daemon.raw(SMUGGLED)), "plain HTTP on a TLS port"
    second, second_key = certificate(daemon.directory, "second")
    second.replace(cert)
    second_key.replace(key)
    daemon.reload()
    assert get(cert) == [200]
    key.write_text("no key")
    assert "key" in daemon.reload(ok=False)
    assert get(cert) == [200]
    daemon.remove_all = lambda headers=None: None  # the harness speaks plain HTTP


def test_many_clients_at_once(server):
    failures = []

    def work():
        try:
            with server.client() as client:
                for _ in range(50):
                    assert client.get("/health").status == 200
        except Exception as problem:  # whatever it is, the test is to say so
            failures.append(problem)
    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
