"""max_sandboxes: room is made, refused or waited for, and the limit is never overshot."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import SLOWER, wait_until


def active(daemon):
    return [s for s in daemon.everything() if s["status"] in ("STARTING", "RUNNING")]


@pytest.fixture
def limited(make_daemon):
    def make(limit, over_limit="pause_oldest", *flags):
        daemon = make_daemon()
        daemon.local.update(max_sandboxes=limit, over_limit=over_limit)
        daemon.add_spec("slow", "--bind-delay", 400)
        daemon.write()
        return daemon.start()
    return make


def test_a_start_over_the_limit_pauses_the_oldest(limited):
    daemon = limited(2)
    first, second, third = (daemon.start_sandbox()["id"] for _ in range(3))
    assert daemon.sandbox(first)["status"] == "PAUSED"
    assert [daemon.sandbox(i)["status"] for i in (second, third)] == ["RUNNING", "RUNNING"]


def test_who_was_paused_to_make_room_says_for_whom_also_after_a_restart(limited):
    daemon = limited(1)
    first, second = (daemon.start_sandbox()["id"] for _ in range(2))
    reason = f"paused to make room for sandbox '{second}' of the same user"
    assert daemon.sandbox(first)["status_detail"].startswith(reason)
    assert re.search(f"{reason}.*{first}|{first}.*{reason}", daemon.log())
    assert "\nsandboxd_room_pauses_total 1\n" in daemon.get("/metrics").text
    daemon.stop()
    daemon.start()
    assert daemon.sandbox(first)["status_detail"].startswith(reason)
    daemon.act("resume", first)
    daemon.wait_status(first, "RUNNING")
    assert daemon.sandbox(first)["status_detail"] is None


def test_a_resume_over_the_limit_pauses_the_oldest(limited):
    daemon = limited(2)
    first, second, third = (daemon.start_sandbox()["id"] for _ in range(3))
    daemon.act("resume", first)
    daemon.wait_status(first, "RUNNING")
    assert daemon.sandbox(second)["status"] == "PAUSED" and daemon.sandbox(third)["status"] == "RUNNING"


def test_resuming_what_runs_pauses_nothing(limited):
    daemon = limited(2)
    first, second = (daemon.start_sandbox()["id"] for _ in range(2))
    daemon.act("resume", second)
    assert [daemon.sandbox(i)["status"] for i in (first, second)] == ["RUNNING", "RUNNING"]


def test_reject_answers_429_and_leaves_all_as_it_was(limited):
    daemon = limited(1, "reject")
    first = daemon.start_sandbox()["id"]
    response = daemon.post("/api/v1/sandboxes?wait=5s")
    assert response.status == 429
    assert response.json()["detail"]["message"].startswith("1 of 1 sandboxes run on backend 'local'")
    assert [s["id"] for s in daemon.everything()] == [first]
    assert daemon.sandbox(first)["status"] == "RUNNING"
    daemon.act("pause", first)
    second = daemon.start_sandbox()["id"]
    response = daemon.post(f"/api/v1/sandboxes/{first}/resume")
    assert response.status == 429
    assert daemon.sandbox(second)["status"] == "RUNNING" and daemon.sandbox(first)["status"] == "PAUSED"


@pytest.mark.parametrize("over_limit", ["pause_oldest", "reject"])
def test_twenty_starts_at_once_never_overshoot(limited, over_limit):
    daemon = limited(3, over_limit)
    most, over = 0, threading.Event()

    def watch():
        nonlocal most
        with daemon.client() as client:
            while not over.is_set():
                items = client.get("/api/v1/sandboxes/search").json()["items"]
                taken = [s for s in items if s["status"] == "RUNNING" or
                         (s["status"] == "STARTING" and not s["status_detail"])]
                most = max(most, len(taken))
    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: daemon.post("/api/v1/sandboxes?wait=20s&sandbox_spec_id=slow", timeout=60),
                                range(20)))
    over.set()
    watcher.join()
    assert most <= 3
    if over_limit == "reject":
        assert sorted({a.status for a in answers}) == [200, 429]
        assert sum(a.status == 200 for a in answers) == 3
    else:
        assert {a.status for a in answers} == {200}
        wait_until(lambda: all(s["status"] in ("RUNNING", "PAUSED") for s in daemon.everything()))
        assert len(active(daemon)) == 3


def test_what_finds_no_room_waits_its_turn_and_says_so(limited):
    """Those that are STARTING can't be paused: the others wait, in order."""
    daemon = limited(1)
    begun = time.monotonic()
    ids = [daemon.start_sandbox("slow", wait=None, status="STARTING")["id"] for _ in range(3)]
    if time.monotonic() - begun < 0.3:
        waiting = daemon.sandbox(ids[2])
        assert waiting["status"] == "STARTING" and "wait" in waiting["status_detail"].lower()
    order = []

    def all_ran():
        begun_ones = {s["id"] for s in daemon.everything() if s["status"] in ("RUNNING", "PAUSED")}  # at one time
        order.extend(i for i in ids if i in begun_ones and i not in order)
        return len(order) == 3
    wait_until(all_ran)
    assert order == ids
    wait_until(lambda: [daemon.sandbox(i)["status"] for i in ids] == ["PAUSED", "PAUSED", "RUNNING"])


def test_one_that_waits_can_be_deleted(limited):
    daemon = limited(1)
    ids = [daemon.start_sandbox("slow", wait=None, status="STARTING")["id"] for _ in range(3)]
    daemon.remove_sandbox(ids[1])
    daemon.wait_status(ids[2], "RUNNING", timeout=20 * SLOWER)
    assert daemon.sandbox(ids[1]) is None


def test_errors_and_paused_ones_do_not_count(limited):
    daemon = limited(1)
    daemon.add_spec("dies", command=["/bin/sh", "-c", "exit 1", "{port}"])
    daemon.write()
    daemon.reload()
    daemon.start_sandbox("dies", status="ERROR")
    first = daemon.start_sandbox()["id"]
    daemon.start_sandbox("dies", status=None)
    assert daemon.sandbox(first) is not None


def test_a_limit_is_for_each_user(make_daemon):
    daemon = make_daemon()
    daemon.local.update(max_sandboxes=1, over_limit="reject")
    daemon.config["auth"] = {"keys": [{"user": "ann", "key": "k-ann-123456789012"}, {"user": "bob", "key": "k-bob-123456789012"},
                                      {"user": "ops", "key": "k-ops-123456789012", "role": "admin"}]}
    daemon.write()
    daemon.start()
    daemon.finish_headers = {"X-API-Key": "k-ops-123456789012"}
    ann, bob = ({"X-API-Key": f"k-{u}-123456789012"} for u in ("ann", "bob"))
    daemon.start_sandbox(headers=ann)
    daemon.start_sandbox(headers=bob)
    assert daemon.post("/api/v1/sandboxes", headers=ann).status == 429
