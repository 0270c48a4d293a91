"""The interface of a webhook sender, and the three errors it raises."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from shared.models import Thread
from stitcherd.sources.trigger import Trigger

MISSING = "missing"  # what is wrong with a field that is not there


class BadSignature(Exception):
    """The signature is missing or matches no secret; the message names the header."""


class NotJson(Exception):
    """The body is not valid JSON; the message says where."""


class WrongShape(Exception):
    """The body, or a header read with it, lacks a field or has one of the wrong form; the message says which.

    `trigger` has what could be read, None if that is nothing: it may be recorded, and must start nothing. `may_be` are
    the names that the event may have, several where its own could not be read.
    """

    def __init__(self, message: str, trigger: Trigger | None = None, may_be: Collection[str] = ()) -> None:
        super().__init__(message)
        self.trigger = trigger
        self.may_be = may_be


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

        A WrongShape has the trigger that could be read, and of an event without a name nothing is required.

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
    Only `kept_headers` may be stored. `hook_header` has the sender's id of the webhook that is called; None: it tells
    none. `change_ref` is the ref at which its repositories keep the head of a change,
    `refs/pull/{number}/head`; None: they have none.
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
    change_ref: str | None = None
    hook_header: str | None = None

    def head_ref(self, thread: Thread | None) -> str | None:
        """Return the ref of the head of a change; None for any other thread, and where there is no such ref."""
        if self.change_ref is None or thread is None or thread.kind != "change":
            return None
        return self.change_ref.format(number=thread.number)


def merge_faults(malformed: Mapping[str, str], missing: Mapping[str, str]) -> dict[str, str]:
    """Return all faults by field, malformed ones first: a malformed field counts as missing as well."""
    return {**malformed, **missing, **malformed}


def require_readable(trigger: Trigger, faults: Mapping[str, str], may_be: Iterable[str] = ()) -> Trigger:
    """Return the trigger of a delivery; raise WrongShape if something is wrong with it that its event needs.

    `faults` says by field what is wrong. `may_be` has the names that the event may have besides its own: without any
    name it needs nothing.
    """
    names = frozenset(may_be) | frozenset(filter(None, [trigger.name]))
    if faults and names:
        field, what = next(iter(faults.items()))
        raise WrongShape(f"{field}: {what}", trigger, names)
    return trigger
