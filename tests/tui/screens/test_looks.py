"""How the screens look, at a standing clock: a picture of each, and beside it the same as text that one can read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

TEXTS = Path(__file__).parents[1] / "snapshots"
Keys = tuple[str, ...]

SCREENS: dict[str, tuple[Keys, str]] = {  # the keys that lead there, and what is on screen then
    "jobs": (("down", "down", "space"), "1 selected"),
    "job": (("enter",), "line 60 of 60"),
    "why": (("w",), "to allow it"),
    "deliveries": (("d",), "DENIED"),
    "rails": (("R",), "kept r-4f2a91c0"),
    "lost": ((), "daemon not reachable"),
    "confirm": (("c",), "any other key"),
}


@pytest.fixture
def busy(daemon: Any, papers: Any) -> Any:
    """A house with a job in every state, the newest of which failed its gate twice."""
    stamps = {"queuedAt": "2026-11-22T14:02:03.000Z", "startedAt": "2026-11-22T14:02:13.000Z"}
    used = {"inputTokens": 71000, "outputTokens": 900, "costUsd": 0.88}
    daemon.job(477, **stamps)
    daemon.job(88, status="CANCELLED", type="triage", repository="octo-org/web", tries={"used": 1, "max": 1}, usage={})
    daemon.job(476, status="QUEUED", startedAt=None, completedAt=None, usage={}, tries={"used": 0, "max": 3})
    daemon.job(480, status="PENDING", queuedAt=None, startedAt=None, completedAt=None, usage={})
    daemon.job(91, status="RUNNING", type="review", repository="octo-org/a-rather-long-name-of-a-repository",
               completedAt=None, lastEvent="step.started", **stamps)  # fmt: skip
    error = {"code": "gates_failed", "detail": "gate tests failed: exit 1", "hint": "look at its output"}
    job = daemon.job(482, status="RUNNING", completedAt=None, tries={"used": 2, "max": 3}, usage=used, **stamps)
    failed = daemon.job(479, status="FAILED", error=error, tries={"used": 2, "max": 3}, usage=used, **stamps)
    steps = [papers.step(1, "checkout", startedAt=_at(13), completedAt=_at(16))]
    for number, start in ((1, 16), (2, 73)):
        at = len(steps) + 1
        for name, phase, type_, first, last, status in (
            ("agent", "EXECUTION", "AI_ACTION", start, start + 38, "COMPLETED"),
            ("lint", "VALIDATION", "GATE", start + 38, start + 44, "COMPLETED"),
            ("tests", "VALIDATION", "GATE", start + 44, start + 57, "FAILED"),
        ):
            more = {"try": number, "exitCode": int(status == "FAILED")}
            steps.append(papers.step(at, name, phase=phase, type=type_, status=status, startedAt=_at(first),
                                     completedAt=_at(last), **more))  # fmt: skip
            at += 1
    daemon.logs[steps[-1]["id"]] = b"".join(b"line %d of 60\n" % number for number in range(1, 61))
    for each in (job, failed):
        daemon.details[each["id"]] = {"steps": steps, "decision": papers.DECISION}
    daemon.deliveries.append(papers.DELIVERY)
    daemon.rails["error"] = {"line": 34, "column": 17, "message": "unknown capability 'git:comit'", "at": None}
    return daemon


def _at(second: int) -> str:
    return f"2026-11-22T14:{2 + second // 60:02}:{second % 60:02}.000Z"


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("name", SCREENS)
def test_looks(
    busy: Any,
    app: Any,
    until: Any,
    seen: Any,
    snap_compare: Callable[..., bool],
    request: pytest.FixtureRequest,
    name: str,
    size: tuple[int, int],
) -> None:
    keys, there = SCREENS[name]
    text = ""

    async def lead(pilot: Pilot[None]) -> None:
        nonlocal text
        await until(pilot, lambda: "octo-org/api#479" in seen(pilot.app) and "▲ rails r-4f2a" in seen(pilot.app))
        if name == "confirm":
            await pilot.press("down")
        await pilot.press(*keys)
        if name == "lost":
            busy.cut()
        await until(pilot, lambda: there in seen(pilot.app))
        text = _settled(seen(pilot.app))

    app_ = app(pauses=(60.0,))
    alike = snap_compare(app_, terminal_size=size, run_before=lead)
    _compare(TEXTS / f"{name}-{size[0]}x{size[1]}.txt", text, update=request.config.getoption("update_snapshots"))
    assert alike


def _settled(text: str) -> str:
    return f"{text.rstrip()}\n"


def _compare(file: Path, text: str, *, update: bool) -> None:
    if update:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")
