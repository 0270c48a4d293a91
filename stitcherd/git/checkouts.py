"""All mirrors and all checkouts below the state directory: who opens an attempt's, and who clears them away."""

from contextlib import suppress
from pathlib import Path

from stitcherd.git import Git, GitFailed
from stitcherd.git.checkout import Checkout
from stitcherd.git.erasing import erase
from stitcherd.git.mirror import Mirror, check_branch


class Checkouts:
    """The two directories of this name, which only one daemon may hold at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._git = Git.at(self._root / "git")
        self._mirrors: dict[str, Mirror] = {}

    async def fetch(self, clone: str) -> None:
        """Make or update the mirror of the repository at `clone`, a path or a URL. Raises GitFailed."""
        await self._mirror(clone).fetch()

    async def pin(self, clone: str, ref: str) -> str:
        """Return the sha that a branch, a tag or a whole sha stood for at the last fetch. Raises GitFailed."""
        return await self._mirror(clone).pin(ref)

    async def open(self, job_id: str, attempt: int, clone: str | None, base: str | None, branch: str) -> Checkout:
        """Return the new checkout of an attempt: an own clone on `branch` at the sha `base`, without remotes.

        Without a repository its work tree is an empty directory. What a crash left in its place is deleted.
        Raises GitFailed.
        """
        directory = self.directory(job_id) / str(attempt)
        await erase(directory)
        directory.mkdir(mode=0o700, parents=True)
        if clone is None or base is None:
            checkout = Checkout(self._git, directory)
        else:
            await check_branch(self._git, branch)
            checkout = Checkout(self._git, directory, self._mirror(clone), base)
        checkout.tmp.mkdir()
        checkout.work.mkdir()
        if checkout.mirror:
            await checkout.start(branch)
        return checkout

    def left(self, job_id: str, attempt: int, clone: str | None, base: str | None) -> Checkout:
        """Return the checkout that an earlier daemon opened for an attempt; raises GitFailed where it is not there."""
        checkout = Checkout(
            self._git,
            self.directory(job_id) / str(attempt),
            None if clone is None or base is None else self._mirror(clone),
            None if clone is None else base,
        )
        if not checkout.work.is_dir():
            raise GitFailed("The checkout is not there any more.")
        return checkout

    def directory(self, job_id: str) -> Path:
        """Return the job's own directory: whatever runs below it is the job's."""
        return self._root / "checkouts" / job_id

    def set_aside(self, job_id: str) -> str:
        """Move the checkouts of a job out of sight, at once, and return the name under which `remove` deletes them."""
        name = f".done-{job_id}"
        with suppress(FileNotFoundError):
            self.directory(job_id).rename(self.directory(name))
        return name

    async def remove(self, job_id: str) -> None:
        """Delete the checkouts of all attempts of a job; to be called when nothing of it runs any more."""
        await erase(self.directory(job_id))

    def _mirror(self, clone: str) -> Mirror:
        if clone not in self._mirrors:
            self._mirrors[clone] = Mirror(self._git, self._root / "mirrors", clone)
        return self._mirrors[clone]
