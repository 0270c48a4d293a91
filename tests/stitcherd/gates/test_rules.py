"""Each rule on a change, both ways: what it finds, and what looks like it and is none."""

import difflib
from collections.abc import Callable
from typing import Any

import pytest

from stitcherd.gates.diff_rules import check_changes
from stitcherd.gates.patch import ChangedLines, FileChange
from stitcherd.gates.secrets import find_secrets
from stitcherd.git.checkout import DiffStat
from stitcherd.rails.compiled import PathRules
from stitcherd.rails.load import parse_rails
from tests.stitcherd.rails.contexts import CONTEXT

FILE, PROGRAM, LINK, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o160000
SMALL = DiffStat(1, 1, 1)
FREE = PathRules()
PLAIN: Callable[[bytes], bytes] = bytes


def rules(paths: str) -> PathRules:
    text = f"version: 1\npaths: {{{paths}}}\ngates: {{scope: {{builtin: diff-rules}}}}\n"
    return parse_rails(text, CONTEXT).gates["scope"].paths


def change(path: str, old: str | None, new: str | None, old_mode: int = FILE, new_mode: int = FILE) -> FileChange:
    before, after = (old or "").splitlines(keepends=True), (new or "").splitlines(keepends=True)
    removed, added = ChangedLines(), ChangedLines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for side, lines, first, last in ((removed, before, a, b), (added, after, c, d)):
            if tag != "equal" and first != last:
                side.offsets.append(len(side.data))
                side.numbers.append(first + 1)
                side.data.extend("".join(lines[first:last]).encode())
    modes = 0 if old is None else old_mode, 0 if new is None else new_mode
    return FileChange(path.encode(), *modes, removed, added)


def found(*changes: FileChange, paths: PathRules = FREE, size: DiffStat = SMALL) -> list[str]:
    return [str(each) for each in check_changes(changes, size, paths)]


@pytest.mark.parametrize(
    ("globs", "path", "held"),
    [
        ("[.github/**]", ".github/workflows/ci.yml", True),
        ("[.github/**]", ".github", False),
        ("[.github/**]", "x/.github/ci.yml", False),
        ("[.github/**]", ".GitHub/ci.yml", True),
        ('["**/CODEOWNERS"]', "CODEOWNERS", True),
        ('["**/CODEOWNERS"]', "docs/CODEOWNERS", True),
        ('["**/CODEOWNERS"]', "docs/NOCODEOWNERS", False),
        ("[ci]", "ci/run", True),
        ("[ci/]", "ci/run", True),
        ("[ci]", "cipher", False),
        ('["*.lock"]', "a/b.lock", True),
        ('["**", "!docs/**"]', "docs/a", False),
        ('["**", "!docs/**"]', "src/a", True),
        ('["**", "!docs"]', "docs/a", False),
    ],
)
def test_a_protected_path(globs: str, path: str, held: bool) -> None:
    wanted = [f"{path}: protected: the rails protect this path, and it is changed"]
    assert found(change(path, "a\n", "b\n"), paths=rules(f"protected: {globs}")) == (wanted if held else [])


def test_a_path_of_any_bytes_is_matched() -> None:
    odd = FileChange(b"ci/\xff\n: x", FILE, FILE, ChangedLines(), ChangedLines())
    assert found(odd, paths=rules("protected: [ci]")) == [
        "'ci/\\\\xff\\n: x': protected: the rails protect this path, and it is changed"
    ]


EDIT = {"old": "a\n", "new": "b\n"}
NEW = {"old": None, "new": "b\n"}
GONE = {"old": "a\n", "new": None}


@pytest.mark.parametrize(
    ("may", "on_edit", "what", "said"),
    [
        ("may: add, ", "deny", EDIT, "a test is changed, and the rails let nobody but people edit it"),
        ("may: add, ", "deny", GONE, "a test is deleted, and the rails let nobody but people edit it"),
        ("may: add, ", "deny", NEW, None),
        ("may: add, ", "allow", EDIT, None),
        ("", "allow", NEW, None),
        ("", "deny", NEW, "a test is added, and the rails let nobody but people edit it"),
        (
            "may: add, ",
            "require-approval",
            EDIT,
            "a test is changed, and the rails want a person to approve of that",
        ),
    ],
)
def test_what_may_be_done_to_tests(may: str, on_edit: str, what: dict[str, Any], said: str | None) -> None:
    held = rules(f"tests: {{globs: [spec/**], {may}on_edit: {on_edit}}}")
    assert found(change("spec/data.json", **what), paths=held) == ([f"spec/data.json: tests: {said}"] if said else [])
    assert found(change("src/data.json", **what), paths=held) == []


