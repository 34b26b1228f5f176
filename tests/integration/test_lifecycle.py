"""The whole life of a sandbox, through HTTP, with the process backend and a real agent."""

import json
import math
import os
import pwd
import re
import signal
import stat
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from agents import FAKE_AGENT, metric
from harness import AGENT, TEST_PLUGINS, Client, process_state, wait_until

FIELDS = {"id", "created_by_user_id", "sandbox_spec_id", "status", "session_api_key", "exposed_urls", "created_at",
          "backend", "status_detail", "error"}


def agent(sandbox):
    """A client of the sandbox's agent."""
    [url] = [u["url"] for u in sandbox["exposed_urls"] if u["name"] == "AGENT_SERVER"]
    return Client(url.removeprefix("http://").replace("localhost", "127.0.0.1"))


def test_a_running_sandbox_has_every_field(daemon):
    before = datetime.now(timezone.utc)
    sandbox = daemon.start_sandbox()
    assert FIELDS <= set(sandbox)
    assert re.fullmatch(r"[0-9A-Za-z]{22}", sandbox["id"])
    assert re.fullmatch(r"[0-9A-Za-z]{43}", sandbox["session_api_key"])
    assert sandbox["status"] == "RUNNING" and sandbox["error"] is None and sandbox["status_detail"] is None
    assert sandbox["created_by_user_id"] is None
    assert sandbox["sandbox_spec_id"] == "agent" and sandbox["backend"] == "local"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", sandbox["created_at"])
    created = datetime.fromisoformat(sandbox["created_at"].replace("Z", "+00:00"))
    assert before <= created <= datetime.now(timezone.utc)
    [url] = sandbox["exposed_urls"]
    assert set(url) == {"name", "url", "port"} and url["name"] == "AGENT_SERVER"
    assert url["url"].endswith(f":{url['port']}") and url["port"] >= daemon.base_port()
    assert daemon.sandbox(sandbox["id"]) == sandbox


def test_the_agent_answers_at_the_exposed_url_and_is_the_sandbox(daemon):
    sandbox = daemon.start_sandbox()
    with agent(sandbox) as client:
        assert client.get("/alive").status == 200
        who = client.get("/whoami").json()
    assert who["sandbox_id"] == sandbox["id"]


def test_the_environment_of_a_sandbox_is_allow_listed(make_daemon):
    daemon = make_daemon(env={"A_SECRET_OF_THE_DAEMON": "hush", "PASSED": "along", "TZ": "UTC"})
    daemon.local["options"]["pass_env"] = ["PASSED"]
    daemon.config["specs"][0]["initial_env"]["FROM_SPEC"] = "yes"
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox()
    [pid] = [p for p in daemon.processes() if "sandbox-agent" in Path(f"/proc/{p}/cmdline").read_text()]
    environment = dict(pair.split("=", 1) for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair)
    assert "A_SECRET_OF_THE_DAEMON" not in environment
    assert environment["PASSED"] == "along" and environment["FROM_SPEC"] == "yes" and environment["TZ"] == "UTC"
    assert environment["PATH"] == daemon.env["PATH"] and environment["HOME"] == daemon.env["HOME"]
    assert environment["SANDBOX_ID"] == sandbox["id"]
    assert environment["SESSION_API_KEY"] == environment["OH_SESSION_API_KEYS_0"] == sandbox["session_api_key"]
    directory = Path(os.readlink(f"/proc/{pid}/cwd"))
    assert directory.is_relative_to(daemon.sandboxes)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert os.getsid(pid) == pid or os.getsid(pid) in daemon.processes(), "a session of its own"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.parametrize("user, home", [("nobody", pwd.getpwnam("nobody").pw_dir), ("4242:4242", "/")])
def test_home_is_that_of_the_user_who_runs(make_daemon, user, home):
    def run_as(config):
        config["backends"]["local"]["options"]["run_as"] = user
        config["specs"][0]["command"] = ["/bin/sh", "-c", "echo HOME=$$HOME USER=$$USER LOGNAME=$$LOGNAME; exec sleep 1000"]
        config["backends"]["local"]["health_check_path"] = None
    daemon = make_daemon(run_as)
    daemon.directory.chmod(0o755)
    sandbox = daemon.start().start_sandbox()
    name = user if user == "nobody" else ""
    wanted = f"HOME={home} USER={name} LOGNAME={name}\n"
    wait_until(lambda: daemon.get(f"/api/v1/sandboxes/{sandbox['id']}/logs").text == wanted, what=wanted)


def test_a_binary_log_is_text_all_the_same(make_daemon):
    def binary(config):
        config["specs"][0]["command"] = ["/bin/sh", "-c", "printf 'a\\377\\000\\303\\251\\303'; sleep 1000"]
        config["backends"]["local"]["health_check_path"] = None
    daemon = make_daemon(binary).start()
    sandbox = daemon.start_sandbox()
    path = f"/api/v1/sandboxes/{sandbox['id']}/logs"
    log = wait_until(lambda: daemon.get(path) if daemon.get(path).body else None)
    assert log.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert log.body.decode() == "a\ufffd\0\u00e9\ufffd"
    with daemon.client() as client:  # a character that comes in two pieces
        client.connection.request("GET", path + "?follow=true")
        response = client.connection.getresponse()
        wanted = "a\ufffd\0\u00e9".encode()
        assert response.read(len(wanted)) == wanted


