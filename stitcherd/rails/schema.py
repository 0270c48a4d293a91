"""The schema of rails.yaml: every section and key, with its type and default; references are checked in validate."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stitcherd.config.errors import invalid_value
from stitcherd.rails.types import (
    Account,
    Argument,
    Assignee,
    Capability,
    Command,
    Consequence,
    Count,
    DurationText,
    EnvName,
    EventName,
    Globs,
    Money,
    Mount,
    Name,
    NonEmptyText,
    OutputPattern,
    RateText,
    RepositoryPath,
    SizeText,
    StatusName,
    Version,
)

STATES = ("draft", "closed", "locked")  # of a thread, as guards name them


class SpecModel(BaseModel):
    """A mapping with no other keys than its own, and no values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GroupSpec(SpecModel):
    """A group of accounts; any one of its conditions makes a member."""

    permission: Literal["read", "write", "admin"] | None = None
    users: tuple[Account, ...] = ()
    sources: tuple[Name, ...] = ()


class SandboxFields(SpecModel):
    """The sandbox that a profile or a gate runs in, and its limits; one that is not set is none, with a warning."""

    sandbox: Literal["none", "bwrap"] | None = None
    network: Literal["none", "host"] | None = None
    mounts: tuple[Mount, ...] = ()
    memory: SizeText | None = None
    processes: Count | None = None
    disk: SizeText = "4GiB"


class ProfileSpec(SandboxFields):
    """What an agent may do, and which executor runs it."""

    capabilities: tuple[Capability, ...] = ()
    executor: NonEmptyText
    tools: tuple[NonEmptyText, ...] | None = None
    model: NonEmptyText | None = None
    timeout: DurationText = "30m"
    env: tuple[EnvName, ...] = ()


class JobSpec(SpecModel):
    """A type of job."""

    profile: Name
    needs: tuple[Capability, ...] = ()
    gates: tuple[Name, ...] = ()
    tries: Annotated[int, Field(ge=1, le=100)] = 1
    on_interrupt: Literal["fail", "retry"] = "fail"


class LabelsSpec(SpecModel):
    """Labels that a thread must have, and must not have."""

    all: tuple[NonEmptyText, ...] = ()
    none: tuple[NonEmptyText, ...] = ()


class TriggerSpec(SpecModel):
    """Which deliveries request a job; all conditions must hold."""

    id: Name
    on: Annotated[tuple[EventName, ...], Field(min_length=1)]
    command: Command | None = None
    repos: Annotated[Globs, Field(min_length=1)] | None = None
    assignee: Assignee | None = None
    labels: LabelsSpec = LabelsSpec()
    from_: Annotated[tuple[Name, ...], Field(alias="from", min_length=1)]
    job: Name


class GuardCondition(SpecModel):
    """When a guard applies; all conditions that are set must hold."""

    author_of: Annotated[tuple[Literal["issue", "change"], ...], Field(min_length=1)] | None = None
    not_in: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    change_from_fork: bool | None = None
    labels_any: Annotated[tuple[NonEmptyText, ...], Field(min_length=1)] | None = None
    hidden_text: bool | None = None
    draft: bool | None = None
    closed: bool | None = None
    locked: bool | None = None

    @model_validator(mode="after")
    def _require_condition(self) -> Self:
        if (self.author_of is None) != (self.not_in is None):
            raise invalid_value("author_of and not_in must be set together: whose text, and outside which groups")
        if all(value is None for _, value in self):
            known = "author_of with not_in, change_from_fork, labels_any, hidden_text, draft, closed, or locked"
            raise invalid_value(f"a guard needs a condition: {known}")
        for key in ("change_from_fork", "hidden_text", *STATES):
            if getattr(self, key) is False:
                raise invalid_value(f"{key} must be true, or removed")
        return self


class GuardSpec(SpecModel):
    """What denies a job, or requires an approval first."""

    id: Name
    if_: GuardCondition = Field(alias="if")
    then: Consequence
    by: tuple[Name, ...] = ()
    because: NonEmptyText | None = None


