"""The app server's RemoteSandboxService: whole lives in containers, each user's their own; and what it is refused where
sandboxes are processes of one host."""

import json

import pytest

from agent_image import SERVER_IMAGE, import_server_image
from conversations import Conversation, Seen, ask, url_of
from harness import SLOWER, wait_until
from remote import Name, Raised, agent_server_spec

KEYS = {"ann": "key-of-anns-app-server", "bob": "key-of-bobs-app-server"}
HEADERS = {user: {"X-API-Key": key} for user, key in KEYS.items()}
SANDBOX = "openhands.app_server.sandbox"
SERVICE = f"{SANDBOX}.remote_sandbox_service"
REPOSITORY, _, TAG = SERVER_IMAGE.partition(":")
IMAGE = {"AGENT_SERVER_IMAGE_REPOSITORY": REPOSITORY, "AGENT_SERVER_IMAGE_TAG": TAG}  # of its own default spec


class AppServer:
    """A RemoteSandboxService of a user, over a database of its own."""

    def __init__(self, app, daemon, user):
        engine = app.new("sqlalchemy.ext.asyncio.create_async_engine", "sqlite+aiosqlite://")
        session = app.new("sqlalchemy.ext.asyncio.AsyncSession", engine, expire_on_commit=False)
        session.connection().run_sync(Name(f"{SERVICE}.StoredRemoteSandbox.__table__.create"))
        specs = app.new(f"{SANDBOX}.preset_sandbox_spec_service.PresetSandboxSpecService",
                        app.new(f"{SANDBOX}.remote_sandbox_spec_service.get_default_sandbox_specs"))
        self.session, self.service = session, app.new(
            f"{SERVICE}.RemoteSandboxService", sandbox_spec_service=specs,
            api_url=f"http://{daemon.address}/runtime-api", api_key=KEYS[user], web_url=None, resource_factor=1,
            runtime_class=None, start_sandbox_timeout=120, max_num_sandboxes=10, db_session=session,
            user_context=app.new("openhands.app_server.user.specifiy_user_context.SpecifyUserContext", user_id=user),
            httpx_client=app.new("httpx.AsyncClient", timeout=15))

    def get(self, sandbox_id):
        return json.loads(self.service.get_sandbox(sandbox_id).model_dump_json())

    def start(self):
        return self.wait(self.service.start_sandbox()["id"], "RUNNING")

    def wait(self, sandbox_id, status):
        def seen():
            info = self.get(sandbox_id)
            return info["status"] == status and info
        return wait_until(seen, 120 * SLOWER, f"{status}, and not {self.get(sandbox_id)}")


def conversations_of(sandbox):
    status, body = ask(url_of(sandbox), "/api/conversations/search", sandbox["session_api_key"])
    assert status == 200, body
    return [conversation["id"] for conversation in json.loads(body)["items"]]


@pytest.fixture
def containers(make_docker, engine):
    import_server_image(engine)
    docker = make_docker()
    del docker.options["exposed_ports"]
    docker.backend.update(startup_timeout=f"{120 * SLOWER}s", health_interval="1s")
    docker.config.update(specs=[{"id": SERVER_IMAGE}], runtime_api={"enabled": True}, auth={"keys": [
        {"user": user, "key": key} for user, key in KEYS.items()]}, events={"polling_interval": "300ms"})
    docker.write()
    docker.finish_headers = HEADERS["ann"]
    return docker.start()


def test_whole_lives_in_containers(containers, program, llm, engine):
    app, sdk = program("app", IMAGE), program("sdk")
    anns, bobs = (AppServer(app, containers, user) for user in KEYS)
    ann, bob = anns.start(), bobs.start()
    workspace = sdk.new("openhands.sdk.Workspace", host=url_of(ann), api_key=ann["session_api_key"],
                        working_dir="/workspace/project")
    [address] = {network["Gateway"] for network in engine.inspect(
        containers.everything(HEADERS["ann"])[0]["id"])["NetworkSettings"]["Networks"].values()}
    conversation = Conversation(sdk, workspace, llm.url(address))
    conversation.run("echo $((40 + 2)) >note", "cat note")
    [there] = containers.everything(HEADERS["ann"])
    Seen(containers, there, conversation.id, HEADERS["ann"]).wait_same_events()
    assert conversations_of(ann) == [conversation.id] and not conversations_of(bob)
    assert ask(url_of(bob), "/api/conversations/search", ann["session_api_key"])[0] == 401
    assert {sandbox["id"] for sandbox in json.loads(anns.service.search_sandboxes().model_dump_json())["items"]} == {
        ann["id"]}

    assert anns.service.pause_sandbox(ann["id"]) is True
    anns.wait(ann["id"], "PAUSED")
    assert anns.service.resume_sandbox(ann["id"]) is True
    after = anns.wait(ann["id"], "RUNNING")
    assert after["session_api_key"] == ann["session_api_key"]
    assert conversations_of(after) == [conversation.id]
    for server, sandbox in (anns, ann), (bobs, bob):
        assert server.service.delete_sandbox(sandbox["id"]) is True
        server.session.close()
    wait_until(lambda: not containers.containers(), what="no containers")


@pytest.fixture
def processes(make_daemon):
    def start(**spec):
        daemon = make_daemon()
        daemon.config.update(specs=[agent_server_spec(SERVER_IMAGE, **spec)], runtime_api={
            "enabled": True, "own_commands": ["local"]}, auth={"keys": [
                {"user": user, "key": key} for user, key in KEYS.items()]})
        daemon.local["startup_timeout"] = f"{120 * SLOWER}s"
        daemon.write()
        daemon.finish_headers = HEADERS["ann"]
        return daemon.start()
    return start


def test_a_folder_of_the_host_is_refused(processes, program):
    """/workspace, where it begins its programs, would be one for the agents of all users of the host."""
    daemon = processes()
    anns = AppServer(program("app", IMAGE), daemon, "ann")
    with pytest.raises(Raised, match="SandboxError"):
        anns.service.start_sandbox()
    daemon.wait_log("working_dir.*/workspace.*shared_dirs")
    assert not daemon.leftovers()
    anns.session.close()


def test_processes_of_two_users_keep_their_conversations_apart(processes, program, llm):
    """The folders that it names are left out, and the spec's count."""
    daemon = processes(own_command="ignore", initial_env={"OH_CONVERSATIONS_PATH": "workspace/conversations",
                                                          "OH_BASH_EVENTS_DIR": "workspace/bash_events"})
    app, sdk = program("app", IMAGE), program("sdk")
    anns, bobs = (AppServer(app, daemon, user) for user in KEYS)
    ann, bob = anns.start(), bobs.start()
    workspace = sdk.new("openhands.sdk.Workspace", host=url_of(ann), api_key=ann["session_api_key"],
                        working_dir="workspace/project")
    conversation = Conversation(sdk, workspace, llm.url())
    conversation.run("echo hello")
    assert conversations_of(ann) == [conversation.id] and not conversations_of(bob)
    for server, sandbox in (anns, ann), (bobs, bob):
        assert server.service.delete_sandbox(sandbox["id"]) is True
        server.session.close()
    daemon.wait_clean()
