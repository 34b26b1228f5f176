"""The runtime API: every endpoint and field of it, over sandboxes that are processes, or nothing but memory."""

import hashlib
import json
import os
import re
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from harness import AGENT, SLOWER, TEST_PLUGINS, Client, Daemon, wait_until

RUNTIME = {"runtime_id": str, "session_id": str, "url": str, "session_api_key": str, "status": str, "pod_status": str,
           "status_detail": (str, type(None)), "restart_count": int, "restart_reasons": list,
           "container_statuses": list, "events": list, "pod_logs": str, "image": str, "work_hosts": dict,
           "created_at": str, "error": (dict, type(None))}


def enable(daemon, **more):
    daemon.config["runtime_api"] = {"enabled": True, "images": ["ghcr.io/openhands/*"], **more}
    daemon.write()
    return daemon


@pytest.fixture
def off(make_daemon):
    """Not started yet."""
    daemon = enable(make_daemon())
    for name, *flags in (("slow", "--bind-delay", 700), ("broken", "--exit-after", 50, "--exit-code", 3, "--print", 2)):
        daemon.add_spec(name, *flags)
    daemon.write()
    return daemon


@pytest.fixture
def daemon(off):
    return off.start()


@pytest.fixture
def memory(make_daemon):
    """A backend that isolates and costs nothing."""
    daemon = make_daemon()
    daemon.config["backends"] = {"local": {"plugin": str(TEST_PLUGINS / "trivial.so"), "options": {}}}
    daemon.config["specs"] = [{"id": "agent", "initial_env": {"FROM": "spec", "WORKER_2": "1"}}]
    return enable(daemon)


def post(daemon, path, headers=None, raw=None, **body):
    return daemon.post("/runtime-api" + path, body=json.dumps(body) if raw is None else raw, headers=headers)


def get(daemon, path, headers=None):
    return daemon.get("/runtime-api" + path, headers=headers)


def start(daemon, session=None, image="agent", headers=None, **more):
    if session:
        more["session_id"] = session
    response = post(daemon, "/start", headers, image=image, **more)
    assert response.status == 200, f"{response}\n{daemon.log()}"
    return response.json()


def session(daemon, name, headers=None):
    response = get(daemon, f"/sessions/{quote(name)}", headers)
    return response.json() if response.status == 200 else None


def wait_session(daemon, name, status, headers=None):
    def seen():
        runtime = session(daemon, name, headers)
        return runtime if runtime and runtime["status"] == status else None
    return wait_until(seen, what=f"{name} {status}, and not {session(daemon, name, headers)}")


def agent(runtime):
    return Client(runtime["url"].removeprefix("http://").replace("localhost", "127.0.0.1"))


def variable(runtime, name):
    with agent(runtime) as client:
        return client.get(f"/env?name={name}").json()["value"]


# ---- a life


