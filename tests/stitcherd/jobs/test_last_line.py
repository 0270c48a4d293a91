"""What lists show of a job: the step that runs, what it says last, and what came of an ended job."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.ids import now_ms
from shared.models import Failure, Phase, Result, RunnerJob, StepType
from stitcherd.jobs import step_recorder
from stitcherd.store import interruptions, jobs, retries, transitions
from stitcherd.store.steps import TryStart
from tests.stitcherd.jobs.recorder_harness import SECRET, RecorderHarness

FENCE = (1, "me")
GATES_FAILED = Failure("gates_failed", "gate lint, tests failed in try 1 of 2")


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[RecorderHarness]:
    harness = await RecorderHarness.build(tmp_path)
    yield harness
    await harness.store.close()


async def _look(harness: RecorderHarness) -> RunnerJob:
    await harness.flush()
    async with harness.store.reading() as db:
        return await jobs.get_job(db, harness.job.id, None)


async def _run(harness: RecorderHarness, name: str, output: bytes, failure: str | None = None) -> None:
    async with await harness.recorder.open(Phase.VALIDATION, StepType.GATE, name, 1) as step:
        step.write(output)
        step.finish(0 if failure is None else 1, failure)
    await harness.flush()


async def test_the_step_of_a_running_job_with_its_time_limit_and_last_line(
    harness: RecorderHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_recorder, "OUTPUT_EVENT_INTERVAL", 0.0)
    assert ((await _look(harness)).current_step, (await _look(harness)).last_line) == (None, None)
    async with await harness.recorder.open(Phase.EXECUTION, StepType.AI_ACTION, "agent", 1, 2400.0) as step:
        job = await _look(harness)
        assert job.current_step
        assert (job.current_step.name, job.current_step.type) == ("agent", StepType.AI_ACTION)
        assert (job.current_step.timeout_ms, job.last_line) == (2_400_000, None)
        step.write(b"reads src/page.py\n\x1b[1mwrites\x1b[0m ")
        for _ in range(1000):
            if (await _look(harness)).last_line:
                break
            await asyncio.sleep(0.01)
        assert (await _look(harness)).last_line == "writes"
        await step.record_event("ai.tool_called", {"tool": "exec", "detail": f"curl -u {SECRET.decode()}"})
        assert (await _look(harness)).last_line == "exec curl -u [secret]"
        await step.record_event("ai.tokens_used", {"inputTokens": 3})
        assert (await _look(harness)).last_line == "exec curl -u [secret]"
    ended = await _look(harness)
    assert (ended.current_step, ended.last_line) == (None, "writes")


@pytest.mark.parametrize("secret", [SECRET, SECRET[:7] + b"\x1b[0m" + SECRET[7:]])
async def test_a_secret_is_masked_also_where_an_escape_interrupts_it(harness: RecorderHarness, secret: bytes) -> None:
    await _run(harness, "tests", b"the key is " + secret + b"\n", "exit 1")
    assert (await _look(harness)).last_line == "the key is [secret]"
    failure = Failure("gates_failed", "gate tests failed in try 1 of 2")
    await harness.store.write(transitions.conclude, harness.job.id, FENCE, now_ms(), failure)
    assert (await _look(harness)).last_line == "tests: the key is [secret]"


async def test_a_failed_job_has_the_last_line_of_the_first_gate_that_it_names(harness: RecorderHarness) -> None:
    await _run(harness, "spelling", b"3 words\n", "exit 1")  # not required, so the failure does not name it
    await _run(harness, "lint", b"\n", "exit 1")
    await _run(harness, "tests", b"== 2 failed, 118 passed ==\n\n", "exit 1")
    await _run(harness, "scope", b"all is well\n")
    await harness.store.write(transitions.conclude, harness.job.id, FENCE, now_ms(), GATES_FAILED)
    job = await _look(harness)
    assert job.last_line == "tests: 2 failed, 118 passed"
    await harness.store.write(retries.retry, harness.job.id, "uid:0", now_ms())
    assert (await _look(harness)).last_line is None


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Result("c", 3, 34, 6, "+34 -6 in 3 files\nand more"), "+34 -6 in 3 files"),
        (Result(None, 0, 0, 0, "no changes"), "no changes"),
        (Failure("executor_failed", "exit 1"), None),
        (GATES_FAILED, None),
    ],
)
async def test_what_came_of_a_job(harness: RecorderHarness, outcome: Result | Failure, line: str | None) -> None:
    await _run(harness, "other", b"some output\n", "exit 1")
    await harness.store.write(transitions.conclude, harness.job.id, FENCE, now_ms(), outcome)
    assert (await _look(harness)).last_line == line


async def test_who_cancelled_a_job(harness: RecorderHarness) -> None:
    async with await harness.open():
        await harness.store.write(transitions.cancel, harness.job.id, "uid:7", "too\nslow", now_ms())
        await harness.store.write(transitions.conclude, harness.job.id, FENCE, now_ms(), GATES_FAILED)
        job = await _look(harness)
    assert (job.current_step, job.last_line) == (None, "by uid:7: too slow")


async def test_an_interrupted_job_is_at_no_step(harness: RecorderHarness) -> None:
    start = TryStart(resumable=True)
    async with await harness.recorder.open(Phase.EXECUTION, StepType.AI_ACTION, "agent", 1, start=start) as step:
        await step.save_reference({"key": "a session"})
        assert await harness.store.write(interruptions.take_over, harness.job.id, (1, "me"), now_ms())
        await harness.store.write(transitions.cancel, harness.job.id, "uid:7", None, now_ms())
    job = await _look(harness)
    assert (job.current_step, job.last_event) == (None, "job.recovered")
