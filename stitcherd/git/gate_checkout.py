"""The checkout in which the gates of one try check a commit; each gate finds it as if it were the first."""

from pathlib import Path
from typing import Self

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout
from stitcherd.git.snapshot import DirectorySnapshot


class GateCheckout:
    """A checkout of a commit, in which preparation commands may run once before the first gate."""

    def __init__(self, checkout: Checkout, path: Path, name: str, sha: str) -> None:
        self.path = path
        self._checkout = checkout
        self._name = name
        self._sha = sha
        self._is_used = False
        self._snapshot: DirectorySnapshot | None = None

    @classmethod
    async def create(cls, checkout: Checkout, name: str, sha: str) -> Self:
        """Check a commit out; an earlier checkout of the same name is deleted. Raises GitError."""
        return cls(checkout, await checkout.check_out(name, sha), name, sha)

    async def keep_prepared(self, *, several: bool) -> None:
        """Keep the ignored files that are there now for every gate.

        `several` says that more than one gate will use the checkout; for a single one no copy is made. Raises
        GitError and OSError.
        """
        await self._checkout.reset(self.path, self._sha, keep_ignored=True)
        if several:
            self._snapshot = DirectorySnapshot(self.path, self.path.with_name(f"kept-{self.path.name}"))
            await self._snapshot.take()

    async def renew(self) -> None:
        """Undo what an earlier gate changed, also in ignored files. Raises GitError and OSError."""
        if self._is_used:
            await self._restore()
        self._is_used = True

    async def close(self) -> None:
        """Delete the snapshot; the checkout itself stays."""
        if self._snapshot:
            await self._snapshot.remove()

    async def _restore(self) -> None:
        if self._snapshot:
            await self._snapshot.restore()
            return
        try:
            await self._checkout.reset(self.path, self._sha)
        except GitError:  # git cannot delete directories without write permission
            await self._checkout.check_out(self._name, self._sha)
