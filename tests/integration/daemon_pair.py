"""Two real daemons of the tests: a far one that serves its runtime API, and a near one whose remote backend asks it,
through a proxy that breaks what it is told to."""

import json
import os
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from docker_proxy import FAULTS, Proxy, answer_of
from harness import SLOWER, free_port, wait_until

USERS = ("ann", "bob", "ops")  # of the near one; the last one is admin
HEADERS = {user: {"X-API-Key": f"key-of-{user}-at-the-near-one"} for user in USERS}
ADMIN = HEADERS["ops"]
FAR_ADMIN = {"X-API-Key": "key-of-the-operator-of-the-far-one"}
FAR_KEY = "key-of-the-near-one-at-the-far-one"

VERBS = {verb: f"^POST /runtime-api/{verb}$" for verb in ("start", "pause", "resume", "stop")}
LOOK = r"^GET /runtime-api/sessions/(?!batch)"
BATCH = r"^GET /runtime-api/sessions/batch\?"
CALLS = {**VERBS, "look": LOOK, "batch": BATCH}


def url_of(sandbox, name="AGENT_SERVER"):
    return next((url["url"] for url in sandbox["exposed_urls"] if url["name"] == name), None)


def reach(sandbox):
    """The agent at its URL is its own, and has the key that it is said to have."""
    request = urllib.request.Request(url_of(sandbox) + "/whoami",
                                     headers={"X-Session-API-Key": sandbox["session_api_key"]})
    with urllib.request.urlopen(request, timeout=10 * SLOWER) as answer:
        assert json.loads(answer.read())["session_key_matches"]


def check_error(response):
    """It says what went wrong, and whether to try again."""
    error = response.json()
    assert response.status in (409, 502, 503, 504), response
    assert error["detail"] and error["error"]["code"] and error["error"]["message"], response
    assert FAR_KEY not in response.text
    if response.status == 503:
        assert response.headers["Retry-After"], response


class Pair:
    """`far` serves, `proxy` stands before it, `near` asks it. All three run."""

    def __init__(self, near, far, proxies, change_far=None, change_near=None):
        """`near` and `far` are daemons that are not started; `proxies`: what its proxy is put into."""
        self.near, self.far = near, far
        self.serve(far, change_far)
        self.proxy = proxies.enter_context(Proxy(far.port))
        self.use(near, change_near)

    @staticmethod
    def serve(far, change):
        far.config["server"]["listen"] = [f"127.0.0.1:{free_port()}"]
        far.config["runtime_api"] = {"enabled": True}
        far.config["auth"] = {"keys": [{"user": "near", "key": FAR_KEY},
                                       {"user": "operator", "key": FAR_ADMIN["X-API-Key"], "role": "admin"}]}
        far.finish_headers = FAR_ADMIN
        if change:
            change(far.config)
        far.write()
        far.start()

    def use(self, near, change):
        near.config["auth"] = {"keys": [{"user": user, "key": HEADERS[user]["X-API-Key"],
                                         **({"role": "admin"} if user == USERS[-1] else {})} for user in USERS]}
        near.config["backends"] = {"far": {"plugin": "remote", "options": {
            "api_url": f"http://127.0.0.1:{self.proxy.port}/runtime-api", "api_key": FAR_KEY,
            "refresh_interval": "200ms", "timeout": f"{2 * SLOWER}s"}}}
        near.config["specs"] = [{"id": spec["id"]} for spec in self.far.config["specs"]]
        near.finish_headers = ADMIN
        if change:
            change(near.config)
        near.write()
        near.start()

    # ---- what is there

    def near_all(self):
        return self.near.everything(ADMIN)

    def far_all(self):
        return self.when_there(lambda: self.far.everything(FAR_ADMIN))

    def session(self, sandbox_id):
        """What the far one has for a sandbox of the near one; None: nothing."""
        path = f"/runtime-api/sessions/{sandbox_id}"
        response = self.when_there(lambda: self.far.get(path, headers={"X-API-Key": FAR_KEY}))
        return response.json() if response.status == 200 else None

    @staticmethod
    def when_there(call):
        """The far one may be dead, and on its way back."""
        def tried():
            try:
                return (call(),)
            except (OSError, HTTPException):
                return None
        return wait_until(tried, what="an answer of the far one")[0]

    def backend_error(self):
        return self.near.get("/api/v1/backends", headers=ADMIN).json()[0]["error"]

    def wait_lost(self):
        return wait_until(self.backend_error, what="the near one to see that the far one is gone")

    def wait_found(self):
        wait_until(lambda: not self.backend_error(), what="the near one to see that the far one is back")

    def wait_same(self, *statuses):
        """Both have the same sandboxes, one for a session, and each is what it is on the other side. `statuses` are
        those that the near one has, in any order; without them any will do, but none that is on its way."""
        def same():
            near, far = self.near_all(), {sandbox["id"]: sandbox for sandbox in self.far_all()}
            sessions = [self.session(sandbox["id"]) for sandbox in near]
            if len(near) != len(far) or None in sessions or set(far) != {s["runtime_id"] for s in sessions}:
                return False
            pairs = [(sandbox, far[session["runtime_id"]]) for sandbox, session in zip(near, sessions)]
            return (all(a["status"] == b["status"] != "STARTING" and a["session_api_key"] == b["session_api_key"]
                        for a, b in pairs) and
                    (not statuses or sorted(statuses) == sorted(a["status"] for a, _ in pairs)))

        def describe():
            near, far = ([(s["id"], s["status"], s["error"]) for s in there()]
                         for there in (self.near_all, self.far_all))
            return f"{statuses} on both sides, and not {near} on the near one, {far} on the far one"
        try:
            wait_until(same)
        except AssertionError:
            raise AssertionError(describe()) from None

    def wait_nothing(self):
        """No sandbox, no program and no directory of one, on either side."""
        wait_until(lambda: not self.near_all() and not self.far_all() and not self.far.leftovers(),
                   what=f"nothing, but there is {self.far.leftovers()}")

    def programs(self):
        """What the far one runs for its sandboxes: processes, or containers."""
        return getattr(self.far, "containers", self.far.processes)()

    # ---- what clients do, again and again until it is done; each failure says what it was

    def start(self, user="ann", spec=None):
        path = "/api/v1/sandboxes?wait=20s" + (f"&sandbox_spec_id={spec}" if spec else "")

        def tried():
            response = self.near.post(path, headers=HEADERS[user], timeout=60 * SLOWER)
            if response.status != 200:
                check_error(response)
                return None
            sandbox = response.json()
            if sandbox["status"] == "ERROR":
                assert sandbox["error"]["code"] and sandbox["error"]["message"], sandbox
                self.act("delete", sandbox["id"])
                return None
            return self.near.wait_status(sandbox["id"], "RUNNING", ADMIN)
        return wait_until(tried, what="a start")

    def act(self, verb, sandbox_id):
        path = f"/api/v1/sandboxes/{sandbox_id}"

        def tried():
            response = (self.near.delete(path, headers=ADMIN, timeout=60 * SLOWER) if verb == "delete" else
                        self.near.post(f"{path}/{verb}", headers=ADMIN, timeout=60 * SLOWER))
            if verb == "delete" and response.status == 404:  # promised by one whose answer was lost
                return True
            if response.status != 200:
                check_error(response)
            return response.status == 200
        wait_until(tried, what=verb)

    def delete_all(self):
        for sandbox in self.near_all():
            self.act("delete", sandbox["id"])
        self.wait_nothing()

    def live(self):
        """The whole life of one, whatever happens meanwhile."""
        sandbox = self.start()
        self.act("pause", sandbox["id"])
        self.near.wait_status(sandbox["id"], "PAUSED", ADMIN)
        self.act("resume", sandbox["id"])
        after = self.near.wait_status(sandbox["id"], "RUNNING", ADMIN)
        assert after["session_api_key"] == sandbox["session_api_key"]
        reach(after)
        self.wait_same("RUNNING")
        wait_until(lambda: len(self.programs()) == 1, what="one program: what a try has left goes in its time")
        self.act("delete", sandbox["id"])
        self.wait_nothing()
        self.near.wait_log(f"sandbox={sandbox['id']}: removed")


