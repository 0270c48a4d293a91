"""The words of rails.yaml: every section and key, its type and its default; no references, no meaning."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stitcherd.rails.values import (
    Account,
    Argument,
    Assignee,
    Capability,
    Command,
    Consequence,
    Count,
    Duration,
    EnvName,
    EventName,
    Globs,
    Money,
    Mount,
    Name,
    Rate,
    RepositoryPath,
    Size,
    Text,
    fault,
)


class Words(BaseModel):
    """A mapping that takes no other keys than its own, and no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Group(Words):
    """Who belongs together; any of the conditions makes a member."""

    permission: Literal["read", "write", "admin"] | None = None
    users: tuple[Account, ...] = ()
    sources: tuple[Name, ...] = ()


class Sandbox(Words):
    """What may be asked of the place in which a profile or a gate runs."""

    sandbox: Literal["none", "bwrap"] = "none"
    network: Literal["none", "host"] | None = None
    mounts: tuple[Mount, ...] = ()
    memory: Size | None = None
    processes: Count | None = None
    disk: Size | None = None


class Profile(Sandbox):
    """What an agent may do, and by which executor it does it."""

    capabilities: tuple[Capability, ...] = ()
    executor: Text
    tools: tuple[Text, ...] | None = None
    model: Text | None = None
    timeout: Duration = "30m"
    env: tuple[EnvName, ...] = ()


class Job(Words):
    """A type of job."""

    profile: Name
    needs: tuple[Capability, ...] = ()
    gates: tuple[Name, ...] = ()
    tries: Annotated[int, Field(ge=1, le=100)] = 1
    on_interrupt: Literal["fail", "retry"] = "fail"


class Labels(Words):
    """Labels that a thread must all have, and must not have."""

    all: tuple[Text, ...] = ()
    none: tuple[Text, ...] = ()


class TriggerWords(Words):
    """Which deliveries ask for a job; all conditions must hold."""

    id: Name
    on: Annotated[tuple[EventName, ...], Field(min_length=1)]
    command: Command | None = None
    repos: Annotated[Globs, Field(min_length=1)] | None = None
    assignee: Assignee | None = None
    labels: Labels = Labels()
    from_: Annotated[tuple[Name, ...], Field(alias="from", min_length=1)]
    job: Name


class Condition(Words):
    """When a guard applies; all that are written must hold."""

    author_of: Annotated[tuple[Literal["issue", "change"], ...], Field(min_length=1)] | None = None
    not_in: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    change_from_fork: bool | None = None
    labels_any: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.author_of is None) != (self.not_in is None):
            raise fault("author_of and not_in need each other: whose text, and outside which groups")
        if self.author_of is None and self.change_from_fork is None and self.labels_any is None:
            raise fault("a guard needs a condition: author_of with not_in, change_from_fork, or labels_any")
        if self.change_from_fork is False:
            raise fault("change_from_fork must be true, or left out")
        return self


class GuardWords(Words):
    """What speaks against a job, or wants a person asked first."""

    id: Name
    if_: Condition = Field(alias="if")
    then: Consequence
    by: tuple[Name, ...] = ()
    because: Text | None = None


class Approvals(Words):
    """How an approval is given, and what makes it void."""

    command: Command = "approve"
    expires: Duration = "24h"
    self_: bool = Field(default=False, alias="self")
    pins: tuple[Literal["head_sha", "text_hash", "rails"], ...] = ("head_sha", "text_hash", "rails")


class Running(Words):
    """How many jobs may run at the same time."""

    total: Count | None = None
    per_repo: Count | None = None


class Rates(Words):
    """How often jobs may be asked for."""

    per_sender: Rate | None = None
    per_repo: Rate | None = None
    per_thread: Rate | None = None


class Spending(Words):
    """What may be used up."""

    turns: Count | None = None
    usd: Money | None = None


class Budget(Words):
    """What a job, and a day, may cost."""

    per_job: Spending = Spending()
    per_day: Spending = Spending()


class Limits(Words):
    """How much is too much."""

    running: Running = Running()
    rate: Rates = Rates()
    budget: Budget = Budget()


class PathsOfTests(Words):
    """What may be done to a repository's tests."""

    globs: Globs = ()
    may: Literal["add"] | None = None
    on_edit: Consequence = "require-approval"


class Diff(Words):
    """How big a change may be."""

    files: Count | None = None
    lines: Count | None = None


class Paths(Words):
    """What a job's commit may touch."""

    protected: Globs = ()
    tests: PathsOfTests = PathsOfTests()
    max_diff: Diff = Diff()


class GateWords(Sandbox):
    """A check that a commit must pass; either a program or a built-in one."""

    run: Annotated[tuple[Argument, ...], Field(min_length=1)] | None = None
    builtin: Literal["diff-rules"] | None = None
    timeout: Duration = "10m"
    retries: Annotated[int, Field(ge=0, le=100)] = 0
    required: bool = True
    from_base: tuple[RepositoryPath, ...] = ()
    env: tuple[EnvName, ...] = ()

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.run is None) == (self.builtin is None):
            raise fault("a gate needs either run or builtin")
        if self.run is not None and not self.run[0]:
            raise fault("the program that run starts has no name")
        return self


class Report(Words):
    """What is answered on the thread."""

    acknowledge: Literal["reaction"] | None = None
    thread: Literal["single-comment"] | None = None
    status: Text | None = None
    explain_denials_to: tuple[Name, ...] = ()


class Rails(Words):
    """The whole file."""

    version: Annotated[int, Field(ge=1, le=1)]
    mode: Literal["enforce", "observe"] = "enforce"
    people: dict[Name, Group] = Field(default_factory=dict)
    profiles: dict[Name, Profile] = Field(default_factory=dict)
    jobs: dict[Name, Job] = Field(default_factory=dict)
    triggers: tuple[TriggerWords, ...] = ()
    guards: tuple[GuardWords, ...] = ()
    approvals: Approvals = Approvals()
    limits: Limits = Limits()
    paths: Paths = Paths()
    gates: dict[Name, GateWords] = Field(default_factory=dict)
    report: Report = Report()
