"""What a stage of a decision returns besides its checks: an objection, or the need for an approval or permissions."""

from collections.abc import Mapping

from msgspec import Struct

from shared.models import Remedy
from stitcherd.rails.compiled import ApprovalRules, GuardRule


class NeedsApproval(Struct, frozen=True):
    """The need to ask a person: the guards that require it, why, who may answer, and whose text it concerns."""

    guards: tuple[GuardRule, ...]
    rules: ApprovalRules
    reason: str
    remedy: Remedy | None
    outsiders: tuple[str, ...]


class NeedsPermissions(Struct, frozen=True):
    """The need to ask a forge what accounts, by id, may do on the repository of a delivery."""

    asks: Mapping[str, str]
    reason: str
    remedy: Remedy | None = None


class Objection(Struct, frozen=True):
    """The reason why a stage denies or ignores a request, and the remedy if there is one."""

    reason: str
    remedy: Remedy | None = None


def combine_remedies(remedies: list[Remedy]) -> Remedy | None:
    """Return several remedies, all of which are needed, as one at the line of the first."""
    if not remedies:
        return None
    return Remedy(" and ".join(dict.fromkeys(each.text for each in remedies)), remedies[0].line)
