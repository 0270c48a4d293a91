"""Tests that a diff is parsed as git writes it, whatever the files contain, and that anything else is refused."""

import asyncio
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stitcherd.gates.patch import SEARCH_CHUNK, ChangedLines, FileChange, LinePattern, UnreadableDiff, parse_diff
from stitcherd.git.checkout import Checkout
from stitcherd.git.commit import write_patch
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.gates.conftest import Start, Write

LINE = st.sampled_from(
    [b"a", b"b", b"", b"-- a/x", b"++ b/x", b"@@ -1 +1 @@", b"diff --git a/x b/x", b"\\ No", b"\0\xff\r"]
)
CONTENT = st.none() | st.tuples(st.lists(LINE, max_size=8), st.sampled_from([b"", b"\n"])).map(
    lambda parts: b"\n".join(parts[0]) + parts[1]
)
NAMES = ["a", "b/c", 'we\nird\t"name', "é", "tests/t.py", *(f"f{at}" for at in range(40))]
ZEROS, ONES = b"0" * 40, b"1" * 40


async def changes_of(checkout: Checkout) -> list[FileChange]:
    commit = await commit_work_tree(checkout, "x")
    if commit is None:
        return []
    patch = await write_patch(checkout, commit)
    with patch.file.open("rb") as lines:
        return parse_diff(patch.entries, lines)


def numbered(content: bytes | None) -> dict[int, bytes]:
    return dict(enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], 1))


def lines_of(side: ChangedLines) -> dict[int, bytes]:
    found, offset = {}, 0
    for line in side.data.split(b"\n")[:-1]:
        found[side.line_at(offset)] = bytes(line)
        offset += len(line) + 1
    return found


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(st.sampled_from(NAMES), st.tuples(CONTENT, CONTENT), min_size=30))
def test_every_changed_line_is_parsed_with_its_number(
    start: Start, write: Write, files: dict[str, tuple[bytes | None, bytes | None]]
) -> None:
    async def commit_files() -> list[FileChange]:
        with tempfile.TemporaryDirectory() as place:
            checkout = await start({name: old for name, (old, _) in files.items()}, Path(place))
            write(checkout.work, {name: new for name, (_, new) in files.items()})
            return await changes_of(checkout)

    changes = {change.path.decode(): change for change in asyncio.run(commit_files())}
    assert changes.keys() == {name for name, (old, new) in files.items() if old != new}
    for name, change in changes.items():
        old, new = files[name]
        assert (change.is_new, change.is_deleted) == (old is None, new is None)
        before, after = lines_of(change.removed), lines_of(change.added)
        assert before.items() <= numbered(old).items()
        assert after.items() <= numbered(new).items()
        if (old or b"")[-1:] == (new or b"")[-1:] == b"\n":
            kept = [line for at, line in numbered(old).items() if at not in before]
            assert kept == [line for at, line in numbered(new).items() if at not in after]


async def test_a_file_that_changes_its_type_is_one_change(start: Start, write: Write) -> None:
    checkout = await start({"a": "was\n", "b": "-> a", "c": "c\n"})
    write(checkout.work, {"a": "-> /etc/passwd", "b": "is\n", "c": "d\n"})
    a, b, c = await changes_of(checkout)
    assert (a.path, a.makes_link, lines_of(a.removed), lines_of(a.added)) == (
        b"a",
        True,
        {1: b"was"},
        {1: b"/etc/passwd"},
    )
    assert (b.path, b.makes_link, lines_of(b.added)) == (b"b", False, {1: b"is"})
    assert (c.path, lines_of(c.added)) == (b"c", {1: b"d"})


async def test_attributes_do_not_hide_a_file(start: Start, write: Write) -> None:
    checkout = await start({".gitattributes": "* -diff\n", "a.py": "1\n"})
    write(checkout.work, {".gitattributes": "* binary -text\n", "a.py": "2\n"})
    [_, change] = await changes_of(checkout)
    assert lines_of(change.added) == {1: b"2"}


async def test_a_link_in_place_of_the_patch_is_not_followed(start: Start, write: Write, tmp_path: Path) -> None:
    checkout = await start({"a": "1\n"})
    (tmp_path / "victim").write_text("kept")
    (checkout.directory / "diff.patch").symlink_to(tmp_path / "victim")
    write(checkout.work, {"a": "2\n"})
    assert len(await changes_of(checkout)) == 1
    assert (tmp_path / "victim").read_text() == "kept"


ENTRY = b":100644 100644 " + ZEROS + b" " + ONES + b" M\0a\0"
SECTION = [b"diff --git a/a b/a\n", b"@@ -1 +1,2 @@\n", b"-x\n", b"+y\n", b"+z\n"]


def test_a_small_patch_is_parsed() -> None:
    [change] = parse_diff(ENTRY, SECTION)
    assert (lines_of(change.removed), lines_of(change.added)) == ({1: b"x"}, {1: b"y", 2: b"z"})


@pytest.mark.parametrize(
    ("entries", "patch"),
    [
        (ENTRY, []),
        (ENTRY * 2, SECTION),
        (b"", SECTION),
        (ENTRY, SECTION[1:]),
        (ENTRY, SECTION[:-1]),
        (ENTRY, [*SECTION[:3], b" y\n", b"+z\n"]),
    ],
)
def test_a_diff_that_git_would_not_write_is_refused(entries: bytes, patch: list[bytes]) -> None:
    with pytest.raises(UnreadableDiff):
        parse_diff(entries, patch)


def test_many_short_hunks_take_little_memory() -> None:
    hunks = (line for at in range(200_000) for line in (b"@@ -%d +%d @@\n" % (at, at), b"-\n", b"+\n"))
    [change] = parse_diff(ENTRY, iter([SECTION[0], *hunks]))
    assert change.added.line_at(199_999) == 199_999
    assert change.added.offsets.itemsize * len(change.added.offsets) == 1_600_000


@given(
    st.lists(st.sampled_from([b"noqa", b"\n", b"x" * 70_000, b" ", b"x" * 65_000]), max_size=12), st.binary(max_size=3)
)
def test_searching_in_chunks_finds_the_same_as_one_search(words: list[bytes], end: bytes) -> None:
    side = ChangedLines()
    side.data.extend(b" ".join(words) + end)
    wanted = [match.span() for match in re.compile(rb"^noqa|qa$", re.MULTILINE).finditer(side.data)]
    found = [match.span() for match in side.find(LinePattern.of(rb"^noqa|qa$", b"qa"))]
    assert found == wanted or any(len(line) > SEARCH_CHUNK for line in side.data.split(b"\n"))
