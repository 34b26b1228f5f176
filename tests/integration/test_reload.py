"""SIGHUP: the next generation takes over whole, or not at all, and no client notices."""

import http.client
import json
import re
import shutil
import signal
import socket
import threading

import pytest

from harness import BUILD, SANITIZED, TEST_PLUGINS, Client, free_port, wait_until


def generation(daemon, headers=None):
    return daemon.get("/api/v1/backends", headers=headers).json()[0]["generation"]


# ---- what reloads

def test_a_reload_without_a_change_keeps_everything(daemon):
    sandbox = daemon.start_sandbox()
    with daemon.client() as client:
        assert client.get("/health").status == 200
        daemon.reload()
        assert client.get("/api/v1/sandboxes/" + sandbox["id"]).json() == sandbox, "on the same connection"
    assert generation(daemon) == 2


def test_listeners_come_and_go(make_daemon):
    daemon = make_daemon()
    stays, goes, comes = free_port(), free_port(), free_port()
    daemon.config["server"]["listen"] = [f"127.0.0.1:{stays}", f"127.0.0.1:{goes}"]
    daemon.write()
    daemon.start()
    with Client(f"127.0.0.1:{stays}") as kept:
        assert kept.get("/health").status == 200
        daemon.config["server"]["listen"] = [f"127.0.0.1:{stays}", f"127.0.0.1:{comes}"]
        daemon.write()
        daemon.reload()
        assert kept.get("/health").status == 200
        with Client(f"127.0.0.1:{comes}") as new:
            assert new.get("/health").status == 200

        def refused():
            try:
                socket.create_connection(("127.0.0.1", goes)).close()
                return False
            except ConnectionRefusedError:
                return True
        wait_until(refused)


def test_keys(make_daemon):
    daemon = make_daemon()
    daemon.config["auth"] = {"keys": [{"user": "ann", "key": "first-key-of-ann", "role": "admin"}]}
    daemon.write()
    daemon.start()
    old, new = {"X-API-Key": "first-key-of-ann"}, {"X-API-Key": "second-key-of-ann"}
    daemon.finish_headers = new
    sandbox = daemon.start_sandbox(headers=old)
    daemon.config["auth"]["keys"][0]["key"] = "second-key-of-ann"
    daemon.write()
    daemon.reload()
    assert daemon.get("/api/v1/sandboxes/search", headers=old).status == 401
    assert daemon.sandbox(sandbox["id"], new) == sandbox


def test_limits_specs_and_log_level(make_daemon):
    daemon = make_daemon()
    daemon.local.update(max_sandboxes=1, over_limit="reject")
    daemon.config["log"] = {"level": "info"}
    daemon.write()
    daemon.start()
    first = daemon.start_sandbox()
    assert daemon.post("/api/v1/sandboxes").status == 429
    daemon.local["max_sandboxes"] = 2
    daemon.config["specs"] = [daemon.spec("newer"), *daemon.config["specs"]]
    daemon.config["log"] = {"level": "debug"}
    daemon.write()
    daemon.reload()
    second = daemon.start_sandbox()
    assert second["sandbox_spec_id"] == "newer", "the first is the default"
    assert daemon.sandbox(first["id"]) == first
    assert " debug" in daemon.log()


def test_a_changed_backend_finds_its_sandboxes_again(daemon):
    running, paused = daemon.start_sandbox(), daemon.start_sandbox()
    daemon.act("pause", paused["id"])
    daemon.wait_status(paused["id"], "PAUSED")
    daemon.local["options"]["stop_timeout"] = "1s"
    daemon.write()
    daemon.reload()
    assert daemon.wait_status(running["id"], "RUNNING") == running
    assert daemon.sandbox(paused["id"])["status"] == "PAUSED"
    daemon.act("resume", paused["id"])
    assert daemon.wait_status(paused["id"], "RUNNING") == paused


