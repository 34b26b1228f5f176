"""A store that is full, read-only, corrupt or of another version: a clear sentence, and no start."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest


def refused(daemon, *words):
    daemon.spawn()
    assert daemon.process.wait(30) == 1, daemon.log()
    text = daemon.log(daemon.log_begin).lower()
    for word in words:
        assert word.lower() in text, text
    return text


def state(daemon):
    return Path(daemon.config["state_dir"])


@pytest.fixture
def stopped(make_daemon):
    daemon = make_daemon().start()
    assert daemon.stop() == 0
    return daemon


def database(daemon):
    return state(daemon) / "sandboxd.db"


def test_a_corrupt_file(stopped):
    database(stopped).write_bytes(b"this is no database" * 1000)
    refused(stopped, str(database(stopped)))


def test_a_file_with_a_damaged_page(stopped):
    file = database(stopped)
    for extra in state(stopped).glob("sandboxd.db-*"):
        extra.unlink()
    size = file.stat().st_size
    with open(file, "r+b") as f:
        f.seek(100)
        f.write(os.urandom(min(size, 4096) - 100))
    refused(stopped, str(file))


def test_a_newer_version(stopped):
    with sqlite3.connect(database(stopped)) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    refused(stopped, "newer", "9999")


def test_an_empty_file_is_a_new_store(stopped):
    for file in state(stopped).glob("sandboxd.db*"):
        file.unlink()
    database(stopped).touch(0o600)
    stopped.start()


def test_a_file_where_the_directory_should_be(make_daemon):
    daemon = make_daemon()
    state(daemon).write_text("in the way")
    refused(daemon, str(state(daemon)))
    state(daemon).unlink()


def test_a_directory_that_can_not_be_made(make_daemon):
    daemon = make_daemon()
    daemon.config["state_dir"] = "/proc/nowhere/state"
    daemon.write()
    refused(daemon, "/proc/nowhere")


def test_a_directory_that_is_open_to_others(stopped):
    state(stopped).chmod(0o777)
    text = refused(stopped, str(state(stopped)))
    assert "0700" in text or "chmod" in text
    state(stopped).chmod(0o700)


@pytest.fixture
def small_disk(make_daemon):
    """A daemon whose state is on a file system of 2 MiB."""
    daemon = make_daemon()
    state(daemon).mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", state(daemon)],
                             capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"can't mount: {mounted.stderr.decode().strip()}")
    try:
        yield daemon
        if daemon.process.poll() is None:
            daemon.remove_all()
            daemon.wait_clean()
            daemon.stop()
    finally:
        subprocess.run(["umount", "-l", state(daemon)], check=True)


def test_a_full_disk_refuses_the_request_and_serves_on(small_disk):
    daemon = small_disk.start()
    kept = daemon.start_sandbox()
    ballast = state(daemon) / "ballast"
    with open(ballast, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass
    answers = [daemon.post("/api/v1/sandboxes?wait=5s") for _ in range(30)]
    bad = [a for a in answers if a.status != 200]
    assert bad and all(a.status in (500, 503) and a.json()["detail"] for a in bad), answers
    known = {s["id"] for s in daemon.everything()}
    assert known == {kept["id"]} | {a.json()["id"] for a in answers if a.status == 200}
    ballast.unlink()
    daemon.start_sandbox()


def test_reports_leave_the_rest_of_a_disk_to_the_sandboxes(small_disk):
    """They want 32 MiB to be left."""
    daemon = small_disk.start()
    sandbox = daemon.start_sandbox()
    answer = daemon.post("/api/v1/webhooks/events/0123456789abcdef0123456789abcdef", body='[{"id":"1"}]',
                         headers={"X-Session-API-Key": sandbox["session_api_key"]})
    assert answer.status == 503 and "less than 32 MiB of room" in answer.json()["detail"], answer
    assert answer.headers["Retry-After"] and answer.json()["error"]["code"] == "STORE_FAILED"
    daemon.wait_log("less than 32 MiB of room")
    assert daemon.get("/api/v1/events/count").json() == 0
    daemon.start_sandbox()


def test_a_read_only_disk_is_no_start(small_disk):
    daemon = small_disk.start()
    daemon.stop()
    subprocess.run(["mount", "-o", "remount,ro", state(daemon)], check=True)
    refused(daemon, "read-only")
    subprocess.run(["mount", "-o", "remount,rw", state(daemon)], check=True)


def test_a_copy_made_while_it_is_stopped_is_a_backup(make_daemon):
    daemon = make_daemon().start()
    kept = daemon.start_sandbox()
    daemon.stop()
    assert [p.name for p in state(daemon).glob("sandboxd.db*")] == ["sandboxd.db"], "nothing is left in the log"
    shutil.copy2(database(daemon), daemon.directory / "backup.db")
    daemon.start()
    deleted = daemon.start_sandbox()
    daemon.remove_sandbox(deleted["id"])
    daemon.kill()
    for file in state(daemon).glob("sandboxd.db*"):
        file.unlink()
    shutil.copy2(daemon.directory / "backup.db", database(daemon))
    daemon.start()
    assert daemon.wait_status(kept["id"], "RUNNING") == kept


def test_no_other_program_reads_the_state_while_it_runs(make_daemon):
    daemon = make_daemon().start()
    with sqlite3.connect(f"file:{database(daemon)}?mode=ro", uri=True, timeout=0) as connection:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connection.execute("SELECT * FROM sandboxes")
    connection.close()


def test_contexts_of_builds_that_were_left_are_removed_and_nothing_else(stopped, tmp_path):
    """The folder may be a link to a larger disk."""
    folder = state(stopped) / "builds"
    folder.rmdir()
    folder.symlink_to(tmp_path)
    left, other = tmp_path / ("0" * 22 + ".tar.gz"), tmp_path / "other.tar.gz"
    left.touch()
    other.touch()
    stopped.start()
    assert not left.exists() and other.exists()
