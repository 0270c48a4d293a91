import pytest

from stitcherd.executors.base import ExecutorUnavailable
from stitcherd.executors.results import cannot_start
from stitcherd.processes import CannotStart, CannotStartNow


def test_a_program_that_cannot_be_started_fails_the_job() -> None:
    failure = cannot_start(CannotStart("agent cannot be started: there is no such program.")).failure
    assert failure is not None
    assert failure.code == "executor_cannot_start"


def test_a_program_that_this_machine_has_no_resources_for_is_started_later() -> None:
    with pytest.raises(ExecutorUnavailable, match="Too many open files"):
        cannot_start(CannotStartNow("agent cannot be started: Too many open files."))
