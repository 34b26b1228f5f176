"""The remote backend and a runtime API behind TLS: who it is is checked, HTTP/2 is spoken, and connections are kept."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tls_front import TlsFront


@pytest.fixture
def make_behind_tls(make_pair, proxies):
    """Makes a pair of daemons with a front between them, which speaks HTTP/2; `trusted`: the near one knows its CA."""
    def make(trusted):
        fronts = []

        def change(config):
            options = config["backends"]["far"]["options"]
            fronts.append(proxies.enter_context(TlsFront(options["api_url"].removesuffix("/runtime-api"), http2=True)))
            options["api_url"] = f"https://127.0.0.1:{fronts[0].port}/runtime-api"
            if trusted:
                options["tls"] = {"ca": str(fronts[0].ca)}
        return make_pair(change_near=change), fronts[0]
    return make


def test_a_life_over_http2_on_few_connections(make_behind_tls):
    pair, front = make_behind_tls(trusted=True)
    pair.live()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: pair.start(), range(10)))
    pair.delete_all()
    requests = front.requests()
    assert len(requests) >= 30 and {protocol for protocol, _, _ in requests} == {"HTTP/2.0"}, requests
    assert len({connection for _, connection, _ in requests}) <= 2, requests


def test_who_is_not_trusted_is_asked_nothing(make_behind_tls):
    pair, front = make_behind_tls(trusted=False)
    reason = pair.wait_lost()
    assert "certificate" in reason["message"], reason
    assert pair.near.get("/ready").status == 503
    assert front.requests() == []
