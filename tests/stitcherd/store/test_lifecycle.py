"""The table of transitions, and the diagram of it in the documentation."""

import re
from itertools import product
from pathlib import Path

import pytest

from shared.models import OPEN_STATUSES, Status
from stitcherd.store import lifecycle


@pytest.mark.parametrize(("before", "after"), [*product([None, *Status], Status)])
def test_a_transition_not_in_the_table_is_illegal(before: Status | None, after: Status) -> None:
    if after in lifecycle.NEXT[before]:
        lifecycle.check_transition(before, after)
    else:
        with pytest.raises(lifecycle.IllegalTransition):
            lifecycle.check_transition(before, after)


def test_the_rules_behind_the_table() -> None:
    assert set(lifecycle.NEXT) == {None, *Status}
    assert {before for before, after in lifecycle.NEXT.items() if Status.CANCELLED in after} == set(OPEN_STATUSES)
    assert [before for before, after in lifecycle.NEXT.items() if Status.RUNNING in after] == [Status.QUEUED]
    assert lifecycle.NEXT[Status.COMPLETED] == frozenset()


def test_the_documentation_shows_the_table() -> None:
    paper = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text("utf-8")
    shown = re.search(r"^#+ How a job moves$.*?^```text\n(.*?)\n```$", paper, re.DOTALL | re.MULTILINE)
    assert shown
    assert shown[1] == lifecycle.diagram()
