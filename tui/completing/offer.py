"""What is offered where the cursor is."""

from msgspec import Struct


class Offer(Struct, frozen=True):
    """One word that may stand there, and what it is; both plain already (tui.plain)."""

    word: str
    what: str = ""


class Offers(Struct, frozen=True):
    """What may stand there: `words`, or what the shell finds best itself, `files` or `directories`."""

    kind: str = "words"
    words: tuple[Offer, ...] = ()
