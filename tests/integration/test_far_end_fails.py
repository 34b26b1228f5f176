"""The remote backend of one daemon against the runtime API of another that is killed at many moments of each call,
stands still (SIGSTOP), answers late or says what makes no sense: what was promised is done, and in the end both have
the same sandboxes, one for a session, and nothing else."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from daemon_pair import (ADMIN, BATCH, BROKEN, CALLS, VERBS, Killer, at_once, check_error, impatient, live_broken,
                         live_late)
from harness import SANITIZED, SLOWER, process_state, wait_until

# Milliseconds from the far one having a call to its death: what it does of it takes some 20.
MOMENTS = [0, 1, 2, 4, 8, 16]

# ---- it dies


@pytest.mark.parametrize("call", CALLS)
def test_it_is_killed_while_it_carries_out(make_pair, call):
    def live(pair, moment):
        with Killer(pair) as killer:
            pair.proxy.rule(CALLS[call], sent=lambda: killer.kill(moment))
            pair.live()
    at_once(make_pair, MOMENTS, live)


def test_it_has_done_it_and_dies_before_it_says_so(make_pair):
    def live(pair, verb):
        with Killer(pair) as killer:
            pair.proxy.rule(VERBS[verb], "cut after", answered=killer.kill)
            pair.live()
    at_once(make_pair, VERBS, live)


def test_many_starts_and_ends_while_it_dies_again_and_again(pair):
    count, deaths = (6, 2) if SANITIZED else (16, 5)
    over = threading.Event()

    def one(_):
        sandbox = pair.start()
        pair.act("pause", sandbox["id"])
        pair.act("resume", sandbox["id"])
        return sandbox["id"]

    def die():
        for death in range(deaths):
            seen = len(pair.proxy.calls)
            wait_until(lambda seen=seen, death=death: over.is_set() or len(pair.proxy.calls) >= seen + 9 + 5 * death)
            pair.far.restart("kill")

    with ThreadPoolExecutor(count + 1) as pool:
        dying = pool.submit(die)
        ids = list(pool.map(one, range(count)))
        over.set()
        dying.result()
    pair.wait_found()
    pair.wait_same(*["RUNNING"] * count)
    assert {s["id"] for s in pair.near_all()} == set(ids)
    assert len(pair.programs()) == count
    pair.delete_all()


# ---- it is away

CHANGES = "|".join(VERBS[verb] for verb in ("start", "pause", "resume"))


def quickest(read, times=3):
    """Seconds: what holds up each of them, and not what a busy machine does to one."""
    took = []
    for _ in range(times):
        begun = time.monotonic()
        read()
        took.append(time.monotonic() - begun)
    return min(took)


@pytest.mark.parametrize("how", ["dead", "standing still"])
def test_deletions_promised_while_it_is_away_are_done_when_it_is_back(make_pair, how):
    pair = make_pair(change_near=impatient)
    stays, paused, *go = (pair.start() for _ in range(4))
    pair.act("pause", paused["id"])
    if how == "dead":
        pair.far.kill()
    else:
        os.kill(pair.far.pid, signal.SIGSTOP)
        wait_until(lambda: process_state(pair.far.pid) == "T")
    for sandbox in go:
        pair.near.remove_sandbox(sandbox["id"], ADMIN)  # it has not been noticed yet
    error = pair.wait_lost()
    assert "runtime API" in str(error), error
    for restart in (False, True):
        if restart:
            pair.near.restart("kill")
        seen = {s["id"]: s for s in pair.near_all()}
        assert quickest(pair.near_all) < 0.5 * SLOWER, "reads wait for the far end"
        if restart:  # nothing was heard of them since
            assert {s["error"]["code"] for s in seen.values()} == {"BACKEND_UNAVAILABLE"}
            assert set(seen) == {stays["id"], paused["id"]}
        else:
            assert {i: s["status"] for i, s in seen.items()} == {stays["id"]: "RUNNING", paused["id"]: "PAUSED"}
            assert seen[stays["id"]]["session_api_key"] == stays["session_api_key"]
        asked = len(pair.proxy.matching(CHANGES))
        for path in ("/api/v1/sandboxes", f"/api/v1/sandboxes/{stays['id']}/pause",
                     f"/api/v1/sandboxes/{paused['id']}/resume"):
            response = pair.near.post(path, headers=ADMIN)
            check_error(response)
            assert response.status == 503, response
        assert len(pair.proxy.matching(CHANGES)) == asked, "a far end that is known to be away was asked"
    if how == "dead":
        pair.far.start()
    else:
        os.kill(pair.far.pid, signal.SIGCONT)
    pair.wait_found()
    pair.wait_same("RUNNING", "PAUSED")
    pair.act("resume", paused["id"])
    pair.wait_same("RUNNING", "RUNNING")
    assert len(pair.programs()) == 2


# ---- it is late


def test_it_stands_still_in_the_middle_of_a_call(make_pair):
    """Then it goes on, with what it had been asked for."""
    def live(pair, verb):
        live_late(pair, verb, "sent", signal.SIGSTOP, signal.SIGCONT)
    at_once(make_pair, VERBS, live, change_near=impatient)


def test_it_answers_when_nobody_waits_any_more(make_pair):
    at_once(make_pair, VERBS, lambda pair, verb: live_late(pair, verb, "answered"), change_near=impatient)


def test_answers_that_come_late_change_nothing_that_was_done_meanwhile(make_pair):
    """A listing answers what was so before a pause, after the pause."""
    pair = make_pair(change_near=lambda config: config["backends"]["far"]["options"].update(timeout="20s"))
    sandbox = pair.start()
    gate = threading.Event()
    answered = threading.Event()

    def hold():
        answered.set()
        gate.wait(60)
    pair.proxy.rule(BATCH, answered=hold)
    assert answered.wait(20 * SLOWER)  # it says RUNNING
    pair.near.act("pause", sandbox["id"], ADMIN)
    assert pair.near.sandbox(sandbox["id"], ADMIN)["status"] == "PAUSED"
    seen = len(pair.proxy.matching(BATCH))
    gate.set()
    while len(pair.proxy.matching(BATCH)) == seen:
        assert pair.near.sandbox(sandbox["id"], ADMIN)["status"] == "PAUSED"
    pair.wait_same("PAUSED")


# ---- it makes no sense


def test_what_it_says_is_broken(make_pair):
    at_once(make_pair, BROKEN, live_broken)
