"""Houses for the walks: one for a whole module, or as many as a test asks for."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness

BuildDaemon = Callable[..., DaemonHarness]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(str(item.config.rootpath / "tests" / "e2e")):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    """A running daemon that the tests of a module share."""
    built = DaemonHarness()
    try:
        built.start()
        yield built
    finally:
        built.remove()


@pytest.fixture
def build(request: pytest.FixtureRequest) -> Iterator[BuildDaemon]:
    """Build daemons of one's own, which are not started yet."""
    daemons: list[DaemonHarness] = []
    request.node.stash[BUILT] = daemons

    def build(**options: Any) -> DaemonHarness:
        daemons.append(DaemonHarness(**options))
        return daemons[-1]

    yield build
    for each in daemons:
        each.remove()


BUILT = pytest.StashKey[list[DaemonHarness]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemons of a failed test logged."""
    report = yield
    shared = getattr(item, "funcargs", {}).get("daemon")
    if report.failed:
        for each in [*([shared] if shared else []), *item.stash.get(BUILT, [])]:
            report.sections.append((f"log of {each.root}", each.log_tail()))
    return report
