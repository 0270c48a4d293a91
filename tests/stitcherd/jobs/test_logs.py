"""A step's log: whole, or its head and its tail."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from stitcherd.jobs.logs import StepLog, log_path

NOTE = re.compile(rb"\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n")


@settings(deadline=None, max_examples=60)
@given(st.integers(8, 400), st.lists(st.integers(0, 300), max_size=12))
def test_the_head_and_the_tail_are_kept(limit: int, sizes: list[int]) -> None:
    numbers = iter(range(1_000_000))
    written = b""
    with TemporaryDirectory() as directory:
        path = log_path(Path(directory), "job", 1, 2)
        log = StepLog(path, limit)
        for size in sizes:
            piece = b"".join(b"%d," % next(numbers) for _ in range(size // 4))
            log.write(piece)
            written += piece
            assert sum(file.stat().st_size for file in path.parent.glob("*")) <= limit
        log.close()
        assert list(path.parent.glob("*")) == [path] * bool(written), "no other file is left"
        kept = path.read_bytes() if written else b""
    assert log.size == len(written)
    if len(written) <= limit // 2 + limit // 4:
        assert kept == written
    left_out = NOTE.search(kept)
    if left_out is None:
        assert kept == written
    else:
        head, tail = kept[: left_out.start()], kept[left_out.end() :]
        assert head == written[: limit // 2]
        assert written.endswith(tail)
        assert len(tail) >= limit // 4
        assert len(head) + int(left_out[1]) + len(tail) == len(written)


def test_a_log_is_a_file_from_its_first_byte_on(tmp_path: Path) -> None:
    path = log_path(tmp_path, "job", 3, 1)
    assert path == tmp_path / "logs" / "job" / "3" / "1.log"
    log = StepLog(path, 100)
    assert list(tmp_path.iterdir()) == []
    log.write(b"x")
    assert path.read_bytes() == b"x"
    log.close()
    StepLog(path.with_name("2.log"), 100).close()
    assert not path.with_name("2.log").exists()
