"""The runtime API over containers: what a start asks for is in the container, and its URL is known before the image."""

import json
import threading
import time
from urllib.parse import quote

import pytest

from docker_engine import AGENT_IMAGE
from harness import SLOWER, Client, wait_until
from test_docker_pull import MIB, Registry


@pytest.fixture(scope="module")
def registry():
    registry = Registry()
    yield registry
    registry.finish()


@pytest.fixture
def docker(make_docker):
    """Not started yet."""
    docker = make_docker()
    del docker.options["exposed_ports"]
    docker.config["runtime_api"] = {"enabled": True, "images": ["127.0.0.1:*"]}
    docker.write()
    return docker


def start(docker, **body):
    response = docker.post("/runtime-api/start", body=json.dumps(body), timeout=15 * SLOWER)
    assert response.status == 200, f"{response}\n{docker.log()}"
    return response.json()


def session(docker, name):
    return docker.get(f"/runtime-api/sessions/{name}").json()


def wait_running(docker, name):
    wait_until(lambda: session(docker, name)["status"] == "running", what=f"running, not {session(docker, name)}")
    return session(docker, name)


def ask(url, path):
    with Client(url.removeprefix("http://").replace("localhost", "127.0.0.1")) as client:
        return client.get(path).json()


def test_a_command_of_the_request_replaces_the_entry_point(docker, engine):
    """As clients of the published images bring it; the entry point understands options alone."""
    engine.import_image("sandboxd-test/entry:latest", ['ENTRYPOINT ["/sandbox-agent"]'])
    docker.config["specs"] = [{"id": "sandboxd-test/entry:latest"}]
    docker.write()
    docker.start()
    for name, command in (("program", ["/sandbox-agent", "--port", "60000"]), ("options", "--port 60000")):
        start(docker, image="sandboxd-test/entry:latest", command=command, session_id=name)
        assert ask(wait_running(docker, name)["url"], "/alive") is not None


def test_a_runtime_class_that_the_operator_maps_to_nothing_starts_on_a_plain_engine(docker):
    docker.options["runtime_classes"] = {"sysbox-runc": ""}
    docker.write()
    docker.start()
    start(docker, image=AGENT_IMAGE, command=["/sandbox-agent", "--port", "60000"], session_id="s",
          runtime_class="sysbox-runc")
    wait_running(docker, "s")


def test_what_a_start_asks_for_is_in_the_container(docker, engine):
    docker.options["limits"] = {"memory": "64MiB", "cpus": 0.25, "pids": 50}
    docker.write()
    docker.start()
    runtime = start(docker, image=AGENT_IMAGE, command="/sandbox-agent --port '60000'", session_id="s",
                    working_dir="/tmp", environment={"MINE": "a b"}, resource_factor=2, run_as_user=1000,
                    run_as_group=1001, fs_group=1002, image_pull_policy="IfNotPresent")
    runtime = wait_running(docker, "s")
    assert ask(runtime["url"], "/alive") is not None
    for name, value in (("MINE", "a b"), ("OH_VSCODE_PORT", "60001"), ("WORKER_1", "12000"), ("WORKER_2", "12001"),
                        ("SESSION_API_KEY", runtime["session_api_key"])):
        assert ask(runtime["url"], f"/env?name={name}")["value"] == value, name
    assert sorted(runtime["work_hosts"].values()) == [12000, 12001]
    container = engine.inspect(runtime["runtime_id"])
    assert container["Config"]["User"] == "1000:1001" and container["HostConfig"]["GroupAdd"] == ["1002"]
    assert container["HostConfig"]["Memory"] == 128 * MIB and container["HostConfig"]["NanoCpus"] == 500000000
    assert container["HostConfig"]["PidsLimit"] == 100 and container["Config"]["WorkingDir"] == "/tmp"
    assert set(container["HostConfig"]["PortBindings"]) == {"60000/tcp", "60001/tcp", "12000/tcp", "12001/tcp"}
    urls = {u["name"]: u["url"] for u in docker.sandbox(runtime["runtime_id"])["exposed_urls"]}
    assert set(urls) == {"AGENT_SERVER", "VSCODE", "WORKER_1", "WORKER_2"} and urls["AGENT_SERVER"] == runtime["url"]
    assert set(runtime["work_hosts"]) == {urls["WORKER_1"], urls["WORKER_2"]}
    for how in "stop", "kill":
        docker.restart(how)
        again = wait_running(docker, "s")
        assert (again["url"], again["session_api_key"], again["work_hosts"]) == (
            runtime["url"], runtime["session_api_key"], runtime["work_hosts"])
    docker.post("/runtime-api/pause", body=json.dumps({"runtime_id": runtime["runtime_id"]}))
    docker.restart("stop")
    wait_until(lambda: session(docker, "s")["status"] == "paused")
    assert session(docker, "s")["url"] == runtime["url"], "clients read it before they resume"
    docker.post("/runtime-api/resume", body=json.dumps({"runtime_id": runtime["runtime_id"]}))
    assert wait_running(docker, "s")["url"] == runtime["url"]


def test_a_start_that_pulls_has_its_url_at_once(docker, engine, registry):
    image = registry.publish(engine, "late", padding=MIB)
    go_on = threading.Event()
    registry.proxy.rule("^GET /v2/late/blobs", times=10, until=go_on)
    docker.start()
    begun = time.monotonic()
    try:
        runtime = start(docker, image=image, command=["/sandbox-agent", "--port", "60000"], session_id="s",
                        image_pull_policy="IfNotPresent")
        assert time.monotonic() - begun < 5 * SLOWER, "it waited for the image"
        assert runtime["status"] == "starting" and runtime["url"] and runtime["session_api_key"]
        assert not docker.containers()
    finally:
        go_on.set()
    running = wait_running(docker, "s")
    assert (running["url"], running["work_hosts"]) == (runtime["url"], runtime["work_hosts"])
    assert ask(running["url"], "/alive") is not None


