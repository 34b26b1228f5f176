"""What the tests of conversations and events share: sandboxes that run fake_agent.py, and reading what was stored."""

import http.client
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

from fake_agent import event_id
from harness import TIMEOUT, wait_until

FAKE_AGENT = Path(__file__).with_name("fake_agent.py")


def use_fake_agent(daemon):
    """Adds the spec of start_agent()."""
    daemon.add_spec("fake", command=[sys.executable, "-B", str(FAKE_AGENT), "--port", "{port}"])


class FakeAgent:
    """The fake agent in a sandbox, told what to do."""

    def __init__(self, sandbox):
        self.id, self.sandbox = sandbox["id"], sandbox
        self.port = urlsplit(sandbox["exposed_urls"][0]["url"]).port  # "port" is the one inside

    def control(self, **order):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        connection.request("POST", "/control", json.dumps(order))
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def has(self, conversation, events, **more):
        self.control(conversations={conversation: {"events": events, **more}})


class Reporter:
    """Reports as the agent server of a sandbox does; `older`: with the sandbox's id in the path."""

    def __init__(self, daemon, sandbox, older=False):
        self.daemon, self.sandbox = daemon, sandbox
        self.base = "/api/v1/webhooks" + (f"/{sandbox['id']}" if older else "")
        self.headers = {"X-Session-API-Key": sandbox["session_api_key"], "Content-Type": "application/json"}

    def events(self, conversation, body, **options):
        return self.daemon.post(f"{self.base}/events/{conversation}", body=body, headers=self.headers, **options)

    def conversation(self, body):
        return self.daemon.post(f"{self.base}/conversations", body=body, headers=self.headers)


def start_agent(daemon, **options):
    return FakeAgent(daemon.start_sandbox("fake", **options))


def pages(daemon, path):
    """Every item of a search, page by page."""
    items, page = [], ""
    while page is not None:
        answer = daemon.get(f"{path}&page_id={page}")
        assert answer.status == 200, answer
        items += answer.json()["items"]
        page = answer.json()["next_page_id"]
    return items


def stored_events(daemon, conversation):
    return pages(daemon, f"/api/v1/events/search?conversation_id__eq={conversation}")


def count(daemon, conversation=None):
    query = f"?conversation_id__eq={conversation}" if conversation else ""
    return daemon.get("/api/v1/events/count" + query).json()


def wait_count(daemon, wanted, conversation=None, timeout=TIMEOUT):
    wait_until(lambda: count(daemon, conversation) >= wanted, timeout,
               f"{wanted} events, but there are {count(daemon, conversation)}")
    assert count(daemon, conversation) == wanted


def check_events(daemon, conversation, events):
    """All of them are stored, each once, and in order."""
    found = stored_events(daemon, conversation)
    assert [event["id"] for event in found] == [event_id(conversation, number) for number in range(events)]


def metric(daemon, name, labels=""):
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(name) and labels in line:
            return int(line.rsplit(" ", 1)[1])
    return None
