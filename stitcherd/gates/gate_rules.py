"""Finds changes of what decides a gate: files that are loaded by name, and modules in the place of others."""

import posixpath
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Literal

from stitcherd.gates.gate_commands import PYTHON_TOOLS, NamedByCommands
from stitcherd.gates.gate_files import fold_name, is_gate_file
from stitcherd.gates.patch import DiffFinding, FileChange

OnEdit = Literal["allow", "require-approval", "deny"]
ON_EDIT = {
    "deny": "the rails let only people edit it",
    "require-approval": "the rails require the approval of a person",
}

_MODULE_SUFFIXES = (".py", ".pyc", ".so", ".pyd")
_TEST_DIRECTORIES = frozenset(("test", "tests", "testing", "spec", "specs", "__tests__"))  # tests import from them
# Modules that Python and its tools import without being named; a directory `test` is of the project itself.
_LOADED_MODULES = (
    (sys.stdlib_module_names - {"test"})
    | PYTHON_TOOLS
    | {
        *("_pytest", "astroid", "attr", "colorama", "exceptiongroup", "execnet", "hypothesis", "iniconfig", "mccabe"),
        *(
            "mypy_extensions",
            "mypyc",
            "packaging",
            "pathspec",
            "pkg_resources",
            "platformdirs",
            "pluggy",
            "py",
            "pygments",
        ),
        *("pytest_asyncio", "pytest_cov", "pytest_django", "pytest_mock", "setuptools", "tomli", "typing_extensions"),
        *("virtualenv", "wheel", "xdist"),
    }
)


def find_gate_file(
    change: FileChange, path: str, *, named: NamedByCommands, is_added: bool, on_edit: OnEdit, action: str
) -> Iterator[DiffFinding]:
    """Yield a finding for a file that decides a gate; `is_added` says that the rails add it to those that do."""
    if on_edit == "allow":
        return
    if is_gate_file(path):
        why = "gates or tools load this file by its name"
    elif is_added:
        why = "the rails count this file among those that decide gates"
    elif fold_name(path) in named.files:
        why = "the command of a gate names this file"
    elif change.is_new and _replaces_loaded_module(path, named):
        why = "Python loads this file in place of its own module or a tool's"
    else:
        return
    sentence = f"{why}; it is {action}, and {ON_EDIT[on_edit]}"
    yield DiffFinding(change.path, None, "gates", sentence, asks=on_edit != "deny")


def find_shadowing(
    change: FileChange, path: str, *, named: NamedByCommands, own: AbstractSet[str]
) -> Iterator[DiffFinding]:
    """Yield a finding for a new file that is loaded in place of a module which a gate runs.

    `own` has the modules of the repository itself.
    """
    if not change.is_new:
        return
    directory, name = posixpath.split(path)
    shadowed = {_below(path, each) for each in named.import_paths}
    if _in_tests(directory):
        shadowed.add(_module(name))
    for module in sorted(module for module in shadowed if module in named.modules and module not in own):
        yield DiffFinding(change.path, None, "shadow", f"a gate runs {module}, and would run this file in its place")


def shadowable_paths(named: NamedByCommands) -> list[str]:
    """Return where the base may have the modules that gates run: what the repository has itself is not shadowed."""
    places = (posixpath.join(path, module) for path in sorted(named.import_paths) for module in sorted(named.modules))
    return [f"{place}{end}" for place in places for end in ("", ".py")]


def _replaces_loaded_module(path: str, named: NamedByCommands) -> bool:
    directory, name = posixpath.split(path)
    module = _module(name)
    if directory in named.import_paths:
        return module in _LOADED_MODULES
    if _in_tests(directory) and module in _LOADED_MODULES:
        return True
    above, package = posixpath.split(directory)
    if module != "__init__":
        return False
    return package in (_LOADED_MODULES if above in named.import_paths else PYTHON_TOOLS if _in_tests(above) else ())


def _below(path: str, directory: str) -> str | None:
    """Return the module that a path below a directory belongs to if modules are imported from the directory."""
    prefix = f"{directory}/" if directory else ""
    if not path.startswith(prefix):
        return None
    first, _, more = path[len(prefix) :].partition("/")
    return first if more else _module(first)


def _module(name: str) -> str | None:
    """Return the module that Python would load from a file of that name."""
    return name.partition(".")[0] if name.endswith(_MODULE_SUFFIXES) else None


def _in_tests(directory: str) -> bool:
    return not _TEST_DIRECTORIES.isdisjoint(directory.lower().split("/"))
