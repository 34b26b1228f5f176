"""The SDK's workspaces against process sandboxes that run the published agent server."""

import contextlib
import ctypes
import os
import re
from pathlib import Path

import pytest

from conversations import Conversation, Seen, url_of
from harness import MARK, ROOT, SLOWER, free_port, wait_until
from remote import agent_server_spec, inside, program_of

KEY = "key-of-the-sdks-user"
HEADERS = {"X-API-Key": KEY}
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000  # unshare(2), mount(2)


@pytest.fixture
def make_server(make_daemon):
    """Makes daemons whose sandboxes run the agent server; not started yet."""
    def make(change=lambda config: None):
        daemon = make_daemon()
        config = daemon.config
        config["server"]["listen"] = [f"127.0.0.1:{free_port()}"]  # the same one after a kill
        config["auth"] = {"keys": [{"user": "sdk", "key": KEY}]}
        config["runtime_api"] = {"enabled": True}
        config["events"] = {"polling_interval": "300ms"}
        daemon.local["startup_timeout"] = f"{120 * SLOWER}s"
        daemon.local["health_interval"] = "1s"
        config["specs"] = [agent_server_spec(initial_env={MARK: daemon.mark})]
        change(config)
        daemon.write()
        daemon.finish_headers = HEADERS
        return daemon
    return make


def cloud(sdk, daemon, **more):
    return sdk.new("openhands.workspace.OpenHandsCloudWorkspace", cloud_api_url=f"http://{daemon.address}",
                   cloud_api_key=KEY, **more)



def remote(sdk, daemon, **more):
    """With what it must be given, and no more."""
    return sdk.new("openhands.workspace.APIRemoteWorkspace", runtime_api_url=f"http://{daemon.address}/runtime-api",
                   runtime_api_key=KEY, server_image="agent-server", **more)


def one_sandbox(daemon):
    [sandbox] = daemon.everything(HEADERS)
    return sandbox


def commands_of(daemon):
    """What runs in its sandboxes."""
    found = []
    for pid in daemon.processes():
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
    return found


def wait_command(daemon, command):
    wait_until(lambda: command in commands_of(daemon), 60 * SLOWER, f"{command} among {commands_of(daemon)}")


def test_a_whole_conversation_over_the_app_api(make_server, program, llm):
    daemon = make_server().start()
    sdk = program("sdk")
    workspace = cloud(sdk, daemon)
    sandbox = one_sandbox(daemon)
    assert sandbox["status"] == "RUNNING" and workspace["host"] == url_of(sandbox)
    conversation = Conversation(sdk, workspace, llm.url())
    conversation.run("echo one-$((40 + 2))", "echo two-$((40 + 3))")
    seen = Seen(daemon, sandbox, conversation.id, HEADERS)
    first, second = seen.outputs()
    assert "one-42" in first and "two-43" in second
    seen.wait_same_events()  # polled
    workspace.cleanup()
    assert not daemon.everything(HEADERS)


def test_a_conversation_over_the_runtime_api_with_the_defaults(make_server, program, llm):
    """The client's command names a program that pip does not install, and its runtime class is one of containers: the
    spec says that they are not meant for it."""
    def webhooks(config):
        config["specs"][0]["own_command"] = "ignore"
        config["server"]["public_url"] = "http://" + config["server"]["listen"][0]
        config["specs"][0]["initial_env"].update(OH_WEBHOOKS_0_FLUSH_DELAY="0.5")
    daemon = make_server(webhooks).start()
    sdk = program("sdk")
    workspace = remote(sdk, daemon)
    sandbox = one_sandbox(daemon)
    conversation = Conversation(sdk, workspace, llm.url())
    conversation.run("echo $((40 + 2)) >note", "cat note")
    seen = Seen(daemon, sandbox, conversation.id, HEADERS)
    assert "42" in seen.outputs()[-1]
    seen.wait_same_events()  # reported
    workspace.pause()
    daemon.wait_status(sandbox["id"], "PAUSED", HEADERS)
    workspace.resume()
    conversation.run("cat note")
    assert "42" in seen.outputs()[-1]
    seen.wait_same_events()
    workspace.cleanup()
    wait_until(lambda: not daemon.everything(HEADERS), what="the sandbox gone")


