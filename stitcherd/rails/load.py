"""Loads rails.yaml: from a file or a text to compiled rails, or to every fault that could be found."""

import fcntl
import hashlib
import os
import signal
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.api import RailsFault
from shared.locations import RAILS_FILE
from stitcherd.config.errors import KeyPath, describe_error, keys_of
from stitcherd.config.yaml_nodes import YAML_FORMAT, YamlError, YamlNode, parse_yaml
from stitcherd.rails.compile import compile_rails
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.schema import RailsFile
from stitcherd.rails.sizes import oversized_parts
from stitcherd.rails.validate import (
    RailsContext,
    check_executors,
    check_references,
    executor_warnings,
    file_warnings,
    silent_source_warnings,
    unasked_permission_warnings,
    unknown_source_warnings,
)

MAX_FILE_BYTES = 2**20
MAX_FAULTS = 50  # that are reported: suggesting the right name for each takes some milliseconds


class RailsError(Exception):
    """Rails that cannot be used; reads `rails.yaml:34:17: what is wrong`.

    `line`, `column` (both from 1) and `message` are those of the first fault; `faults` has all of them, in the
    order of the file.
    """

    def __init__(self, name: str, faults: Iterable[RailsFault]) -> None:
        self.name = name
        self.faults = sorted(faults, key=_position)
        first = self.faults[0]
        self.line = first.line
        self.column = first.column
        self.message = first.message
        super().__init__(self.lines[0])

    @property
    def lines(self) -> list[str]:
        """One line for each fault."""
        return [f"{self.name}:{fault.line}:{fault.column}: {fault.message}" for fault in self.faults]


class RailsBeingWritten(RailsError):
    """Another process has the file open for writing, so its content may be incomplete."""


def load_rails(path: Path, context: RailsContext = RailsContext()) -> CompiledRails:  # noqa: B008 (immutable)
    """Return the compiled rails of a file; raises RailsError, also if it cannot be read."""
    return parse_rails(read_rails(path), context, name=path.name)


def read_rails(path: Path) -> str:
    """Return the text of a file while no process writes to it; raises RailsError, or RailsBeingWritten."""
    try:
        content = _read_bytes(path)
        return content.decode()
    except BlockingIOError as error:
        raise RailsBeingWritten(path.name, [RailsFault(1, 1, "another process is still writing it")]) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RailsError(path.name, [RailsFault(1, 1, f"cannot be read: {reason}")]) from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RailsError(path.name, [RailsFault(line, 1, "not UTF-8 text")]) from error


def parse_rails(
    text: str,
    context: RailsContext = RailsContext(),  # noqa: B008 (immutable)
    *,
    name: str = RAILS_FILE,
) -> CompiledRails:
    """Return the compiled rails of a text; raises RailsError with every fault that could be found."""
    content = text.encode(errors="surrogatepass")
    if len(content) > MAX_FILE_BYTES:
        raise RailsError(name, [RailsFault(1, 1, f"longer than {MAX_FILE_BYTES // 2**20} MiB")])
    root = _parse_mapping(text, name)
    file = _validate(root, name)
    if faults := list(islice(check_references(file, root, context), MAX_FAULTS)):
        raise RailsError(name, faults)
    rails = compile_rails(file, root, text=text, digest=hashlib.sha256(content).hexdigest())
    warnings = [*file_warnings(file, root, context.builtins)]
    warnings += unknown_source_warnings(file, root, context.sources)
    warnings += silent_source_warnings(file, root, context.silent_sources)
    warnings += unasked_permission_warnings(file, root, context.asked)
    if context.facts is not None:
        if faults := list(check_executors(rails, root, context.facts)):
            raise RailsError(name, faults)
        warnings += executor_warnings(rails, root, context.facts)
    return replace(rails, warnings=tuple(sorted(warnings, key=_position)))


def with_defaults(text: str) -> dict[str, Any]:
    """Return the content of a valid text, with every default written out; raises RailsError."""
    return _validate(_parse_mapping(text, RAILS_FILE), RAILS_FILE).model_dump(mode="json", by_alias=True)


def _position(fault: RailsFault) -> tuple[int, int]:
    return fault.line, fault.column


def _read_bytes(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a named pipe would wait for a writer
    try:
        _exclude_writers(file)
        return os.read(file, MAX_FILE_BYTES + 1)
    finally:
        os.close(file)


def _exclude_writers(file: int) -> None:
    """Keep writers out until the file is closed; raise BlockingIOError if one has it open.

    The kernel grants a read lease (fcntl(2)) only while no process has the file open for writing, and blocks
    whoever opens it for writing. It reports that process by a signal: SIGIO by default, which would terminate us,
    so SIGURG is chosen, which is ignored. Files that support no lease (another owner's, some network file systems)
    are read without one.
    """
    fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        raise
    except OSError:
        return


def _parse_mapping(text: str, name: str) -> YamlNode:
    try:
        root = parse_yaml(text)
    except YamlError as error:
        raise RailsError(name, [error.fault]) from error
    if root is None or root.value in (None, "", {}):
        raise RailsError(name, [RailsFault(1, 1, "empty: rails need at least version: 1")])
    if not isinstance(root.value, dict):
        message = "rails must be a mapping that begins with version: 1"
        raise RailsError(name, [RailsFault(root.line, root.column, message)])
    return root


def _validate(root: YamlNode, name: str) -> RailsFile:
    if oversized := list(islice(oversized_parts(root), MAX_FAULTS)):
        raise RailsError(name, oversized)
    faults = list(islice(_empty_values(root), MAX_FAULTS))
    try:
        file = RailsFile.model_validate(root.plain())
    except ValidationError as invalid:
        empty = {_position(fault) for fault in faults}
        found = validation_faults(invalid, root, RailsFile)
        faults += [fault for fault in found if _position(fault) not in empty]
    if faults:
        raise RailsError(name, faults)
    return file


def _empty_values(root: YamlNode) -> Iterator[RailsFault]:
    """Yield a fault for every key or item without a value; a whole section may be empty."""
    for path, node, place in root.leaves():
        if node.value is None and len(path) > 1:
            yield RailsFault(*place, f"{YAML_FORMAT.key(path)} has no value: write one, or remove it")


def validation_faults(invalid: ValidationError, root: YamlNode, model: type[BaseModel]) -> list[RailsFault]:
    """Return the faults of a document that was validated by a model, MAX_FAULTS at most."""
    return [_fault(error, root, model) for error in islice(invalid.errors(), MAX_FAULTS)]


def _fault(error: ErrorDetails, root: YamlNode, model: type[BaseModel]) -> RailsFault:
    path: KeyPath = error["loc"]
    if path[-1:] == ("[key]",):
        path = path[:-1]
        line, column = root.key_at(path)
    elif error["type"] in {"extra_forbidden", "missing"}:
        line, column = root.key_at(path)
    else:
        node = root.at(path)
        line, column = node.line, node.column
    return RailsFault(line, column, describe_error(error, path, keys_of(model, path[:-1]), YAML_FORMAT))
