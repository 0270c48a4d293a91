"""rails.yaml, from text to the rulebook that it means, or to all that is wrong with it."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from shared.models import RailsFault
from stitcherd.rails.compiling import compiled
from stitcherd.rails.faults import Misread, RailsError
from stitcherd.rails.nodes import Node, read
from stitcherd.rails.references import references
from stitcherd.rails.rulebook import Rulebook
from stitcherd.rails.schema import Rails
from stitcherd.rails.unenforced import warnings
from stitcherd.rails.wording import empty_values, fault_of

LONGEST = 2**20  # bytes


def load(path: Path, *, secret_names: frozenset[str] = frozenset()) -> Rulebook:
    """Return the rulebook of a file; raises RailsError, also where it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        text = content.decode()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RailsError(path.name, [RailsFault(1, 1, f"cannot be read: {reason}")]) from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RailsError(path.name, [RailsFault(line, 1, "not UTF-8 text")]) from error
    return parse(text, name=path.name, secret_names=secret_names)


def parse(text: str, *, name: str = "rails.yaml", secret_names: frozenset[str] = frozenset()) -> Rulebook:
    """Return the rulebook of a text; raises RailsError with every fault that could be found.

    `secret_names` are the environment variables that hold secrets: no agent and no gate may be given one.
    """
    content = text.encode(errors="surrogatepass")
    if len(content) > LONGEST:
        raise RailsError(name, [RailsFault(1, 1, f"longer than {LONGEST // 2**20} MiB")])
    try:
        root = _mapping(read(text))
    except Misread as error:
        raise RailsError(name, [error.fault]) from error
    rails = _rails(root, name)
    if faults := list(references(rails, root, secret_names)):
        raise RailsError(name, faults)
    revision = f"r-{hashlib.sha256(content).hexdigest()[:8]}"
    return compiled(rails, root, text=text, revision=revision, warnings=tuple(warnings(rails, root)))


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
