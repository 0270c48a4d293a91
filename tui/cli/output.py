"""One job after a command: what the daemon answered, as the whole document or in a line."""

from argparse import Namespace

from shared import ids
from shared.models import RunnerJob
from tui.cli.terminal import Terminal
from tui.client.http import decode
from tui.text.jobs import job_state, location


def print_job(document: bytes, options: Namespace, terminal: Terminal) -> None:
    """Print a job as `--json` wants it, or its short id, state and place; raises Unintelligible."""
    if options.json:
        terminal.document(document)
        return
    job = decode(document, RunnerJob)
    shown = job_state(job)
    terminal.data(f"{ids.short_id(job.id)}  {shown.glyph} {shown.word}  {location(job.repository, job.thread)}")
