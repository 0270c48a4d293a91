"""Values that the rails compute or use, and the store keeps or counts: limits, accounts, and approval requests.

They are the only thing that the rails and the store share: neither imports the other.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from shared.ids import format_timestamp
from shared.models import Decision, RunnerJob
from stitcherd.budget import Budget, Spent


class RateLimit(Struct, frozen=True, kw_only=True):
    """A rate limit as it applies to one job: at most `maximum` jobs with the same `key` in `window` (ms).

    `name`, `line` and `written` are those of the rails, `subject` is who or what is counted. `seen` follows the count
    in what the check `limit:name` shows.
    """

    name: str
    key: str
    maximum: int
    window: int
    seen: str
    line: int
    written: str
    subject: str


class BotCooldown(Struct, frozen=True, kw_only=True):
    """The cool-down of a thread on which bots ask for jobs in a row; a job that a person asks for ends the row.

    After `free` jobs in a row the next one must wait for `cooldown` (ms), and twice as long with each further one, up
    to `longest` (ms), after which a job no longer counts.
    """

    name: str
    key: str
    by_bot: bool
    free: int
    cooldown: int
    longest: int
    seen: str
    thread: str


class DailyBudget(Struct, frozen=True, kw_only=True):
    """What all jobs together may use in a day (UTC), as executors report it; `line` is that of the rails."""

    name: str
    budget: Budget
    seen: str
    line: int


ACCESS_RANKS: Mapping[str, int] = {"none": 0, "read": 1, "write": 2, "admin": 3}  # each includes those before it

JobLimit = RateLimit | BotCooldown | DailyBudget


class LimitUse(Struct, frozen=True):
    """How much of the limit `name` is used, in jobs or in `spent`; where it is reached, `free_at` (ms) is its end."""

    name: str
    seen: str
    count: int = 0
    spent: Spent = Spent()
    free_at: int | None = None


def with_uses(decision: Decision, uses: tuple[LimitUse, ...]) -> Decision:
    """Return a decision whose checks show how much of each limit is used."""
    seen = {f"limit:{use.name}": use.seen for use in uses}
    checks = (replace(each, seen=seen[each.id]) if each.id in seen else each for each in decision.checks)
    return replace(decision, checks=tuple(checks))


class HeldReasons(Struct, frozen=True):
    """Why a job stays in the queue; in braces `{total}`, `{per_repo}`, `{repository}`, `{budget}` and `{until}`."""

    paused: str
    total: str
    per_repo: str
    daily_budget: str


class ConcurrencyLimits(Struct, frozen=True, kw_only=True):
    """How many jobs may run at the same time, in all and per repository; None is as many as there are workers.

    `unreachable` maps the executors that cannot be reached to the reason their jobs are held; `daily_budget` is what
    all jobs together may use in a day. `stopped` is why no job may start at all: no free space, or no rails that run
    jobs. `rails_digest` is that of the rails in force, None without any.
    """

    reasons: HeldReasons
    total: int | None = None
    per_repo: int | None = None
    unreachable: Mapping[str, str] = {}
    daily_budget: Budget = Budget()
    stopped: str | None = None
    rails_digest: str | None = None


class AccountSighting(Struct, frozen=True):
    """The id that a delivery gives for an account, and the id that was `kept` for it when the delivery was decided."""

    account: str
    id: str
    kept: str | None


class AccountAccess(Struct, frozen=True):
    """What an account may do on a repository, as the forge said at `asked_at` (ms): `level` is a key of ACCESS_RANKS.

    It is None where the forge did not tell; then `failure` is why nothing is granted, and `hint` what would help.
    """

    level: str | None
    asked_at: int
    failure: str | None = None
    hint: str | None = None


class GuardQuestion(Struct, frozen=True):
    """A guard that requires an approval, and the names of the groups whose members may give it; () is no one."""

    guard: str
    by: tuple[str, ...]


class ApprovalRequest(Struct, frozen=True, kw_only=True):
    """What a job waits for, and what exactly would be approved: an approval of anything else is void.

    Accounts are written `source:login`. `texts` are SHA-256 digests by kind of text, `text_sha256` that of all that the
    agent would read. `expires_at` is in milliseconds, `expires` as the rails write it; `pins` names what is pinned.
    With a `commit`, on `base`, the approval is of that commit of an attempt: once approved, it is published. It passed
    the gates of the rails `judged_by`, when those in force were `judged_under`.
    """

    guards: tuple[GuardQuestion, ...]
    source: str
    asker: str | None
    outsiders: tuple[str, ...]
    by_asker: bool
    pins: tuple[str, ...]
    rails_digest: str
    head_sha: str | None
    text_sha256: str
    texts: Mapping[str, str]
    expires: str
    expires_at: int
    attempt: int | None = None
    commit: str | None = None
    base: str | None = None
    judged_by: str | None = None
    judged_under: str | None = None

    @property
    def by(self) -> tuple[str, ...]:
        """Return the names of all groups whose members may approve for some guard."""
        return tuple(dict.fromkeys(name for guard in self.guards for name in guard.by))

    def holds_under(self, digest: str | None) -> bool:
        """Say whether an approval would hold under the rails with this digest, None for no rails."""
        return "rails" not in self.pins or digest == self.rails_digest

    def payload(self, reason: str | None = None) -> dict[str, object]:
        """Return the payload of an event `job.waiting`."""
        about = {"guards": [guard.guard for guard in self.guards], "by": list(self.by)}
        return {**about, "expiresAt": format_timestamp(self.expires_at), **({"reason": reason} if reason else {})}


class CommandResult(Struct, frozen=True):
    """The decision on a comment with a command of a thread; where it is allowed, the job and what is done to it.

    `reason` is the one that the comment gives, if any, and `account_id` the id of its sender's account, where known.
    `asks` are the accounts, by id, whose permissions must be asked before it can be decided.
    """

    decision: Decision
    job_id: str | None = None
    action: Literal["approve", "deny", "cancel", "retry"] | None = None
    reason: str | None = None
    account_id: str | None = None
    asks: Mapping[str, str] = {}


class ThreadJob(Struct, frozen=True):
    """A job of a thread, the source of the delivery that requested it, and the id of the trigger that allowed that."""

    job: RunnerJob
    source: str
    trigger: str | None


class GrantedApproval(Struct, frozen=True):
    """An approval: what of, by which actor, and the id of the account where that is known."""

    request: ApprovalRequest
    actor: str
    account_id: str | None
