"""What each option of the docker backend does to a container of a real engine."""

import json
import re
import json
import socket
import threading
import urllib.parse

import pytest

import harness
from docker_engine import AGENT_IMAGE, ask_agent, env_of, host_port
from harness import free_port, wait_until
from tls_front import TlsFront, certificate


@pytest.fixture
def start(make_docker):
    """A daemon with these options, and a sandbox of it."""
    def begin(**options):
        docker = make_docker()
        docker.options.update(options)
        docker.write()
        docker.start()
        return docker, docker.start_sandbox()
    return begin


def test_ports_come_from_their_ranges(start, engine):
    exposed = [{"name": "AGENT_SERVER", "container_port": 8000},
               {"name": "OTHER", "description": "of another program", "container_port": 9000}]
    _, sandbox = start(exposed_ports=exposed, port_ranges={"AGENT_SERVER": "32100-32109", "OTHER": "32200-32209"})
    ports = {name: host_port(sandbox, name) for name in ("AGENT_SERVER", "OTHER")}
    assert 32100 <= ports["AGENT_SERVER"] <= 32109 and 32200 <= ports["OTHER"] <= 32209
    assert env_of(engine.inspect(sandbox["id"]))["OTHER"] == "9000"


def test_the_numbers_of_ports_are_those_inside_unless_the_hosts_are_asked_for(start, engine):
    """A web server that an agent starts on $WORKER_1 is then reached at its URL."""
    exposed = [{"name": "AGENT_SERVER"}, {"name": "WORKER_1", "container_port": 8011}]
    _, sandbox = start(exposed_ports=exposed)
    assert [url["port"] for url in sandbox["exposed_urls"]] == [8000, 8011]
    assert ask_agent(sandbox, "/env?name=WORKER_1").json() == {"value": "8011"}
    [bound] = engine.inspect(sandbox["id"])["NetworkSettings"]["Ports"]["8011/tcp"]
    assert sandbox["exposed_urls"][1]["url"] == f"http://localhost:{bound['HostPort']}"
    _, sandbox = start(exposed_ports=exposed, port_numbers="host")
    told = [host_port(sandbox, name) for name in ("AGENT_SERVER", "WORKER_1")]
    assert [url["port"] for url in sandbox["exposed_urls"]] == told
    assert ask_agent(sandbox, "/env?name=WORKER_1").json() == {"value": str(told[1])}


def test_a_command_is_appended_to_the_entry_point_or_replaces_it(make_docker, engine):
    """Both entry points understand options alone."""
    for name in "entry", "entry-port":
        engine.import_image(f"sandboxd-test/{name}:latest", [
            'ENTRYPOINT ["/sandbox-agent"]' if name == "entry" else 'ENTRYPOINT ["/sandbox-agent", "--port", "8000"]'])
    docker = make_docker()
    program = ["/sandbox-agent", "--port", "8000"]
    specs = [("entry", {"command": ["--port", "{port}"]}), ("entry", {"command": program}),
             ("entry-port", {}), ("entry", {"entrypoint": program[:1], "command": program[1:]}),
             ("entry", {"entrypoint": program}), ("entry", {"entrypoint": [], "command": program})]
    for name, more in specs:
        docker.config["specs"] = [{"id": f"sandboxd-test/{name}:latest", **more}]
        docker.write()
        docker.start()
        sandbox = docker.start_sandbox()
        assert ask_agent(sandbox, "/health").status == 200, more
        docker.remove_sandbox(sandbox["id"])
        docker.stop()


def test_bind_address_and_url_pattern(start, engine):
    _, sandbox = start(bind_address="0.0.0.0", container_url_pattern="http://127.0.0.1:{port}")
    [bound] = engine.inspect(sandbox["id"])["NetworkSettings"]["Ports"]["8000/tcp"]
    assert bound["HostIp"] == "0.0.0.0"
    assert sandbox["exposed_urls"][0]["url"] == f"http://127.0.0.1:{bound['HostPort']}"


def test_the_host_network(make_docker, engine):
    docker = make_docker()
    docker.options["network"] = "host"
    docker.config["specs"] = [docker.spec("agent", command=["/sandbox-agent", "--port", "{port}"])]
    docker.write()
    docker.start()
    one, two = docker.start_sandbox(), docker.start_sandbox()
    assert host_port(one) != host_port(two)
    assert engine.inspect(one["id"])["HostConfig"]["NetworkMode"] == "host"
    assert ask_agent(one, "/health").status == 200
    docker.restart("kill")
    assert docker.wait_status(one["id"], "RUNNING") == one, "its ports are found again"


