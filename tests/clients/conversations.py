"""A whole conversation with the SDK: an agent whose model is scripted, in a workspace; and what became of its events."""

import http.client
import json
from urllib.parse import urlsplit

from harness import SLOWER, wait_until


def url_of(sandbox, name="AGENT_SERVER"):
    """None: it has no such URL."""
    return next((url["url"].rstrip("/") for url in sandbox["exposed_urls"] or [] if url["name"] == name), None)


def ask(url, path="/", key=None):
    """GET, as somebody else than the SDK asks: status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname.replace("localhost", "127.0.0.1"), parts.port, timeout=20)
    try:
        connection.request("GET", parts.path + path, headers={"X-Session-API-Key": key} if key else {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Conversation:
    """One of a program; each instruction is a command that the agent runs in its terminal."""

    def __init__(self, sdk, workspace, llm_url=None, llm=None):
        llm = llm or sdk.new("openhands.sdk.LLM", model="openai/scripted", base_url=llm_url, api_key="key-of-the-model",
                             usage_id="agent", num_retries=0)
        agent = sdk.new("openhands.tools.preset.default.get_default_agent", llm=llm, cli_mode=True)
        self.held = sdk.new("openhands.sdk.Conversation", agent=agent, workspace=workspace)
        self.sdk = sdk
        self.id = sdk.new("builtins.str", self.held["id"])

    def say(self, *commands):
        self.held.send_message("\n".join(f"RUN {command}" for command in commands))

    def run(self, *commands):
        """Says so, and waits until the agent has done it."""
        self.say(*commands)
        self.held.run(timeout=120 * SLOWER)

    def begin(self, *commands):
        """Says so, and goes on."""
        self.say(*commands)
        self.held.run(blocking=False)


class Seen:
    """A conversation as the agent server of a sandbox has it, and as the daemon has it."""

    def __init__(self, daemon, sandbox, conversation_id, headers=None):
        self.daemon, self.sandbox, self.id, self.headers = daemon, sandbox, conversation_id, headers
        self.url, self.key = url_of(sandbox), sandbox["session_api_key"]

    def status(self):
        status, body = ask(self.url, f"/api/conversations/{self.id}", self.key)
        assert status == 200, body
        return json.loads(body)["execution_status"]

    def wait_finished(self):
        wait_until(lambda: self.status() in ("finished", "error", "stuck"), 120 * SLOWER, "the end of the conversation")
        assert self.status() == "finished"

    def events(self):
        """The agent server's own."""
        items, page = [], ""
        while page is not None:
            status, body = ask(self.url, f"/api/conversations/{self.id}/events/search?limit=100{page}", self.key)
            assert status == 200, body
            answer = json.loads(body)
            items += answer["items"]
            page = answer["next_page_id"] and f"&page_id={answer['next_page_id']}"
        return items

    def stored(self):
        """The daemon's."""
        items, page = [], ""
        while page is not None:
            answer = self.daemon.get(f"/api/v1/events/search?conversation_id__eq={self.id}&limit=100&page_id={page}",
                                     headers=self.headers)
            assert answer.status == 200, answer
            items += answer.json()["items"]
            page = answer.json()["next_page_id"]
        return items

    def outputs(self):
        """What the terminal said, command by command: the observations, each as one text."""
        return ["".join(part.get("text", "") for part in event["observation"]["content"])
                for event in self.events() if event["kind"] == "ObservationEvent"
                and event["tool_name"] == "terminal"]

    def wait_same_events(self):
        """The daemon comes to have each event that the agent server keeps, and none besides."""
        def differing():
            own, stored = ({event["id"]: without_null(event) for event in events}
                           for events in (self.events(), self.stored()))
            kinds = {event["kind"] for event in own.values()}
            assert {"MessageEvent", "ActionEvent", "ObservationEvent"} <= kinds, kinds
            return [difference(own.get(name), stored.get(name)) for name in own | stored
                    if own.get(name) != stored.get(name) and (name in own or stored[name]["kind"] != PASSING)]
        try:
            wait_until(lambda: not differing())
        except AssertionError:
            raise AssertionError("\n".join(differing())) from None


PASSING = "ConversationStateUpdateEvent"  # reported as it happens, and not kept by the agent server


def without_null(value):
    """The agent server reports members that are null, and leaves them out where it is asked."""
    if isinstance(value, dict):
        return {key: without_null(one) for key, one in value.items() if one is not None}
    return [without_null(one) for one in value] if isinstance(value, list) else value


def difference(own, stored):
    """Of one event, for messages."""
    if not own or not stored:
        return f"{(own or stored)['kind']}: {'the agent server' if own else 'the daemon'} alone has it"
    return f"{own['kind']}: " + ", ".join(
        f"{key} is {str(own.get(key))[:200]} there and {str(stored.get(key))[:200]} here"
        for key in own | stored if own.get(key) != stored.get(key))
