"""What clients are shown is what the engine says, whoever acts on it, whatever becomes of it; and no read asks it."""

import os
import re
import signal
import threading
import time

import pytest

from docker_engine import AGENT_IMAGE, ask_agent, within
from docker_proxy import answer_of
from harness import wait_until


@pytest.fixture
def watched(make_docker, proxy):
    """A daemon whose calls of the engine are counted."""
    docker = make_docker()
    docker.options["host"] = proxy.host
    docker.write()
    return docker.start()


def read_all(docker, sandbox_id):
    """Every kind of read."""
    for path in ("/sandboxes/search", f"/sandboxes?id={sandbox_id}", f"/sandboxes/{sandbox_id}",
                 "/sandbox-specs/search"):
        assert docker.get("/api/v1" + path, timeout=5).status == 200, path


def assert_unavailable(response):
    assert response.status == 503 and int(response.headers["Retry-After"]) > 0, response
    assert response.json()["error"]["code"] == "BACKEND_UNAVAILABLE" and response.json()["error"]["retryable"] is True
    assert response.json()["detail"]


def test_what_somebody_else_does_is_seen_at_once(docker, engine):
    sandbox = docker.start_sandbox()
    name = sandbox["id"]
    for verb, query, status, back in (("pause", "", "PAUSED", "unpause"), ("stop", "?t=1", "PAUSED", "start")):
        engine.do(name, verb, query)
        within(1, lambda s=status: docker.sandbox(name)["status"] == s, f"{verb} is seen")
        assert docker.sandbox(name)["error"] is None
        engine.do(name, back)
        docker.wait_status(name, "RUNNING")
    assert docker.sandbox(name) == sandbox
    engine.do(name, "kill")
    within(1, lambda: docker.sandbox(name)["status"] != "RUNNING", "the kill is seen")
    assert docker.sandbox(name)["session_api_key"] is None
    engine.remove(name)
    within(1, lambda: (docker.sandbox(name) or {"status": "MISSING"})["status"] == "MISSING", "the removal is seen")


def test_an_end_by_itself_is_an_error_and_a_resume_starts_it_again(docker, engine):
    sandbox = docker.start_sandbox()
    os.kill(engine.inspect(sandbox["id"])["State"]["Pid"], signal.SIGKILL)  # its init: nobody asked the engine
    assert docker.wait_error(sandbox["id"], "EXITED")["error"]["exit_code"] == 137
    docker.act("resume", sandbox["id"])
    again = docker.wait_status(sandbox["id"], "RUNNING")
    assert again["session_api_key"] == sandbox["session_api_key"]
    assert ask_agent(again, "/health").status == 200


def test_an_engine_that_is_stopped_and_comes_back(docker, engine):
    sandboxes = [docker.start_sandbox()["id"] for _ in range(2)]
    engine.stop()
    docker.wait_available(False)
    [reason] = [docker.state_of_backend()]
    assert reason["state"] != "open" and str(engine.socket) in str(reason), reason
    for name in sandboxes:
        read_all(docker, name)
    assert_unavailable(docker.post("/api/v1/sandboxes"))
    assert_unavailable(docker.post(f"/api/v1/sandboxes/{sandboxes[0]}/resume"))
    engine.start()
    within(1, lambda: docker.get("/ready").status == 200, "the engine's return is seen")
    # The engine's stop ended both: whether it was asked to is what the engine does not tell.
    for name in sandboxes:
        within(1, lambda n=name: docker.sandbox(n)["status"] in ("PAUSED", "ERROR"), "what is true after the return")
    docker.act("resume", sandboxes[0])
    docker.wait_status(sandboxes[0], "RUNNING")


def test_a_killed_engine_and_what_happened_while_nobody_looked(docker, engine):
    gone, kept = docker.start_sandbox()["id"], docker.start_sandbox()["id"]
    new = docker.prefix + "meanwhile"
    engine.kill()
    docker.wait_available(False)
    docker.kill()
    engine.start()
    engine.remove(gone)
    engine.run(new)
    docker.start()
    wait_until(lambda: {s["id"] for s in docker.everything()} >= {kept, new})
    wait_until(lambda: (docker.sandbox(gone) or {"status": "MISSING"})["status"] == "MISSING")  # once all is listed
    docker.act("resume", kept)
    docker.wait_status(kept, "RUNNING")


