"""Images that the engine has to pull first, from a registry of the tests on loopback (Debian's docker-registry)."""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from docker_engine import ISOLATED
from docker_proxy import Proxy, answer_of
from harness import SLOWER, Client, free_port, wait_until

USER, PASSWORD = "puller", "a-secret-for-pulls"
HASHED = "$2b$04$C0OGK2DV/ypJermzfFbc/OS9PCmdH6bqIV5o/h4qNOB/Ri3eJ6FxK"  # htpasswd(1), bcrypt, cost 4
MIB = 1 << 20


class Registry:
    """One registry with its data, and a proxy in front that can be slow."""

    def __init__(self, auth=False):
        program = shutil.which("docker-registry") or shutil.which("registry")
        if not program:
            pytest.skip("there is no docker-registry (Debian: docker-registry)")
        self.directory = Path(tempfile.mkdtemp(prefix="registry-", dir=ISOLATED))
        self.port = port = free_port()
        config = {"version": "0.1", "log": {"level": "warn"}, "http": {"addr": f"127.0.0.1:{port}"},
                  "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}}}
        if auth:
            (self.directory / "htpasswd").write_text(f"{USER}:{HASHED}\n")
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(self.directory / "htpasswd")}}
        (self.directory / "config.yml").write_text(json.dumps(config))
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen([program, "serve", self.directory / "config.yml"], stdout=log, stderr=log)
        self.proxy = Proxy(port)
        wait_until(lambda: self.answers(port), what="an answer of the registry")

    @staticmethod
    def answers(port):
        with contextlib.suppress(OSError):
            with Client(f"127.0.0.1:{port}") as client:
                return client.get("/v2/").status in (200, 401)

    @property
    def name(self):
        """As it stands in the name of an image."""
        return f"127.0.0.1:{self.proxy.port}"

    def publish(self, engine, name, padding=0, user=None, password=None):
        """An image that only the registry has, afterwards. It is pulled through the proxy, and pushed past it."""
        pushed = f"127.0.0.1:{self.port}/{name}:latest"
        engine.import_image(pushed, ['CMD ["/sandbox-agent", "--port", "8000"]'], padding)
        engine.push(pushed, user, password)
        engine.remove_image(pushed)
        return f"{self.name}/{name}:latest"

    def finish(self):
        self.process.kill()
        self.process.wait()
        self.proxy.close()
        shutil.rmtree(self.directory)


@pytest.fixture(scope="module")
def module_registry():
    registry = Registry()
    yield registry
    registry.finish()


@pytest.fixture
def registry(module_registry):
    yield module_registry
    module_registry.proxy.clear()


@pytest.fixture(scope="module")
def locked(session_engine):
    """A registry that wants a password, and an image in it."""
    registry = Registry(auth=True)
    registry.image = registry.publish(session_engine, "locked", user=USER, password=PASSWORD)
    yield registry
    registry.finish()


@pytest.fixture
def begin(make_docker):
    """A daemon whose one spec is this image."""
    def made(image, policy="missing", **options):
        backend = options.pop("backend", {})
        env = options.pop("env", None)
        docker = make_docker(env=env)
        docker.backend.update(backend)
        docker.options.update(pull_policy=policy, **options)
        docker.config["specs"] = [{"id": image}]
        docker.write()
        return docker.start()
    return made


def test_a_missing_image_is_pulled_once_and_then_there(begin, registry, engine, proxy):
    image = registry.publish(engine, "missing")
    docker = begin(image, host=proxy.host)
    docker.start_sandbox()
    assert len(proxy.matching("^POST /images/create")) == 1
    docker.start_sandbox()
    assert len(proxy.matching("^POST /images/create")) == 1


