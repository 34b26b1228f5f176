"""SIGKILL at random moments amid starts, pauses, resumes and deletions.

Nothing that a client was told is lost: no sandbox, no promised deletion, no pause. Nothing leaks: no process, directory
or port. Nothing is STARTING for ever. SEED repeats a run's choices; it is printed.
"""

import http.client
import json
import os
import random
import socket
import threading
import time

from harness import SANITIZED, wait_until

LEAST_ROUNDS = 4 if SANITIZED else 21
SECONDS = 30
WORKERS = 4


class Known:
    """What clients were told, and asked for without hearing back."""

    def __init__(self):
        self.lock = threading.Lock()
        self.told = {}  # id: {"key", "status": the last that was acknowledged, or None where that is not known}
        self.deleted = set()  # answered with success
        self.asked = set()  # a deletion that was not answered: it may be there or not
        self.ports = set()

    def alive(self):
        with self.lock:
            return [i for i in self.told if i not in self.asked]

    def begin(self, sandbox_id):
        """A pause or resume is asked for."""
        with self.lock:
            fact = self.told[sandbox_id]
            fact["status"], fact["alone"] = None, fact["under_way"] == 0
            fact["under_way"] += 1

    def end(self, sandbox_id, status):
        """`status`: what was acknowledged; None: nothing. Of two calls at once it is not known which one counts."""
        with self.lock:
            fact = self.told[sandbox_id]
            fact["under_way"] -= 1
            fact["status"] = status if fact["alone"] and not fact["under_way"] else None


def work(daemon, known, rng, over):
    """One client until the daemon is killed."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)

    def call(method, path):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    try:
        while not over.is_set():
            ids = known.alive()
            choice = rng.random()
            if len(ids) < 3 or choice < 0.35 and len(ids) < 25:
                status, sandbox = call("POST", "/api/v1/sandboxes" + rng.choice(["", "?wait=5s"]))
                if status == 200:
                    with known.lock:
                        known.told[sandbox["id"]] = {"key": sandbox["session_api_key"], "status": None, "under_way": 0}
                        if sandbox["status"] == "RUNNING":
                            known.told[sandbox["id"]]["status"] = "RUNNING"
                            known.ports.add(sandbox["exposed_urls"][0]["port"])
                continue
            sandbox_id = rng.choice(ids)
            if choice < 0.55:
                with known.lock:
                    if sandbox_id in known.asked:
                        continue
                    known.asked.add(sandbox_id)
                status, answer = call("DELETE", f"/api/v1/sandboxes/{sandbox_id}")
                assert status == 200, (status, answer)
                with known.lock:
                    known.deleted.add(sandbox_id)
            elif choice < 0.9:
                verb = rng.choice(["pause", "resume"])
                known.begin(sandbox_id)
                acknowledged = None
                try:
                    status, _ = call("POST", f"/api/v1/sandboxes/{sandbox_id}/{verb}")
                    if status == 200:
                        acknowledged = {"pause": "PAUSED", "resume": "RUNNING"}[verb]
                finally:
                    known.end(sandbox_id, acknowledged)
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


def check(known, everything, failures):
    """What a daemon that has just begun to serve must know."""
    for sandbox_id in known.told:
        if sandbox_id not in known.asked and sandbox_id not in everything:
            failures.append(f"{sandbox_id} is lost")
    for sandbox_id in known.deleted & set(everything):
        failures.append(f"{sandbox_id} was deleted, and is there again")


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("0.0.0.0", port))
            return True
        except OSError:
            return False


def test_killed_again_and_again(make_daemon):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    daemon = make_daemon()
    daemon.local["options"]["stop_timeout"] = "300ms"
    daemon.config["specs"] = [daemon.spec("agent", "--bind-delay", 20)]
    daemon.config["log"] = {"level": "info"}
    daemon.write()
    known, failures, rounds = Known(), [], 0
    end = time.monotonic() + SECONDS
    while (time.monotonic() < end or rounds < LEAST_ROUNDS or len(known.told) <= 5) and not failures:
        rounds += 1
        if rng.random() < 0.2:
            daemon.spawn()  # killed while it starts, or shortly after
            time.sleep(rng.uniform(0, 0.1))
            daemon.kill()
        daemon.start()
        check(known, {s["id"]: s for s in daemon.everything()}, failures)
        over = threading.Event()

        def guarded(worker):
            try:
                work(daemon, known, random.Random(worker), over)
            except AssertionError as problem:
                failures.append(repr(problem))
        threads = [threading.Thread(target=guarded, args=(rng.randrange(1 << 32),)) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        # The moment is what this test is about: no condition to wait for.
        time.sleep(rng.uniform(0.001, 1.0 if SANITIZED else 0.4))
        daemon.kill()
        over.set()
        for thread in threads:
            thread.join()
    assert not failures, failures
    print(f"{rounds} rounds, {len(known.told)} sandboxes, {len(known.deleted)} deletions")

    daemon.start()
    everything = {s["id"]: s for s in daemon.everything()}
    check(known, everything, failures)
    assert not failures, failures
    wait_until(lambda: not [s for s in daemon.everything() if s["status"] == "STARTING"], what="an end of STARTING")
    everything = {s["id"]: s for s in daemon.everything()}
    for sandbox_id, fact in known.told.items():
        if sandbox_id in known.asked:
            continue
        sandbox = everything[sandbox_id]
        assert sandbox["status"] in ("RUNNING", "PAUSED"), sandbox
        if fact["status"]:
            assert sandbox["status"] == fact["status"], (sandbox, fact)
        if fact["key"] and sandbox["session_api_key"]:
            assert sandbox["session_api_key"] == fact["key"]
    # Unanswered deletions may have been made or not; what is there can be deleted, and then there is nothing.
    daemon.remove_all()
    daemon.wait_clean()
    assert known.ports and all(map(is_free, known.ports)), "ports are given back"
    daemon.start_sandbox()
