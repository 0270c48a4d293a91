"""Steps as they are recorded: their logs, their output events, and how they end."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.ids import now_ms
from shared.models import JobEvent, JobStep, StepStatus, StepType, Usage
from stitcherd.jobs import step_recorder
from stitcherd.jobs.conversation import find_conversation
from stitcherd.jobs.logs import diff_path, log_path, prompts_path, raw_log_path
from stitcherd.jobs.step_recorder import OUTPUT_EVENT_BYTES, RunningStep
from stitcherd.store import interruptions, steps
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable
from tests.stitcherd.jobs.recorder_harness import SECRET, RecorderHarness, outputs


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[RecorderHarness]:
    harness = await RecorderHarness.build(tmp_path)
    yield harness
    await harness.store.close()


async def test_a_step_that_completes(harness: RecorderHarness) -> None:
    async with await harness.open() as step:
        step.write(b"one\n")
        await step.record_event("ai.tool_called", {"name": "read", "args": [f"cat {SECRET.decode()}"]})
        await step.add_usage(Usage(3, 4, 0.5))
        step.write(b"two\n")
        assert step.tail(100) == "one\ntwo\n"
        step.finish(0)
    (row,), events = await harness.look()
    assert (row.status, row.exit_code, row.output, row.output_bytes) == (StepStatus.COMPLETED, 0, "one\ntwo\n", 8)
    assert (row.tokens_input, row.tokens_output, row.try_, row.ordinal) == (3, 4, 1, 1)
    assert harness.log() == b"one\ntwo\n"
    types = [event.type for event in events if event.type != "step.output"]
    assert types == [
        "step.started",
        "gate.started",
        "ai.tool_called",
        "ai.tokens_used",
        "step.completed",
        "gate.passed",
    ]
    assert [event.payload for event in events if event.type == "ai.tool_called"] == [
        {"name": "read", "args": ["cat [secret]"]}
    ]
    assert "".join(event.payload["text"] for event in outputs(events)) == "one\ntwo\n"


async def test_raw_output_is_redacted_and_only_kept_beside_the_log(harness: RecorderHarness) -> None:
    async with await harness.open() as step:
        step.write(b"text\n")
        for piece in (b'{"key": "', SECRET[:3], SECRET[3:], b'"}\n' * 3):
            step.write_raw(piece)
    (row,), events = await harness.look()
    assert (row.output, row.output_bytes, harness.log()) == ("text\n", 5, b"text\n")
    raw = raw_log_path(harness.state, harness.job.id, 1, 1)
    assert raw.read_bytes() == b'{"key": "[secret]' + b'"}\n' * 3
    assert [event.payload["text"] for event in outputs(events)] == ["text\n"]


async def test_prompts_are_redacted_and_kept_with_their_place_in_the_output(harness: RecorderHarness) -> None:
    async with await harness.open() as step:
        step.record_prompt(f"use {SECRET.decode()}")
        step.write(b"no\n")
        step.record_prompt("try again")
    paths = (path(harness.state, harness.job.id, 1, 1) for path in (log_path, prompts_path))
    conversation = await find_conversation(harness.outputs, *paths)
    assert conversation is not None
    whole = b"".join([part async for part in conversation.read(0, conversation.size)])
    assert whole == b"=== prompt ===\nuse [secret]\n\n=== output ===\nno\n=== prompt ===\ntry again\n\n"


async def test_a_secret_in_two_pieces_is_masked_everywhere(harness: RecorderHarness) -> None:
    async def work() -> None:
        async with await harness.open() as step:
            step.write(b"pass: " + SECRET[:9])
            await asyncio.sleep(0)
            step.write(SECRET[9:] + b"!")
            raise LookupError(f"cannot use {SECRET.decode()}")

    with pytest.raises(LookupError):
        await work()
    (row,), events = await harness.look()
    assert harness.log() == b"pass: [secret]!"
    assert row.output == "pass: [secret]!"
    assert "".join(event.payload["text"] for event in outputs(events)) == "pass: [secret]!"
    assert {event.type: event.payload["reason"] for event in events[-2:]} == {
        "step.failed": "cannot use [secret]",
        "gate.failed": "cannot use [secret]",
    }
    assert SECRET not in b"".join(file.read_bytes() for file in harness.state.iterdir() if file.is_file())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.text(st.sampled_from("aé€😀\n"), min_size=1, max_size=3000), min_size=1, max_size=6).map("".join),
    st.lists(st.integers(0, 20_000), max_size=8),
    st.sampled_from([0.0, 0.001]),
)
def test_output_events_have_whole_characters_and_their_offset_in_the_log(
    text: str, cuts: list[int], pause: float
) -> None:
    data = text.encode()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]

    async def record(state: Path) -> tuple[list[JobStep], list[JobEvent], bytes]:
        harness = await RecorderHarness.build(state)
        try:
            async with await harness.open() as step:
                for start, end in pairwise(places):
                    step.write(data[start:end])
                    await asyncio.sleep(pause)
            return *(await harness.look()), harness.log()
        finally:
            await harness.store.close()

    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_recorder, "OUTPUT_EVENT_INTERVAL", 0.0)
        (row,), events, log = asyncio.run(record(Path(place)))
    assert log == data
    assert "\ufffd" not in row.output
    assert data.endswith(row.output.encode())
    position = 0
    for event in outputs(events):
        offset, length, shown = (event.payload[name] for name in ("offset", "length", "text"))
        assert log[offset : offset + length] == shown.encode(), "and so without replacement characters"
        assert 0 < length <= OUTPUT_EVENT_BYTES
        assert offset >= position, "in order, none twice"
        position = offset + length
    assert position == len(data)


async def test_output_events_of_binary_output_are_bounded(harness: RecorderHarness) -> None:
    noise = bytes(range(128, 256)) * 100
    async with await harness.open() as step:
        step.write(noise)
    _, events = await harness.look()
    assert harness.log() == noise
    for event in outputs(events):
        assert len(event.payload["text"].encode()) <= OUTPUT_EVENT_BYTES
        shown = noise[event.payload["offset"] :][: event.payload["length"]]
        assert shown.decode("utf-8", "replace") == event.payload["text"]


async def test_at_most_ten_events_a_second(harness: RecorderHarness) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with await harness.open() as step:
        while loop.time() < begun + 1.3:
            step.write(b"x" * 700)
            await asyncio.sleep(0.002)
    _, events = await harness.look()
    times = [int(event.timestamp[-4:-1]) + 1000 * int(event.timestamp[17:19]) for event in outputs(events)]
    times = [time + 60_000 if time < times[0] else time for time in times]
    assert times
    assert max(sum(first <= time < first + 1000 for time in times) for first in times) <= 10
    assert all(event.payload["length"] <= OUTPUT_EVENT_BYTES for event in outputs(events))


async def test_a_long_log_keeps_head_and_tail(tmp_path: Path) -> None:
    harness = await RecorderHarness.build(tmp_path, log_max=1000)
    async with await harness.open() as step:
        for number in range(1000):
            step.write(b"%d\n" % number)
    (row,), _ = await harness.look()
    log = harness.log()
    assert log.startswith(b"0\n1\n2\n")
    assert log.endswith(b"\n998\n999\n")
    assert b"bytes left out" in log
    assert len(log) < 1100
    assert row.output_bytes == 3890
    await harness.store.close()


async def test_a_cancelled_step_fails_with_its_output(harness: RecorderHarness) -> None:
    written = asyncio.Event()

    async def work() -> None:
        async with await harness.open() as step:
            step.write(b"half way")
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,), events = await harness.look()
    assert (row.status, row.output, row.exit_code) == (StepStatus.FAILED, "half way", None)
    assert [event.type for event in events[-2:]] == ["step.failed", "gate.failed"]
    assert events[-2].payload["reason"] == "cancelled"
    assert harness.log() == b"half way"


async def test_output_of_a_superseded_attempt_is_only_logged(harness: RecorderHarness) -> None:
    step = await harness.open()
    await harness.store.write(interruptions.recover, harness.job.id, (1, "me"), now_ms())
    _, before = await harness.look()
    async with step:
        step.write(b"late")
        await asyncio.sleep(0.01)
    _, after = await harness.look()
    assert after == before
    assert harness.log() == b"late"
    with pytest.raises(steps.Superseded):
        await harness.open(start=steps.TryStart())
    with pytest.raises(steps.Superseded):
        await harness.open()


async def test_a_full_disk_for_the_log_fails_the_step(
    harness: RecorderHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = await harness.open()

    def full(_data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step._log, "write", full)
    with pytest.raises(OSError, match="No space"):
        async with step:
            step.write(b"x")
    (row,), events = await harness.look()
    assert row.status is StepStatus.FAILED
    assert events[-1].payload["reason"] == "[Errno 28] No space left on device"


async def use_up(step: RunningStep) -> None:
    """Note things until the last pages that the database has are full."""
    while True:
        await step.record_event("step.progress", {"text": "x" * 4000})


@pytest.mark.sqlite
async def test_a_temporarily_full_disk_loses_only_events(harness: RecorderHarness) -> None:
    def limit(db: Db, pages: int) -> None:
        db.execute(f"PRAGMA max_page_count = {pages}")

    step = await harness.open()
    async with step:
        await harness.store.write(limit, 1)  # SQLite takes this for: no more than there are now
        with pytest.raises(StorageUnavailable):
            await use_up(step)
        step.write(b"y" * 4096)
        async with asyncio.timeout(20):
            while step._pending:  # noqa: ASYNC110 (nobody says that an event could not be written)
                await asyncio.sleep(0.005)
        with pytest.raises(StorageUnavailable):
            await step.record_event("step.progress", {"text": "x" * 4000})
        await harness.store.write(limit, 1_000_000)
        step.write(b"z")
        step.finish(0)
    (row,), events = await harness.look()
    assert (row.status, row.output_bytes) == (StepStatus.COMPLETED, 4097)
    assert [event.payload["text"] for event in outputs(events)][-1] == "z"
    assert harness.log() == b"y" * 4096 + b"z"


async def test_steps_are_numbered(harness: RecorderHarness) -> None:
    async with await harness.open(StepType.COMMAND) as first:
        first.finish(2, "it failed")
    async with await harness.open(StepType.AI_ACTION) as second:
        await second.save_reference({"run": "7"})
    rows, events = await harness.look()
    assert [(row.ordinal, row.status) for row in rows] == [(1, StepStatus.FAILED), (2, StepStatus.COMPLETED)]
    assert not [event for event in events if event.type.startswith("gate.")]
    assert (harness.log(1), harness.log(2)) == (b"", b"")


@pytest.mark.parametrize(
    ("data", "size", "end"),
    [
        (b"abc", 3, b"abc"),
        (b"abc", 2, b"bc"),
        ("é€".encode(), 4, "€".encode()),
        ("😀a".encode(), 4, b"a"),
        (b"\x80" * 9, 5, b"\x80" * 5),
        (b"abc", 0, b""),
    ],
)
def test_the_last_bytes_begin_with_a_character(data: bytes, size: int, end: bytes) -> None:
    assert step_recorder._last_bytes(data, size) == end


async def test_a_diff_is_saved_masked_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_recorder, "REDACTION_CHUNK_BYTES", 7)  # so that the secret lies across several pieces
    harness = await RecorderHarness.build(tmp_path, log_max=1000)
    saved = diff_path(tmp_path, harness.job.id, 1)
    (tmp_path / "shown").write_bytes(b"+key = " + SECRET + b"\n")
    await harness.recorder.save_diff(tmp_path / "shown")
    assert saved.read_bytes() == b"+key = [secret]\n"
    await harness.recorder.save_diff(b"+line\n" * 1000)
    assert 1000 < saved.stat().st_size < 1100
    assert b"bytes left out" in saved.read_bytes()
    await harness.recorder.save_diff(b"")
    assert saved.read_bytes() == b""
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]
    await harness.store.close()
