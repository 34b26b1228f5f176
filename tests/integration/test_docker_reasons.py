"""Why a sandbox did not come up, or ended: a code, a sentence, what its program said; and what is left of it."""

import contextlib
import http.client
import io
import re
import tarfile

import pytest

from docker_engine import AGENT_IMAGE, REPOSITORY, ask_agent, host_port
from harness import wait_until


def failed_start(docker, code):
    """A start that made a sandbox, which then failed."""
    sandbox = docker.start_sandbox(status="ERROR")
    assert sandbox["error"]["code"] == code and sandbox["error"]["message"], sandbox
    assert sandbox["session_api_key"] is None and sandbox["exposed_urls"] is None
    return sandbox


def refused_start(docker, code, status=502):
    """A start that could make nothing: it leaves nothing behind."""
    response = docker.post("/api/v1/sandboxes?wait=20s", timeout=60)
    assert response.status == status and response.json()["detail"], f"{response}\n{docker.log()}"
    assert response.json()["error"]["code"] == code, response
    assert docker.everything() == []
    wait_until(lambda: not docker.containers(), what="no container left")
    return response.json()["error"]


def of(make_docker, *flags, init=None, command=None, **options):
    docker = make_docker()
    docker.config["specs"] = [docker.spec("agent", *flags, command=command)]
    if init is not None:
        options["kwargs"] = {"HostConfig": {"Init": init}}
    docker.options.update(options)
    docker.write()
    return docker.start()


@pytest.mark.parametrize("policy", ["never", "missing", "always"])
def test_an_image_that_does_not_exist(make_docker, policy):
    docker = make_docker()
    image = "127.0.0.1:1/no/such:tag" if policy != "never" else f"{REPOSITORY}/nosuch:tag"
    docker.options["pull_policy"] = policy
    docker.config["specs"] = [{"id": image}]
    docker.write()
    docker.start()
    response = docker.post("/api/v1/sandboxes?wait=20s", timeout=60)
    assert response.status >= 400, response
    error = response.json()["error"]
    assert image in error["message"], error
    # Nothing listens on port 1: the registry can't be asked, which is another reason than an answer of no.
    assert policy != "never" or error["code"] == "IMAGE_NOT_FOUND", error
    assert docker.everything() == [] and docker.containers() == []


@pytest.mark.parametrize("init", [True, False])
def test_a_command_that_does_not_exist(make_docker, init):
    docker = of(make_docker, init=init, command=["/no/such/program", "{port}"])
    response = docker.post("/api/v1/sandboxes?wait=20s", timeout=60)
    if response.status == 200:  # its init was started, and could not start it
        error = response.json()["error"]
        assert response.json()["status"] == "ERROR"
    else:
        error = response.json()["error"]
        assert docker.everything() == [] and docker.containers() == []
    assert error["code"] == "COMMAND_NOT_FOUND" and "/no/such/program" in str(error), error


@pytest.mark.parametrize("init", [True, False])
@pytest.mark.parametrize("line", ["#!/no/such/shell\n", "#!/sandbox-agent\r\n"])
def test_a_script_whose_interpreter_is_missing(make_docker, engine, line, init):
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, mode, content in (("run.sh", 0o755, line), ("Dockerfile", 0o644, f"FROM {AGENT_IMAGE}\nCOPY run.sh /\n")):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content.encode()))
    image = f"sandboxd-test/script-{init}:latest".lower()
    built = engine.call("POST", f"/build?t={image}", context.getvalue(), {"Content-Type": "application/x-tar"})
    assert b"Successfully built" in built.body, built
    docker = make_docker()
    docker.config["specs"] = [{"id": image, "command": ["/run.sh"]}]
    docker.options["kwargs"] = {"HostConfig": {"Init": init}}
    docker.write()
    docker.start()
    response = docker.post("/api/v1/sandboxes?wait=20s", timeout=60)
    error = response.json()["error"]
    assert error["code"] == "COMMAND_NOT_FOUND", error
    assert "/run.sh" in error["message"] and "interpreter" in error["message"] and "CRLF" in error["message"], error


def test_a_program_that_ends_at_once(make_docker):
    docker = of(make_docker, "--print", 3, "--bind-delay", 10000, "--exit-after", 1, "--exit-code", 7)
    error = failed_start(docker, "EXITED")["error"]
    assert error["exit_code"] == 7 and "line 3 of the agent's output" in error["log_tail"]


