"""The App API: every call's fields, paging, bad parameters, and the answers that are not 200."""

import json
import re

import pytest

from harness import Daemon, wait_until


@pytest.fixture(scope="module")
def shared():
    """One daemon with five sandboxes, for tests that only read."""
    with Daemon() as daemon:
        daemon.add_spec("second", working_dir="work", initial_env={"A": "b"})
        daemon.write()
        daemon.start()
        daemon.made = [daemon.start_sandbox() for _ in range(5)]
        yield daemon


def details(response):
    """The parameters that a 422 complains about."""
    assert response.status == 422, response
    problems = response.json()["detail"]
    assert problems and all({"type", "loc", "msg", "input"} <= set(p) for p in problems), problems
    return [p["loc"] for p in problems]


# ---- search

def test_search_is_newest_first(shared):
    page = shared.get("/api/v1/sandboxes/search").json()
    assert [s["id"] for s in page["items"]] == [s["id"] for s in reversed(shared.made)]
    assert page["next_page_id"] is None


def test_search_pages(shared):
    seen, page_id, pages = [], None, 0
    while True:
        path = "/api/v1/sandboxes/search?limit=2" + (f"&page_id={page_id}" if page_id else "")
        page = shared.get(path).json()
        seen += [s["id"] for s in page["items"]]
        pages += 1
        page_id = page["next_page_id"]
        if page_id is None:
            break
        assert len(page["items"]) == 2
    assert pages == 3 and seen == [s["id"] for s in reversed(shared.made)]


def test_an_unknown_page_id_starts_from_the_beginning(shared):
    for page_id in "nonsense", "", "-1", "%C3%A9", "x" * 1000:
        page = shared.get(f"/api/v1/sandboxes/search?limit=1&page_id={page_id}")
        assert page.status == 200 and page.json()["items"][0]["id"] == shared.made[-1]["id"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.5", "99999999999999999999"])
def test_a_bad_limit_is_422_and_names_it(shared, limit):
    for path in "sandboxes", "sandbox-specs":
        assert details(shared.get(f"/api/v1/{path}/search?limit={limit}")) == [["query", "limit"]]


def test_pages_are_stable_while_sandboxes_come_and_go(daemon):
    made = [daemon.start_sandbox()["id"] for _ in range(4)]
    first = daemon.get("/api/v1/sandboxes/search?limit=2").json()
    newer = daemon.start_sandbox()["id"]
    daemon.remove_sandbox(made[2])  # the page's last one: the place in time stays
    rest = daemon.get(f"/api/v1/sandboxes/search?limit=2&page_id={first['next_page_id']}").json()
    assert [s["id"] for s in first["items"]] == [made[3], made[2]]
    assert [s["id"] for s in rest["items"]] == [made[1], made[0]]
    assert newer not in [s["id"] for s in rest["items"]]


# ---- batch and get

def test_batch_keeps_the_order_with_null_for_what_is_not_there(shared):
    a, b = shared.made[0]["id"], shared.made[3]["id"]
    answer = shared.get(f"/api/v1/sandboxes?id={b}&id=nosuch&id={a}&id={b}").json()
    assert [s and s["id"] for s in answer] == [b, None, a, b]


def test_batch_of_a_hundred_is_the_most(shared):
    ids = "&".join(f"id=x{i}" for i in range(100))
    assert shared.get(f"/api/v1/sandboxes?{ids}").json() == [None] * 100
    response = shared.get(f"/api/v1/sandboxes?{ids}&id=one-more")
    assert response.status == 400 and "100" in response.json()["detail"]


def test_batch_without_ids(shared):
    response = shared.get("/api/v1/sandboxes")
    assert response.status in (200, 422)
    assert response.status == 422 or response.json() == []


def test_get_of_what_is_not_there(shared):
    for name in "nosuch", "x" * 127, "..", "%2e%2e", "a%20b":
        response = shared.get(f"/api/v1/sandboxes/{name}")
        assert response.status == 404 and isinstance(response.json()["detail"], str)


# ---- specs

def test_specs(shared):
    page = shared.get("/api/v1/sandbox-specs/search").json()
    assert [s["id"] for s in page["items"]] == ["agent", "second"] and page["next_page_id"] is None
    second = page["items"][1]
    assert {"id", "command", "created_at", "initial_env", "working_dir", "backend"} <= set(second)
    assert second["backend"] == "local" and second["working_dir"] == "work" and second["initial_env"]["A"] == "b"
    assert second["command"][-1] == "{port}"
    one = shared.get("/api/v1/sandbox-specs/search?limit=1").json()
    assert [s["id"] for s in one["items"]] == ["agent"]
    two = shared.get(f"/api/v1/sandbox-specs/search?limit=1&page_id={one['next_page_id']}").json()
    assert [s["id"] for s in two["items"]] == ["second"] and two["next_page_id"] is None
    batch = shared.get("/api/v1/sandbox-specs?id=second&id=no&id=agent").json()
    assert [s and s["id"] for s in batch] == ["second", None, "agent"]


# ---- start

def test_an_unknown_spec_is_404(shared):
    response = shared.post("/api/v1/sandboxes?sandbox_spec_id=nosuch")
    assert response.status == 404 and "nosuch" in response.json()["detail"]


@pytest.mark.parametrize("wait", ["x", "-1s", "1y", "3601", "2h", ""])
def test_a_bad_wait_is_422(shared, wait):
    assert details(shared.post(f"/api/v1/sandboxes?wait={wait}")) == [["query", "wait"]]


def test_a_body_on_start_is_no_error(daemon):
    response = daemon.post("/api/v1/sandboxes?wait=20s", body=b"{}", headers={"Content-Type": "application/json"})
    assert response.status == 200 and response.json()["status"] == "RUNNING"


def test_delete_accepts_the_id_in_the_query_too(daemon):
    a = daemon.start_sandbox()["id"]
    response = daemon.delete(f"/api/v1/sandboxes/{a}?sandbox_id=another")
    assert response.status in (400, 422), "two that differ are refused"
    assert daemon.sandbox(a)
    assert daemon.delete(f"/api/v1/sandboxes/{a}?sandbox_id={a}").json() == {"success": True}


# ---- answers that are not 200

@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/api/v2/sandboxes", "/api/v1/sandboxes/a/b/c", "/healthy",
                                  "//health"])
