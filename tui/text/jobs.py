"""Jobs in words: the glyph, the word and the colour of each state, and the short ways to name things."""

from typing import NamedTuple

from shared.models import RunnerJob, Status, StepStatus, Thread
from tui.text.plain import plain
from tui.text.times import duration, milliseconds

DASH = "\N{EN DASH}"


class StateStyle(NamedTuple):
    """How a state is shown; never by its colour alone."""

    glyph: str
    word: str
    colour: str


_JOB = {
    Status.PENDING: StateStyle("◷", "waiting", "yellow"),
    Status.QUEUED: StateStyle("●", "queued", "cyan"),
    Status.RUNNING: StateStyle("▶", "running", "cyan"),
    Status.COMPLETED: StateStyle("✓", "completed", "green"),
    Status.FAILED: StateStyle("✗", "failed", "red"),
    Status.CANCELLED: StateStyle("⊘", "cancelled", "dim"),
}
_CANCELLING = StateStyle("▶", "cancelling", "yellow")

STEP_STYLES = {
    StepStatus.PENDING: StateStyle("·", "pending", "dim"),
    StepStatus.RUNNING: StateStyle("▶", "running", "cyan"),
    StepStatus.COMPLETED: StateStyle("✓", "completed", "green"),
    StepStatus.FAILED: StateStyle("✗", "failed", "red"),
    StepStatus.SKIPPED: StateStyle(DASH, "skipped", "dim"),
}


def job_state(job: RunnerJob) -> StateStyle:
    """Return how the state of a job is shown; one that was told to stop and still runs is `cancelling`."""
    return status_style(job.status, cancelling=job.cancel_requested)


def status_style(status: Status, *, cancelling: bool = False) -> StateStyle:
    """Return how a status is shown, of a job that was told to stop or of one that was not."""
    return _CANCELLING if status is Status.RUNNING and cancelling else _JOB[status]


def location(repository: str | None, thread: Thread | None) -> str:
    """Return where work belongs: `octo-org/api#479`, the repository alone, or a dash."""
    number = f"#{thread.number}" if thread else ""
    return plain(f"{repository or ''}{number}") or DASH


def elapsed(job: RunnerJob, now: int) -> str:
    """Return how long a job ran, runs, or waits to run, at `now` in milliseconds; a dash where it never did."""
    over = job.status not in {Status.PENDING, Status.QUEUED, Status.RUNNING}
    start = job.queued_at if job.status is Status.QUEUED else job.started_at
    if start is None or (over and job.completed_at is None):
        return DASH
    end = milliseconds(job.completed_at) if over and job.completed_at else now
    return duration(end - milliseconds(start))


def cost(job: RunnerJob) -> str:
    """Return what a job cost, `$0.21`, or a dash where nobody said."""
    return f"${job.usage.cost_usd:.2f}" if job.usage.cost_usd else DASH


def counted(number: int, noun: str) -> str:
    """Return `1 job` or `1,204 jobs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
