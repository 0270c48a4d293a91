"""The position in a list of a forge: which of its items are new; pure. Times are in milliseconds since 1970."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from stitcherd.forges.base import FeedItem

OVERLAP = 120_000  # an item may become visible that long after the time that it names


class Position(Struct, frozen=True, kw_only=True):
    """How far a list was read.

    Nothing from before `began` is new. The newest change that was seen is that at `since`, and `seen` has the times of
    the items, by id, that were seen and are listed again because of the overlap.
    """

    began: int
    since: int
    seen: Mapping[str, int] = {}

    @property
    def asked_since(self) -> int:
        """The time since which changes are asked for."""
        return self.since - OVERLAP

    def is_new(self, item: FeedItem) -> bool:
        """Say whether an item was created since; one that only was edited is not new."""
        return item.created_at >= max(self.began, self.asked_since) and item.id not in self.seen

    def after(self, items: Iterable[FeedItem]) -> "Position":
        """Return the position after all items of the list were read."""
        read = tuple(items)
        since = max((self.since, *(item.updated_at for item in read)))
        seen = {**self.seen, **{item.id: item.created_at for item in read}}
        kept = {id_: at for id_, at in seen.items() if at >= since - OVERLAP}
        return Position(began=self.began, since=since, seen=kept)


def first_position(now: int) -> Position:
    """Return the position of a list that was never read: what happens from now on is new."""
    began = now - now % 1000  # forges tell times in seconds
    return Position(began=began, since=began)


def encode_position(position: Position) -> str:
    """Return a position as it is stored."""
    return msgspec.json.encode(position).decode()


def decode_position(text: str) -> Position:
    """Return a stored position; raises msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Position)
