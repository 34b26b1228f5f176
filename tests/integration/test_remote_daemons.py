"""Two real daemons: the remote backend of one against the runtime API of the other, whose sandboxes are processes. The
far one is restarted, killed in the middle of each call, stopped (SIGSTOP), and heard through a proxy that breaks what it says."""

import contextlib
import os
import re
import signal
import threading
import time
import urllib.request

import pytest

from docker_proxy import FAULTS, Proxy
from harness import SANITIZED, SLOWER, free_port, wait_until

CALLS = {"start": "^POST /runtime-api/start$", "pause": "^POST /runtime-api/pause$",
         "resume": "^POST /runtime-api/resume$", "stop": "^POST /runtime-api/stop$",
         "session": r"^GET /runtime-api/sessions/(?!batch)", "batch": r"^GET /runtime-api/sessions/batch\?"}
# Sanitizers find what they find in the first of a kind.
TRIED = ["cut after", "cut in the middle", "garbage JSON", "wrong types"] if SANITIZED else [
    fault for fault in FAULTS if fault != "endless"]


class Pair:
    """A daemon that is far, with a proxy before it, and one that is near."""

    def __init__(self, make_daemon, stack):
        self.near = make_daemon(lambda config: None)  # it ends first, while the other one is there
        self.far = make_daemon(lambda config: None)
        self.far.config["server"]["listen"] = [f"127.0.0.1:{free_port()}"]
        self.far.config["runtime_api"] = {"enabled": True, "images": ["agent"]}
        self.far.add_spec("broken", "--exit-after", 50, "--exit-code", 3, "--print", 2)
        self.far.config["auth"] = {"keys": [{"user": "near", "key": "key-of-near", "role": "admin"}]}
        self.far.finish_headers = {"X-API-Key": "key-of-near"}
        self.far.write()
        self.far.start()
        self.proxy = stack.enter_context(Proxy(self.far.port))
        self.near.config["backends"] = {"far": {"plugin": "remote", "options": {
            "api_url": f"http://127.0.0.1:{self.proxy.port}/runtime-api", "api_key": "key-of-near",
            "polling_interval": "300ms", "timeout": f"{2 * SLOWER}s"}}}
        self.near.config["specs"] = [{"id": "agent"}, {"id": "broken"}]
        self.near.write()
        self.near.start()

    def far_everything(self):
        """None while it is not there."""
        try:
            return self.far.everything(self.far.finish_headers)
        except OSError:
            return None

    def wait_far(self, count):
        def counted():
            seen = self.far_everything()
            return seen is not None and len(seen) == count

        wait_until(counted, what=f"{count} sandboxes at the far end")

    def started(self):
        """A sandbox that runs, after as many starts as it takes."""
        def start():
            response = self.near.post("/api/v1/sandboxes?wait=20s", timeout=60)
            if response.status != 200:
                clear_error(response)
                return None
            sandbox = response.json()
            if sandbox["status"] == "ERROR":
                assert sandbox["error"]["code"] and sandbox["error"]["message"], sandbox
                self.near.remove_sandbox(sandbox["id"])
                return None
            return self.near.wait_status(sandbox["id"], "RUNNING")
        return wait_until(start, what="a start")

    def done(self, verb, sandbox_id):
        """The client tries until it is done, and every failure says what it was."""
        def act():
            response = (self.near.delete(f"/api/v1/sandboxes/{sandbox_id}", timeout=60) if verb == "delete" else
                        self.near.post(f"/api/v1/sandboxes/{sandbox_id}/{verb}", timeout=60))
            if response.status != 200:
                clear_error(response)
            return response.status == 200
        wait_until(act, what=verb)

    def live(self):
        sandbox = self.started()
        self.done("pause", sandbox["id"])
        self.near.wait_status(sandbox["id"], "PAUSED")
        self.done("resume", sandbox["id"])
        after = self.near.wait_status(sandbox["id"], "RUNNING")
        assert after["session_api_key"] == sandbox["session_api_key"]
        self.done("delete", sandbox["id"])
        self.wait_far(0)


def clear_error(response):
    body = response.json()
    assert response.status in (409, 500, 502, 503, 504), response
    assert body["detail"], response


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def pair(stack, make_daemon):  # in this order: the daemons end first
    return Pair(make_daemon, stack)


