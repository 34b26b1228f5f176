"""Requests as a browser sends them for a hostile page: by a name that was made to point here, from another origin, with
a body that needs no preflight. Then the pages that the operator trusts."""

import json
import re
import socket

import pytest

from agents import Reporter
from harness import Client, Daemon

EVIL = "Host: evil.example"
KEYS = [{"user": "alice", "key": "alice-key"}, {"user": "ops", "key": "ops-key", "role": "admin"}]
APP = "https://app.example"
START = json.dumps({"image": "agent", "command": ["sh", "-c", "id"]}).encode()


@pytest.fixture(scope="module")
def server():
    with Daemon() as daemon:
        daemon.config["server"].update(hosts=["box", "*.corp.example"], cors_origins=[APP], max_body="4KiB",
                                       public_url="http://public.example:3000/base")
        daemon.config["runtime_api"] = {"enabled": True, "own_commands": ["local"]}
        daemon.write()
        daemon.start()
        yield daemon


@pytest.fixture(scope="module")
def keyed():
    with Daemon(lambda config: config.update(auth={"keys": KEYS})) as daemon:
        daemon.config["server"]["cors_origins"] = [APP]
        daemon.write()
        daemon.start()
        yield daemon
        daemon.remove_all({"X-API-Key": "ops-key"})
        daemon.remove_all = lambda headers=None: None


