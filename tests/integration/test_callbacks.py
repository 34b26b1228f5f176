"""events.callbacks are told of each event at least once, in order, signed, over failures, reloads and restarts."""

import contextlib
import json
import sqlite3
import time
import uuid
from pathlib import Path

import pytest

from agents import Reporter, count, metric, start_agent, use_fake_agent
from callback_server import CallbackServer
from fake_agent import event, event_id
from harness import SLOWER, free_port, wait_until


@pytest.fixture
def calling(make_daemon):
    """Makes daemons that tell callbacks of what is reported."""
    def make(*callbacks, **more):
        daemon = make_daemon()
        daemon.config["events"] = {"callbacks": [c.config for c in callbacks], **more}
        daemon.write()
        return daemon.start()
    return make


class Talk:
    """A conversation in a sandbox of its own, with events from 0."""

    def __init__(self, daemon, sandbox=None):
        self.reporter = Reporter(daemon, sandbox or daemon.start_sandbox())
        self.id, self.events = str(uuid.uuid4()), 0

    @property
    def whose(self):
        return self.reporter.sandbox["id"], uuid.UUID(self.id).hex

    def goes_on(self, end):
        """Reports its events up to that one."""
        events = [event(self.id, n) for n in range(self.events, end)]
        assert self.reporter.events(self.id, json.dumps(events)).status == 200
        self.events = end

    def is_told(self, callback, first=0):
        """The callback got these of its events, in order, and no other."""
        wait_until(lambda: len(callback.told().get(self.whose, [])) >= self.events - first)
        assert callback.told()[self.whose] == [event_id(self.id, n) for n in range(first, self.events)]
        assert not callback.wrong


def tell(daemon, callbacks):
    daemon.config["events"]["callbacks"] = [c.config for c in callbacks]
    daemon.write()
    daemon.reload()


def test_events_are_told_signed_and_in_order(calling):
    with CallbackServer(secret="a secret of theirs") as signed, CallbackServer(status=lambda n: 202) as plain:
        daemon = calling(signed, plain)
        one = Talk(daemon)
        same_sandbox, other_sandbox = Talk(daemon, one.reporter.sandbox), Talk(daemon)
        other_sandbox.id = one.id  # who says that a conversation is theirs does not mix it up
        one.goes_on(250)
        same_sandbox.goes_on(3)
        other_sandbox.goes_on(2)
        for callback in signed, plain:
            for talk in one, same_sandbox, other_sandbox:
                talk.is_told(callback)
        one.goes_on(260)
        one.is_told(signed)
        wait_until(lambda: metric(daemon, "sandboxd_callback_events_total", "callbacks[0]") == 265)
        assert sum(len(m.events) for m in signed.came) == 265  # nothing went wrong, so each came once
        told = daemon.log() + daemon.get("/metrics").text
        assert "hush-hush" not in told and "secret of theirs" not in told


def test_what_is_polled_is_told_too(calling):
    with CallbackServer() as callback:
        daemon = calling(callback, polling_interval="200ms")
        use_fake_agent(daemon)
        daemon.write()
        daemon.reload()
        agent, conversation = start_agent(daemon), str(uuid.uuid4())
        agent.has(conversation, 150)
        whose = agent.id, uuid.UUID(conversation).hex
        wait_until(lambda: len(callback.told().get(whose, [])) == 150)
        assert callback.told()[whose] == [event_id(conversation, n) for n in range(150)] and not callback.wrong


def test_what_is_not_taken_is_sent_again_after_growing_times(calling):
    failures = 500, 302, 404, "close"
    with contextlib.ExitStack() as stack:
        callbacks = [stack.enter_context(CallbackServer(status=lambda n, failure=failure: failure if n < 2 else 200))
                     for failure in failures]
        other = stack.enter_context(CallbackServer())
        daemon = calling(other, *callbacks)
        talk = Talk(daemon)
        talk.goes_on(5)
        talk.is_told(other)
        daemon.wait_log(r"callbacks\[4\].* did not take")
        assert metric(daemon, "sandboxd_callback_up", "callbacks[0]") == 1
        assert metric(daemon, "sandboxd_callback_up", "callbacks[4]") == 0
        for number, callback in enumerate(callbacks, 1):
            talk.is_told(callback)
            first, second, third = (m.at for m in callback.came)
            assert second - first > 0.7 and third - second > 1.5
            name = rf"callbacks[{number}]"
            daemon.wait_log(rf"callbacks\[{number}\].* takes events again")
            told = [line for line in daemon.log().splitlines() if name in line and "did not take" in line]
            assert len(told) == 1 and "hush" not in told[0], told
            assert metric(daemon, "sandboxd_callback_failures_total", name) == 2
            assert metric(daemon, "sandboxd_callback_up", name) == 1


def test_a_slow_callback_holds_up_neither_another_nor_a_read(calling):
    with CallbackServer(status=lambda n: "hang") as slow, CallbackServer() as quick:
        daemon = calling(slow, quick)
        talk = Talk(daemon)
        talk.goes_on(1)
        wait_until(lambda: slow.came)
        talk.goes_on(300)
        talk.is_told(quick)
        begun = time.monotonic()
        assert count(daemon) == 300
        assert len(slow.came) == 1  # one message at a time
        assert daemon.stop() == 0 and time.monotonic() - begun < 20  # nor an end; it is given up after 30 s
        daemon.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_place_survives_restarts_and_what_was_missed_is_made_up_for(calling, how):
    port = free_port()
    with CallbackServer(port=port) as callback:
        daemon = calling(callback)
        talk = Talk(daemon)
        talk.goes_on(5)
        talk.is_told(callback)
    talk.goes_on(9)  # nobody listens
    daemon.wait_log("did not take")
    daemon.restart(how)
    with CallbackServer(port=port) as callback:
        talk.is_told(callback, first=5)