def test_always_pulls_again_and_never_does_not(begin, registry, engine, proxy):
    image = registry.publish(engine, "always")
    docker = begin(image, policy="always", host=proxy.host)
    docker.start_sandbox()
    docker.start_sandbox()
    assert len(proxy.matching("^POST /images/create")) == 2
    engine.remove_image(registry.publish(engine, "never"))
    response = begin(f"{registry.name}/never:latest", policy="never").post("/api/v1/sandboxes")
    assert response.status >= 400 and response.json()["error"]["code"] == "IMAGE_NOT_FOUND"


def test_one_pull_for_ten_starts_with_progress(begin, registry, engine, proxy):
    image = registry.publish(engine, "slow", padding=2 * MIB)
    registry.proxy.rule("^GET /v2/slow/blobs", times=10, rate=MIB // 2)
    docker = begin(image, host=proxy.host, backend={"startup_timeout": "60s"})  # ten containers, on a busy machine
    details = set()
    begun = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(docker.start_sandbox, wait=None, status=None) for _ in range(10)]

        def over():
            details.update(s["status_detail"] for s in docker.everything() if s["status_detail"])
            return all(answer.done() for answer in answers)

        wait_until(over)
        started = {docker.wait_status(answer.result()["id"], "RUNNING")["id"] for answer in answers}
    took = time.monotonic() - begun
    assert {s["id"] for s in docker.everything()} == started
    assert len(proxy.matching("^POST /images/create")) == 1
    assert any(re.search(r"\d.* [MK]iB", detail) for detail in details), details
    lines = [line for line in docker.log().splitlines() if re.search(r"pull", line, re.I) and "slow" in line]
    assert 2 <= len(lines) <= took + 4, "one line a second, and its begin and end"


