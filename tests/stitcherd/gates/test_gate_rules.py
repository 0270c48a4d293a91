"""Changes of what decides a gate: files by name, files and modules that commands name, modules in place of others."""

from pathlib import Path
from typing import Any

import pytest

from stitcherd.gates.gate_files import GATE_FILES
from tests.stitcherd.gates.changes import FILE, LINK, PROGRAM, change, found, rules

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "security.md"
PATHS = (
    "protected: [.github/**, Makefile, package.json, pyproject.toml, check.sh],"
    " tests: {globs: [tests/**, '**/*_test.*'], may: add, on_edit: deny}"
)
PYTEST = "[python, -m, pytest, -q]"
NEW: dict[str, Any] = {"old": None, "new": "x\n"}
EDITED: dict[str, Any] = {"old": "x\n", "new": "y\n"}
GONE: dict[str, Any] = {"old": "x\n", "new": None}


def verdicts(path: str, how: dict[str, Any], *commands: str, paths: str = PATHS) -> list[str]:
    """Return the rule of each finding, with ? where it asks for an approval; notes are left out."""
    all_found = [each.partition(": ")[2] for each in found(change(path, **how), paths=rules(paths, *commands))]
    return [
        each.partition(":")[0] + ("?" if "require the approval" in each else "")
        for each in all_found
        if not each.startswith("note")
    ]


BY_NAME = [
    *("conftest.py", "tests/conftest.py", "a/b/CONFTEST.py", "pytest.ini", "tox.ini", "setup.cfg", "setup.py"),
    *("noxfile.py", "sitecustomize.py", "usercustomize.py", "x.pth", ".coveragerc", "ruff.toml", "mypy.ini"),
    *(
        "GNUmakefile",
        "sub/makefile",
        "sub/Makefile",
        "rules.mk",
        "justfile",
        "Taskfile.yml",
        "Rakefile",
        "CMakeLists.txt",
    ),
    *(
        ".npmrc",
        ".yarnrc.yml",
        ".pnp.cjs",
        "sub/package.json",
        "jest.config.js",
        "a/vitest.config.mts",
        "karma.conf.js",
    ),
    *(".mocharc.json", ".eslintrc.cjs", "tsconfig.json", "node_modules/jest/index.js", "__mocks__/fs.js"),
    *("go.mod", "go.work", "vendor/modules.txt", "build.rs", "crates/x/build.rs", ".cargo/config.toml", "Cargo.toml"),
    *("pom.xml", ".mvn/extensions.xml", "gradlew", "gradle/wrapper/gradle-wrapper.properties", "build.gradle.kts"),
    *("Gemfile", ".rspec", "spec/spec_helper.rb", "composer.json", "phpunit.xml.dist", "Directory.Build.props"),
    *(
        ".gitea/workflows/x.yml",
        ".forgejo/x",
        ".gitlab-ci.yml",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".circleci/config.yml",
    ),
    *(".travis.yml", "Jenkinsfile", ".husky/pre-commit", ".pre-commit-config.yaml", "lefthook.yml", ".devcontainer/x"),
    *(".claude/settings.json", "AGENTS.md", "sub/CLAUDE.md", "GEMINI.md", ".cursor/rules/x.mdc", ".vscode/tasks.json"),
    *(".idea/runConfigurations/x.xml", ".run/x.run.xml", ".envrc", ".env", ".gitignore", ".editorconfig", "Dockerfile"),
    *("requirements.txt", "requirements/dev.txt", "uv.lock", "lib/Test/More.pm", "features/environment.py"),
    *("src/__pycache__/a.cpython-311.pyc", "venv/bin/pytest", "ma\u212aefile"),  # Kelvin sign, a K to some file systems
]


@pytest.mark.parametrize("path", BY_NAME)
@pytest.mark.parametrize("how", [NEW, EDITED, GONE], ids=["new", "edited", "deleted"])
def test_a_file_that_is_loaded_by_name_asks_whether_new_changed_or_deleted(path: str, how: dict[str, Any]) -> None:
    assert "gates?" in verdicts(path, how)
    assert verdicts(path, how, paths="") == ["gates?"], "also without any paths"


@pytest.mark.parametrize(
    "path",
    [
        *("src/main.py", "README.md", "docs/makefile-guide.md", "conftest.txt", "src/config.py", "src/package.py"),
        *(
            "lib/vendor/x.js",
            "app/tasks.py",
            "src/environment.py",
            "src/test/Main.java",
            "a/b/workflow.yml",
            "users.md",
        ),
    ],
)
@pytest.mark.parametrize("how", [NEW, EDITED, GONE], ids=["new", "edited", "deleted"])
def test_other_files_do_not_ask(path: str, how: dict[str, Any]) -> None:
    assert verdicts(path, how, paths="") == []


