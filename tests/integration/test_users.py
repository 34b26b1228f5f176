"""Keys, owners and admins: another user's sandbox does not exist."""

import hashlib

import pytest

KEYS = {"ann": "ann-secret-key-000001", "bob": "bob-secret-key-000002", "ops": "ops-secret-key-000003"}
ANN, BOB, OPS = ({"X-API-Key": KEYS[user]} for user in ("ann", "bob", "ops"))


@pytest.fixture
def daemon(make_daemon):
    daemon = make_daemon(env={"ANN_KEY": KEYS["ann"]})
    key_file = daemon.directory / "bob.key"
    key_file.write_text(KEYS["bob"] + "\n")
    key_file.chmod(0o600)
    daemon.config["auth"] = {"keys": [
        {"user": "ann", "key": "${ANN_KEY}"}, {"user": "bob", "key_file": str(key_file)},
        {"user": "ops", "sha256": hashlib.sha256(KEYS["ops"].encode()).hexdigest(), "role": "admin"}]}
    daemon.write()
    daemon.finish_headers = OPS
    return daemon.start()


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"Authorization": "Bearer wrong"},
                                     {"Authorization": "Basic " + KEYS["ann"]}, {"Authorization": KEYS["ann"]},
                                     {"X-API-Key": KEYS["ann"] + "x"}, {"X-API-Key": KEYS["ann"][:-1]}])
def test_without_a_valid_key_everything_is_401(daemon, headers):
    for method, path in (("GET", "/api/v1/sandboxes/search"), ("GET", "/api/v1/sandboxes?id=x"),
                         ("GET", "/api/v1/sandboxes/x"), ("POST", "/api/v1/sandboxes"),
                         ("POST", "/api/v1/sandboxes/x/pause"), ("DELETE", "/api/v1/sandboxes/x"),
                         ("GET", "/api/v1/sandboxes/x/logs"), ("GET", "/api/v1/sandbox-specs/search"),
                         ("GET", "/api/v1/backends")):
        response = daemon.request(method, path, headers=headers)
        assert response.status == 401 and response.json()["detail"], (method, path, response)
        assert not any(key in response.text for key in KEYS.values())


def test_probes_need_no_key(daemon):
    for path in "/health", "/alive", "/ready", "/openapi.json":
        assert daemon.get(path).status == 200


def test_both_headers_and_all_ways_to_give_a_key(daemon):
    for user, key in KEYS.items():
        for headers in {"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"authorization": f"bearer {key}"}:
            assert daemon.get("/api/v1/sandboxes/search", headers=headers).status == 200, user


def test_a_user_sees_and_acts_on_their_own_only(daemon):
    sandbox = daemon.start_sandbox(headers=ANN)
    assert sandbox["created_by_user_id"] == "ann"
    path = f"/api/v1/sandboxes/{sandbox['id']}"
    for method, target in (("GET", path), ("POST", path + "/pause"), ("POST", path + "/resume"), ("DELETE", path),
                           ("GET", path + "/logs")):
        assert daemon.request(method, target, headers=BOB).status == 404, (method, target)
    assert daemon.get(f"/api/v1/sandboxes?id={sandbox['id']}", headers=BOB).json() == [None]
    assert daemon.everything(BOB) == []
    assert [s["id"] for s in daemon.everything(ANN)] == [sandbox["id"]]
    assert daemon.sandbox(sandbox["id"], ANN)["status"] == "RUNNING"


def test_an_admin_sees_and_acts_on_all(daemon):
    made = [daemon.start_sandbox(headers=headers)["id"] for headers in (ANN, BOB)]
    assert {s["id"] for s in daemon.everything(OPS)} == set(made)
    daemon.act("pause", made[0], OPS)
    assert daemon.wait_status(made[0], "PAUSED", ANN)
    daemon.remove_sandbox(made[1], OPS)
    assert daemon.sandbox(made[1], BOB) is None


def test_backends_and_metrics_are_for_admins(daemon):
    assert daemon.get("/api/v1/backends", headers=OPS).status == 200
    assert daemon.get("/api/v1/backends", headers=ANN).status in (403, 404)
    assert daemon.get("/metrics", headers=OPS).status == 200
    assert daemon.get("/metrics").status == 401


def test_a_session_key_is_no_api_key_and_the_other_way_round(daemon):
    sandbox = daemon.start_sandbox(headers=ANN)
    session = sandbox["session_api_key"]
    assert daemon.get("/api/v1/sandbox", headers={"X-Session-API-Key": session}).json()["id"] == sandbox["id"]
    assert daemon.get("/api/v1/sandboxes/search", headers={"X-API-Key": session}).status == 401
    assert daemon.get("/api/v1/sandbox", headers={"X-Session-API-Key": KEYS["ann"]}).status == 401


def test_pages_hold_only_what_the_user_owns(daemon):
    mine = []
    for _ in range(2):
        mine.append(daemon.start_sandbox(headers=ANN)["id"])
        daemon.start_sandbox(headers=BOB)
    first = daemon.get("/api/v1/sandboxes/search?limit=1", headers=ANN).json()
    second = daemon.get(f"/api/v1/sandboxes/search?limit=1&page_id={first['next_page_id']}", headers=ANN).json()
    assert [s["id"] for s in first["items"] + second["items"]] == mine[::-1] and second["next_page_id"] is None


def test_without_keys_only_loopback_and_unix(make_daemon):
    daemon = make_daemon()
    daemon.config["server"]["listen"] = ["0.0.0.0:0"]
    daemon.write()
    daemon.spawn()
    assert daemon.process.wait(20) == 1
    assert "server.listen[0]: without auth.keys only 127.0.0.1" in daemon.log()
