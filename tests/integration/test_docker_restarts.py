"""Restart policies: a program that does not stay up is not RUNNING, and says why; one that stays up later is."""

import json
import os
import shutil
import signal

from docker_engine import STATIC_AGENT, ask_agent
from harness import SLOWER, wait_until

ALWAYS = {"HostConfig": {"RestartPolicy": {"Name": "always"}}}


def runtime_of(docker, sandbox):
    return docker.get(f"/runtime-api/sessions/{sandbox['id']}").json()


def make(make_docker, *flags, startup_timeout="4s", **options):
    docker = make_docker()
    docker.options.update(kwargs=ALWAYS, **options)
    docker.backend["startup_timeout"] = startup_timeout
    docker.config["runtime_api"] = {"enabled": True}
    docker.config["specs"] = [docker.spec("agent", *flags)]
    docker.write()
    return docker.start()


def test_a_loop_is_starting_and_then_an_error_with_its_reason(make_docker, engine):
    docker = make(make_docker, "--exit-after", 1, "--exit-code", 3, "--print", 2)
    sandbox = docker.start_sandbox(wait=None, status=None)
    seen = set()

    def looping():
        now = docker.sandbox(sandbox["id"])
        seen.add(now["status"])
        return now["restart_count"] >= 3 and now
    now = wait_until(looping)
    assert "starts it again" in now["status_detail"] and "exit code 3" in now["status_detail"], now
    failed = docker.wait_status(sandbox["id"], "ERROR")
    assert seen == {"STARTING"}, seen
    assert failed["error"]["code"] == "CRASH_LOOP" and failed["error"]["exit_code"] == 3
    assert "line 1 of the agent's output" in failed["error"]["log_tail"]
    runtime = runtime_of(docker, sandbox)
    assert (runtime["status"], runtime["pod_status"]) == ("error", "crashloopbackoff")
    assert runtime["restart_count"] >= 3 and "exit code 3" in runtime["restart_reasons"][0]
    assert "line 1 of the agent's output" in runtime["pod_logs"]
    more = failed["restart_count"]
    wait_until(lambda: docker.sandbox(sandbox["id"])["restart_count"] > more, what="another restart")
    assert docker.sandbox(sandbox["id"])["status"] == "ERROR"
    docker.restart("kill")
    wait_until(lambda: docker.sandbox(sandbox["id"])["restart_count"] > more)
    assert docker.wait_status(sandbox["id"], "ERROR")["error"]["code"] == "CRASH_LOOP"
    docker.act("pause", sandbox["id"])
    docker.wait_status(sandbox["id"], "PAUSED")
    assert engine.state(sandbox["id"]) == "exited"


def test_without_a_health_check_a_loop_is_not_running_either(make_docker):
    docker = make_docker()
    docker.options["kwargs"] = ALWAYS
    docker.backend.update(startup_timeout="3s", health_check_path=None)
    docker.config["specs"] = [docker.spec("agent", "--exit-after", 300, "--exit-code", 1)]
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox(wait=None, status=None)
    wait_until(lambda: docker.sandbox(sandbox["id"])["restart_count"] >= 1)
    seen = set()

    def over():
        seen.add(docker.sandbox(sandbox["id"])["status"])
        return "ERROR" in seen
    wait_until(over)
    assert seen == {"STARTING", "ERROR"}, seen


def test_what_stays_up_later_runs_again(make_docker):
    """Its program comes with a folder, some time after its container."""
    docker = make_docker()
    folder = docker.directory / "programs"
    folder.mkdir()
    docker.options.update(kwargs=ALWAYS, mounts=[{"host_path": str(folder), "container_path": "/programs"}])
    docker.backend["startup_timeout"] = "3s"
    docker.config["specs"] = [docker.spec("agent", command=["/programs/agent", "--port", "8000"])]
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox(wait=None, status=None)
    assert docker.wait_status(sandbox["id"], "ERROR")["error"]["code"] == "CRASH_LOOP"
    shutil.copy(STATIC_AGENT, folder / "new")
    (folder / "new").rename(folder / "agent")
    running = docker.wait_status(sandbox["id"], "RUNNING", timeout=90 * SLOWER)
    assert running["error"] is None and running["restart_count"] >= 1
    assert ask_agent(running, "/health").status == 200


def test_one_restart_of_what_ran_well(make_docker, engine):
    docker = make(make_docker, startup_timeout="60s")
    sandbox = docker.start_sandbox()
    assert sandbox["restart_count"] == 0
    os.kill(engine.inspect(sandbox["id"])["State"]["Pid"], signal.SIGKILL)
    docker.wait_status(sandbox["id"], "STARTING")
    again = docker.wait_status(sandbox["id"], "RUNNING")
    assert again["restart_count"] == 1 and again["session_api_key"] == sandbox["session_api_key"]
    assert json.dumps(again["exposed_urls"]) == json.dumps(sandbox["exposed_urls"])
    docker.act("pause", sandbox["id"])
    docker.wait_status(sandbox["id"], "PAUSED")
    assert engine.state(sandbox["id"]) == "paused"
    docker.act("resume", sandbox["id"])
    docker.wait_status(sandbox["id"], "RUNNING")
