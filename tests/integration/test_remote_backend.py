"""The remote backend against a runtime API of the tests: a sandbox's whole life, what is asked for it, and a far end that
is down, slow, wrong or forgetful at any moment."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fake_runtime_api import KEY, FakeRuntimeApi
from harness import SANITIZED, wait_until

BATCH = "^GET /sessions/batch$"


@pytest.fixture
def api():
    with FakeRuntimeApi() as api:
        yield api


@pytest.fixture
def make_remote(make_daemon, api):
    """Makes daemons whose only backend is the API."""

    def make(public_url=None, start=True, **options):
        def change(config):
            config["backends"] = {"far": {"plugin": "remote", "options": {
                "api_url": api.url, "api_key": KEY, "refresh_interval": "200ms", **options}}}
            config["specs"] = [{"id": "image:1", "command": ["agent", "--port", "60000"],
                                "working_dir": "/work space", "initial_env": {"A": "b"}}]
            if public_url:
                config["server"]["public_url"] = public_url

        daemon = make_daemon(change)
        return daemon.start() if start else daemon

    return make


@pytest.fixture
def remote(make_remote):
    return make_remote()


def backend_state(daemon):
    return daemon.get("/api/v1/backends").json()[0]


def wait_lost(daemon):
    return wait_until(lambda: backend_state(daemon)["error"], what="the loss to be told")


def wait_found(daemon):
    wait_until(lambda: not backend_state(daemon)["error"], what="the return to be told")


# ---- a life


def test_a_life_is_what_the_protocol_says(api, make_remote):
    remote = make_remote(public_url="http://sandboxes.example.com/", resource_factor=2, runtime_class="sysbox")
    api.ready = False
    sandbox = remote.start_sandbox(wait=None, status="STARTING")
    assert sandbox["session_api_key"] is None and sandbox["exposed_urls"] is None
    assert api.requests == [{
        "image": "image:1", "command": ["agent", "--port", "60000"], "working_dir": "/work space",
        "environment": {"A": "b",
                        "OH_WEBHOOKS_0_BASE_URL": f"http://sandboxes.example.com/api/v1/webhooks/{sandbox['id']}"},
        "session_id": sandbox["id"], "resource_factor": 2, "run_as_user": 10001, "run_as_group": 10001,
        "fs_group": 10001, "runtime_class": "sysbox-runc"}]
    api.set_ready(sandbox["id"])
    sandbox = remote.wait_status(sandbox["id"], "RUNNING")
    runtime = api.runtimes[sandbox["id"]]
    host, key = f"{runtime['runtime_id']}.runtime.example.com", runtime["session_api_key"]
    assert sandbox["session_api_key"] == key
    assert sandbox["exposed_urls"] == [
        {"name": "AGENT_SERVER", "url": f"https://{host}", "port": 60000},
        {"name": "VSCODE", "url": f"https://vscode-{host}/?tkn={key}&folder=%2Fwork%20space", "port": 60001},
        {"name": "WORKER_1", "url": f"https://work-1-{host}", "port": 12000},
        {"name": "WORKER_2", "url": f"https://work-2-{host}", "port": 12001}]
    found = remote.get("/api/v1/sandbox", headers={"X-Session-API-Key": key})
    assert found.status == 200 and found.json()["id"] == sandbox["id"]
    remote.act("pause", sandbox["id"])
    assert remote.sandbox(sandbox["id"])["status"] == "PAUSED"
    api.ready = True
    remote.act("resume", sandbox["id"])
    assert remote.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == key
    remote.remove_sandbox(sandbox["id"])
    wait_until(lambda: not api.runtimes)
    assert remote.sandbox(sandbox["id"]) is None


def test_without_public_url_and_class_the_request_says_nothing_of_them(api, remote):
    remote.start_sandbox()
    assert api.requests[0]["environment"] == {"A": "b"}
    assert "runtime_class" not in api.requests[0] and api.requests[0]["resource_factor"] == 1


def test_urls_in_path_form_and_given_workers(api, remote):
    api.url_of = lambda runtime_id: f"http://10.0.0.1:81/{runtime_id}"
    sandbox = remote.start_sandbox()
    runtime_id, key = (api.runtimes[sandbox["id"]][name] for name in ("runtime_id", "session_api_key"))
    base = f"http://10.0.0.1:81/{runtime_id}"
    assert [(url["name"], url["url"], url["port"]) for url in sandbox["exposed_urls"]] == [
        ("AGENT_SERVER", base, 60000), ("VSCODE", f"{base}/vscode?tkn={key}&folder=%2Fwork%20space", 60001),
        ("WORKER_1", f"{base}/work-1", 12000), ("WORKER_2", f"{base}/work-2", 12001)]
    api.set(sandbox["id"], work_hosts={"http://10.0.0.1:9001": 12000, "http://10.0.0.1:9002": 12001})
    wait_until(lambda: [url["url"] for url in remote.sandbox(sandbox["id"])["exposed_urls"]][2:]
               == ["http://10.0.0.1:9001", "http://10.0.0.1:9002"])


@pytest.mark.parametrize("pod_status, status, expected", [
    ("ready", "paused", "RUNNING"), ("Ready", None, "RUNNING"), ("pending", "running", "STARTING"),
    ("running", "error", "STARTING"), ("failed", "running", "ERROR"), ("unknown", "running", "ERROR"),
    ("CrashLoopBackOff", "running", "ERROR"), ("not found", "paused", "PAUSED"), (None, "running", "RUNNING"),
    ("", "starting", "STARTING"), (None, "error", "ERROR"), ("not found", "stopped", "MISSING"),
    ("other", "other", "MISSING"), (None, None, "MISSING")])
def test_statuses_mean_what_the_tables_say(api, remote, pod_status, status, expected):
    sandbox = remote.start_sandbox()
    other = {"RUNNING": "PAUSED"}.get(expected, "RUNNING")  # so that the change is seen
    if other == "PAUSED":
        remote.act("pause", sandbox["id"])
    api.set(sandbox["id"], pod_status=pod_status, status=status)
    seen = remote.wait_status(sandbox["id"], expected)
    assert (seen["session_api_key"] is None) == (expected != "RUNNING")


def test_a_runtime_that_failed_says_why(api, remote):
    sandbox = remote.start_sandbox()
    api.set(sandbox["id"], pod_status="crashloopbackoff", status_detail="it crashed", restart_count=4,
            restart_reasons=["OOMKilled"], pod_logs="first\nlast words\n")
    error = remote.wait_status(sandbox["id"], "ERROR")["error"]
    assert error["code"] == "OUT_OF_MEMORY" and "it crashed" in error["message"], error
    assert error["log_tail"].rstrip().endswith("last words")
    logs = remote.get(f"/api/v1/sandboxes/{sandbox['id']}/logs?tail=1")
    assert logs.status == 200 and logs.text == "last words\n"


def test_a_log_that_is_odd_or_large_is_no_trouble_of_the_others(api, remote):
    odd, large, other = (remote.start_sandbox()["id"] for _ in range(3))
    api.set(odd, pod_status="failed", status_detail="a\0b", pod_logs="\\\0 \ud800\0 words\n")
    error = remote.wait_status(odd, "ERROR")["error"]
    assert "a\ufffdb" in error["message"] and error["log_tail"] == "\\\ufffd \ufffd\ufffd words\n", error
    api.set(large, pod_status="failed", pod_logs="x" * (5 << 20))
    api.set(other, status="paused", pod_status="not found")
    remote.wait_status(other, "PAUSED")
    assert "larger" in remote.wait_status(large, "ERROR")["error"]["message"]
    assert not backend_state(remote)["error"] and "can't be reached" not in remote.log()
    api.set(large, pod_status="ready", pod_logs=None)
    remote.wait_status(large, "RUNNING")


def test_a_key_that_changes_on_resume_is_the_key(api, remote):
    sandbox = remote.start_sandbox()
    api.rotate_keys = True
    remote.act("pause", sandbox["id"])
    remote.act("resume", sandbox["id"])
    after = remote.wait_status(sandbox["id"], "RUNNING")
    key = api.runtimes[sandbox["id"]]["session_api_key"]
    assert after["session_api_key"] == key != sandbox["session_api_key"]
    assert remote.get("/api/v1/sandbox", headers={"X-Session-API-Key": key}).status == 200
    assert remote.get("/api/v1/sandbox", headers={"X-Session-API-Key": sandbox["session_api_key"]}).status == 401
    remote.restart("kill")
    assert remote.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == key


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_finds_all_as_they_were(api, remote, how):
    ids = [remote.start_sandbox()["id"] for _ in range(3)]
    remote.act("pause", ids[0])
    before = {sandbox["id"]: sandbox for sandbox in remote.everything()}
    remote.restart(how)
    wait_until(lambda: {sandbox["id"]: sandbox for sandbox in remote.everything()} == before)
    assert len(api.matching("^POST /start")) == 3


def test_a_reload_with_other_options_keeps_the_sandboxes(api, remote):
    sandbox = remote.start_sandbox()
    remote.config["backends"]["far"]["options"]["max_in_flight"] = 3
    remote.write()
    remote.reload()
    assert remote.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == sandbox["session_api_key"]
    remote.act("pause", sandbox["id"])


# ---- what it costs


def test_listing_costs_one_request(api, make_remote):
    remote = make_remote(refresh_interval="1h")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: remote.start_sandbox(), range(60)))
    remote.stop()
    before = len(api.calls)
    remote.start()
    wait_until(lambda: all(sandbox["status"] == "RUNNING" for sandbox in remote.everything()))
    assert api.calls[before:] == ["GET /sessions/batch"] * 2  # is it there? and then the listing
    for _ in range(20):
        assert len(remote.everything()) == 60
    assert len(api.calls) == before + 2  # reads ask nobody


def test_an_api_that_takes_fewer_ids_at_once_is_asked_about_fewer(api, remote):
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: remote.start_sandbox()["id"], range(60)))

    def polls(count):
        before = len(api.matching(BATCH))
        wait_until(lambda: len(api.matching(BATCH)) >= before + count)

    api.too_many = (25, 414, b"<html>")
    for sandbox_id in ids:
        api.set(sandbox_id, status="paused", pod_status="not found")
    wait_until(lambda: all(sandbox["status"] == "PAUSED" for sandbox in remote.everything()))
    polls(5)
    assert api.refused == 3  # 60, and 30 twice: it is learned once
    assert not backend_state(remote)["error"] and "can't be reached" not in remote.log()
    api.rule(BATCH, status=400)  # however many there are
    assert "400" in str(wait_lost(remote))
    api.clear()
    wait_found(remote)


ONE = "^GET /sessions/(?!batch)"


@pytest.mark.parametrize("refusal", [None, {"status": 405, "body": {"detail": "Method Not Allowed"}},
                                     {"status": 404, "body": b"<html>", "headers": {"Content-Type": "text/html"}}])
def test_an_api_without_batches_is_asked_about_each(api, make_remote, refusal):
    remote = make_remote(start=False, max_in_flight=4)
    if refusal:
        api.rule(BATCH, **refusal)
    else:
        api.first_calls_only = True
    remote.start()
    with ThreadPoolExecutor(4) as pool:
        kept, *others = [sandbox["id"] for sandbox in pool.map(lambda _: remote.start_sandbox(), range(40))]
    assert len(api.matching(BATCH)) == 1, "that is remembered"
    api.set(others[0], status="paused", pod_status="not found")
    remote.wait_status(others[0], "PAUSED")
    with api.lock:
        del api.runtimes[others[1]]
    remote.wait_status(others[1], "MISSING")
    assert remote.sandbox(kept)["status"] == "RUNNING"
    assert remote.log().count("the runtime API has no GET /sessions/batch") == 1
    api.most_at_once = 0
    remote.restart()
    assert len(api.matching(BATCH)) == 2, "the next opening tries it again"
    assert {sandbox["id"] for sandbox in remote.everything() if sandbox["status"] == "RUNNING"} == {kept, *others[2:]}
    seen = len(api.matching(ONE))
    wait_until(lambda: len(api.matching(ONE)) > seen + 40)
    assert api.most_at_once <= 4
    with api.lock:
        api.runtimes.clear()
    remote.wait_status(kept, "MISSING")


def test_an_api_without_batches_that_moves_away_forgets_nothing(api, remote):
    api.first_calls_only = True
    sandbox = remote.start_sandbox()
    api.rule("", status=404, body={"detail": "the runtime API is not enabled here"})
    assert "there is no runtime API at its api_url" in wait_lost(remote)["message"]
    assert remote.sandbox(sandbox["id"])["status"] == "RUNNING"
    api.clear()
    wait_found(remote)
    api.rule(ONE, status=500, body={"detail": "a bad day"})
    assert "a bad day" in wait_lost(remote)["message"]
    api.clear()
    wait_found(remote)
    assert remote.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == sandbox["session_api_key"]


def test_agents_are_polled_as_often_as_the_backend_says(api, make_remote):
    with FakeRuntimeApi(key=None) as agent:  # any server will do
        agent.rule("^GET /api/conversations/search$", status=200, body={"items": [], "next_page_id": None})
        api.url_of = lambda runtime_id: agent.url
        remote = make_remote(start=False, polling_interval="100ms")
        remote.config["events"] = {"polling_interval": "1h"}  # at which 30 turns take minutes
        remote.write()
        begun = time.monotonic()
        remote.start().start_sandbox()
        wait_until(lambda: len(agent.matching("^GET /api/conversations/search$")) >= 30)
        assert time.monotonic() - begun < 60


def test_no_more_than_max_in_flight(api, make_remote):
    remote = make_remote(max_in_flight=3)
    api.rule("^POST /start$", late=0.05)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: remote.start_sandbox(), range(12)))
    assert len(api.runtimes) == 12 and api.most_at_once <= 3


@pytest.mark.skipif(bool(SANITIZED), reason="it is about time")
def test_a_slow_api_that_is_busy_does_not_count_as_lost(api, make_remote):
    """Each answer comes in half the time that it may take, the last one only after all of that time."""
    remote = make_remote(max_in_flight=1, timeout="3s")
    api.rule("", delay=1.5)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: remote.start_sandbox(wait=None, status=None), range(3)))
    assert "can't be reached" not in remote.log(), remote.log()
    api.clear()


def test_many_that_start_are_asked_about_together(api, make_remote):
    remote = make_remote(refresh_interval="1h")
    api.ready = False
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: remote.start_sandbox(wait=None, status="STARTING")["id"], range(20)))
    wait_until(lambda: len(api.runtimes) == 20)
    begun, before = time.monotonic(), len(api.matching(BATCH))
    wait_until(lambda: len(api.matching(BATCH)) >= before + 3)
    asked = len(api.matching(BATCH)) - before
    assert asked <= (time.monotonic() - begun) / 0.05 + 2  # 50 ms between two, whatever their number
    for sandbox_id in ids:
        api.set_ready(sandbox_id)
    for sandbox_id in ids:
        remote.wait_status(sandbox_id, "RUNNING")


# ---- starts that go wrong


@pytest.mark.parametrize("fault", ["cut after", "garbage", "empty"])
def test_a_start_whose_answer_is_lost_is_taken_over(api, remote, fault):
    api.rule("^POST /start$", fault, times=1)
    sandbox = remote.start_sandbox()
    assert list(api.runtimes) == [sandbox["id"]]
    if fault != "cut after":  # which the HTTP client may try again on another connection
        assert api.matching("^(POST /start|GET /sessions/(?!batch))") == [
            "POST /start", f"GET /sessions/{sandbox['id']}"]


def test_a_start_that_got_no_answer_in_time_is_taken_over(api, make_remote):
    remote = make_remote(timeout="1s")
    api.rule("^POST /start$", times=1, late=2)
    sandbox = remote.start_sandbox()
    assert list(api.runtimes) == [sandbox["id"]]


@pytest.mark.parametrize("fault", [{"fault": "cut before"}, {"status": 503, "headers": {"Retry-After": "1"}},
                                   {"status": 429, "body": {"detail": "slowly"}}, {"status": 502, "body": b"<html>"}])
def test_a_start_that_failed_in_passing_is_tried_again(api, remote, fault):
    api.rule("^POST /start$", times=2, **fault)
    begun = time.monotonic()
    sandbox = remote.start_sandbox()
    assert list(api.runtimes) == [sandbox["id"]]
    if "headers" in fault:
        assert time.monotonic() - begun > 2  # as it was asked to


def test_a_start_that_is_refused_leaves_nothing(api, remote):
    refusal = {"detail": f"image not allowed for {KEY}"}
    api.rule("^POST /start$", status=403, body=refusal)
    response = remote.post("/api/v1/sandboxes")
    assert response.status == 502 and "403" in response.json()["detail"], response
    assert KEY not in response.text and KEY not in remote.log()
    api.clear()
    api.rule("^POST /start$", status=403, body={"detail": "image not allowed"})
    response = remote.post("/api/v1/sandboxes")
    assert "image not allowed" in response.json()["detail"], response
    wait_until(lambda: not remote.everything())
    assert len(api.matching("^POST /start")) == 2 and not api.matching("^POST /stop")
    before = len(api.matching(BATCH))
    remote.restart()
    wait_until(lambda: len(api.matching(BATCH)) > before)
    assert not remote.everything()


@pytest.mark.parametrize("rule, told", [
    ({"status": 200, "body": b"<html>welcome</html>", "headers": {"Content-Type": "text/html; charset=utf-8"}},
     "the runtime API's answer to POST /start makes no sense: it is no JSON, but has status 200 "
     "(text/html: '<html>welcome</html>')"),
    ({"status": 500, "body": b"no luck", "headers": {"Content-Type": "text/plain"}},
     "the runtime API refused POST /start with status 500 (text/plain: 'no luck')"),
    ({"status": 200, "body": b'{"session_api_key": "hush'}, "it is no JSON, but has status 200 "
     "(application/json: '{\"session_api_…')"),
    ({"status": 200, "body": {"runtime_id": 7}}, "its runtime_id is no text"),
])
@pytest.mark.parametrize("then", [{"status": 200, "body": b"<html>"}, {"status": 500, "body": {"detail": "second"}},
                                  {"status": 200, "body": {"runtime_id": ""}}])
def test_the_first_failure_of_a_start_is_told(api, remote, rule, told, then):
    api.rule("^POST /start$", **rule)
    looks = api.rule("^GET /sessions/(?!batch)", times=1, **then)
    response = remote.post("/api/v1/sandboxes?wait=10s")
    assert looks.seen >= 1 and told in response.json()["detail"], response
    assert "hush" not in response.text + remote.log() and "second" not in response.text


def test_a_start_at_a_wrong_url_hints_at_it(api, remote):
    api.rule("^POST /start$", status=404, body={"detail": "Not Found"})
    response = remote.post("/api/v1/sandboxes?wait=10s")
    assert response.status == 502 and "is the option api_url right?" in response.json()["detail"], response


@pytest.mark.parametrize("refused, told", [
    ({"status": 409, "body": {"detail": "not now"}}, "POST /pause with status 409: not now"),
    ({"status": 404, "body": {"detail": "no such runtime"}}, "POST /pause with status 404: no such runtime; and then")])
@pytest.mark.parametrize("then", [{"status": 400, "body": {"detail": "second"}}, {"status": 200, "body": []}])
def test_the_first_failure_of_a_pause_is_told(api, remote, refused, told, then):
    sandbox = remote.start_sandbox()
    api.rule("^POST /pause$", **refused)
    api.rule("^GET /sessions/(?!batch)", **then)
    response = remote.post(f"/api/v1/sandboxes/{sandbox['id']}/pause")
    assert told in response.json()["detail"], response
    assert remote.sandbox(sandbox["id"])["status"] == "RUNNING"


@pytest.mark.parametrize("killed", [False, True])
def test_a_start_that_is_carried_out_when_it_was_given_up_leaves_nothing(api, make_remote, killed):
    remote = make_remote(timeout="1s", start_sandbox_timeout="1s")
    gate = threading.Event()
    api.rule("^POST /start$", until=gate)
    response = remote.post("/api/v1/sandboxes")
    assert response.status == 504 and not remote.everything(), response
    looks = "^GET /sessions/(?!batch)"
    before = len(api.matching(looks))
    if killed:
        remote.wait_log("could not be removed yet")
        remote.kill()
        before = len(api.matching(looks))
        remote.start()
    wait_until(lambda: len(api.matching(looks)) >= before + 2)
    gate.set()
    wait_until(lambda: api.requests and not api.at_once)
    wait_until(lambda: not api.runtimes, what="the late runtime to be stopped")


def test_a_start_over_a_quota_of_the_api_is_refused_at_once(api, remote):
    api.rule("^POST /start$", status=429, body={"detail": {"error": "CONCURRENCY_LIMIT_REACHED", "message": "enough"}})
    response = remote.post("/api/v1/sandboxes")
    assert response.status == 429 and "enough" in response.json()["detail"], response
    assert response.json()["error"]["code"] == "CONCURRENCY_LIMIT_REACHED" and not remote.everything()
    assert api.matching("^(POST|GET /sessions/(?!batch))") == ["POST /start"]


def test_a_start_cut_off_by_a_crash_is_taken_up(api, remote):
    gate = threading.Event()
    api.rule("^POST /start$", until=gate, times=1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: remote.post("/api/v1/sandboxes"))
        wait_until(lambda: api.matching("^POST /start"))
        remote.kill()
    gate.set()
    remote.start()
    sandbox = wait_until(lambda: [s for s in remote.everything() if s["status"] == "RUNNING"])[0]
    wait_until(lambda: list(api.runtimes) == [sandbox["id"]])


def test_a_start_that_never_gets_ready_is_an_error_until_it_does(api, make_remote):
    remote = make_remote(start_sandbox_timeout="1s")
    api.ready = False
    sandbox = remote.start_sandbox(wait=None, status="STARTING")
    error = remote.wait_status(sandbox["id"], "ERROR")["error"]
    assert error["code"] == "HEALTH_TIMEOUT", error
    api.set_ready(sandbox["id"])
    assert remote.wait_status(sandbox["id"], "RUNNING")["error"] is None


# ---- a far end that is not there


def test_an_api_that_says_when_to_ask_again_is_not_asked_before(api, remote):
    rule = api.rule(BATCH, status=429, body={"detail": "slowly"}, headers={"Retry-After": "4"})
    wait_until(lambda: rule.seen)
    begun = time.monotonic()
    wait_until(lambda: rule.seen > 1)
    assert time.monotonic() - begun > 2  # by itself it would have been one


def test_one_refusal_does_not_hold_up_the_next_question(api, remote):
    rule = api.rule(BATCH, status=503, body={"detail": "restarting"}, headers={"Retry-After": "3600"})
    wait_until(lambda: rule.seen)
    wait_until(lambda: rule.seen > 1, timeout=30)


def test_a_dead_api_slows_no_read_and_deletions_are_kept(api, remote):
    keeps, goes = remote.start_sandbox(), remote.start_sandbox()
    rule = api.rule("^POST /stop$", "cut before")
    remote.remove_sandbox(goes["id"])
    wait_until(lambda: rule.seen)
    api.down()
    wait_lost(remote)
    begun = time.monotonic()
    assert {s["id"]: s["status"] for s in remote.everything()} == {keeps["id"]: "RUNNING"}
    assert time.monotonic() - begun < 5
    response = remote.post("/api/v1/sandboxes")
    assert response.status == 503 and response.headers["Retry-After"], response
    assert response.json()["error"]["code"] == "BACKEND_UNAVAILABLE"
    assert remote.delete(f"/api/v1/sandboxes/{keeps['id']}").status == 503
    remote.restart("kill")  # without an API, too
    assert backend_state(remote)["error"] and remote.sandbox(goes["id"]) is None
    assert set(api.runtimes) == {keeps["id"], goes["id"]}
    api.clear()  # not before: a call that came before it was down is carried out late
    api.up()
    wait_until(lambda: set(api.runtimes) == {keeps["id"]})
    wait_found(remote)
    assert remote.wait_status(keeps["id"], "RUNNING")["session_api_key"] == keeps["session_api_key"]


@pytest.mark.parametrize("rule", [
    {"status": 401, "body": {"detail": "no"}}, {"status": 404, "body": {"detail": "Not Found"}}, {"fault": "garbage"},
    {"fault": "empty"}, {"status": 200, "body": []}, {"status": 200, "body": {"a": 1}}, {"status": 500},
    {"status": 200, "body": [[7]]}, {"fault": "huge"}])
def test_an_api_that_makes_no_sense_is_told_and_forgets_nothing(api, remote, rule):
    sandbox = remote.start_sandbox()
    api.rule("" if rule.get("status") == 404 else BATCH, **rule)
    if rule.get("body") == [[7]] or rule.get("fault") == "huge":  # an answer about it alone: its own trouble
        error = remote.wait_status(sandbox["id"], "ERROR")["error"]
        assert "makes no sense" in error["message"], error
    else:
        wait_lost(remote)
        assert remote.sandbox(sandbox["id"])["status"] == "RUNNING"
    api.clear()
    wait_found(remote)
    assert remote.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == sandbox["session_api_key"]


def test_why_it_is_not_there_is_told_as_it_is_now(api, remote):
    api.down()
    assert wait_lost(remote)["code"] == "BACKEND_UNAVAILABLE"
    api.rule("", status=401, body={"detail": "no"})
    api.up()
    wait_until(lambda: "401" in backend_state(remote)["error"]["message"])


@pytest.mark.parametrize("status, detail, hint", [
    (404, "the runtime API is not enabled here", "not enabled here"), (404, "Not Found", "/runtime-api"),
    (301, "Moved", "api_url")])
def test_an_api_url_that_leads_elsewhere_is_told_with_what_to_look_at(api, remote, status, detail, hint):
    api.rule("", status=status, body={"detail": detail})
    assert hint in wait_lost(remote)["message"]


def test_a_wrong_key_is_told_without_it(api, make_remote):
    remote = make_remote(api_key="another-secret-key")
    error = wait_lost(remote)
    assert "401" in str(error) and "api_key" in str(error), error
    assert "another-secret-key" not in remote.log() + str(error)
    assert remote.get("/ready").status == 503


def test_an_api_that_hangs_holds_up_nothing_else(api, make_remote):
    remote = make_remote(timeout="500ms", refresh_interval="1h")
    sandbox, other = remote.start_sandbox(), remote.start_sandbox()
    gate = threading.Event()
    api.rule("^POST /pause$", until=gate, times=1)
    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(remote.act, "pause", sandbox["id"])
        remote.act("pause", other["id"])
        assert remote.sandbox(other["id"])["status"] == "PAUSED"
        paused.result()  # the second try
    gate.set()
    assert remote.sandbox(sandbox["id"])["status"] == "PAUSED"


# ---- sessions that go, and deletions


def test_a_session_that_the_api_forgot_is_missing_and_can_be_deleted(api, remote):
    sandbox = remote.start_sandbox()
    runtime = api.runtimes.pop(sandbox["id"])
    remote.wait_status(sandbox["id"], "MISSING")
    assert remote.post(f"/api/v1/sandboxes/{sandbox['id']}/resume").status == 409
    remote.restart()
    assert remote.sandbox(sandbox["id"])["status"] == "MISSING"
    api.runtimes[sandbox["id"]] = runtime
    remote.wait_status(sandbox["id"], "RUNNING")
    del api.runtimes[sandbox["id"]]
    remote.remove_sandbox(sandbox["id"])


def test_a_deletion_goes_on_until_the_runtime_is_gone(api, remote):
    sandbox = remote.start_sandbox()
    api.rule("^POST /stop$", status=500, body={"detail": "not now"}, times=1)
    remote.remove_sandbox(sandbox["id"])
    wait_until(lambda: api.matching("^POST /stop"))
    remote.restart("kill")
    wait_until(lambda: not api.runtimes)
    wait_until(lambda: "removed" in remote.log())
    assert len(api.matching("^POST /stop")) == 2


def test_stopped_is_gone(api, remote):
    api.stopped_stays = True
    sandbox = remote.start_sandbox()
    remote.remove_sandbox(sandbox["id"])
    wait_until(lambda: api.runtimes[sandbox["id"]]["status"] == "stopped")
    remote.wait_log("removed")
    assert api.matching("^POST /stop|^GET /sessions/(?!batch)") == ["POST /stop", f"GET /sessions/{sandbox['id']}"]


def test_a_page_of_a_proxy_does_not_mean_that_it_is_gone(api, remote):
    sandbox = remote.start_sandbox()
    rule = api.rule("^POST /stop$|^GET /sessions/(?!batch)", status=404, body=b"<html>not here</html>")
    remote.remove_sandbox(sandbox["id"])
    wait_until(lambda: rule.seen)
    remote.wait_log("could not be removed")
    assert list(api.runtimes) == [sandbox["id"]]
    api.clear()
    wait_until(lambda: not api.runtimes)


def test_an_unknown_runtime_is_looked_up_by_its_session(api, make_remote):
    remote = make_remote(refresh_interval="1h")
    sandbox = remote.start_sandbox()
    api.set(sandbox["id"], runtime_id="moved")
    remote.act("pause", sandbox["id"])
    assert api.runtimes[sandbox["id"]]["status"] == "paused"
    assert remote.sandbox(sandbox["id"])["status"] == "PAUSED"