def send(daemon, line, *headers, body=b""):
    """The answer's status, its headers by name in lower case, and its body."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([f"{line} HTTP/1.1", *headers, *length, "Connection: close", "", ""])
    received = daemon.raw(head.encode() + body)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (x.split(": ", 1) for x in lines[1:])}, body.decode()


READS = ["/api/v1/sandboxes/search", "/api/v1/sandboxes?id=x", "/api/v1/sandboxes/x", "/api/v1/sandboxes/x/logs",
         "/api/v1/sandbox-specs/search", "/api/v1/events/search", "/api/v1/conversations/search", "/api/v1/backends",
         "/runtime-api/list", "/runtime-api/sessions/x", "/ready", "/metrics", "/nowhere"]


@pytest.mark.parametrize("path", READS)
def test_a_rebound_name_reads_nothing(server, path):
    status, _, body = send(server, f"GET {path}", EVIL)
    assert status == 403 and "evil.example" in body and "server.hosts" in body


@pytest.mark.parametrize("line", ["POST /api/v1/sandboxes", "POST /api/v1/sandboxes/x/pause", "DELETE /api/v1/sandboxes/x",
                                  "POST /runtime-api/start", "POST /runtime-api/stop"])
@pytest.mark.parametrize("headers", [
    [EVIL], ["Host: localhost", "Origin: https://evil.example"], ["Host: localhost", "Origin: null"],
    ["Host: localhost", "Sec-Fetch-Site: cross-site"], ["Host: localhost", "Sec-Fetch-Site: same-site"],
    [EVIL, "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"]])
def test_a_page_changes_nothing(server, line, headers):
    status, answer, _ = send(server, line, *headers, "Content-Type: text/plain", body=START)
    assert status == 403 and "access-control-allow-origin" not in answer
    assert server.everything() == []


def test_a_body_needs_a_json_type(server):
    for types in [], ["Content-Type: text/plain"], ["Content-Type: application/x-www-form-urlencoded"]:
        for path in "/runtime-api/start", "/api/v1/sandboxes", "/api/v1/sandboxes/x/pause":
            status, _, body = send(server, f"POST {path}", "Host: localhost", *types, body=START)
            assert status == 415 and "Content-Type: application/json" in body
    chunks = b"2\r\n{}\r\n0\r\n\r\n"
    head = b"POST /api/v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 415 " in server.raw(head + chunks)
    assert server.everything() == []


@pytest.mark.parametrize("host", ["localhost", "localhost:3000", "a.localhost:1", "127.0.0.1", "127.9.9.9:80", "[::1]:3000",
                                  "box", "BOX:8080", "a.b.corp.example", "public.example"])
def test_own_names_are_served(server, host):
    assert send(server, "GET /api/v1/sandboxes/search", f"Host: {host}")[0] == 200
    page = [f"Host: {host}", f"Origin: http://{host}", "Sec-Fetch-Site: same-origin"]
    assert send(server, "POST /api/v1/sandboxes/x/pause", *page)[0] == 404


@pytest.mark.parametrize("path", ["/health", "/alive", "/openapi.json"])
def test_what_shows_nothing_is_for_all(server, path):
    assert send(server, f"GET {path}", EVIL, "Origin: https://evil.example")[0] == 200


def test_a_webhook_may_call_by_any_name(server):
    reporter = Reporter(server, server.start_sandbox())
    key = f"X-Session-API-Key: {reporter.headers['X-Session-API-Key']}"
    report = [f"POST {reporter.base}/events/{'0' * 32}", "Host: host.docker.internal:3000", key,
              "Content-Type: application/json"]
    assert send(server, *report, body=b"[]")[0] == 200
    for origin in "https://evil.example", "http://host.docker.internal:3000":
        assert send(server, *report, f"Origin: {origin}", body=b"[]")[0] == 403
    assert send(server, *report[:-1], "Content-Type: text/plain", body=b"[]")[0] == 415
    server.remove_all()


def test_a_unix_socket_takes_any_name(make_daemon):
    daemon = make_daemon()
    path = daemon.directory / "api.sock"
    daemon.config["server"]["listen"] = ["127.0.0.1:0", f"unix:{path}"]
    daemon.write()
    daemon.start()
    with Client(f"unix:{path}", headers={"Host": "whatever"}) as client:
        assert client.get("/api/v1/sandboxes/search").status == 200
    assert daemon.get("/api/v1/sandboxes/search", headers={"Host": "whatever"}).status == 403


# ---- pages that are trusted

def test_a_trusted_page_sees_every_answer(server):
    page = ["Host: localhost", f"Origin: {APP}", "Sec-Fetch-Site: cross-site"]
    sandbox = server.start_sandbox()["id"]
    big = b"{" + b" " * 5000 + b"}"
    for line, body, expected in [
            ("GET /api/v1/sandboxes/search", b"", 200), ("GET /api/v1/sandboxes/nosuch", b"", 404),
            ("GET /nowhere", b"", 404), ("GET /api/v1/sandboxes/search?limit=x", b"", 422), ("PUT /health", b"", 405),
            (f"GET /api/v1/sandboxes/{sandbox}/logs", b"", 200), ("POST /api/v1/sandboxes", big, 413)]:
        status, headers, _ = send(server, line, *page, "Content-Type: application/json", body=body)
        assert status == expected
        assert headers.get("access-control-allow-origin") == APP and headers["vary"] == "Origin", line
    status, headers, _ = send(server, "GET /api/v1/sandboxes/search", "Host: localhost")
    assert status == 200 and headers["vary"] == "Origin" and "access-control-allow-origin" not in headers
    server.remove_all()


def test_preflights(server):
    ask = ["Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: x-api-key,content-type"]
    status, headers, _ = send(server, "OPTIONS /api/v1/sandboxes/x", "Host: localhost", f"Origin: {APP}", *ask)
    assert status == 204 and headers["access-control-allow-origin"] == APP
    assert "DELETE" in headers["access-control-allow-methods"]
    allowed = re.split(", *", headers["access-control-allow-headers"].lower())
    assert {"content-type", "authorization", "x-api-key", "x-session-api-key"} <= set(allowed)
    assert "access-control-allow-credentials" not in headers
    for origin in "https://evil.example", f"{APP}.evil.example", "null", f"{APP}:444":
        status, headers, _ = send(server, "OPTIONS /api/v1/sandboxes/x", "Host: localhost", f"Origin: {origin}", *ask)
        assert status == 403 and not [name for name in headers if name.startswith("access-control")]


# ---- with keys

def test_with_keys_a_page_gets_no_further(keyed):
    for headers in [EVIL], ["Host: localhost", "Origin: https://evil.example"], ["Host: localhost", "Sec-Fetch-Site: same-site"]:
        status, _, _ = send(keyed, "GET /api/v1/sandboxes/search", *headers)
        assert status == 403
        assert send(keyed, "GET /api/v1/sandboxes/search", *headers, "Authorization: Bearer alice-key")[0] == 200
        assert send(keyed, "GET /api/v1/sandboxes/search", *headers, "X-API-Key: wrong")[0] == 401
    assert send(keyed, "GET /ready", "Host: 192.0.2.9:3000")[0] == 200, "a probe asks by the address"
    assert send(keyed, "GET /metrics", "Host: 192.0.2.9:3000", "Authorization: Bearer ops-key")[0] == 200
    assert send(keyed, "GET /api/v1/sandboxes/search", "Host: localhost")[0] == 401
    status, headers, _ = send(keyed, "OPTIONS /api/v1/sandboxes", "Host: api.example", f"Origin: {APP}",
                              "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
    assert status == 204 and headers["access-control-allow-origin"] == APP
    status, headers, _ = send(keyed, "POST /api/v1/sandboxes?sandbox_spec_id=nosuch", "Host: api.example", f"Origin: {APP}",
                              "X-API-Key: alice-key")
    assert status == 404 and headers["access-control-allow-origin"] == APP


def test_http_1_0_without_a_host_is_no_browser(server):
    with socket.create_connection(("127.0.0.1", server.port), 20) as s:
        s.sendall(b"GET /api/v1/sandboxes/search HTTP/1.0\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200")
