"""The log and the process: one line a fact, and no secrets anywhere."""

import json
import os
from pathlib import Path

from harness import paths_below

KEY = "an-api-key-that-is-secret"


def test_no_secret_is_in_the_log_or_in_sight(make_daemon):
    daemon = make_daemon(env={"API_KEY": KEY, "OPTION_SECRET": "spec-secret-value"})
    daemon.config["auth"] = {"keys": [{"user": "ann", "key": "${API_KEY}", "role": "admin"}]}
    daemon.config["specs"][0]["initial_env"]["TOKEN"] = "${OPTION_SECRET}"
    daemon.add_spec("dies", command=["/bin/sh", "-c", "exit 1", "{port}"])
    daemon.write()
    daemon.start()
    headers = {"Authorization": f"Bearer {KEY}"}
    daemon.finish_headers = headers
    sandbox = daemon.start_sandbox(headers=headers)
    session = sandbox["session_api_key"]
    daemon.get("/api/v1/sandbox", headers={"X-Session-API-Key": session})
    daemon.get("/api/v1/sandboxes/search", headers={"X-API-Key": "a-wrong-key-1234"})
    daemon.start_sandbox("dies", headers=headers, status="ERROR")
    daemon.act("pause", sandbox["id"], headers)
    daemon.act("resume", sandbox["id"], headers)
    daemon.reload()
    secrets = [KEY, session, "a-wrong-key-1234", "spec-secret-value"]
    for secret in secrets:
        assert secret not in daemon.log()
    for pid in [daemon.pid, *daemon.processes()]:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        assert not any(secret in command for secret in secrets), command
    state = Path(daemon.config["state_dir"])
    with_key = paths_below(state, lambda path: path.is_file() and KEY.encode() in path.read_bytes())
    assert with_key and not any(with_key), "API keys are not kept"


def test_a_start_tells_its_command_without_its_secrets(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("secretive", "--port", "{port}", initial_env={"TOKEN": "hush-from-env"})
    spec = daemon.config["specs"][-1]
    script = ("exec " + " ".join(f"'{part}'" for part in spec["command"]) + " # API_KEY=hush-assigned hush-from-env"
              " --token hush-option https://me:hush-user@host/")
    spec["command"] = ["/bin/sh", "-c", script]
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("secretive")
    daemon.wait_log(f"sandbox={sandbox['id']}: its command: /bin/sh -c .*API_KEY=.*--token .*@host/")
    assert "hush" not in daemon.log()


def test_each_line_is_json_when_asked(make_daemon):
    daemon = make_daemon()
    daemon.config["log"] = {"level": "debug", "format": "json"}
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox()
    daemon.get("/health", headers={"X-Request-ID": "r-\"quoted\""})
    daemon.remove_sandbox(sandbox["id"])
    daemon.wait_clean()
    assert daemon.stop() == 0
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    # Lines before the configuration was read are text by nature: there are none in a good start.
    assert all({"time", "level", "message"} <= set(line) for line in lines)
    assert any(line.get("sandbox") == sandbox["id"] for line in lines)
    assert any("request" in line for line in lines)


def test_a_request_id_is_in_the_log_line_of_its_change(daemon):
    response = daemon.post("/api/v1/sandboxes?wait=20s", headers={"X-Request-ID": "find-me-7"})
    assert response.status == 200
    lines = [line for line in daemon.log().splitlines() if "find-me-7" in line]
    assert lines and any(response.json()["id"] in line for line in lines)


def test_the_level_is_kept_to(make_daemon):
    daemon = make_daemon()
    daemon.config["log"] = {"level": "info"}
    daemon.write()
    daemon.start()
    daemon.start_sandbox()
    assert " debug" not in daemon.log()


def test_nobody_reading_the_log_does_not_hold_the_daemon_up(make_daemon):
    """stderr is a pipe that nobody reads."""
    daemon = make_daemon().start()
    daemon.remove_all()
    assert daemon.stop() == 0
    import subprocess

    from harness import SANDBOXD, free_port, wait_until
    port = free_port()
    daemon.config["server"]["listen"] = [f"127.0.0.1:{port}"]
    daemon.write()
    reader, writer = os.pipe()
    process = subprocess.Popen([SANDBOXD, "--config", daemon.config_file], stderr=writer, env=daemon.env)
    os.close(writer)
    daemon.process, daemon.addresses = process, [f"127.0.0.1:{port}"]

    def serves():
        try:
            return daemon.get("/health").status == 200
        except OSError:
            return False
    wait_until(serves)
    with daemon.client() as client:
        for _ in range(2000):
            assert client.get("/nowhere").status == 404
    os.close(reader)
    assert daemon.get("/health").status == 200, "also when the reader is gone"
