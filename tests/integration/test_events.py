"""What agents report over webhooks: stored once each, kept as it came, read by their owners, over crashes."""

import json
import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from agents import Reporter
from harness import AGENT, free_port, wait_until

KEYS = {user: f"{user}-secret-key-00001" for user in ("ann", "bob", "ops")}
ANN, BOB, OPS = ({"X-API-Key": KEYS[user]} for user in ("ann", "bob", "ops"))


def event(number, kind="MessageEvent", **more):
    """Its text with blanks that no library would write."""
    body = {"id": str(uuid.uuid4()), "timestamp": f"2026-01-02T03:{number // 60 % 60:02}:{number % 60:02}.000001",
            "source": "agent", "kind": kind, "number": number, **more}
    return json.dumps(body, separators=(" ,", " :  "))


def array(texts):
    return "[" + ",\n".join(texts) + "]"


def ok(response):
    assert response.status == 200 and response.json() == {"success": True}, response


def all_events(daemon, query="", headers=None):
    """Every event that a search finds, page by page."""
    page, items = "", []
    while page is not None:
        answer = daemon.get(f"/api/v1/events/search?{query}&page_id={page}", headers=headers)
        assert answer.status == 200, answer
        items += answer.json()["items"]
        page = answer.json()["next_page_id"]
    return items


def metric(daemon, name, headers=None):
    for line in daemon.get("/metrics", headers=headers).text.splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    raise AssertionError(f"no {name}")


@pytest.mark.parametrize("older", [False, True])
def test_a_report_is_kept_as_it_came(daemon, older):
    agent = Reporter(daemon, daemon.start_sandbox(), older)
    conversation = uuid.uuid4()
    texts = [event(1), event(2, text="\u00e4 \\u0000 ]}"), event(3, large=10 ** 40)]
    text = '{"title" : null, "id":"%s",  "n":1.50}' % conversation
    ok(agent.conversation(text))
    ok(agent.events(conversation.hex, array(texts).encode()))
    ok(agent.events(conversation, array(texts[:2]).encode()))  # again, and the id with dashes
    body = daemon.get(f"/api/v1/events/search?conversation_id__eq={conversation}").text
    assert body == '{"items":[' + ",".join(texts) + '],"next_page_id":null}'
    assert daemon.get("/api/v1/conversations/search").text == '{"items":[' + text + '],"next_page_id":null}'
    newer = text.replace("null", '"It"')
    ok(agent.conversation(newer))
    assert daemon.get("/api/v1/conversations/search").json()["items"] == [json.loads(newer)]
    assert metric(daemon, "sandboxd_events_stored_total") == 3
    assert metric(daemon, "sandboxd_events_duplicates_total") == 2
    assert metric(daemon, "sandboxd_conversation_reports_total") == 2


def test_filters_order_pages_count_and_batch(daemon):
    agent = Reporter(daemon, daemon.start_sandbox())
    one, two = uuid.uuid4().hex, uuid.uuid4().hex
    texts = [event(n, kind="Odd" if n % 2 else "Even") for n in range(250)]
    shuffled = random.Random(1).sample(texts, len(texts))
    for begin in range(0, 250, 50):
        ok(agent.events(one, array(shuffled[begin:begin + 50])))
    ok(agent.events(two, array([event(500), event(7)])))
    mine = f"conversation_id__eq={one}"
    events = [json.loads(text) for text in texts]
    assert all_events(daemon, mine) == events
    assert all_events(daemon, mine + "&sort_order=TIMESTAMP_DESC&limit=7") == events[::-1]
    assert all_events(daemon, mine + "&kind__eq=Odd&limit=99") == events[1::2]
    since, until = quote(events[10]["timestamp"]), quote(events[20]["timestamp"] + "Z")
    assert all_events(daemon, f"{mine}&timestamp__gte={since}&timestamp__lt={until}") == events[10:20]
    assert len(all_events(daemon)) == 252
    for query, count in (("", 252), (mine, 250), (mine + "&kind__eq=Even", 125), (f"{mine}&timestamp__gte={since}", 240),
                         (f"conversation_id__eq={two}", 2), ("kind__eq=None", 0)):
        answer = daemon.get("/api/v1/events/count?" + query)
        assert answer.text == str(count) and answer.headers["Content-Type"] == "application/json", (query, answer)
    wanted = [events[5]["id"], "nothing", uuid.UUID(events[3]["id"]).hex]
    answer = daemon.get("/api/v1/events?" + "&".join(f"id={one}" for one in wanted))
    assert answer.json() == [events[5], None, events[3]]
    assert daemon.get("/api/v1/events?" + "&".join(["id=x"] * 101)).status == 400