def test_a_pull_may_take_longer_than_the_startup_timeout(begin, registry, engine):
    image = registry.publish(engine, "long", padding=3 * MIB)
    registry.proxy.rule("^GET /v2/long/blobs", times=10, rate=MIB // 2)
    timeout = 5  # in which a container starts, also on a busy machine
    docker = begin(image, backend={"startup_timeout": f"{timeout}s"})
    begun = time.monotonic()
    sandbox = docker.start_sandbox(wait=None, status=None)
    docker.wait_status(sandbox["id"], "RUNNING")
    assert time.monotonic() - begun > timeout, "the registry was slow, or this proves nothing"


def test_a_pull_that_stands_still_ends_with_the_startup_timeout(begin, registry, engine):
    image = registry.publish(engine, "stuck", padding=MIB)
    go_on = threading.Event()
    registry.proxy.rule("^GET /v2/stuck/blobs", times=10, until=go_on)
    docker = begin(image, backend={"startup_timeout": f"{1 * SLOWER}s"})
    begun = time.monotonic()
    response = docker.post(f"/api/v1/sandboxes?wait={1 * SLOWER}s", timeout=60)
    body = response.json()
    if response.status == 200 and body["status"] == "STARTING":
        body = docker.wait_status(body["id"], "ERROR")
    go_on.set()
    assert body["error"] and "stuck" in str(body), body
    assert time.monotonic() - begun < 15 * SLOWER
    docker.remove_all()
    wait_until(lambda: not docker.containers())


def test_an_image_that_the_registry_does_not_have(begin, registry):
    image = f"{registry.name}/nosuch:latest"
    docker = begin(image)
    response = docker.post("/api/v1/sandboxes?wait=10s")
    assert response.json()["error"]["code"] == "IMAGE_NOT_FOUND" and image in response.json()["detail"], response
    assert response.status in (404, 502) and docker.everything() == [] and docker.containers() == []


def test_a_pull_that_fails_inside_its_answer_of_200(begin, registry, engine, proxy):
    image = registry.publish(engine, "inside")
    proxy.rule("^POST /images/create", answer=answer_of(
        b'{"status":"Pulling from inside","id":"latest"}\r\n'
        b'{"errorDetail":{"message":"layers from the moon are not supported"},"error":"layers from the moon"}\r\n'))
    docker = begin(image, host=proxy.host)
    response = docker.post("/api/v1/sandboxes?wait=10s")
    assert response.status >= 500 and "layers from the moon are not supported" in response.json()["detail"], response
    assert docker.everything() == [] and docker.containers() == []
    docker.start_sandbox()  # the next one is no failure


def test_a_pull_whose_blobs_are_gone(begin, registry, engine):
    image = registry.publish(engine, "hollow", padding=1000)
    registry.proxy.rule("^GET /v2/hollow/blobs", times=100, answer=answer_of(
        b'{"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown to registry"}]}', "404 Not Found"))
    response = begin(image).post("/api/v1/sandboxes?wait=20s", timeout=60)
    assert response.status >= 400 and re.search("blob unknown|unknown blob", response.json()["detail"]), response


def test_a_cut_pull_is_an_error_that_may_pass(begin, registry, engine, proxy):
    image = registry.publish(engine, "cut")
    proxy.rule("^POST /images/create", "cut in the middle")
    docker = begin(image, host=proxy.host)
    response = docker.post("/api/v1/sandboxes?wait=10s")
    assert response.status == 200 or response.json()["error"]["retryable"] is True, response
    docker.wait_available()
    docker.start_sandbox()


# ---- credentials


def with_config(begin, locked, docker_config, tmp_path, helper=None):
    """A daemon whose home has this ~/.docker/config.json, and this program beside those of the PATH."""
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps(docker_config))
    env = {"HOME": str(tmp_path)}
    if helper:
        program = tmp_path / "docker-credential-oftests"
        program.write_text(helper)
        program.chmod(0o755)
        env["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    return begin(locked.image, policy="always", env=env)


def assert_no_secret(docker, *texts):
    encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for text in docker.log(), *texts:
        assert PASSWORD not in text and encoded not in text


def test_credentials_of_the_auths_part(begin, locked, tmp_path):
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    docker = with_config(begin, locked, {"auths": {locked.name: {"auth": auth}}}, tmp_path)
    docker.start_sandbox()
    assert_no_secret(docker)


def test_credentials_of_a_helper(begin, locked, tmp_path):
    asked = tmp_path / "asked"
    helper = (f'#!/bin/sh\nserver=$(cat)\necho "$1 $server" >>{asked}\n'
              f'echo \'{{"ServerURL": "x", "Username": "{USER}", "Secret": "{PASSWORD}"}}\'\n')
    docker = with_config(begin, locked, {"credHelpers": {locked.name: "oftests"}}, tmp_path, helper)
    docker.start_sandbox()
    assert asked.read_text().splitlines() == [f"get {locked.name}"]
    assert_no_secret(docker)


@pytest.mark.parametrize("kind", ["none", "wrong", "no helper", "a helper that fails", "a helper that hangs",
                                  "no JSON"])
def test_without_the_right_credentials_the_reason_is_clear_and_no_secret(begin, locked, tmp_path, kind):
    helper, config = None, {}
    if kind == "wrong":
        config = {"auths": {locked.name: {"auth": base64.b64encode(f"{USER}:{PASSWORD}x".encode()).decode()}}}
    elif kind == "no helper":
        config = {"credHelpers": {locked.name: "nosuch"}}
    elif kind != "none":
        config = {"credsStore": "oftests"}
        helper = {"a helper that fails": f"#!/bin/sh\necho {PASSWORD}\nexit 1\n",
                  "no JSON": f"#!/bin/sh\necho {PASSWORD}\n",
                  "a helper that hangs": "#!/bin/sh\nexec sleep 1000\n"}[kind]
    docker = with_config(begin, locked, config, tmp_path, helper)
    begun = time.monotonic()
    response = docker.post("/api/v1/sandboxes?wait=20s", timeout=60)
    body = response.json()
    if response.status == 200:
        body = docker.wait_status(body["id"], "ERROR", timeout=60)
    assert body["error"]["message"] and body["error"]["code"] != "INTERNAL", body
    assert time.monotonic() - begun < 30 * SLOWER
    assert_no_secret(docker, response.text)
