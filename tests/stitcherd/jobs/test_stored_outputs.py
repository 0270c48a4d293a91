"""Outputs in the store: whole, masked and bounded as in files, readable while they grow, and gone with their job."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from shared.ids import new_id, now_ms
from shared.models import Result
from stitcherd.config.settings import RetentionSettings
from stitcherd.jobs import retention, stored_outputs
from stitcherd.jobs.conversation import find_conversation
from stitcherd.jobs.logs import diff_path, log_path, prompts_path, raw_log_path
from stitcherd.jobs.outputs import Output
from stitcherd.jobs.stored_outputs import StoredOutputs
from stitcherd.store import pieces, transitions
from stitcherd.store import retention as store_retention
from stitcherd.store.errors import StorageUnavailable
from stitcherd.supervision import Supervision
from tests.stitcherd.jobs.recorder_harness import SECRET, RecorderHarness

DAY = 86_400_000


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[RecorderHarness]:
    harness = await RecorderHarness.build(tmp_path, stored=True)
    yield harness
    await harness.store.close()


@pytest.fixture
def elsewhere(harness: RecorderHarness, tmp_path: Path) -> StoredOutputs:
    """The outputs as another daemon finds them, whose state directory has no file."""
    return StoredOutputs(harness.store, tmp_path / "elsewhere")


def log_of(harness: RecorderHarness, outputs: StoredOutputs, ordinal: int = 1) -> Path:
    return log_path(outputs.state, harness.job.id, 1, ordinal)


async def read(outputs: StoredOutputs, path: Path) -> bytes | None:
    """Return all of an output, None where there is none."""
    found: Output | None = await outputs.find(path)
    return None if found is None else b"".join([part async for part in found.read(0, found.size)])


async def read_all(harness: RecorderHarness) -> list[bytes]:
    async with harness.store.reading() as db:
        rows = await db.execute_fetchall("SELECT data FROM pieces ORDER BY job, attempt, output, start")
    return [bytes(row["data"]) for row in rows]


def files(harness: RecorderHarness) -> list[Path]:
    return list((harness.state / "logs").glob("**/*"))


async def wait_for(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 (nobody tells when it becomes true)
            await asyncio.sleep(0.005)


async def test_output_can_be_read_elsewhere_while_it_grows(harness: RecorderHarness, elsewhere: StoredOutputs) -> None:
    log = log_of(harness, elsewhere)
    step = await harness.open()
    assert await read(elsewhere, log) is None
    async with step:
        for expected in (b"one\n", b"one\ntwo\n"):
            step.write(expected[-4:])

            async def is_there(expected: bytes = expected) -> bool:
                return await read(elsewhere, log) == expected

            await wait_for(is_there)
        step.write_raw(b"{}\n")
        step.record_prompt("go on")
    assert await read(elsewhere, log) == b"one\ntwo\n"
    assert await read(elsewhere, raw_log_path(elsewhere.state, harness.job.id, 1, 1)) == b"{}\n"
    conversation = await find_conversation(elsewhere, log, prompts_path(elsewhere.state, harness.job.id, 1, 1))
    assert conversation is not None
    whole = b"".join([part async for part in conversation.read(0, conversation.size)])
    assert whole == b"=== output ===\none\ntwo\n=== prompt ===\ngo on\n\n"
    assert files(harness) == [], "what is stored whole is in no file any more"


async def test_who_is_told_of_output_can_read_it(harness: RecorderHarness, elsewhere: StoredOutputs) -> None:
    async with await harness.open() as step:
        step.write(b"one\n")

        async def is_told() -> bool:
            _, events = await harness.look()
            return any(event.type == "step.output" for event in events)

        await wait_for(is_told)
        assert await read(elsewhere, log_of(harness, elsewhere)) == b"one\n"


async def test_secrets_are_masked_in_what_is_stored(harness: RecorderHarness) -> None:
    async with await harness.open() as step:
        step.write(b"pass: " + SECRET[:9])
        await asyncio.sleep(0)
        step.write(SECRET[9:] + b"!")
        step.write_raw(SECRET)
        step.record_prompt(SECRET.decode())
    await harness.recorder.save_diff(b"+key = " + SECRET + b"\n")
    stored = await read_all(harness)
    assert len(stored) == 4
    assert all(b"[secret]" in data for data in stored)
    assert SECRET not in b"".join(stored)


async def test_a_long_output_keeps_its_head_and_tail(tmp_path: Path) -> None:
    harness = await RecorderHarness.build(tmp_path, log_max=1000, stored=True)
    async with await harness.open() as step:
        for number in range(1000):
            step.write(b"%d\n" % number)
            if number % 300 == 0:
                await asyncio.sleep(0.01)
    await harness.recorder.save_diff(b"+line\n" * 1000)
    outputs = StoredOutputs(harness.store, tmp_path / "elsewhere")
    log = await read(outputs, log_of(harness, outputs))
    diff = await read(outputs, diff_path(outputs.state, harness.job.id, 1))
    assert log is not None
    assert diff is not None
    assert log.startswith(b"0\n1\n2\n")
    assert log.endswith(b"\n998\n999\n")
    for text in (log, diff):
        assert b"bytes left out" in text
        assert len(text) < 1100
    assert files(harness) == []
    await harness.store.close()


async def test_every_range_of_an_output_in_pieces(
    harness: RecorderHarness, elsewhere: StoredOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pieces, stored_outputs):
        monkeypatch.setattr(module, "PIECE_MAX", 5)
    async with await harness.open() as step:
        for part in (b"01234567", b"8", b"9abcdefghij", b"klmno"):
            step.write(part)
            await step._outputs.update(step._paths[:1])
    sizes = [len(data) for data in await read_all(harness)]
    assert max(sizes) == 5
    assert len(sizes) >= 6
    found = await elsewhere.find(log_of(harness, elsewhere))
    assert found is not None
    whole = b"0123456789abcdefghijklmno"
    assert found.size == len(whole)
    for start, end in product(range(26), repeat=2):
        assert b"".join([part async for part in found.read(start, end)]) == whole[start:end]


async def test_what_could_not_be_stored_is_stored_later(
    harness: RecorderHarness, elsewhere: StoredOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        async with await harness.open() as step:
            step.write(b"before ")
            await harness.outputs.update(step._paths)
            patch.setattr(stored_outputs, "append_piece", refuse)
            step.write(b"after")
        await harness.recorder.save_diff(b"+line\n")
    log, diff = log_of(harness, elsewhere), diff_path(elsewhere.state, harness.job.id, 1)
    assert (await read(elsewhere, log), await read(elsewhere, diff)) == (b"before ", None)
    left = StoredOutputs(harness.store, harness.state)  # also that of a daemon that was started again
    async with left.running(Supervision()):

        async def is_stored() -> bool:
            return (await read(elsewhere, log), await read(elsewhere, diff)) == (b"before after", b"+line\n")

        await wait_for(is_stored)

        async def is_removed() -> bool:
            return not files(harness)

        await wait_for(is_removed)


async def test_a_file_that_is_being_written_and_one_of_an_unknown_job_are_left(harness: RecorderHarness) -> None:
    unknown = log_path(harness.state, new_id(), 1, 1)
    unknown.parent.mkdir(parents=True)
    unknown.write_bytes(b"whose?")
    other = log_path(harness.state, harness.job.id, 1, 7)
    outputs: Any = harness.outputs
    async with await harness.open() as step:
        step.write(b"still ")
        other.write_bytes(b"an earlier step")
        async with outputs.running(Supervision()):

            async def is_removed() -> bool:
                return not other.exists()

            await wait_for(is_removed)
        step.write(b"written")
    assert await read(outputs, log_of(harness, outputs)) == b"still written"
    assert await read(outputs, other) == b"an earlier step"
    assert unknown.read_bytes() == b"whose?"
    assert await read(outputs, unknown) is None


async def test_a_diff_takes_the_place_of_that_of_the_try_before(
    harness: RecorderHarness, elsewhere: StoredOutputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pieces, stored_outputs):
        monkeypatch.setattr(module, "PIECE_MAX", 7)
    diff = diff_path(elsewhere.state, harness.job.id, 1)
    for text in (b"+one line of it\n" * 3, b"+two\n", b""):
        await harness.recorder.save_diff(text)
        assert await read(elsewhere, diff) == text
        assert files(harness) == []
    assert len(await read_all(harness)) == 1

    def refuse(*_: object) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr(stored_outputs, "move_output", refuse)
    await harness.recorder.save_diff(b"+a part of it is not shown\n")
    assert await read(elsewhere, diff) == b""


async def test_nothing_is_left_of_a_job_that_is_past_its_retention(
    harness: RecorderHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_retention, "RETENTION_BATCH", 2)
    for number in range(3):
        async with await harness.open() as step:
            step.write(b"%d" % number)
    await harness.recorder.save_diff(b"+line\n")
    now = now_ms()
    kept = RetentionSettings.model_validate({"events": "1d", "dedupe": "1d"})
    await retention.remove_rows(harness.store, kept, now + 5 * DAY)
    assert len(await read_all(harness)) == 4, "it is not over"
    fence = (1, harness.fence.owner)
    await harness.store.write(transitions.conclude, harness.job.id, fence, now, Result(None, 0, 0, 0, ""))
    await retention.remove_rows(harness.store, kept, now)
    assert len(await read_all(harness)) == 4, "it is not old"
    assert await harness.store.write(store_retention.prune_pieces, now + 1) == 2
    await retention.remove_rows(harness.store, kept, now + 5 * DAY)
    assert await read_all(harness) == []
    async with harness.store.reading() as db:
        assert not list(await db.execute_fetchall("SELECT key FROM jobs"))
    assert not await harness.store.write(pieces.append_piece, pieces.OutputPlace(harness.job.id, 1, "1.log"), 0, b"x")
