"""Deleting a directory that an agent has had: of any depth, any mode, and without following a link."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

from stitcherd import processes


async def erase(path: Path) -> None:
    """Delete a file tree, or nothing where there is none. Raises OSError."""
    if not os.path.lexists(path):
        return
    with suppress(OSError, RecursionError):
        await asyncio.to_thread(shutil.rmtree, path)  # follows no link
        return
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    delete = ("rm", "-rf", "--one-file-system", "--", str(path))
    # rm and chmod go to any depth and follow no link; directories that nobody may write are opened first.
    for argv in (delete, ("chmod", "-R", "u+rwX", "--", str(path)), delete):
        ended = await processes.capture(argv, cwd=Path("/"), env=env, timeout=600.0)
        if argv is delete and ended.exit.code == 0:
            return
    raise OSError(f"{path} cannot be deleted: {ended.stderr.decode(errors='replace').strip()}")
