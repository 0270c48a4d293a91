"""Rails in force: compiled once when the file is loaded, frozen, and all that deciding and running need."""

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from shared.api import RailsFault
from shared.models import Check, CheckOutcome
from stitcherd.budget import Budget
from stitcherd.rails.diff import RailsPart
from stitcherd.sandbox.bubblewrap import SandboxSpec

RateName = Literal["per_sender", "per_repo", "per_thread"]


class Group(Struct, frozen=True):
    """Named people; `users` are folded accounts, `by_permission` is a wish that this version does not ask for."""

    name: str
    line: int
    users: frozenset[str]
    sources: frozenset[str]
    by_permission: bool


class ProfileRule(Struct, frozen=True, kw_only=True):
    """What an agent may do, and by which executor; `timeout` is in seconds, `tools` None where none are named.

    `box` is what its sandbox leaves it, None without one.
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
    box: SandboxSpec | None


class PathRules(Struct, frozen=True, kw_only=True):
    """What a commit may touch; None stands for what the file does not limit.

    `protected` and `tests` match whole paths; `on_edit` is for all that is done to a test but adding one.
    """

    protected: re.Pattern[str] | None = None
    tests: re.Pattern[str] | None = None
    may_add_tests: bool = True
    on_edit: Literal["allow", "require-approval", "deny"] = "allow"
    max_files: int | None = None
    max_lines: int | None = None


class GateRule(Struct, frozen=True, kw_only=True):
    """A check that a commit must pass: `run`, or `builtin` with the `paths` that it holds a commit to.

    `timeout` is in seconds, `box` as in a profile.
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
    env: tuple[str, ...]
    sandbox: str
    box: SandboxSpec | None


class JobType(Struct, frozen=True, kw_only=True):
    """A type of job with all that it refers to; `held` is what its capability check says when it passes."""

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
    """Which deliveries ask for a job; None and empty mappings are conditions that were not written.

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
    """How an approval is given, until when (`expires` as written, and in milliseconds), and what makes it void."""

    command: str
    expires: str
    milliseconds: int
    by_asker: bool
    pins: tuple[str, ...]


class GuardRule(Struct, frozen=True, kw_only=True):
    """What speaks against a job; `wanted` says when it applies, `labels_any` is as in a trigger.

    `outside` are the names of the groups in `not_in`: guards with the same ones need asking only once. `by` are the
    names of the groups that are asked. `sole` is its condition where it has only that one.
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
    wanted: str
    unreached: Check
    sole: Literal["labels", "author"] | None


class RateRule(Struct, frozen=True):
    """How many jobs may be asked for in `window` (ms); `name` is the key of the file, which says by whom."""

    name: RateName
    line: int
    written: str
    most: int
    window: int


class LimitRules(Struct, frozen=True, kw_only=True):
    """How much is too much; `total` and `per_repo` jobs may run at the same time, None for any number.

    `checks` are those of a job that all other stages allow, before anything was counted; `unmetered` the same for an
    executor that does not say what it uses. `day_line` is where the day's budget is written.
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


class CompiledRails(Struct, frozen=True, kw_only=True):
    """One text of rails.yaml, compiled; `triggers` are by the event that they are on, in the file's order.

    `outline` is what it says, part by part, to be held against another text.
    """

    revision: str
    text: str
    outline: Mapping[str, RailsPart]
    mode: Literal["enforce", "observe"]
    warnings: tuple[RailsFault, ...]
    groups: Mapping[str, Group]
    profiles: Mapping[str, ProfileRule]
    gates: Mapping[str, GateRule]
    jobs: Mapping[str, JobType]
    triggers: Mapping[str, tuple[TriggerRule, ...]]
    guards: tuple[GuardRule, ...]
    approvals: ApprovalRules
    limits: LimitRules