def test_a_frozen_engine(docker, engine):
    sandbox = docker.start_sandbox()
    with engine.frozen():
        read_all(docker, sandbox["id"])
        assert docker.sandbox(sandbox["id"])["status"] == "RUNNING"
        docker.wait_available(False)
        assert_unavailable(docker.post("/api/v1/sandboxes"))
        assert docker.sandbox(sandbox["id"])["status"] == "RUNNING", "its agent answers its health check all the same"
    within(1, lambda: docker.get("/ready").status == 200, "the engine goes on, which is seen")
    assert docker.sandbox(sandbox["id"]) == sandbox
    docker.start_sandbox()


def test_a_delete_that_the_engine_never_heard_of_is_done_when_it_is_back(docker, engine):
    sandbox = docker.start_sandbox()
    engine.kill()
    docker.wait_available(False)
    response = docker.delete(f"/api/v1/sandboxes/{sandbox['id']}")
    engine.start()
    docker.wait_available()
    if response.status == 200:  # promised
        assert docker.sandbox(sandbox["id"]) is None
        docker.wait_clean()
    else:
        assert_unavailable(response)
        assert docker.sandbox(sandbox["id"])


def test_a_cut_event_stream_ends_in_a_listing(watched, proxy, engine):
    sandbox = watched.start_sandbox()
    wait_until(lambda: proxy.matching("^GET /events"))
    hold = proxy.rule("^GET /events", "cut before", times=3)
    proxy.cut_all()
    engine.do(sandbox["id"], "pause")
    watched.wait_status(sandbox["id"], "PAUSED")
    wait_until(lambda: hold.applied == 3)
    engine.do(sandbox["id"], "unpause")
    watched.wait_status(sandbox["id"], "RUNNING")


def test_a_suspended_daemon_misses_nothing(docker, engine):
    paused, gone, ended = (docker.start_sandbox() for _ in range(3))
    late = docker.prefix + "late"
    docker.process.send_signal(signal.SIGSTOP)
    try:
        engine.do(paused["id"], "pause")
        engine.remove(gone["id"])
        engine.do(ended["id"], "stop", "?t=0")
        engine.run(late)
    finally:
        docker.process.send_signal(signal.SIGCONT)
    within(1, lambda: docker.sandbox(paused["id"])["status"] == "PAUSED")
    within(1, lambda: docker.sandbox(ended["id"])["status"] == "PAUSED")
    within(1, lambda: (docker.sandbox(gone["id"]) or {"status": "MISSING"})["status"] == "MISSING")
    within(1, lambda: docker.sandbox(late))


def test_a_label_that_no_c_string_can_hold_hides_nothing(docker, engine):
    """The engine repeats the labels of all containers, and takes a zero character in them, of anybody's."""
    sandbox = docker.start_sandbox()
    other = "other-" + docker.prefix
    engine.ask("POST", f"/containers/create?name={other}", {"Image": AGENT_IMAGE, "Cmd": ["/x"], "Labels": {"a": "x\0y"}})
    try:
        engine.do(sandbox["id"], "pause")
        docker.wait_status(sandbox["id"], "PAUSED")
        docker.restart()
        docker.wait_available()
        docker.wait_status(sandbox["id"], "PAUSED")
    finally:
        engine.remove(other)


def test_one_that_publishes_nothing_runs_without_a_check(docker, engine):
    name = f"{docker.prefix}mute"
    engine.run(name)
    assert docker.wait_status(name, "RUNNING")["exposed_urls"] == []
    docker.restart("kill")
    docker.wait_status(name, "RUNNING")
    engine.do(name, "pause")
    docker.wait_status(name, "PAUSED")
    engine.remove(name)