def test_the_documentation_lists_the_files() -> None:
    rows = [f"| {kind} | {' '.join(f'`{each}`' for each in files)} |" for kind, files in GATE_FILES.items()]
    text = DOCUMENTATION.read_text()
    table = text[text.index("### Files that decide a gate") :].partition("|---|---|\n")[2].partition("\n\n")[0]
    assert table.splitlines() == rows


@pytest.mark.parametrize(
    ("on_edit", "expected"), [("allow", []), ("require-approval", ["gates?"]), ("deny", ["gates"])]
)
@pytest.mark.parametrize("path", ["conftest.py", "ci/run", "check.sh"])
def test_the_rails_say_what_happens(path: str, on_edit: str, expected: list[str]) -> None:
    paths = f"gates: {{on_edit: {on_edit}, add: [ci]}}"
    assert verdicts(path, EDITED, "[sh, check.sh]", paths=paths) == expected


def test_what_the_rails_add_decides_a_gate() -> None:
    added = "gates: {add: ['scripts/**', '!scripts/docs/**']}"
    why = "the rails count this file among those that decide gates; it is added, and the rails require the approval"
    assert found(change("scripts/x", **NEW), paths=rules(added)) == [f"scripts/x: gates: {why} of a person"]
    assert verdicts("Scripts/x", GONE, paths=added) == ["gates?"]
    assert verdicts("scripts/docs/x", NEW, paths=added) == []
    assert verdicts("scripts/x", NEW, paths="") == []


def test_a_new_test_is_not_excused_from_deciding_a_gate() -> None:
    assert verdicts("tests/test_new.py", NEW) == []
    assert verdicts("tests/conftest.py", NEW) == ["gates?"]
    assert verdicts("tests/conftest.py", EDITED) == ["gates?", "tests"]
    assert verdicts("tests/conftest.py", {"old": "x\n", "new": "y\n"}, paths="gates: {on_edit: deny}") == ["gates"]


def test_a_protected_file_is_protected_and_nothing_else() -> None:
    assert verdicts("Makefile", EDITED) == ["protected"]
    assert verdicts(".GitHub/workflows/x.yml", NEW) == ["protected"]


def test_a_renamed_file_counts_under_both_names() -> None:
    both = (change("conftest.py", **GONE), change("moved.py", **NEW))
    assert [each.partition(":")[0] for each in found(*both, paths=rules(""))] == ["conftest.py"]


COMMANDS = [
    ("[sh, check.sh]", "check.sh"),
    ("[sh, ./check.sh]", "check.sh"),
    ("[./scripts/ci, --fast]", "scripts/ci"),
    ("[python, tools/x.py]", "tools/x.py"),
    ("[python, tools]", "tools/__main__.py"),
    ("[python3.11, -m, tools.check]", "tools/check.py"),
    ("[python, -mtools.check]", "tools/check/__main__.py"),
    ("[python, -m, tools.check]", "tools/__init__.py"),
    ("[sh, -c, 'set -e; sh ci/check.sh && ./run']", "ci/check.sh"),
    ("[sh, -c, 'set -e; sh ci/check.sh && ./run']", "run"),
    ("[bash, -c, '\"$PWD/ci/check.sh\"']", "ci/check.sh"),
    ("[pytest, --config-file=ci/strict.toml]", "ci/strict.toml"),
    ("[pytest, -cci/strict.toml]", "ci/strict.toml"),
    ("[pytest, 'tests/test_a.py::test_b']", "tests/test_a.py"),
    ("[grep, -f, forbidden.txt, -r, src]", "forbidden.txt"),
    ("[java, '@options.txt']", "options.txt"),
    ("[make, -f, build/rules]", "build/rules"),
    ("[sh, Check.sh]", "check.SH"),
]


@pytest.mark.parametrize(("command", "path"), COMMANDS)
def test_what_the_command_of_a_gate_names_decides_it(command: str, path: str) -> None:
    assert "gates?" in verdicts(path, EDITED, command, paths="")
    assert "gates?" in verdicts(path, GONE, command, paths="")
    assert verdicts(path, EDITED, paths="") == []


@pytest.mark.parametrize("path", ["src/a.py", "docs/check.sh", "sh", "etc/passwd", "x/../check.sh"])
def test_what_is_below_a_named_directory_or_outside_is_not_named(path: str) -> None:
    commands = ("[ruff, check, src]", "[/bin/sh, -c, 'cat /etc/passwd ../check.sh']")
    assert verdicts(path, EDITED, *commands, paths="") == []


