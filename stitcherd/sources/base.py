"""The interface of a webhook sender, and the three errors it raises."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from stitcherd.sources.trigger import Trigger


class BadSignature(Exception):
    """The signature is missing or matches no secret; the message names the header."""


class NotJson(Exception):
    """The body is not valid JSON; the message says where."""


class WrongShape(Exception):
    """The body, or a header read with it, lacks a field or has one of the wrong type; the message says which."""


class Verify(Protocol):
    """Verifies the signature of a raw body."""

    def __call__(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: int = 0, /) -> int:
        """Return the number of the secret that matched, from 1; raise BadSignature.

        `now` is in milliseconds since 1970, for kinds that sign a timestamp; without it those refuse every delivery.
        """


class Parse(Protocol):
    """Parses a delivery into a trigger."""

    def __call__(
        self, headers: Mapping[str, str], body: bytes, /, *, source: str, bot: str | None, form: bool = False
    ) -> Trigger:
        """Return the normalised delivery; raise NotJson or WrongShape, and nothing else.

        `source` is the name in the settings, not the kind; with `form` the body is a form with the JSON in `payload`.
        """


class ReadDeliveryId(Protocol):
    """Reads the sender's own id of a delivery."""

    def __call__(self, headers: Mapping[str, str], /) -> str | None:
        """Return the id, or None if there is none that can be stored."""


class Scrub(Protocol):
    """Removes secrets from a body before it is stored."""

    def __call__(self, body: bytes, /) -> bytes:
        """Return the body without the secrets that some senders include; never raise."""


class Source(Struct, frozen=True, kw_only=True):
    """One kind of webhook sender. Everything in it is pure: no I/O, and no clock but the `now` passed in.

    `headers` are case-insensitive mappings. `body_window` is for how many milliseconds an identical body counts as a
    duplicate whatever its id: 0 for never, None for as long as ids are kept. It is needed where ids are not signed.
    Only `kept_headers` may be stored.
    """

    kind: str
    verify: Verify
    parse: Parse
    external_id: ReadDeliveryId
    scrub: Scrub
    id_is_signed: bool
    body_window: int | None
    kept_headers: tuple[str, ...]
    content_types: frozenset[str]
