"""Stitcher's bare mirror of a repository: updates it, and resolves branches and tags."""

import asyncio
import hashlib
import os
import re
import shutil
from pathlib import Path

from stitcherd.git import Git, GitError
from stitcherd.processes import end_all

PROTOCOLS = "file:git:http:https:ssh"
ORDINARY_NAME = re.compile(r"[A-Za-z0-9_]+([/-][A-Za-z0-9_]+)*")
FETCH_TIMEOUT_SECONDS, CLONE_TIMEOUT_SECONDS = 900.0, 3600.0
HINT_TIMEOUT_SECONDS = 30.0


class Mirror:
    """The mirror of the repository at `clone`, a path or a URL; hold `lock` while cloning it."""

    def __init__(self, git: Git, root: Path, clone: str) -> None:
        parts = re.split(r"[/:]", clone.rstrip("/").removesuffix(".git").rpartition("@")[2])
        name = f"{safe_file_name('-'.join(parts[-2:]))}-{hashlib.sha256(clone.encode()).hexdigest()[:16]}"
        self.path = root / f"{name}.git"
        self.lock = asyncio.Lock()
        self._git = git
        self.clone = clone
        self._is_clean = False

    async def fetch(self) -> None:
        """Update all branches and tags, and nothing else, from the repository. Raises GitError."""
        async with self.lock:
            if not self._is_clean:
                await self._clean_up()
            if self.path.exists():
                specs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
                words = ("fetch", "-q", "--prune", "--no-tags", "--", self.clone, *specs)
                await self._git(*words, repository=self.path, protocols=PROTOCOLS, timeout=FETCH_TIMEOUT_SECONDS)
                return
            spare = self.path.with_suffix(".new")
            shutil.rmtree(spare, ignore_errors=True)
            spare.mkdir(mode=0o700, parents=True)
            words = ("clone", "-q", "--bare", "--no-local", "--template=", "--", self.clone, str(spare))
            await self._git(*words, cwd=spare, protocols=PROTOCOLS, timeout=CLONE_TIMEOUT_SECONDS)
            spare.rename(self.path)

    async def resolve(self, ref: str) -> str:
        """Return the sha of a branch, a tag or a full sha, as of the last fetch; a branch takes precedence.

        Raises GitError.
        """
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", ref):
            names = [ref]
        else:
            await check_branch_name(self._git, ref)
            is_full = ref.startswith(("refs/heads/", "refs/tags/"))
            names = [ref] if is_full else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        for name in names if self.path.exists() else ():
            query = os.fsencode(f"{name}^{{commit}}\n")
            answer = await self._git("cat-file", "--batch-check", repository=self.path, stdin=query)
            match answer.split():
                case [sha, b"commit", _]:
                    return sha.decode()
        raise GitError(f"There is no branch or tag {ref!r} in {self.clone}{await self._default_branch_hint()}.")

    async def branches_around(self, branch: str) -> dict[str, str]:
        """Return the names and shas of a branch and of those that exclude it, as of the last fetch. Raises GitError."""
        parts = branch.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts))]
        # A plain pattern also matches all below it; one with brackets matches that name alone.
        patterns = [f"refs/heads/{parent[:-1]}[{parent[-1]}]" for parent in parents]
        words = ("for-each-ref", "--format=%(objectname) %(refname)", *patterns, f"refs/heads/{branch}")
        lines = os.fsdecode(await self._git(*words, repository=self.path)).splitlines()
        return {name.removeprefix("refs/heads/"): sha for sha, _, name in (line.partition(" ") for line in lines)}

    async def contains(self, branch: str, sha: str) -> bool:
        """Say whether a branch is at a commit or at one that descends from it, as of the last fetch."""
        try:
            await self._git("merge-base", "--is-ancestor", sha, f"refs/heads/{branch}", repository=self.path)
        except GitError:  # also where there is no such branch or commit
            return False
        return True

    async def _default_branch_hint(self) -> str:
        """Return what the repository says of its default branch now, as the end of a sentence."""
        words = ("ls-remote", "--symref", "--", self.clone, "HEAD", "refs/heads/*")
        try:
            answer = await self._git(*words, cwd=self._git.home, protocols=PROTOCOLS, timeout=HINT_TIMEOUT_SECONDS)
        except GitError:
            return ""
        if not answer:
            return ": it has no commits yet"
        found = re.match(rb"ref: refs/heads/(\S+)\tHEAD", answer)
        return f"; its default branch is {os.fsdecode(found[1])!r} (see base in stitcherd.toml)" if found else ""

    async def _clean_up(self) -> None:
        """End what an earlier daemon's git may still run here, and remove the locks of one that was killed."""
        for place in (self.path, self.path.with_suffix(".new")):
            await end_all("none: a mirror belongs to no job", place)
        for lock in (*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")):
            lock.unlink()
        self._is_clean = True


async def check_branch_name(git: Git, name: str) -> None:
    """Raise GitError for what cannot be the name of a branch, or could be taken for an option."""
    if ORDINARY_NAME.fullmatch(name):
        return  # what nearly every branch is called needs no process to check it
    if name.startswith("-"):
        raise GitError(f"{name!r} is not accepted as a branch: it starts with a dash.")
    try:
        await git("check-ref-format", f"refs/heads/{name}")
    except GitError as error:
        raise GitError(f"{name!r} is not a name that a branch can have.") from error


def safe_file_name(name: str) -> str:
    """Return a readable file name for any text; two texts may have the same one."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[-60:] or "unnamed"
