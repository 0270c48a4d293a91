"""rails.yaml, from text to the rulebook that it means, or to all that is wrong with it."""

import fcntl
import hashlib
import os
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import structs
from pydantic import ValidationError

from shared.house import RailsFault
from stitcherd.rails.closure import idle, unheld, unmetered
from stitcherd.rails.compiling import compiled
from stitcherd.rails.faults import BeingWritten, Misread, RailsError
from stitcherd.rails.feasible import Facts
from stitcherd.rails.nodes import Node, read
from stitcherd.rails.references import references
from stitcherd.rails.rulebook import Rulebook
from stitcherd.rails.schema import Rails
from stitcherd.rails.unenforced import warnings
from stitcherd.rails.wording import empty_values, fault_of

LONGEST = 2**20  # bytes


def load(
    path: Path,
    *,
    secret_names: frozenset[str] = frozenset(),
    private: Collection[Path] = (),
    facts: Facts | None = None,
) -> Rulebook:
    """Return the rulebook of a file; raises RailsError, also where it cannot be read."""
    return parse(read_text(path), name=path.name, secret_names=secret_names, private=private, facts=facts)


def read_text(path: Path) -> str:
    """Return the text of a file as it is while nobody writes it; raises RailsError, BeingWritten among them."""
    try:
        content = _bytes(path)
        return content.decode()
    except BlockingIOError as error:
        raise BeingWritten(path.name, [RailsFault(1, 1, "somebody is still writing it")]) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RailsError(path.name, [RailsFault(1, 1, f"cannot be read: {reason}")]) from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RailsError(path.name, [RailsFault(line, 1, "not UTF-8 text")]) from error


def parse(
    text: str,
    *,
    name: str = "rails.yaml",
    secret_names: frozenset[str] = frozenset(),
    private: Collection[Path] = (),
    facts: Facts | None = None,
) -> Rulebook:
    """Return the rulebook of a text; raises RailsError with every fault that could be found.

    `secret_names` are the environment variables that hold secrets: no agent and no gate may be given one;
    `private` are the paths that no sandbox may be shown, besides those that nobody's may; with `facts` it is also asked
    whether the executors can hold their agents to what the file says.
    """
    content = text.encode(errors="surrogatepass")
    if len(content) > LONGEST:
        raise RailsError(name, [RailsFault(1, 1, f"longer than {LONGEST // 2**20} MiB")])
    try:
        root = _mapping(read(text))
    except Misread as error:
        raise RailsError(name, [error.fault]) from error
    rails = _rails(root, name)
    if faults := list(references(rails, root, secret_names, private)):
        raise RailsError(name, faults)
    revision = f"r-{hashlib.sha256(content).hexdigest()[:8]}"
    rulebook = compiled(rails, root, text=text, revision=revision, warnings=tuple(warnings(rails, root)))
    if facts is None:
        return rulebook
    if faults := list(unheld(rulebook, root, facts)):
        raise RailsError(name, faults)
    found = sorted(
        [*rulebook.warnings, *idle(rulebook, root, facts), *unmetered(rulebook, root, facts)],
        key=lambda it: (it.line, it.column),
    )
    return structs.replace(rulebook, warnings=tuple(found))


def in_full(text: str) -> dict[str, Any]:
    """Return what a text that loads says, with every default written out; raises RailsError."""
    return _rails(_mapping(read(text)), "rails.yaml").model_dump(mode="json", by_alias=True)


def _bytes(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a named pipe would have us wait for somebody to write
    try:
        _exclude_writers(file)
        return os.read(file, LONGEST + 1)
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


def _mapping(root: Node | None) -> Node:
    if root is None or root.value in (None, "", {}):
        raise Misread(1, 1, "empty: rails need at least version: 1")
    if not isinstance(root.value, dict):
        raise Misread(root.line, root.column, "rails are keys with values, and begin with version: 1")
    return root


def _rails(root: Node, name: str) -> Rails:
    faults = empty_values(root)
    try:
        rails = Rails.model_validate(root.plain())
    except ValidationError as error:
        empty = {(fault.line, fault.column) for fault in faults}
        said = (fault_of(each, root) for each in error.errors())
        faults += [fault for fault in said if (fault.line, fault.column) not in empty]
    if faults:
        raise RailsError(name, faults)
    return rails
