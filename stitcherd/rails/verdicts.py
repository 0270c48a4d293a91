"""Why a stage of deciding says no, and the smallest change that would make it say yes."""

from msgspec import Struct

from shared.models import Remedy
from stitcherd.rails.compiled import ApprovalRules, GuardRule


class NeedsApproval(Struct, frozen=True):
    """That a person is to be asked: the guards that want it, why, who may answer, and whose text it is about."""

    guards: tuple[GuardRule, ...]
    rules: ApprovalRules
    reason: str
    remedy: Remedy | None
    outsiders: tuple[str, ...]


class Objection(Struct, frozen=True):
    """A stage's no: a sentence, and the remedy where there is one."""

    reason: str
    remedy: Remedy | None = None


def combine_remedies(remedies: list[Remedy]) -> Remedy | None:
    """Return several remedies, all of which are needed, as one that stands where the first does."""
    if not remedies:
        return None
    return Remedy(" and ".join(dict.fromkeys(each.text for each in remedies)), remedies[0].line)