def test_the_sample_of_agent_servers(make_daemon, program, llm):
    """etc/agent-server.yaml as it is shipped, but for its port; agent-server is in PATH, as after pip."""
    daemon = make_daemon()
    tools = daemon.directory / "bin"
    tools.mkdir()
    tool = tools / "agent-server"
    tool.write_text("#!/bin/sh\nexec " + " ".join(
        f"'{word}'" for word in inside(program_of("sdk", "agent-server"))) + ' "$@"\n')
    tool.chmod(0o755)
    daemon.env["PATH"] = f"{tools}:{daemon.env['PATH']}"
    text = Path(ROOT, "etc/agent-server.yaml").read_text()
    assert text.count("listen: [127.0.0.1:3001]") == 1
    daemon.sandboxes = daemon.directory / "sandboxd-agents/sandboxes"
    daemon.write(text.replace("listen: [127.0.0.1:3001]", f"listen: [127.0.0.1:{free_port()}]"))
    daemon.start()
    sdk = program("sdk")
    image = re.search(r"^  - id: (\S+)$", text, re.M).group(1)
    workspace = sdk.new("openhands.workspace.APIRemoteWorkspace", runtime_api_url=f"http://{daemon.address}/runtime-api",
                        runtime_api_key="any", server_image=image)
    [sandbox] = daemon.everything()
    conversation = Conversation(sdk, workspace, llm.url())
    conversation.run("echo $((40 + 2))")
    seen = Seen(daemon, sandbox, conversation.id)
    assert "42" in seen.outputs()[0]
    seen.wait_same_events()
    workspace.cleanup()
    wait_until(lambda: not daemon.everything(), what="the sandbox gone")


def hide_groups():
    """For the child alone, before it becomes the daemon: a machine, or a user, without control groups."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or libc.mount(
            b"none", b"/sys/fs/cgroup", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), "hiding the control groups")


@pytest.mark.parametrize("groups", [True, False], ids=["as it is", "without control groups"])
def test_pause_and_resume_amid_a_command(make_server, program, llm, groups):
    if not groups and os.geteuid():
        pytest.skip("hiding control groups needs root")
    daemon = make_server().start(**({} if groups else {"preexec_fn": hide_groups}))
    sdk = program("sdk")
    workspace = cloud(sdk, daemon)
    sandbox = one_sandbox(daemon)
    conversation = Conversation(sdk, workspace, llm.url())
    conversation.begin("sleep 7.125 && echo O''K || echo FAI''LED rc=$?")
    for _ in range(5):
        wait_command(daemon, "sleep 7.125")
        daemon.act("pause", sandbox["id"], HEADERS)
        daemon.wait_status(sandbox["id"], "PAUSED", HEADERS)
        workspace.resume()  # the client's own, which waits until the agent answers
    seen = Seen(daemon, sandbox, conversation.id, HEADERS)
    seen.wait_finished()
    [output] = seen.outputs()
    assert "OK" in output and "FAILED" not in output and "Stopped" not in output, output
    seen.wait_same_events()


def test_the_daemon_is_killed_amid_a_run(make_server, program, llm):
    daemon = make_server().start()
    sdk = program("sdk")
    workspace = cloud(sdk, daemon)
    sandbox = one_sandbox(daemon)
    conversation = Conversation(sdk, workspace, llm.url())
    conversation.begin("sleep 5.125 && echo sur''vived", "echo and-$((40 + 2))")
    wait_command(daemon, "sleep 5.125")
    daemon.restart("kill")
    after = daemon.wait_status(sandbox["id"], "RUNNING", HEADERS)
    assert (after["session_api_key"], url_of(after)) == (sandbox["session_api_key"], url_of(sandbox))
    seen = Seen(daemon, after, conversation.id, HEADERS)
    seen.wait_finished()
    first, second = seen.outputs()
    assert "survived" in first and "and-42" in second
    seen.wait_same_events()
    workspace.cleanup()
    assert not daemon.everything(HEADERS)
