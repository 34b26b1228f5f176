"""A Docker Engine of the tests' own, its raw API, images made of the tests' agent, and sandboxd in front of it.

It runs where isolate.sh put the whole test run: with a network, processes and mounts that nobody else sees, and that
end with it. Elsewhere, and where it does not start, the tests are skipped with the reason.
"""

import base64
import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.parse
from pathlib import Path

import pytest

from harness import BUILD, SLOWER, TIMEOUT, Client, Daemon, Response, UnixConnection, wait_until

STATIC_AGENT = BUILD / "bin/sandbox-agent-static"
ISOLATED = os.environ.get("SANDBOXD_ISOLATED")
REPOSITORY = "sandboxd-test"
AGENT_IMAGE = f"{REPOSITORY}/agent:latest"


def children_of(pid):
    """The pids of its children."""
    with contextlib.suppress(FileNotFoundError):
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class Engine:
    """One dockerd: its folder, its process and its API."""

    def __init__(self, *flags):
        """`flags` are more of the program's options."""
        if not ISOLATED:
            pytest.skip("an engine of our own runs through isolate.sh only (as in ctest)")
        if not STATIC_AGENT.exists():
            pytest.skip("the agent could not be linked statically, and the images are made of it")
        self.directory = Path(tempfile.mkdtemp(prefix="engine-", dir=ISOLATED))
        self.socket = self.directory / "docker.sock"
        self.log_file = self.directory / "log"
        self.flags = flags
        self.process = None
        try:
            self.start()
        except AssertionError as problem:
            with contextlib.suppress(OSError):
                self.process.kill()
            pytest.skip(f"no Docker Engine starts here ({problem}): {self.log_file.read_text()[-500:]}")
        self.import_image(AGENT_IMAGE)

    @property
    def host(self):
        return f"unix://{self.socket}"

    @property
    def pid(self):
        return self.process.pid

    # ---- the process

    def start(self):
        """Starts it on its data, and waits until it answers."""
        self.socket.unlink(missing_ok=True)
        (self.directory / "config.json").write_text("{}")
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--config-file", self.directory / "config.json", "--host", self.host,
                 "--data-root", self.directory / "data", "--exec-root", self.directory / "exec",
                 "--pidfile", self.directory / "pid", "--exec-opt", "native.cgroupdriver=cgroupfs",
                 "--cgroup-parent", "/" + Path(ISOLATED).name, *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.answers, timeout=30, what="an answer of the engine")
        return self

    def answers(self):
        assert self.process.poll() is None, f"dockerd ended with {self.process.returncode}"
        try:
            return self.call("GET", "/_ping").status == 200
        except OSError:
            return False

    def stop(self):
        """In good order: running containers end too."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(60)
        (self.directory / "pid").unlink(missing_ok=True)

    def kill(self):
        """As a crash: its containerd goes with it, the containers go on until the next start."""
        helpers = children_of(self.pid)
        self.process.kill()
        self.process.wait()
        for helper in helpers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(helper, signal.SIGKILL)
        (self.directory / "pid").unlink(missing_ok=True)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self):
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def finish(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- its API

    def call(self, method, path, body=None, headers=None, timeout=30):
        """One raw call; `body` may be bytes, or anything that becomes JSON."""
        connection = UnixConnection(str(self.socket), timeout)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        except http.client.HTTPException as problem:
            raise ConnectionError(str(problem)) from problem
        finally:
            connection.close()

    def ask(self, method, path, body=None, **options):
        """A call that must succeed, and its JSON."""
        response = self.call(method, path, body, **options)
        assert response.status < 400, f"{method} {path}: {response}"
        return response.json() if response.headers.get_content_type() == "application/json" and response.body else None

    def inspect(self, name):
        return self.ask("GET", f"/containers/{name}/json")

    def state(self, name):
        """The engine's word for it; None where there is none."""
        response = self.call("GET", f"/containers/{name}/json")
        return response.json()["State"]["Status"] if response.status == 200 else None

    def containers(self, prefix):
        """The names of all containers that begin so, running or not."""
        names = [c["Names"][0][1:] for c in self.ask("GET", "/containers/json?all=1") if c["Names"]]
        return sorted(name for name in names if name.startswith(prefix))

    def volumes(self):
        return sorted(v["Name"] for v in self.ask("GET", "/volumes")["Volumes"] or [])

    def do(self, name, verb, query=""):
        """What somebody else does with `docker VERB`."""
        return self.ask("POST", f"/containers/{name}/{verb}{query}")

    def remove(self, name):
        response = self.call("DELETE", f"/containers/{name}?force=1&v=1")
        assert response.status in (204, 404), response

    def run(self, name, command=("--port", "8000"), image=AGENT_IMAGE, **more):
        """Somebody else's container."""
        body = {"Image": image, "Cmd": ["/sandbox-agent", *command], **more}
        self.ask("POST", f"/containers/create?name={name}", body)
        self.ask("POST", f"/containers/{name}/start")

    # ---- images

    def import_image(self, name, changes=(), padding=0, mode=0o755):
        """An image of one layer: the agent, a folder to work in, and `padding` bytes that don't compress."""
        def owned_by_root(info):
            info.uid, info.gid, info.mode = 0, 0, mode
            return info
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.add(STATIC_AGENT, "sandbox-agent", filter=owned_by_root)
            for folder in "tmp", "workspace", "workspace/project":
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o777
                tar.addfile(info)
            if padding:
                info = tarfile.TarInfo("padding")
                info.size = padding
                tar.addfile(info, io.BytesIO(os.urandom(padding)))
        repository, _, tag = name.rpartition(":")
        query = [("fromSrc", "-"), ("repo", repository), ("tag", tag), *(("changes", change) for change in changes)]
        response = self.call("POST", "/images/create?" + urllib.parse.urlencode(query), layer.getvalue(),
                             {"Content-Type": "application/x-tar"})
        assert response.status == 200 and b"error" not in response.body, response

    def tag(self, name, source=AGENT_IMAGE):
        repository, _, tag = name.rpartition(":")
        self.ask("POST", f"/images/{source}/tag?" + urllib.parse.urlencode({"repo": repository, "tag": tag}))

    def push(self, name, user=None, password=None):
        auth = {"username": user, "password": password} if user else {}
        header = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
        repository, _, tag = name.rpartition(":")
        response = self.call("POST", f"/images/{repository}/push?tag={tag}", headers={"X-Registry-Auth": header},
                             timeout=120)
        assert response.status == 200 and b"errorDetail" not in response.body, response

    def remove_image(self, name):
        self.call("DELETE", f"/images/{name}?force=1")


