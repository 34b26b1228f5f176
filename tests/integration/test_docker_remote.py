"""The remote backend of one daemon against the runtime API of another, whose sandboxes are containers: a whole life,
restarts of either, and a far one that is killed in the middle of each call, stands still, is late or makes no sense."""

import contextlib
import signal
from http.client import HTTPException

import pytest

from daemon_pair import ADMIN, BROKEN, VERBS, Killer, at_once, impatient, live_broken, live_late, reach, url_of
from docker_engine import ask_agent
from harness import wait_until

# What happens when the far one has the call: it dies so many milliseconds later, or once it has carried it out.
MOMENTS = [0, 10, 100, "done"]


@pytest.fixture
def make_docker_pair(make_pair, make_docker):
    def use_default_ports(config):
        del config["backends"]["docker"]["options"]["exposed_ports"]

    def make(change_near=lambda config: None):
        def bring_command(config):
            config["specs"][0]["command"] = ["/sandbox-agent", "--port", "60000"]
            change_near(config)
        return make_pair(make_docker, change_far=use_default_ports, change_near=bring_command)
    return make


@pytest.fixture
def pair(make_docker_pair):
    return make_docker_pair()


def test_a_whole_life(pair, engine):
    sandbox = pair.start()
    pair.wait_same("RUNNING")
    [container] = pair.programs()
    reach(sandbox)
    assert [url["name"] for url in sandbox["exposed_urls"]] == ["AGENT_SERVER", "WORKER_1", "WORKER_2"]
    for verb, status, state in (("pause", "PAUSED", "paused"), ("resume", "RUNNING", "running")):
        pair.near.act(verb, sandbox["id"], ADMIN)
        assert engine.state(container) == state
        pair.wait_same(status)
    after = pair.near.sandbox(sandbox["id"], ADMIN)
    assert (after["session_api_key"], url_of(after)) == (sandbox["session_api_key"], url_of(sandbox))
    reach(after)
    pair.near.remove_sandbox(sandbox["id"], ADMIN)
    pair.wait_nothing()


def test_what_ends_there_says_why_here(pair):
    sandbox = pair.start()
    with contextlib.suppress(HTTPException):  # the answer may not get out any more
        ask_agent(sandbox, "/exit?code=9", "POST")

    def error():
        return pair.near.wait_status(sandbox["id"], "ERROR", ADMIN)["error"]
    wait_until(lambda: error()["code"] == "EXITED")  # at first its health check may have told of it
    assert "9" in error()["message"], error()
    pair.act("delete", sandbox["id"])
    pair.wait_nothing()


@pytest.mark.parametrize("who", ["near", "far"])
def test_after_a_restart_of_either_all_is_as_before(pair, who):
    runs, paused = pair.start(), pair.start()
    pair.act("pause", paused["id"])
    containers = pair.programs()
    for how in ("stop", "kill"):
        getattr(pair, who).restart(how)
        pair.wait_found()
        pair.wait_same("PAUSED", "RUNNING")
    pair.act("resume", paused["id"])
    pair.wait_same("RUNNING", "RUNNING")
    assert pair.programs() == containers
    for sandbox in runs, paused:
        after = pair.near.sandbox(sandbox["id"], ADMIN)
        assert after["session_api_key"] == sandbox["session_api_key"]
        reach(after)


@pytest.mark.parametrize("verb", VERBS)
def test_the_far_one_is_killed_in_the_middle_of_a_call(make_docker_pair, verb):
    def live(pair, moment):
        with Killer(pair) as killer:
            if moment == "done":
                pair.proxy.rule(VERBS[verb], "cut after", answered=killer.kill)
            else:
                pair.proxy.rule(VERBS[verb], sent=lambda: killer.kill(moment))
            pair.live()
    at_once(make_docker_pair, MOMENTS, live)


def test_the_far_one_stands_still_in_the_middle_of_a_call(make_docker_pair):
    def live(pair, verb):
        live_late(pair, verb, "sent", signal.SIGSTOP, signal.SIGCONT)
    at_once(make_docker_pair, VERBS, live, change_near=impatient)


def test_the_far_one_answers_when_nobody_waits_any_more(make_docker_pair):
    at_once(make_docker_pair, VERBS, lambda pair, verb: live_late(pair, verb, "answered"), change_near=impatient)


def test_what_the_far_one_says_is_broken(make_docker_pair):
    at_once(make_docker_pair, list(BROKEN)[::4], live_broken)  # all of them: test_far_end_fails
