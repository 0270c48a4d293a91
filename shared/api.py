"""What the API says of the house itself: its rails, how work goes, whether it may start, and what it runs on."""

from msgspec import UNSET, UnsetType

from shared.models import Wire


class RailsFault(Wire, frozen=True):
    """A warning about the rails in force, or the error of a file that was refused: when, and its line as written."""

    line: int
    column: int
    message: str
    at: str | UnsetType | None = UNSET
    source: str | UnsetType = UNSET


class RailsChange(Wire, frozen=True):
    """A part of the rails that is not as it was: `trigger fix`, with the keys of it that differ, and its line now.

    `change` is added, changed, moved or removed; what is removed has no line.
    """

    what: str
    change: str
    keys: tuple[str, ...]
    line: int | None


class RailsState(Wire, frozen=True):
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


class Pause(Wire, frozen=True):
    """Whether jobs may start; `running` are the ids of those that run all the same, `queued` how many wait."""

    paused: bool
    since: str | None
    actor: str | None
    reason: str | None
    running: tuple[str, ...]
    queued: int


class Pulse(Wire, frozen=True):
    """How work goes, and whether anything may start.

    `ended` are the jobs that ended in each of the last minutes, the 60 seconds up to now last.
    """

    ended: tuple[int, ...]
    queued: int
    oldest_queued_at: str | None
    paused: bool
    paused_by: str | None
    reason: str | None


class AgentsInPlace(Wire, frozen=True):
    """How many agents a gateway has of those that the rails ask for, and how many these are."""

    there: int
    wanted: int


class ExecutorState(Wire, frozen=True):
    """How an executor is, and since when it is well or is not; what does not apply to its kind is None."""

    name: str
    ok: bool
    detail: str
    since: str
    version: str | None = None
    protocol: int | None = None
    agents: AgentsInPlace | None = None


class Meta(Wire, frozen=True):
    """Who is answering."""

    version: str
    api: str
    instance: str
    pid: int
    started_at: str
    executors: tuple[ExecutorState, ...] = ()
