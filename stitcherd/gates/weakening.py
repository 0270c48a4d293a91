"""Finds weakened checks in a change: removed or skipped tests, suppressed tools, lowered thresholds.

They are counted over the whole change, added minus removed: what only moves between files is not a finding.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from msgspec import structs

from stitcherd.gates.patch import ChangedLines, DiffFinding, FileChange, LinePattern

_PROSE_SUFFIXES = (b".md", b".rst", b".txt", b".adoc")  # documentation may mention a marker

_MARKERS = {
    "a test is skipped or expected to fail": LinePattern.of(
        rb"pytest\.mark\.(?:skip|skipif|xfail)\b|pytest\.(?:skip|xfail)\(|@(?:unittest\.)?(?:skip(?:If|Unless)?"
        rb"|expectedFailure)\b|\bSkipTest\b|\bskipTest\(|\b(?:it|test|describe|context)\.(?:skip|todo|failing)\b"
        rb"|(?<![.\w])x(?:it|test|describe)\(|\bt\.Skip(?:f|Now)?\(|#\[ignore\b|@(?:Disabled|Ignore)\b",
        *(b"kip", b"fail", b"expectedFailure", b".todo", b"xit(", b"xtest(", b"xdescribe("),
        *(b"#[ignore", b"@Disabled", b"@Ignore"),
    ),
    "a test is focused, which skips the others": LinePattern.of(rb"\b(?:it|test|describe|context)\.only\(", b".only("),
    "a linter is suppressed": LinePattern.of(
        rb"#\s*(?:ruff:\s*|flake8:\s*)?noqa\b|#\s*pylint:\s*disable|#\s*nosec\b|\beslint-disable|//\s*nolint\b"
        rb"|#!?\[(?:allow|expect)\(|@SuppressWarnings\b|\brubocop:disable\b|\bshellcheck disable=",
        *(b"noqa", b"disable", b"nosec", b"nolint", b"[allow(", b"[expect(", b"@SuppressWarnings"),
    ),
    "a type checker is suppressed": LinePattern.of(
        rb"#\s*type:\s*ignore\b|#\s*(?:pyright|mypy):\s*ignore|@ts-(?:ignore|expect-error|nocheck)\b",
        *(b"ignore", b"@ts-"),
    ),
    "code is excluded from coverage": LinePattern.of(
        rb"\bpragma:\s*no\s?cover\b|\b(?:istanbul|c8|v8) ignore\b", b"cover", b" ignore"
    ),
}

_THRESHOLD = LinePattern.of(
    rb"(fail[_-]under|min(?:imum)?_coverage|(?<=[\s\"'{])(?:branches|functions|lines|statements))"
    rb"[\"' \t:=,]{1,6}([0-9]{1,3}(?:\.[0-9]{1,6})?)(?![0-9])",
    *(b"fail_under", b"fail-under", b"_coverage", b"branches", b"functions", b"lines", b"statements"),
)
_CONFIGURATION_FILE = re.compile(
    rb"(?:^|/)(?:pyproject\.toml|setup\.(?:cfg|py)|tox\.ini|pytest\.ini|\.coveragerc|noxfile\.py|Makefile|justfile"
    rb"|package\.json|\.nycrc(?:\.json)?|(?:jest|vitest)\.config\.[a-z]+|[^/]+\.ya?ml|[^/]+\.sh)\Z"
)

_TEST_FILE = re.compile(
    rb"(?:^|/)(?:tests?|__tests__|spec)/|(?:^|/)(?:test_[^/]*|[^/]*_test|[^/]*[.-](?:test|spec))\.[A-Za-z]+\Z"
)
_TEST = LinePattern.of(
    rb"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+(test\w*)|func[ \t]+(Test\w*)|(?:it|test)\([ \t]*[\"'`]([^\"'`\n]+))",
    *(b"test", b"Test", b"it("),
)
_ASSERTION = LinePattern.of(
    rb"^[ \t]*assert\b|\bself\.assert\w+\(|\bexpect\(|\bpytest\.(?:raises|warns)\(|\b(?:debug_)?assert(?:_\w+)?!?\("
    rb"|\bt\.(?:Error|Fatal)f?\(|\b(?:require|assert)\.\w+\(",
    *(b"assert", b"expect(", b"pytest.", b"t.Error", b"t.Fatal", b"require."),
)
_NAMES_SHOWN = 3  # in a finding about removed tests; the others are counted


def find_weakened_checks(changes: Sequence[FileChange], is_test: Callable[[bytes], bool]) -> Iterator[DiffFinding]:
    """Yield a finding for each kind of check that is weakened; `is_test` marks further paths as tests."""
    code = [change for change in changes if not change.path.endswith(_PROSE_SUFFIXES) and not change.is_binary]
    tests = [change for change in code if is_test(change.path) or _TEST_FILE.search(change.path)]
    for sentence, marker in _MARKERS.items():
        yield from _added_markers(code, marker, sentence)
    yield from _removed_tests(tests)
    yield from _removed_assertions(tests)
    yield from _lowered_thresholds(change for change in code if _CONFIGURATION_FILE.search(change.path))


def _added_markers(changes: Sequence[FileChange], marker: LinePattern, sentence: str) -> Iterator[DiffFinding]:
    added = _count(marker, [change.added for change in changes])
    removed = _count(marker, [change.removed for change in changes])
    if added > removed:
        sides = ((change, change.added) for change in changes)
        yield from _first_match(sides, marker, f"{sentence}, {added - removed} more than before")


def _removed_assertions(changes: Sequence[FileChange]) -> Iterator[DiffFinding]:
    added = _count(_ASSERTION, [change.added for change in changes])
    removed = _count(_ASSERTION, [change.removed for change in changes])
    if removed > added:
        sides = ((change, change.removed) for change in changes)
        sentence = f"the tests have fewer assertions, by {removed - added}; one was removed here"
        yield from _first_match(sides, _ASSERTION, sentence)


def _removed_tests(changes: Sequence[FileChange]) -> Iterator[DiffFinding]:
    added = {name for change in changes for name, _ in _named_tests(change.added)}
    for change in changes:
        removed = [(name, offset) for name, offset in _named_tests(change.removed) if name not in added]
        if removed:
            names = [name.decode("utf-8", "replace") for name, _ in removed]
            others = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
            sentence = f"tests are removed or renamed: {', '.join(names[:_NAMES_SHOWN])}{others}"
            yield DiffFinding(change.path, change.removed.line_at(removed[0][1]), "weakened", sentence)


def _named_tests(side: ChangedLines) -> list[tuple[bytes, int]]:
    return [(match[match.lastindex or 0], match.start(match.lastindex or 0)) for match in side.find(_TEST)]


def _lowered_thresholds(changes: Iterator[FileChange]) -> Iterator[DiffFinding]:
    """Yield the thresholds that are lowered or removed; old and new ones are paired in descending order."""
    before: dict[bytes, list[tuple[float, DiffFinding]]] = defaultdict(list)
    after: dict[bytes, list[tuple[float, DiffFinding]]] = defaultdict(list)
    for change in changes:
        for side, thresholds in ((change.removed, before), (change.added, after)):
            for match in side.find(_THRESHOLD):
                # The sentence is the name of the threshold until it is compared.
                place = DiffFinding(change.path, side.line_at(match.start()), "weakened", match[1].decode())
                thresholds[match[1].replace(b"-", b"_")].append((float(match[2]), place))
    for name, old in before.items():
        old.sort(key=lambda threshold: -threshold[0])
        new = sorted(after[name], key=lambda threshold: -threshold[0])
        for index, (old_value, old_place) in enumerate(old):
            if index >= len(new):
                sentence = f"the threshold {old_place.sentence} {old_value:g} is removed"
                yield structs.replace(old_place, sentence=sentence)
            elif new[index][0] < old_value:
                value, place = new[index]
                sentence = f"the threshold {place.sentence} is lowered from {old_value:g} to {value:g}"
                yield structs.replace(place, sentence=sentence)


def _count(marker: LinePattern, sides: Iterable[ChangedLines]) -> int:
    return sum(1 for side in sides for _ in side.find(marker))


def _first_match(
    sides: Iterable[tuple[FileChange, ChangedLines]], marker: LinePattern, sentence: str
) -> Iterator[DiffFinding]:
    """Yield one finding, at the first occurrence of a marker."""
    places = ((change, side, match) for change, side in sides for match in side.find(marker))
    for change, side, match in islice(places, 1):
        yield DiffFinding(change.path, side.line_at(match.start()), "weakened", sentence)
