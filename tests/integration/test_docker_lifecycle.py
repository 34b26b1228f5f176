"""A sandbox of the docker backend from its start to its removal, on a real engine: what is seen, and what is made."""

import hashlib
import re
import shutil
import urllib.parse

import pytest

from docker_engine import AGENT_IMAGE, agent_of, ask_agent, env_of, host_port
from harness import wait_until

KEYS = {"ann": "ann-secret-key-000001", "ops": "ops-secret-key-000003"}
ANN, OPS = ({"X-API-Key": KEYS[user]} for user in ("ann", "ops"))
BOTH = pytest.mark.parametrize("how", ["stop", "kill"])


def test_a_start_makes_a_container_that_answers(docker, engine):
    sandbox = docker.start_sandbox()
    assert sandbox["status"] == "RUNNING" and sandbox["error"] is None and sandbox["backend"] == "docker"
    assert sandbox["id"].startswith(docker.prefix) and sandbox["sandbox_spec_id"] == AGENT_IMAGE
    assert len(sandbox["session_api_key"]) >= 40
    [url] = sandbox["exposed_urls"]
    assert url == {"name": "AGENT_SERVER", "url": f"http://localhost:{host_port(sandbox)}", "port": 8000}
    assert ask_agent(sandbox, "/health").status == 200
    assert docker.containers() == [sandbox["id"]]
    assert engine.state(sandbox["id"]) == "running"
    assert docker.sandbox(sandbox["id"]) == sandbox
    assert docker.get("/api/v1/sandbox", headers={"X-Session-API-Key": sandbox["session_api_key"]}).json() == sandbox


def test_the_container_is_as_the_spec_and_the_defaults_say(make_docker, engine):
    docker = make_docker()
    docker.options["host_port"] = 3123
    docker.config["specs"] = [
        docker.spec("agent", working_dir="/workspace/project", initial_env={"FROM_SPEC": "a b=c"})]
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    made = engine.inspect(sandbox["id"])
    env, host = env_of(made), made["HostConfig"]
    assert made["Config"]["Entrypoint"] == ["/sandbox-agent", "--port", "8000"] and not made["Config"]["Cmd"]
    assert made["Config"]["WorkingDir"] == "/workspace/project"
    assert env["FROM_SPEC"] == "a b=c" and env["OH_SESSION_API_KEYS_0"] == sandbox["session_api_key"]
    assert env["OH_WEBHOOKS_0_BASE_URL"] == "http://host.docker.internal:3123/api/v1/webhooks"
    assert env["AGENT_SERVER"] == "8000" and env["SANDBOX_ID"] == sandbox["id"]
    assert "PATH" not in docker.env or env.get("HOME") != docker.env["HOME"], "nothing of the daemon's own environment"
    assert made["Config"]["Labels"]["sandbox_spec_id"] == AGENT_IMAGE
    assert host["Init"] is True and host["PidsLimit"] == 4096 and host["Privileged"] is False
    assert not host["SecurityOpt"] and not host["CapDrop"] and not host["CapAdd"] and not host["ReadonlyRootfs"]
    assert host["ExtraHosts"] == ["host.docker.internal:host-gateway"]
    [bound] = made["NetworkSettings"]["Ports"]["8000/tcp"]
    assert bound == {"HostIp": "127.0.0.1", "HostPort": str(host_port(sandbox))}
    assert ask_agent(sandbox, "/env?name=FROM_SPEC").json() == {"value": "a b=c"}


def test_the_four_default_ports_and_the_url_of_vscode(make_docker, engine):
    docker = make_docker()
    del docker.options["exposed_ports"]
    docker.config["specs"] = [docker.spec("agent", working_dir="/workspace/project")]
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    urls = {url["name"]: url for url in sandbox["exposed_urls"]}
    assert list(urls) == ["AGENT_SERVER", "VSCODE", "WORKER_1", "WORKER_2"]
    assert [url["port"] for url in urls.values()] == [8000, 8001, 8011, 8012]
    made = engine.inspect(sandbox["id"])
    inside = {"AGENT_SERVER": 8000, "VSCODE": 8001, "WORKER_1": 8011, "WORKER_2": 8012}
    for name, url in urls.items():
        assert made["NetworkSettings"]["Ports"][f"{inside[name]}/tcp"][0]["HostPort"] == str(host_port(sandbox, name))
        assert env_of(made)[name] == str(url["port"])
    page = urllib.parse.urlsplit(urls["VSCODE"]["url"])
    assert page.netloc == f"localhost:{host_port(sandbox, 'VSCODE')}" and page.path == "/"
    assert urllib.parse.parse_qs(page.query) == {
        "tkn": [sandbox["session_api_key"]], "folder": ["/workspace/project"]}
    assert urls["WORKER_1"]["url"] == f"http://localhost:{host_port(sandbox, 'WORKER_1')}"