def test_what_is_nowhere_is_404(shared, path):
    response = shared.get(path)
    assert response.status == 404 and "detail" in response.json(), response


@pytest.mark.parametrize("method, path, allow", [
    ("PUT", "/api/v1/sandboxes", {"GET", "POST"}), ("POST", "/api/v1/sandboxes/search", {"GET"}),
    ("GET", "/api/v1/sandboxes/x/pause", {"POST"}), ("PATCH", "/api/v1/sandboxes/x", {"GET", "DELETE"}),
    ("POST", "/health", {"GET"}), ("DELETE", "/metrics", {"GET"})])
def test_a_wrong_method_is_405_with_allow(shared, method, path, allow):
    response = shared.request(method, path)
    assert response.status == 405 and "detail" in response.json()
    assert allow <= {m.strip() for m in response.headers["Allow"].split(",")}


def test_head_is_get_without_a_body(shared):
    response = shared.request("HEAD", "/health")
    assert response.status == 200 and response.body == b"" and int(response.headers["Content-Length"]) > 0


def test_errors_are_json_with_a_request_id(shared):
    response = shared.get("/nowhere")
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.headers["X-Request-ID"]


def test_the_request_id_comes_back(shared):
    assert shared.get("/health", headers={"X-Request-ID": "mine-42"}).headers["X-Request-ID"] == "mine-42"
    ids = {shared.get("/health").headers["X-Request-ID"] for _ in range(5)}
    assert len(ids) == 5
    for bad in "x" * 129, "caf\xe9":
        answer = shared.get("/health", headers={"X-Request-ID": bad}).headers["X-Request-ID"]
        assert answer != bad and re.fullmatch(r"[!-~]{1,128}", answer)


# ---- outside /api/v1

def test_health_and_alive(shared):
    for path in "/health", "/alive":
        assert shared.get(path).status == 200


def test_ready(shared):
    assert wait_until(lambda: shared.get("/ready").status == 200)


def test_metrics(shared):
    response = shared.get("/metrics")
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/plain")
    names = set()
    for line in response.text.splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([a-z_:][a-z0-9_:]*)(\{[^}]*\})? (-?[0-9.e+]+)", line, re.I)
            assert match, f"not Prometheus text: {line}"
            names.add(match.group(1))
    assert all(name.startswith(("sandboxd_", "process_")) for name in names), names
    running = [line for line in response.text.splitlines() if "RUNNING" in line and line.endswith(" 5")]
    assert running, "five are RUNNING, and a metric says so"


def test_openapi_names_every_path(shared):
    response = shared.get("/openapi.json")
    assert response.status == 200 and response.headers["Content-Type"].startswith("application/json")
    paths = set(response.json()["paths"])
    text = json.dumps(sorted(paths))
    for path in ("/api/v1/sandboxes/search", "/api/v1/sandboxes", "/api/v1/sandbox-specs/search", "/api/v1/backends",
                 "/health", "/ready", "/metrics", "/api/v1/sandbox"):
        assert path in paths, text
    assert any(re.fullmatch(r"/api/v1/sandboxes/\{\w+\}/pause", path) for path in paths), text


def test_backends(shared):
    [backend] = shared.get("/api/v1/backends").json()
    assert backend["name"] == "local" and backend["plugin"] == "process" and backend["version"]
    assert backend["generation"] == 1
    assert "state" in backend and "counts" in backend
    assert sum(backend["counts"].values()) >= 5


def test_replies_are_json_with_length_and_kept_alive(shared):
    with shared.client() as client:
        for _ in range(3):
            response = client.get("/api/v1/sandboxes/search")
            assert response.headers["Content-Type"].startswith("application/json")
            assert int(response.headers["Content-Length"]) == len(response.body)
            assert response.headers.get("Connection", "keep-alive").lower() == "keep-alive"
