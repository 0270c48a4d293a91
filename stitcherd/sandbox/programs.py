"""Says why a program cannot be started, inside a sandbox or without one: what a sandbox does not show is missing there.

Inside a sandbox the error of a missing program is only a line of its output, which the command itself could print.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from stitcherd.sandbox.bubblewrap import SandboxSpec, visible_directories


def start_fault(
    program: str, sandbox: SandboxSpec | None, *, search_path: str, directories: Iterable[Path] = ()
) -> str | None:
    """Return why a program cannot be started, as a sentence; None if nothing is known against it.

    `search_path` is the PATH of the command. `directories` are those that a sandbox shows besides its mounts, and the
    first is the working directory; without any, a program relative to it is not checked.
    """
    shown = list(directories)
    visible = [each.resolve() for each in (*visible_directories(sandbox), *shown)] if sandbox else [Path("/")]
    if "/" in program:
        if not program.startswith("/") and not shown:
            return None
        candidates = [Path(*shown[:1], program)]
    else:
        candidates = [Path(directory, program) for directory in search_path.split(os.pathsep) if directory]
    found = [path for path in candidates if path.exists()]
    inside = [
        path for path in found if _is_below(path.parent.resolve(), visible) and _is_below(path.resolve(), visible)
    ]
    if any(shutil.which(str(path)) for path in inside):
        return None
    if inside:
        return f"{program} cannot be started: it is not executable."
    if found:
        return f"{program} cannot be started: the sandbox does not show {found[0].resolve()}; add it to mounts."
    return f"{program} cannot be started: there is no such program."


def _is_below(path: Path, directories: Iterable[Path]) -> bool:
    return any(path.is_relative_to(directory) for directory in directories)
