"""Every call of the engine broken in turn, in every way, during a whole life of a sandbox.

Whatever the fault: the client gets a clear error or what it asked for, the daemon lives on and works once the fault is
over, and nothing is left of the sandbox.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from docker_proxy import FAULTS, Proxy
from harness import SANITIZED, wait_until

# Sanitizers find what they find in the first of a kind.
TRIED = ["cut after", "cut in the middle", "wrong types", "garbage JSON"] if SANITIZED else FAULTS
STEPS = ["pause", "resume"]


def kind_of(call):
    """The call without the names in it: "GET /containers/x/json"."""
    path = call.split("?")[0]
    path = re.sub(r"^(\w+ /(containers|volumes)/)(?!create$|json$)[^/]+", r"\1x", path)
    return re.sub(r"^(\w+ /images/).+/json$", r"\1x/json", path)


def pattern_of(kind):
    """A rule's pattern for the calls of this kind."""
    method, path = kind.split(" ")
    path = re.escape(path).replace("/x", "/(?!create|json).+" if "images" in path else "/(?!create|json)[^/?]+")
    return f"^{method} {path}(\\?|$)"


def clear_error(response):
    """An answer that says what went wrong."""
    body = response.json()
    assert response.status in (500, 502, 503, 504), response
    assert body["detail"] and body["error"]["code"] and body["error"]["message"], response


def make_behind(make_docker, engine, number):
    """A daemon whose engine is a proxy of its own, with the host's network, where a start is quickest."""
    proxy = Proxy(engine.socket, engine.directory / f"proxy-{number}.sock")
    docker = make_docker()
    docker.options.update(host=proxy.host, network="host", stop_timeout="300ms")
    docker.config["specs"] = [docker.spec("agent", command=["/sandbox-agent", "--port", "{port}"])]
    docker.config["log"] = {"level": "info"}
    docker.backend["startup_timeout"] = "30s"
    docker.write()
    return docker, proxy


def live(docker):
    """One life, with as many tries of each step as a fault may take."""
    sandbox = None

    def started():
        nonlocal sandbox
        response = docker.post("/api/v1/sandboxes?wait=20s", timeout=60)
        if response.status != 200:
            clear_error(response)
            return False
        sandbox = response.json()
        if sandbox["status"] == "ERROR":  # it was made, and this says why it is not running
            assert sandbox["error"]["code"] and sandbox["error"]["message"], sandbox
            docker.remove_sandbox(sandbox["id"])
            return False
        return sandbox["status"] == "RUNNING" or docker.wait_status(sandbox["id"], "RUNNING")

    def done(verb):
        response = docker.post(f"/api/v1/sandboxes/{sandbox['id']}/{verb}", timeout=60)
        if response.status != 200:
            clear_error(response)
        return response.status == 200

    wait_until(started, what="a start")
    for verb in STEPS:
        wait_until(lambda v=verb: done(v), what=verb)
        docker.wait_status(sandbox["id"], {"pause": "PAUSED", "resume": "RUNNING"}[verb])
    response = docker.get(f"/api/v1/sandboxes/{sandbox['id']}/logs")
    assert response.status == 200 or response.status >= 500, response
    docker.remove_sandbox(sandbox["id"])
    docker.wait_clean()


@pytest.fixture(scope="module")
def kinds():
    return []


def test_a_whole_life_and_which_calls_it_takes(make_docker, engine, kinds):
    docker, proxy = make_behind(make_docker, engine, 0)
    with proxy:
        docker.start()
        docker.wait_available()
        live(docker)
        kinds += sorted({kind_of(call) for call in proxy.calls})
        docker.finish()
    for kind in kinds:
        assert any(re.search(pattern_of(kind), call) for call in proxy.calls), kind
    print(json.dumps(kinds))
    assert {"GET /version", "GET /events", "GET /containers/json", "POST /containers/create",
            "POST /containers/x/start", "GET /containers/x/json", "DELETE /containers/x"} <= set(kinds)


@pytest.mark.parametrize("fault", TRIED)
def test_each_call_of_a_life_broken_in_turn(make_docker, engine, kinds, fault):
    assert kinds, "the test before this one finds them"

    def broken(number):
        docker, proxy = daemons[number]
        with proxy:
            rule = proxy.rule(pattern_of(kinds[number]), fault)
            docker.start()
            docker.wait_available()
            live(docker)
            wait_until(lambda: rule.applied == 1, what=f"{kinds[number]} broken")
            assert docker.process.poll() is None, "the daemon lives on"
            docker.finish()

    daemons = [make_behind(make_docker, engine, number) for number in range(len(kinds))]
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(broken, number) for number in range(len(kinds))]
    problems = [f"{kinds[i]}, {fault}: {future.exception()!r}\n{daemons[i][0].log()[-1500:]}"
                for i, future in enumerate(futures) if future.exception()]
    assert not problems, "\n\n".join(problems)


def test_an_answer_that_comes_late_is_no_fault(make_docker, engine):
    docker, proxy = make_behind(make_docker, engine, 0)
    with proxy:
        proxy.rule(".", delay=0.1, times=1000)
        docker.start()
        docker.wait_available()
        live(docker)
        docker.finish()