@pytest.mark.parametrize(
    ("limit", "size", "said"),
    [
        ("files: 2", DiffStat(3, 1, 1), ".: max_diff: 3 files are changed, and the rails allow 2"),
        ("files: 2", DiffStat(2, 900, 900), None),
        ("lines: 9", DiffStat(1, 5, 5), ".: max_diff: 10 lines are changed, and the rails allow 9"),
        ("lines: 9", DiffStat(99, 5, 4), None),
    ],
)
def test_how_big_a_change_may_be(limit: str, size: DiffStat, said: str | None) -> None:
    assert found(paths=rules(f"max_diff: {{{limit}}}"), size=size) == ([said] if said else [])


KINDS: list[tuple[FileChange, list[str]]] = [
    (change("l", None, "../x", FILE, LINK), ["symlink: a symbolic link to '../x' is added; links are made by people"]),
    (change("l", "a", "b", LINK, LINK), ["symlink: a symbolic link to 'b' is changed; links are made by people"]),
    (change("l", "a\n", "b", FILE, LINK), ["symlink: a symbolic link to 'b' is changed; links are made by people"]),
    (change("l", "a", None, LINK), []),
    (change("l", "a", "b\n", LINK, FILE), []),
    (change("s", "", "", SUBMODULE, SUBMODULE), ["submodule: a submodule is changed; submodules are pinned by people"]),
    (change("s", "", None, SUBMODULE), ["submodule: a submodule is deleted; submodules are pinned by people"]),
    (change(".gitmodules", "", ""), ["submodule: a submodule is changed; submodules are pinned by people"]),
    (change("x", "", "", FILE, PROGRAM), ["mode: the mode of the file goes from 644 to 755"]),
    (change("x", "", "", PROGRAM, FILE), ["mode: the mode of the file goes from 755 to 644"]),
    (change("x", None, "a\n", FILE, PROGRAM), ["note: mode: the new file is executable"]),
    (change("x", "a\n", None, PROGRAM), []),
    (change("b", None, "a\0"), ["binary: the file is not text, so nobody can review it"]),
    (change("b", "a\n", "a\0\n"), ["binary: the file is not text, so nobody can review it"]),
    (change("b", "a\0", "b\0"), []),
    (change("b", "a\0", None), []),
    (change("b", None, "é\x01\n"), []),
]


@pytest.mark.parametrize(("made", "said"), KINDS)
def test_the_kind_of_a_file(made: FileChange, said: list[str]) -> None:
    assert found(made) == [f"{made.path.decode()}: {each}" for each in said]