def test_one_that_the_engine_can_not_describe_hides_no_other(make_docker, proxy, engine):
    docker = make_docker()
    docker.options["host"] = proxy.host
    docker.write()
    names = [f"{docker.prefix}{i}" for i in range(3)]
    for name in names:
        engine.run(name, Labels={"sandbox_spec_id": "a/spec"})
    proxy.rule(f"^GET /containers/{names[1]}/json", "500", times=1000)
    docker.start()
    docker.wait_available()
    broken = docker.wait_error(names[1], "BACKEND_REFUSED")
    assert "out of order" in broken["error"]["message"] and broken["sandbox_spec_id"] == "a/spec"
    wait_until(lambda: {s["id"] for s in docker.everything()} == set(names))
    engine.do(names[0], "pause")
    docker.wait_status(names[0], "PAUSED")
    engine.remove(names[1])
    within(1, lambda: (docker.sandbox(names[1]) or {"status": "MISSING"})["status"] == "MISSING")
    assert not re.search("listing its sandboxes failed", docker.log())


def test_one_whose_inspection_hangs_holds_up_no_other(make_docker, proxy, engine):
    """Its own answer never comes; the engine answers on all others. First it is unknown, then it was seen before."""
    docker = make_docker()
    docker.options["host"] = proxy.host
    docker.write()
    names = [f"{docker.prefix}{i}" for i in range(20)]  # more than are asked for at once
    for name in names:
        engine.run(name)
    hung, others, never = names[:2], names[2:], threading.Event()
    rules = [proxy.rule(f"^GET /containers/{name}/json", until=never, times=1000) for name in hung]
    try:
        docker.start()
        within(15, lambda: docker.get("/ready").status == 200, "/ready in spite of those that hang")
        for name in hung:
            error = docker.wait_error(name, "BACKEND_REFUSED")["error"]
            assert name in error["message"] and "has not answered" in error["message"], error
            docker.wait_log(f"warn.*{name}.*has not answered")
        wait_until(lambda: {s["id"] for s in docker.everything()} == set(names))
        for rule in rules:
            rule.until.set()  # what was asked is answered now
        for name in hung:
            docker.wait_status(name, "RUNNING")  # they publish nothing, so that nothing is asked of them
        engine.do(others[0], "pause")
        docker.wait_status(others[0], "PAUSED")
        again = threading.Event()
        proxy.clear()
        late = proxy.rule(f"^GET /containers/{hung[0]}/json", until=again, times=1000)
        engine.do(hung[0], "pause")
        wait_until(lambda: late.applied)
        engine.do(others[1], "pause")
        docker.wait_status(others[1], "PAUSED")
        before = len(proxy.matching("^GET /containers/json"))
        proxy.cut_all()
        wait_until(lambda: len(proxy.matching("^GET /containers/json")) > before)
        within(15, lambda: docker.get("/ready").status == 200, "/ready again")
        assert docker.sandbox(hung[0])["status"] == "RUNNING", "as it was last known"
        again.set()
        docker.wait_status(hung[0], "PAUSED")
    finally:
        never.set()


@pytest.mark.parametrize("fault", ["cut before", "500", "not found"])
def test_a_change_that_could_not_be_looked_at_is_seen_all_the_same(watched, proxy, engine, fault):
    sandbox = watched.start_sandbox()
    page = answer_of(b"404 page not found\n", "404 Not Found", "text/plain")
    options = {"answer": page} if fault == "not found" else {"fault": fault}
    rule = proxy.rule(f"^GET /containers/{sandbox['id']}/json", **options)
    engine.do(sandbox["id"], "pause")
    wait_until(lambda: rule.applied == 1)
    watched.wait_status(sandbox["id"], "PAUSED")


def test_a_listing_that_is_behind_the_events_is_not_believed(watched, proxy, engine):
    """The engine tells of a change before it lists it."""
    sandbox = watched.start_sandbox()
    behind = answer_of(engine.call("GET", "/containers/json?all=1").body)
    later = threading.Event()
    hold = proxy.rule("^GET /version", until=later)
    proxy.cut_all()
    wait_until(lambda: hold.applied)
    engine.do(sandbox["id"], "pause")
    proxy.rule("^GET /containers/json", answer=behind)
    paused = time.time()
    wait_until(lambda: int(time.time()) > int(paused))  # the stream that begins then only repeats the event
    later.set()
    watched.wait_status(sandbox["id"], "PAUSED")


