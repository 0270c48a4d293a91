"""A short form of `make faults`: after each fault nothing is lost, nothing has happened twice, and all goes on."""

from collections.abc import Callable

import pytest

from tests.faults import ends, storage, surroundings, whole_jobs
from tests.faults.under_load import NotTestedHere, Options, Row

SEED = 7  # `make faults` takes another one each time
SHORT = {
    "kill -9": ends.kills,
    "crash points": ends.crash_at_each_point,
    "signals": ends.signals,
    "publication": whole_jobs.crash_after_publish,
    "answer": whole_jobs.crash_after_answer,
    "full disk": storage.limits,
    "descriptors": surroundings.descriptors,
}
MARKS = {"full disk": pytest.mark.sqlite}


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, id=name, marks=MARKS.get(name, ())) for name, fault in SHORT.items()]
)
def test_nothing_is_lost_and_nothing_happens_twice(fault: Callable[[Options], list[Row]]) -> None:
    options = Options(seed=SEED, kills=6, scale=0.15, per_second=50.0)
    try:
        rows = fault(options)
    except NotTestedHere as reason:
        pytest.skip(f"NOT TESTED HERE: {reason}")
    assert [row for row in rows if not row.is_zero] == []
    assert sum(row.times for row in rows) > 0
    assert sum(row.acknowledged for row in rows) > 0
