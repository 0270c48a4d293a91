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
    Fact,
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

    permission: Literal["read", "write", "admin"] | None = Field(
        None, description="whoever has at least this permission on the repository, as the forge says"
    )
    users: tuple[Account, ...] = Field((), description="accounts: source:login; with #id only the account with that id")
    sources: tuple[Name, ...] = Field((), description="these sources, where they send something without an author")


class SandboxFields(SpecModel):
    """The sandbox that a profile or a gate runs in, and its limits; one that is not set is none, with a warning."""

    sandbox: Literal["none", "bwrap"] | None = Field(
        None,
        description="`bwrap`: it sees its checkout and a read-only system; `none`, or nothing: all that you may",
    )
    network: Literal["none", "host"] | None = Field(None, description="of a sandbox: `host`, or `none` at all")
    mounts: tuple[Mount, ...] = Field((), description="more directories that a sandbox shows, read-only")
    memory: SizeText | None = Field(None, description="how much its processes may use, each and together, a size")
    processes: Count | None = Field(None, description="how many processes it may have")
    disk: SizeText = Field("4GiB", description="how large its files may become, each and together, a size")


class ProfileSpec(SandboxFields):
    """What an agent may do, and which executor runs it."""

    capabilities: tuple[Capability, ...] = Field((), description="what the agent and its job may do; nothing else")
    executor: NonEmptyText = Field(description="what runs the agent: the name of an [executors.NAME] of stitcherd.toml")
    tools: tuple[NonEmptyText, ...] | None = Field(
        None, description="the tools that the agent may use, where the executor can enforce it"
    )
    model: NonEmptyText | None = Field(None, description="the model to use, where the executor can choose it")
    timeout: DurationText = Field("30m", description="how long a try may take, a duration")
    env: tuple[EnvName, ...] = Field(
        (), description="variables of the daemon that the agent gets; no secrets of stitcherd.toml"
    )


class JobSpec(SpecModel):
    """A type of job."""

    profile: Name = Field(description="the name of its profile")
    needs: tuple[Capability, ...] = Field((), description="capabilities that its profile must have")
    gates: tuple[Name, ...] = Field((), description="the gates that its commit must pass, in this order")
    tries: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="how often the agent may try: a failed gate starts the next try"
    )
    on_interrupt: Literal["fail", "retry"] = Field(
        "fail",
        description="what becomes of a job whose executor was running when the daemon ended; `retry`: it starts again",
    )


class LabelsSpec(SpecModel):
    """Labels that a thread must have, and must not have."""

    all: tuple[NonEmptyText, ...] = Field((), description="the thread has all of these labels")
    none: tuple[NonEmptyText, ...] = Field((), description="the thread has none of these labels")


class TriggerSpec(SpecModel):
    """Which deliveries request a job; all conditions must hold."""

    id: Name = Field(description="its name, shown in decisions")
    on: Annotated[tuple[EventName, ...], Field(min_length=1)] = Field(description="the events that can request the job")
    command: Command | None = Field(None, description="the word after the mention of the bot, as in `@mosaic fix`")
    repos: Annotated[Globs, Field(min_length=1)] | None = Field(None, description="globs of repositories; ! takes away")
    assignee: Assignee | None = Field(None, description="who was assigned: `@bot`, or source:login")
    labels: LabelsSpec = LabelsSpec()
    from_: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        alias="from", description="groups whose members may request the job"
    )
    job: Name = Field(description="the type of job that is requested")


class GuardCondition(SpecModel):
    """When a guard applies; all conditions that are set must hold."""

    author_of: Annotated[tuple[Literal["issue", "change"], ...], Field(min_length=1)] | None = Field(
        None,
        description="with not_in: some text of the thread, or the thread, is by an account in none of those groups",
    )
    not_in: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
        None, description="the groups for author_of"
    )
    change_from_fork: Fact | None = Field(
        None, description="the change comes from another repository, also a deleted one, or the sender does not say"
    )
    labels_any: Annotated[tuple[NonEmptyText, ...], Field(min_length=1)] | None = Field(
        None, description="the thread has one of these labels"
    )
    hidden_text: Fact | None = Field(None, description="the texts contain something that their readers do not see")
    draft: Fact | None = Field(None, description="the change is a draft")
    closed: Fact | None = Field(None, description="the issue or change is closed or merged")
    locked: Fact | None = Field(None, description="only some people may comment on the thread")

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

    id: Name = Field(description="its name, shown in decisions")
    if_: GuardCondition = Field(alias="if")
    then: Consequence = Field(description="what follows; deny beats require-approval, which beats allow")
    by: tuple[Name, ...] = Field((), description="the groups whose members may approve")
    because: NonEmptyText | None = Field(None, description="the reason that is shown")


