"""Two daemons on one engine, and a daemon on a copy of another's state: whose a container is, and who leaves it alone."""

import shutil

import pytest

from harness import free_port, wait_until


@pytest.fixture
def make_beside(make_docker):
    """Makes a daemon with another's configuration, but for its folder."""
    def make(docker, **options):
        other = make_docker()
        other.prefix = docker.prefix
        other.options.update(docker.options, **options)
        other.write()
        return other
    return make


def facts_of(engine, names):
    """What would be other ones after anybody did anything to them."""
    def one(name):
        state = engine.inspect(name)["State"]
        return state["Status"], state["Pid"], state["StartedAt"]
    return {name: one(name) for name in names}


@pytest.mark.parametrize("what", ["the folder", "the database"])
def test_a_daemon_on_a_copy_is_refused_and_touches_nothing(make_docker, make_beside, engine, what):
    docker = make_docker().start()
    runs, frozen = docker.start_sandbox()["id"], docker.start_sandbox()["id"]
    docker.act("pause", frozen)
    docker.stop()
    state, copy = docker.directory / "state", make_beside(docker, on_shutdown="remove")
    if what == "the folder":
        shutil.copytree(state, copy.directory / "state")
    else:  # what a backup has
        (copy.directory / "state").mkdir(mode=0o700)
        shutil.copy2(state / "sandboxd.db", copy.directory / "state")
    before = facts_of(engine, [runs, frozen])
    for alive in False, True:
        if alive:
            docker.start()
            docker.wait_status(runs, "RUNNING")
        copy.spawn()
        assert copy.process.wait(20) == 1
        text = copy.log()
        assert "is a copy of" in text and str(state) in text and str(copy.directory) in text and "empty" in text
    assert facts_of(engine, [runs, frozen]) == before
    assert docker.sandbox(runs)["status"] == "RUNNING" and docker.sandbox(frozen)["status"] == "PAUSED"


def test_a_moved_state_goes_on(make_docker):
    docker = make_docker().start()
    sandbox = docker.start_sandbox()
    docker.stop()
    moved = docker.directory / "moved"
    (docker.directory / "state").rename(moved)
    docker.config["state_dir"] = str(moved)
    docker.write()
    begin = docker.log_file.stat().st_size
    docker.start()
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox
    assert "moved, or put back" in docker.log(begin)
    begin = docker.log_file.stat().st_size
    docker.restart()
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox
    assert "moved, or put back" not in docker.log(begin)


def test_a_restored_state_finds_its_containers(make_docker, engine):
    """As docs/operations.md has it, and where the whole folder was lost."""
    docker = make_docker()
    docker.config["auth"] = {"keys": [{"user": "ann", "key": "ann-secret-key-000001"},
                                      {"user": "ops", "key": "ops-secret-key-000003", "role": "admin"}]}
    docker.write()
    ann, docker.finish_headers = {"X-API-Key": "ann-secret-key-000001"}, {"X-API-Key": "ops-secret-key-000003"}
    docker.start()
    early = docker.start_sandbox(headers=ann)
    docker.stop()
    state, backup = docker.directory / "state", docker.directory / "backup.db"
    shutil.copy2(state / "sandboxd.db", backup)
    docker.start()
    late = docker.start_sandbox(headers=ann)
    labels = engine.inspect(late["id"])["Config"]["Labels"]
    for lost in False, True:
        docker.stop()
        if lost:
            shutil.rmtree(state)
            state.mkdir(mode=0o700)
        for file in state.glob("sandboxd.db*"):
            file.unlink()
        shutil.copy2(backup, state / "sandboxd.db")
        docker.start()
        for sandbox in early, late:
            seen = docker.wait_status(sandbox["id"], "RUNNING", ann)
            assert seen["created_by_user_id"] == "ann" and seen["session_api_key"] == sandbox["session_api_key"]
    new = docker.start_sandbox(headers=ann)
    assert engine.inspect(new["id"])["Config"]["Labels"]["sandboxd.instance"] == labels["sandboxd.instance"]


def test_what_a_living_daemon_made_is_its_own(make_docker, make_beside, engine):
    """With one prefix and one name of the backend. When it is gone for good, its containers are anybody's."""
    docker = make_docker().start()
    mine, nobodys = docker.start_sandbox(), docker.prefix + "nobodys"
    engine.run(nobodys)
    other = make_beside(docker, on_shutdown="remove").start()
    wait_until(lambda: [s["id"] for s in other.everything()] == [nobodys])
    theirs = other.start_sandbox()
    assert {s["id"] for s in docker.everything()} == {mine["id"], nobodys}
    engine.do(mine["id"], "pause")  # its events are heard by both
    docker.wait_status(mine["id"], "PAUSED")
    engine.do(mine["id"], "unpause")
    docker.wait_status(mine["id"], "RUNNING")
    assert other.sandbox(mine["id"]) is None
    assert other.stop() == 0
    assert engine.state(theirs["id"]) is None and engine.state(mine["id"]) == "running"
    other.options["on_shutdown"] = "keep"
    other.write()
    docker.kill()
    other.start()
    found = other.wait_status(mine["id"], "RUNNING")
    assert found["session_api_key"] == mine["session_api_key"]
    docker.start()
    docker.wait_status(mine["id"], "RUNNING")

    def is_left():
        for verb in "pause", "unpause":  # any event of it does
            engine.do(mine["id"], verb)
        return other.sandbox(mine["id"]) is None
    wait_until(is_left, what="it is the first one's again")
    docker.wait_status(mine["id"], "RUNNING")


def test_a_container_of_a_copy_elsewhere_is_told_of(make_docker, engine):
    docker = make_docker().start()
    label = engine.inspect(docker.start_sandbox()["id"])["Config"]["Labels"]["sandboxd.instance"]
    assert "bears our id" not in docker.log()
    engine.run(docker.prefix + "copy", Labels={"sandboxd.instance": label, "sandboxd.backend": "docker"})
    docker.wait_log("copy.*bears our id")
    docker.wait_status(docker.prefix + "copy", "RUNNING")  # told of at its making: what is not shown yet can't be removed


def test_two_states_at_one_address_are_no_copies(make_docker):
    """What only looks alike: another folder under the path of one that was moved away."""
    docker = make_docker()
    docker.config["server"] = {"listen": [f"127.0.0.1:{free_port()}"]}
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    docker.stop()
    (docker.directory / "state").rename(docker.directory / "before")
    docker.start()
    assert docker.wait_status(sandbox["id"], "RUNNING")["session_api_key"] == sandbox["session_api_key"]
