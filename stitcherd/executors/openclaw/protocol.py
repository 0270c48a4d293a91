"""What the gateway's answers and events mean for a task; pure, and tolerant of what it does not know."""

from typing import Any

import msgspec
from msgspec import Struct

from shared.models import Failure
from stitcherd.executors import Outcome

DENIALS = ("exec denied", "Exec denied", "Exec approval", "SYSTEM_RUN_DENIED", "Path escapes")  # how a no begins
ENDED_FROM_OUTSIDE = {"rpc", "archive", "aborted"}
READABLE = 500  # characters of the gateway's own text that a failure carries


class Interrupted(Exception):
    """The run is over and nobody can say how its work ended; the text says what is known."""


class Reply(Struct):
    """What a run ended with."""

    disposition: str = ""
    text: str = ""


class _Waited(Struct, rename="camel"):
    status: str = ""
    ended_at: float | None = None
    stop_reason: str = ""
    liveness_state: str = ""
    error: str = ""
    terminal_reply: Reply = msgspec.field(default_factory=Reply)


class Item(Struct, rename="camel"):
    """A part of a turn: a tool's call, or a text that came before one."""

    kind: str = ""
    phase: str = ""
    name: str = ""
    title: str = ""
    status: str = ""
    error: str = ""
    tool_call_id: str = ""
    progress_text: str = ""

    @property
    def denied(self) -> bool:
        """Whether the gateway did not let the tool do it."""
        return self.status == "blocked" or self.error.startswith(DENIALS)


class _Cost(Struct):
    total: float = 0.0


class Tokens(Struct):
    """What one call of the model used."""

    input: int = 0
    output: int = 0
    cost: _Cost = msgspec.field(default_factory=_Cost)


class _Marks(Struct, rename="camel"):
    id: str = ""
    run_id: str = ""


class Row(Struct, rename={"marks": "__openclaw", "stop_reason": "stopReason"}):
    """A line of a session's transcript."""

    role: str = ""
    stop_reason: str = ""
    usage: Tokens | None = None
    marks: _Marks = msgspec.field(default_factory=_Marks)


class _Active(Struct, rename="camel"):
    run_id: str


class History(Struct, rename="camel"):
    """A session's transcript, oldest first, and the run that it is in, if any."""

    messages: list[Any] = []
    in_flight_run: _Active | None = None

    def rows(self) -> list[Row]:
        """Return the lines that can be read."""
        return [row for row in (read(message, Row) for message in self.messages) if row is not None]


class Session(Struct, rename="camel"):
    """A session as the gateway describes it; its numbers are those of the last run, and only once that is `done`."""

    session_id: str = ""
    status: str = ""
    last_run_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    estimated_cost_usd: float = 0.0


def read(value: Any, shape: type[Any]) -> Any:
    """Return a value in its shape; None where a gateway of another version sent something else."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return None


def outcome(answer: dict[str, Any], timeout: float | None) -> Outcome | None:
    """Return what an answer of `agent.wait` means, None where the run is not over, or not known.

    `timeout` is the run's own, in seconds. Raises Interrupted where somebody else ended the run.
    """
    waited = read(answer, _Waited)
    if waited is None or waited.ended_at is None:
        return None
    visible = waited.terminal_reply.disposition == "visible"
    if waited.status == "ok" and waited.stop_reason == "stop" and visible:
        return Outcome()
    # A run that is cut short amid a tool's call is reported as ok.
    if waited.status == "timeout" or (waited.status == "ok" and waited.liveness_state == "paused"):
        return timed_out(timeout)
    if waited.stop_reason in ENDED_FROM_OUTSIDE:
        raise Interrupted("The run was ended in the gateway, and not by its agent.")
    if waited.liveness_state == "abandoned":
        raise Interrupted("The gateway gave the run up.")
    if waited.error:
        return failed(f"The agent failed: {' '.join(waited.error.split())[:READABLE].rstrip('.')}.")
    return failed(f"The agent stopped without an answer ({waited.status}, {waited.stop_reason or 'no reason'}).")


def settled(session: Session, rows: list[Row]) -> Outcome | None:
    """Return how a session's last run ended, by what is kept of it; None while it goes on, or is to be resumed.

    This is for runs whose gateway has restarted since: it forgets the answers of `agent.wait`.
    """
    if not session.last_run_id or session.status in {"", "running"}:
        return None
    last = next((row for row in reversed(rows) if row.role == "assistant"), None)
    if session.status == "done":
        if last is not None and last.stop_reason == "stop":
            return Outcome()
        return failed("The agent stopped without an answer.")
    if session.status == "killed":
        raise Interrupted("The run was ended in the gateway, and not by its agent.")
    return failed(f"The gateway says that the run ended as {session.status}.")


def timed_out(timeout: float | None) -> Outcome:
    """Return the outcome of a run that had no time left."""
    spent = "was given" if timeout is None else f"{timeout:g} s"
    detail = f"The executor was still running after {spent} and was ended."
    return Outcome(failure=Failure("executor_timeout", detail))


def failed(detail: str) -> Outcome:
    """Return the outcome of a run whose agent did not come to its own end."""
    return Outcome(failure=Failure("executor_failed", detail))
