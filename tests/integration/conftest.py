"""Fixtures: a daemon that is running, and the means to make others; both are checked and cleaned up afterwards."""

import pytest

from harness import Daemon


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture
def make_daemon(request):
    """Makes daemons that are not started yet; `finish_headers` of each are those of an admin, where it has keys."""
    made = []

    def make(*arguments, **options):
        daemon = Daemon(*arguments, **options)
        daemon.finish_headers = None
        made.append(daemon)
        return daemon

    yield make
    failed = getattr(request.node, "report_call", None) is None or request.node.report_call.failed
    try:
        for daemon in made:
            if failed:
                print(f"---- the log of {daemon.directory}:\n{daemon.log()[-20000:]}")
            else:
                daemon.finish(daemon.finish_headers)
    finally:
        for daemon in made:
            daemon.discard()


@pytest.fixture
def daemon(make_daemon):
    return make_daemon().start()
