"""Repeats what git could not do because the mirror of a repository is damaged, once that has been cloned anew."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from stitcherd.git import GitFailed
from stitcherd.git.mirror import Mirror, is_on_demand

Value = TypeVar("Value")


class Repairs(Struct, eq=False):
    """The mirror that an attempt finds objects in, and notes for the log of its job about what was repaired.

    `commits` are those whose files it needs, and `ref` is where the first was found, which a clone of the repository
    may not have. An attempt has its mirror cloned anew only once.
    """

    mirror: Mirror | None = None
    ref: str = ""
    commits: tuple[str, ...] = ()
    notes: list[str] = []
    is_used: bool = False

    async def run(self, work: Callable[[], Awaitable[Value]]) -> Value:
        """Return what `work` returns; do it again with a new mirror where git failed and the mirror is damaged.

        Raises GitError.
        """
        times_cloned = self.mirror.times_cloned if self.mirror else 0
        try:
            return await work()
        except GitFailed as error:
            if self.mirror is None or self.is_used:
                raise
            self.notes.append(await self.mirror.repair(error, self.commits, times_cloned))
            self.is_used = True
            if is_on_demand(self.ref):
                await self.mirror.fetch_ref(self.ref)
            return await work()

    def take_notes(self) -> str:
        """Return the notes that nobody has written to the log yet."""
        notes, self.notes = self.notes, []
        return "".join(notes)
