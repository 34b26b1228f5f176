"""The remote backend of one daemon against the runtime API of another, whose sandboxes are processes: a whole life,
users, pages, what the far one forgets, restarts of either, and a near one that dies or is reloaded while it waits."""

import json
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from agents import FAKE_AGENT, FakeAgent
from daemon_pair import ADMIN, BATCH, FAR_ADMIN, FAR_KEY, HEADERS, VERBS, reach, url_of
from fake_agent import event
from harness import free_port, wait_until


def test_a_whole_life(pair):
    sandbox = pair.start()
    pair.wait_same("RUNNING")
    [far] = pair.far_all()
    assert far["id"] != sandbox["id"] and far["session_api_key"] == sandbox["session_api_key"]
    reach(sandbox)
    for verb, status in (("pause", "PAUSED"), ("resume", "RUNNING")):
        pair.near.act(verb, sandbox["id"], ADMIN)
        pair.wait_same(status)
    after = pair.near.sandbox(sandbox["id"], ADMIN)
    assert (after["session_api_key"], url_of(after)) == (sandbox["session_api_key"], url_of(sandbox))
    reach(after)
    pair.near.remove_sandbox(sandbox["id"], ADMIN)
    pair.wait_nothing()
    assert FAR_KEY not in pair.near.log()


def test_what_failed_there_says_why_here(make_pair):
    def add_broken(config):
        [agent] = config["specs"]
        broken = [*agent["command"], "--exit-after", "50", "--exit-code", "3", "--print", "2"]
        config["specs"].append({**agent, "id": "broken", "command": broken})
    pair = make_pair(change_far=add_broken)
    sandbox = pair.near.start_sandbox("broken", headers=ADMIN, status=None)
    error = pair.near.wait_status(sandbox["id"], "ERROR", ADMIN)["error"]
    assert error["code"] == "EXITED" and "3" in error["message"] and error["log_tail"], error
    logs = pair.near.get(f"/api/v1/sandboxes/{sandbox['id']}/logs", headers=ADMIN)
    assert logs.status == 200 and logs.text
    pair.act("delete", sandbox["id"])
    pair.wait_nothing()


def test_what_is_ready_at_once_is_not_asked_about_first(make_pair):
    def check_no_health(config):
        config["backends"]["local"]["health_check_path"] = None
    pair = make_pair(change_far=check_no_health)
    gate = threading.Event()
    pair.proxy.rule(BATCH, times=1000, until=gate)
    pair.near.start_sandbox(headers=ADMIN)
    gate.set()


@pytest.mark.parametrize("public", [False, True])
def test_what_agents_over_there_say_is_here(make_pair, public):
    """They are polled, or report to the public_url that they are told of: both as those of any backend."""
    address = f"127.0.0.1:{free_port()}"

    def add_fake(config):
        [agent] = config["specs"]
        command = [sys.executable, "-B", str(FAKE_AGENT), "--port", "{port}"]
        config["specs"].append({**agent, "id": "fake", "command": command})

    def hear(config):
        if public:
            config["server"] = {"listen": [address], "public_url": f"http://{address}"}
        config["events"] = {"polling_interval": "200ms"}
    pair = make_pair(change_far=add_fake, change_near=hear)
    agent = FakeAgent(pair.near.start_sandbox("fake", headers=HEADERS["ann"]))
    conversation = str(uuid.uuid4())
    if public:
        batch = json.dumps([event(conversation, number) for number in range(3)])
        agent.control(report={"conversation": conversation, "batches": [batch]})
    else:
        agent.has(conversation, 3)

    def events(user):
        return pair.near.get("/api/v1/events/search", headers=HEADERS[user]).json()["items"]
    wait_until(lambda: len(events("ann")) == 3)
    assert events("ann") == [event(conversation, number) for number in range(3)] and events("bob") == []


# ---- whose they are, and in which order


def test_users_of_the_near_one_are_one_user_of_the_far_one(pair):
    sandboxes = {user: pair.start(user) for user in ("ann", "bob")}
    for user, other in (("ann", "bob"), ("bob", "ann")):
        assert [s["id"] for s in pair.near.everything(HEADERS[user])] == [sandboxes[user]["id"]]
        assert sandboxes[user]["created_by_user_id"] == user
        path = f"/api/v1/sandboxes/{sandboxes[other]['id']}"
        for method, target in (("GET", path), ("POST", path + "/pause"), ("DELETE", path), ("GET", path + "/logs")):
            assert pair.near.request(method, target, headers=HEADERS[user]).status == 404
    assert {s["created_by_user_id"] for s in pair.far_all()} == {"near"}
    pair.wait_same("RUNNING", "RUNNING")
    pair.near.restart("kill")
    pair.wait_found()
    assert [s["id"] for s in pair.near.everything(HEADERS["ann"])] == [sandboxes["ann"]["id"]]


