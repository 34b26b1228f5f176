"""A copy of the process backend's state beside the original: as when a backup is restored on the same machine. Only
`backends/` is copied, so that the core has no reason to refuse it. What belongs to the original lives on."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import Client, alive, wait_until


def control_dir(daemon, sandbox):
    return Path(daemon.config["state_dir"], "backends/local", sandbox["id"])


def copy_of(make_daemon, original, flags):
    """A daemon, not yet started, with a copy of the backend's state and the same folder for sandboxes."""
    copy = make_daemon()
    copy.config["backends"]["local"]["options"]["base_working_dir"] = str(original.sandboxes)
    copy.write()
    state = Path(copy.config["state_dir"])
    state.mkdir(mode=0o700)
    subprocess.run(["cp", flags, Path(original.config["state_dir"], "backends"), state], check=True)
    return copy


def pid_of(sandbox):
    [url] = [u["url"] for u in sandbox["exposed_urls"] if u["name"] == "AGENT_SERVER"]
    with Client(url.removeprefix("http://").replace("localhost", "127.0.0.1")) as client:
        return client.get("/whoami").json()["pid"]


@pytest.mark.parametrize("flags", ["-a", "-al"], ids=["copied", "linked"])
def test_the_originals_sandboxes_are_not_touched(make_daemon, flags):
    original = make_daemon().start()
    running, ended = original.start_sandbox(), original.start_sandbox()
    os.kill(pid_of(ended), signal.SIGKILL)
    original.wait_status(ended["id"], "ERROR")
    pid = pid_of(running)
    copy = copy_of(make_daemon, original, flags).start()
    for sandbox in (running, ended):
        seen = copy.wait_status(sandbox["id"], "ERROR")
        assert seen["error"]["code"] == "STATE_COPIED"
        if sandbox is running or flags == "-a":
            assert "is a copy" in seen["error"]["message"]
        assert str(control_dir(original, sandbox)) in seen["error"]["message"]
        refused = copy.post(f"/api/v1/sandboxes/{sandbox['id']}/resume")
        assert refused.status == 409 and refused.json()["error"]["code"] == "STATE_COPIED"
    assert pid_of(running) == pid
    for sandbox in (running, ended):
        copy.remove_sandbox(sandbox["id"])
        wait_until(lambda path=control_dir(copy, sandbox): not path.exists(), what="the copy's record is gone")
        assert (original.sandboxes / sandbox["id"]).is_dir()
    assert copy.stop() == 0
    assert pid_of(running) == pid and original.sandbox(running["id"]) == running
    original.act("resume", ended["id"])
    original.wait_status(ended["id"], "RUNNING")


def test_without_the_original_it_is_nobodys_copy(make_daemon):
    original = make_daemon().start()
    sandbox = original.start_sandbox()
    pid = pid_of(sandbox)
    copy = copy_of(make_daemon, original, "-a")
    original.kill()
    shutil.rmtree(original.config["state_dir"])  # its supervisor lives on, in a folder that is gone
    copy.start()
    seen = copy.wait_status(sandbox["id"], "ERROR")
    assert seen["error"]["code"] == "STATE_COPIED" and "(pid " in seen["error"]["message"]
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: copy.post(f"/api/v1/sandboxes/{sandbox['id']}/resume").status == 200)
    copy.wait_status(sandbox["id"], "RUNNING")
    copy.remove_sandbox(sandbox["id"])
    original.wait_clean()


def test_a_backup_that_is_restored_in_its_place_ends_what_it_left(make_daemon):
    daemon = make_daemon().start()
    sandbox = daemon.start_sandbox()
    pid = pid_of(sandbox)
    state = Path(daemon.config["state_dir"])
    subprocess.run(["cp", "-a", state, state.with_name("backup")], check=True)
    daemon.kill()
    shutil.rmtree(state)
    state.with_name("backup").rename(state)
    daemon.start()
    daemon.wait_status(sandbox["id"], "ERROR")
    wait_until(lambda: not alive(pid), what="what ran is ended")
    daemon.act("resume", sandbox["id"])
    daemon.wait_status(sandbox["id"], "RUNNING")
