"""What the public clients do, call by call, in their order and with their timing: each waits as long as it waits, polls
as it polls, and takes for fatal what it takes for fatal."""

import json
import os
import shlex
import signal
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from harness import AGENT, SLOWER, Client, wait_until

API_TIMEOUT = 15  # of the app server, for any answer


@pytest.fixture
def daemon(make_daemon):
    daemon = make_daemon()
    daemon.config["auth"] = {"keys": [{"user": "app", "key": "app-server-key-1"}]}
    daemon.config["runtime_api"] = {"enabled": True, "own_commands": ["local"]}
    daemon.add_spec("slow", "--bind-delay", 1500, "--ready-after", 300)
    daemon.add_spec("broken", "--ready-after", 60000, "--exit-after", 300, "--exit-code", 1, "--print", 3)
    # In the place of the paths that they send, /workspace and /openhands/code, which are this host's too.
    Path(shared(daemon)).mkdir()
    daemon.local["options"]["shared_dirs"] = [shared(daemon)]
    daemon.write()
    daemon.finish_headers = {"X-API-Key": "app-server-key-1"}
    return daemon.start()


def shared(daemon):
    return str(daemon.directory / "workspace")


class Fatal(Exception):
    """The client gave up."""


class Runtime:
    """The calls that all of them make: one header, JSON both ways."""

    headers = {"X-API-Key": "app-server-key-1", "Content-Type": "application/json"}

    def __init__(self, daemon):
        self.daemon = daemon
        self.key = None

    def call(self, method, path, body=None, timeout=API_TIMEOUT):
        headers = {**self.headers, "X-Session-API-Key": self.key} if self.key else self.headers  # from one session
        return self.daemon.request(method, "/runtime-api" + path, body=body and json.dumps(body),
                                   headers=headers, timeout=timeout)

    @staticmethod
    def agent(url, path, **headers):
        """The status of the agent server's answer; None: it can't be reached."""
        try:
            with Client(url.removeprefix("http://").replace("localhost", "127.0.0.1"), timeout=2) as client:
                return client.get(path, headers=headers).status
        except OSError:
            return None


# ---- the SDK's APIRemoteWorkspace


class RemoteWorkspace(Runtime):
    """Looks for its session, starts or resumes it, polls the session (any answer but 2xx is fatal), then /health."""

    def __init__(self, daemon, session, image, command):
        super().__init__(daemon)
        self.session, self.image, self.command = session, image, command
        self.polls = 0

    def enter(self):
        response = self.call("GET", f"/sessions/{self.session}")
        if response.status == 404 or not self.attach(response.json()):
            response = self.call("POST", "/start", {
                "image": self.image, "command": self.command, "working_dir": "/", "environment": {},
                "session_id": self.session, "run_as_user": 10001, "fs_group": 10001,
                "image_pull_policy": "IfNotPresent", "runtime_class": "sysbox-runc"})
            if response.status not in (200, 201):
                raise Fatal(f"start: {response}")
            self.parse(response.json())
        deadline = time.monotonic() + 60 * SLOWER
        while not self.is_alive():
            if time.monotonic() > deadline:
                raise Fatal("not alive")
            time.sleep(0.2)
        return self

    def attach(self, data):
        if data["status"] not in ("running", "paused"):
            return False
        self.parse(data)  # the key is read here, and never again
        if data["status"] == "paused":
            response = self.call("POST", "/resume", {"runtime_id": data["runtime_id"]})
            assert response.status == 200
            assert response.json()["session_api_key"] == self.key  # older ones read it here, again
        return True

    def parse(self, data):
        self.runtime_id = data["runtime_id"]
        self.url = data["url"]
        self.key = data["session_api_key"]
        assert self.runtime_id and self.url and self.key

    def is_alive(self):
        response = self.call("GET", f"/sessions/{self.session}")
        self.polls += 1
        if response.status // 100 != 2:
            raise Fatal(f"poll: {response}")
        data = response.json()
        pod_status = data["pod_status"].lower()
        if pod_status == "ready":
            return self.agent(self.url, "/health") == 200
        if pod_status in ("not found", "pending", "running"):
            return False
        raise Fatal(f"{pod_status}: {data['pod_logs']}")

    def leave(self, keep=False):
        assert self.call("POST", "/pause" if keep else "/stop", {"runtime_id": self.runtime_id}).status == 200


