"""Bounds on what a rails file may hold, so that none takes long to load: each fault has its place."""

import time
from itertools import count

import pytest

from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.sizes import GLOBS_MAX, LIST_MAX, TEXT_MAX
from tests.stitcherd.rails.contexts import SMALL

START = "version: 1\n"


def items(count: int, form: str = "x{}") -> str:
    return ", ".join(form.format(number) for number in range(count))


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        (f"paths: {{protected: [src, {'a' * 256}]}}", 2, 26, "an item of protected must have at most 255 characters"),
        (f"paths: {{protected: ['{'*a' * 17}']}}", 2, 21, "a glob may have 16 stars, and this one has 17"),
        (f"paths: {{tests: {{globs: ['{'*a' * 17}']}}}}", 2, 25, "a glob may have 16 stars, and this one has 17"),
        (f"paths: {{gates: {{add: ['!{'*a' * 17}']}}}}", 2, 23, "a glob may have 16 stars, and this one has 17"),
        (f"people: {{a: {{users: [{items(LIST_MAX + 1, 'x:y')}]}}}}", 2, 5022, "a list may have 1000 entries"),
        (f"gates: {{{items(LIST_MAX + 1, 'g{}: {{run: [x]}}')}}}", 2, 17906, "a mapping may have 1000 entries"),
        (f"report: {{status: {'a' * (TEXT_MAX + 1)}}}", 2, 10, "a text may have 16384 characters"),
        (f"gates: {{g: {{run: [{'a' * (TEXT_MAX + 1)}]}}}}", 2, 19, "a text may have 16384 characters"),
        (
            f"report: {{status: &long {'a' * TEXT_MAX}, explain_denials_to: [{', '.join(['*long'] * 64)}]}}",
            *(2, 18, "more than 1048576 characters in all, aliases counted in full"),
        ),
        (
            "paths: {protected: [&long " + "a" * 255 + f", {', '.join(['*long'] * (GLOBS_MAX // 255))}]}}",
            *(2, 9, "the globs of this file have more than 65536 characters in all"),
        ),
    ],
    ids=count(),
)
def test_what_is_too_long_is_refused_at_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(RailsError) as refused:
        parse_rails(START + text)
    assert refused.value.message.startswith(message)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_a_file_at_the_limits_loads_within_seconds() -> None:
    glob = "**/" + "*a" * 14 + "b" * 100
    globs = items(GLOBS_MAX // len(glob) // 2, f"'{glob}'")
    started = time.process_time()
    rails = parse_rails(
        START + f"paths: {{protected: [{globs}], tests: {{globs: [{globs}]}}}}\ngates: {{g: {{run: [x]}}}}"
    )
    pattern = rails.gates["g"].paths.protected
    assert pattern is not None
    assert not pattern.match("a" * 4000)
    assert time.process_time() - started < 8


def test_many_faults_are_found_within_seconds() -> None:
    gates, wrong = items(LIST_MAX, "gate{}: {{run: [x]}}"), items(LIST_MAX, "gatx{}")
    started = time.process_time()
    with pytest.raises(RailsError, match="did you mean gate0") as refused:
        parse_rails(SMALL.replace("needs:", f"gates: [{wrong}], needs:") + f"gates: {{{gates}}}\n")
    assert 10 <= len(refused.value.faults) <= 100
    assert time.process_time() - started < 12  # without a limit on faults it is more than 20
