"""The daemon killed at any moment amid starts and deletes, and ports that others want too.

Nothing that a client was told is lost, no promised deletion is forgotten, nothing is STARTING for ever, and no
container, volume or overlay folder is left. SEED repeats a run's choices; it is printed.
"""

import http.client
import json
import os
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from docker_engine import host_port, within
from harness import SANITIZED, wait_until

SECONDS = 15
WORKERS = 3
ENOUGH = 8  # sandboxes: no more are started


class Known:
    """What clients were told, and asked for without hearing back."""

    def __init__(self):
        self.lock = threading.Lock()
        self.told, self.asked, self.deleted = set(), set(), set()


def work(daemon, known, rng, over):
    """One client, until the daemon is killed."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)

    def call(method, path):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    try:
        while not over.is_set():
            with known.lock:
                ids = sorted(known.told - known.asked)
            choice = rng.random()
            if len(ids) < 2 or choice < 0.4 and len(ids) < ENOUGH:
                status, sandbox = call("POST", "/api/v1/sandboxes" + rng.choice(["", "?wait=5s"]))
                if status == 200:
                    with known.lock:
                        known.told.add(sandbox["id"])
            elif choice < 0.7:
                sandbox_id = rng.choice(ids)
                with known.lock:
                    if sandbox_id in known.asked:
                        continue
                    known.asked.add(sandbox_id)
                status, answer = call("DELETE", f"/api/v1/sandboxes/{sandbox_id}")
                assert status == 200, (status, answer)
                with known.lock:
                    known.deleted.add(sandbox_id)
            elif choice < 0.9:
                call("POST", f"/api/v1/sandboxes/{rng.choice(ids)}/{rng.choice(['pause', 'resume'])}")
            else:
                with known.lock:
                    gone = set(known.deleted)
                status, page = call("GET", "/api/v1/sandboxes/search")
                assert status == 200
                shown = {s["id"] for s in page["items"]}
                assert not shown & gone, f"deleted, and still shown: {shown & gone}"
    except (ConnectionError, http.client.HTTPException, OSError):
        pass  # killed
    finally:
        connection.close()


def check(known, daemon, failures):
    """What a daemon that has just begun to serve must know. What it shows as made is told from now on, too."""
    everything = daemon.everything()
    shown = {s["id"] for s in everything}
    failures += [f"{i} is lost" for i in known.told - known.asked - shown]
    failures += [f"{i} was deleted, and is there again" for i in known.deleted & shown]
    known.told |= {s["id"] for s in everything if s["status"] in ("RUNNING", "PAUSED")}
    return len(shown)


def wait_started(daemon):
    wait_until(lambda: not [s for s in daemon.everything() if s["status"] == "STARTING"], what="an end of STARTING")


def test_killed_again_and_again(make_docker, engine):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    docker = make_docker()
    lower = docker.directory / "lower"
    lower.mkdir()
    docker.options.update(stop_timeout="300ms", overlay_base=str(docker.overlays), mounts=[
        {"host_path": str(lower), "container_path": "/work", "mode": "overlay"},
        {"host_path": "volume:openhands-workspace-{id}", "container_path": "/own"}])
    docker.config["log"] = {"level": "info"}
    docker.write()
    known, failures, rounds = Known(), [], 0
    end = time.monotonic() + SECONDS
    while (time.monotonic() < end or rounds <= 3 or len(known.told) <= 3) and not failures:
        rounds += 1
        if rng.random() < 0.2:
            docker.spawn()  # killed while it starts, or shortly after
            time.sleep(rng.uniform(0, 0.1))
            docker.kill()
        docker.start()
        docker.wait_available()
        if check(known, docker, failures) > ENOUGH:  # on a busy machine more are begun between two kills than made
            wait_started(docker)
            check(known, docker, failures)
        over = threading.Event()

        def guarded(worker):
            try:
                work(docker, known, random.Random(worker), over)
            except AssertionError as problem:
                failures.append(repr(problem))
        threads = [threading.Thread(target=guarded, args=(rng.randrange(1 << 32),)) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        # The moment is what this test is about: no condition to wait for.
        time.sleep(rng.uniform(0.001, 2.0 if SANITIZED else 1.0))
        docker.kill()
        over.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
    print(f"{rounds} rounds, {len(known.told)} sandboxes, {len(known.deleted)} deletions")

    docker.start()
    docker.wait_available()
    check(known, docker, failures)
    assert not failures, failures
    wait_started(docker)
    everything = docker.everything()
    assert not [s for s in everything if s["status"] not in ("RUNNING", "PAUSED")], everything
    shown = {s["id"] for s in everything}
    wait_until(lambda: set(docker.containers()) == shown, what=f"the containers of {shown}, and no other")
    wait_until(lambda: {p.name for p in docker.overlays.iterdir()} == shown, what="their overlay folders, and no other")
    docker.remove_all()
    docker.wait_clean()  # no container, volume or overlay folder
    docker.start_sandbox()


def test_a_promised_deletion_is_finished_after_a_kill(make_docker, proxy):
    docker = make_docker()
    docker.options["host"] = proxy.host
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    proxy.rule("^(DELETE|POST .*(stop|kill))", "cut before", times=1000)
    docker.remove_sandbox(sandbox["id"])
    docker.kill()
    proxy.clear()
    assert docker.containers() == [sandbox["id"]]
    docker.start()
    docker.wait_available()
    assert docker.sandbox(sandbox["id"]) is None
    docker.wait_clean()


@pytest.mark.parametrize("killed", [False, True])
def test_what_the_engine_makes_after_its_deletion_is_removed_all_the_same(make_docker, proxy, killed):
    """A create that nobody waits for any more is carried out: the engine tells nobody whether it will be."""
    docker = make_docker()
    docker.options["host"] = proxy.host
    docker.write()
    docker.start()
    late = threading.Event()
    proxy.rule("^POST /containers/create", until=late)
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(docker.post, "/api/v1/sandboxes", timeout=60)
        [sandbox] = wait_until(docker.everything)
        assert docker.delete(f"/api/v1/sandboxes/{sandbox['id']}").status == 200
        assert start.result().status == 404
    if killed:
        docker.restart("kill")
    wait_until(lambda: f"sandbox={sandbox['id']}: removed" in docker.log())
    assert docker.containers() == []
    late.set()
    wait_until(lambda: proxy.matching("^DELETE /containers/"), what="the removal of what was made late")
    docker.wait_clean()
    assert docker.everything() == []


def test_two_daemons_on_one_engine_in_one_small_range(make_docker):
    daemons = [make_docker(), make_docker()]
    for docker in daemons:
        docker.options["port_ranges"] = {"AGENT_SERVER": "33000-33019"}
        docker.write()
        docker.start()
    with ThreadPoolExecutor(12) as pool:
        started = list(pool.map(lambda i: daemons[i % 2].start_sandbox(), range(12)))
    ports = [host_port(s) for s in started]
    assert len(set(ports)) == 12
    for docker in daemons:
        assert len(docker.containers()) == 6, "those of failed tries were removed"


def test_a_port_that_is_taken_between_the_choice_and_the_start_is_replaced(make_docker, proxy, engine):
    """The choice is seen in the create request; the port is bound before the start goes through."""
    docker = make_docker()
    docker.options.update(host=proxy.host, port_ranges={"AGENT_SERVER": "33100-33119"})
    docker.write()
    docker.start()
    go_on = threading.Event()
    rule = proxy.rule("^POST /containers/[^/]+/start", until=go_on)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(docker.start_sandbox()))
    thread.start()
    wait_until(lambda: rule.applied)
    [name] = docker.containers()
    wanted = int(engine.inspect(name)["HostConfig"]["PortBindings"]["8000/tcp"][0]["HostPort"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", wanted))
        taken.listen()
        go_on.set()
        thread.join()
        [sandbox] = answers
        assert host_port(sandbox) != wanted
        assert docker.containers() == [name] == [sandbox["id"]], "the container of the failed try was removed"
    assert len(proxy.matching("^POST /containers/create")) == 2


def test_a_conflict_is_not_retried_for_ever(make_docker, proxy):
    docker = make_docker()
    docker.options.update(host=proxy.host, network="host")
    docker.config["specs"] = [docker.spec("agent", command=["/sandbox-agent", "--port", "{port}"])]
    docker.write()
    docker.start()
    body = (b'{"message": "driver failed programming external connectivity on endpoint x: '
            b'Error starting userland proxy: listen tcp4 127.0.0.1:1: bind: address already in use"}')
    rule = proxy.rule("^POST /containers/[^/]+/start", times=1000, answer=(
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)))
    response = docker.post("/api/v1/sandboxes?wait=20s", timeout=60)
    assert response.status >= 429 and "address already in use" in response.json()["detail"], response
    assert 2 <= rule.applied <= 20
    assert docker.everything() == []
    within(5, lambda: not docker.containers())


def test_twenty_starts_at_once(make_docker):
    docker = make_docker()
    docker.options["port_ranges"] = {"AGENT_SERVER": "33200-33299"}
    docker.backend["startup_timeout"] = "60s"  # on a busy machine the engine takes its time for so many
    docker.write()
    docker.start()
    with ThreadPoolExecutor(20) as pool:
        started = list(pool.map(lambda _: docker.start_sandbox(wait=None, status=None), range(20)))
    running = [docker.wait_status(sandbox["id"], "RUNNING") for sandbox in started]
    assert len({host_port(sandbox) for sandbox in running}) == 20
    docker.remove_all()
    docker.wait_clean()