def test_a_network_by_its_name(start, engine):
    network = engine.ask("POST", "/networks/create", {"Name": "of-our-own"})["Id"]
    try:
        docker, sandbox = start(network="of-our-own")
        assert list(engine.inspect(sandbox["id"])["NetworkSettings"]["Networks"]) == ["of-our-own"]
        docker.remove_all()
        docker.wait_clean()
    finally:
        engine.call("DELETE", f"/networks/{network}")


def test_mounts_of_folders_and_named_volumes(make_docker, engine):
    docker = make_docker()
    folder, other = docker.directory / "shared", docker.directory / "read-only"
    folder.mkdir()
    other.mkdir()
    (other / "file").write_text("of the host")
    volumes = [f"test-{docker.prefix}one", f"test-{docker.prefix}two"]
    docker.options["mounts"] = [
        {"host_path": str(folder), "container_path": "/shared"},
        {"host_path": str(other), "container_path": "/other", "mode": "ro"},
        {"host_path": f"volume:{volumes[0]}", "container_path": "/one"},
        {"host_path": volumes[1], "container_path": "/two", "mode": "rw"}]
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    for path in "/shared", "/one", "/two":
        assert ask_agent(sandbox, f"/file?path={path}/new&text=written", "POST").status == 200
    assert ask_agent(sandbox, "/file?path=/other/file").json() == {"text": "of the host"}
    assert ask_agent(sandbox, "/file?path=/other/new&text=x", "POST").status == 500
    assert (folder / "new").read_text() == "written"
    docker.remove_all()
    wait_until(lambda: not docker.containers())
    assert set(volumes) <= set(engine.volumes()), "a named volume is shared, and outlives its sandboxes"
    sandbox = docker.start_sandbox()
    assert ask_agent(sandbox, "/file?path=/one/new").json() == {"text": "written"}
    docker.remove_all()
    wait_until(lambda: not docker.containers())
    for volume in volumes:  # a container that is not listed any more may still use it for a moment
        wait_until(lambda v=volume: engine.call("DELETE", f"/volumes/{v}").status == 204, what=f"the end of {volume}")


def test_an_overlay_is_private_and_goes_with_its_sandbox(make_docker):
    docker = make_docker()
    lower = docker.directory / "lower"
    lower.mkdir()
    (lower / "file").write_text("of the host")
    docker.options.update(overlay_base=str(docker.overlays), pause_mode="stop", mounts=[
        {"host_path": str(lower), "container_path": "/work", "mode": "overlay"}])
    docker.write()
    docker.start()
    one, two = docker.start_sandbox(), docker.start_sandbox()
    assert ask_agent(one, "/file?path=/work/file&text=mine", "POST").status == 200
    assert ask_agent(one, "/file?path=/work/file").json() == {"text": "mine"}
    assert ask_agent(two, "/file?path=/work/file").json() == {"text": "of the host"}
    assert (lower / "file").read_text() == "of the host"
    docker.act("pause", one["id"])
    docker.wait_status(one["id"], "PAUSED")
    docker.act("resume", one["id"])
    docker.wait_status(one["id"], "RUNNING")
    assert ask_agent(one, "/file?path=/work/file").json() == {"text": "mine"}
    assert sorted(p.name for p in docker.overlays.iterdir()) == sorted([one["id"], two["id"]])
    docker.remove_sandbox(one["id"])
    wait_until(lambda: [p.name for p in docker.overlays.iterdir()] == [two["id"]])


def test_limits_gpus_hosts_and_kwargs_are_in_the_create_request(start, engine):
    kwargs = {"Labels": {"team": "blue"}, "HostConfig": {"ShmSize": 1048576, "CapDrop": ["NET_RAW"]}}
    _, sandbox = start(limits={"memory": "64MiB", "cpus": 0.5, "pids": 100}, extra_hosts=["db:10.1.2.3"], kwargs=kwargs)
    made = engine.inspect(sandbox["id"])
    host = made["HostConfig"]
    assert host["Memory"] == 64 << 20 and host["NanoCpus"] == 500000000 and host["PidsLimit"] == 100
    assert host["ExtraHosts"] == ["db:10.1.2.3"] and host["ShmSize"] == 1048576 and host["CapDrop"] == ["NET_RAW"]
    assert made["Config"]["Labels"]["team"] == "blue"
    assert made["Config"]["Labels"]["sandbox_spec_id"] == AGENT_IMAGE, "kwargs add to labels, and take none away"
    assert host["Init"] is True


