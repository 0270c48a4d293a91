"""The nouns of Stitcher, the same in the store, on the wire and on the screen.

Frozen msgspec structs, camelCase on the wire. A field that a response omits is UNSET. Times are RFC 3339 UTC with
milliseconds, ids are UUIDv7 strings, unless a field says otherwise.
"""

from enum import StrEnum
from typing import Any

from msgspec import UNSET, Struct, UnsetType


class Status(StrEnum):
    """The status of a job; stitcherd.store.lifecycle defines the transitions."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN_STATUSES = (Status.PENDING, Status.QUEUED, Status.RUNNING)


class Phase(StrEnum):
    """The phase of a job's run that a step belongs to."""

    SETUP = "SETUP"
    EXECUTION = "EXECUTION"
    VALIDATION = "VALIDATION"
    CLEANUP = "CLEANUP"


class StepType(StrEnum):
    """The type of a step."""

    COMMAND = "COMMAND"
    AI_ACTION = "AI_ACTION"
    GATE = "GATE"
    ARTIFACT = "ARTIFACT"


class StepStatus(StrEnum):
    """The status of a step."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class Verdict(StrEnum):
    """The result of a delivery or a dispatch."""

    ALLOWED = "allowed"
    WAITING = "waiting"
    DECIDING = "deciding"
    IGNORED = "ignored"
    DENIED = "denied"
    THROTTLED = "throttled"
    DUPLICATE = "duplicate"


class CheckOutcome(StrEnum):
    """The result of one check."""

    PASS = "pass"  # noqa: S105 (a verdict, not a password)
    FAIL = "fail"
    ASK = "ask"
    SKIP = "skip"
    UNREACHED = "unreached"


class AnswerState(StrEnum):
    """What has become of an answer."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WireStruct(Struct, frozen=True, rename="camel"):
    """Base of everything sent over the API: frozen, camelCase; decoding ignores unknown fields."""


class Thread(WireStruct, frozen=True):
    """The issue or change that a job is about; `kind` is `issue` or `change`, `author` is `source:login`."""

    kind: str
    number: int
    title: str = ""
    url: str | None = None
    author: str | None = None


class Tries(WireStruct, frozen=True):
    """The number of executor starts in this attempt, and its limit."""

    used: int
    max: int


class Failure(WireStruct, frozen=True):
    """The reason why a job failed: a code for programs, a sentence and a hint for people."""

    code: str
    detail: str
    hint: str | None = None


class Start(WireStruct, frozen=True):
    """The commit `sha` that a job started from, found at `ref`; its gates take files from the commit `gate_base`."""

    ref: str
    sha: str
    gate_base: str


class Result(WireStruct, frozen=True):
    """The result of a completed job; `commit` is None if nothing was changed."""

    commit: str | None
    files: int
    additions: int
    deletions: int
    summary: str


class Usage(WireStruct, frozen=True):
    """The usage that an executor reports; `turns` are calls of the model."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    turns: int = 0


class Check(WireStruct, frozen=True, gc=False):
    """One check of a decision: the `line` of rails.yaml behind it, the value seen and the value wanted."""

    id: str
    kind: str  # trigger | who | guard | capability | limit, in this order
    outcome: CheckOutcome
    line: int | None = None
    seen: str | None = None
    wanted: str | None = None
    because: str | None = None


class Remedy(WireStruct, frozen=True):
    """The smallest change that would have allowed it, and the `line` of rails.yaml to make it at."""

    text: str
    line: int | None = None


class Decision(WireStruct, frozen=True):
    """A decision of the rails, which are named as in RunnerJob, with every check in order; it took `micros` µs."""

    verdict: Verdict
    reason: str
    rails_revision: str | None
    rails_digest: str | None = None
    trigger: str | None = None
    sandbox: str | None = None
    micros: int = 0
    remedy: Remedy | None = None
    checks: tuple[Check, ...] = ()


class JobStep(WireStruct, frozen=True):
    """One step of one attempt; `output` is the end of its output, which the log has in full."""

    id: str
    job_id: str
    attempt: int
    try_: int | None
    ordinal: int
    phase: Phase
    type: StepType
    name: str
    status: StepStatus
    exit_code: int | None = None
    output: str = ""
    output_bytes: int = 0
    tokens_input: int | None = None
    tokens_output: int | None = None
    started_at: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None


class JobEvent(WireStruct, frozen=True):
    """One event; `id` is its cursor in the stream and is never reused.

    `hash` is chained over the event before it, as shared.audit says; None for one that is older than the chain.
    """

    id: int
    job_id: str | None
    step_id: str | None
    type: str
    actor: str
    timestamp: str
    payload: dict[str, Any]
    hash: str | None = None


class PendingApproval(WireStruct, frozen=True):
    """The approval that a PENDING job needs: the guards that require it, who may give it, and until when."""

    guards: tuple[str, ...]
    by: tuple[str, ...]
    expires_at: str


class JobAnswer(WireStruct, frozen=True):
    """What a job has to say at a forge, or is told of it, and what became of that; `kind` is that of an Answer."""

    kind: str
    state: AnswerState
    url: str | None
    error: Failure | None


class JobChange(WireStruct, frozen=True):
    """The change (pull request or merge request) that was opened for a job's commit."""

    number: int
    url: str | None


class CurrentStep(WireStruct, frozen=True):
    """The step that a job runs at present, and its time limit, if it has one."""

    name: str
    type: StepType
    started_at: str
    timeout_ms: int | None = None


class RunnerJob(WireStruct, frozen=True):
    """A job; lists omit all fields from `prompt` on.

    `rails_revision` is the short name of the rails that it runs under, `rails_digest` the SHA-256 of their text.
    `held` is why a QUEUED job was not started when it was due: a limit, or a pause. `waiting` is the approval that a
    PENDING job needs; responses to commands omit it. `answers` are those about the job, in the order of their creation.
    `start` is None until a checkout was started. A job that is to start from the head of a change has in `target` the
    branch that the change is for, and in `head_sha` the head that its delivery named, if it did. `current_step` is what
    a RUNNING job is at, and `worker` the name of the daemon or worker that runs it; `last_line` is what that said last
    or, of an ended job, what came of it.
    """

    id: str
    workspace_id: str
    agent_task_id: str | None
    type: str
    status: Status
    priority: int
    profile: str
    executor: str
    repository: str | None
    ref: str | None
    thread: Thread | None
    attempt: int
    tries: Tries
    error: Failure | None
    usage: Usage
    rails_revision: str
    rails_digest: str
    delivery_id: str | None
    branch: str
    actor: str
    created_at: str
    queued_at: str | None
    started_at: str | None
    completed_at: str | None
    cancel_requested: bool
    version: int
    last_event: str
    held: str | None = None
    waiting: PendingApproval | None = None
    target: str | None = None
    head_sha: str | None = None
    start: Start | None = None
    current_step: CurrentStep | None = None
    last_line: str | None = None
    worker: str | None = None
    prompt: str | UnsetType = UNSET
    result: Result | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    steps: tuple[JobStep, ...] | UnsetType = UNSET
    events: tuple[JobEvent, ...] | UnsetType = UNSET
    decision: Decision | UnsetType | None = UNSET
    change: JobChange | UnsetType | None = UNSET
    answers: tuple[JobAnswer, ...] | UnsetType = UNSET
