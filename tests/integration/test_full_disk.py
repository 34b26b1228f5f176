"""A disk that is full can be emptied through the daemon: deletions work, also after a restart, and all works again then."""

import os
import subprocess

import pytest

from harness import wait_until

MIB = 1 << 20


@pytest.fixture
def disk(make_daemon):
    """A daemon whose state and sandboxes are on one file system of 64 MiB."""
    daemon = make_daemon()
    daemon.disk = daemon.directory / "disk"
    daemon.disk.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", daemon.disk],
                             capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"can't mount: {mounted.stderr.decode().strip()}")
    (daemon.disk / "sandboxes").mkdir(mode=0o700)
    daemon.config["state_dir"] = str(daemon.disk / "state")
    daemon.local["options"]["base_working_dir"] = str(daemon.disk / "sandboxes")
    daemon.write()
    try:
        yield daemon
        if daemon.process.poll() is None:
            daemon.remove_all()
            daemon.wait_clean()
            daemon.stop()
    finally:
        subprocess.run(["umount", "-l", daemon.disk], check=True)


def fill(daemon, sandbox):
    """As an agent does: into its own folder, until nothing is left."""
    folder = next(path for path in (daemon.disk / "sandboxes").iterdir() if sandbox["id"] in path.name)
    with open(folder / "filler", "ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass


def ballast(daemon):
    file = daemon.disk / "state/sandboxd.ballast"
    return file.stat().st_size if file.exists() else 0


def metric(daemon, name):
    return next(int(line.split()[1]) for line in daemon.get("/metrics").text.splitlines() if line.startswith(name + " "))


def refused(daemon):
    answer = daemon.post("/api/v1/sandboxes?wait=5s")
    assert answer.status == 503, answer
    assert answer.json()["error"]["code"] == "NO_SPACE" and str(daemon.disk / "state") in answer.json()["detail"]


def test_a_full_disk_is_emptied_through_the_daemon(disk):
    daemon = disk.start()
    sandboxes = [daemon.start_sandbox() for _ in range(5)]
    wait_until(lambda: ballast(daemon) == 4 * MIB, what="the ballast")
    fill(daemon, sandboxes[0])
    answer = daemon.post("/api/v1/sandboxes?wait=5s")  # this one may find it out
    assert answer.status == 503 and answer.json()["error"]["code"] == "NO_SPACE", answer
    refused(daemon)
    ready = daemon.get("/ready")
    assert ready.status == 503 and str(daemon.disk / "state") in ready.json()["detail"]
    assert metric(daemon, "sandboxd_store_full") == 1
    daemon.wait_log(f"the disk of {daemon.disk / 'state'} is full")

    daemon.remove_sandbox(sandboxes[1]["id"])
    fill(daemon, sandboxes[0])
    daemon.restart("kill")
    daemon.remove_sandbox(sandboxes[2]["id"])
    fill(daemon, sandboxes[0])
    daemon.restart()
    assert {s["id"] for s in daemon.everything()} == {sandboxes[i]["id"] for i in (0, 3, 4)}
    fill(daemon, sandboxes[0])
    wait_until(lambda: daemon.get("/ready").status == 503, what="that it is full after the restart, too")
    refused(daemon)

    daemon.remove_sandbox(sandboxes[0]["id"])  # with all that was in its folder
    wait_until(lambda: daemon.get("/ready").status == 200, what="room")
    assert ballast(daemon) == 4 * MIB and metric(daemon, "sandboxd_store_full") == 0
    daemon.wait_log(f"the disk of {daemon.disk / 'state'} has room again")
    daemon.start_sandbox()
    assert {s["id"] for s in daemon.everything()} > {sandboxes[i]["id"] for i in (3, 4)}


def test_a_hundred_deletions_on_a_full_disk(disk):
    """Of records: their sandboxes' programs have ended."""
    disk.add_spec("short", command=["/bin/sh", "-c", "exit 3"])
    disk.write()
    daemon = disk.start()
    keeper = daemon.start_sandbox()
    ids = [daemon.post("/api/v1/sandboxes?sandbox_spec_id=short").json()["id"] for _ in range(100)]
    for sandbox_id in ids:
        daemon.wait_status(sandbox_id, "ERROR")
    wait_until(lambda: ballast(daemon) == 4 * MIB, what="the ballast")
    for sandbox_id in ids:
        fill(daemon, keeper)
        daemon.remove_sandbox(sandbox_id)
    wait_until(lambda: metric(daemon, 'sandboxd_sandboxes{backend="local",status="DELETING"}') == 0, what="all removed")
    assert [s["id"] for s in daemon.everything()] == [keeper["id"]]
    assert ballast(daemon) > 2 * MIB


def test_a_start_without_room_for_a_folder(disk):
    """As on an older version's state, which lacks one that this version has; the disk has no room for names."""
    daemon = disk.start()
    sandbox = daemon.start_sandbox()
    wait_until(lambda: ballast(daemon) == 4 * MIB, what="the ballast")
    daemon.stop()
    (daemon.disk / "state/builds").rmdir()
    status = os.statvfs(daemon.disk)
    subprocess.run(["mount", "-o", f"remount,nr_inodes={status.f_files - status.f_ffree}", daemon.disk], check=True)
    daemon.start()
    assert not (daemon.disk / "state/builds").exists()
    daemon.wait_log("state/builds can't be made")
    assert [s["id"] for s in daemon.everything()] == [sandbox["id"]]
