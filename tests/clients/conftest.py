"""The fixtures of tests/integration/, and what the published packages need besides."""

import importlib.util
import sys
from pathlib import Path

import pytest

INTEGRATION = Path(__file__).resolve().parents[1] / "integration"
sys.path.insert(0, str(INTEGRATION))

# pylint: disable=wrong-import-position
from fake_llm import FakeLLM  # noqa: E402
from remote import ENVIRONMENTS, Program # noqa: E402


def pytest_configure(config):
    """Fixtures have one name: those of the integration tests are these tests' too."""
    spec = importlib.util.spec_from_file_location("integration_fixtures", INTEGRATION / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config.pluginmanager.register(module, "integration_fixtures")


@pytest.fixture
def program(request, make_daemon):  # in this order: programs clean up at daemons that still run
    """Starts programs that have the packages of an environment: program("sdk")."""
    made = []

    def make(name, env=None):
        if not ENVIRONMENTS[name]:
            pytest.skip("the published packages are there through run.sh only")
        made.append(Program(name, env))
        return made[-1]

    yield make
    failed = getattr(request.node, "report_call", None) is None or request.node.report_call.failed
    try:
        for one in made:
            if failed:
                print("---- what the program put out:", one.output()[-20000:], sep="\n")
            elif one.process.poll() is None:
                one.close()
    finally:
        for one in made:
            one.discard()


@pytest.fixture(scope="session")
def llm():
    with FakeLLM() as server:
        yield server
        server.shutdown()
