"""rails.yaml, from text to the rulebook that it means, or to all that is wrong with it."""

import fcntl
import hashlib
import os
import signal
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from msgspec import structs
from pydantic import ValidationError

from shared.api import RailsFault
from stitcherd.config.yaml_nodes import YamlError, YamlNode, parse_yaml
from stitcherd.rails.compile import compile_rails
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.schema import RailsFile
from stitcherd.rails.validate import (
    broken_references,
    profiles_without_executor,
    unenforceable_profiles,
    unmetered_budgets,
    unsupported,
)
from stitcherd.rails.wording import empty_values, fault_of

# merged from stitcherd.rails.faults: What is wrong with a rails file, said with the place where it stands.


class RailsError(Exception):
    """A rails file that cannot come into force; reads `rails.yaml:34:17: what is wrong`.

    `line`, `column` (both from 1) and `message` are those of the first fault; `others` holds all of them, in
    the order of the file.
    """

    def __init__(self, name: str, faults: Iterable[RailsFault]) -> None:
        self.name = name
        self.others = sorted(faults, key=lambda fault: (fault.line, fault.column))
        first = self.others[0]
        self.line = first.line
        self.column = first.column
        self.message = first.message
        super().__init__(f"{name}:{first.line}:{first.column}: {first.message}")


class BeingWritten(RailsError):
    """The file is open for writing, so what it holds may be half of what it will."""


MAX_BYTES = 2**20  # bytes


def load_rails(
    path: Path,
    *,
    secret_names: frozenset[str] = frozenset(),
    private: Collection[Path] = (),
    facts: RuntimeFacts | None = None,
) -> CompiledRails:
    """Return the rulebook of a file; raises RailsError, also where it cannot be read."""
    return parse_rails(read_rails(path), name=path.name, secret_names=secret_names, private=private, facts=facts)


def read_rails(path: Path) -> str:
    """Return the text of a file as it is while nobody writes it; raises RailsError, BeingWritten among them."""
    try:
        content = _read_bytes(path)
        return content.decode()
    except BlockingIOError as error:
        raise BeingWritten(path.name, [RailsFault(1, 1, "somebody is still writing it")]) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RailsError(path.name, [RailsFault(1, 1, f"cannot be read: {reason}")]) from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RailsError(path.name, [RailsFault(line, 1, "not UTF-8 text")]) from error


def parse_rails(
    text: str,
    *,
    name: str = "rails.yaml",
    secret_names: frozenset[str] = frozenset(),
    private: Collection[Path] = (),
    facts: RuntimeFacts | None = None,
) -> CompiledRails:
    """Return the rulebook of a text; raises RailsError with every fault that could be found.

    `secret_names` are the environment variables that hold secrets: no agent and no gate may be given one;
    `private` are the paths that no sandbox may be shown, besides those that nobody's may; with `facts` it is also asked
    whether the executors can hold their agents to what the file says.
    """
    content = text.encode(errors="surrogatepass")
    if len(content) > MAX_BYTES:
        raise RailsError(name, [RailsFault(1, 1, f"longer than {MAX_BYTES // 2**20} MiB")])
    try:
        root = _mapping(parse_yaml(text))
    except YamlError as error:
        raise RailsError(name, [error.fault]) from error
    rails = _validated(root, name)
    if faults := list(broken_references(rails, root, secret_names, private)):
        raise RailsError(name, faults)
    revision = f"r-{hashlib.sha256(content).hexdigest()[:8]}"
    rulebook = compile_rails(rails, root, text=text, revision=revision, warnings=tuple(unsupported(rails, root)))
    if facts is None:
        return rulebook
    if faults := list(unenforceable_profiles(rulebook, root, facts)):
        raise RailsError(name, faults)
    found = sorted(
        [
            *rulebook.warnings,
            *profiles_without_executor(rulebook, root, facts),
            *unmetered_budgets(rulebook, root, facts),
        ],
        key=lambda it: (it.line, it.column),
    )
    return structs.replace(rulebook, warnings=tuple(found))


def with_defaults(text: str) -> dict[str, Any]:
    """Return what a text that loads says, with every default written out; raises RailsError."""
    return _validated(_mapping(parse_yaml(text)), "rails.yaml").model_dump(mode="json", by_alias=True)


def _read_bytes(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe would have us wait for somebody to write
    try:
        _exclude_writers(file)
        return os.read(file, MAX_BYTES + 1)
    finally:
        os.close(file)


def _exclude_writers(file: int) -> None:
    """Keep writers out until the file is closed; raise BlockingIOError where one is in already.

    A read lease (fcntl(2)) is given only while nobody has the file open for writing, and makes whoever would open
    it wait. The kernel reports that waiter by a signal, SIGIO unless told otherwise, which would end the process;
    SIGURG is ignored. Files that take no lease (another owner's, some network file systems) are read as they are.
    """
    fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        raise
    except OSError:
        return


def _mapping(root: YamlNode | None) -> YamlNode:
    if root is None or root.value in (None, "", {}):
        raise YamlError(1, 1, "empty: rails need at least version: 1")
    if not isinstance(root.value, dict):
        raise YamlError(root.line, root.column, "rails are keys with values, and begin with version: 1")
    return root


def _validated(root: YamlNode, name: str) -> RailsFile:
    faults = empty_values(root)
    try:
        rails = RailsFile.model_validate(root.plain())
    except ValidationError as error:
        empty = {(fault.line, fault.column) for fault in faults}
        said = (fault_of(each, root) for each in error.errors())
        faults += [fault for fault in said if (fault.line, fault.column) not in empty]
    if faults:
        raise RailsError(name, faults)
    return rails