def test_a_runtime_has_every_field_and_goes_through_its_life(daemon):
    started = start(daemon, "my-session", "slow")
    assert set(started) == set(RUNTIME)
    assert all(isinstance(started[name], kind) for name, kind in RUNTIME.items()), started
    assert started["status"] == "starting" and started["pod_status"] == "pending", "it waited for readiness"
    assert started["session_id"] == "my-session" and started["image"] == "slow" and started["url"]
    running = wait_session(daemon, "my-session", "running")
    assert running["pod_status"] == "ready" and running["restart_count"] == 0 and running["error"] is None
    for name in "runtime_id", "url", "session_api_key", "work_hosts", "created_at":
        assert running[name] == started[name]
    assert variable(running, "SESSION_API_KEY") == running["session_api_key"]
    assert variable(running, "OH_SESSION_API_KEYS_0") == running["session_api_key"]
    assert get(daemon, f"/runtime/{running['runtime_id']}").json() == running
    assert get(daemon, "/list").json() == {"runtimes": [running], "total": 1}
    # the same thing in the other API
    sandbox = daemon.sandbox(running["runtime_id"])
    assert sandbox["status"] == "RUNNING" and sandbox["session_api_key"] == running["session_api_key"]

    paused = post(daemon, "/pause", runtime_id=running["runtime_id"]).json()
    assert (paused["status"], paused["pod_status"]) == ("paused", "not found")
    assert paused["session_api_key"] == running["session_api_key"], "clients read it before they resume"
    assert paused["url"] == running["url"]
    assert get(daemon, "/list").json() == {"runtimes": [], "total": 0}
    resumed = post(daemon, "/resume", runtime_id=running["runtime_id"]).json()
    assert resumed["status"] in ("starting", "running")
    again = wait_session(daemon, "my-session", "running")
    assert (again["url"], again["session_api_key"]) == (running["url"], running["session_api_key"])

    stopped = post(daemon, "/stop", runtime_id=running["runtime_id"])
    assert stopped.status == 200
    assert (stopped.json()["status"], stopped.json()["pod_status"]) == ("stopped", "not found")
    assert stopped.json()["runtime_id"] == running["runtime_id"] and stopped.json()["session_api_key"] is None
    assert session(daemon, "my-session") is None
    assert get(daemon, f"/runtime/{running['runtime_id']}").status == 404
    for verb in "pause", "resume", "stop":
        response = post(daemon, "/" + verb, runtime_id=running["runtime_id"])
        assert response.status == 404 and response.json()["detail"]


def test_one_that_ends_is_an_error_with_its_logs_and_a_start_starts_it_again(daemon):
    first = start(daemon, "s", "broken")
    failed = wait_session(daemon, "s", "error")
    assert failed["pod_status"] == "failed" and failed["session_api_key"] is None
    assert "exit code 3" in failed["status_detail"] and failed["error"]["code"] == "EXITED"
    assert failed["error"]["exit_code"] == 3 and failed["pod_logs"]
    again = start(daemon, "s", "broken")
    assert again["runtime_id"] == first["runtime_id"] and again["session_api_key"] in (None, first["session_api_key"])


@pytest.mark.parametrize("asked", [{"session_id": "s"}, {}], ids=["of a session", "of none"])
def test_one_that_ends_at_once_is_told_with_its_exit_code_and_its_log(make_daemon, asked):
    daemon = enable(make_daemon())
    script = "echo the reason; exit 7"
    daemon.add_spec("ends", command=["/bin/sh", "-c", script])
    daemon.write()
    daemon.start()
    response = post(daemon, "/start", image="ends", **asked)
    error = response.json().get("error")
    if response.status == 200:  # it ended after its start was answered
        runtime_id = response.json()["runtime_id"]
        error = wait_until(lambda: get(daemon, f"/runtime/{runtime_id}").json().get("error"))
    else:
        assert response.status == 502
    assert error["code"] == "EXITED", response
    assert error["exit_code"] == 7 and error["log_tail"] == "the reason\n", error


def test_what_nothing_is_left_of_makes_way_for_a_new_one(make_daemon):
    daemon = enable(make_daemon())
    daemon.local["health_check_path"] = None
    daemon.write()
    daemon.start()
    first = start(daemon, "s")
    wait_session(daemon, "s", "running")
    daemon.stop()
    for pid in daemon.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not daemon.processes())
    for entry in (daemon.directory / "state").iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
    daemon.start()
    gone = wait_session(daemon, "s", "stopped")
    assert gone["pod_status"] == "not found" and gone["session_api_key"] is None
    second = start(daemon, "s")
    assert second["runtime_id"] != first["runtime_id"] and second["session_api_key"] != first["session_api_key"]
    assert [s["id"] for s in daemon.everything()] == [second["runtime_id"]]


# ---- sessions


def test_a_second_start_of_a_session_answers_with_the_one_that_lives(daemon):
    first = start(daemon, "s")
    assert start(daemon, "s", "slow")["runtime_id"] == first["runtime_id"]
    wait_session(daemon, "s", "running")
    post(daemon, "/pause", runtime_id=first["runtime_id"])
    again = start(daemon, "s")
    assert again["runtime_id"] == first["runtime_id"] and again["status"] != "paused"
    wait_session(daemon, "s", "running")
    assert len(daemon.everything()) == 1
    post(daemon, "/stop", runtime_id=first["runtime_id"])
    assert start(daemon, "s")["runtime_id"] != first["runtime_id"]


