"""Repeats what git could not do because the mirror of a repository is damaged, once that has been cloned anew."""

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from stitcherd.git import GitError
from stitcherd.git.mirror import Mirror, is_on_demand

Value = TypeVar("Value")

# What git says of objects that are missing or cannot be read; nothing that it says of a work tree or a server.
DAMAGE = re.compile(
    r"\bbad (tree )?object\b|object directory \S+ does not exist|alternate object path|not a git repository|bad config"
    r"|(error|fatal): (index file|packfile|inflate)|unable to (read|unpack|find) |could not (read|parse)"
    r"|\b(packed|loose) object\b|object file|\bcorrupt\b|missing (blob|tree|commit)|unpack failed: (eof|index-pack)"
    r"|(failed|cannot) to read object|pack-objects died",
    re.IGNORECASE,
)


class Repairs(Struct, eq=False):
    """The mirror that a checkout finds objects in, and notes for the log of its job about what was repaired.

    `ref` is where the base of the checkout was found, which a clone of the repository may not have.
    """

    mirror: Mirror | None = None
    ref: str = ""
    notes: list[str] = []

    async def run(self, work: Callable[[], Awaitable[Value]], *, always: bool = False) -> Value:
        """Return what `work` returns; do it again with a new mirror where git failed because the mirror is damaged.

        With `always`, the mirror is held responsible whatever git says. Raises GitError.
        """
        try:
            return await work()
        except GitError as error:
            if self.mirror is None or not (always or DAMAGE.search(error.output)):
                raise
            self.notes.append(await self.mirror.renew(error))
            if is_on_demand(self.ref):
                await self.mirror.fetch_ref(self.ref)
            return await work()

    def take_notes(self) -> str:
        """Return the notes that nobody has written to the log yet."""
        notes, self.notes = self.notes, []
        return "".join(notes)
