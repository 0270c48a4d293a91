"""The nouns of Stitcher: what is stored is what is sent is what is shown.

Frozen msgspec structs, camelCase on the wire. A field that a shorter answer leaves out is UNSET and is not
encoded. Times are RFC 3339 UTC with milliseconds, ids are UUIDv7 strings, unless a field says otherwise.
"""

from enum import StrEnum
from typing import Any

from msgspec import UNSET, Struct, UnsetType


class Status(StrEnum):
    """Where a job stands; stitcherd.store.lifecycle says which may follow which."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN_STATUSES = (Status.PENDING, Status.QUEUED, Status.RUNNING)


class Phase(StrEnum):
    """The part of a job's run that a step belongs to."""

    SETUP = "SETUP"
    EXECUTION = "EXECUTION"
    VALIDATION = "VALIDATION"
    CLEANUP = "CLEANUP"


class StepType(StrEnum):
    """What a step does."""

    COMMAND = "COMMAND"
    AI_ACTION = "AI_ACTION"
    GATE = "GATE"
    ARTIFACT = "ARTIFACT"


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


class Verdict(StrEnum):
    """What the rails, and the door, said of a delivery or a dispatch."""

    ALLOWED = "allowed"
    WAITING = "waiting"
    DECIDING = "deciding"
    IGNORED = "ignored"
    DENIED = "denied"
    THROTTLED = "throttled"
    DUPLICATE = "duplicate"


class CheckOutcome(StrEnum):
    """What one check came to."""

    PASS = "pass"  # noqa: S105 (a verdict, not a password)
    FAIL = "fail"
    ASK = "ask"
    SKIP = "skip"
    UNREACHED = "unreached"


class WireStruct(Struct, frozen=True, rename="camel"):
    """What crosses the socket: frozen, camelCase; unknown fields are ignored when read."""


class Thread(WireStruct, frozen=True):
    """The issue or change that a job is about; `kind` is `issue` or `change`, `author` is `source:login`."""

    kind: str
    number: int
    title: str = ""
    url: str | None = None
    author: str | None = None


class Tries(WireStruct, frozen=True):
    """How often the executor was started in this attempt, and how often it may be."""

    used: int
    max: int


class Failure(WireStruct, frozen=True):
    """Why a job failed: a code for programs, a sentence and a hint for people."""

    code: str
    detail: str
    hint: str | None = None


class Result(WireStruct, frozen=True):
    """What a completed job made; `commit` is None where nothing was changed."""

    commit: str | None
    files: int
    additions: int
    deletions: int
    summary: str


class Usage(WireStruct, frozen=True):
    """What the executor says it used; `turns` are calls of the model."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    turns: int = 0


class Check(WireStruct, frozen=True, gc=False):
    """One check of a decision: `line` of rails.yaml that made it, the value seen and the value wanted."""

    id: str
    kind: str  # trigger | who | guard | capability | limit, in this order
    outcome: CheckOutcome
    line: int | None = None
    seen: str | None = None
    wanted: str | None = None
    because: str | None = None


class Remedy(WireStruct, frozen=True):
    """The smallest change that would have allowed it; `line` of rails.yaml where it would be made."""

    text: str
    line: int | None = None


class Decision(WireStruct, frozen=True):
    """What the rails said, with every check in order; `micros` is how long deciding took."""

    verdict: Verdict
    reason: str
    rails_revision: str | None
    trigger: str | None = None
    sandbox: str | None = None
    micros: int = 0
    remedy: Remedy | None = None
    checks: tuple[Check, ...] = ()


class JobStep(WireStruct, frozen=True):
    """One step of one attempt; `output` is its last part, the whole is in its log."""

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
    """One thing that happened; `id` is the cursor of the stream, and never used again."""

    id: int
    job_id: str | None
    step_id: str | None
    type: str
    actor: str
    timestamp: str
    payload: dict[str, Any]


class PendingApproval(WireStruct, frozen=True):
    """What a PENDING job waits for: the guards that want a person asked, whose members may answer, until when."""

    guards: tuple[str, ...]
    by: tuple[str, ...]
    expires_at: str


class RunnerJob(WireStruct, frozen=True):
    """One piece of work; lists leave out everything from `prompt` on.

    `held` is why a QUEUED job did not start when its turn came: a limit, or a pause. `waiting` is what a PENDING
    one waits for; the answers to commands leave it out.
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
    prompt: str | UnsetType = UNSET
    result: Result | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    steps: tuple[JobStep, ...] | UnsetType = UNSET
    events: tuple[JobEvent, ...] | UnsetType = UNSET
    decision: Decision | UnsetType | None = UNSET


class Delivery(WireStruct, frozen=True):
    """One received webhook; `secret` is which of the source's secrets matched, from 1."""

    id: str
    source: str
    kind: str
    workspace_id: str
    external_id: str | None
    received_at: str
    event: str
    action: str | None
    trigger: str | None
    sender: str | None
    repository: str | None
    thread: Thread | None
    body_bytes: int
    body_sha256: str
    secret: int
    headers: dict[str, str]
    verdict: Verdict
    reason: str
    job_id: str | None
    replay_of: str | None
    decision: Decision | UnsetType | None = UNSET
