"""Settings of all tests: the store that they use, and what Hypothesis tries.

Hypothesis tries the same examples in every run, so that results are reproducible.
STITCHER_EXPLORE=1 make test        tries other examples, and keeps failing ones in .hypothesis
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import stores

# How long an example takes depends on what else the machine does, and decides no test.
exploring = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("exploring", exploring)
settings.register_profile("reproducible", exploring, derandomize=True)
settings.load_profile("exploring" if os.environ.get("STITCHER_EXPLORE") else "reproducible")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=stores.KINDS, default=stores.KINDS[0], help="the database of the tests' stores")


def pytest_configure(config: pytest.Config) -> None:
    stores.kind = config.getoption("--store")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = [kind for kind in stores.KINDS if kind != config.getoption("--store")]
    items[:] = [item for item in items if not any(item.get_closest_marker(kind) for kind in others)]


def pytest_unconfigure() -> None:
    stores.remove_cluster()


@pytest.fixture(autouse=True)
def forget_databases() -> Iterator[None]:
    with stores.forgetting_databases():
        yield