LONG = "aZ3kq9Xw" * 8
TOKENS = [
    f"ghp_{LONG[:36]}",
    f"github_pat_{LONG[:22]}_{LONG[:59]}",
    f"glpat-{LONG[:20]}",
    "AKIAQ3EGWZ5N7UJ2KXRT",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    f"sk-ant-api03-{LONG}",
    f"sk-proj-{LONG}",
    f"sk-{LONG[:48]}",
    f"xoxb-123456789012-123456789012-{LONG[:24]}",
    f"sk_live_{LONG[:24]}",
    f"AIza{LONG[:35]}",
    f"npm_{LONG[:36]}",
    f"pypi-AgEIcHlwaS5vcmc{LONG}",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("line", ["{}", "key = '{}'", "https://x:{}@forge", "A={};"])
def test_a_secret_is_found_and_not_repeated(token: str, line: str) -> None:
    [finding] = find_secrets(change("a.env", "1\n2\n", f"1\n2\n{line.format(token)}\n"), PLAIN)
    assert str(finding).startswith("a.env:3: secret: ")
    assert token[4:] not in str(finding)


@pytest.mark.parametrize(
    "line",
    [
        "ghp_" + "x" * 36,
        "ghp_tooshort",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "task-" + LONG,
        "sk-" + "0" * 48,
        "xoxb-your-token-here",
        "npm_config_registry",
        "d41d8cd98f00b204e9800998ecf8427e" * 2,
        f"sha512-{LONG}{LONG}==",
    ],
)
def test_what_is_no_secret(line: str) -> None:
    assert list(find_secrets(change("a.env", None, line + "\n"), PLAIN)) == []


def test_a_secret_that_leaves_is_none() -> None:
    assert list(find_secrets(change("a.env", TOKENS[0] + "\n", "x\n"), PLAIN)) == []


def test_a_configured_secret_is_found_by_its_value() -> None:
    made = change("a.env", None, "one\ntwo hunter22 three\n")
    [finding] = find_secrets(made, lambda data: data.replace(b"hunter22", b"[secret]"))
    assert str(finding) == "a.env:2: secret: a secret of stitcherd.toml is written here"


WEAKENED = [
    ("t.py", "def a(): ...\n", "@pytest.mark.skip\ndef a(): ...\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.py", "", "@pytest.mark.xfail(reason='x')\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.py", "", "x\n    raise unittest.SkipTest\n", 2, "a test is skipped or expected to fail, 1 more"),
    ("t.ts", "it('x', f)\n", "it.skip('x', f)\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.ts", "", "  xdescribe('x', f)\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t_test.go", "", "\tt.Skip()\n", 1, "a test is skipped or expected to fail, 1 more"),
    ("t.ts", "", "describe.only('x')\n", 1, "a test is singled out, which switches the others off, 1 more"),
    ("a.py", "x\n", "x\ny  # noqa: S1\nz  # noqa\n", 2, "a linter is silenced, 2 more"),
    ("a.js", "", "// eslint-disable-next-line\n", 1, "a linter is silenced, 1 more"),
    ("a.rs", "", "#[allow(dead_code)]\n", 1, "a linter is silenced, 1 more"),
    ("a.py", "x\n", "x  # type: ignore[arg-type]\n", 1, "a type checker is silenced, 1 more"),
    ("a.ts", "", "// @ts-expect-error\n", 1, "a type checker is silenced, 1 more"),
    ("a.py", "", "x  # pragma: no cover\n", 1, "code is left out of the coverage, 1 more"),
]


@pytest.mark.parametrize(("path", "old", "new", "line", "said"), WEAKENED)
def test_a_weakened_check(path: str, old: str, new: str, line: int, said: str) -> None:
    assert found(change(path, old, new)) == [f"{path}:{line}: weakened: {said} than before"]
    assert found(change(path, new, old)) == []
    assert found(change(path, new, None), change("moved/" + path, None, new)) == []
    assert found(change("notes.md", old, new)) == []


@pytest.mark.parametrize(
    "line",
    ["exit(1)", "model.fit(x)", "items.skip(3)", "unless_skipped = 1", "assert x", "audit('skip')", "ignore = 'type'"],
)
def test_what_weakens_nothing(line: str) -> None:
    assert found(change("tests/test_a.py", "x\n", f"x\n{line}\n")) == []


@pytest.mark.parametrize(
    ("path", "one"),
    [
        ("tests/test_a.py", "def test_{}():\n    pass\n"),
        ("src/a_test.go", "func Test_{}(t *testing.T) {{}}\n"),
        ("src/a.spec.ts", "  it('{}', () => {{}})\n"),
    ],
)
def test_a_test_that_is_gone_is_named(path: str, one: str) -> None:
    all_, some = "".join(map(one.format, "abcde")), one.format("a")
    [said] = found(change(path, all_, some))
    assert said.startswith(f"{path}:{some.count(chr(10)) + 1}: weakened: tests are removed or renamed: ")
    assert said.endswith("and 1 more")
    assert found(change(path, all_, None), change("tests/" + path.rpartition("/")[2], None, all_)) == []
    assert found(change(path, some, all_)) == []


def test_fewer_assertions_are_counted_over_all_tests() -> None:
    more, fewer = "    assert a\n    self.assertEqual(b, c)\n", "    pass\n"
    assert found(change("tests/test_a.py", "x\n" + more, "x\n" + fewer)) == [
        "tests/test_a.py:2: weakened: the tests assert less, by 2: what stood here is gone"
    ]
    assert found(change("tests/test_a.py", more, fewer), change("tests/test_b.py", fewer, more)) == []
    assert found(change("src/a.py", more, fewer)) == []
    named = rules("tests: {globs: [checks/**], on_edit: allow}")
    assert len(found(change("checks/a.py", more, fewer), paths=named)) == 1


FLOORS = [
    (
        "pyproject.toml",
        "fail_under = 90\n",
        "fail_under = 85.5\n",
        ":1: weakened: the floor fail_under is lowered from 90 to 85.5",
    ),
    ("pyproject.toml", "x\nfail_under = 90\n", "x\n", ":2: weakened: the floor fail_under 90 is gone"),
    (
        "Makefile",
        "t --cov-fail-under=90\n",
        "t --cov-fail-under=9\n",
        ":1: weakened: the floor fail-under is lowered from 90 to 9",
    ),
    (".github/ci.yml", "- '--cov-fail-under', '80'\n", "", ":1: weakened: the floor fail-under 80 is gone"),
    (
        "package.json",
        '"branches": 80\n',
        '"branches": 70\n',
        ":1: weakened: the floor branches is lowered from 80 to 70",
    ),
    ("pyproject.toml", "fail_under = 80\n", "fail_under = 90\n", None),
    ("a.py", "fail_under = 90\n", "fail_under = 80\n", None),
    ("docs/x.md", "fail_under = 90\n", "", None),
]


@pytest.mark.parametrize(("path", "old", "new", "said"), FLOORS)
def test_a_lowered_floor(path: str, old: str, new: str, said: str | None) -> None:
    assert found(change(path, old, new)) == ([path + said] if said else [])


def test_a_floor_may_move() -> None:
    floor = "fail_under = 90\n"
    assert found(change("setup.cfg", floor, ""), change("pyproject.toml", "", "[x]\n" + floor)) == []
