"""The conversation of a try, put together from its prompts and its log."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.jobs import outputs
from stitcherd.jobs.conversation import Conversation, SentPrompt, append_prompt, find_conversation
from stitcherd.jobs.outputs import FileOutputs


async def find(directory: Path) -> Conversation | None:
    return await find_conversation(FileOutputs(directory), directory / "1.log", directory / "1.prompts.jsonl")


async def parts(directory: Path, start: int = 0, end: int | None = None) -> list[bytes]:
    found = await find(directory)
    assert found is not None
    return [part async for part in found.read(start, found.size if end is None else end)]


async def text(directory: Path, start: int = 0, end: int | None = None) -> str:
    return b"".join(await parts(directory, start, end)).decode()


async def test_prompts_stand_where_they_were_sent(tmp_path: Path) -> None:
    append_prompt(tmp_path / "1.prompts.jsonl", SentPrompt(0, "only what is new\n"))
    (tmp_path / "1.log").write_bytes(b"the session is gone\nit is done\n")
    append_prompt(tmp_path / "1.prompts.jsonl", SentPrompt(20, "all of it"))
    assert await text(tmp_path) == (
        "=== prompt ===\nonly what is new\n\n=== output ===\nthe session is gone\n"
        "=== prompt ===\nall of it\n\n=== output ===\nit is done\n"
    )


async def test_a_prompt_without_an_answer_and_one_that_a_crash_cut_off(tmp_path: Path) -> None:
    append_prompt(tmp_path / "1.prompts.jsonl", SentPrompt(0, "do it"))
    with (tmp_path / "1.prompts.jsonl").open("ab") as file:
        file.write(b'{"offset":0,"te')
    assert await text(tmp_path) == "=== prompt ===\ndo it\n\n"


async def test_a_prompt_behind_a_part_of_the_log_that_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(b"short\n")
    append_prompt(tmp_path / "1.prompts.jsonl", SentPrompt(10_000, "more"))
    assert await text(tmp_path) == "=== output ===\nshort\n=== prompt ===\nmore\n\n"


async def test_without_a_prompt_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(b"out\n")
    assert await find(tmp_path) is None


def test_every_range_is_that_of_the_whole(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(b"0123456789" * 6)
    for offset in (0, 30, 55):
        append_prompt(tmp_path / "1.prompts.jsonl", SentPrompt(offset, f"prompt {offset}"))
    whole = asyncio.run(text(tmp_path))

    @given(st.integers(0, len(whole)), st.integers(0, len(whole)))
    def check(start: int, end: int) -> None:
        assert asyncio.run(text(tmp_path, start, end)) == whole[start:end]

    check()


async def test_long_logs_are_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "CHUNK_BYTES", 7)
    append_prompt(tmp_path / "1.prompts.jsonl", SentPrompt(0, "go"))
    (tmp_path / "1.log").write_bytes(b"0123456789" * 3)
    whole = await text(tmp_path)
    assert max(map(len, await parts(tmp_path, len(whole) - 30, len(whole)))) == 7
    assert await text(tmp_path, len(whole) - 15, len(whole) - 5) == "5678901234"