def test_a_program_that_ends_later(docker):
    sandbox = docker.start_sandbox()
    try:
        ask_agent(sandbox, "/exit?code=9", "POST")
    except ConnectionError:
        pass
    assert docker.wait_error(sandbox["id"], "EXITED")["error"]["exit_code"] == 9
    docker.restart("kill")
    again = docker.sandbox(sandbox["id"])
    assert again["status"] == "ERROR" and again["error"]["code"] == "EXITED" and again["error"]["exit_code"] == 9
    docker.act("resume", sandbox["id"])
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox


@pytest.mark.parametrize("init", [True, False])
def test_out_of_memory(make_docker, init):
    docker = of(make_docker, init=init, limits={"memory": "16MiB"})
    sandbox = docker.start_sandbox()
    try:
        ask_agent(sandbox, "/alloc?bytes=100000000", "POST")
    except ConnectionError:
        pass
    docker.wait_error(sandbox["id"], "OUT_OF_MEMORY")


def test_all_ports_of_a_range_in_use(make_docker):
    docker = of(make_docker, port_ranges={"AGENT_SERVER": "31000-31001"})
    for _ in range(2):
        assert host_port(docker.start_sandbox()) in (31000, 31001)
    response = docker.post("/api/v1/sandboxes")
    assert response.status in (429, 502, 503) and response.json()["error"]["code"] == "PORTS_EXHAUSTED", response
    assert "31000" in response.json()["detail"] and "31001" in response.json()["detail"]
    assert response.json()["error"]["retryable"] is True
    first = docker.everything()[0]["id"]
    docker.remove_sandbox(first)
    docker.wait_log(f"sandbox={first}: removed")
    docker.start_sandbox()


def test_an_agent_that_never_answers(make_docker):
    docker = make_docker()
    docker.config["specs"] = [docker.spec("agent", "--hang-health", "--print", 2)]
    docker.backend["startup_timeout"] = "5s"  # in which the engine has it running, also on a busy machine
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox(wait=None, status="STARTING")
    error = docker.wait_error(sandbox["id"], "HEALTH_TIMEOUT")["error"]
    assert "line 2 of the agent's output" in error["log_tail"]


@pytest.mark.parametrize("flags", [["--loopback"], ["--fixed-port", "8123"]])
def test_an_agent_that_listens_elsewhere_is_told_where_it_should(make_docker, flags):
    docker = make_docker()
    docker.config["specs"] = [docker.spec("agent", *flags)]
    docker.backend["startup_timeout"] = "5s"
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox(wait=None, status="STARTING")
    message = docker.wait_error(sandbox["id"], "HEALTH_TIMEOUT")["error"]["message"]
    assert re.search(r"the last time: \S+:\d+: .*(refused|reset|without an answer)", message), message
    assert "does its program listen on 0.0.0.0, and not on 127.0.0.1 alone, and on port 8000 inside?" in message


def test_health_checks_are_not_in_the_tail_of_a_container(make_docker):
    docker = make_docker()
    docker.config["specs"] = [docker.spec("agent", "--access-log", 1, "--print", 2)]
    docker.backend["health_interval"] = "10ms"
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    logs = f"/api/v1/sandboxes/{sandbox['id']}/logs?tail=100000"
    wait_until(lambda: docker.get(logs).text.count('"GET /health HTTP/1.1"') > 100)
    with contextlib.suppress(OSError, http.client.HTTPException):  # it ends before it answers
        ask_agent(sandbox, "/exit?code=9", "POST")
    tail = docker.wait_error(sandbox["id"], "EXITED")["error"]["log_tail"]
    assert "line 2 of the agent's output" in tail and "/health" not in tail, tail


def test_what_the_engine_refuses_comes_in_its_own_words(make_docker):
    docker = of(make_docker, network="no-such-network")
    error = refused_start(docker, "BACKEND_REFUSED")
    assert "no-such-network" in error["message"]


def test_no_engine_at_all(make_docker):
    docker = make_docker()
    docker.options["host"] = f"unix://{docker.directory}/nosuch.sock"
    docker.write()
    docker.start()
    response = docker.post("/api/v1/sandboxes")
    assert response.status == 503 and response.json()["error"]["code"] == "BACKEND_UNAVAILABLE"
    assert "nosuch.sock" in response.json()["error"]["message"]
