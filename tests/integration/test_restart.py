"""After SIGTERM or SIGKILL and a start, everything is as it was, and what was promised is done."""

import contextlib
import http.client
import os
import signal
from pathlib import Path

import pytest

from harness import Client, alive, paths_below, wait_until

BOTH = pytest.mark.parametrize("how", ["stop", "kill"])


def whoami(sandbox):
    url = sandbox["exposed_urls"][0]["url"].removeprefix("http://").replace("localhost", "127.0.0.1")
    with Client(url) as client:
        return client.get("/whoami").json()


@BOTH
def test_the_same_sandboxes_are_there(daemon, how):
    running, paused = daemon.start_sandbox(), daemon.start_sandbox()
    pid = whoami(running)["pid"]
    daemon.act("pause", paused["id"])
    frozen = daemon.wait_status(paused["id"], "PAUSED")
    daemon.restart(how)
    assert daemon.sandbox(paused["id"]) == frozen
    assert daemon.wait_status(running["id"], "RUNNING") == running
    assert whoami(running)["pid"] == pid, "the program went on"
    daemon.act("resume", paused["id"])
    assert daemon.wait_status(paused["id"], "RUNNING") == paused


def test_sigterm_leaves_sandboxes_alone_and_exits_0(daemon):
    sandbox = daemon.start_sandbox()
    pid = whoami(sandbox)["pid"]
    assert daemon.stop() == 0
    assert alive(pid) and whoami(sandbox)["pid"] == pid
    daemon.start()


@BOTH
def test_an_exit_while_the_daemon_was_down_is_noticed(daemon, how):
    sandbox, other = daemon.start_sandbox(), daemon.start_sandbox()
    pid = whoami(sandbox)["pid"]
    getattr(daemon, how)()
    url = sandbox["exposed_urls"][0]["url"].removeprefix("http://").replace("localhost", "127.0.0.1")
    with Client(url) as client, contextlib.suppress(http.client.RemoteDisconnected):
        client.post("/exit?code=9")
    wait_until(lambda: not alive(pid))
    daemon.start()
    failed = daemon.wait_status(sandbox["id"], "ERROR")
    assert failed["error"]["code"] == "EXITED" and failed["error"]["exit_code"] in (9, None, -1)
    daemon.act("resume", sandbox["id"])
    assert daemon.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == sandbox["session_api_key"]
    assert daemon.wait_status(other["id"], "RUNNING") == other


@BOTH
def test_a_promised_deletion_is_finished(make_daemon, how):
    daemon = make_daemon()
    daemon.local["options"]["stop_timeout"] = "30s"
    daemon.add_spec("stubborn", "--ignore-term")
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("stubborn")
    daemon.remove_sandbox(sandbox["id"])
    # What is begun takes 30 s to be forced: the daemon goes before that.
    daemon.local["options"]["stop_timeout"] = "200ms"
    daemon.config["server"]["drain_timeout"] = "200ms"
    daemon.write()
    if how == "stop":
        daemon.process.kill()  # a drain would wait for it; what counts here is the next start in good order
        daemon.process.wait()
        daemon.start()
        daemon.restart()
    else:
        daemon.restart("kill")
    assert daemon.sandbox(sandbox["id"]) is None, "hidden from the first read on"
    daemon.wait_clean()


def test_owners_and_keys_survive(make_daemon):
    daemon = make_daemon()
    keys = {user: f"{user}-{'k' * 20}" for user in ("ann", "bob", "ops")}
    daemon.config["auth"] = {"keys": [{"user": u, "key": k, **({"role": "admin"} if u == "ops" else {})}
                                      for u, k in keys.items()]}
    daemon.write()
    daemon.start()
    ann, bob, ops = ({"Authorization": f"Bearer {keys[u]}"} for u in ("ann", "bob", "ops"))
    daemon.finish_headers = ops
    sandbox = daemon.start_sandbox(headers=ann)
    daemon.restart("kill")
    assert daemon.wait_status(sandbox["id"], "RUNNING", headers=ann) == sandbox
    assert daemon.sandbox(sandbox["id"], headers=bob) is None
    assert daemon.sandbox(sandbox["id"], headers=ops)["created_by_user_id"] == "ann"


def test_errors_survive(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("dies", command=["/bin/sh", "-c", "echo why; exit 7", "{port}"])
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("dies", status="ERROR")
    daemon.restart()
    again = daemon.wait_status(sandbox["id"], "ERROR")
    assert again["error"]["exit_code"] == 7 and "why" in again["error"]["log_tail"]


def test_a_start_cut_off_is_adopted_or_removed_and_never_starting_for_ever(make_daemon):
    daemon = make_daemon()
    daemon.local["startup_timeout"] = "3s"
    daemon.add_spec("slow", "--bind-delay", 1000)
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("slow", wait=None, status="STARTING")
    daemon.restart("kill")
    wait_until(lambda: (s := daemon.sandbox(sandbox["id"])) is None or s["status"] in ("RUNNING", "ERROR"))


def test_a_recycled_pid_is_not_mistaken_for_a_sandbox(daemon):
    """The records of a sandbox may name a pid that is another program's by now: it is not touched."""
    sandbox = daemon.start_sandbox()
    daemon.kill()
    for pid in daemon.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not daemon.processes())
    daemon.start()
    failed = daemon.wait_status(sandbox["id"], "ERROR")
    assert failed["error"]["code"]
    daemon.remove_sandbox(sandbox["id"])
    daemon.wait_clean()


@pytest.mark.parametrize("what", ["pause", "stop", "remove"])
def test_on_shutdown(make_daemon, what):
    daemon = make_daemon()
    daemon.local["options"]["on_shutdown"] = what
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox()
    pid = whoami(sandbox)["pid"]
    assert daemon.stop() == 0
    if what == "pause":
        assert alive(pid)
    else:
        assert not alive(pid)
    if what == "remove":
        assert daemon.leftovers() == []
    daemon.start()
    if what == "remove":
        assert daemon.everything() == []
    else:
        assert daemon.sandbox(sandbox["id"])["status"] == "PAUSED"
        daemon.act("resume", sandbox["id"])
        assert daemon.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == sandbox["session_api_key"]
        daemon.remove_sandbox(sandbox["id"])
        daemon.wait_clean()


def test_a_second_daemon_on_the_same_state_is_refused(daemon, make_daemon):
    second = make_daemon()
    second.config["state_dir"] = daemon.config["state_dir"]
    second.write()
    second.spawn()
    assert second.process.wait(20) == 1
    assert "state" in second.log() and str(daemon.config["state_dir"]) in second.log()


def test_state_is_private(daemon):
    daemon.start_sandbox()
    state = Path(daemon.config["state_dir"])
    found = [(state, state.lstat()), *paths_below(state, lambda path: (path, path.lstat()))]
    assert len(found) > 5
    for path, about in found:
        assert about.st_mode & 0o077 == 0, f"{path} is {about.st_mode & 0o777:o}"