def test_a_resume_before_the_listing_after_a_gap_starts_what_has_ended(watched, proxy, engine):
    sandbox = watched.start_sandbox()
    back, late = threading.Event(), threading.Event()
    gap = proxy.rule("^GET /version", until=back, times=1000)
    listing = proxy.rule("^GET /containers/json", until=late, times=1000)
    proxy.cut_all()
    wait_until(lambda: gap.applied)
    engine.do(sandbox["id"], "kill")
    killed = time.time()
    assert watched.wait_error(sandbox["id"], "UNHEALTHY")
    wait_until(lambda: int(time.time()) > int(killed))  # the stream that begins then only repeats the event
    back.set()
    wait_until(lambda: listing.applied)
    watched.act("resume", sandbox["id"])
    again = watched.wait_status(sandbox["id"], "RUNNING")
    late.set()
    assert again["session_api_key"] == sandbox["session_api_key"] and ask_agent(again, "/health").status == 200


def test_a_name_that_others_use_again_is_seen_again(docker, engine):
    name = docker.prefix + "others"
    for _ in range(3):
        engine.run(name)
        within(1, lambda: docker.sandbox(name), "it is there")
        engine.remove(name)
        within(1, lambda: docker.sandbox(name) is None, "it is gone")


def test_no_read_asks_the_engine(watched, proxy):
    sandbox = watched.start_sandbox()

    def nothing_asked():
        before = len(proxy.calls)
        for _ in range(20):
            read_all(watched, sandbox["id"])
            watched.get("/api/v1/sandbox", headers={"X-Session-API-Key": sandbox["session_api_key"]})
        return {*proxy.calls[before:]} <= {"GET /_ping"}  # the heartbeat
    wait_until(nothing_asked)  # the start's own last events may still be looked at


def test_a_listing_is_one_request_and_one_inspect_for_each_that_it_has_not_seen(make_docker, proxy, engine):
    docker = make_docker()
    docker.options["host"] = proxy.host
    docker.write()
    names = [f"{docker.prefix}{i}" for i in range(4)]
    for name in names:
        engine.run(name)
    made = time.time()
    wait_until(lambda: int(time.time()) > int(made))  # events are asked for from a whole second on
    docker.start()
    wait_until(lambda: len(docker.everything()) == 4)
    assert len(proxy.matching(r"^GET /containers/json")) == 1
    assert len(proxy.matching(r"^GET /containers/[^/]+/json")) == 4
    before = len(proxy.calls)
    proxy.cut_all()  # the next listing
    wait_until(lambda: [c for c in proxy.calls[before:] if c.startswith("GET /containers/json")])
    docker.wait_available()
    engine.do(names[0], "pause")
    docker.wait_status(names[0], "PAUSED")
    # Of the paused one the event tells, and the listing too where it comes later.
    looks = [c for c in proxy.calls[before:] if c in [f"GET /containers/{name}/json" for name in names[1:]]]
    assert not looks, looks


def test_without_an_engine_the_daemon_serves_and_opens_the_backend_when_it_comes(make_docker, engine):
    docker = make_docker().start()
    sandboxes = {docker.start_sandbox()["id"] for _ in range(3)}
    docker.stop()
    engine.stop()
    begin = docker.log_file.stat().st_size
    docker.start()
    wait_until(lambda: {s["id"] for s in docker.everything() if s["status"] == "ERROR"} == sandboxes)
    [told] = wait_until(lambda: re.findall("(?m)^.* warn .*$", docker.log(begin)))
    assert "nothing is known of 3 of its sandboxes" in told
    response = docker.get("/ready")
    assert response.status == 503 and "docker" in response.text
    assert docker.get("/health").status == 200
    assert_unavailable(docker.post("/api/v1/sandboxes"))
    engine.start()
    within(1, lambda: docker.get("/ready").status == 200, "the engine is there, which is seen")
    docker.start_sandbox()