def test_another_prefix_of_ids_leaves_the_sandboxes_there_are_alone(make_daemon):
    daemon = make_daemon()
    daemon.config["backends"] = {"named": {"plugin": str(TEST_PLUGINS / "trivial.so"),
                                           "options": {"id_prefix": "oh-agent-server-"}}}
    daemon.config["specs"] = [{"id": "trivial"}]
    daemon.write()
    daemon.start()
    before = daemon.start_sandbox()
    assert re.fullmatch("oh-agent-server-[0-9A-Za-z]{22}", before["id"])
    daemon.config["backends"]["named"]["options"]["id_prefix"] = "another."
    daemon.write()
    daemon.reload()
    after = daemon.start_sandbox()
    assert re.fullmatch(r"another\.[0-9A-Za-z]{22}", after["id"])
    assert daemon.wait_status(before["id"], "RUNNING") == before
    daemon.restart("kill")
    assert daemon.wait_status(before["id"], "RUNNING") == before
    daemon.remove_sandbox(before["id"])
    assert [s["id"] for s in daemon.everything()] == [after["id"]]


def test_a_backend_that_goes_and_comes_back(make_daemon):
    daemon = make_daemon()
    daemon.config["backends"]["other"] = json.loads(json.dumps(daemon.local))
    daemon.config["backends"]["other"]["options"]["base_working_dir"] = str(daemon.directory / "others")
    daemon.config["default_backend"] = "local"
    daemon.add_spec("on-other", backend="other")
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox("on-other")
    pids = daemon.processes()
    config = json.loads(json.dumps(daemon.config))
    del daemon.config["backends"]["other"]
    daemon.config["specs"].pop()
    daemon.write()
    daemon.reload()
    assert [b["name"] for b in daemon.get("/api/v1/backends").json()] == ["local"]
    assert set(pids) <= set(daemon.processes()), "its sandboxes go on running"
    assert re.search("backend=other: is not in the configuration any more: its sandboxes, 1 in all,", daemon.log())
    daemon.config = config
    daemon.write()
    daemon.reload()
    assert daemon.wait_status(sandbox["id"], "RUNNING") == sandbox


def test_a_request_in_flight_ends_on_the_generation_it_began_on(make_daemon):
    daemon = make_daemon()
    daemon.add_spec("slow", "--bind-delay", 1000)
    daemon.write()
    daemon.start()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(daemon.start_sandbox("slow")))
    thread.start()
    wait_until(lambda: daemon.everything())
    daemon.config["specs"] = daemon.config["specs"][:1]
    daemon.local["options"]["stop_timeout"] = "1s"
    daemon.write()
    daemon.reload()
    thread.join()
    assert answers and answers[0]["status"] == "RUNNING"


def test_a_plugin_file_that_changed_on_disk_is_loaded_anew(make_daemon):
    daemon = make_daemon()
    plugins = daemon.directory / "plugins"
    shutil.copytree(BUILD / "plugins", plugins)
    daemon.config["plugin_dir"] = str(plugins)
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox()
    before = daemon.get("/api/v1/backends").json()[0]["version"]
    binary = (plugins / "process.so").read_bytes()
    # The plugin's table has its version in a field of 32 bytes behind that of its name.
    at = binary.index(b"process".ljust(32, b"\0") + before.encode().ljust(32, b"\0")) + 32
    (plugins / "new.so").write_bytes(binary[:at] + b"9.9.9".ljust(32, b"\0") + binary[at + 32:])
    (plugins / "new.so").replace(plugins / "process.so")
    daemon.reload()
    assert daemon.get("/api/v1/backends").json()[0]["version"] == "9.9.9"
    assert daemon.wait_status(sandbox["id"], "RUNNING") == sandbox


def test_hangups_in_a_row_end_in_the_last_file(make_daemon):
    daemon = make_daemon().start()
    for i in range(10):
        daemon.config["specs"] = [daemon.spec(f"spec-{i}")]
        daemon.write()
        daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: [s["id"] for s in daemon.get("/api/v1/sandbox-specs/search").json()["items"]] == ["spec-9"])


# ---- what does not, and leaves all as it was

@pytest.mark.parametrize("stage", ["yaml", "value", "key file", "option", "plugin missing", "plugin that won't open",
                                   "port in use", "state_dir", "tls file"])
