"""What goes wrong with programs, ports and agents: each has a reason that a person can act on, and nothing leaks."""

import contextlib
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import AGENT, MARK, SLOWER, Client, alive, free_port, paths_below, wait_until


def url_of(sandbox):
    return sandbox["exposed_urls"][0]["url"].removeprefix("http://").replace("localhost", "127.0.0.1")


def whoami(sandbox):
    with Client(url_of(sandbox)) as client:
        return client.get("/whoami").json()


def agents(daemon):
    """The processes that are the agent itself."""
    found = []
    for pid in daemon.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one that has just ended
            if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == str(AGENT).encode():
                found.append(pid)
    return found


def test_a_program_that_ends_at_once_says_so_at_once(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("dies", command=["/bin/sh", "-c", "echo no luck today >&2; exit 7", "{port}"])
    daemon.write()
    daemon.start()
    begun = time.monotonic()
    sandbox = daemon.start_sandbox("dies", status="ERROR")
    assert time.monotonic() - begun < 10 * SLOWER, "at once, and not after startup_timeout"
    assert sandbox["error"]["code"] == "EXITED" and sandbox["error"]["exit_code"] == 7
    assert "no luck today" in sandbox["error"]["log_tail"]
    assert sandbox["error"]["message"] and "retryable" in sandbox["error"]
    assert sandbox["session_api_key"] is None and sandbox["exposed_urls"] is None
    assert daemon.sandbox(sandbox["id"])["error"] == sandbox["error"], "it stays until it is deleted"
    assert "no luck today" in daemon.get(f"/api/v1/sandboxes/{sandbox['id']}/logs").text


def test_a_program_that_is_not_there_makes_nothing(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("nothing", command=["/nonexistent/program", "{port}"])
    daemon.write()
    daemon.start()
    response = daemon.post("/api/v1/sandboxes?sandbox_spec_id=nothing&wait=5s")
    assert response.status >= 400, response
    assert response.json()["error"]["code"] == "COMMAND_NOT_FOUND"
    assert "/nonexistent/program" in response.json()["detail"]
    assert daemon.everything() == []
    daemon.wait_clean()


def test_a_file_that_is_no_program(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("data", command=["/etc/passwd", "{port}"])
    daemon.write()
    daemon.start()
    response = daemon.post("/api/v1/sandboxes?sandbox_spec_id=data&wait=5s")
    assert response.status >= 400 and "/etc/passwd" in response.json()["detail"], response
    assert daemon.everything() == []


def test_an_agent_that_ends_by_itself_later(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("brief", "--exit-after", 300 * SLOWER, "--exit-code", 3, "--print", 5)
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("brief", status=None)
    key = sandbox["session_api_key"]
    failed = daemon.wait_status(sandbox["id"], "ERROR")
    assert failed["error"]["code"] == "EXITED" and failed["error"]["exit_code"] == 3
    assert failed["error"]["log_tail"]
    assert failed["session_api_key"] is None and failed["exposed_urls"] is None
    daemon.act("resume", sandbox["id"])  # starts it again, with its key and its directory
    again = daemon.wait_status(sandbox["id"], "RUNNING")
    assert again["session_api_key"] == key and again["error"] is None


def test_an_agent_killed_by_a_signal(daemon):
    sandbox = daemon.start_sandbox()
    os.kill(whoami(sandbox)["pid"], signal.SIGKILL)
    failed = daemon.wait_status(sandbox["id"], "ERROR")
    assert failed["error"]["code"] == "EXITED" and failed["error"]["exit_code"] in (137, -9)
    assert failed["error"]["message"] == "its program ended with exit code 137 (128 + signal 9, SIGKILL)"


def test_an_agent_that_is_never_ready_times_out_with_its_tail(make_daemon):
    daemon = make_daemon()
    daemon.local["startup_timeout"] = f"{SLOWER}s"
    daemon.add_spec("never", "--bind-delay", 600000, "--print", 3)
    daemon.write()
    daemon.start()
    begun = time.monotonic()
    sandbox = daemon.start_sandbox("never", wait="1s", status=None)
    failed = daemon.wait_status(sandbox["id"], "ERROR")
    assert 0.9 * SLOWER < time.monotonic() - begun < 10 * SLOWER
    assert failed["error"]["code"] == "HEALTH_TIMEOUT"
    assert f"within {SLOWER} s (startup_timeout); the last time: " in failed["error"]["message"], failed
    assert "refused" in failed["error"]["message"], failed
    assert failed["error"]["log_tail"]
    assert failed["session_api_key"] is None


def checks_of(daemon, sandbox):
    return daemon.get(f"/api/v1/sandboxes/{sandbox['id']}/logs?tail=100000").text.count('"GET /alive HTTP/1.1"')


@pytest.mark.parametrize("form", [1, 2])
def test_health_checks_are_not_in_a_tail(make_daemon, form):
    daemon = make_daemon()
    daemon.local["health_interval"] = "10ms"
    daemon.add_spec("logs", command=["/bin/sh", "-c", f"echo the last words; exec {AGENT} --access-log {form} --port {{port}}"])
    daemon.write()
    sandbox = daemon.start().start_sandbox("logs")
    wait_until(lambda: checks_of(daemon, sandbox) > 100)  # more than the tail's 4 KiB
    if form == 2:
        log = daemon.get(f"/api/v1/sandboxes/{sandbox['id']}/logs?tail=1").text
        assert '"sandboxd/' in log and '(health check)"' in log, log
    os.kill(whoami(sandbox)["pid"], signal.SIGKILL)
    tail = daemon.wait_status(sandbox["id"], "ERROR")["error"]["log_tail"]
    assert "the last words" in tail and '"GET /whoami HTTP/1.1"' in tail and "/alive" not in tail, tail
    assert checks_of(daemon, sandbox) > 100


def test_a_late_start_has_a_tail_without_health_checks(make_daemon):
    daemon = make_daemon()
    daemon.local.update(startup_timeout=f"{3 * SLOWER}s")
    daemon.add_spec("logs", command=["/bin/sh", "-c", "echo the last words; "
                                     f"exec {AGENT} --access-log 1 --ready-after 600000 --port {{port}}"])
    daemon.write()
    sandbox = daemon.start().start_sandbox("logs", wait="1s", status=None)
    error = daemon.wait_status(sandbox["id"], "ERROR")["error"]
    assert error["message"].endswith("it answered with status 503") and error["log_tail"] == "the last words\n", error


def test_an_agent_on_another_port_is_told_of_its_port(make_daemon):
    daemon = make_daemon()
    daemon.local["startup_timeout"] = f"{SLOWER}s"
    daemon.add_spec("elsewhere", "--fixed-port", free_port())
    daemon.write()
    sandbox = daemon.start().start_sandbox("elsewhere", wait="1s", status=None)
    message = daemon.wait_status(sandbox["id"], "ERROR")["error"]["message"]
    assert re.search(r"localhost:(\d+): Connection refused \(does its program listen on port \1, which {port} in its "
                     r"command is\?\)$", message), message


def test_an_answer_that_does_not_say_ok_is_not_ready(make_daemon, tmp_path):
    body = tmp_path / "alive"
    body.write_text('{"status": "not initialized"}')
    daemon = make_daemon()
    daemon.local["startup_timeout"] = f"{2 * SLOWER}s"
    daemon.add_spec("odd", command=["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path),
                                    "{port}"])
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("odd", wait="1s", status=None)
    failed = daemon.wait_status(sandbox["id"], "ERROR")
    assert failed["error"]["code"] == "HEALTH_TIMEOUT"
    assert failed["error"]["message"].endswith(
        'health_check_body wants another "status" in its answer than \'{"status": "not initialized"}\''), failed
    body.write_text('{"status": "ok", "since": 5}')
    daemon.wait_status(sandbox["id"], "RUNNING")
    body.write_text("OK")
    assert "is no JSON object, as health_check_body wants one, but 'OK'" in daemon.wait_status(
        sandbox["id"], "ERROR")["error"]["message"]
    daemon.local["health_check_body"] = None  # an agent server of another make
    daemon.write()
    daemon.reload()
    daemon.wait_status(sandbox["id"], "RUNNING")


def test_an_agent_that_stops_answering_and_recovers(daemon):
    sandbox = daemon.start_sandbox()
    with Client(url_of(sandbox)) as client:
        client.post("/hang")
    failed = daemon.wait_status(sandbox["id"], "ERROR", timeout=60)
    assert failed["error"]["code"] == "UNHEALTHY"
    assert failed["session_api_key"] is None and failed["exposed_urls"] is None
    with Client(url_of(sandbox)) as client:
        client.post("/unhang")
    assert daemon.wait_status(sandbox["id"], "RUNNING") == sandbox


def test_what_left_the_process_group_is_ended_too(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("wanders", "--fork-away")
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("wanders")
    away = wait_until(lambda: [p for p in agents(daemon) if p != whoami(sandbox)["pid"]], what="a forked-away child")
    daemon.act("pause", sandbox["id"])
    daemon.act("resume", sandbox["id"])
    daemon.wait_status(sandbox["id"], "RUNNING")
    daemon.remove_sandbox(sandbox["id"])
    daemon.wait_clean()
    assert not any(alive(pid) for pid in away)


def test_a_daemonised_grandchild_without_the_mark_is_ended_too(make_daemon):
    daemon = make_daemon()
    token = f"sleep-{os.getpid()}"
    script = f"setsid env -i {MARK}={daemon.mark} sh -c 'sleep 1000; : {token}' & exec \"$0\" --port {{port}}"
    daemon.add_spec("hides", command=["/bin/sh", "-c", script, str(AGENT)])
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("hides")
    daemon.remove_sandbox(sandbox["id"])
    daemon.wait_clean()


def test_links_out_of_the_directory_are_not_followed(make_daemon):
    daemon = make_daemon()
    outside = daemon.directory / "outside"
    outside.mkdir()
    (outside / "precious").write_text("keep")
    script = f"ln -s {outside} link; mkdir -p a/b/c; ln -s {outside} a/b/c/d; chmod 0 a/b; " \
             "exec \"$0\" --port {port}"
    daemon.add_spec("links", command=["/bin/sh", "-c", script, str(AGENT)])
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("links")
    daemon.remove_sandbox(sandbox["id"])
    daemon.wait_clean()
    assert (outside / "precious").read_text() == "keep"


def test_a_talkative_agent_is_not_blocked_and_its_log_stays_bounded(make_daemon):
    daemon = make_daemon()
    daemon.local["options"]["log_size"] = "64KiB"
    script = "head -c 20000000 /dev/zero | tr '\\0' 'x'; exec \"$0\" --port {port}"
    daemon.add_spec("talks", command=["/bin/sh", "-c", script, str(AGENT)])
    daemon.write()
    daemon.start()
    daemon.start_sandbox("talks")

    others = (daemon.log_file, daemon.directory / "state/sandboxd.ballast")  # its own log, and what it keeps for a full disk

    def used():
        return sum(paths_below(daemon.directory,
                               lambda p: p.stat().st_size if p.is_file() and p not in others else 0))
    wait_until(lambda: used() < 1024 * 1024, what="the log cut to its bound")


# ---- ports

def test_twenty_starts_at_once_get_distinct_ports_also_while_agents_take_their_time_to_bind(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("slow", "--bind-delay", 500)
    daemon.write()
    daemon.start()
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda _: daemon.start_sandbox("slow"), range(20)))
    assert len({s["exposed_urls"][0]["port"] for s in made}) == 20
    for sandbox in made:
        assert whoami(sandbox)["sandbox_id"] == sandbox["id"], "each URL leads to its own sandbox"


def test_two_daemons_at_once_never_share_a_port(make_daemon):
    daemons = [make_daemon(), make_daemon()]
    for daemon in daemons:
        daemon.add_spec("slow", "--bind-delay", 300)
        daemon.write()
        daemon.start()
    assert daemons[0].local["options"]["base_port"] == daemons[1].local["options"]["base_port"]
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda i: daemons[i % 2].start_sandbox("slow"), range(12)))
    assert len({s["exposed_urls"][0]["port"] for s in made}) == 12
    for sandbox in made:
        assert whoami(sandbox)["sandbox_id"] == sandbox["id"]


def test_ports_that_others_hold_are_passed_over(make_daemon):
    daemon = make_daemon().start()
    base = daemon.base_port()
    taken = []
    for port in range(base, base + 3):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            s.listen()
            taken.append(s)
        except OSError:
            s.close()
    sandbox = daemon.start_sandbox()
    assert sandbox["exposed_urls"][0]["port"] not in [s.getsockname()[1] for s in taken]
    assert whoami(sandbox)["sandbox_id"] == sandbox["id"]
    for s in taken:
        s.close()


def test_another_program_that_grabs_the_port_in_between_is_not_taken_for_the_agent(make_daemon):
    """The intruder binds the port while the agent takes its time, and answers its health checks."""
    daemon = make_daemon()
    daemon.add_spec("slow", "--bind-delay", 700)
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("slow", wait=None, status="STARTING")
    [pid] = wait_until(lambda: agents(daemon))
    arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    port = int(arguments[arguments.index("--port") + 1])
    import http.server
    import threading

    class Intruder(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok"}')

        def log_message(self, *_):
            pass
    try:
        intruder = http.server.ThreadingHTTPServer(("127.0.0.1", port), Intruder)
    except OSError:
        intruder = None  # the daemon holds the port for the agent: as good
    if intruder:
        threading.Thread(target=intruder.serve_forever, daemon=True).start()
    try:
        state = wait_until(lambda: (s := daemon.sandbox(sandbox["id"])) and s["status"] != "STARTING" and s,
                           what="an end of STARTING")
        if state["status"] == "RUNNING":
            assert whoami(state)["sandbox_id"] == sandbox["id"], "the exposed URL leads to the sandbox"
        else:
            assert state["status"] == "ERROR" and state["error"]["message"]
    finally:
        if intruder:
            intruder.shutdown()
            intruder.server_close()


def test_no_port_left_says_so(make_daemon):
    daemon = make_daemon()
    # A range at the end of all ports, whose few ports are held.
    daemon.local["options"]["base_port"] = 65534
    daemon.write()
    daemon.start()
    held = []
    for port in (65534, 65535):
        s = socket.socket()
        s.bind(("127.0.0.1", port))
        s.listen()
        held.append(s)
    response = daemon.post("/api/v1/sandboxes?wait=5s")
    for s in held:
        s.close()
    assert response.status in (429, 502, 503), response
    assert response.json()["error"]["code"] == "PORTS_EXHAUSTED"
    assert daemon.everything() == []