class ApprovalsSpec(SpecModel):
    """How an approval is given, and what makes it void."""

    command: Command = Field("approve", description="the command with which a job is approved on its thread")
    expires: DurationText = Field("24h", description="how long a job waits for its approval, a duration")
    self_: bool = Field(default=False, alias="self", description="whether who requested a job may also approve it")
    pins: tuple[Literal["head_sha", "text_hash", "rails"], ...] = Field(
        ("head_sha", "text_hash", "rails"),
        description="what an approval was given for: where one of these changes, it is void",
    )


class RunningSpec(SpecModel):
    """How many jobs may run at the same time."""

    total: Count | None = Field(None, description="jobs that run, altogether")
    per_repo: Count | None = Field(None, description="jobs that run on one repository")


class RatesSpec(SpecModel):
    """How often jobs may be requested."""

    per_sender: RateText | None = Field(None, description="jobs that one account may request, a rate")
    per_repo: RateText | None = Field(None, description="jobs of one repository, a rate")
    per_thread: RateText | None = Field(None, description="jobs on one issue or change, a rate")


class SpendingSpec(SpecModel):
    """How much may be used."""

    turns: Count | None = Field(None, description="calls of a model")
    usd: Money | None = Field(None, description="US dollars")


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

    globs: Globs = Field((), description="which files are tests")
    may: Literal["add"] | None = Field(
        None, description="`add`: new files are welcome, and only other changes count as edits"
    )
    on_edit: Consequence = Field("require-approval", description="what an edit of a test leads to")


class GatePathsSpec(SpecModel):
    """What happens to a change of files that decide gates: those that are loaded by name, and those in `add`."""

    add: Globs = Field((), description="globs of further files that decide gates")
    on_edit: Consequence = Field(
        "require-approval", description="what a change of such a file leads to, also a new one"
    )


class MaxDiffSpec(SpecModel):
    """How big a change may be."""

    files: Count | None = Field(None, description="changed files")
    lines: Count | None = Field(None, description="added and removed lines")


class PathsSpec(SpecModel):
    """What the commit of a job may change."""

    protected: Globs = Field((), description="globs of files that no job may change")
    gates: GatePathsSpec = GatePathsSpec()
    tests: TestPathsSpec = TestPathsSpec()
    max_diff: MaxDiffSpec = MaxDiffSpec()


class ExpectSpec(SpecModel):
    """What a gate must have done besides exiting with 0."""

    output: OutputPattern = Field(
        description="a regular expression that the output must match: exit 0 without it fails"
    )


class GateSpec(SandboxFields):
    """A check that a commit must pass: a program, or a built-in one."""

    run: Annotated[tuple[Argument, ...], Field(min_length=1)] | None = Field(
        None, description="the program with its arguments, without a shell; it must exit with 0"
    )
    builtin: NonEmptyText | None = Field(None, description="the name of a built-in gate, instead of run")
    timeout: DurationText = Field("10m", description="how long it may take, a duration")
    retries: Annotated[int, Field(ge=0, le=100)] = Field(0, description="how often it is run again when it fails")
    required: bool = Field(True, description="false: its failure is shown, and the commit is published all the same")
    from_base: tuple[RepositoryPath, ...] = Field(
        (), description="files that are restored from the base before it runs: globs inside the repository"
    )
    expect: ExpectSpec | None = None
    env: tuple[EnvName, ...] = Field((), description="variables of the daemon that it gets")

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

    acknowledge: Literal["reaction"] | None = Field(
        None, description="`reaction`: an emoji at the comment or thread that asked"
    )
    thread: Literal["single-comment"] | None = Field(
        None, description="`single-comment`: one comment on the thread, edited as its jobs go on"
    )
    status: StatusName | None = Field(
        None, description="the name of a status at the head of the change; {job} is the type of job"
    )
    change: Literal["open", "draft", "closes"] | None = Field(
        None,
        description="what is opened for the branch of a completed job: a change, a draft, or one that closes the issue",
    )
    explain_denials_to: tuple[Name, ...] = Field(
        (), description="groups whose members are told why a request was denied"
    )


class RailsFile(SpecModel):
    """The whole file."""

    version: Version = Field(description="the version of the format")
    mode: Literal["enforce", "observe"] = Field(
        "enforce", description="`observe`: everything is decided and recorded, and nothing runs"
    )
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