def test_pause_freezes_and_resume_goes_on_with_the_same_key_and_url(daemon):
    sandbox = daemon.start_sandbox()
    sandbox_id = sandbox["id"]
    with agent(sandbox) as client:
        pid = client.get("/whoami").json()["pid"]
    daemon.act("pause", sandbox_id)
    paused = daemon.wait_status(sandbox_id, "PAUSED")
    assert paused["session_api_key"] is None and paused["exposed_urls"] is None and paused["error"] is None
    # Frozen by SIGSTOP, or by a freezer cgroup, where it still counts as sleeping: either way it uses no time.
    assert process_state(pid) in "TSD"
    daemon.act("pause", sandbox_id)  # already so is success
    daemon.act("resume", sandbox_id)
    resumed = daemon.wait_status(sandbox_id, "RUNNING")
    assert resumed == sandbox
    daemon.act("resume", sandbox_id)
    with agent(resumed) as client:
        assert client.get("/whoami").json()["pid"] == pid, "memory was kept"


def test_a_paused_agent_does_not_answer(daemon):
    sandbox = daemon.start_sandbox()
    daemon.act("pause", sandbox["id"])
    daemon.wait_status(sandbox["id"], "PAUSED")
    with agent(sandbox) as client:
        client.connection.timeout = 0.5
        try:
            client.get("/alive")
        except TimeoutError:
            return
    raise AssertionError("a frozen agent answered")


def test_a_stop_from_outside_is_a_pause_and_resume_sends_what_is_needed(daemon):
    sandbox = daemon.start_sandbox()
    with agent(sandbox) as client:
        pid = client.get("/whoami").json()["pid"]
    os.kill(pid, signal.SIGSTOP)
    paused = daemon.wait_status(sandbox["id"], "PAUSED")
    assert paused["status_detail"] == "a signal from outside stopped its program"
    os.kill(pid, signal.SIGCONT)
    assert daemon.wait_status(sandbox["id"], "RUNNING") == sandbox
    os.kill(pid, signal.SIGSTOP)
    daemon.wait_status(sandbox["id"], "PAUSED")
    daemon.act("resume", sandbox["id"])
    assert daemon.wait_status(sandbox["id"], "RUNNING") == sandbox
    with agent(sandbox) as client:
        assert client.get("/whoami").json()["pid"] == pid
    os.kill(pid, signal.SIGSTOP)
    daemon.wait_status(sandbox["id"], "PAUSED")
    daemon.remove_sandbox(sandbox["id"])


def test_delete_hides_at_once_and_leaves_nothing(daemon):
    sandbox = daemon.start_sandbox()
    sandbox_id = sandbox["id"]
    assert daemon.processes() and list(daemon.sandboxes.iterdir())
    daemon.remove_sandbox(sandbox_id)
    assert daemon.get(f"/api/v1/sandboxes/{sandbox_id}").status == 404
    assert daemon.get(f"/api/v1/sandboxes?id={sandbox_id}").json() == [None]
    assert daemon.everything() == []
    for verb in "pause", "resume":
        assert daemon.post(f"/api/v1/sandboxes/{sandbox_id}/{verb}").status == 404
    assert daemon.delete(f"/api/v1/sandboxes/{sandbox_id}").status == 404
    daemon.wait_clean()


def test_delete_of_a_paused_sandbox(daemon):
    sandbox = daemon.start_sandbox()
    daemon.act("pause", sandbox["id"])
    daemon.remove_sandbox(sandbox["id"])
    daemon.wait_clean()


def test_an_agent_that_ignores_sigterm_is_killed_after_stop_timeout(make_daemon):
    daemon = make_daemon()
    daemon.local["options"]["stop_timeout"] = "300ms"
    daemon.add_spec("stubborn", "--ignore-term")
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("stubborn")
    daemon.remove_sandbox(sandbox["id"])
    daemon.wait_clean()


