"""Without public_url agent servers are polled: what is new is mirrored once, in order; who misbehaves hurts nobody."""

import time
import uuid
from pathlib import Path

import pytest

from agents import (FAKE_AGENT, check_events, count, metric, pages, start_agent, stored_events,
                    use_fake_agent, wait_count)
from harness import SLOWER, alive, wait_until


@pytest.fixture
def polling(make_daemon):
    """Makes daemons that poll fake agents."""
    def make(interval="300ms", **more):
        daemon = make_daemon()
        use_fake_agent(daemon)
        daemon.config["events"] = {"polling_interval": interval, **more}
        daemon.write()
        return daemon.start()
    return make


def new_id():
    return str(uuid.uuid4())


def test_conversations_and_events_are_mirrored(polling):
    daemon = polling()
    agent, conversation, empty = start_agent(daemon), new_id(), new_id()
    agent.control(conversations={conversation: {"events": 3, "title": "one"}, empty: {}})
    wait_count(daemon, 3)
    check_events(daemon, conversation, 3)
    listed = {c["id"]: c for c in pages(daemon, "/api/v1/conversations/search?")}
    assert set(listed) == {conversation, empty} and listed[conversation]["title"] == "one"
    agent.has(conversation, 7, title="two")
    wait_count(daemon, 7)
    check_events(daemon, conversation, 7)
    wait_until(lambda: {c["title"] for c in pages(daemon, "/api/v1/conversations/search?")} == {"two", ""})
    more = {new_id(): {"events": 1} for _ in range(110)}  # a second page
    agent.control(conversations=more)
    wait_count(daemon, 117)
    assert {c["id"] for c in pages(daemon, "/api/v1/conversations/search?")} == {conversation, empty, *more}


def test_a_new_conversation_is_seen_within_seconds_at_the_default_interval(polling):
    daemon = polling("15s")
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 1)
    wait_count(daemon, 1, timeout=10)


def test_thousands_of_events_are_read_page_by_page_and_then_only_what_is_new(polling):
    daemon = polling()
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 5050)
    wait_count(daemon, 5050)
    check_events(daemon, conversation, 5050)
    agent.control(clear=True)
    agent.has(conversation, 5060)
    wait_count(daemon, 5060)
    asked = [a for a in agent.control()["asked"] if "events/search" in a]
    assert asked and all("page_id=5000" in a for a in asked), asked
    assert metric(daemon, "sandboxd_events_stored_total") == 5060


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_after_a_restart_nothing_is_missing_or_there_twice(polling, how):
    daemon = polling()
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 2500)
    wait_until(lambda: count(daemon) > 300)
    getattr(daemon, how)()
    agent.has(conversation, 2700)
    daemon.start()
    wait_count(daemon, 2700)
    check_events(daemon, conversation, 2700)
    agent.control(clear=True)
    daemon.restart(how)
    agent.has(conversation, 2701)
    wait_count(daemon, 2701)
    assert any("timestamp__gte=" in a for a in agent.control()["asked"])


def next_searches(agent, number):
    """Of what the agent is asked from now on, the searches for events among the first `number`."""
    agent.control(clear=True)
    asked = wait_until(lambda: len(found := agent.control()["asked"]) >= number and found)
    return [a for a in asked if "events/search" in a]


def test_a_conversation_is_read_again_only_once_it_has_changed(polling):
    daemon = polling("100ms")
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 3)
    wait_count(daemon, 3)
    wait_until(lambda: not next_searches(agent, 4), what="nothing asked but for conversations")
    agent.has(conversation, 5)
    wait_count(daemon, 5)
    wait_until(lambda: not next_searches(agent, 4), what="nothing asked but for conversations")
    agent.control(mode="undated")  # it does not say when they change
    wait_until(lambda: len(next_searches(agent, 20)) >= 8)


def test_large_events_come_in_smaller_pages(polling):
    daemon = polling()
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 30, size=300_000)
    wait_count(daemon, 30)
    assert [len(e["text"]) for e in stored_events(daemon, conversation)] == [300_000] * 30


