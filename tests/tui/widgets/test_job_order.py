"""The order of the list of jobs: sections by status, of which each job is in one."""

import msgspec

from shared.api import JobPage
from shared.models import JobEvent
from tests.tui import documents
from tui.widgets.board import PageRequest
from tui.widgets.job_order import ORDERS, SortedBoard

RUNNING_FIRST, NEWEST, BY_STATE = ORDERS


def _answer(truth: dict[str, str], ask: PageRequest) -> JobPage:
    """Answer as the daemon does: `truth` has the status of every job by id, newest first."""
    statuses = {value for name, value in ask.query if name == "status"}
    names = [name for name, status in truth.items() if not statuses or status in statuses]
    names = [name for name in names if ask.before is None or name < ask.before]
    counts = {status.lower(): list(truth.values()).count(status) for status in truth.values()}
    items = [documents.job(id=name, status=truth[name]) for name in names[: ask.limit]]
    more = names[ask.limit - 1] if len(names) > ask.limit else None
    return msgspec.convert({"items": items, "next": more, "cursor": 1, "counts": counts}, JobPage)


def _settle(board: SortedBoard, truth: dict[str, str], window: tuple[int, int] = (0, 30)) -> int:
    for asked in range(20):
        ask = board.next_request(*window)
        if ask is None:
            assert len(set(board.ids)) == len(board.ids)
            return asked
        board.merge(ask, _answer(truth, ask))
    raise AssertionError("the board never stops requesting pages")


def _truth(number: int) -> dict[str, str]:
    states = ("QUEUED", "QUEUED", "COMPLETED", "RUNNING", "FAILED")
    return {f"{at:08}": states[at % 5] for at in range(number, 0, -1)}


def test_running_jobs_stand_above_a_long_queue() -> None:
    truth = {f"{at:08}": "RUNNING" if at < 3 else "QUEUED" for at in range(300, 0, -1)}
    board = SortedBoard((), RUNNING_FIRST)
    _settle(board, truth)
    assert board.ids[:3] == ["00000002", "00000001", "00000300"]


def test_a_job_that_starts_moves_up_and_one_that_ends_moves_down() -> None:
    truth = _truth(30)
    board = SortedBoard((), RUNNING_FIRST)
    _settle(board, truth)
    running = [name for name, status in truth.items() if status == "RUNNING"]
    assert board.ids == [*running, *(name for name in truth if name not in running)]
    truth["00000030"], truth[running[0]] = "RUNNING", "COMPLETED"
    for name in ("00000030", running[0]):
        event = {**documents.event(1, "job.started"), "jobId": name}
        board.apply([msgspec.convert(event, JobEvent)])
    _settle(board, truth)
    running = [name for name, status in truth.items() if status == "RUNNING"]
    assert board.ids == [*running, *(name for name in truth if name not in running)]


def test_by_state_every_status_is_a_section() -> None:
    truth = _truth(20)
    board = SortedBoard((), BY_STATE)
    _settle(board, truth)
    states = [truth[name] for name in board.ids]
    assert states == ["RUNNING"] * 4 + ["QUEUED"] * 8 + ["FAILED"] * 4 + ["COMPLETED"] * 4


def test_a_query_for_one_status_has_one_section() -> None:
    board = SortedBoard((("status", "FAILED"), ("q", "x")), RUNNING_FIRST)
    request = board.next_request(0, 10)
    assert request == PageRequest(None, 200, (("status", "FAILED"), ("q", "x")))


def test_the_first_page_is_enough_where_it_has_all_running_jobs() -> None:
    truth = _truth(30)
    board = SortedBoard((), RUNNING_FIRST)
    board.seed(_answer(truth, PageRequest(None, 100)))
    assert board.next_request(0, 20) is None
    assert len(board.ids) == 30


def test_running_jobs_beyond_the_first_page_are_requested() -> None:
    truth = {f"{at:08}": "RUNNING" if at < 3 else "QUEUED" for at in range(300, 0, -1)}
    board = SortedBoard((), RUNNING_FIRST)
    board.seed(_answer(truth, PageRequest(None, 100)))
    assert board.ids[0] == "00000300"
    assert _settle(board, truth) == 1
    assert board.ids[:2] == ["00000002", "00000001"]


def test_newest_is_one_query() -> None:
    truth = _truth(250)
    board = SortedBoard((), NEWEST)
    assert _settle(board, truth) == 1
    assert board.ids == list(truth)[:200]
    assert board.more
