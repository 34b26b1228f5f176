"""Thirty starts, ten deletes, pauses and resumes at once, amid reloads that replace the backend's instance, and an
engine that ends, crashes and freezes.

Every client is answered, and in the end nothing is left: no container, volume or overlay folder, no descriptor of the
daemon's. STORM_SECONDS makes it longer; SEED repeats a run's choices, and is printed.
"""

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from harness import SLOWER, wait_until

SECONDS = int(os.environ.get("STORM_SECONDS", "5"))
STARTS, DELETES, ACTS = 30, 10, 10
# What a client may be told: it is so, it is gone, not in that state, no room, an engine that is lost, or slow.
ANSWERS = {200, 404, 409, 429, 502, 503, 504}


class Storm:
    def __init__(self, docker, engine, rng):
        self.docker, self.engine, self.rng = docker, engine, rng
        self.lock = threading.Lock()
        self.known, self.statuses, self.wrong = set(), {}, []

    def answered(self, what, response):
        with self.lock:
            key = (what, response.status)
            self.statuses[key] = self.statuses.get(key, 0) + 1
            if response.status not in ANSWERS:
                self.wrong.append(f"{what}: {response}")

    def start(self, delay):
        time.sleep(delay)
        response = self.docker.post("/api/v1/sandboxes" + ("?wait=5s" if delay < 0.3 else ""), timeout=60 * SLOWER)
        self.answered("start", response)
        if response.status == 200:
            with self.lock:
                self.known.add(response.json()["id"])

    def delete(self, sandbox_id, delay):
        time.sleep(delay)
        response = self.docker.delete(f"/api/v1/sandboxes/{sandbox_id}", timeout=60 * SLOWER)
        self.answered("delete", response)
        if response.status == 200:
            with self.lock:
                self.known.discard(sandbox_id)

    def act(self, verb, sandbox_id, delay):
        time.sleep(delay)
        self.answered(verb, self.docker.post(f"/api/v1/sandboxes/{sandbox_id}/{verb}", timeout=90 * SLOWER))

    def reload(self):
        """An option that changes has the backend opened anew."""
        now = self.docker.options["stop_timeout"]
        self.docker.options["stop_timeout"] = "400ms" if now == "300ms" else "300ms"
        self.docker.write()
        self.docker.reload()

    def disturb(self):
        what = self.rng.choice(["stop", "kill", "freeze", "nothing"])
        time.sleep(self.rng.uniform(0, 0.5))
        if what == "freeze":
            with self.engine.frozen():
                time.sleep(self.rng.uniform(0, 1.5))
        elif what != "nothing":
            getattr(self.engine, what)()
            self.engine.start()

    def round(self):
        """The moments are what this is about: no conditions to wait for."""
        with self.lock:
            known = sorted(self.known)
        self.rng.shuffle(known)
        with ThreadPoolExecutor(STARTS + DELETES + ACTS) as pool:
            jobs = [pool.submit(self.start, self.rng.uniform(0, 1)) for _ in range(STARTS)]
            jobs += [pool.submit(self.delete, i, self.rng.uniform(0, 1)) for i in known[:DELETES]]
            jobs += [pool.submit(self.act, self.rng.choice(["pause", "resume"]), i, self.rng.uniform(0, 1))
                     for i in known[DELETES // 2:][:ACTS]]  # half of them are being deleted
            for _ in range(2):
                time.sleep(self.rng.uniform(0, 0.4))
                self.reload()
            self.disturb()
            for job in jobs:
                job.result()
        with self.lock:
            known = sorted(self.known)
        for sandbox_id in known[2 * DELETES:]:
            self.delete(sandbox_id, 0)


def test_nothing_is_lost_in_a_storm(make_docker, engine):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    docker = make_docker()
    lower = docker.directory / "lower"
    lower.mkdir()
    docker.backend["max_sandboxes"] = 1000
    docker.options.update(
        stop_timeout="300ms", overlay_base=str(docker.overlays), port_ranges={"AGENT_SERVER": "34000-34199"}, mounts=[
            {"host_path": str(lower), "container_path": "/work", "mode": "overlay"},
            {"host_path": "volume:openhands-workspace-{id}", "container_path": "/own"}])
    docker.config["log"] = {"level": "info"}
    docker.write()
    docker.start()
    docker.start_sandbox()
    docker.remove_all()
    docker.wait_clean()
    before = docker.descriptors()
    storm = Storm(docker, engine, random.Random(seed))
    with ThreadPoolExecutor(DELETES) as pool:
        list(pool.map(storm.start, [0] * (DELETES + ACTS)))
    end, rounds = time.monotonic() + SECONDS, 0
    while time.monotonic() < end and not storm.wrong:
        storm.round()
        rounds += 1
    print(f"{rounds} rounds: {sorted(storm.statuses.items())}")
    assert not storm.wrong, storm.wrong
    assert docker.process.poll() is None

    docker.wait_available()
    docker.remove_all()
    left = set()

    def clean():
        """What there is; but a volume that the engine was killed over says to nobody whose it was to be."""
        nobodys = {v["Name"] for v in engine.ask("GET", "/volumes")["Volumes"] or [] if not v["Labels"]}
        left.clear()
        left.update(name for name in docker.leftovers() if name not in nobodys or docker.prefix in name)
        return not left
    try:
        wait_until(clean, 100)  # a removal that failed waits up to a minute before the next try
    except AssertionError:
        raise AssertionError(f"there is still {left}") from None
    assert docker.everything() == []
    docker.start_sandbox()
    docker.remove_all()
    wait_until(clean)
    wait_until(lambda: docker.descriptors() <= before + 20, what="descriptors as before, and kept connections")
    for name in set(docker.leftovers()):
        engine.call("DELETE", f"/volumes/{name}")
