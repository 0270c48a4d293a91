"""Writes the repositories of an attempt with objects of a mirror: Stitcher's own, the agent's, and those for gates.

`git clone` takes several processes for each, and copies objects that need no copy.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from msgspec.structs import replace

from stitcherd.git import GitFailed
from stitcherd.git.mirror import Mirror
from stitcherd.git.repository_files import SHA256_LENGTH, NewRepository, copy_objects, write_repository

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


async def write_own_repository(path: Path, mirror: Mirror, base: str) -> None:
    """Write a bare repository, detached at a commit, that finds the objects of the mirror there. Raises GitError."""
    await _write(path, mirror, base, NewRepository(head=base, bare=True, alternates=(mirror.objects,)))


async def write_full_clone(path: Path, mirror: Mirror, base: str, branch: str) -> None:
    """Write a repository on a branch at a commit, with a copy of all objects. Raises GitError.

    Neither hard links nor alternates lead from it into the mirror.
    """
    refs = {**(await mirror.refs()).for_clone(), f"refs/heads/{branch}": base}
    await _write(path, mirror, base, NewRepository(head=f"ref: refs/heads/{branch}", refs=refs))
    async with mirror.lock:  # nothing is repacked meanwhile
        await run_on_disk(copy_objects, mirror.objects, path / "objects")


async def write_shared_clone(path: Path, mirror: Mirror, sha: str, alternates: tuple[Path, ...]) -> None:
    """Write a repository, detached at a commit, that finds its objects in other directories. Raises GitError."""
    refs = (await mirror.refs()).for_clone()
    await _write(path, mirror, sha, NewRepository(head=sha, refs=refs, alternates=alternates))


async def run_on_disk(
    function: Callable[Parameters, Value], *args: Parameters.args, **named: Parameters.kwargs
) -> Value:
    """Call a function that reads and writes files, in a thread. Raises GitFailed where it raises OSError."""
    try:
        return await asyncio.to_thread(function, *args, **named)
    except OSError as error:
        raise GitFailed(f"The files of a repository cannot be written: {error}") from error


async def _write(path: Path, mirror: Mirror, sha: str, new: NewRepository) -> None:
    shallow = mirror.path / "shallow"
    boundary = shallow.read_bytes() if shallow.exists() else None
    new = replace(new, is_sha256=len(sha) == SHA256_LENGTH, shallow=boundary)
    await run_on_disk(write_repository, path, new)
