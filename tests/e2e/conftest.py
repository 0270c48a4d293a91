"""Daemons for the end-to-end tests: one shared by a module, or as many as a test needs."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness
from tests.stitcherd.executors.openclaw.threaded_gateway import ThreadedGateway

BuildDaemon = Callable[..., DaemonHarness]

LONGEST = ("test_packages.py", "test_listeners.py", "test_notifications.py", "test_nasty_programs.py", "test_faults.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(str(item.config.rootpath / "tests" / "e2e")):
            item.add_marker(pytest.mark.e2e)
            # The daemons are processes of their own: only the servers and clients of tests can leave a connection to
            # the garbage collector here, which would fail whichever test runs then.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed (transport|<socket):ResourceWarning"))
    # Begun last, a test of half a minute would run alone at the end.
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    """A running daemon that the tests of a module share."""
    with DaemonHarness() as built:
        built.start()
        yield built


@pytest.fixture
def build(request: pytest.FixtureRequest) -> Iterator[BuildDaemon]:
    """Returns a function that creates daemons for one test; they are not started yet."""
    daemons: list[DaemonHarness] = []
    request.node.stash[BUILT] = daemons

    def create(**options: Any) -> DaemonHarness:
        daemons.append(DaemonHarness(**options))
        return daemons[-1]

    yield create
    for each in daemons:
        each.remove()


@pytest.fixture
def gateway() -> Iterator[ThreadedGateway]:
    """A fake OpenClaw gateway that processes can connect to."""
    threaded = ThreadedGateway()
    yield threaded
    threaded.close()


BUILT = pytest.StashKey[list[DaemonHarness]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of the daemons to the report of a failed test."""
    report = yield
    shared = getattr(item, "funcargs", {}).get("daemon")
    if report.failed:
        for each in [*([shared] if shared else []), *item.stash.get(BUILT, [])]:
            report.sections.append((f"log of {each.root}", each.log_tail()))
    return report