def test_kwargs_with_docker_pys_names_reach_the_engine(start, engine):
    kwargs = {"mem_limit": "64m", "shm_size": "1m", "cap_drop": ["NET_RAW"], "devices": ["/dev/null:/dev/x:r"],
              "hostname": "box", "dns": ["10.0.0.1"], "sysctls": {"net.ipv4.ip_forward": 1}, "tmpfs": {"/tmp": "size=1m"},
              "ulimits": [{"name": "nofile", "soft": 64, "hard": 128}], "environment": {"MINE": "a b"}, "user": 1000,
              "labels": {"team": "blue"}, "oom_score_adj": 5, "log_config": {"type": "json-file", "config": {}},
              "extra_hosts": {"db": "10.1.2.3"}, "group_add": [20], "cpu_shares": 128}
    _, sandbox = start(kwargs=kwargs)
    made = engine.inspect(sandbox["id"])
    host, config = made["HostConfig"], made["Config"]
    assert (host["Memory"], host["ShmSize"], host["CapDrop"]) == (64 << 20, 1 << 20, ["NET_RAW"])
    assert host["Devices"] == [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]
    assert (config["Hostname"], config["User"], config["Labels"]["team"]) == ("box", "1000", "blue")
    assert host["Sysctls"] == {"net.ipv4.ip_forward": "1"} and host["Tmpfs"] == {"/tmp": "size=1m"}
    assert host["Ulimits"] == [{"Name": "nofile", "Soft": 64, "Hard": 128}] and host["Dns"] == ["10.0.0.1"]
    assert "db:10.1.2.3" in host["ExtraHosts"] and host["GroupAdd"] == ["20"] and host["CpuShares"] == 128
    assert host["OomScoreAdj"] == 5 and host["LogConfig"]["Type"] == "json-file"
    assert ask_agent(sandbox, "/env?name=MINE").json() == {"value": "a b"}


def user_ids(sandbox):
    """Of the agent: real, effective, saved, of files."""
    status = ask_agent(sandbox, "/file?path=/proc/self/status").json()["text"]
    return re.search(r"^Uid:\s+(.*)$", status, re.MULTILINE).group(1).split()


def test_a_set_user_id_program_works_unless_security_forbids_it(make_docker, engine):
    """As sudo in an agent's image: here the agent itself belongs to root, is set-user-ID and is started by another."""
    engine.import_image("sandboxd-test/sudo:latest", ["USER 1000:1000"], mode=0o4755)
    found = {}
    for forbidden in False, True:
        docker = make_docker()
        docker.options["security"] = {"no_new_privileges": forbidden}
        docker.config["specs"] = [docker.spec("agent")]
        docker.config["specs"][0]["id"] = "sandboxd-test/sudo:latest"
        docker.write()
        docker.start()
        found[forbidden] = user_ids(docker.start_sandbox())
    assert found == {False: ["1000", "0", "0", "0"], True: ["1000"] * 4}