def command(daemon, name="slow"):
    return next(spec["command"] for spec in daemon.config["specs"] if spec["id"] == name)


def test_the_remote_workspace_starts_polls_pauses_and_comes_back(daemon):
    text = shlex.join(command(daemon))
    with_text = RemoteWorkspace(daemon, "workspace-1", "slow", text).enter()
    assert with_text.polls > 1
    key, url = with_text.key, with_text.url
    with_text.leave(keep=True)
    again = RemoteWorkspace(daemon, "workspace-1", "slow", text).enter()
    assert (again.runtime_id, again.key, again.url) == (with_text.runtime_id, key, url)
    # the key that it read before it resumed is the one that is right
    assert daemon.get("/api/v1/sandbox", headers={"X-Session-API-Key": again.key}).status == 200
    again.leave()
    assert again.call("GET", "/sessions/workspace-1").status == 404
    fresh = RemoteWorkspace(daemon, "workspace-1", "slow", text).enter()
    assert fresh.runtime_id != again.runtime_id


def test_the_remote_workspace_brings_a_command_as_one_text(daemon):
    workspace = RemoteWorkspace(daemon, "w", "agent", f"{AGENT} --port '{{port}}' --print 7").enter()
    path = f"/api/v1/sandboxes/{workspace.runtime_id}/logs"
    wait_until(lambda: len(daemon.get(path, headers=Runtime.headers).text.splitlines()) >= 7, what="what it says")


def test_the_remote_workspace_is_told_why_it_failed(daemon):
    with pytest.raises(Fatal) as problem:
        RemoteWorkspace(daemon, "w", "broken", None).enter()
    assert str(problem.value).startswith("failed: ") and "line" in str(problem.value)


def test_the_remote_workspace_has_its_session_again_after_it_died(daemon):
    first = RemoteWorkspace(daemon, "w", "slow", None).enter()
    for pid in daemon.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: first.call("GET", "/sessions/w").json()["status"] == "error")
    again = RemoteWorkspace(daemon, "w", "slow", None).enter()  # no poll of it sees how the one before ended
    assert (again.runtime_id, again.key) == (first.runtime_id, first.key)  # its port may have been another's meanwhile


def test_the_remote_workspace_attaches_while_it_starts(daemon):
    first = RemoteWorkspace(daemon, "w", "slow", None)
    response = first.call("POST", "/start", {"image": "slow", "session_id": "w"})
    first.parse(response.json())
    second = RemoteWorkspace(daemon, "w", "slow", None).enter()
    assert (second.runtime_id, second.key, second.url) == (first.runtime_id, first.key, first.url)


def test_the_remote_workspace_with_its_defaults_on_processes(make_daemon):
    """Its command is the path of a program in the image, and it has no way to leave it out."""
    image = "ghcr.io/openhands/agent-server:latest-python"

    def ignore(config):
        config["auth"] = {"keys": [{"user": "app", "key": "app-server-key-1"}]}
        config["runtime_api"] = {"enabled": True}
        config["specs"][0].update(id=image, own_command="ignore")
    daemon = make_daemon(ignore)
    daemon.finish_headers = {"X-API-Key": "app-server-key-1"}
    daemon.start()
    command = "/usr/local/bin/openhands-agent-server --port 60000"
    workspace = RemoteWorkspace(daemon, "defaults", image, command).enter()
    assert workspace.polls > 0
    again = RemoteWorkspace(daemon, "defaults", image, command).enter()
    assert (again.runtime_id, again.key) == (workspace.runtime_id, workspace.key)
    daemon.config["specs"][0]["own_command"] = "refuse"
    daemon.write()
    daemon.reload()
    with pytest.raises(Fatal, match="own_command: refuse"):
        RemoteWorkspace(daemon, "another", image, command).enter()


# ---- RemoteRuntime


