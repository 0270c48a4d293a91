"""Parts that fail are started again, and stalls of the event loop are logged with what it was doing."""

import asyncio
import time
from collections.abc import Callable

import pytest

from stitcherd import supervision
from stitcherd.supervision import LoopWatch, Supervision


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (nothing reports it)
            await asyncio.sleep(0.005)


async def test_a_part_that_fails_is_started_again_and_reported_until_it_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "RESTART_SECONDS", 0.02)
    parts, runs, seen = Supervision(), 0, []

    async def run() -> None:
        nonlocal runs
        runs += 1
        seen.append(dict(parts.troubles))
        if runs < 3:
            raise LookupError("a bug")
        await asyncio.Event().wait()

    keeping = asyncio.create_task(parts.keep_running("the scheduler", run))
    await until(lambda: runs == 3)
    assert [{name: reason for name, (reason, _) in each.items()} for each in seen] == [
        {},
        {"the scheduler": "the scheduler failed: a bug"},
        {"the scheduler": "the scheduler failed: a bug"},
    ]
    await until(lambda: not parts.troubles)
    assert caplog.text.count("the scheduler failed, and is started again") == 2
    keeping.cancel()


async def test_what_is_no_bug_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "RESTART_SECONDS", 0.0)
    parts, errors = Supervision(OSError), [OSError("the server is away"), KeyError("a bug")]

    async def run() -> None:
        if errors:
            raise errors.pop(0)

    await parts.keep_running("the scheduler", run)
    assert [(each.levelname, each.exc_info is not None) for each in caplog.records] == [
        ("WARNING", False),
        ("ERROR", True),
    ]
    assert caplog.messages[0] == "the scheduler failed, and is started again in 0 s: the server is away"


async def test_a_part_that_ends_by_itself_is_not_started_again() -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    await Supervision().keep_running("a part", run)
    assert runs == 1


async def test_a_part_may_have_a_pause_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    parts, runs = Supervision(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        raise LookupError("a bug")

    keeping = asyncio.create_task(parts.keep_running("polling source hub", run, 30.0))
    await until(lambda: bool(parts.troubles))
    assert "polling source hub failed, and is started again in 30 s" in caplog.text
    assert parts.troubles["polling source hub"][0] == "polling source hub failed: a bug"
    assert runs == 1
    keeping.cancel()


async def test_a_stall_is_logged_once_with_its_stack(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(supervision, "STALL_SECONDS", 0.1)

    def block_the_loop() -> None:
        time.sleep(0.5)

    async with LoopWatch().running():
        await asyncio.sleep(0.1)
        block_the_loop()
        await asyncio.sleep(0.1)
    [line] = [each.getMessage() for each in caplog.records if "event loop" in each.getMessage()]
    assert "block_the_loop" in line


async def test_a_loop_that_waits_does_not_stall(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "BEAT_SECONDS", 0.02)
    async with LoopWatch().running():
        await asyncio.sleep(0.2)
    assert caplog.records == []
