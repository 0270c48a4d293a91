"""The messages of the HTTP API beside models and deliveries: pages, states, results and problems.

Each is declared once and used by both sides: the daemon encodes it, the client decodes it.
"""

from typing import Any, Literal

from msgspec import UNSET, UnsetType, field

from shared.models import (
    AnswerState,
    Decision,
    Failure,
    JobEvent,
    RunnerJob,
    Status,
    Thread,
    Verdict,
    WireStruct,
)


class RailsFault(WireStruct, frozen=True):
    """A warning or an error in rails.yaml; `at` is when the file was rejected, `source` its line as written."""

    line: int
    column: int
    message: str
    at: str | UnsetType | None = UNSET
    source: str | UnsetType = UNSET


class Problem(WireStruct, frozen=True):
    """An RFC 9457 problem; the fields after `hint` are extensions that only some codes have.

    `decision` explains a denied or throttled dispatch, `column` (from 1) is where a filter cannot be parsed, and
    `faults` are all errors of a rejected rails.yaml, whose first one is repeated in `line`, `column` and `message`.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None
    decision: Decision | UnsetType | None = UNSET
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET
    message: str | UnsetType = UNSET
    faults: tuple[RailsFault, ...] | UnsetType = UNSET


class AgentCount(WireStruct, frozen=True):
    """How many of the agents that the rails use (`wanted`) a gateway has (`there`)."""

    there: int
    wanted: int


class ExecutorState(WireStruct, frozen=True):
    """Whether an executor works, and since when; what does not apply to its kind is None."""

    name: str
    ok: bool
    detail: str
    since: str
    version: str | None = None
    protocol: int | None = None
    agents: AgentCount | None = None


class Meta(WireStruct, frozen=True):
    """The identity of the daemon; `instance` changes with its database."""

    version: str
    api: str
    instance: str
    pid: int
    started_at: str
    executors: tuple[ExecutorState, ...] = ()


class DaemonState(WireStruct, frozen=True):
    """A process that runs jobs of the store; its lease ends at `until`, None where no other can share the store.

    `role` is daemon or worker, `executors` are those that it can reach, `workers` is how many jobs it runs at once.
    """

    id: str
    name: str
    host: str
    pid: int
    role: str
    version: str
    started_at: str
    until: str | None
    executors: tuple[str, ...]
    workers: int


class DaemonList(WireStruct, frozen=True):
    """All processes that share the store, in the order in which they were started."""

    items: tuple[DaemonState, ...]


class Health(WireStruct, frozen=True):
    """The answer of a daemon that is alive; `status` is `ok`."""

    status: str


class ReadinessCheck(WireStruct, frozen=True):
    """One condition of readiness, and since when it holds or fails."""

    name: str
    ok: bool
    detail: str
    since: str


class Readiness(WireStruct, frozen=True, omit_defaults=True):
    """Whether the daemon can accept and run work; only authenticated callers get `checks`."""

    ready: bool
    checks: tuple[ReadinessCheck, ...] = ()


class Pulse(WireStruct, frozen=True):
    """The current load; `ended` counts the jobs that ended in each of the last minutes, the most recent last.

    `refused_signatures` counts the webhooks with a wrong signature since the start, for each source that had any.
    """

    ended: tuple[int, ...]
    queued: int
    oldest_queued_at: str | None
    paused: bool
    paused_by: str | None
    reason: str | None
    refused_signatures: dict[str, int] = field(default_factory=dict)


class PauseState(WireStruct, frozen=True):
    """Whether new jobs may start; `running` are the ids of the jobs that run nevertheless, `queued` is a number."""

    paused: bool
    since: str | None
    actor: str | None
    reason: str | None
    running: tuple[str, ...]
    queued: int


class JobRequest(WireStruct, frozen=True, omit_defaults=True):
    """What a job is created from; what is None is left to the daemon."""

    type: str
    prompt: str | None = None
    repository: str | None = None
    ref: str | None = None
    agent_task_id: str | None = None
    priority: int | None = None
    idempotency_key: str | None = None


class Answer(WireStruct, frozen=True):
    """What is to be at a forge: a reaction, comment, status, check or change; `slot` says where in the repository.

    Or what is told to a target of `[[notify]]`, which is then the `source`: the kind is notification, the `repository`
    empty where the event is about none, and the slot names the event.
    `due_at` is when it is sent next, None unless it is pending; `tries` counts from when it became pending.
    """

    id: str
    source: str
    kind: str
    repository: str
    slot: str
    job_id: str | None
    delivery_id: str | None
    state: AnswerState
    url: str | None
    tries: int
    due_at: str | None
    error: Failure | None
    created_at: str


class JobPage(WireStruct, frozen=True):
    """A page of jobs, newest first; `cursor` is the id of the newest event that the page reflects."""

    items: tuple[RunnerJob, ...]
    next: str | None
    cursor: int
    counts: dict[str, int]


class EventPage(WireStruct, frozen=True):
    """A page of a job's events, oldest first; `next` is the `after` of the following page."""

    items: tuple[JobEvent, ...]
    next: int | None