class DockerDaemon(Daemon):
    """sandboxd with one docker backend, whose containers have a prefix that no other test uses."""

    counter = 0

    def __init__(self, engine, change=None, **options):
        self.engine = engine
        self.also_volumes = []  # of named volumes that outlive their sandboxes
        DockerDaemon.counter += 1
        self.prefix = f"sbx-{os.getpid()}-{DockerDaemon.counter}-"
        super().__init__(change, **options)

    def default_config(self):
        config = super().default_config()
        config["backends"] = {"docker": {
            "plugin": "docker", "health_interval": "100ms", "startup_timeout": f"{20 * SLOWER}s",
            "max_sandboxes": 100,
            "options": {"host": self.engine.host, "container_name_prefix": self.prefix, "pull_policy": "never",
                        "stop_timeout": "2s",
                        "exposed_ports": [{"name": "AGENT_SERVER", "container_port": 8000}]}}}
        return config

    def spec(self, name, *flags, command=None, **more):
        """A spec's id is its image: each name is a tag of the same one. The agent runs with these flags."""
        image = AGENT_IMAGE if name == "agent" else f"{REPOSITORY}/{name}:latest"
        if image != AGENT_IMAGE:
            self.engine.tag(image)
        command = command or ["/sandbox-agent", "--port", "8000", *map(str, flags)]
        return {"id": image, "command": command, **more}

    @property
    def backend(self):
        return self.config["backends"]["docker"]

    @property
    def options(self):
        return self.backend["options"]

    def start_sandbox(self, spec=None, **options):
        return super().start_sandbox(spec and (spec if "/" in spec else f"{REPOSITORY}/{spec}:latest"), **options)

    def containers(self):
        return self.engine.containers(self.prefix)

    def leftovers(self):
        """What is there of sandboxes: containers, volumes that are named after them or that nobody uses."""
        overlays = [p.name for p in self.overlays.iterdir()] if self.overlays.exists() else []
        volumes = [v for v in self.engine.volumes() if self.prefix in v or re.fullmatch("[0-9a-f]{64}", v)]
        return self.containers() + volumes + overlays + self.processes()

    @property
    def overlays(self):
        return self.directory / "overlays"

    def state_of_backend(self):
        [backend] = self.get("/api/v1/backends").json()
        return backend

    def wait_error(self, sandbox_id, code):
        """It is in ERROR for this reason. Before an end is known, its health check may have told of it."""
        def seen():
            sandbox = self.sandbox(sandbox_id)
            return sandbox and sandbox["status"] == "ERROR" and sandbox["error"]["code"] == code and sandbox
        return wait_until(seen, what=f"{code}, and not {self.sandbox(sandbox_id)}")

    def wait_available(self, available=True):
        """It has listed its sandboxes, too; where many are being started, the engine lets it wait."""
        wait_until(lambda: (self.get("/ready").status == 200) == available, TIMEOUT,
                   "/ready " + ("again" if available else "to say that the engine is lost"))

    def discard(self):
        super().discard()
        with contextlib.suppress(OSError, AssertionError):
            for name in self.containers():
                self.engine.remove(name)


def agent_of(sandbox, name="AGENT_SERVER"):
    """A client of the program in a sandbox."""
    [url] = [u["url"] for u in sandbox["exposed_urls"] if u["name"] == name]
    return Client(url.removeprefix("http://").replace("localhost", "127.0.0.1"))


def host_port(sandbox, name="AGENT_SERVER"):
    """Where on the host: exposed_urls has the port inside, its URL the host's."""
    [url] = [u["url"] for u in sandbox["exposed_urls"] if u["name"] == name]
    return urllib.parse.urlsplit(url).port


def ask_agent(sandbox, path, method="GET"):
    with agent_of(sandbox) as client:
        return client.request(method, path)


def env_of(inspection):
    """A container's environment."""
    return dict(pair.split("=", 1) for pair in inspection["Config"]["Env"])


def within(seconds, condition, what=None):
    """The time until it held, which must be at most so much (times the sanitizers' slowness)."""
    begun = time.monotonic()
    wait_until(condition, seconds * SLOWER, what)
    return time.monotonic() - begun