def test_many_starts_of_one_session_at_once_make_one(daemon):
    with ThreadPoolExecutor(12) as pool:
        runtimes = list(pool.map(lambda _: start(daemon, "s"), range(12)))
    assert len({(r["runtime_id"], r["url"], r["session_api_key"]) for r in runtimes}) == 1
    assert len(daemon.everything()) == 1


def test_without_a_session_its_id_is_one(daemon):
    runtime = start(daemon)
    assert runtime["session_id"] == runtime["runtime_id"]
    assert session(daemon, runtime["runtime_id"])["runtime_id"] == runtime["runtime_id"]
    other = daemon.start_sandbox()  # in the other API
    assert session(daemon, other["id"])["session_id"] == other["id"]
    assert start(daemon, other["id"])["runtime_id"] == other["id"]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_sessions_survive_a_restart(daemon, how):
    runtime = start(daemon, "kept", environment={"MINE": "1"})
    wait_session(daemon, "kept", "running")
    daemon.restart(how)
    again = wait_session(daemon, "kept", "running")
    assert (again["runtime_id"], again["url"], again["session_api_key"]) == (
        runtime["runtime_id"], runtime["url"], runtime["session_api_key"])
    assert start(daemon, "kept")["runtime_id"] == runtime["runtime_id"]
    post(daemon, "/pause", runtime_id=runtime["runtime_id"])
    daemon.restart(how)
    paused = wait_session(daemon, "kept", "paused")
    assert (paused["url"], paused["session_api_key"]) == (runtime["url"], runtime["session_api_key"]), (
        "clients read them before they resume")
    post(daemon, "/resume", runtime_id=runtime["runtime_id"])
    assert variable(wait_session(daemon, "kept", "running"), "MINE") == "1"


def test_a_start_that_a_kill_cut_off_goes_on_with_what_was_asked_for(off):
    """Whenever the kill comes: one sandbox at most, with the request's own spec, found by its session."""
    daemon = off.start()
    for i, delay in enumerate((0, 0.002, 0.005, 0.01, 0.02, 0.04)):
        name = f"cut-{i}"
        thread = threading.Thread(target=lambda name=name: _try(
            lambda: post(daemon, "/start", image="agent", session_id=name, environment={"MINE": name})))
        thread.start()
        time.sleep(delay)  # where in the start it hits is what varies
        daemon.kill()
        thread.join()
        daemon.start()
        runtime = start(daemon, name, environment={"MINE": name})
        runtime = wait_session(daemon, name, "running")
        assert variable(runtime, "MINE") == name
        assert sum(s["id"] == runtime["runtime_id"] for s in daemon.everything()) == 1
    assert len(daemon.everything()) == 6


def _try(call):
    try:
        return call()
    except OSError:
        return None  # the daemon was killed: that is the test


def test_a_batch_of_500_in_their_order(memory):
    daemon = memory.start()
    runtimes = {f"session-with-a-long-name-{i:04}": None for i in range(10)}
    for name in runtimes:
        runtimes[name] = start(daemon, name)["runtime_id"]
    ids = [f"session-with-a-long-name-{i:04}" for i in range(500)][::-1]
    answer = get(daemon, "/sessions/batch?" + urlencode([("ids", i) for i in ids]))
    assert answer.status == 200, answer
    found = answer.json()
    assert [r and r["session_id"] for r in found] == [i if i in runtimes else None for i in ids]
    assert all(r["runtime_id"] == runtimes[r["session_id"]] for r in found if r)
    assert get(daemon, "/sessions/batch").json() == []
    assert get(daemon, "/sessions/batch?" + urlencode([("ids", "x")] * 501)).status == 400
    longest = ["o" * 41 + str(i).zfill(3) for i in range(500)]  # as long as a container's name may make them
    assert get(daemon, "/sessions/batch?" + urlencode([("ids", i) for i in longest])).json() == [None] * 500


