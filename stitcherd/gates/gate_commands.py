"""What the commands of gates name inside a repository: files, Python modules, and where modules are imported from."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from stitcherd.gates.gate_files import fold_name

# Python programs whose command has the name of their module, and those with another name.
PYTHON_TOOLS = frozenset(
    {
        *("bandit", "behave", "black", "coverage", "django", "doctest", "flake8", "green", "isort", "mypy", "nose"),
        *("nose2", "nox", "pip", "pip_audit", "poetry", "pycodestyle", "pydocstyle", "pyflakes", "pylint", "pyright"),
        *("pytest", "ruff", "stestr", "tox", "twisted", "unittest", "uv", "ward", "xdoctest"),
    }
)
_MODULE_OF = {"py.test": "pytest", "trial": "twisted", "pip-audit": "pip_audit", "nosetests": "nose", "pip3": "pip"}
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*w?(?:\.exe)?\Z|coverage\Z", re.IGNORECASE)
_DIRECTORY_OPTIONS = frozenset(("-s", "-t", "-C", "cd", "discover", "--start-directory", "--top-level-directory"))
_DIRECTORY_PREFIXES = ("PYTHONPATH=", "--pythonpath=", "--directory=", "--start-directory=", "--top-level-directory=")
_SHELL = re.compile(r"[\s;&|()<>\"'`]+")


class NamedByCommands(Struct, frozen=True):
    """What commands name.

    `files` are paths, folded as by `fold_name`; a directory is there with the file that runs when Python is given the
    directory. `modules` are the top-level modules that commands run, and `import_paths` the directories that these are
    imported from, the root ("") among them.
    """

    files: frozenset[str]
    modules: frozenset[str]
    import_paths: frozenset[str]


@lru_cache(64)
def named_by_commands(commands: tuple[tuple[str, ...], ...]) -> NamedByCommands:
    """Return what the commands of gates name, each a list of arguments; a script for a shell is one argument."""
    files: set[str] = set()
    modules: set[str] = set()
    import_paths = {"", "src"}
    for argv in commands:
        words = [word for argument in argv for word in _SHELL.split(argument) if word]
        paths = [path for word in (*argv, *words) for path in _paths(word)]
        files.update(fold_name(path) for path in paths)
        files.update(fold_name(f"{path}/__main__.py") for path in paths)
        import_paths.update(posixpath.dirname(path) for path in paths if path.endswith(".py"))
        import_paths.update(_directories(words))
        for module in _modules(words):
            modules.add(module.partition(".")[0])
            files.update(map(fold_name, _module_files(module)))
    return NamedByCommands(frozenset(files), frozenset(modules), frozenset(import_paths))


def _paths(word: str) -> Iterator[str]:
    """Yield the relative paths that a word may name: as a whole, as the value of an option, before `::` or a colon."""
    whole = word.removeprefix("$PWD/").removeprefix("${PWD}/")
    values = [whole, whole.partition("=")[2], whole.lstrip("@")]
    if re.match(r"-[A-Za-z]", whole):
        values.append(whole[2:])
    for value in values:
        path = posixpath.normpath(value.partition(":")[0])
        if value and path not in {"", "."} and not path.startswith(("/", "../")) and path != "..":
            yield path


def _directories(words: Sequence[str]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        found = following if word in _DIRECTORY_OPTIONS else ""
        for prefix in _DIRECTORY_PREFIXES:
            found = found or word.removeprefix(prefix) if word.startswith(prefix) else found
        for part in found.split(":") if found else ():
            path = posixpath.normpath(part)
            if not path.startswith(("/", "..", "-")):
                yield "" if path == "." else path


def _modules(words: Iterable[str]) -> Iterator[str]:
    """Yield the modules that are run: after the first `-m` of each Python, and well-known programs by their names."""
    in_python = is_next = False
    for word in words:
        name = posixpath.basename(word)
        if is_next:
            yield word
            in_python = is_next = False
        elif _PYTHON.match(name):
            in_python = True
        elif in_python and word.startswith("-m"):
            is_next = word == "-m"
            if not is_next:
                yield word[2:]
        if (tool := _MODULE_OF.get(name, name)) in PYTHON_TOOLS:
            yield tool


def _module_files(module: str) -> Iterator[str]:
    path = module.replace(".", "/")
    yield f"{path}.py"
    yield f"{path}/__main__.py"
    while path:
        yield f"{path}/__init__.py"
        path = posixpath.dirname(path)