class RemoteRuntime(Runtime):
    """Registry prefix and image first; /start; then GET /runtime/{id} until its pod is ready, and /alive."""

    def connect(self, session, image, attach=False):
        found = self.call("GET", f"/sessions/{session}")
        assert found.status in (200, 404), found
        status = found.json()["status"] if found.status == 200 else None
        if status in ("running", "paused"):
            self.parse(found.json())  # the key is read here, and never again
            if status == "paused":
                assert self.call("POST", "/resume", {"runtime_id": self.runtime_id}).status == 200
        elif attach:
            raise Fatal("not found")
        else:
            self.start(session, image)
        wait_until(self.is_ready, timeout=60 * SLOWER)
        return self

    def start(self, session, image):
        assert self.call("GET", "/registry_prefix").json()["registry_prefix"]
        found = self.call("GET", f"/image_exists?{urlencode({'image': image})}").json()
        assert found["exists"]
        assert f"{found['image']['image_size_bytes'] / 1024 / 1024:.2f} MB, {found['image']['upload_time']}"
        response = self.call("POST", "/start", {
            "image": image, "command": None, "working_dir": shared(self.daemon), "session_id": session,
            "environment": {"DEBUG": "true"}, "resource_factor": 2, "runtime_class": "sysbox-runc"})
        assert response.status in (200, 201), response
        self.parse(response.json())

    def parse(self, data):
        self.runtime_id, self.url, self.key = data["runtime_id"], data["url"], data["session_api_key"]
        assert self.runtime_id and self.url
        self.hosts = data.get("work_hosts") or {}

    def is_ready(self):
        response = self.call("GET", f"/runtime/{self.runtime_id}")
        assert response.status == 200, response
        data = response.json()
        assert data["runtime_id"] == self.runtime_id and "pod_status" in data
        assert data.get("restart_count", 0) == 0
        pod_status = data["pod_status"].lower()
        if pod_status == "ready":
            return self.agent(self.url, "/alive", **{"X-Session-API-Key": self.key}) == 200
        if pod_status in ("not found", "pending", "running"):
            return False
        raise Fatal(pod_status)

    def close(self, keep):
        response = self.call("POST", "/pause" if keep else "/stop", {"runtime_id": self.runtime_id})
        assert response.status == 200, response  # all else it raises


def test_the_remote_runtime_starts_attaches_pauses_and_resumes(daemon):
    runtime = RemoteRuntime(daemon).connect("conversation-1", "slow")
    attached = RemoteRuntime(daemon).connect("conversation-1", "slow", attach=True)
    assert attached.runtime_id == runtime.runtime_id
    runtime.close(keep=True)
    resumed = RemoteRuntime(daemon).connect("conversation-1", "slow")
    assert (resumed.runtime_id, resumed.url, resumed.key) == (runtime.runtime_id, runtime.url, runtime.key)
    resumed.close(keep=False)
    with pytest.raises(Fatal):
        RemoteRuntime(daemon).connect("conversation-1", "slow", attach=True)


def test_the_remote_runtime_gives_up_on_one_that_failed(daemon):
    with pytest.raises(Fatal) as problem:
        RemoteRuntime(daemon).connect("conversation-2", "broken")
    assert str(problem.value) == "failed"


# ---- the app server's RemoteSandboxService


STATUSES = {"ready": "RUNNING", "pending": "STARTING", "running": "STARTING", "failed": "ERROR", "unknown": "ERROR",
            "crashloopbackoff": "ERROR"}
FALLBACKS = {"running": "RUNNING", "paused": "PAUSED", "stopped": "MISSING", "starting": "STARTING", "error": "ERROR"}


class SandboxService(Runtime):
    """Every look is a GET of the session; a start's answer is read at once; /list is what it polls."""

    def status(self, session):
        response = self.call("GET", f"/sessions/{session}")
        if response.status != 200:
            return "MISSING"
        runtime = response.json()
        assert FALLBACKS[runtime["status"]] == self.of(runtime)  # newer ones read nothing else
        return self.of(runtime)

    @staticmethod
    def of(runtime):
        key = runtime["session_api_key"]  # the member has to be there
        status = STATUSES.get(runtime["pod_status"].lower()) or FALLBACKS.get(runtime["status"].lower(), "MISSING")
        if status == "RUNNING":
            assert key and runtime["url"]
        return status

    def start(self, session, spec):
        response = self.call("POST", "/start", {
            "image": spec["id"], "command": spec["command"], "working_dir": shared(self.daemon),
            "environment": {**spec["initial_env"], "OH_WEBHOOKS_0_BASE_URL": "http://app/api/v1/webhooks",
                            "OH_ALLOW_CORS_ORIGINS_0": "http://app", "WORKER_1": "12000", "WORKER_2": "12001"},
            "session_id": session, "resource_factor": 1, "run_as_user": 10001, "run_as_group": 10001,
            "fs_group": 10001, "runtime_class": "sysbox-runc"})
        assert response.status == 200, response
        return {**response.json(), "pod_status": "pending"}

    def running(self):
        """What it counts before it starts or resumes one, to pause the oldest."""
        return {runtime["session_id"] for runtime in self.call("GET", "/list").json()["runtimes"]}

    def act(self, verb, session):
        response = self.call("GET", f"/sessions/{session}")
        if response.status != 200:
            return False
        return self.call("POST", verb, {"runtime_id": response.json()["runtime_id"]}).status == 200


