"""Ten thousand events of fifty agents, each of which reports them twice at once, in batches that overlap, in any order,
again and again, while the daemon is killed under them, and the callback fails, is down and comes back: each is stored
once, as it came, and told at least once, in the order in which it was stored."""

import contextlib
import http.client
import json
import random
import sqlite3
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agents import Reporter, start_agent, use_fake_agent
from callback_server import CallbackServer, told
from fake_agent import event
from harness import TIMEOUT, Client, free_port, wait_until

AGENTS, EVENTS, BATCH = 50, 200, 25
PROGRAMS = 5  # agents that report by themselves, from inside their sandboxes; for the others this program does it
KILLS = 9


class Agent:
    """Has the events of one conversation."""

    def __init__(self, daemon, number):
        self.program = start_agent(daemon) if number < PROGRAMS else None
        self.reporter = Reporter(daemon, self.program.sandbox if self.program else daemon.start_sandbox())
        self.chance = random.Random(number)
        conversation = uuid.UUID(int=self.chance.getrandbits(128), version=4)
        self.id = conversation.hex
        self.whose = self.reporter.sandbox["id"], self.id
        events = [event(str(conversation), n) for n in range(EVENTS)]
        self.texts = {e["id"]: json.dumps(e, separators=(" ,", " :  ")) for e in events}  # in the order of their times
        self.path = f"{self.reporter.base}/events/{self.id}"

    def batches(self):
        """All events in any order; with each batch some of those before come again, and one of its own comes twice."""
        texts = self.chance.sample(list(self.texts.values()), EVENTS)
        for begin in range(0, EVENTS, BATCH):
            batch = texts[begin:begin + BATCH] + texts[begin:begin + 1]
            batch += self.chance.sample(texts[:begin], min(begin, 5))
            yield "[" + ",".join(self.chance.sample(batch, len(batch))) + "]"

    def report(self, batches, taken):
        """One after the other, each again until it is taken."""
        if self.program:
            self.program.control(report={"conversation": self.id, "batches": batches})
        for batch in batches:
            while not self.program and not self.is_taken(batch):
                pass
            taken()

    def is_taken(self, batch):
        try:
            with Client(self.reporter.daemon.address, timeout=TIMEOUT) as client:
                answer = client.post(self.path, body=batch, headers=self.reporter.headers)
        except (OSError, http.client.HTTPException):
            return False  # it was killed
        assert answer.status in (200, 503), answer
        return answer.status == 200

    def check_stored(self, daemon):
        """A search finds each of them once, as it was sent."""
        texts, page = list(self.texts.values()), ""
        while texts:
            answer = daemon.get(f"/api/v1/events/search?conversation_id__eq={self.id}&page_id={page}")
            page = answer.json()["next_page_id"]
            assert answer.text.startswith('{"items":[' + ",".join(texts[:100]) + '],"next'), answer
            del texts[:100]
        assert page is None

    def check_told(self, messages, stored):
        """Each came, as it was sent, and in the order in which it was stored."""
        assert told(messages)[self.whose] == stored
        for message in messages:
            assert message.body.decode() == "[" + ",".join(self.texts[e["id"]] for e in message.events) + "]"


class Callback:
    """One that does not take some of the messages, and may be down."""

    def __init__(self):
        self.port, self.server, self.messages = free_port(), None, []

    def up(self):
        failures = {20: 500, 25: "close"}
        self.server = CallbackServer("their secret", self.port, lambda n: failures.get(n, 200))

    def down(self):
        self.server.stop()
        assert not self.server.wrong
        self.messages += self.server.taken
        self.server = None

    def total(self):
        return sum(map(len, told(self.messages + self.server.taken).values()))


def stored_order(daemon):
    """Of each conversation the ids of its events, in the order of the store, in which no number is left out."""
    found = {}
    with contextlib.closing(sqlite3.connect(Path(daemon.config["state_dir"], "sandboxd.db"))) as database:
        rows = database.execute("SELECT seq, sandbox_id, conversation_id, id FROM events ORDER BY seq").fetchall()
    assert [row[0] for row in rows] == list(range(1, AGENTS * EVENTS + 1))
    for _, sandbox, conversation, one in rows:
        found.setdefault((sandbox, conversation), []).append(str(uuid.UUID(one)))
    return found


def report_under_kills(daemon, agents, callback):
    """All of them at once; the daemon is killed each time that so many more reports were taken."""
    posts, lock = [2 * AGENTS * EVENTS // BATCH], threading.Lock()

    def taken():
        with lock:
            posts[0] -= 1

    with ThreadPoolExecutor(2 * AGENTS) as pool:
        steps = [posts[0] * n // (KILLS + 1) for n in range(KILLS, 0, -1)]
        jobs = [pool.submit(agent.report, list(agent.batches()), taken) for agent in agents for _ in range(2)]
        for number, left in enumerate(steps):
            wait_until(lambda wanted=left: posts[0] <= wanted or any(job.done() and job.exception() for job in jobs))
            daemon.kill()
            if number == 3:
                callback.down()
            if number == 6:
                callback.up()
            daemon.start()
        for job in jobs:
            job.result()


def test_each_is_stored_once_and_told_in_order(make_daemon):
    callback = Callback()
    callback.up()
    daemon = make_daemon()
    use_fake_agent(daemon)
    port = free_port()
    daemon.config["server"] = {"listen": [f"127.0.0.1:{port}"], "public_url": f"http://127.0.0.1:{port}"}
    daemon.config["events"] = {"callbacks": [callback.server.config]}
    daemon.config["log"]["level"] = "info"
    daemon.write()
    daemon.start()
    with ThreadPoolExecutor(8) as pool:
        agents = list(pool.map(lambda number: Agent(daemon, number), range(AGENTS)))
    report_under_kills(daemon, agents, callback)
    assert daemon.get("/api/v1/events/count").json() == AGENTS * EVENTS
    for agent in agents:
        agent.check_stored(daemon)
    wait_until(lambda: callback.total() == AGENTS * EVENTS, what="all told")
    callback.down()
    daemon.stop()
    stored = stored_order(daemon)
    by_agent = {agent.whose: [] for agent in agents}
    for message in callback.messages:
        by_agent[message.sandbox, message.conversation].append(message)
    for agent in agents:
        assert sorted(stored[agent.whose]) == sorted(agent.texts)
        agent.check_told(by_agent[agent.whose], stored[agent.whose])
    daemon.start()  # which ends the sandboxes