def test_many_agents_are_asked_at_once_and_slow_ones_hold_up_nobody(polling):
    daemon = polling()
    slow = [start_agent(daemon) for _ in range(5)]
    for agent in slow:
        agent.control(mode="hang")
    quick, conversation = start_agent(daemon), new_id()
    begun = time.monotonic()
    for number in range(1, 6):
        quick.has(conversation, number)
        wait_count(daemon, number)
    assert time.monotonic() - begun < 15  # the slow ones are given up after 20 s


@pytest.mark.parametrize("mode", ["garbage", "huge", "no_page", "same_page", "endless", "strings"])
def test_a_hostile_agent_is_bounded_and_told_once(polling, mode):
    daemon = polling("100ms")
    hostile, bad = start_agent(daemon), new_id()
    hostile.control(mode=mode)
    hostile.has(bad, 3)
    good, conversation = start_agent(daemon), new_id()
    good.has(conversation, 200)
    wait_count(daemon, 200, conversation)
    daemon.wait_log(rf"(?m)^.*warn.*{hostile.id}")
    good.has(conversation, 400)
    wait_count(daemon, 400, conversation)
    wait_until(lambda: metric(daemon, "sandboxd_agent_polls_total") > 10)
    told = [line for line in daemon.log().splitlines() if hostile.id in line and "warn" in line]
    assert len(told) == 1, told
    if mode in ("same_page", "strings", "endless"):
        wait_count(daemon, 3, bad)  # what was right in it
    if mode in ("garbage", "huge", "no_page"):
        assert metric(daemon, "sandboxd_agent_poll_failures_total") > 0
    assert daemon.status("VmHWM") < 200_000 * SLOWER


def unread(port):
    """Open connections to the port with a request that nobody has read yet (proc(5), net/tcp)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [line for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "01"
            and not line[4].endswith(":00000000")]


def test_a_paused_sandbox_is_not_asked(polling):
    daemon = polling()
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 1)
    wait_count(daemon, 1)
    daemon.act("pause", agent.id)
    daemon.wait_status(agent.id, "PAUSED")
    other = start_agent(daemon)
    wait_until(lambda: other.control()["asked"] and not unread(agent.port))  # what was under way was given up
    other.control(clear=True)

    def only_the_other_is_asked():
        assert not unread(agent.port)
        return len(other.control()["asked"]) >= 4
    wait_until(only_the_other_is_asked)
    daemon.act("resume", agent.id)
    daemon.wait_status(agent.id, "RUNNING")
    agent.has(conversation, 2)
    wait_count(daemon, 2)
    assert metric(daemon, "sandboxd_agent_poll_failures_total") == 0


def test_a_program_that_is_no_agent_server_is_no_warning(make_daemon):
    daemon = make_daemon()
    daemon.config["events"] = {"polling_interval": "200ms"}
    daemon.write()
    daemon.start()
    daemon.start_sandbox()
    wait_until(lambda: metric(daemon, "sandboxd_agent_poll_failures_total"))
    assert "warn" not in daemon.log()


def let_pass(daemon, checks):
    """So many health checks, of which there are three for each poll."""
    enough = metric(daemon, "sandboxd_health_checks_total") + checks
    wait_until(lambda: metric(daemon, "sandboxd_health_checks_total") >= enough, what=f"{checks} health checks")


def test_public_url_ends_the_polling_and_its_removal_begins_it(polling):
    daemon = polling()
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 1)
    wait_count(daemon, 1)
    pid = agent.control()["pid"]
    daemon.config["server"]["public_url"] = "http://127.0.0.1:9"
    daemon.write()
    daemon.reload()
    let_pass(daemon, 10)  # and with them what was under way
    agent.control(clear=True)
    agent.has(conversation, 2)
    let_pass(daemon, 10)
    assert agent.control()["asked"] == []
    del daemon.config["server"]["public_url"]
    daemon.write()
    daemon.reload()
    wait_count(daemon, 2)
    assert alive(pid)


def test_the_session_key_is_in_no_log(polling):
    daemon = polling()
    agent, conversation = start_agent(daemon), new_id()
    agent.has(conversation, 1)
    agent.control(mode="garbage")
    daemon.wait_log(rf"(?m)^.*warn.*{agent.id}")
    assert agent.sandbox["session_api_key"] not in daemon.log() and FAKE_AGENT.exists()