def test_a_wrong_file_leaves_the_old_generation_serving(make_daemon, stage):
    daemon = make_daemon().start()
    sandbox = daemon.start_sandbox()
    new_port = free_port()
    config = json.loads(json.dumps(daemon.config))
    config["specs"] = [daemon.spec("other")]
    config["server"]["listen"] = [*config["server"]["listen"], f"127.0.0.1:{new_port}"]
    text, taken, expected = None, None, ""
    if stage == "yaml":
        text = "server: [\n"
    elif stage == "value":
        config["backends"]["local"]["max_sandboxes"], expected = 0, "backends.local.max_sandboxes"
    elif stage == "key file":
        config["auth"], expected = {"keys": [{"user": "a", "key_file": "/nonexistent"}]}, "auth.keys[0].key_file"
    elif stage == "option":
        config["backends"]["local"]["options"]["base_port"], expected = 0, "backends.local.options.base_port"
    elif stage == "plugin missing":
        config["backends"]["more"], expected = {"plugin": "nosuch"}, "backends.more.plugin"
        config["default_backend"] = "local"
    elif stage == "plugin that won't open":
        config["backends"]["more"], expected = {"plugin": str(TEST_PLUGINS / "misbehave.so"),
                                                "options": {"how": "fail_open"}}, "licence"
        config["default_backend"] = "local"
    elif stage == "port in use":
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config["server"]["listen"].append(f"127.0.0.1:{taken.getsockname()[1]}")
        expected = f"127.0.0.1:{taken.getsockname()[1]}"
    elif stage == "state_dir":
        config["state_dir"], expected = str(daemon.directory / "elsewhere"), "state_dir"
    elif stage == "tls file":
        config["server"]["tls"], expected = {"cert": "/nonexistent", "key": "/nonexistent"}, "/nonexistent"
    daemon.config_file.write_text(text if text is not None else json.dumps(config))
    with daemon.client() as client:
        client.get("/health")
        log = daemon.reload(ok=False)
        assert expected in log and str(daemon.config_file) in log, log
        assert client.get("/api/v1/sandboxes/" + sandbox["id"]).json() == sandbox
    assert generation(daemon) == 1
    assert [s["id"] for s in daemon.get("/api/v1/sandbox-specs/search").json()["items"]] == ["agent"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", new_port))
    if taken:
        taken.close()
    daemon.write()
    daemon.reload()
    daemon.start_sandbox()


# ---- under load

def test_two_hundred_reloads_while_three_clients_read(make_daemon):
    daemon = make_daemon()
    daemon.config["log"] = {"level": "info"}
    daemon.write()
    daemon.start()
    sandbox = daemon.start_sandbox()
    path, failures, over, counts = "/api/v1/sandboxes/" + sandbox["id"], [], threading.Event(), [0, 0, 0]

    def fresh():
        while not over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200 and json.loads(body) == sandbox, body
            connection.close()
            counts[0] += 1

    def kept(index):
        with daemon.client() as client:
            while not over.is_set():
                response = client.get(path)
                assert response.status == 200 and response.json() == sandbox, response
                assert client.connection.sock, "the server closed a kept connection"
                counts[index] += 1

    def guarded(work, *arguments):
        try:
            work(*arguments)
        except Exception as problem:  # any failure of a client is what this test looks for
            failures.append(f"{work.__name__}: {problem!r}")

    threads = [threading.Thread(target=guarded, args=arguments) for arguments in ((fresh,), (kept, 1), (kept, 2))]
    for thread in threads:
        thread.start()
    reloads = 200 if not SANITIZED else 60

    def round_of(count):
        for i in range(count):
            # Every other one changes the backend, so that it is opened anew beside the old one.
            daemon.local["options"]["stop_timeout"] = f"{1 + i % 2}s"
            daemon.write()
            daemon.reload()

    round_of(20)
    descriptors, memory = daemon.descriptors(), daemon.status("RssAnon")
    round_of(reloads - 20)
    wait_until(lambda: failures or min(counts) > reloads, what="reads")
    over.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    wait_until(lambda: daemon.descriptors() <= descriptors, what=f"at most {descriptors} descriptors")
    if not SANITIZED:
        assert daemon.status("RssAnon") - memory < 1024, "KiB that stayed"
    assert generation(daemon) == reloads + 1
