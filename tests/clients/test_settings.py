"""What the SDK asks of its user's settings: the model, secrets, MCP servers; and an agent that uses them."""

import pytest

from conversations import Conversation, Seen, ask
from harness import SLOWER
from remote import Raised, agent_server_spec

KEYS = {"ann": "key-of-the-sdks-user", "bob": "key-of-another-user-1"}
HEADERS = {user: {"X-API-Key": key} for user, key in KEYS.items()}
SECRET = "what-nobody-else-may-read"
MODEL_KEY = "key-of-the-model"


@pytest.fixture
def settings_daemon(make_daemon, llm):
    """Not started yet."""
    daemon = make_daemon(env={"THE_SECRET": SECRET, "THE_MODEL_KEY": MODEL_KEY})
    daemon.config["auth"] = {"keys": [{"user": user, "key": key} for user, key in KEYS.items()]}
    daemon.config["secrets"] = [
        {"name": "BUILD_TOKEN", "value": "${THE_SECRET}", "description": "for builds", "users": ["ann"]},
        {"name": "OTHER", "value": "of-another", "users": ["bob"]}]
    daemon.config["llms"] = [{"model": "openai/scripted", "api_key": "${THE_MODEL_KEY}", "base_url": llm.url(),
                              "users": ["ann"]}]
    daemon.finish_headers = HEADERS["ann"]
    return daemon


def workspace_of(sdk, daemon, user="ann", **more):
    return sdk.new("openhands.workspace.OpenHandsCloudWorkspace", cloud_api_url=f"http://{daemon.address}",
                   cloud_api_key=KEYS[user], **more)


def text_of(sdk, held):
    return sdk.new("builtins.str", held)


def test_settings_are_the_users(settings_daemon, program):
    """The sandboxes' program is the tests' agent here: the SDK asks it for its health alone."""
    settings_daemon.write()
    daemon = settings_daemon.start()
    sdk = program("sdk")
    anns, bobs = workspace_of(sdk, daemon), workspace_of(sdk, daemon, "bob")
    model = anns.get_llm()
    assert (model["model"], model["api_key"].get_secret_value()) == ("openai/scripted", MODEL_KEY)
    assert anns.get_llm(model="openai/another")["model"] == "openai/another"
    with pytest.raises(Raised, match="FileNotFoundError"):
        anns.get_llm(profile_name="nosuch")
    assert anns.get_mcp_config() == {} and bobs.get_mcp_config() == {}
    for workspace, names in ((anns, {"BUILD_TOKEN"}), (bobs, {"OTHER"})):
        secrets = workspace.get_secrets()
        assert {name for name in ("BUILD_TOKEN", "OTHER") if name in text_of(sdk, secrets)} == names
    assert anns.get_secrets(names=[]) == {}
    [sandbox] = daemon.everything(HEADERS["ann"])
    path = f"http://{daemon.address}/api/v1/sandboxes/{sandbox['id']}/settings/secrets/BUILD_TOKEN"
    assert ask(path, "", sandbox["session_api_key"]) == (200, SECRET)
    [other] = daemon.everything(HEADERS["bob"])
    assert ask(path, "", other["session_api_key"])[0] == 403
    assert ask(path, "")[0] == 401
    bobs.cleanup()
    anns.cleanup()
    assert SECRET not in daemon.log() and MODEL_KEY not in daemon.log()


def test_an_agent_uses_them(settings_daemon, program, llm):
    settings_daemon.local.update(startup_timeout=f"{120 * SLOWER}s", health_interval="1s")
    settings_daemon.config["specs"] = [agent_server_spec()]
    settings_daemon.config["events"] = {"polling_interval": "300ms"}
    settings_daemon.write()
    daemon = settings_daemon.start()
    sdk = program("sdk")
    workspace = workspace_of(sdk, daemon)
    [sandbox] = daemon.everything(HEADERS["ann"])
    conversation = Conversation(sdk, workspace, llm=workspace.get_llm())
    conversation.held.update_secrets(workspace.get_secrets())
    before = len(llm.authorizations)
    conversation.run("echo length=${#BUILD_TOKEN} value=$BUILD_TOKEN")
    assert set(llm.authorizations[before:]) == {f"Bearer {MODEL_KEY}"}
    seen = Seen(daemon, sandbox, conversation.id, HEADERS["ann"])
    [output] = seen.outputs()
    assert f"length={len(SECRET)} value=" in output and SECRET not in output
    seen.wait_same_events()
    assert not any(SECRET in str(event) for event in seen.stored())
    workspace.cleanup()
