"""What may stand where the cursor is on a line of `stitcher`; each shell has a script that asks."""

from collections.abc import Sequence

from tui.client import Daemon
from tui.completing.known import values
from tui.completing.offer import Offer, Offers
from tui.completing.place import find, option, options
from tui.parsing import root


def offers(words: Sequence[str], daemon: Daemon | None) -> Offers:
    """Return what may stand for the last of `words`, which is begun or empty.

    Without a `daemon`, or with one that does not answer at once, what only it knows is left out.
    """
    *before, begun = words
    place = find(root(), before)
    if place is None:
        return Offers()
    name, equals, value = begun.partition("=")
    if equals and place.may_be_option and (argument := option(place.parser, name)):
        found = values(argument, place.verb, value, daemon)
        return Offers(words=_fitting([Offer(f"{name}={each.word}", each.what) for each in found.words], begun))
    own = [Offer(*each) for each in options(place.parser)] if place.may_be_option else []
    if place.argument is None or (place.may_be_option and begun.startswith("--")):
        return Offers(words=_fitting(own, begun))
    found = values(place.argument, place.verb, begun, daemon)
    return Offers(found.kind, _fitting([*found.words, *(own if begun.startswith("-") else ())], begun))


def _fitting(found: Sequence[Offer], begun: str) -> tuple[Offer, ...]:
    return tuple({each.word: each for each in found if each.word.startswith(begun)}.values())