def test_security_reaches_the_engine(start, engine, tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))
    _, sandbox = start(security={"no_new_privileges": True, "cap_drop": ["ALL"], "cap_add": ["CHOWN"],
                                 "seccomp": str(profile), "read_only": True})
    host = engine.inspect(sandbox["id"])["HostConfig"]
    assert host["SecurityOpt"] == ["no-new-privileges", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']
    assert (host["CapDrop"], host["CapAdd"], host["ReadonlyRootfs"]) == (["ALL"], ["CHOWN"], True)
    assert ask_agent(sandbox, "/file?path=/tmp/x&text=x", "POST").status == 500, "the image can't be written to"


def test_gpus_platform_and_runtime_reach_the_engine(make_docker, proxy, engine):
    """No machine has them all: the engine's refusals name them."""
    for options, word in (({"gpus": "all"}, "gpu"), ({"gpus": ["0", "1"]}, "gpu"), ({"runtime": "runsc"}, "runsc")):
        docker = make_docker()
        docker.options.update(options)
        docker.write()
        docker.start()
        response = docker.post("/api/v1/sandboxes?wait=10s")
        assert response.status == 502 and word in response.json()["error"]["message"], response
        assert docker.containers() == []
        docker.stop()
    docker = make_docker()
    docker.options.update(platform="linux/amd64", runtime="runc", host=proxy.host)
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    assert engine.inspect(sandbox["id"])["HostConfig"]["Runtime"] == "runc"
    assert proxy.matching(r"^POST /containers/create\?.*platform=linux%2Famd64")


def make_runtime(make_docker, *plugins, **options):
    """A daemon with `profile: runtime`, whose image does as the runtime's program does."""
    docker = make_docker()
    docker.options.update(profile="runtime", **options)
    del docker.options["exposed_ports"]
    words = ["/sandbox-agent", "--port", "{port}", "--working-dir", "/workspace", "--plugins", *plugins]
    docker.config["specs"] = [docker.spec("agent", command=words)]
    docker.config["runtime_api"] = {"enabled": True}
    docker.write()
    return docker


def test_the_runtime_profile(make_docker, engine):
    vscode_port = free_port()
    docker = make_runtime(make_docker, "agent_skills", "vscode", vscode_port=vscode_port).start()
    sandbox = docker.start_sandbox()
    made = engine.inspect(sandbox["id"])
    env = env_of(made)
    assert env["PYTHONUNBUFFERED"] == "1" and env["PIP_BREAK_SYSTEM_PACKAGES"] == "1"
    ports = made["NetworkSettings"]["Ports"]
    for name in "port", "VSCODE_PORT", "APP_PORT_1", "APP_PORT_2":
        assert ports[f"{env[name]}/tcp"][0]["HostPort"] == env[name], "the same inside and outside"
    assert len({env[name] for name in ("port", "VSCODE_PORT", "APP_PORT_1", "APP_PORT_2")}) == 4
    assert env["VSCODE_PORT"] == str(vscode_port)
    assert made["Config"]["Entrypoint"] in (None, [])

    def page():
        [url] = [u["url"] for u in docker.sandbox(sandbox["id"])["exposed_urls"] if u["name"] == "VSCODE"]
        address, _, query = url.partition("/?")
        assert address == f"http://localhost:{vscode_port}"
        return urllib.parse.parse_qs(query)
    token = ask_agent(sandbox, "/vscode/connection_token").json()["token"]
    assert page() == {"tkn": [token], "folder": ["/workspace"]}, "as its program says, and where its files are"
    docker.restart("kill")
    docker.wait_status(sandbox["id"], "RUNNING")
    assert page() == {"tkn": [token], "folder": ["/workspace"]}
    docker.act("pause", sandbox["id"])
    docker.wait_status(sandbox["id"], "PAUSED")
    assert engine.state(sandbox["id"]) == "exited", "pause_mode is stop"
    docker.act("resume", sandbox["id"])
    docker.wait_status(sandbox["id"], "RUNNING")
    assert page()["folder"] == ["/workspace"] and page()["tkn"]


def test_the_runtime_profile_publishes_vscode_with_its_plugin_alone(make_docker, engine):
    docker = make_runtime(make_docker, "agent_skills", "jupyter").start()
    sandbox = docker.start_sandbox()
    made = engine.inspect(sandbox["id"])
    assert [url["name"] for url in sandbox["exposed_urls"]] == ["AGENT_SERVER", "WORKER_1", "WORKER_2"]
    assert f"{env_of(made)['VSCODE_PORT']}/tcp" not in made["HostConfig"]["PortBindings"]


def test_the_runtime_profile_over_the_runtime_api(make_docker, engine):
    """Clients write the port into the command: it is the one inside."""
    docker = make_runtime(make_docker).start()
    command = ["/sandbox-agent", "--port", "60000", "--working-dir", "/workspace", "--plugins", "vscode"]
    body = json.dumps({"image": AGENT_IMAGE, "session_id": "s", "command": command})
    response = docker.post("/runtime-api/start", body=body, headers={"Content-Type": "application/json"})
    assert response.status == 200, response
    sandbox = docker.wait_status(response.json()["runtime_id"], "RUNNING")
    assert ask_agent(sandbox, "/alive").status == 200
    made = engine.inspect(sandbox["id"])
    assert set(made["HostConfig"]["PortBindings"]) == {"60000/tcp", "60001/tcp", "12000/tcp", "12001/tcp"}
    assert env_of(made)["port"] == "60000" and env_of(made)["VSCODE_PORT"] == "60001"


def test_the_runtime_profile_has_a_spec_of_its_own(make_docker):
    docker = make_docker()
    docker.options.update(profile="runtime")
    del docker.config["specs"], docker.options["exposed_ports"]
    docker.write()
    docker.start()
    [spec] = docker.get("/api/v1/sandbox-specs/search").json()["items"]
    words = " ".join(spec["command"])
    assert "/runtime:" in spec["id"] and spec["working_dir"] == "/openhands/code/"
    for part in ("-m openhands.runtime.action_execution_server {port}", "--working-dir /workspace", "--user-id 1000",
                 "--plugins agent_skills jupyter vscode", "--username openhands", "--no-enable-browser"):
        assert part in words, part
    docker.backend["health_check_path"] = "/other"
    docker.write()
    docker.reload()


@pytest.mark.parametrize("how, state", [("keep", "running"), ("pause", "paused"), ("stop", "exited"), ("remove", None)])
def test_what_a_shutdown_does(start, engine, how, state):
    docker, sandbox = start(on_shutdown=how)
    assert docker.stop() == 0
    assert engine.state(sandbox["id"]) == state
    docker.start()
    if state in ("paused", "exited"):
        docker.wait_status(sandbox["id"], "PAUSED")
        docker.act("resume", sandbox["id"])
    if state:
        assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox


@pytest.mark.parametrize("scope", ["own", "all"])
@pytest.mark.parametrize("how", ["pause", "stop", "remove"])
def test_whom_a_shutdown_reaches(make_docker, engine, how, scope):
    """What runs, stands still or has ended; made by this daemon, or by others."""
    docker = make_docker()
    docker.options.update(on_shutdown=how, on_shutdown_scope=scope)
    docker.write()
    docker.start()
    ours = {state: docker.start_sandbox()["id"] for state in ("running", "paused", "exited")}
    theirs = {state: f"{docker.prefix}{state}" for state in ours}
    for name in theirs.values():
        engine.run(name)
    wait_until(lambda: len(docker.everything()) == 6)
    for names in ours, theirs:
        engine.do(names["paused"], "pause")
        engine.do(names["exited"], "stop", "?t=1")
        docker.wait_status(names["paused"], "PAUSED")
        docker.wait_status(names["exited"], "PAUSED")
    assert docker.stop() == 0
    reached = {"pause": {"running": "paused"}, "stop": {"running": "exited"},
               "remove": dict.fromkeys(ours)}[how]
    if scope == "all" and how == "stop":
        reached["paused"] = "exited"
    for names in ours, theirs:
        for state, name in names.items():
            expected = reached.get(state, state) if names is ours or scope == "all" else state
            assert engine.state(name) == expected, (state, name)


def test_a_reload_that_changes_an_option_finds_the_sandboxes_again(start):
    docker, sandbox = start()
    docker.options["limits"] = {"memory": "64MiB"}
    docker.write()
    docker.reload()
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox
    docker.start_sandbox()


def test_reloads_interrupt_no_running_sandbox(start):
    """Not one read says otherwise, also where the option that changes is about its URLs."""
    docker, sandbox = start()
    statuses, over = set(), threading.Event()

    def read():
        with docker.client() as client:
            while not over.is_set():
                statuses.add(client.request("GET", f"/api/v1/sandboxes/{sandbox['id']}").json()["status"])
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for change in range(40):
            docker.options["container_url_pattern"] = ("http://127.0.0.1:{port}", "http://localhost:{port}")[change % 2]
            docker.options["stop_timeout"] = f"{change + 1}s"
            docker.write()
            docker.reload()
    finally:
        over.set()
        reader.join()
    assert statuses == {"RUNNING"}
    wait_until(lambda: docker.sandbox(sandbox["id"]) == sandbox, what="its URL as it was")


def test_another_container_port_is_for_new_sandboxes_alone(start):
    docker, sandbox = start()
    [port] = docker.options["exposed_ports"]
    port["container_port"] = 8001
    docker.config["specs"] = [docker.spec("agent", command=["/sandbox-agent", "--port", "8001"])]
    docker.write()
    docker.reload()
    assert ask_agent(docker.start_sandbox(), "/health").status == 200
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox
    docker.restart()
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox


def test_what_is_left_out_is_as_in_the_seed(make_docker, engine):
    """The image that OpenHands runs, as it runs it, and five of them at once."""
    image = "ghcr.io/openhands/agent-server:latest-python"
    engine.import_image(image, ['ENTRYPOINT ["/sandbox-agent"]'])
    docker = make_docker()
    del docker.config["specs"], docker.backend["max_sandboxes"], docker.options["exposed_ports"]
    docker.write()
    docker.start()
    [spec] = docker.get("/api/v1/sandbox-specs/search").json()["items"]
    assert (spec["id"], spec["command"], spec["backend"]) == (image, ["--port", "8000"], "docker")
    oldest, *others = [docker.start_sandbox()["id"] for _ in range(6)]
    docker.wait_status(oldest, "PAUSED")
    assert [docker.sandbox(other)["status"] for other in others] == 5 * ["RUNNING"]
    assert len(docker.sandbox(others[0])["exposed_urls"]) == 4
    docker.remove_all()
    docker.wait_clean()
    engine.remove_image(image)


def test_an_engine_over_tls(make_docker, engine):
    """Who it is is checked, and it is shown who we are."""
    docker = make_docker()
    cert, key = map(str, certificate(docker.directory, "client"))

    def refused(**tls):
        """Why it can't be reached with these."""
        docker.options["tls"] = tls
        docker.write()
        docker.restart()
        return docker.state_of_backend()["error"]["message"]
    with TlsFront(f"http://unix:{engine.socket}:", client_ca=cert) as front:
        ca = str(front.ca)
        docker.options.update(host=f"tcp://127.0.0.1:{front.port}", tls={"ca": ca, "cert": cert, "key": key})
        docker.write()
        docker.start()
        sandbox = docker.start_sandbox()
        engine.do(sandbox["id"], "pause")
        docker.wait_status(sandbox["id"], "PAUSED")
        assert "status 400" in refused(ca=ca)  # nginx's word for a client without a certificate
        before = len(front.requests())
        assert "certificate" in refused(cert=cert, key=key)
        assert {status for _, _, status in front.requests()[before:]} <= {"400"}, "of the one before, at its end"
        docker.options["host"] = engine.host
        del docker.options["tls"]
        docker.write()
        docker.restart()


def test_a_daemon_in_a_container_reaches_agents_at_its_host(make_docker, engine, monkeypatch):
    """There "localhost" is the container's own: nothing listens there. Clients are told the URL as it is."""
    docker = make_docker()
    docker.options["bind_address"] = "127.0.0.2"
    docker.write()
    (docker.directory / "hosts").write_text("127.0.0.1 localhost\n127.0.0.2 host.docker.internal\n")
    program = docker.directory / "sandboxd-in-a-container"
    program.write_text("#!/bin/sh\nexec unshare --mount sh -c '"
                       f"mount -t tmpfs none /run && mount --bind {docker.directory}/hosts /etc/hosts && "
                       f"touch /run/.containerenv && exec {harness.SANDBOXD} \"$@\"' sh \"$@\"\n")
    program.chmod(0o755)
    monkeypatch.setattr(harness, "SANDBOXD", program)
    docker.start()
    sandbox = docker.start_sandbox()
    [url] = sandbox["exposed_urls"]
    assert url["url"] == f"http://localhost:{host_port(sandbox)}"
    [bound] = engine.inspect(sandbox["id"])["NetworkSettings"]["Ports"]["8000/tcp"]
    assert bound == {"HostIp": "127.0.0.2", "HostPort": str(host_port(sandbox))}
    docker.restart("kill")
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox


def test_a_free_port_is_no_promise(start, engine):
    """A range of one port that another program holds: exhausted; given up: free."""
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        docker, _ = start()
        docker.options["port_ranges"] = {"AGENT_SERVER": f"{port}-{port}"}
        docker.write()
        docker.reload()
        response = docker.post("/api/v1/sandboxes")
        assert response.json()["error"]["code"] == "PORTS_EXHAUSTED", response
    assert host_port(docker.start_sandbox()) == port