def test_a_command_may_name_its_port(make_docker):
    docker = make_docker()
    docker.config["specs"] = [docker.spec("agent", command=["/sandbox-agent", "--port", "{port}"])]
    docker.write()
    docker.start()
    assert ask_agent(docker.start_sandbox(), "/health").status == 200


def test_without_a_command_the_image_runs_its_own(make_docker, engine):
    engine.import_image("sandboxd-test/own:latest", ['CMD ["/sandbox-agent", "--port", "8000"]', "WORKDIR /workspace"])
    docker = make_docker()
    docker.config["specs"] = [{"id": "sandboxd-test/own:latest"}]
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    assert engine.inspect(sandbox["id"])["Config"]["WorkingDir"] == "/workspace"


def test_pause_freezes_and_resume_goes_on_with_the_same_key_and_urls(docker, engine):
    sandbox = docker.start_sandbox()
    pid = engine.inspect(sandbox["id"])["State"]["Pid"]
    docker.act("pause", sandbox["id"])
    paused = docker.wait_status(sandbox["id"], "PAUSED")
    assert paused["session_api_key"] is None and paused["exposed_urls"] is None and paused["error"] is None
    assert engine.state(sandbox["id"]) == "paused"
    docker.act("pause", sandbox["id"])  # already so is success
    docker.act("resume", sandbox["id"])
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox
    docker.act("resume", sandbox["id"])
    assert engine.inspect(sandbox["id"])["State"]["Pid"] == pid, "memory was kept"


def test_pause_mode_stop_stops_and_starts_again(make_docker, engine):
    docker = make_docker()
    docker.options["pause_mode"] = "stop"
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox()
    assert ask_agent(sandbox, "/file?path=/workspace/kept&text=yes", "POST").status == 200
    docker.act("pause", sandbox["id"])
    paused = docker.wait_status(sandbox["id"], "PAUSED")
    assert paused["error"] is None and engine.state(sandbox["id"]) == "exited"
    docker.act("resume", sandbox["id"])
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox
    assert ask_agent(sandbox, "/file?path=/workspace/kept").json() == {"text": "yes"}


@BOTH
def test_all_is_found_again_after_a_restart(docker, how):
    running, paused = docker.start_sandbox(), docker.start_sandbox()
    docker.act("pause", paused["id"])
    frozen = docker.wait_status(paused["id"], "PAUSED")
    docker.restart(how)
    assert docker.sandbox(paused["id"]) == frozen
    assert docker.wait_status(running["id"], "RUNNING") == running
    docker.act("resume", paused["id"])
    assert docker.wait_status(paused["id"], "RUNNING") == paused


def test_delete_hides_at_once_and_leaves_nothing(docker, engine):
    sandbox = docker.start_sandbox()
    volume = f"openhands-workspace-{sandbox['id']}"
    engine.ask("POST", "/volumes/create", {"Name": volume})
    docker.remove_sandbox(sandbox["id"])
    assert docker.sandbox(sandbox["id"]) is None and docker.everything() == []
    for verb in "pause", "resume":
        assert docker.post(f"/api/v1/sandboxes/{sandbox['id']}/{verb}").status == 404
    docker.wait_clean()
    assert volume not in engine.volumes()


def test_delete_of_paused_stopped_and_ended_ones(docker, engine):
    paused, stopped, ended = (docker.start_sandbox() for _ in range(3))
    docker.act("pause", paused["id"])
    engine.do(stopped["id"], "stop", "?t=1")
    engine.do(ended["id"], "kill")
    for each in paused, stopped, ended:
        docker.remove_sandbox(each["id"])
    docker.wait_clean()


def test_an_agent_that_ignores_sigterm_is_killed_after_stop_timeout(make_docker):
    docker = make_docker()
    docker.options["stop_timeout"] = "300ms"
    docker.add_spec("stubborn", "--ignore-term")
    docker.write()
    docker.start()
    docker.remove_sandbox(docker.start_sandbox("stubborn")["id"])
    docker.wait_clean()