SHADOWS = [
    (PYTEST, "pytest.py"),
    (PYTEST, "pytest/__init__.py"),
    (PYTEST, "pytest/anything.txt"),
    (PYTEST, "pytest.cpython-311-x86_64-linux-gnu.so"),
    (PYTEST, "src/pytest.py"),
    (PYTEST, "tests/pytest.py"),
    (PYTEST, "tests/unit/pytest.py"),
    ("[pytest, -q]", "pytest.py"),
    ("[py.test]", "pytest.py"),
    ("[uv, run, pytest]", "pytest/__init__.py"),
    ("[sh, -c, 'cd api && exec python3 -m pytest']", "api/pytest.py"),
    ("[python, -m, unittest, discover, -s, checks]", "checks/unittest.py"),
    ("[python, -m, unittest]", "unittest/case.py"),
    ("[/usr/bin/python3.11, -munittest]", "unittest.py"),
    ("[coverage, run, -m, pytest]", "coverage.py"),
    ("[coverage, run, -m, pytest]", "pytest.py"),
    ("[env, 'PYTHONPATH=lib:api', python, -m, pytest]", "lib/pytest.py"),
    ("[ruff, check, .]", "ruff.py"),
    ("[python, -m, acme_lint.cli]", "acme_lint/cli.py"),
]


@pytest.mark.parametrize(("command", "path"), SHADOWS)
def test_a_new_file_in_place_of_a_module_that_a_gate_runs_is_refused(command: str, path: str) -> None:
    assert "shadow" in verdicts(path, NEW, command, paths="gates: {on_edit: allow}")
    assert "shadow" not in verdicts(path, EDITED, command, paths="gates: {on_edit: allow}")
    assert "shadow" not in verdicts(path, NEW, "[make, test]", paths="")


@pytest.mark.parametrize(
    "path", ["tests/unittest/test_a.py", "docs/pytest/x.md", "src/app/pytest.py", "test_pytest.py", "pytest.md"]
)
def test_a_file_of_a_like_name_elsewhere_is_not_refused(path: str) -> None:
    assert verdicts(path, NEW, PYTEST, "[python, -m, unittest]", paths="") == []


def test_a_module_of_the_repository_itself_is_not_shadowed() -> None:
    gate = rules("gates: {on_edit: allow}", "[python, -m, acme.check]")
    new = change("acme/new.py", **NEW)
    assert found(new, paths=gate) == [
        "acme/new.py: shadow: a gate runs acme, and would run this file in its place",
    ]
    assert found(new, paths=gate, own=frozenset({"acme"})) == []


@pytest.mark.parametrize(
    "path", ["json.py", "random/__init__.py", "src/logging.py", "tests/json.py", "pluggy.py", "xdist/__init__.py"]
)
def test_a_new_file_in_place_of_a_module_of_python_or_its_tools_asks(path: str) -> None:
    assert verdicts(path, NEW, paths="") == ["gates?"]
    assert verdicts(path, EDITED, paths="") == []


@pytest.mark.parametrize(
    "path", ["src/app/json.py", "src/app/types.py", "test/__init__.py", "json/data.txt", "json.js"]
)
def test_a_module_that_python_finds_only_in_its_package_does_not_ask(path: str) -> None:
    assert verdicts(path, NEW, paths="") == []


@pytest.mark.parametrize("path", [".gitattributes", "sub/.gitattributes", ".GitAttributes"])
@pytest.mark.parametrize("how", [NEW, EDITED, GONE], ids=["new", "edited", "deleted"])
def test_attributes_of_git_are_set_by_people(path: str, how: dict[str, Any]) -> None:
    for paths in ("", "gates: {on_edit: allow}"):
        (sentence,) = found(change(path, **how), paths=rules(paths))
        assert sentence.startswith(f"{path}: attributes: git attributes are ")


@pytest.mark.parametrize("path", ["sub/.gitmodules", ".GitModules"])
def test_the_list_of_submodules_is_found_in_any_directory(path: str) -> None:
    assert verdicts(path, NEW, paths="") == ["submodule"]


@pytest.mark.parametrize(("old_mode", "new_mode"), [(FILE, LINK), (LINK, FILE), (FILE, PROGRAM)])
def test_a_change_of_the_kind_of_such_a_file_asks_too(old_mode: int, new_mode: int) -> None:
    made = change("Makefile", "x\n", "x\n", old_mode, new_mode)
    assert any(": gates: " in each for each in found(made, paths=rules("")))
