"""What every kind of sender offers to the door, and the three ways in which it refuses a delivery."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from stitcherd.sources.trigger import Trigger


class BadSignature(Exception):
    """Nobody who holds a secret sent these bytes; the text names the header."""


class NotJson(Exception):
    """The body cannot be read as JSON; the text says where."""


class WrongShape(Exception):
    """The body, or a header that is read with it, is not what this sender sends; the text says where."""


class Verify(Protocol):
    """Check who sent the raw bytes."""

    def __call__(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
        """Return which secret matched, from 1; raise BadSignature.

        `now` is in milliseconds since 1970, for kinds that sign a time: without it they refuse everything.
        """


class Parse(Protocol):
    """Put a delivery into the one vocabulary."""

    def __call__(
        self, headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False
    ) -> Trigger:
        """Return what the delivery says; raise NotJson or WrongShape, and nothing else.

        `source` is the name in the settings, not the kind; `form` says that the body is `payload=` in a form.
        """


class ExternalId(Protocol):
    """Read the sender's own id of a delivery."""

    def __call__(self, headers: Mapping[str, str], /) -> str | None:
        """Return the id, None where there is none that can be kept."""


class Scrub(Protocol):
    """Make a body fit to be stored."""

    def __call__(self, body: bytes, /) -> bytes:
        """Return the body without the secrets that some senders put into it; never raises."""


class Source(Struct, frozen=True, kw_only=True):
    """One kind of sender. All of it is pure: no I/O, and no clock but the one handed in.

    `headers` are case-insensitive mappings. `body_window` is for how many milliseconds the same bytes are a
    duplicate whatever their id, 0 never, None as long as ids are remembered: the rule for ids that are not
    signed. `kept_headers` are the only ones that may be stored.
    """

    kind: str
    verify: Verify
    parse: Parse
    external_id: ExternalId
    scrub: Scrub
    id_is_signed: bool
    body_window: int | None
    kept_headers: tuple[str, ...]
    content_types: frozenset[str]