class BulkItem(WireStruct, frozen=True):
    """The result of a bulk action for one job; `code` says why it was not applied (`ok` is false)."""

    id: str
    ok: bool
    status: Status
    code: str | UnsetType = UNSET


class BulkResult(WireStruct, frozen=True):
    """The results of a bulk action for every job that matched its filter, oldest first."""

    matched: int
    items: tuple[BulkItem, ...]


class DispatchResponse(WireStruct, frozen=True):
    """The answer to `POST /stitcher/dispatch`."""

    job_id: str
    queue_name: str
    status: Status


class AnswerPage(WireStruct, frozen=True):
    """A page of answers, newest first."""

    items: tuple[Answer, ...]
    next: str | None


class Backup(WireStruct, frozen=True):
    """A copy of the database that was made, and its size."""

    path: str
    bytes: int


class Account(WireStruct, frozen=True):
    """The id that is kept for a login; `accepted_by` is None if it was the first one seen.

    `changed_id` is another id that was seen since then, which has no rights until an operator accepts it.
    """

    account: str
    id: str
    since: str
    accepted_by: str | None
    changed_id: str | None
    changed_at: str | None


class AccountList(WireStruct, frozen=True):
    """All accounts whose ids are kept, those with another id first."""

    items: tuple[Account, ...]


class RailsChange(WireStruct, frozen=True):
    """A difference between two revisions of the rails, such as `trigger fix`, with the keys that differ.

    `change` is added, changed, moved or removed; `line` is where it is now, None if it was removed.
    """

    what: str
    change: str
    keys: tuple[str, ...]
    line: int | None


class RailsState(WireStruct, frozen=True):
    """The rails in force and how they differ from the revision `before`; most fields are None without any rails.

    Revisions are short names; `digest` and `before_digest` are the SHA-256 of the texts.
    `effective` is the file with all defaults filled in, as JSON; only a request for it includes it.
    """

    revision: str | None
    loaded_at: str | None
    mode: str | None
    path: str
    text: str | None
    warnings: tuple[RailsFault, ...]
    error: RailsFault | None
    digest: str | None = None
    before: str | None = None
    before_digest: str | None = None
    changes: tuple[RailsChange, ...] = ()
    before_text: str | UnsetType | None = UNSET
    effective: dict[str, Any] | UnsetType | None = UNSET


class SimulationChange(WireStruct, frozen=True):
    """A delivery that the simulated rails decide differently; `before` is the verdict that it got when it came."""

    delivery_id: str
    before: Verdict
    after: Verdict
    decision: Decision
    received_at: str
    event: str
    action: str | None
    sender: str | None
    repository: str | None
    thread: Thread | None


class SimulationResult(WireStruct, frozen=True):
    """What simulated rails would change; `deliveries` is the number decided again, `skipped` counts the others.

    `counts` is keyed by the change, such as `denied→allowed`.
    """

    revision: str
    warnings: tuple[RailsFault, ...]
    deliveries: int
    changed: tuple[SimulationChange, ...]
    counts: dict[str, int]
    skipped: dict[Literal["bodyGone", "permissionUnknown", "sourceGone", "unreadable"], int]