def test_the_list_has_all_of_them(memory):
    daemon = memory.start()
    ids = {start(daemon)["runtime_id"] for _ in range(230)}
    answer = get(daemon, "/list").json()
    assert answer["total"] == 230 and {r["runtime_id"] for r in answer["runtimes"]} == ids


# ---- what may be started


def test_images_are_those_of_specs_and_patterns(memory):
    memory.config["runtime_api"]["images"] = ["ghcr.io/openhands/*", "exact:1", "*-cpu:*"]
    memory.write()
    daemon = memory.start()
    for image in "agent", "ghcr.io/openhands/agent-server:x", "ghcr.io/openhands/", "exact:1", "a-cpu:2", "-cpu-cpu:":
        assert start(daemon, image=image)["image"] == image
    for image in "ghcr.io/other", "exact:12", "xexact:1", "Agent", "a-cpu", "trivial":
        response = post(daemon, "/start", image=image)
        assert response.status == 403 and image in response.json()["detail"], response
        assert get(daemon, f"/image_exists?image={quote(image)}").status == 403


def test_images_that_no_spec_names_have_a_backend(memory):
    memory.config["backends"]["other"] = {**memory.config["backends"]["local"]}
    memory.config.update(default_backend="local")
    memory.config["runtime_api"]["backend"] = "other"
    memory.write()
    daemon = memory.start()
    assert daemon.sandbox(start(daemon, image="agent")["runtime_id"])["backend"] == "local"
    assert daemon.sandbox(start(daemon, image="ghcr.io/openhands/x")["runtime_id"])["backend"] == "other"


def test_a_command_of_its_own_is_refused_where_nothing_isolates(off):
    daemon = off.start()
    command = [str(AGENT), "--port", "{port}", "--print", "5"]
    for own in command, " ".join(command):
        response = post(daemon, "/start", image="agent", command=own)
        assert response.status == 403 and "own_commands" in response.json()["detail"]
    assert not daemon.everything()
    for same in daemon.config["specs"][0]["command"], " ".join(daemon.config["specs"][0]["command"]), None, [], "":
        assert start(daemon, command=same)["runtime_id"]
    daemon.config["runtime_api"]["own_commands"] = ["local"]
    daemon.write()
    daemon.reload()
    start(daemon, "list", command=command)
    start(daemon, "text", command=f"{AGENT} --port '{{port}}' --print \"5\"")
    for name in "list", "text":
        runtime = wait_session(daemon, name, "running")
        path = f"/api/v1/sandboxes/{runtime['runtime_id']}/logs"
        wait_until(lambda path=path: len(daemon.get(path).text.splitlines()) >= 5, what="what it says at first")


def test_what_names_paths_of_an_image_can_be_ignored(off):
    """As clients send it that can't leave it out: the command, the folder, and the variables that go with them."""
    off.config["specs"][0].update(own_command="ignore", working_dir="inside")
    off.config["specs"][0]["initial_env"]["OF_BOTH"] = "of the spec"
    off.write()
    daemon = off.start()
    start(daemon, "s", command="/no/such/agent-server --port 60000", working_dir="/no/such/folder",
          environment={"OF_BOTH": "of the request", "OF_ONE": "of the request"})
    runtime = wait_session(daemon, "s", "running")
    for name, value in (("OF_BOTH", "of the spec"), ("OF_ONE", "of the request")):
        with Client(runtime["url"].removeprefix("http://").replace("localhost", "127.0.0.1")) as agent:
            assert agent.get(f"/env?name={name}").json()["value"] == value, name
    assert (daemon.sandboxes / runtime["runtime_id"] / "inside").is_dir()


def test_where_sandboxes_are_isolated_a_command_is_its_own(memory):
    assert start(memory.start(), command=["sh", "-c", "true"])["status"] in ("starting", "running")


