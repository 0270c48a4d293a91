"""Tests which changes are found to weaken checks."""

import pytest

from tests.stitcherd.gates.changes import change, found, rules

WEAKENED = [
    ("t.py", "def a(): ...\n", "@pytest.mark.skip\ndef a(): ...\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.py", "", "@pytest.mark.xfail(reason='x')\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.py", "", "x\n    raise unittest.SkipTest\n", 2, "a test is skipped or expected to fail, 1 more"),
    ("t.ts", "it('x', f)\n", "it.skip('x', f)\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.ts", "", "  xdescribe('x', f)\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t_test.go", "", "\tt.Skip()\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.ts", "", "describe.only('x')\n", 1, "a test is focused, which skips the others, 1 more"),
    ("a.py", "x\n", "x\ny  # noqa: S1\nz  # noqa\n", 2, "a linter is suppressed, 2 more"),
    ("a.js", "", "// eslint-disable-next-line\n", 1, "a linter is suppressed, 1 more"),
    ("a.rs", "", "#[allow(dead_code)]\n", 1, "a linter is suppressed, 1 more"),
    ("a.py", "x\n", "x  # type: ignore[arg-type]\n", 1, "a type checker is suppressed, 1 more"),
    ("a.ts", "", "// @ts-expect-error\n", 1, "a type checker is suppressed, 1 more"),
    ("a.py", "", "x  # pragma: no cover\n", 1, "code is excluded from coverage, 1 more"),
]


@pytest.mark.parametrize(("path", "old", "new", "line", "expected"), WEAKENED)
def test_a_weakened_check_is_found(path: str, old: str, new: str, line: int, expected: str) -> None:
    assert found(change(path, old, new)) == [f"{path}:{line}: weakened: {expected} than before"]
    assert found(change(path, new, old)) == []
    assert found(change(path, new, None), change("moved/" + path, None, new)) == []
    assert found(change("notes.md", old, new)) == []


@pytest.mark.parametrize(
    "line",
    ["exit(1)", "model.fit(x)", "items.skip(3)", "unless_skipped = 1", "assert x", "audit('skip')", "ignore = 'type'"],
)
def test_similar_text_is_not_a_weakened_check(line: str) -> None:
    assert found(change("tests/test_a.py", "x\n", f"x\n{line}\n")) == []


@pytest.mark.parametrize(
    ("path", "one"),
    [
        ("tests/test_a.py", "def test_{}():\n    pass\n"),
        ("src/a_test.go", "func Test_{}(t *testing.T) {{}}\n"),
        ("src/a.spec.ts", "  it('{}', () => {{}})\n"),
    ],
)
def test_a_removed_test_is_named(path: str, one: str) -> None:
    all_, some = "".join(map(one.format, "abcde")), one.format("a")
    [finding] = found(change(path, all_, some))
    assert finding.startswith(f"{path}:{some.count(chr(10)) + 1}: weakened: tests are removed or renamed: ")
    assert finding.endswith("and 1 more")
    assert found(change(path, all_, None), change("tests/" + path.rpartition("/")[2], None, all_)) == []
    assert found(change(path, some, all_)) == []


def test_fewer_assertions_are_counted_over_all_tests() -> None:
    more, fewer = "    assert a\n    self.assertEqual(b, c)\n", "    pass\n"
    assert found(change("tests/test_a.py", "x\n" + more, "x\n" + fewer)) == [
        "tests/test_a.py:2: weakened: the tests have fewer assertions, by 2; one was removed here"
    ]
    assert found(change("tests/test_a.py", more, fewer), change("tests/test_b.py", fewer, more)) == []
    assert found(change("src/a.py", more, fewer)) == []
    named = rules("tests: {globs: [checks/**], on_edit: allow}")
    assert len(found(change("checks/a.py", more, fewer), paths=named)) == 1


THRESHOLDS = [
    (
        "pyproject.toml",
        "fail_under = 90\n",
        "fail_under = 85.5\n",
        ":1: weakened: the threshold fail_under is lowered from 90 to 85.5",
    ),
    ("pyproject.toml", "x\nfail_under = 90\n", "x\n", ":2: weakened: the threshold fail_under 90 is removed"),
    (
        "Makefile",
        "t --cov-fail-under=90\n",
        "t --cov-fail-under=9\n",
        ":1: weakened: the threshold fail-under is lowered from 90 to 9",
    ),
    (".github/ci.yml", "- '--cov-fail-under', '80'\n", "", ":1: weakened: the threshold fail-under 80 is removed"),
    (
        "package.json",
        '"branches": 80\n',
        '"branches": 70\n',
        ":1: weakened: the threshold branches is lowered from 80 to 70",
    ),
    ("pyproject.toml", "fail_under = 80\n", "fail_under = 90\n", None),
    ("a.py", "fail_under = 90\n", "fail_under = 80\n", None),
    ("docs/x.md", "fail_under = 90\n", "", None),
]


@pytest.mark.parametrize(("path", "old", "new", "expected"), THRESHOLDS)
def test_a_lowered_threshold_is_found(path: str, old: str, new: str, expected: str | None) -> None:
    assert found(change(path, old, new)) == ([path + expected] if expected else [])


def test_a_threshold_may_move_to_another_file() -> None:
    threshold = "fail_under = 90\n"
    assert found(change("setup.cfg", threshold, ""), change("pyproject.toml", "", "[x]\n" + threshold)) == []