def test_a_slow_agent_is_starting_until_it_answers(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("slow", "--bind-delay", 700, "--ready-after", 300)
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("slow", wait=None, status=None)
    assert sandbox["status"] == "STARTING"
    assert sandbox["session_api_key"] is None and sandbox["exposed_urls"] is None
    running = daemon.wait_status(sandbox["id"], "RUNNING")
    assert running["session_api_key"] and running["exposed_urls"]


def test_one_that_starts_is_looked_at_at_once_and_then_ever_later(make_daemon):
    daemon = make_daemon()
    daemon.local["health_interval"] = "1h"  # of those that run
    daemon.add_spec("late", "--bind-delay", 60000)
    daemon.write()
    daemon.start()
    begun = time.monotonic()
    daemon.start_sandbox("late", wait="1s", status="STARTING")
    checks = metric(daemon, "sandboxd_health_checks_total")
    # One each ms, until a fifth of the time since the start is more than that; fewer where the machine is busy.
    most = 5 + math.log((time.monotonic() - begun) * 1000 / 5, 1.2)
    assert 3 < checks < most + 2


def test_a_wait_that_is_over_answers_with_starting(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("slow", "--bind-delay", 1500)
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("slow", wait="100ms", status="STARTING")
    daemon.wait_status(sandbox["id"], "RUNNING")


def test_health_is_asked_where_the_daemon_reaches_the_agent_and_clients_are_told_their_url(daemon):
    url = "http://192.0.2.1:8000"  # RFC 5737: nobody answers there
    daemon.config["backends"]["contained"] = {
        "plugin": str(TEST_PLUGINS / "trivial.so"), "health_check_path": "/alive", "health_interval": "50ms",
        "options": {"url": url, "agent_url": f"http://{daemon.address}"}}  # who answers is the daemon itself
    daemon.config["default_backend"] = "local"
    daemon.config["specs"].append({"id": "contained", "backend": "contained"})
    daemon.write()
    daemon.reload()
    sandbox = daemon.start_sandbox("contained")
    assert sandbox["exposed_urls"] == [{"name": "AGENT_SERVER", "url": url, "port": 0}]
    assert daemon.address not in json.dumps(daemon.everything())


def test_the_log_of_a_sandbox(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("talks", command=["/bin/sh", "-c",
                                      "for i in 1 2 3 4 5; do echo line $i; done; exec \"$0\" --port {port}",
                                      str(AGENT)])
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("talks")
    path = f"/api/v1/sandboxes/{sandbox['id']}/logs"
    response = wait_until(lambda: (r := daemon.get(path)) and "line 5\n" in r.text and r, what="what it said at first")
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/plain")
    lines = [line for line in response.text.splitlines() if line.startswith("line ")]
    assert lines == [f"line {i}" for i in range(1, 6)]
    assert len(daemon.get(path + "?tail=2").text.splitlines()) == 2
    assert daemon.get("/api/v1/sandboxes/nosuch/logs").status == 404


def test_following_a_log_streams_what_comes(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("ticks", command=["/bin/sh", "-c",
                                      "(while :; do echo tick; sleep 0.05; done) & exec \"$0\" --port {port}",
                                      str(AGENT)])
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("ticks")
    with daemon.client() as client:
        client.connection.request("GET", f"/api/v1/sandboxes/{sandbox['id']}/logs?tail=0&follow=true")
        response = client.connection.getresponse()
        assert response.status == 200
        received = b""
        while received.count(b"tick\n") < 5:
            received += response.read1()
    wait_until(lambda: daemon.get("/health").status == 200)


def test_the_session_key_finds_its_sandbox(daemon):
    sandbox = daemon.start_sandbox()
    key = {"X-Session-API-Key": sandbox["session_api_key"]}
    assert daemon.get("/api/v1/sandbox", headers=key).json() == sandbox
    assert daemon.get("/api/v1/sandbox").status == 401
    assert daemon.get("/api/v1/sandbox", headers={"X-Session-API-Key": "x" * 43}).status == 401


def test_a_default_port_argument_is_appended(make_daemon):
    daemon = make_daemon()
    daemon.config["specs"] = [daemon.spec("plain", command=[str(AGENT)])]
    daemon.write()
    daemon.start()
    daemon.start_sandbox()


def test_without_specs_a_backend_alone_starts_its_own(make_daemon):
    daemon = make_daemon(lambda config: config.pop("specs"))
    daemon.local["options"].update(python_executable=sys.executable, agent_server_module=FAKE_AGENT.stem,
                                   pass_env=["PYTHONPATH", "PYTHONDONTWRITEBYTECODE"])
    daemon.env.update(PYTHONPATH=str(FAKE_AGENT.parent), PYTHONDONTWRITEBYTECODE="1")
    daemon.write()
    sandbox = daemon.start().start_sandbox()
    assert sandbox["sandbox_spec_id"] == "agent-server"
    [spec] = daemon.get("/api/v1/sandbox-specs/search").json()["items"]
    assert spec["id"] == "agent-server" and spec["initial_env"] == {"OH_ENABLE_VSCODE": "0"}
    with agent(sandbox) as client:
        assert client.get("/alive").status == 200


def test_with_no_health_check_a_sandbox_runs_once_its_program_does(make_daemon):
    daemon = make_daemon()
    daemon.local["health_check_path"] = None
    daemon.config["specs"] = [daemon.spec("sleeper", command=["/bin/sleep", "1000"])]
    daemon.config["specs"][0]["command"] = ["/bin/sh", "-c", "exec sleep 1000", "{port}"]
    daemon.write()
    daemon.start()
    daemon.start_sandbox()