def test_a_new_callback_gets_what_comes_from_then_on_and_a_removed_one_loses_its_place(calling):
    with CallbackServer() as first, CallbackServer() as second:
        daemon = calling(first)
        talk = Talk(daemon)
        talk.goes_on(4)
        talk.is_told(first)
        tell(daemon, [second, first])
        talk.goes_on(6)
        talk.is_told(first)
        talk.is_told(second, first=4)
        tell(daemon, [second])
        talk.goes_on(8)
        talk.is_told(second, first=4)
        tell(daemon, [second, first])
        talk.goes_on(9)
        talk.is_told(second, first=4)
        wait_until(lambda: len(first.told()[talk.whose]) == 7)
        assert first.told()[talk.whose][-1] == event_id(talk.id, 8)


def test_a_reload_neither_loses_nor_repeats_and_a_new_secret_counts_at_once(calling):
    with CallbackServer(secret="old") as callback:
        daemon = calling(callback)
        talk = Talk(daemon)
        for number in range(1, 6):
            talk.goes_on(100 * number)
            daemon.reload()
        talk.is_told(callback)
        assert sum(len(m.events) for m in callback.came) == 500
        callback.status = lambda n: 401
        talk.goes_on(501)
        daemon.wait_log("did not take")
        callback.secret, callback.status = "new", lambda n: 200
        tell(daemon, [callback])
        talk.is_told(callback)


def test_a_message_under_way_is_sent_again_with_the_new_secret(calling):
    with CallbackServer(secret="old", status=lambda n: 200 if n else "hang") as callback:
        daemon = calling(callback)
        talk = Talk(daemon)
        talk.goes_on(1)
        wait_until(lambda: callback.came)
        callback.secret = "new"
        tell(daemon, [callback])
        talk.is_told(callback)
        assert metric(daemon, "sandboxd_callback_failures_total") == 0


def test_what_is_too_old_is_let_go_and_what_a_callback_missed_by_that_is_counted(calling):
    port = free_port()
    with CallbackServer(port=port) as callback:
        daemon = calling(callback)
        talk = Talk(daemon)
        talk.goes_on(2)
        talk.is_told(callback)
    talk.events = 0
    talk.goes_on(12)  # two of them again
    daemon.wait_log("did not take")
    daemon.stop()
    with contextlib.closing(sqlite3.connect(Path(daemon.config["state_dir"], "sandboxd.db"))) as database:
        database.execute("UPDATE events SET arrived_us = 1 WHERE seq <= 10")
        database.commit()
    daemon.start()
    wait_until(lambda: metric(daemon, "sandboxd_callback_dropped_events_total") == 8)
    assert len([line for line in daemon.log().splitlines() if "are dropped" in line]) == 1
    assert count(daemon) == 2
    with CallbackServer(port=port) as callback:
        talk.is_told(callback, first=10)


class RefusingServer(CallbackServer):
    """Refuses what some sandboxes say."""

    refused = ()

    def status_of(self, message, _):
        return 500 if message.sandbox in self.refused else 200


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_sandbox_whose_events_are_never_taken_holds_up_itself_alone(calling, how):
    with RefusingServer() as callback:
        daemon = calling(callback)
        bad, good, free = Talk(daemon), Talk(daemon), Talk(daemon)
        callback.refused = {bad.reporter.sandbox["id"]}
        for end in (1, 3, 150):
            bad.goes_on(end)
            good.goes_on(end)
            good.is_told(callback)
        assert metric(daemon, "sandboxd_callback_up") == 0
        daemon.restart(how)
        good.goes_on(600)
        bad.goes_on(600)
        good.goes_on(601)
        good.is_told(callback)
        assert bad.whose not in callback.told()
        callback.refused = ()
        bad.is_told(callback)
        free.goes_on(1)
        free.is_told(callback)
        daemon.wait_log("takes events again")
        assert metric(daemon, "sandboxd_callback_up") == 1
        assert len([line for line in daemon.log().splitlines() if "did not take" in line]) <= 2


def test_what_a_sandbox_that_was_held_up_lost_is_counted(calling):
    with RefusingServer() as callback:
        daemon = calling(callback)
        bad, good = Talk(daemon), Talk(daemon)
        callback.refused = {bad.reporter.sandbox["id"]}
        for talk, end in ((bad, 5), (good, 5), (bad, 12)):
            talk.goes_on(end)
        good.is_told(callback)
        wait_until(lambda: len([m for m in callback.came if m.sandbox in callback.refused]) > 1)
        daemon.stop()
        with contextlib.closing(sqlite3.connect(Path(daemon.config["state_dir"], "sandboxd.db"))) as database:
            database.execute("UPDATE events SET arrived_us = 1 WHERE seq <= 13")
            database.commit()
        daemon.start()
        wait_until(lambda: metric(daemon, "sandboxd_callback_dropped_events_total") == 8)
        callback.refused = ()
        bad.is_told(callback, first=8)
        good.goes_on(6)
        good.is_told(callback)
