"""The compiled rails: frozen records with everything that deciding and running jobs need."""

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from shared.api import RailsFault
from shared.ids import revision_name
from shared.models import Check, CheckOutcome
from stitcherd.budget import Budget
from stitcherd.rails.accounts import KnownAccount
from stitcherd.rails.diff import RailsPart
from stitcherd.sandbox.bubblewrap import SandboxSpec

RateName = Literal["per_sender", "per_repo", "per_thread"]


class Group(Struct, frozen=True):
    """A named group; `users` are folded, without ids; `permission` on the repository makes an account a member, too."""

    name: str
    line: int
    users: frozenset[str]
    sources: frozenset[str]
    permission: str | None


class ProfileRule(Struct, frozen=True, kw_only=True):
    """What an agent may do, and which executor runs it; `timeout` is in seconds, `tools` None if none are named.

    `box` is its sandbox, None without one; `sandbox_is_set` says whether the file sets one, or says that there is none.
    """

    name: str
    line: int
    executor: str
    capabilities: frozenset[str]
    tools: tuple[str, ...] | None
    model: str | None
    timeout: float
    env: tuple[str, ...]
    sandbox: str
    sandbox_is_set: bool
    box: SandboxSpec | None


class PathRules(Struct, frozen=True, kw_only=True):
    """What a commit may change; None means that the file sets no limit.

    `protected`, `tests` and `gates` match whole paths; `on_edit` is for every change to a test other than adding one.
    `gates` has what the rails add to the files that decide gates, whose changes `on_gate_edit` is for; `commands` are
    those of all gates, since what they name belongs to these files as well.
    """

    protected: re.Pattern[str] | None = None
    tests: re.Pattern[str] | None = None
    may_add_tests: bool = True
    on_edit: Literal["allow", "require-approval", "deny"] = "allow"
    gates: re.Pattern[str] | None = None
    on_gate_edit: Literal["allow", "require-approval", "deny"] = "require-approval"
    commands: tuple[tuple[str, ...], ...] = ()
    max_files: int | None = None
    max_lines: int | None = None


class GateRule(Struct, frozen=True, kw_only=True):
    """A check that a commit must pass: a program `run`, or a `builtin` one that may enforce `paths`.

    `timeout` is in seconds, `box` as in a profile. `expect` is a pattern of what the program must print.
    """

    name: str
    line: int
    run: tuple[str, ...] | None
    builtin: str | None
    paths: PathRules
    timeout: float
    retries: int
    required: bool
    from_base: tuple[str, ...]
    expect: str | None
    env: tuple[str, ...]
    sandbox: str
    box: SandboxSpec | None


class JobType(Struct, frozen=True, kw_only=True):
    """A type of job with everything it refers to; `held` is its capability check when it passes."""

    name: str
    line: int
    profile: ProfileRule
    needs: frozenset[str]
    gates: tuple[GateRule, ...]
    tries: int
    on_interrupt: Literal["fail", "retry"]
    held: Check
    unreached: Check


class TriggerRule(Struct, frozen=True, kw_only=True):
    """Which deliveries request a job; None and empty mappings are conditions that the file does not set.

    Labels are mapped from how they are compared to how they are written.
    """

    id: str
    line: int
    check: str
    job: JobType
    who: tuple[Group, ...]
    wanted_who: str
    wanted_event: str
    command: str | None
    wanted_command: str
    assignee: str | None
    repos: re.Pattern[str] | None
    wanted_repos: str
    labels_all: Mapping[str, str]
    labels_none: Mapping[str, str]


class ApprovalRules(Struct, frozen=True, kw_only=True):
    """How an approval is given, how long it is possible (`expires` as written, and in ms), and what makes it void."""

    command: str
    expires: str
    expires_ms: int
    by_asker: bool
    pins: tuple[str, ...]


class GuardRule(Struct, frozen=True, kw_only=True):
    """What denies a job or requires an approval; `wanted` says when it applies, `labels_any` is as in a trigger.

    `outside` has the names of the groups in `not_in`: membership is looked up once for guards with the same ones. `by`
    has the names of the groups whose members approve. `states` are those that the thread must be in. `sole` is its
    condition if it has only that one.
    """

    id: str
    line: int
    check: str
    then: Literal["allow", "require-approval", "deny"]
    outcome: CheckOutcome
    by: tuple[str, ...]
    because: str
    author_of: frozenset[str]
    not_in: tuple[Group, ...]
    outside: str
    from_fork: bool
    labels_any: Mapping[str, str]
    hidden_text: bool
    states: tuple[str, ...]
    wanted: str
    unreached: Check
    sole: Literal["labels", "author"] | None


class RateRule(Struct, frozen=True):
    """How many jobs may be requested in `window` (ms); `name` is the key in the file, which says what is counted."""

    name: RateName
    line: int
    written: str
    most: int
    window: int


class LimitRules(Struct, frozen=True, kw_only=True):
    """The limits; `total` and `per_repo` jobs may run at the same time, None for any number.

    `checks` are those of a job that all other stages allow, before anything is counted; `unmetered` the same for an
    executor that does not report usage. `day_line` is the line of the daily budget.
    """

    rates: tuple[RateRule, ...] = ()
    total: int | None = None
    per_repo: int | None = None
    per_job: Budget = Budget()
    per_day: Budget = Budget()
    day_line: int = 0
    checks: tuple[Check, ...] = ()
    unmetered: tuple[Check, ...] = ()
    unreached: tuple[Check, ...] = ()


class ReportRules(Struct, frozen=True, kw_only=True):
    """What is reported on threads and commits.

    `status` is the name of a commit status, in which `{job}` stands for the type of job. Denials are explained to the
    members of `explain_denials_to`.
    """

    acknowledge: bool = False
    comment: bool = False
    status: str | None = None
    change: Literal["open", "draft", "closes"] | None = None
    explain_denials_to: tuple[Group, ...] = ()


class CompiledRails(Struct, frozen=True, kw_only=True):
    """One revision of rails.yaml, compiled; `triggers` are by event, in the order of the file.

    `digest` is the SHA-256 of its text, which identifies it. `accounts` has the members of all groups. `outline` has
    its parts, for comparing it with another revision.
    """

    digest: str
    text: str
    outline: Mapping[str, RailsPart]
    mode: Literal["enforce", "observe"]
    warnings: tuple[RailsFault, ...] = ()
    groups: Mapping[str, Group]
    accounts: Mapping[str, KnownAccount]
    profiles: Mapping[str, ProfileRule]
    gates: Mapping[str, GateRule]
    jobs: Mapping[str, JobType]
    triggers: Mapping[str, tuple[TriggerRule, ...]]
    guards: tuple[GuardRule, ...]
    approvals: ApprovalRules
    limits: LimitRules
    report: ReportRules = ReportRules()

    @property
    def revision(self) -> str:
        """Return its short name, for people."""
        return revision_name(self.digest)