def test_two_near_ones_do_not_see_each_other(pair, make_daemon):
    mine = pair.start()
    pair.far.config["auth"]["keys"].append({"user": "other", "key": "key-of-another-one-at-the-far-one"})
    pair.far.write()
    pair.far.reload()
    for key in (FAR_KEY, "key-of-another-one-at-the-far-one"):  # with one user there, and with two
        other = make_daemon()
        pair.use(other, lambda config, key=key: config["backends"]["far"]["options"].update(api_key=key))
        assert other.everything(ADMIN) == []
        theirs = other.start_sandbox(headers=HEADERS["ann"])
        assert [s["id"] for s in pair.near_all()] == [mine["id"]]
        other.remove_sandbox(theirs["id"], ADMIN)
        wait_until(lambda: len(pair.far_all()) == 1)


def test_pages_are_by_creation_whatever_the_far_one_does(pair):
    ids = [pair.start()["id"] for _ in range(4)]
    pair.act("pause", ids[1])
    pair.act("resume", ids[1])
    for how in (None, "near", "far"):
        if how:
            getattr(pair, how).restart("kill")
            pair.wait_found()
        page, seen = "", []
        while page is not None:
            answer = pair.near.get(f"/api/v1/sandboxes/search?limit=3&page_id={page}", headers=ADMIN).json()
            seen.append([s["id"] for s in answer["items"]])
            page = answer["next_page_id"]
        assert seen == [ids[:0:-1], ids[:1]]


@pytest.mark.parametrize("how", ["one", "all"])
def test_what_the_far_one_forgot_is_missing(pair, how):
    stays, goes = pair.start(), pair.start()
    if how == "one":  # deleted there
        pair.far.remove_sandbox(pair.session(goes["id"])["runtime_id"], FAR_ADMIN)
        missing = [goes["id"]]
    else:  # its store is lost
        pair.far.remove_all(FAR_ADMIN)
        wait_until(lambda: not pair.far.leftovers())
        pair.far.stop()
        (pair.far.directory / "state").rename(pair.far.directory / "lost")
        pair.far.start()
        missing = [goes["id"], stays["id"]]
    for sandbox_id in missing:
        seen = pair.near.wait_status(sandbox_id, "MISSING", ADMIN)
        assert seen["session_api_key"] is None and seen["exposed_urls"] is None
        response = pair.near.post(f"/api/v1/sandboxes/{sandbox_id}/resume", headers=ADMIN)
        assert response.status == 409 and response.json()["detail"], response
    pair.near.restart("kill")
    for sandbox_id in missing:
        pair.near.wait_status(sandbox_id, "MISSING", ADMIN)
        pair.act("delete", sandbox_id)
    wait_until(lambda: len(pair.near_all()) == 2 - len(missing))
    pair.wait_same(*["RUNNING"] * (2 - len(missing)))


# ---- either is restarted


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("who", ["near", "far"])
def test_after_a_restart_of_either_all_is_as_before(pair, who, how):
    runs, paused = pair.start(), pair.start()
    pair.act("pause", paused["id"])
    getattr(pair, who).restart(how)
    pair.wait_found()
    pair.wait_same("PAUSED", "RUNNING")
    pair.act("resume", paused["id"])
    pair.wait_same("RUNNING", "RUNNING")
    for sandbox in runs, paused:
        after = pair.near.sandbox(sandbox["id"], ADMIN)
        assert after["session_api_key"] == sandbox["session_api_key"]
        reach(after)


@pytest.mark.parametrize("moment", ["sent", "answered"])
@pytest.mark.parametrize("call", VERBS)
def test_the_near_one_is_killed_while_it_waits(pair, call, moment):
    sandbox, request = None, ("POST", "/api/v1/sandboxes")
    if call != "start":
        sandbox = pair.start()
        path = f"/api/v1/sandboxes/{sandbox['id']}"
        request = ("DELETE", path) if call == "stop" else ("POST", f"{path}/{call}")
    if call == "resume":
        pair.act("pause", sandbox["id"])
        pair.near.wait_status(sandbox["id"], "PAUSED", ADMIN)
    pair.proxy.rule(VERBS[call], **{moment: pair.near.kill})
    try:
        pair.near.request(*request, headers=ADMIN)
    except (OSError, HTTPException):
        pass  # its server is gone
    wait_until(lambda: pair.near.process.poll() is not None)
    pair.near.start()
    pair.wait_found()
    if call == "stop":
        pair.wait_nothing()
        return
    wait_until(lambda: len(pair.near_all()) == 1)
    if call != "start":  # what was asked for was not promised: it is done, or not
        pair.wait_same()
        pair.act(call, sandbox["id"])
    pair.wait_same("PAUSED" if call == "pause" else "RUNNING")
    assert len(pair.programs()) == 1
    if sandbox and call != "pause":
        assert pair.near.sandbox(sandbox["id"], ADMIN)["session_api_key"] == sandbox["session_api_key"]


def test_a_reload_of_the_near_one_while_it_waits(pair):
    gate = threading.Event()
    rule = pair.proxy.rule(VERBS["start"], until=gate)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(pair.start)
        wait_until(lambda: rule.applied)
        pair.near.config["backends"]["far"]["options"]["max_in_flight"] = 3  # has the backend opened anew
        pair.near.write()
        pair.near.reload()
        gate.set()
        started.result()
    pair.wait_same("RUNNING")