def test_the_sandbox_service_lives_through_all_of_it(daemon):
    service, spec = SandboxService(daemon), next(s for s in daemon.config["specs"] if s["id"] == "slow")
    sessions = [f"sandbox{i}" for i in range(3)]
    for session in sessions:
        begun = time.monotonic()
        assert service.of(service.start(session, spec)) == "STARTING"
        assert time.monotonic() - begun < API_TIMEOUT
    for session in sessions:
        wait_until(lambda session=session: service.status(session) == "RUNNING", timeout=60 * SLOWER)
    listed = service.call("GET", "/list").json()
    running = {r["session_id"]: r for r in listed["runtimes"] if r["status"] == "running"}
    assert set(running) == set(sessions) and all(r["url"] and r["session_api_key"] for r in running.values())
    batch = service.call("GET", "/sessions/batch?" + urlencode([("ids", s) for s in [*sessions, "no-such-one"]]))
    assert [r and service.of(r) for r in batch.json()] == ["RUNNING"] * 3 + [None]
    assert service.act("/pause", sessions[0])
    assert service.status(sessions[0]) == "PAUSED"
    assert service.running() == set(sessions[1:])
    assert service.act("/resume", sessions[0])
    wait_until(lambda: service.status(sessions[0]) == "RUNNING")
    for session in sessions:
        assert service.act("/stop", session)
        assert service.status(session) == "MISSING"
        assert not service.act("/stop", session)
    assert not service.act("/resume", "no-such-one")


# ---- the SDK's OpenHandsCloudWorkspace, over the App API


def test_the_cloud_workspace_starts_polls_and_resumes(daemon):
    headers = {"Authorization": "Bearer app-server-key-1"}
    with daemon.client(timeout=API_TIMEOUT) as client:
        started = client.post(f"/api/v1/sandboxes?sandbox_spec_id={quote('slow')}", headers=headers)
        assert started.status == 200
        sandbox_id = started.json()["id"]

        def running():
            found = client.get(f"/api/v1/sandboxes?id={sandbox_id}", headers=headers).json()[0]
            if found is None or found["status"] == "STARTING":
                return None
            if found["status"] == "PAUSED":
                assert client.post(f"/api/v1/sandboxes/{sandbox_id}/resume", headers=headers).status == 200
                return None
            if found["status"] in ("ERROR", "MISSING"):
                raise Fatal(found["status"])
            url = next(u["url"] for u in found["exposed_urls"] if u["name"] == "AGENT_SERVER")
            return found if Runtime.agent(url, "/health") == 200 else None

        first = wait_until(running, timeout=60 * SLOWER)
        assert first["session_api_key"]
        assert client.post(f"/api/v1/sandboxes/{sandbox_id}/pause", headers=headers).status == 200
        again = wait_until(running, timeout=60 * SLOWER)
        assert again["session_api_key"] == first["session_api_key"]
        # one that is given a sandbox's id resumes it before it looks
        assert client.post(f"/api/v1/sandboxes/{sandbox_id}/resume", headers=headers).status == 200
        assert running()["session_api_key"] == first["session_api_key"]
        assert client.delete(f"/api/v1/sandboxes/{sandbox_id}?sandbox_id={sandbox_id}", headers=headers).status == 200
        assert client.get(f"/api/v1/sandboxes?id={sandbox_id}", headers=headers).json() == [None]