def reach(sandbox):
    """Its agent answers at its URL."""
    url = next(url["url"] for url in sandbox["exposed_urls"] if url["name"] == "AGENT_SERVER")
    with urllib.request.urlopen(f"{url}/alive", timeout=10) as answer:
        return answer.status == 200


def test_a_whole_life(pair):
    sandbox = pair.started()
    assert reach(sandbox)
    far = pair.far_everything()[0]
    assert far["session_api_key"] == sandbox["session_api_key"] and far["id"] != sandbox["id"]
    pair.near.act("pause", sandbox["id"])
    assert pair.far_everything()[0]["status"] == "PAUSED"
    pair.near.act("resume", sandbox["id"])
    after = pair.near.wait_status(sandbox["id"], "RUNNING")
    assert reach(after) and after["session_api_key"] == sandbox["session_api_key"]
    pair.near.remove_sandbox(sandbox["id"])
    pair.wait_far(0)


def test_what_failed_there_says_why_here(pair):
    sandbox = pair.near.start_sandbox("broken", status=None)
    error = pair.near.wait_status(sandbox["id"], "ERROR")["error"]
    assert error["code"] == "EXITED" and "3" in error["message"] and error["log_tail"], error
    logs = pair.near.get(f"/api/v1/sandboxes/{sandbox['id']}/logs")
    assert logs.status == 200 and logs.text


def test_pages_are_by_creation(pair):
    ids = [pair.started()["id"] for _ in range(3)]
    first = pair.near.get("/api/v1/sandboxes/search?limit=2").json()
    rest = pair.near.get(f"/api/v1/sandboxes/search?limit=2&page_id={first['next_page_id']}").json()
    assert [sandbox["id"] for sandbox in first["items"] + rest["items"]] == ids[::-1]


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("who", ["near", "far"])
def test_either_is_restarted(pair, who, how):
    sandbox, paused = pair.started(), pair.started()
    pair.near.act("pause", paused["id"])
    getattr(pair, who).restart(how)
    assert pair.near.wait_status(paused["id"], "PAUSED")
    wait_until(lambda: not pair.near.get("/api/v1/backends").json()[0]["error"])
    after = pair.near.wait_status(sandbox["id"], "RUNNING")
    assert after["session_api_key"] == sandbox["session_api_key"] and reach(after)
    pair.done("resume", paused["id"])
    assert reach(pair.near.wait_status(paused["id"], "RUNNING"))
    assert len(pair.far_everything()) == 2


@pytest.mark.parametrize("call", CALLS)
def test_the_far_one_is_killed_in_the_middle_of_a_call(pair, call):
    gate = threading.Event()
    rule = pair.proxy.rule(CALLS[call], until=gate)

    def kill_and_restart():
        wait_until(lambda: rule.applied, timeout=60)
        pair.far.kill()
        gate.set()
        pair.far.start()

    thread = threading.Thread(target=kill_and_restart)
    thread.start()
    try:
        pair.live()
    finally:
        thread.join()


@pytest.mark.parametrize("call", CALLS)
def test_what_the_far_one_says_is_broken(pair, call):
    for fault in TRIED:
        pair.proxy.clear()
        pair.proxy.rule(CALLS[call], fault, times=1)
        pair.live()


def test_the_far_one_stands_still(pair):
    sandbox, goes = pair.started(), pair.started()
    os.kill(pair.far.pid, signal.SIGSTOP)
    try:
        pair.near.remove_sandbox(goes["id"])
        slowest = 0
        while not pair.near.get("/api/v1/backends").json()[0]["error"]:
            begun = time.monotonic()
            assert [s["status"] for s in pair.near.everything()] == ["RUNNING"]
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 0.5 * SLOWER
        assert pair.near.post("/api/v1/sandboxes").status == 503
        pair.near.restart("kill")
        assert [s["id"] for s in pair.near.everything()] == [sandbox["id"]]
    finally:
        os.kill(pair.far.pid, signal.SIGCONT)
    pair.wait_far(1)
    assert reach(pair.near.wait_status(sandbox["id"], "RUNNING"))


def test_the_far_one_answers_late(pair):
    for call in ("start", "pause", "resume", "stop"):
        pair.proxy.rule(CALLS[call], delay=3 * SLOWER, times=1)  # longer than `timeout`
    pair.live()
    assert not re.search(r"key-of-near", pair.near.log())
