"""Prints the job that a verb has changed."""

from argparse import Namespace

from shared import ids
from shared.models import RunnerJob
from tui.cli.terminal import Terminal
from tui.client.replies import Reply
from tui.text.jobs import job_state, location


def print_job(reply: Reply[RunnerJob], options: Namespace, terminal: Terminal) -> None:
    """Print a job: with `--json` its document, otherwise its short id, state and location. Raises InvalidResponse."""
    if options.json:
        terminal.document(reply.raw)
        return
    terminal.data(job_line(reply.value))


def job_line(job: RunnerJob) -> str:
    """Return the short id, state and location of a job."""
    state = job_state(job)
    return f"{ids.short_id(job.id)}  {state.glyph} {state.word}  {location(job.repository, job.thread)}"
