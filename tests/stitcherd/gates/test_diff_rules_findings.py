"""Tests the rules on paths, sizes and file types on single changes, each with what it must and must not find."""

import pytest

from stitcherd.gates.patch import ChangedLines, FileChange
from stitcherd.git.tree_changes import DiffStat
from tests.stitcherd.gates.changes import FILE, LINK, PROGRAM, SUBMODULE, change, found, rules


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
def test_a_protected_path_may_not_be_touched(globs: str, path: str, held: bool) -> None:
    wanted = [f"{path}: protected: the rails protect this path, and it is changed"]
    assert found(change(path, "a\n", "b\n"), paths=rules(f"protected: {globs}, gates: {{on_edit: allow}}")) == (
        wanted if held else []
    )


def test_a_path_of_any_bytes_is_matched() -> None:
    odd = FileChange(b"ci/\xff\n: x", FILE, FILE, ChangedLines(), ChangedLines())
    assert found(odd, paths=rules("protected: [ci]")) == [
        "'ci/\\\\xff\\n: x': protected: the rails protect this path, and it is changed"
    ]


EDIT = {"old": "a\n", "new": "b\n"}
NEW = {"old": None, "new": "b\n"}
GONE = {"old": "a\n", "new": None}


@pytest.mark.parametrize(
    ("may", "on_edit", "what", "sentence"),
    [
        ("may: add, ", "deny", EDIT, "a test is changed, and the rails let only people edit it"),
        ("may: add, ", "deny", GONE, "a test is deleted, and the rails let only people edit it"),
        ("may: add, ", "deny", NEW, None),
        ("may: add, ", "allow", EDIT, None),
        ("", "allow", NEW, None),
        ("", "deny", NEW, "a test is added, and the rails let only people edit it"),
        (
            "may: add, ",
            "require-approval",
            EDIT,
            "a test is changed, and the rails require the approval of a person",
        ),
    ],
)
def test_what_may_be_done_to_tests(may: str, on_edit: str, what: dict[str, str | None], sentence: str | None) -> None:
    held = rules(f"tests: {{globs: [spec/**], {may}on_edit: {on_edit}}}")
    old, new = what["old"], what["new"]
    expected = [f"spec/data.json: tests: {sentence}"] if sentence else []
    assert found(change("spec/data.json", old, new), paths=held) == expected
    assert found(change("src/data.json", old, new), paths=held) == []


@pytest.mark.parametrize(
    ("limit", "size", "sentence"),
    [
        ("files: 2", DiffStat(3, 1, 1), ".: max_diff: 3 files are changed, and the rails allow 2"),
        ("files: 2", DiffStat(2, 900, 900), None),
        ("lines: 9", DiffStat(1, 5, 5), ".: max_diff: 10 lines are changed, and the rails allow 9"),
        ("lines: 9", DiffStat(99, 5, 4), None),
    ],
)
def test_the_size_of_a_change_is_limited(limit: str, size: DiffStat, sentence: str | None) -> None:
    assert found(paths=rules(f"max_diff: {{{limit}}}"), size=size) == ([sentence] if sentence else [])


FILE_TYPES: list[tuple[FileChange, list[str]]] = [
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
    (change("b", None, "é\f\n"), []),
]


@pytest.mark.parametrize(("made", "sentence"), FILE_TYPES)
def test_links_submodules_binaries_and_modes_are_found(made: FileChange, sentence: list[str]) -> None:
    assert found(made) == [f"{made.path.decode()}: {each}" for each in sentence]