def test_conversations_are_paged_newest_first(daemon):
    agent = Reporter(daemon, daemon.start_sandbox())
    ids = [str(uuid.uuid4()) for _ in range(5)]
    for one in ids:
        ok(agent.conversation(json.dumps({"id": one})))
    page, found = "", []
    while page is not None:
        answer = daemon.get(f"/api/v1/conversations/search?limit=2&page_id={page}").json()
        found += [item["id"] for item in answer["items"]]
        page = answer["next_page_id"]
    assert found == ids[::-1]
    other = daemon.start_sandbox()
    ok(Reporter(daemon, other).conversation('{"id":"%s"}' % uuid.uuid4()))

    def count(sandbox):
        return len(daemon.get(f"/api/v1/conversations/search?sandbox_id__eq={sandbox}").json()["items"])
    assert [count(agent.sandbox["id"]), count(other["id"]), count("nobody")] == [5, 1, 0]


def test_only_the_sandboxs_own_key_is_taken(daemon):
    one, two = daemon.start_sandbox(), daemon.start_sandbox()
    conversation = uuid.uuid4().hex
    for path in f"/api/v1/webhooks/events/{conversation}", "/api/v1/webhooks/conversations":
        answer = daemon.post(path, body="[]")
        assert answer.status == 401 and answer.json()["detail"] == "X-Session-API-Key header is required"
        answer = daemon.post(path, body="[]", headers={"X-Session-API-Key": "wrong"})
        assert answer.status == 401 and answer.json()["detail"] == "Invalid session API key"
    answer = daemon.post(f"/api/v1/webhooks/{one['id']}/events/{conversation}", body="[]",
                         headers={"X-Session-API-Key": two["session_api_key"]})
    assert answer.status == 401
    daemon.act("pause", one["id"])
    ok(Reporter(daemon, one).events(conversation, array([event(1)])))  # what it still had to say
    daemon.remove_sandbox(one["id"])
    wait_until(lambda: Reporter(daemon, one).events(conversation, "[]").status == 401, what="its key is good for nothing")


def test_last_events_are_taken_while_a_sandbox_is_being_deleted(daemon):
    """As agent servers send them when they are told to end; this one takes its time for that."""
    daemon.add_spec("deaf", command=[str(AGENT), "--ignore-term", "--port", "{port}"])
    daemon.write()
    daemon.reload()
    sandbox = daemon.start_sandbox("deaf")
    conversation = uuid.uuid4().hex
    daemon.remove_sandbox(sandbox["id"])
    ok(Reporter(daemon, sandbox).events(conversation, array([event(1)])))
    assert daemon.get("/api/v1/sandbox", headers={"X-Session-API-Key": sandbox["session_api_key"]}).status == 401
    assert len(all_events(daemon, f"conversation_id__eq={conversation}")) == 1
    wait_until(lambda: Reporter(daemon, sandbox).events(conversation, "[]").status == 401, what="the end of its program")
    assert len(all_events(daemon)) == 1  # stays until its retention is over


def test_one_wrong_event_does_not_hold_up_its_batch(daemon):
    """The agent server sends a batch again, before all that follows, until the answer is a success."""
    agent = Reporter(daemon, daemon.start_sandbox())
    conversation = uuid.uuid4().hex
    begin = len(daemon.log())
    batch = f'[{event(1)},{{"kind":"no id"}},5,{event(2)}]'
    for _ in range(2):  # one line in the log for both
        answer = agent.events(conversation, batch)
        assert answer.status == 200, answer
        assert answer.json() == {"success": True, "rejected_count": 2, "rejected": [
            {"index": 1, "member": "id", "msg": "must be there, and be a text of 1 to 127 bytes"},
            {"index": 2, "member": None, "msg": "must be an event: an object"}]}
    assert [item["number"] for item in all_events(daemon)] == [1, 2]
    assert metric(daemon, "sandboxd_events_rejected_total") == 4
    assert metric(daemon, "sandboxd_reports_refused_total") == 0
    assert daemon.log(begin).count("2 of its 4 events are none") == 1


def test_wrong_and_large_reports_are_told(daemon):
    agent = Reporter(daemon, daemon.start_sandbox())
    conversation = uuid.uuid4().hex
    for body, where in (("[", ["body"]), ("{}", ["body"]), ('[{},5]', ["body", 0, "id"]),
                        ('[{"id":"2","kind":5}]', ["body", 0, "kind"]), ("", ["body"])):
        answer = agent.events(conversation, body)
        assert answer.status == 422 and answer.json()["detail"][0]["loc"] == where, (body, answer)
    answer = agent.conversation('{"id":"me"}')
    assert answer.status == 422 and answer.json()["detail"][0]["loc"] == ["body", "id"]
    assert agent.events("short", "[]").json()["detail"][0]["loc"] == ["path", "conversation_id"]
    assert all_events(daemon) == [] and metric(daemon, "sandboxd_reports_refused_total") == 6
    large = event(1, text="x" * (5 * 1024 * 1024 - 300))  # over server.max_body, and within what webhooks take
    ok(agent.events(conversation, array([large])))
    assert agent.events(conversation, array([event(2, text="x" * 5 * 1024 * 1024)])).status == 413
    assert [item["number"] for item in all_events(daemon)] == [1]