def test_a_container_made_outside_with_the_prefix_is_a_sandbox(make_docker, engine):
    docker = make_docker()
    name, late = docker.prefix + "early", docker.prefix + "late"
    published = {"ExposedPorts": {"8000/tcp": {}},
                 "HostConfig": {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}}
    engine.run(name, Env=["OH_SESSION_API_KEYS_0=made-outside"], **published)
    engine.run("else-" + name, **published)
    docker.start()
    try:
        early = docker.wait_status(name, "RUNNING")
        assert early["session_api_key"] == "made-outside" and early["created_by_user_id"] is None
        assert early["sandbox_spec_id"] == AGENT_IMAGE
        assert ask_agent(early, "/health").status == 200
        engine.run(late, **published)
        docker.wait_status(late, "RUNNING")
        assert {s["id"] for s in docker.everything()} == {name, late}
        docker.act("pause", name)
        docker.wait_status(name, "PAUSED")
        docker.remove_sandbox(name)
        docker.remove_sandbox(late)
        docker.wait_clean()
        assert engine.state("else-" + name) == "running"
    finally:
        engine.remove("else-" + name)


def test_owners_are_kept_and_containers_of_nobody_are_for_admins(make_docker, engine):
    docker = make_docker(env={"ANN_KEY": KEYS["ann"]})
    docker.config["auth"] = {"keys": [
        {"user": "ann", "key": "${ANN_KEY}"},
        {"user": "ops", "sha256": hashlib.sha256(KEYS["ops"].encode()).hexdigest(), "role": "admin"}]}
    docker.write()
    docker.finish_headers = OPS
    docker.start()
    sandbox = docker.start_sandbox(headers=ANN)
    assert sandbox["created_by_user_id"] == "ann"
    foreign = docker.prefix + "foreign"
    engine.run(foreign)
    wait_until(lambda: len(docker.everything(OPS)) == 2)
    assert [s["id"] for s in docker.everything(ANN)] == [sandbox["id"]]
    for verb in "pause", "resume":
        assert docker.post(f"/api/v1/sandboxes/{foreign}/{verb}", headers=ANN).status == 404
    for lost in False, True:  # its labels say what a lost state does not
        docker.kill()
        if lost:
            shutil.rmtree(docker.config["state_dir"])
        docker.start()
        assert docker.wait_status(sandbox["id"], "RUNNING", ANN) == sandbox
        assert docker.sandbox(foreign, ANN) is None and docker.sandbox(foreign, OPS)["created_by_user_id"] is None


def test_logs_are_unframed_cut_and_followed(make_docker, engine):
    docker = make_docker()
    docker.add_spec("talks", "--print", 5)
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox("talks")
    path = f"/api/v1/sandboxes/{sandbox['id']}/logs"
    response = docker.get(path)
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/plain")
    lines = [f"line {i} of the agent's output" for i in range(1, 6)]
    wait_until(lambda: docker.get(path).text.splitlines() == lines, what="what the engine has yet to read of it")
    assert docker.get(path + "?tail=2").text.splitlines() == [f"line {i} of the agent's output" for i in (4, 5)]
    assert docker.get(f"/api/v1/sandboxes/{docker.prefix}nosuch/logs").status == 404
    with docker.client() as client:
        client.connection.request("GET", path + "?tail=1&follow=true")
        following = client.connection.getresponse()
        assert following.status == 200 and following.read1() == b"line 5 of the agent's output\n"
        engine.do(sandbox["id"], "restart", "?t=0")
        received = b""
        while b"line 5 " not in received:
            piece = following.read1()
            if not piece:
                break  # the stream may end with its container
            received += piece
    docker.wait_status(sandbox["id"], "RUNNING")


def test_output_while_it_starts_is_logged_at_debug_level(make_docker):
    docker = make_docker()
    docker.add_spec("talks", "--print", 3, "--bind-delay", 60000)
    docker.write()
    docker.start()
    sandbox = docker.start_sandbox("talks", wait=None, status="STARTING")
    docker.wait_log(rf"line 3 of the agent's output.*{sandbox['id']}|{sandbox['id']}.*line 3 of the agent's output")


def test_the_health_check_of_a_hung_agent(docker):
    sandbox = docker.start_sandbox()
    with agent_of(sandbox) as client:
        assert client.post("/health?status=500").status == 200
        failed = docker.wait_status(sandbox["id"], "ERROR")
        assert failed["error"]["code"] == "UNHEALTHY" and failed["session_api_key"] is None
        assert client.post("/health?status=200").status == 200
    assert docker.wait_status(sandbox["id"], "RUNNING") == sandbox


def test_secrets_are_in_no_log(docker):
    sandbox = docker.start_sandbox()
    docker.act("pause", sandbox["id"])
    docker.wait_status(sandbox["id"], "PAUSED")
    assert sandbox["session_api_key"] not in docker.log()
