"""What the API says of the house itself: its rails, how work goes, whether it may start, and what it runs on."""

import msgspec
from msgspec import UNSET, Struct, UnsetType

from shared.models import Decision, Delivery, JobEvent, RunnerJob, Status, Thread, Verdict, WireStruct


class RailsFault(WireStruct, frozen=True):
    """A warning about the rails in force, or the error of a file that was refused: when, and its line as written."""

    line: int
    column: int
    message: str
    at: str | UnsetType | None = UNSET
    source: str | UnsetType = UNSET


class RailsChange(WireStruct, frozen=True):
    """A part of the rails that is not as it was: `trigger fix`, with the keys of it that differ, and its line now.

    `change` is added, changed, moved or removed; what is removed has no line.
    """

    what: str
    change: str
    keys: tuple[str, ...]
    line: int | None


class RailsState(WireStruct, frozen=True):
    """The rails in force, and how they differ from those `before`; None, as `text` is, while there are none."""

    revision: str | None
    loaded_at: str | None
    mode: str | None
    path: str
    text: str | None
    warnings: tuple[RailsFault, ...]
    error: RailsFault | None
    before: str | None = None
    changes: tuple[RailsChange, ...] = ()
    before_text: str | UnsetType | None = UNSET


class PauseState(WireStruct, frozen=True):
    """Whether jobs may start; `running` are the ids of those that run all the same, `queued` how many wait."""

    paused: bool
    since: str | None
    actor: str | None
    reason: str | None
    running: tuple[str, ...]
    queued: int


class Pulse(WireStruct, frozen=True):
    """How work goes, and whether anything may start.

    `ended` are the jobs that ended in each of the last minutes, the 60 seconds up to now last.
    """

    ended: tuple[int, ...]
    queued: int
    oldest_queued_at: str | None
    paused: bool
    paused_by: str | None
    reason: str | None


class AgentCount(WireStruct, frozen=True):
    """How many agents a gateway has of those that the rails ask for, and how many these are."""

    there: int
    wanted: int


class ExecutorState(WireStruct, frozen=True):
    """How an executor is, and since when it is well or is not; what does not apply to its kind is None."""

    name: str
    ok: bool
    detail: str
    since: str
    version: str | None = None
    protocol: int | None = None
    agents: AgentCount | None = None


class Meta(WireStruct, frozen=True):
    """Who is answering."""

    version: str
    api: str
    instance: str
    pid: int
    started_at: str
    executors: tuple[ExecutorState, ...] = ()


class WebhookResponse(WireStruct, frozen=True):
    """What a webhook's sender is told."""

    delivery_id: str
    verdict: Verdict
    job_id: str | None
    status: Status | None
    reason: str


class DispatchResponse(WireStruct, frozen=True):
    """The original's answer to a manual dispatch."""

    job_id: str
    queue_name: str
    status: Status


class JobPage(WireStruct, frozen=True):
    """A page of jobs, newest first; `cursor` is the newest event that the page knows of."""

    items: tuple[RunnerJob, ...]
    next: str | None
    cursor: int
    counts: dict[str, int]


class BulkItem(WireStruct, frozen=True):
    """What became, or in a dry run would become, of one of many jobs; `code` is why it is not `ok`."""

    id: str
    ok: bool
    status: Status
    code: str | UnsetType = UNSET


class BulkResult(WireStruct, frozen=True):
    """What one command did to every job that passed a filter, the oldest first."""

    matched: int
    items: tuple[BulkItem, ...]


class EventPage(WireStruct, frozen=True):
    """A page of a job's events, oldest first; `next` goes into `after`."""

    items: tuple[JobEvent, ...]
    next: int | None


class DeliveryPage(WireStruct, frozen=True):
    """A page of deliveries, newest first."""

    items: tuple[Delivery, ...]
    next: str | None


class Problem(WireStruct, frozen=True):
    """An RFC 9457 answer."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str | None = None


class SimulationChange(Struct, rename="camel"):
    """One delivery of which the other rails say something else."""

    delivery_id: str
    before: Verdict
    after: Verdict
    decision: Decision
    event: str = ""
    sender: str | None = None
    repository: str | None = None
    thread: Thread | None = None


class SimulationResult(Struct, rename="camel"):
    """What would change."""

    deliveries: int
    changed: tuple[SimulationChange, ...]
    counts: dict[str, int]
    revision: str = ""
    warnings: tuple[RailsFault, ...] = ()
    skipped: dict[str, int] = {}


class RailsFaults(Struct):
    """What is wrong with a text of rails.yaml, as its refusal says it."""

    faults: tuple[RailsFault, ...] = ()


class ReadinessCheck(msgspec.Struct, frozen=True):
    """One thing that the daemon says about whether it is ready."""

    name: str
    ok: bool
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """What the daemon answers to whether it is ready."""

    ready: bool = True
    checks: tuple[ReadinessCheck, ...] = ()
