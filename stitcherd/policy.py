"""Values that the rails decide and the store keeps: limits and approval requests."""

from collections.abc import Mapping

from msgspec import Struct

from shared.ids import format_timestamp
from shared.models import Decision
from stitcherd.budget import Budget


class ApprovalResult(Struct, frozen=True):
    """What is made of a comment; where it is allowed, the id of the job that it approves, or denies for a reason."""

    decision: Decision
    job: str | None = None
    approves: bool = False
    reason: str | None = None


class GuardQuestion(Struct, frozen=True):
    """A guard that wants a person asked, and the names of the groups whose members may answer; none is nobody."""

    guard: str
    by: tuple[str, ...]


class ApprovalRequest(Struct, frozen=True, kw_only=True):
    """What is asked, and what an approval would be of; an approval of anything else is void.

    Accounts are written `source:login`. `texts` are SHA-256 by the kind of text, `text_sha256` is that of all that
    the agent would read. `expires_at` is in milliseconds, `expires` as the rails say it; `pins` name what is pinned.
    With a `commit`, on `base`, it is that commit of an attempt that is asked about: approved, it is published.
    """

    guards: tuple[GuardQuestion, ...]
    source: str
    asker: str | None
    outsiders: tuple[str, ...]
    by_asker: bool
    pins: tuple[str, ...]
    rails: str
    head_sha: str | None
    text_sha256: str
    texts: Mapping[str, str]
    expires: str
    expires_at: int
    attempt: int | None = None
    commit: str | None = None
    base: str | None = None

    @property
    def by(self) -> tuple[str, ...]:
        """Return the names of all groups whose members may answer some guard."""
        return tuple(dict.fromkeys(name for guard in self.guards for name in guard.by))

    def payload(self, reason: str | None = None) -> dict[str, object]:
        """Return what the event `job.waiting` says of them."""
        told = {"guards": [guard.guard for guard in self.guards], "by": list(self.by)}
        return {**told, "expiresAt": format_timestamp(self.expires_at), **({"reason": reason} if reason else {})}


class ConcurrencyLimits(Struct, frozen=True):
    """How many jobs may run at the same time: in all, and in one repository; None is as many as there are workers.

    `away` says by name of those executors that cannot be reached just now why not; `day` is what all jobs together may
    use up in a day.
    """

    total: int | None = None
    per_repo: int | None = None
    away: Mapping[str, str] = {}
    day: Budget = Budget()
