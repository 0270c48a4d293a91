"""The checkout in which the gates of one try judge a commit: for each of them as if it were the first."""

from pathlib import Path

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout
from stitcherd.git.snapshot import DirectorySnapshot


class GateCheckout:
    """A fresh checkout of a commit, in which `prepare` may run once before the first gate."""

    def __init__(self, checkout: Checkout, path: Path, name: str, sha: str) -> None:
        self.path = path
        self._checkout = checkout
        self._name = name
        self._sha = sha
        self._used = False
        self._kept: DirectorySnapshot | None = None

    @classmethod
    async def make(cls, checkout: Checkout, name: str, sha: str) -> "GateCheckout":
        """Check a commit out; another tree of the same name goes. Raises GitFailed."""
        return cls(checkout, await checkout.fresh(name, sha), name, sha)

    async def prepared(self, *, again: bool) -> None:
        """Say that the ignored files which are there now are to be there for every gate.

        `again` is whether more than one gate will ask for the tree; for one alone nothing need be kept. Raises
        GitFailed and OSError.
        """
        await self._checkout.reset(self.path, self._sha, ignored_stay=True)
        if again:
            self._kept = DirectorySnapshot(self.path, self.path.with_name(f"kept-{self.path.name}"))
            await self._kept.keep()

    async def renew(self) -> None:
        """Take away whatever an earlier gate left, ignored files too. Raises GitFailed and OSError."""
        if self._used:
            await self._put_back()
        self._used = True

    async def close(self) -> None:
        """Delete what was kept for gates to come; the tree itself stays."""
        if self._kept:
            await self._kept.forget()

    async def _put_back(self) -> None:
        if self._kept:
            await self._kept.put_back()
            return
        try:
            await self._checkout.reset(self.path, self._sha)
        except GitError:  # git cannot clear away directories that nobody may write
            await self._checkout.fresh(self._name, self._sha)
