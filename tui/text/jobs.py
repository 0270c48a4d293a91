"""Text for jobs: glyph, word and colour of each state, and short forms of location, time and cost."""

from typing import NamedTuple

from shared.api import JobRequest
from shared.ids import short_sha
from shared.models import Result, RunnerJob, Status, StepStatus, StepType, Thread
from tui.text.plain import plain
from tui.text.times import duration, milliseconds, span, time_left

DASH = "\N{EN DASH}"


class StateStyle(NamedTuple):
    """How a state is shown: never by colour alone."""

    glyph: str
    word: str
    colour: str


_JOB_STYLES = {
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
    """Return how the state of a job is shown; a running job that is to be cancelled is `cancelling`."""
    return status_style(job.status, cancelling=job.cancel_requested)


def status_style(status: Status, *, cancelling: bool = False) -> StateStyle:
    """Return how a status is shown; `cancelling` if a cancel was requested."""
    return _CANCELLING if status is Status.RUNNING and cancelling else _JOB_STYLES[status]


def location(repository: str | None, thread: Thread | None) -> str:
    """Return repository and thread, like `octo-org/api#479`, or the repository alone, or a dash."""
    number = f"#{thread.number}" if thread else ""
    return plain(f"{repository or ''}{number}") or DASH


def start_text(job: RunnerJob) -> str:
    """Return what a job starts from, like `refs/pull/7/head at 1a2b3c4`, or a dash; the sha once it is known."""
    ref, sha, missing = job.ref, job.head_sha, ""
    if job.start is not None:
        ref, sha = job.start.ref, job.start.sha
        missing = f" (there is no {job.ref})" if job.ref and job.ref != ref else ""
    at = f" at {short_sha(sha)}" if sha and sha != ref else ""
    return plain(f"{ref or DASH}{at}{missing}")


def elapsed(job: RunnerJob, now: int) -> str:
    """Return how long a job has run, or waited in the queue, at `now` in milliseconds; a dash if neither."""
    finished = job.status not in {Status.PENDING, Status.QUEUED, Status.RUNNING}
    start = job.queued_at if job.status is Status.QUEUED else job.started_at
    if start is None or (finished and job.completed_at is None):
        return DASH
    end = milliseconds(job.completed_at) if finished and job.completed_at else now
    return duration(end - milliseconds(start))


def cost(job: RunnerJob) -> str:
    """Return the cost of a job, like `$0.21`, or a dash if unknown."""
    return f"${job.usage.cost_usd:.2f}" if job.usage.cost_usd else DASH


def token_count(number: int) -> str:
    """Return a number of tokens, `812` or `20.1k` or `1.3M`, or a dash for none."""
    if not number:
        return DASH
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def latest(job: RunnerJob, now: int, activity: str = "") -> str:
    """Return what is to be known of a job beside its state: what it does or waits for, or what came of it.

    `now` is in milliseconds; `activity` is what events told since the job was read.
    """
    if job.status is Status.PENDING:
        return approval_wait(job, now)
    if job.status is Status.QUEUED:
        return plain(job.held or "waits for a worker")
    if job.status is not Status.RUNNING:
        return plain(job.last_line or (job.error.detail if job.error else ""))
    step = job.current_step
    gate = "gate " if step and step.type is StepType.GATE else ""
    text = plain(activity or job.last_line or (f"{gate}{step.name}" if step else "starts"))
    if step is None or step.timeout_ms is None:
        return text
    return f"{span(now - milliseconds(step.started_at))} of {span(step.timeout_ms)} · {text}"


def approval_wait(job: RunnerJob, now: int) -> str:
    """Return how long a job can still be approved, which guards ask for it, and who may approve."""
    if job.waiting is None:
        return "needs an approval"
    guards = ", ".join(job.waiting.guards)
    return plain(
        f"{time_left(milliseconds(job.waiting.expires_at) - now)} · {guards}, by {', '.join(job.waiting.by) or 'you'}"
    )


def changes(result: Result) -> str:
    """Return the size of a change, like `+34 -6 in 3 files`."""
    return f"+{result.additions} -{result.deletions} in {counted(result.files, 'file')}"


def more_summary(result: Result) -> list[str]:
    """Return the lines of a summary that say more than whether, and how much, was changed."""
    known = {changes(result), "no changes"}
    return [line for line in result.summary.splitlines() if line not in known]


def missing_task(request: JobRequest) -> str | None:
    """Return why a requested job would have nothing to work on, None if it has something."""
    given = (request.repository, (request.prompt or "").strip())
    return None if any(given) else "there is nothing to do: give a repository or a prompt"


def counted(number: int, noun: str) -> str:
    """Return `1 job` or `1,204 jobs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
