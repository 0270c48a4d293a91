"""One job after a command: what the daemon answered, as the whole document or in a line."""

from argparse import Namespace

from shared import ids
from shared.models import RunnerJob
from tui.client import decode
from tui.terminal import Terminal
from tui.wording import look, place


def tell(document: bytes, options: Namespace, terminal: Terminal) -> None:
    """Print a job as `--json` wants it, or its short id, state and place; raises Unintelligible."""
    if options.json:
        terminal.document(document)
        return
    job = decode(document, RunnerJob)
    shown = look(job)
    terminal.data(f"{ids.short(job.id)}  {shown.glyph} {shown.word}  {place(job.repository, job.thread)}")
