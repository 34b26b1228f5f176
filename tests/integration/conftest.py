"""Fixtures: a daemon that is running, and the means to make others; both are checked and cleaned up afterwards."""

import contextlib

import pytest

from daemon_pair import Pair
from docker_engine import DockerDaemon, Engine
from docker_proxy import Proxy
from harness import Daemon

SKIPPED = 77


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """A file of which nothing could be run is skipped, for CTest too: never passed."""
    stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
    if exitstatus == 0 and stats.get("skipped") and not stats.get("passed"):
        session.exitstatus = SKIPPED


@pytest.fixture
def make_daemon(request):
    """Makes daemons that are not started yet; `finish_headers` of each are those of an admin, where it has keys."""
    made = []

    def make(*arguments, kind=Daemon, **options):
        daemon = kind(*arguments, **options)
        daemon.finish_headers = None
        made.append(daemon)
        return daemon

    yield make
    failed = getattr(request.node, "report_call", None) is None or request.node.report_call.failed
    try:
        for daemon in made:
            if failed:
                daemon.show_log()
            else:
                daemon.finish(daemon.finish_headers)
    finally:
        for daemon in made:
            daemon.discard()


@pytest.fixture
def daemon(make_daemon):
    return make_daemon().start()


# ---- two of them


@pytest.fixture
def proxies():
    """What is put in here ends after the daemons of a test."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def make_pair(proxies, make_daemon):  # in this order: what comes last ends first
    """Makes pairs of daemons."""
    def make(make_far=make_daemon, **options):
        near = make_daemon()  # it ends first, while the other one is there
        return Pair(near, make_far(), proxies, **options)
    return make


@pytest.fixture
def pair(make_pair):
    return make_pair()


# ---- with a Docker Engine: one for all tests of a file


@pytest.fixture(scope="session")
def session_engine():
    engine = Engine()
    yield engine
    engine.finish()


@pytest.fixture
def engine(session_engine):
    """It answers before and after each test, whatever that does to it."""
    yield session_engine
    session_engine.thaw()
    if session_engine.process.poll() is not None:
        session_engine.start()


@pytest.fixture
def make_docker(engine, proxy, make_daemon):  # in this order: what comes last ends first
    """Makes daemons with a docker backend."""
    return lambda *arguments, **options: make_daemon(engine, *arguments, kind=DockerDaemon, **options)


@pytest.fixture
def docker(make_docker):
    return make_docker().start()


@pytest.fixture
def proxy(engine):
    """Stands before the engine; a daemon's option `host` is to be its `host`."""
    with Proxy(engine.socket, engine.directory / "proxy.sock") as proxy:
        yield proxy