def test_the_environment_is_the_specs_and_the_requests(daemon):
    daemon.config["specs"][0]["initial_env"].update(A="spec", B="spec")
    daemon.write()
    daemon.reload()
    start(daemon, "s", environment={"B": "request", "C": "request", "D": ""}, working_dir="deep/er")
    runtime = wait_session(daemon, "s", "running")
    assert [variable(runtime, name) for name in "ABCD"] == ["spec", "request", "request", ""]


def test_the_resource_factor_scales_the_limits(make_daemon):
    daemon = enable(make_daemon())
    daemon.local["options"]["limits"] = {"memory": "64MiB", "pids": 50}
    daemon.write()
    try:
        daemon.start()
    except AssertionError as problem:
        daemon.expected_exit = None
        if "can't be enforced here" in str(problem):
            pytest.skip("no control groups here")
        raise
    for factor in 1, 2, 8:
        start(daemon, f"f{factor}", resource_factor=factor)
        runtime = wait_session(daemon, f"f{factor}", "running")
        assert limit_of(daemon, runtime, "memory") == factor * 64 * 1024 * 1024
        assert limit_of(daemon, runtime, "pids") == factor * 50
    post(daemon, "/pause", runtime_id=runtime["runtime_id"])


def limit_of(daemon, runtime, controller):
    """What the control groups say."""
    names = {"memory": ("memory.max", "memory.limit_in_bytes"), "pids": ("pids.max", "pids.max")}[controller]
    group = re.compile(rf"/sandboxd/{re.escape(runtime['runtime_id'])}\.[^/]*$")
    for path in (Path(place) for place, _, _ in os.walk("/sys/fs/cgroup") if group.search(place)):
        for name in names:
            if (path / name).exists():
                text = (path / name).read_text().strip()
                if text.isdigit() and int(text) < 1 << 60:
                    return int(text)
    return None


WRONG = [({}, "image"), ({"image": 5}, "image"), ({"image": ""}, "image"), ({"image": "x" * 513}, "image"),
         ({"command": 5}, "command"), ({"command": [1]}, "command"), ({"command": "a 'b"}, "command"),
         ({"command": {"a": 1}}, "command"), ({"command": "a " * 1001}, "command"),
         ({"command": ["a"] * 1001}, "command"), ({"working_dir": []}, "working_dir"),
         ({"environment": []}, "environment"), ({"environment": {"A": 1}}, "environment"),
         ({"environment": {"A=B": "1"}}, "environment"), ({"environment": {"": "1"}}, "environment"),
         ({"session_id": 5}, "session_id"), ({"session_id": "batch"}, "session_id"),
         ({"session_id": "a/b"}, "session_id"), ({"session_id": "a b"}, "session_id"),
         ({"session_id": "x" * 128}, "session_id"), ({"resource_factor": 3}, "resource_factor"),
         ({"resource_factor": "2"}, "resource_factor"), ({"resource_factor": 0}, "resource_factor"),
         ({"runtime_class": "runc"}, "runtime_class"), ({"image_pull_policy": "always"}, "image_pull_policy"),
         ({"run_as_user": -1}, "run_as_user"), ({"run_as_user": 1 << 31}, "run_as_user"),
         ({"run_as_group": 1.5}, "run_as_group"), ({"fs_group": "1000"}, "fs_group")]


@pytest.mark.parametrize("body, member", WRONG, ids=lambda value: None)
def test_what_is_wrong_in_a_body_is_told(shared, body, member):
    response = post(shared, "/start", **({"image": "agent"} if member != "image" else {}), **body)
    assert response.status == 422, response
    detail = response.json()["detail"]
    assert [problem["loc"] for problem in detail] == [["body", member]]
    assert all(problem["msg"] and problem["type"] for problem in detail)


@pytest.fixture(scope="module")
def shared():
    """For what starts nothing."""
    daemon = enable(Daemon()).start()
    yield daemon
    try:
        daemon.finish()
    finally:
        daemon.discard()


