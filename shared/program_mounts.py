"""Says which directories a sandbox has to show so that a program, and the interpreter that runs it, can start there."""

import os
import shutil
from pathlib import Path

SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")  # most of them lead into /usr
SYSTEM_DIRECTORIES = ("/usr", *SYSTEM_LINKS)  # what a sandbox shows without mounts
_SHEBANG_MAX = 256  # bytes


def needed_mounts(program: str) -> tuple[str, ...]:
    """Return what a sandbox has to show besides the system, so that PATH leads to the program and to what runs it.

    `program` is the path of a file. A directory that contains the home is left out, since it may not be shown.
    """
    programs = [program]
    if interpreter := _interpreter(program):
        programs.append(interpreter)
    folders = [folder for each in programs for folder in (Path(each).parent.absolute(), _folder(Path(each).resolve()))]
    needed = list(dict.fromkeys(folder for folder in folders if _is_mount(folder)))
    return tuple(
        str(each) for each in needed if not any(each != other and each.is_relative_to(other) for other in needed)
    )


def _folder(program: Path) -> Path:
    """Return the directory of a program; for one of npm the outermost node_modules, where what it needs may be."""
    parts = program.parts
    return Path(*parts[: parts.index("node_modules") + 1]) if "node_modules" in parts else program.parent


def _is_mount(folder: Path) -> bool:
    """Return whether a directory is not shown anyway, and may be: one that contains the home may not."""
    if any(folder.resolve().is_relative_to(Path(each).resolve()) for each in SYSTEM_DIRECTORIES):
        return False
    home = os.environ.get("HOME")
    return str(folder).isprintable() and not (home and Path(home).resolve().is_relative_to(folder.resolve()))


def _interpreter(program: str) -> str | None:
    """Return the program that `#!/usr/bin/env NAME` of a script starts, if it is on PATH."""
    try:
        with Path(program).open("rb") as file:
            words = file.read(_SHEBANG_MAX).split(b"\n")[0].split()
    except OSError:
        return None
    if words[:1] != [b"#!/usr/bin/env"]:
        return None
    names = [word for word in words[1:] if not word.startswith(b"-")]
    return shutil.which(os.fsdecode(names[0])) if names else None
