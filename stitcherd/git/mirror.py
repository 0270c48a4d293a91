"""Stitcher's bare copy of a repository: brought up to date, and asked which commit a name stands for."""

import asyncio
import hashlib
import os
import re
import shutil
from pathlib import Path

from stitcherd.git import Git, GitError
from stitcherd.processes import end_all

PROTOCOLS = "file:git:http:https:ssh"
FETCH_TIMEOUT_SECONDS, CLONE_TIMEOUT_SECONDS = 900.0, 3600.0  # seconds


class Mirror:
    """The mirror of the repository at `clone`, a path or a URL; who copies it as a whole holds `lock`."""

    def __init__(self, git: Git, root: Path, clone: str) -> None:
        parts = re.split(r"[/:]", clone.rstrip("/").removesuffix(".git").rpartition("@")[2])
        name = f"{safe_file_name('-'.join(parts[-2:]))}-{hashlib.sha256(clone.encode()).hexdigest()[:16]}"
        self.path = root / f"{name}.git"
        self.lock = asyncio.Lock()
        self._git = git
        self._clone = clone
        self._swept = False

    async def fetch(self) -> None:
        """Bring branches and tags to what the repository has, and nothing else. Raises GitFailed."""
        async with self.lock:
            if not self._swept:
                await self._sweep()
            if self.path.exists():
                specs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
                words = ("fetch", "-q", "--prune", "--no-tags", "--", self._clone, *specs)
                await self._git(*words, repository=self.path, protocols=PROTOCOLS, timeout=FETCH_TIMEOUT_SECONDS)
                return
            spare = self.path.with_suffix(".new")
            shutil.rmtree(spare, ignore_errors=True)
            spare.mkdir(mode=0o700, parents=True)
            words = ("clone", "-q", "--bare", "--no-local", "--template=", "--", self._clone, str(spare))
            await self._git(*words, cwd=spare, protocols=PROTOCOLS, timeout=CLONE_TIMEOUT_SECONDS)
            spare.rename(self.path)

    async def pin(self, ref: str) -> str:
        """Return the sha of a branch, a tag or a whole sha, as of the last fetch; a branch beats a tag.

        Raises GitFailed.
        """
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", ref):
            names = [ref]
        else:
            await check_branch_name(self._git, ref)
            whole = ref.startswith(("refs/heads/", "refs/tags/"))
            names = [ref] if whole else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        for name in names if self.path.exists() else ():
            wanted = os.fsencode(f"{name}^{{commit}}\n")
            said = await self._git("cat-file", "--batch-check", repository=self.path, stdin=wanted)
            match said.split():
                case [sha, b"commit", _]:
                    return sha.decode()
        raise GitError(f"There is no branch or tag {ref!r} in {self._clone}.")

    async def _sweep(self) -> None:
        # What an earlier daemon's git left here: itself, and the locks of one that was killed.
        for place in (self.path, self.path.with_suffix(".new")):
            await end_all("none: a mirror is no job's", place)
        for lock in (*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")):
            lock.unlink()
        self._swept = True


async def check_branch_name(git: Git, name: str) -> None:
    """Raise GitFailed for what cannot be the name of a branch, or would be taken for an option."""
    try:
        if not name.startswith("-"):
            await git("check-ref-format", f"refs/heads/{name}")
            return
    except GitError as fault:
        raise GitError(f"{name!r} is not a name that a branch can have.") from fault
    raise GitError(f"{name!r} is not taken for a branch: it starts with a dash.")


def safe_file_name(name: str) -> str:
    """Return a file name that people recognise; two names may come to the same."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[-60:] or "unnamed"
