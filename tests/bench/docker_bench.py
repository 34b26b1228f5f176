"""The figures of the docker backend, each beside the raw calls of the Engine API that a loop of C (docker_floor.c) makes
in turns with it: what else the machine does meets both.

usage: isolate.sh python3 docker_bench.py [--smoke] [PART…]: all parts, or those named (starts, together, reads). The
engine is one of its own (tests/integration/docker_engine.py); where there can be none it says why and ends with 77.
"""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from docker_engine import AGENT_IMAGE, DockerDaemon, Engine  # noqa: E402
from figures import SMOKE, figure, finish, middle, skipped, timed, wrk  # noqa: E402
from harness import BUILD, Daemon, wait_until  # noqa: E402

STARTS = 2 if SMOKE else 25
TOGETHER = {2: 1} if SMOKE else {10: 7, 30: 5}  # so many at once: so many times
COUNTS = (1, 2) if SMOKE else (1, 10, 50)
FLOOR = BUILD / "tests/bench/bench-docker-floor"
FLOOR_PORT = 20000  # and what follows; below those that the kernel hands out


def raw(engine, parallel=1):
    """The floor's times in ms."""
    out = subprocess.run([FLOOR, engine.socket, AGENT_IMAGE, str(parallel), str(FLOOR_PORT)], check=True, capture_output=True,
                         text=True).stdout
    names = "create", "start", "answer", "pause", "unpause", "delete", "all"
    return dict(zip(names, (int(us) / 1000 for us in out.split())))


def as_it_comes(config):
    """Without what the tests change to be quicker."""
    config["log"] = {"level": "info"}
    for backend in config["backends"].values():
        del backend["health_interval"], backend["startup_timeout"]


def daemon(engine, ports=None):
    """sandboxd in front of the engine, with the default ports or others."""
    def change(config):
        as_it_comes(config)
        options = config["backends"]["docker"]["options"]
        del options["exposed_ports"]
        if ports:
            options["exposed_ports"] = ports
    return DockerDaemon(engine, change).start()


def start(client, wait="30s"):
    """An id, RUNNING where it was waited for."""
    answer = client.post("/api/v1/sandboxes" + (f"?wait={wait}" if wait else ""))
    assert answer.status == 200 and answer.json()["status"] in ("RUNNING", "STARTING"), answer
    assert not wait or answer.json()["status"] == "RUNNING", answer
    return answer.json()["id"]


def settle(made):
    """Deletions are done behind; nothing else is measured meanwhile."""
    wait_until(lambda: not made.containers(), 120, "the last container's end")


def close(made):
    try:
        if isinstance(made, DockerDaemon):
            made.remove_all()
            settle(made)
        made.finish()
    finally:
        made.discard()


# ---- one after the other

def one_after_the_other(engine):
    made = daemon(engine)
    floor, answered, running, deleted, paused, resumed = [], [], [], [], [], []
    with made.client() as client:
        def delete(sandbox):
            assert client.delete(f"/api/v1/sandboxes/{sandbox}").status == 200

        def ours():
            ids = []
            running.append(timed(lambda: ids.append(start(client))))
            for verb, times in (("pause", paused), ("resume", resumed)):
                times.append(timed(lambda: made.act(verb, ids[0])))
                wait_until(lambda: made.sandbox(ids[0])["status"] == ("PAUSED" if verb == "pause" else "RUNNING"))
            deleted.append(timed(lambda: delete(ids[0])))
            settle(made)
            answered.append(timed(lambda: ids.append(start(client, wait=None))))
            wait_until(lambda: made.sandbox(ids[1])["status"] == "RUNNING")
            deleted.append(timed(lambda: delete(ids[1])))
            settle(made)

        for turn in range(STARTS):
            if turn % 2:
                ours()
            floor.append(raw(engine))
            if not turn % 2:
                ours()

    def theirs(step):
        return middle([times[step] for times in floor])
    figure("docker start answered", f"{middle(answered):.1f} ms; raw create and start {theirs('start'):.1f} ms: "
           f"{middle(answered) - theirs('start'):.1f} ms more")
    more = middle([mine - times["answer"] for mine, times in zip(running, floor)])
    figure("docker start", f"{middle(running):.1f} ms to RUNNING (min {min(running):.1f}); raw create, start and first answer "
           f"{theirs('answer'):.1f} ms (min {min(times['answer'] for times in floor):.1f}): {more:.1f} ms more, at most 15", more <= 15)
    figure("docker pause, resume", f"{middle(paused):.1f} and {middle(resumed):.1f} ms; raw {theirs('pause'):.1f} and "
           f"{theirs('unpause'):.1f} ms")
    figure("docker delete", f"{middle(deleted):.2f} ms (max {max(deleted):.1f}), under 10; the container goes behind it, raw "
           f"{theirs('delete'):.0f} ms", middle(deleted) < 10)
    close(made)


