"""The branches and tags of a mirror, read at once."""

import os
from pathlib import Path

from msgspec import Struct

from stitcherd.git import Git

BRANCHES, TAGS = "refs/heads/", "refs/tags/"


class MirrorRefs(Struct, frozen=True):
    """The shas of all branches and tags by full name; `default` is the full name of the default branch, if it exists.

    A branch is at a commit; a tag may be at any object.
    """

    shas: dict[str, str]
    default: str | None = None

    def for_clone(self) -> dict[str, str]:
        """Return what a clone gets: the tags, and the default branch."""
        return {name: sha for name, sha in self.shas.items() if name.startswith(TAGS) or name == self.default}

    def branches_around(self, branch: str) -> dict[str, str]:
        """Return the names and shas of a branch and of those that exclude it."""
        parts = branch.split("/")
        names = {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
        found = {name.removeprefix(BRANCHES): sha for name, sha in self.shas.items() if name.startswith(BRANCHES)}
        return {name: sha for name, sha in found.items() if name in names or name.startswith(f"{branch}/")}


async def read_refs(git: Git, repository: Path) -> MirrorRefs:
    """Return the branches and tags of a bare repository. Raises GitError."""
    words = ("for-each-ref", "--format=%(HEAD)%(objectname) %(refname)", BRANCHES, TAGS)
    shas, default = {}, None
    for line in os.fsdecode(await git(*words, repository=repository)).splitlines():
        sha, _, name = line[1:].partition(" ")
        shas[name] = sha
        if line.startswith("*"):
            default = name
    return MirrorRefs(shas, default)