def test_all_that_is_wrong_is_told_at_once(shared):
    response = post(shared, "/start", image=1, command=1, resource_factor=1000, session_id="a/b")
    assert sorted(p["loc"][1] for p in response.json()["detail"]) == ["command", "image", "resource_factor",
                                                                     "session_id"]


@pytest.mark.parametrize("raw", ["", "[]", "{", "null", "nonsense", '{"image": "a"} x', "\xff"])
@pytest.mark.parametrize("path", ["/start", "/pause", "/resume", "/stop"])
def test_what_is_no_object_is_told(shared, path, raw):
    response = post(shared, path, raw=raw.encode("latin-1"))
    assert response.status == 422 and response.json()["detail"][0]["loc"] == ["body"], response


def test_a_runtime_id_is_a_text(shared):
    for body in {}, {"runtime_id": None}, {"runtime_id": 5}:
        assert post(shared, "/pause", **body).status == 422
    assert post(shared, "/stop", runtime_id="x" * 5000).status == 404


def test_what_clients_send_beside_is_left_alone(daemon):
    runtime = start(daemon, "s", resource_factor=1, runtime_class="gvisor", run_as_user=1000, run_as_group=1000,
                    fs_group=1000, image_pull_policy="Always", unknown={"a": 1}, command=None, working_dir=None)
    assert runtime["session_id"] == "s"


# ---- the rest


def test_images_exist(memory):
    daemon = memory.start()
    answer = get(daemon, "/image_exists?image=ghcr.io/openhands/x").json()
    assert answer == {"exists": True, "image": {"upload_time": None, "image_size_bytes": 0}}
    assert get(daemon, "/image_exists?image=ghcr.io/openhands/missing").json() == {"exists": False, "image": None}
    assert get(daemon, "/image_exists").status == 422


def test_images_of_a_backend_that_can_not_tell(shared):
    assert get(shared, "/image_exists?image=agent").json() == {
        "exists": True, "image": {"upload_time": None, "image_size_bytes": 0}}


def test_the_registry_prefix_is_the_operators(memory):
    memory.config["runtime_api"]["registry_prefix"] = "reg.example/x"
    memory.write()
    assert get(memory.start(), "/registry_prefix").json() == {"registry_prefix": "reg.example/x"}


def test_builds_are_the_operators_to_allow(make_daemon):
    daemon = enable(make_daemon()).start()
    response = post(daemon, "/build", raw=b"x" * 3000000)
    assert response.status == 403 and "runtime_api.builds" in response.json()["detail"]
    assert get(daemon, "/build_status?build_id=1").status == 404
    daemon.config["runtime_api"]["builds"] = True
    daemon.write()
    daemon.reload()
    response = daemon.request("POST", "/runtime-api/build", body=b"--b--", headers={
        "Content-Type": "multipart/form-data; boundary=b"})
    assert response.status == 501 and "builds no images" in response.json()["detail"]


def test_it_is_not_there_unless_enabled(make_daemon):
    daemon = make_daemon().start()
    for path in "/list", "/sessions/x", "/sessions/batch", "/registry_prefix", "/build_status":
        assert get(daemon, path).status == 404
    for path in "/start", "/stop", "/build":
        assert post(daemon, path, image="agent").status == 404
    enable(daemon).reload()
    assert get(daemon, "/list").status == 200


