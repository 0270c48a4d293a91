"""Why a stage of deciding says no, and the smallest change that would make it say yes."""

from msgspec import Struct

from shared.models import Remedy


class Refused(Struct, frozen=True):
    """A stage's no: a sentence, and the remedy where there is one."""

    reason: str
    remedy: Remedy | None = None


def together(remedies: list[Remedy]) -> Remedy | None:
    """Return several remedies, all of which are needed, as one that stands where the first does."""
    if not remedies:
        return None
    return Remedy(" and ".join(dict.fromkeys(each.text for each in remedies)), remedies[0].line)
