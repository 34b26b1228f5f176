"""An agent server with conversations, as a program of its own: the tests run it in sandboxes of the process backend.

    fake_agent.py --port N

Without a key: GET /alive /health, and POST /control, whose body tells it what to do (the keys of `Agent.control`).
With X-Session-API-Key, as real ones: GET /api/conversations/search, /api/conversations/{id} and
/api/conversations/{id}/events/search, paged by page_id and next_page_id. Events are made up when they are asked for, so
there may be as many as one likes.
"""

import argparse
import http.client
import json
import os
import random
import time
import uuid
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEY = os.environ.get("SESSION_API_KEY", "")
BEGIN = datetime(2026, 1, 2, 3, 4, 5, 6)
WEBHOOKS = os.environ.get("OH_WEBHOOKS_0_BASE_URL", "")


def event_id(conversation, number):
    """Known to the tests, too."""
    return str(uuid.uuid5(uuid.UUID(conversation), str(number)))


def event(conversation, number, size=0):
    return {"id": event_id(conversation, number), "timestamp": (BEGIN + timedelta(seconds=number)).isoformat(),
            "source": "agent", "kind": "MessageEvent", "number": number, **({"text": "x" * size} if size else {})}


class Agent:
    """Its conversations, and how it misbehaves."""

    def __init__(self):
        # id as it is listed: {"events": how many, "size": bytes more of each, "title", "updated_at"}
        self.conversations = {}
        self.mode = None
        self.asked = []  # targets of the searches

    def control(self, order):
        for name, value in order.get("conversations", {}).items():
            if value is None:
                del self.conversations[name]
            else:
                conversation = self.conversations.setdefault(name, {"events": 0, "size": 0, "title": ""})
                conversation.update(value, updated_at=datetime.now().isoformat())
        if "mode" in order:
            self.mode = order["mode"]
        if "report" in order:
            self.report(**order["report"])
        asked = self.asked
        if order.get("clear"):
            self.asked = []
        return {"asked": asked, "pid": os.getpid()}

    # ---- searches

    def page(self, items, query, reverse=False):
        """The page id is the place of its first item."""
        limit = int(query.get("limit", "100"))
        assert 0 < limit <= 100
        if reverse:
            items = items[::-1]
        begin = int(query["page_id"]) if query.get("page_id") else 0
        following = begin + limit
        return {"items": items[begin:following], "next_page_id": str(following) if following < len(items) else None}

    def search_conversations(self, query):
        return self.page([{"id": name, "title": c["title"], "created_at": BEGIN.isoformat(),
                           **({} if self.mode == "undated" else {"updated_at": c["updated_at"]})}
                          for name, c in self.conversations.items()], query)

    def search_events(self, name, query):
        conversation = self.conversations[name]
        numbers = range(conversation["events"])
        page = self.page(numbers, query, query.get("sort_order") == "TIMESTAMP_DESC")
        page["items"] = [event(name, number, conversation["size"]) for number in page["items"]]
        if self.mode == "strings":
            page["items"][1:1] = ["no event", 7, None, {"timestamp": "2026-01-01"}, {"id": 5}]
        if self.mode == "same_page":
            page["next_page_id"] = query.get("page_id", "0")
        if self.mode == "endless":
            page["next_page_id"] = str(random.randrange(1000))
            page["items"] = page["items"] or [event(name, 0)]
        return page

    # ---- reporting, as real ones do: one batch after the other, each again until it is taken

    def report(self, conversation, batches):
        for batch in batches:
            while not self.is_taken(f"/events/{conversation}", batch):
                time.sleep(0.1)

    @staticmethod
    def is_taken(path, body):
        base = urlsplit(WEBHOOKS)
        connection = http.client.HTTPConnection(base.hostname, base.port, timeout=30)
        try:
            connection.request("POST", base.path + path, body,
                               {"X-Session-API-Key": KEY, "Content-Type": "application/json"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False  # it is down
        finally:
            connection.close()


AGENT = Agent()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300

    def setup(self):
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY

    def log_message(self, *_):
        pass

    def answer(self, status, value, raw=None):
        body = raw if raw is not None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.answer(200, AGENT.control(json.loads(body)))

    def do_GET(self):
        target = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        parts = [part for part in target.path.split("/") if part]
        if parts in (["alive"], ["health"]):
            self.answer(200, {"status": "ok"})
            return
        if not KEY or self.headers.get("X-Session-API-Key") != KEY:
            self.answer(401, {"detail": "Invalid session API key"})
            return
        AGENT.asked.append(self.path)
        if AGENT.mode == "hang":
            time.sleep(3600)
        if AGENT.mode == "garbage":
            self.answer(200, None, b'{"items": [{"id": "\xff')
        elif AGENT.mode == "huge":
            self.answer(200, None, b'{"items": [' + b'"' + b"x" * (8 << 20) + b'"], "next_page_id": null}')
        elif AGENT.mode == "no_page":
            self.answer(200, {"items": {"a": 1}, "next_page_id": 7})
        elif parts == ["api", "conversations", "search"]:
            self.answer(200, AGENT.search_conversations(query))
        elif parts[:2] == ["api", "conversations"] and len(parts) > 2 and parts[2] in AGENT.conversations:
            if parts[3:] == ["events", "search"]:
                self.answer(200, AGENT.search_events(parts[2], query))
            else:
                self.answer(200, {"id": parts[2], "title": AGENT.conversations[parts[2]]["title"]})
        else:
            self.answer(404, {"detail": "Not Found"})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    Server(("127.0.0.1", arguments.parse_args().port), Handler).serve_forever()