def test_owners_see_their_own_and_an_admin_all(make_daemon):
    daemon = make_daemon()
    daemon.config["auth"] = {"keys": [{"user": user, "key": key, "role": "admin" if user == "ops" else "user"}
                                      for user, key in KEYS.items()]}
    daemon.write()
    daemon.finish_headers = OPS
    daemon.start()
    agents = [Reporter(daemon, daemon.start_sandbox(headers=headers)) for headers in (ANN, BOB)]
    conversation, same = uuid.uuid4().hex, event(1)
    for n, agent in enumerate(agents):  # both say that the conversation, and the event, is theirs
        ok(agent.events(conversation, array([same, event(n + 2)])))
        ok(agent.conversation(json.dumps({"id": conversation, "of": n})))
    for n, headers in enumerate((ANN, BOB)):
        for query in "", f"conversation_id__eq={conversation}":
            assert [item["number"] for item in all_events(daemon, query, headers)] == [1, n + 2]
            assert daemon.get("/api/v1/events/count?" + query, headers=headers).json() == 2
        assert [c["of"] for c in daemon.get("/api/v1/conversations/search", headers=headers).json()["items"]] == [n]
    theirs = json.loads(same)["id"]
    assert daemon.get(f"/api/v1/events?id={theirs}", headers=ANN).json() == [json.loads(same)]
    assert len(all_events(daemon, headers=OPS)) == 4
    for path in "/api/v1/events/search", "/api/v1/events/count", "/api/v1/events?id=x", "/api/v1/conversations/search":
        assert daemon.get(path).status == 401


def test_what_one_sandbox_may_store_is_bounded(make_daemon):
    daemon = make_daemon(lambda config: config.update(events={"max_per_sandbox": "1MiB"})).start()
    hostile, other = (Reporter(daemon, daemon.start_sandbox()) for _ in range(2))
    conversation = uuid.uuid4().hex
    assert hostile.events(conversation, array([event(1, text="x" * 2000000)])).status == 429
    ok(hostile.events(conversation, array([event(2, text="x" * 1000000)])))
    answer = hostile.events(conversation, array([event(3, text="x" * 100000)]))
    assert answer.status == 429 and "events.max_per_sandbox" in answer.json()["detail"]
    ok(other.events(conversation, array([event(4, text="x" * 1000000)])))
    assert [item["number"] for item in all_events(daemon)] == [2, 4]
    daemon.wait_log("events.max_per_sandbox")


def test_what_was_answered_is_there_once_after_kills(make_daemon):
    """Agents report the same events over and over, in any order, while the daemon is killed under them."""
    daemon = make_daemon()
    daemon.config["server"]["listen"] = [f"127.0.0.1:{free_port()}"]
    daemon.write()
    daemon.start()
    sandboxes = [daemon.start_sandbox() for _ in range(3)]
    conversations = {sandbox["id"]: uuid.uuid4().hex for sandbox in sandboxes}
    stored, over = set(), threading.Event()

    def report(number):
        sandbox, chance = sandboxes[number % 3], random.Random(number)
        texts = [event(n) for n in range(200)]
        while not over.is_set():
            some = chance.sample(texts, 20)
            try:
                answer = Reporter(daemon, sandbox).events(conversations[sandbox["id"]], array(some))
            except OSError:
                continue
            except Exception as problem:  # http.client: the answer was cut off
                assert "http.client" in type(problem).__module__, problem
                continue
            if answer.status == 200:
                stored.update(json.loads(text)["id"] for text in some)

    with ThreadPoolExecutor(6) as pool:
        agents = [pool.submit(report, number) for number in range(6)]
        try:
            for _ in range(5):
                enough = min(len(stored) + 40, 1200)  # each agent reports 200
                wait_until(lambda wanted=enough: len(stored) >= wanted, what="reports that were answered")
                daemon.kill()
                daemon.start()
        finally:
            over.set()
        for agent in agents:
            agent.result()
    found = [item["id"] for item in all_events(daemon)]
    assert len(found) == len(set(found)) and stored <= set(found)
    assert daemon.get("/api/v1/events/count").json() == len(found)
