"""Answers questions about the commits of a repository, and only those that it can tell.

Git says no, and exits as if it knew, where it could not read a commit on the way (2.39 does for `merge-base` and for
`--contains`). So a no counts only if the whole history that it is about can be read.
"""

import os
from pathlib import Path

from msgspec import Struct

from stitcherd.git import Git, GitFailed
from stitcherd.git.refs import BRANCHES, TAGS

NO = 1  # an exit status: git-merge-base(1)
NO_INDEX = "no-index"  # a file that does not exist stands for an empty index


class History(Struct, frozen=True):
    """The commits of a bare repository. All methods raise GitFailed where what they must read cannot be read."""

    git: Git
    repository: Path

    async def find_commit(self, name: str) -> str | None:
        """Return the sha of the commit at a full ref or a full sha, None where there is none."""
        sha = await self._look_up(name)
        if sha is None:
            await self.check()
        return sha

    async def is_ancestor(self, sha: str, of: str) -> bool:
        """Say whether a commit is another one, which must be there, or an ancestor of it; both are full shas."""
        try:
            await self.git("merge-base", "--is-ancestor", sha, of, repository=self.repository)
        except GitFailed as error:
            if error.code != NO and (error.code is None or await self.find_commit(sha) is not None):
                raise
            await self.check(of)
            return False
        return True

    async def has_arrived(self, sha: str, of: str) -> bool:
        """Say whether a commit is there by now, and another one or an ancestor of it.

        That is for who waits: a no may be wrong, since nothing is read to make sure of it.
        """
        if await self._look_up(sha) is None:
            return False
        try:
            await self.git("merge-base", "--is-ancestor", sha, of, repository=self.repository)
        except GitFailed as error:
            if error.code != NO:
                raise
            return False
        return True

    async def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor of two commits, None for histories that share none."""
        try:
            return (await self.git("merge-base", one, other, repository=self.repository)).decode().strip()
        except GitFailed as error:
            if error.code != NO:
                raise
            await self.check(one, other)
            return None

    async def refs_with(self, sha: str) -> list[str]:
        """Return the full names of branches and tags that contain a commit."""
        words = ("for-each-ref", "--format=%(refname)", "--contains", sha, BRANCHES, TAGS)
        found = os.fsdecode(await self.git(*words, repository=self.repository)).splitlines()
        if not found:
            await self.check()
        return found

    async def check(self, *commits: str) -> None:
        """Read all ancestors of the commits, by default of all refs."""
        await self.git("rev-list", "--quiet", *(commits or ("--all",)), "--", repository=self.repository)

    async def check_files(self, commit: str) -> None:
        """Read all files of a commit."""
        words = ("diff-index", "--cached", "--shortstat", "--no-renames", "--no-ext-diff", "--no-textconv", commit)
        await self.git(*words, "--", repository=self.repository, index=self.repository / NO_INDEX)

    async def _look_up(self, name: str) -> str | None:
        query = os.fsencode(f"{name}^{{commit}}\n")
        answer = await self.git("cat-file", "--batch-check", repository=self.repository, stdin=query)
        match answer.split():
            case [sha, b"commit", _]:
                return sha.decode()
        return None