# ---- many at once

def at_once(made, count):
    """ms from the first request until the last of `count` sandboxes is RUNNING."""
    barrier, failures, clients = threading.Barrier(count + 1), [], [made.client(timeout=120) for _ in range(count)]

    def one(client):
        client.get("/alive")  # connected
        barrier.wait()
        try:
            start(client, "100s")
        except BaseException as problem:  # pylint: disable=broad-except
            failures.append(problem)
    threads = [threading.Thread(target=one, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    barrier.wait()
    took = timed(lambda: [thread.join() for thread in threads])
    for client in clients:
        client.close()
    assert not failures, failures[0]
    made.remove_all()
    settle(made)
    return took


def many_at_once(engine):
    made = daemon(engine)
    for count, rounds in TOGETHER.items():
        ours, theirs = [], []
        for turn in range(rounds):
            if turn % 2:
                ours.append(at_once(made, count))
            theirs.append(raw(engine, count)["all"])
            if not turn % 2:
                ours.append(at_once(made, count))
        ratio = middle(ours) / middle(theirs)
        figure(f"docker {count} at once", f"{middle(ours):.0f} ms until all are RUNNING (min {min(ours):.0f}); raw "
               f"{middle(theirs):.0f} ms (min {min(theirs):.0f}): {ratio:.2f} of it, at most 1.10", ratio <= 1.1)
    close(made)


# ---- reads

def reads(engine):
    if not shutil.which("wrk"):
        skipped("docker reads", "no wrk")
        return
    # One exposed port, as the process backend has: the answers are equally long but for the names.
    docker = daemon(engine, [{"name": "AGENT_SERVER", "container_port": 8000}])
    process = Daemon(as_it_comes).start()
    first = None
    for count in COUNTS:
        urls = {}
        for made in docker, process:
            with made.client(timeout=60) as client:
                for _ in range(count - len(made.everything())):
                    start(client)
            one = made.everything()[0]["id"]
            urls[made] = f"http://{made.address}/api/v1/sandboxes/{one}", f"http://{made.address}/api/v1/sandboxes/search"
        rates = {url: [] for pair in urls.values() for url in pair}
        for _ in range(1 if SMOKE else 6):  # what else the machine does only ever takes away
            for url, seen in rates.items():
                seen.append(wrk(url, 1)[0])
        for what, index in (("get one", 0), ("search", 1)):
            ours, theirs = max(rates[urls[docker][index]]), max(rates[urls[process][index]])
            text = f"{ours:,.0f}/s; process backend {theirs:,.0f}/s: {ours / theirs:.2f} of it, at least 0.90"
            kept = ours >= 0.9 * theirs
            if what == "get one":
                first = first or ours
                text += f"; {ours / first:.2f} of that with 1, at least 0.90"
                kept = kept and ours >= 0.9 * first
            figure(f"docker {what}, {count}", text, kept)
    close(process)
    close(docker)


PARTS = {"starts": one_after_the_other, "together": many_at_once, "reads": reads}
wanted = [argument for argument in sys.argv[1:] if not argument.startswith("-")] or PARTS
if unknown := [part for part in wanted if part not in PARTS]:
    sys.exit(f"no such part: {unknown[0]}; there are {', '.join(PARTS)}")
try:
    own = Engine()
except pytest.skip.Exception as reason:
    skipped("docker", reason)
    sys.exit(77)
try:
    for part in wanted:
        PARTS[part](own)
finally:
    own.finish()
finish()