def test_owners_are_as_everywhere(make_daemon):
    daemon = enable(make_daemon())
    keys = {user: {"X-API-Key": f"{user}-key-0001"} for user in ("ann", "bob", "ops")}
    daemon.config["auth"] = {"keys": [
        {"user": user, "sha256": hashlib.sha256(headers["X-API-Key"].encode()).hexdigest(),
         "role": "admin" if user == "ops" else "user"} for user, headers in keys.items()]}
    daemon.write()
    daemon.finish_headers = keys["ops"]
    daemon.start()
    assert get(daemon, "/list").status == 401 and post(daemon, "/start", image="agent").status == 401
    ann = start(daemon, "same", headers=keys["ann"])
    bob = start(daemon, "same", headers=keys["bob"])
    assert ann["runtime_id"] != bob["runtime_id"]
    for user, mine, other in (("ann", ann, bob), ("bob", bob, ann)):
        assert session(daemon, "same", keys[user])["runtime_id"] == mine["runtime_id"]
        assert get(daemon, f"/runtime/{other['runtime_id']}", keys[user]).status == 404
        assert get(daemon, f"/sessions/{other['runtime_id']}", keys[user]).status == 404
        assert [r["runtime_id"] for r in get(daemon, "/list", keys[user]).json()["runtimes"]] == [mine["runtime_id"]]
        for verb in "pause", "resume", "stop":
            assert post(daemon, "/" + verb, keys[user], runtime_id=other["runtime_id"]).status == 404
    only = start(daemon, "anns-own", headers=keys["ann"])
    assert session(daemon, "anns-own", keys["ops"])["runtime_id"] == only["runtime_id"]
    assert get(daemon, "/list", keys["ops"]).json()["total"] == 3
    assert post(daemon, "/stop", keys["ops"], runtime_id=only["runtime_id"]).status == 200


def test_a_start_that_waits_for_room_is_503_and_found_by_the_next(make_daemon):
    """Where it will be is not known: the client is told to ask again, and the start goes on under its session."""
    daemon = enable(make_daemon())
    daemon.local.update(max_sandboxes=1, health_check_path=None)
    daemon.add_spec("never", "--hang-health")
    daemon.local["health_check_path"] = "/alive"
    daemon.write()
    daemon.start()
    blocker = start(daemon, "blocker", "never")  # STARTING for ever: it can't be paused to make room
    begun = time.monotonic()
    response = post(daemon, "/start", image="agent", session_id="waits")
    assert response.status == 503 and response.headers["Retry-After"] and time.monotonic() - begun < 14
    assert session(daemon, "waits")["status"] == "starting" and session(daemon, "waits")["url"] is None
    post(daemon, "/stop", runtime_id=blocker["runtime_id"])
    assert start(daemon, "waits")["runtime_id"] == session(daemon, "waits")["runtime_id"]


def test_over_the_limit_is_429_where_the_operator_said_so(make_daemon):
    daemon = enable(make_daemon())
    daemon.local.update(max_sandboxes=1, over_limit="reject")
    daemon.write()
    daemon.start()
    start(daemon, "one")
    wait_session(daemon, "one", "running")
    response = post(daemon, "/start", image="agent", session_id="two")
    assert response.status == 429 and response.json()["detail"]["error"] == "CONCURRENCY_LIMIT_REACHED"
    assert start(daemon, "one")["session_id"] == "one"


def test_a_start_that_fails_is_its_error_and_leaves_nothing(memory):
    memory.config["backends"]["local"]["options"]["start_error"] = "IMAGE_NOT_FOUND"
    memory.write()
    daemon = memory.start()
    response = post(daemon, "/start", image="agent", session_id="s")
    assert response.status == 502 and response.json()["error"]["code"] == "IMAGE_NOT_FOUND"
    assert session(daemon, "s") is None and not daemon.everything()


def test_a_key_that_the_technology_chose_is_the_sandboxes(memory):
    memory.config["backends"]["local"]["options"]["session_key"] = "chosen-elsewhere-" + "x" * 100
    memory.write()
    daemon = memory.start()
    started = start(daemon, "s")
    key = wait_session(daemon, "s", "running")["session_api_key"]
    assert key.startswith("chosen-elsewhere-")
    assert daemon.get("/api/v1/sandbox", headers={"X-Session-API-Key": key}).json()["id"] == started["runtime_id"]
    daemon.restart("kill")
    assert wait_session(daemon, "s", "running")["session_api_key"] == key


def test_a_url_that_is_known_early_is_answered_early(memory):
    memory.config["backends"]["local"]["options"]["delay"] = 3600000
    memory.write()
    daemon = memory.start()
    begun = time.monotonic()
    started = start(daemon, "s")
    assert time.monotonic() - begun < 8 and started["status"] == "starting" and started["url"]
