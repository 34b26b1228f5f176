"""The SDK's workspaces against containers of an image whose entry point is the published agent server."""

import json
import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from agent_image import SERVER_IMAGE, import_server_image
from conversations import Conversation, Seen, ask, url_of
from harness import ROOT, SLOWER, free_port, wait_until

KEY = "key-of-the-sdks-user"
HEADERS = {"X-API-Key": KEY}


@pytest.fixture
def bridge(engine):
    """This machine's address as containers see it."""
    import_server_image(engine)
    network = engine.ask("GET", "/networks/bridge")["IPAM"]["Config"][0]
    return network.get("Gateway") or str(next(ip_network(network["Subnet"]).hosts()))


@pytest.fixture
def make_server(make_docker, bridge):
    """Makes daemons with the image; not started yet."""
    def make(change=lambda config: None):
        daemon = make_docker()
        daemon.config["server"]["listen"] = [f"{host}:{free_port()}" for host in ("127.0.0.1", bridge)]
        daemon.config["auth"] = {"keys": [{"user": "sdk", "key": KEY}]}
        daemon.config["events"] = {"polling_interval": "300ms"}
        daemon.backend.update(startup_timeout=f"{120 * SLOWER}s", health_interval="1s")
        del daemon.options["exposed_ports"]
        change(daemon.config)
        daemon.write()
        daemon.finish_headers = HEADERS
        return daemon
    return make


def serve_and_reach(conversation, seen, url):
    """A web server that the agent starts on $WORKER_1 is there for whoever has the URL."""
    conversation.run("mkdir /tmp/site && echo made-by-the-agent >/tmp/site/page",
                     "cd /tmp/site && (python3 -m http.server $WORKER_1 >/dev/null 2>&1 &) ; echo port=$WORKER_1")

    def reached():
        try:
            return ask(url, "/page") == (200, "made-by-the-agent\n")
        except OSError:
            return False
    wait_until(reached, what=f"the agent's page at {url}, after {seen.outputs()[-1]}")


def test_over_the_runtime_api_with_the_defaults(make_server, program, llm, bridge, engine):
    """The client's command replaces the image's entry point, which is the same program; its runtime class is one that
    this engine does not have, and the operator says so."""
    def change(config):
        config["runtime_api"] = {"enabled": True}
        config["backends"]["docker"]["options"]["runtime_classes"] = {"sysbox-runc": ""}
        config["specs"] = [{"id": SERVER_IMAGE}]
    daemon = make_server(change).start()
    sdk = program("sdk")
    workspace = sdk.new("openhands.workspace.APIRemoteWorkspace", runtime_api_url=f"http://{daemon.address}/runtime-api",
                        runtime_api_key=KEY, server_image=SERVER_IMAGE)
    [sandbox] = daemon.everything(HEADERS)
    container = engine.inspect(sandbox["id"])
    assert container["Config"]["User"].split(":")[0] == "10001"
    conversation = Conversation(sdk, workspace, llm.url(bridge))
    seen = Seen(daemon, sandbox, conversation.id, HEADERS)
    # The agent is a user of the image that installs packages with sudo, and knows which sandbox it is in.
    conversation.run("id -u; sudo -n id -u", "echo id=$SANDBOX_ID")
    whoami, name = seen.outputs()
    assert whoami.split()[:2] == ["10001", "0"], whoami
    assert f"id={sandbox['id']}" in name
    urls = {url["name"]: url for url in sandbox["exposed_urls"]}
    assert urls["WORKER_1"]["port"] == 12000
    serve_and_reach(conversation, seen, urls["WORKER_1"]["url"])
    conversation.begin("sleep 3.125 && echo O''K || echo FAI''LED rc=$?")
    wait_until(lambda: any("sleep 3.125" in process[-1] for process in
                           engine.ask("GET", f"/containers/{sandbox['id']}/top")["Processes"]), what="the command")
    workspace.pause()
    daemon.wait_status(sandbox["id"], "PAUSED", HEADERS)
    assert engine.state(sandbox["id"]) == "paused"
    workspace.resume()
    seen.wait_finished()
    output = seen.outputs()[-1]
    assert "OK" in output and "FAILED" not in output, output
    seen.wait_same_events()  # polled
    workspace.cleanup()
    wait_until(lambda: not daemon.everything(HEADERS), what="the sandbox gone")