class ApprovalsSpec(SpecModel):
    """How an approval is given, and what makes it void."""

    command: Command = "approve"
    expires: DurationText = "24h"
    self_: bool = Field(default=False, alias="self")
    pins: tuple[Literal["head_sha", "text_hash", "rails"], ...] = ("head_sha", "text_hash", "rails")


class RunningSpec(SpecModel):
    """How many jobs may run at the same time."""

    total: Count | None = None
    per_repo: Count | None = None


class RatesSpec(SpecModel):
    """How often jobs may be requested."""

    per_sender: RateText | None = None
    per_repo: RateText | None = None
    per_thread: RateText | None = None


class SpendingSpec(SpecModel):
    """How much may be used."""

    turns: Count | None = None
    usd: Money | None = None


class BudgetSpec(SpecModel):
    """How much a job, and all jobs of a day, may use."""

    per_job: SpendingSpec = SpendingSpec()
    per_day: SpendingSpec = SpendingSpec()


class LimitsSpec(SpecModel):
    """Limits on jobs."""

    running: RunningSpec = RunningSpec()
    rate: RatesSpec = RatesSpec()
    budget: BudgetSpec = BudgetSpec()


class TestPathsSpec(SpecModel):
    """Which changes to the tests of a repository are allowed."""

    globs: Globs = ()
    may: Literal["add"] | None = None
    on_edit: Consequence = "require-approval"


class GatePathsSpec(SpecModel):
    """What happens to a change of files that decide gates: those that are loaded by name, and those in `add`."""

    add: Globs = ()
    on_edit: Consequence = "require-approval"


class MaxDiffSpec(SpecModel):
    """How big a change may be."""

    files: Count | None = None
    lines: Count | None = None


class PathsSpec(SpecModel):
    """What the commit of a job may change."""

    protected: Globs = ()
    gates: GatePathsSpec = GatePathsSpec()
    tests: TestPathsSpec = TestPathsSpec()
    max_diff: MaxDiffSpec = MaxDiffSpec()


class ExpectSpec(SpecModel):
    """What a gate must have done besides exiting with 0."""

    output: OutputPattern


class GateSpec(SandboxFields):
    """A check that a commit must pass: a program, or a built-in one."""

    run: Annotated[tuple[Argument, ...], Field(min_length=1)] | None = None
    builtin: NonEmptyText | None = None
    timeout: DurationText = "10m"
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    required: bool = True
    from_base: tuple[RepositoryPath, ...] = ()
    expect: ExpectSpec | None = None
    env: tuple[EnvName, ...] = ()

    @model_validator(mode="after")
    def _require_run_or_builtin(self) -> Self:
        if (self.run is None) == (self.builtin is None):
            raise invalid_value("a gate needs either run or builtin")
        if self.run is not None and not self.run[0]:
            raise invalid_value("run must begin with the name of a program")
        if self.run is None and self.expect is not None:
            raise invalid_value("expect is for what a program prints: a built-in gate takes none", ("expect",))
        return self


class ReportSpec(SpecModel):
    """What is reported on the thread."""

    acknowledge: Literal["reaction"] | None = None
    thread: Literal["single-comment"] | None = None
    status: StatusName | None = None
    change: Literal["open", "draft", "closes"] | None = None
    explain_denials_to: tuple[Name, ...] = ()


class RailsFile(SpecModel):
    """The whole file."""

    version: Version
    mode: Literal["enforce", "observe"] = "enforce"
    people: dict[Name, GroupSpec] = Field(default_factory=dict)
    profiles: dict[Name, ProfileSpec] = Field(default_factory=dict)
    jobs: dict[Name, JobSpec] = Field(default_factory=dict)
    triggers: tuple[TriggerSpec, ...] = ()
    guards: tuple[GuardSpec, ...] = ()
    approvals: ApprovalsSpec = ApprovalsSpec()
    limits: LimitsSpec = LimitsSpec()
    paths: PathsSpec = PathsSpec()
    gates: dict[Name, GateSpec] = Field(default_factory=dict)
    report: ReportSpec = ReportSpec()
