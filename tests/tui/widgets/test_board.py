"""The board: whatever happens to the daemon's list, the visible rows become the daemon's rows."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.api import JobPage
from shared.models import JobEvent
from tests.tui import documents
from tui.widgets.board import Board, PageRequest


def _event(type_: str, job_id: str | None, **payload: Any) -> JobEvent:
    return msgspec.convert({**documents.event(1, type_, None, **payload), "jobId": job_id}, JobEvent)


def _page(names: list[str], *, more: bool) -> JobPage:
    items = [documents.job(id=name) for name in names]
    document = {"items": items, "next": names[-1] if more else None, "cursor": 1, "counts": {"failed": len(names)}}
    return msgspec.convert(document, JobPage)


def _answer(truth: list[str], everything: list[str], ask: PageRequest) -> JobPage:
    """What the daemon says: `truth` are the ids that match, `everything` all there are, newest first."""
    older = everything[everything.index(ask.before) + 1 :] if ask.before else everything
    found = [name for name in truth if name in set(older)]
    return _page(found[: ask.limit], more=len(found) > ask.limit)


def _settle(board: Board, truth: list[str], everything: list[str], window: tuple[int, int]) -> int:
    for asked in range(20):
        ask = board.next_request(*window)
        if ask is None:
            return asked
        board.merge(ask, _answer(truth, everything, ask))
    raise AssertionError("the board never stops requesting pages")


def test_the_first_page_and_those_below() -> None:
    jobs = [f"{number:08}" for number in range(1000, 0, -1)]
    board = Board()
    assert board.next_request(0, 30) == PageRequest(None, 200)
    assert _settle(board, jobs, jobs, (0, 30)) == 1
    assert board.ids == jobs[:200]
    _settle(board, jobs, jobs, (170, 200))
    assert board.ids == jobs[:400]
    while board.more:
        _settle(board, jobs, jobs, (len(board.ids) - 10, len(board.ids) - 1))
    assert board.ids == jobs


def test_no_jobs_at_all() -> None:
    board = Board()
    board.merge(PageRequest(None, 200), _page([], more=False))
    assert board.loaded
    assert board.next_request(0, 30) is None


def test_an_event_makes_only_its_row_stale() -> None:
    jobs = [f"{number:08}" for number in range(100, 0, -1)]
    board = Board()
    _settle(board, jobs, jobs, (0, 30))
    board.apply([_event("step.started", jobs[50], name="agent")])
    assert board.next_request(0, 30) is None
    assert board.next_request(40, 60) == PageRequest(jobs[49], 50)
    board.apply([_event("job.failed", jobs[3])])
    assert board.next_request(0, 30) == PageRequest(jobs[2], 50)


@pytest.mark.parametrize("type_", ["step.output", "delivery.received", "rails.reloaded"])
def test_events_that_change_no_row(type_: str) -> None:
    board = Board()
    _settle(board, ["00000001"], ["00000001"], (0, 30))
    board.apply([_event(type_, "00000001" if type_ == "step.output" else None)])
    assert board.next_request(0, 30) is None


def test_an_event_of_an_unknown_type_is_a_change() -> None:
    board = Board()
    _settle(board, ["00000001"], ["00000001"], (0, 30))
    board.apply([_event("job.teleported", "00000001")])
    assert board.next_request(0, 30) is not None


def test_new_jobs_come_on_top() -> None:
    jobs = [f"{number:08}" for number in range(300, 0, -1)]
    board = Board()
    _settle(board, jobs, jobs, (0, 30))
    more = ["00000302", "00000301", *jobs]
    board.apply([_event("job.created", "00000302")])
    ask = board.next_request(0, 30)
    assert ask == PageRequest(None, 200)
    board.merge(ask, _answer(more, more, ask))
    assert board.ids == more[:202]


def test_more_new_jobs_than_a_page_holds_restart_the_list() -> None:
    jobs = [f"{number:08}" for number in range(100, 0, -1)]
    board = Board()
    _settle(board, jobs, jobs, (0, 30))
    more = [f"{number:08}" for number in range(900, 100, -1)] + jobs
    board.apply([_event("job.created", more[0])])
    _settle(board, more, more, (0, 30))
    assert board.ids == more[:200]
    assert board.more


def test_jobs_beyond_the_cache_are_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.widgets.board.CACHED_JOBS", 500)
    jobs = [f"{number:08}" for number in range(1200, 0, -1)]
    board = Board()
    while board.more:
        _settle(board, jobs, jobs, (len(board.ids) - 10, len(board.ids) - 1))
    assert board.ids == jobs
    assert board.job(0) is None
    assert len(board.cached_jobs()) == 500
    _settle(board, jobs, jobs, (0, 30))
    assert all(board.job(row) for row in range(31))


def test_the_latest_activity_of_a_job() -> None:
    board = Board()
    board.apply([_event("step.started", "j", name="tests", phase="VALIDATION", **{"try": 2})])
    assert board.activity("j") == "gate tests (try 2)"
    board.apply([_event("ai.tool_called", "j", tool="exec \x1b[2J")])
    assert board.activity("j") == "exec"
    assert board.activity("k") == ""


def test_output_is_the_activity_until_the_job_is_loaded_again() -> None:
    board = Board()
    _settle(board, ["j"], ["j"], (0, 30))
    board.apply([_event("step.output", "j", text="collected 12 items\n")])
    assert board.next_request(0, 30) is None
    assert board.activity("j") == "collected 12 items"
    board.apply([_event("step.completed", "j")])
    _settle(board, ["j"], ["j"], (0, 30))
    assert board.activity("j") == ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_visible_rows_become_up_to_date(data: st.DataObject) -> None:
    """A filtered list: jobs are made, begin to match and cease to; what is on screen is a part of the daemon's list."""
    everything = [f"{number:08}" for number in range(data.draw(st.integers(0, 900)), 0, -1)]
    matching = {name for name in everything if int(name) % 3}
    board = Board([("q", "x")])
    truth = [name for name in everything if name in matching]
    _settle(board, truth, everything, (0, 20))
    for _ in range(data.draw(st.integers(1, 5))):
        for _ in range(data.draw(st.integers(0, 30))):
            everything.insert(0, f"{len(everything) + 1:08}")
            matching.add(everything[0])
        if everything:
            matching ^= set(data.draw(st.lists(st.sampled_from(everything), max_size=20)))
        truth = [name for name in everything if name in matching]
        board.apply([_event("job.started", job_id) for job_id in [*board.ids, "00000000"]])
        top = data.draw(st.integers(0, max(len(board.ids) - 1, 0)))
        _settle(board, truth, everything, (top, top + 20))
        shown = board.ids[top : top + 21]
        start = truth.index(shown[0]) if shown else 0
        assert shown == truth[start : start + len(shown)]
        left = max(len(board.ids) - top, 0)  # the list may have become shorter than the visible rows
        assert len(shown) in {min(21, len(truth) - start), left}
        assert board.ids[:200] == truth[:200][: len(board.ids)]
        assert len(set(board.ids)) == len(board.ids)
