"""Jobs as text: every state has a glyph and a word, and times and costs have a short form."""

import msgspec
import pytest

from shared.filters import parse_filter
from shared.models import RunnerJob, Start, Status, StepStatus
from tests.tui import documents
from tui.text.jobs import (
    DASH,
    STEP_STYLES,
    cost,
    counted,
    elapsed,
    job_state,
    latest,
    location,
    start_text,
    status_style,
)
from tui.text.times import milliseconds

NOW = milliseconds("2026-11-22T14:05:00.000Z")


def job(**more: object) -> RunnerJob:
    return msgspec.convert(documents.job(**more), RunnerJob)


def test_states_differ_without_colour() -> None:
    assert len({status_style(status)[:2] for status in Status}) == len(Status)
    assert len({STEP_STYLES[status][:2] for status in StepStatus}) == len(StepStatus)
    assert job_state(job(status="RUNNING", cancelRequested=True)).word == "cancelling"
    assert job_state(job(status="CANCELLED", cancelRequested=True)).word == "cancelled"


@pytest.mark.parametrize("cancelling", [False, True])
@pytest.mark.parametrize("status", Status)
def test_the_word_of_a_state_can_be_filtered_by(status: Status, *, cancelling: bool) -> None:
    word = status_style(status, cancelling=cancelling).word
    (term,) = parse_filter(f"state:{word}").terms
    assert term.values == ("CANCELLING",) if word == "cancelling" else (status,)


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, "2m40s"),
        ({"status": "RUNNING", "completedAt": None}, "2m49s"),
        ({"status": "QUEUED", "startedAt": None, "completedAt": None}, "2m49s"),
        ({"status": "CANCELLED", "startedAt": None}, DASH),
    ],
)
def test_elapsed_time(more: dict[str, object], shown: str) -> None:
    assert elapsed(job(**more), NOW) == shown


AGENT = {"name": "agent", "type": "AI_ACTION", "startedAt": "2026-11-22T13:57:40.000Z", "timeoutMs": 2_400_000}
GATE = {"name": "tests", "type": "GATE", "startedAt": "2026-11-22T14:04:48.000Z", "timeoutMs": None}
ERROR = {"code": "gates_failed", "detail": "gate tests failed in try 3 of 3\x1b", "hint": None}


@pytest.mark.parametrize(
    ("more", "activity", "shown"),
    [
        ({"lastLine": "+34 -6 in 3 files"}, "", "+34 -6 in 3 files"),
        ({"status": "FAILED", "error": ERROR}, "", "gate tests failed in try 3 of 3\\x1b"),
        ({"status": "FAILED", "error": ERROR, "lastLine": "tests: 2 failed"}, "gate tests", "tests: 2 failed"),
        ({"status": "CANCELLED", "lastLine": "by uid:0: too slow"}, "", "by uid:0: too slow"),
        ({"status": "QUEUED", "held": "the limit is reached"}, "", "the limit is reached"),
        ({"status": "QUEUED"}, "", "waits for a worker"),
        ({"status": "PENDING"}, "", "needs an approval"),
        ({"status": "RUNNING"}, "", "starts"),
        ({"status": "RUNNING", "currentStep": AGENT}, "", "7m of 40m · agent"),
        ({"status": "RUNNING", "currentStep": AGENT, "lastLine": "read x\x1b"}, "", "7m of 40m · read x\\x1b"),
        ({"status": "RUNNING", "currentStep": AGENT, "lastLine": "read x"}, "wrote y", "7m of 40m · wrote y"),
        ({"status": "RUNNING", "currentStep": GATE}, "", "gate tests"),
    ],
)
def test_the_latest_of_a_job(more: dict[str, object], activity: str, shown: str) -> None:
    assert latest(job(**more), NOW, activity) == shown


def test_short_forms() -> None:
    example = job()
    assert location(example.repository, example.thread) == "octo-org/api#479"
    assert location(None, None) == DASH
    assert (cost(example), cost(job(usage={}))) == ("$0.21", DASH)
    assert (counted(1, "job"), counted(1204, "job")) == ("1 job", "1,204 jobs")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "main"),
        ({"ref": None}, DASH),
        ({"start": Start("main", "9c1e" * 10, "9c1e" * 10)}, "main at 9c1e9c1"),
        ({"ref": "9c1e" * 10, "start": Start("9c1e" * 10, "9c1e" * 10, "9c1e" * 10)}, "9c1e" * 10),
        ({"ref": "refs/pull/7/head", "head_sha": "1a2b" * 10}, "refs/pull/7/head at 1a2b1a2"),
        (
            {"ref": "refs/pull/7/head", "start": Start("refs/pull/7/head", "1a2b" * 10, "9c1e" * 10)},
            "refs/pull/7/head at 1a2b1a2",
        ),
        (
            {"ref": "refs/pull/7/head", "head_sha": "1a2b" * 10, "start": Start("main", "9c1e" * 10, "9c1e" * 10)},
            "main at 9c1e9c1 (there is no refs/pull/7/head)",
        ),
    ],
)
def test_what_a_job_starts_from(fields: dict[str, object], text: str) -> None:
    assert start_text(msgspec.structs.replace(job(), **fields)) == text