class Killer:
    """Kills the far one when told to, and starts it again."""

    def __init__(self, pair):
        self.pair, self.told, self.problem = pair, threading.Event(), None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            assert self.told.wait(60 * SLOWER), "no call came by"
            if self.pair.far.process.poll() is not None:
                self.pair.far.start()
        except AssertionError as problem:
            self.problem = problem

    def kill(self, after_ms=0):
        time.sleep(after_ms / 1000)  # the moment is what is tried
        self.pair.far.kill()
        self.told.set()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.told.set()  # there will be no call any more
        self.thread.join()
        if self.problem and not kind:
            raise self.problem


def at_once(make_pair, cases, run, **options):
    """run(pair, case) for all cases, each with a pair of its own: most of their time they wait."""
    pairs = [make_pair(**options) for _ in cases]
    with ThreadPoolExecutor(len(pairs)) as pool:
        runs = [(case, pool.submit(run, pair, case)) for pair, case in zip(pairs, cases)]
    for case, done in runs:
        try:
            done.result()
        except AssertionError as problem:
            raise AssertionError(f"{case}: {problem}") from problem


# ---- a life in which the far one fails


BROKEN = {
    **{fault: {"fault": fault} for fault in FAULTS},
    "a runtime of wrong types": {"answer": answer_of(
        b'{"runtime_id": 7, "session_id": [], "url": {}, "session_api_key": false, "status": 3, "pod_status": [1]}')},
    "another's runtime": {"answer": answer_of(
        b'{"runtime_id": "r", "session_id": "another", "url": "http://127.0.0.1:1", "session_api_key": "not-its-key", '
        b'"status": "running", "pod_status": "ready"}')},
}


def impatient(config):
    """The near one waits half a second for an answer."""
    config["backends"]["far"]["options"]["timeout"] = f"{500 * SLOWER}ms"


def live_late(pair, verb, moment, before=None, after=None):
    """A life of which one call is held up, at this moment of it, until the near one has waited long enough for it to
    ask again, or to ask what has come of it. `before` and `after` that: signals to the far one."""
    asked, went_on = f"{VERBS[verb]}|{LOOK}", threading.Event()

    def tell(signal_number):
        if signal_number:
            os.kill(pair.far.pid, signal_number)

    def hold_up():
        seen = len(pair.proxy.matching(asked))
        tell(before)
        try:
            wait_until(lambda: len(pair.proxy.matching(asked)) > seen, what="the next request")
            went_on.set()
        finally:
            tell(after)
    pair.proxy.rule(VERBS[verb], **{moment: hold_up})
    pair.live()
    assert went_on.wait(1 * SLOWER)


def live_broken(pair, fault):
    """A life in which what the far one says makes no sense, once in answer to each call."""
    for calls in (VERBS.values(), (LOOK, BATCH)):  # an answer to each, and then what tells what came of it
        rules = [pair.proxy.rule(call, **BROKEN[fault]) for call in calls]
        pair.live()
        assert all(rule.applied == 1 for rule in rules)
    assert FAR_KEY not in pair.near.log()