def test_over_the_app_api_and_the_daemon_is_killed(make_server, program, llm, bridge):
    """Arguments alone go to the image's entry point. The agent server reports by itself."""
    def change(config):
        config["server"]["public_url"] = f"http://{config['server']['listen'][1]}"
        config["specs"] = [{"id": SERVER_IMAGE, "command": ["--port", "8000"], "working_dir": "/workspace/project",
                            "initial_env": {"OH_WEBHOOKS_0_FLUSH_DELAY": "0.5"}}]
    daemon = make_server(change).start()
    sdk = program("sdk")
    workspace = sdk.new("openhands.workspace.OpenHandsCloudWorkspace", cloud_api_url=f"http://{daemon.address}",
                        cloud_api_key=KEY)
    [sandbox] = daemon.everything(HEADERS)
    conversation = Conversation(sdk, workspace, llm.url(bridge))
    seen = Seen(daemon, sandbox, conversation.id, HEADERS)
    urls = {url["name"]: url for url in sandbox["exposed_urls"]}
    assert (urls["AGENT_SERVER"]["port"], urls["WORKER_1"]["port"]) == (8000, 8011)
    conversation.run("pwd")
    assert "/workspace/project" in seen.outputs()[0]
    serve_and_reach(conversation, seen, urls["WORKER_1"]["url"])
    conversation.begin("sleep 5.125 && echo sur''vived", "pwd")
    wait_until(lambda: len(seen.events()) and seen.status() == "running", what="the run")
    daemon.restart("kill")
    after = daemon.wait_status(sandbox["id"], "RUNNING", HEADERS)
    assert (after["session_api_key"], after["exposed_urls"]) == (sandbox["session_api_key"], sandbox["exposed_urls"])
    seen.wait_finished()
    assert "survived" in seen.outputs()[-2] and "/tmp/site" in seen.outputs()[-1]
    seen.wait_same_events()  # reported
    workspace.cleanup()
    assert not daemon.everything(HEADERS)


def test_the_sample_pair(make_daemon, make_docker, program, llm, bridge, engine):
    """etc/remote.yaml before etc/runtime-api.yaml: their image is this one, all else is as it is shipped but for what names
    the place."""
    far, near = make_docker(), make_daemon()
    texts = {name: Path(ROOT, "etc", f"{name}.yaml").read_text() for name in ("runtime-api", "remote")}
    image = re.search(r"^  - id: (\S+agent-server\S*)$", texts["remote"], re.M).group(1)
    assert f"  - id: {image}\n" in texts["runtime-api"]
    engine.tag(image, SERVER_IMAGE)

    def place(daemon, name, *changes):
        text = texts[name]
        for old, new in (("listen: [127.0.0.1:300", f"listen: [127.0.0.1:{free_port()}] # "),
                         ("state_dir: ", f"state_dir: {daemon.directory}/state # "), *changes):
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        daemon.write(text + "log: {level: debug}\n")  # what a program put out, where the test fails
        return daemon.start()

    place(far, "runtime-api", ("container_name_prefix: sandbox-far-",
                               f"host: {engine.host}\n      container_name_prefix: {far.prefix}"))
    place(near, "remote", ("api_url: http://127.0.0.1:3001/", f"api_url: http://{far.address}/"))
    sdk = program("sdk")
    workspace = sdk.new("openhands.workspace.OpenHandsCloudWorkspace", cloud_api_url=f"http://{near.address}",
                        cloud_api_key="none is asked for")
    [sandbox], [there] = near.everything(), far.everything()
    assert sandbox["status"] == there["status"] == "RUNNING" and url_of(sandbox) == url_of(there)
    conversation = Conversation(sdk, workspace, llm.url(bridge))
    seen = Seen(near, sandbox, conversation.id)
    serve_and_reach(conversation, seen, url_of(sandbox, "WORKER_1"))
    near.act("pause", sandbox["id"])
    near.wait_status(sandbox["id"], "PAUSED")
    assert engine.state(there["id"]) == "paused"
    workspace.resume()
    conversation.run("pwd")
    seen.wait_same_events()
    workspace.cleanup()
    wait_until(lambda: not far.everything() and not near.everything(), what="the sandbox gone from both")
    assert not json.loads(far.get("/runtime-api/list").body)["runtimes"]
