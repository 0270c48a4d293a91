import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

import stitcherd
from stitcherd import crash_points
from stitcherd.crash_points import POINTS, VARIABLE, UnknownCrashPoint

ROOT = Path(stitcherd.__file__).parent


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The signals that would have been sent; afterwards no point is armed."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *signal_: sent.append(signal_))
    monkeypatch.setattr(crash_points, "_armed", "")
    monkeypatch.setattr(crash_points, "_passages_left", 0)
    return sent


def test_the_nth_passage_of_the_armed_point_kills(kills: list[tuple[int, int]]) -> None:
    crash_points.arm({VARIABLE: "after_claim:2"})
    crash_points.reach("after_claim")
    crash_points.reach("before_commit")
    assert kills == []
    crash_points.reach("after_claim")
    assert kills == [(os.getpid(), signal.SIGKILL)]


async def test_a_later_point_is_passed_after_the_present_iteration(kills: list[tuple[int, int]]) -> None:
    crash_points.arm({VARIABLE: "after_answer:1"})
    crash_points.reach_later("after_answer")
    assert kills == []
    await asyncio.sleep(0)
    assert kills == [(os.getpid(), signal.SIGKILL)]


def test_without_the_variable_no_point_is_armed(kills: list[tuple[int, int]]) -> None:
    crash_points.arm({})
    for name in POINTS:
        crash_points.reach(name)
    assert kills == []


@pytest.mark.parametrize("text", ["", "after_claim", "after_claim:0", "after_claim:-1", "after_claim:x", "nowhere:1"])
def test_what_names_no_point_is_refused(kills: list[tuple[int, int]], text: str) -> None:
    with pytest.raises(UnknownCrashPoint, match="NAME:N"):
        crash_points.arm({VARIABLE: text})


def test_each_point_is_passed_at_one_place_of_the_daemon_and_a_commit_at_one_for_each_database() -> None:
    found = [
        name
        for path in ROOT.rglob("*.py")
        for name in re.findall(r"crash_points\.reach(?:_later)?\(\"(\w+)\"\)", path.read_text("utf-8"))
    ]
    assert sorted(found) == sorted([*POINTS, "after_commit", "before_commit"])


def test_only_the_environment_of_the_start_arms_a_point() -> None:
    arming = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "points.arm(" in path.read_text("utf-8")]
    assert arming == ["__main__.py"]