def test_a_start_on_a_slow_engine_has_its_url_before_the_container_runs(docker, engine, proxy):
    go_on = threading.Event()
    rule = proxy.rule("^POST /containers/[^/]+/start", until=go_on)
    docker.options["host"] = proxy.host
    docker.write()
    docker.start()
    try:
        runtime = start(docker, image=AGENT_IMAGE, command=["/sandbox-agent", "--port", "60000"], session_id="s")
        assert rule.applied and runtime["status"] == "starting" and runtime["url"] and runtime["session_api_key"]
    finally:
        go_on.set()
    running = wait_running(docker, "s")
    assert (running["url"], running["work_hosts"]) == (runtime["url"], runtime["work_hosts"])
    assert ask(running["url"], "/alive") is not None


def test_a_pull_that_fails_is_the_sessions_error(docker, registry):
    docker.start()
    image = f"{registry.name}/nosuch:latest"
    response = docker.post("/runtime-api/start", body=json.dumps({"image": image, "session_id": "s",
                                                                  "image_pull_policy": "Always"}))
    if response.status == 200:  # it was told before the registry had answered
        wait_until(lambda: session(docker, "s")["status"] == "error")
        assert session(docker, "s")["error"]["code"] == "IMAGE_NOT_FOUND"
    else:
        assert response.json()["error"]["code"] == "IMAGE_NOT_FOUND", response


def test_a_session_whose_program_could_never_run_is_started_anew(docker, engine):
    docker.start()
    wrong = {"image": AGENT_IMAGE, "session_id": "s", "command": "/no/such/program"}
    docker.post("/runtime-api/start", body=json.dumps(wrong))  # 200 where its init ran still when it was looked at
    wait_until(lambda: (session(docker, "s")["error"] or {}).get("code") == "COMMAND_NOT_FOUND")
    docker.restart()  # a kill could come before its start is on disk as one that has ended, and have it done again
    started = start(docker, **{**wrong, "command": "/sandbox-agent --port 60000"})
    assert wait_running(docker, "s")["runtime_id"] == started["runtime_id"]
    wait_until(lambda: len(engine.containers(docker.prefix)) == 1, what="the first one's container to be removed")


@pytest.mark.parametrize("keys", [False, True])
def test_a_container_is_attached_by_the_clients_own_name(docker, engine, keys):
    """As the program made it that ran before this daemon: named after its conversation."""
    admin, user = ({"X-API-Key": f"{name}-secret-key-000001"} for name in ("ops", "ann")) if keys else ({}, {})
    if keys:
        docker.config["auth"] = {"keys": [{"user": "ops", "key": admin["X-API-Key"], "role": "admin"},
                                          {"user": "ann", "key": user["X-API-Key"]}]}
        docker.finish_headers = admin
        docker.write()
    name = docker.prefix + "conv-1"
    engine.run(name, Env=["OH_SESSION_API_KEYS_0=of-the-client"], ExposedPorts={"8000/tcp": {}}, HostConfig={
        "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}})
    docker.start()

    def seen():
        return docker.get("/runtime-api/sessions/conv-1", headers=admin).json()

    def is_running():
        wait_until(lambda: seen()["status"] == "running", what=f"running, and not {seen()}")
        assert (seen()["runtime_id"], seen()["session_id"]) == (name, "conv-1")
        assert seen()["session_api_key"] == "of-the-client" and ask(seen()["url"], "/alive") is not None
        assert docker.get(f"/runtime-api/sessions/{name}", headers=admin).json()["runtime_id"] == name
        assert engine.containers(docker.prefix) == [name]
    is_running()
    body = json.dumps({"image": AGENT_IMAGE, "session_id": "conv-1", "command": "/sandbox-agent --port 60000"})
    for how, query, status in (("stop", "?t=1", "paused"), ("kill", "", "paused")):
        engine.do(name, how, query)
        wait_until(lambda s=status: seen()["status"] == s)
        docker.restart()
        response = docker.post("/runtime-api/start", body=body, headers=admin, timeout=15 * SLOWER)
        assert response.status == 200 and response.json()["runtime_id"] == name, response
        is_running()
    if keys:  # to a user it is nobody's
        assert docker.get("/runtime-api/sessions/conv-1", headers=user).status == 404
        response = docker.post("/runtime-api/start", body=body, headers=user, timeout=15 * SLOWER)
        assert response.status == 200 and response.json()["runtime_id"] != name, response


def test_images_exist_here_or_in_their_registry(docker, engine, registry):
    there = registry.publish(engine, "there")
    docker.start()

    def exists(image):
        response = docker.get(f"/runtime-api/image_exists?image={quote(image)}")
        assert response.status == 200, response
        return response.json()

    local = exists(AGENT_IMAGE)
    assert local["exists"] and local["image"]["image_size_bytes"] > 0 and local["image"]["upload_time"][:2] == "20"
    assert exists(there) == {"exists": True, "image": {"upload_time": None, "image_size_bytes": 0}}
    for image in f"{registry.name}/nosuch:latest", f"{registry.name}/there:nosuch", "127.0.0.1:No Such":
        assert exists(image) == {"exists": False, "image": None}
