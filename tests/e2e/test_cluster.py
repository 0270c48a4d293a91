"""Two daemons and four workers on one PostgreSQL database: short forms of what `make faults` does with them."""

import pytest

from tests.faults.cluster import clusters
from tests.faults.shared_limits import shared_limits
from tests.faults.under_load import Options

pytestmark = pytest.mark.postgres


def test_they_survive_their_ends_and_those_of_the_server() -> None:
    [row] = clusters(Options(seed=7, kills=6, per_second=10.0))
    assert row.is_zero, row
    assert row.acknowledged > 0


def test_limits_are_exact_for_all_of_them_together() -> None:
    rows = shared_limits(Options(seed=7, kills=2, scale=0.1))
    assert [row for row in rows if not row.is_zero] == []
    assert [row.acknowledged for row in rows] == [10, 24, 12]
