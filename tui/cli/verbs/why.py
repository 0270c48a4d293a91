"""`stitcher why`: the decision behind a job or a delivery."""

from argparse import ArgumentParser, Namespace

import msgspec

from shared import ids
from shared.models import Decision, Delivery, RunnerJob
from tui import exits
from tui.client import Daemon, Refused, decode, delivery_path, job_path, reach
from tui.plain import plain
from tui.reasons import headline, lines
from tui.terminal import Terminal
from tui.wording import place


class _Decided(msgspec.Struct):
    decision: msgspec.Raw = msgspec.Raw(b"null")


def arguments(parser: ArgumentParser) -> None:
    """Add the subject."""
    parser.add_argument("subject", metavar="JOB|DELIVERY", help="its id, or the end of it from 6 characters on")


def run(options: Namespace, terminal: Terminal) -> int:
    """Print one decision; exit 5 where the id names neither, 1 where nothing was decided yet."""
    document, subject = _found(reach(options), options.subject)
    raw = decode(document, _Decided).decision
    if options.json:
        terminal.document(bytes(raw))
        return exits.OK
    if bytes(raw) == b"null":
        terminal.note(f"nothing is decided yet of {subject}")
        return exits.FAILED
    decision = decode(bytes(raw), Decision)
    terminal.data(f"{terminal.paint(*headline(decision.verdict))}  {subject}")
    for line in lines(decision, terminal.paint):
        terminal.data(line)
    return exits.OK


def _found(daemon: Daemon, subject: str) -> tuple[bytes, str]:
    try:
        document = daemon.get(job_path(subject))
    except Refused as refused:
        if refused.problem.status != 404:
            raise
    else:
        job = decode(document, RunnerJob)
        return (
            document,
            f"job {ids.short(job.id)}  {plain(job.type)} on {place(job.repository, job.thread)} by {plain(job.actor)}",
        )
    document = daemon.get(delivery_path(subject))
    delivery = decode(document, Delivery)
    what = f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event
    where = place(delivery.repository, delivery.thread)
    who = delivery.sender or "nobody"
    return document, f"delivery {ids.short(delivery.id)}  {plain(what)} on {where} by {plain(who)}"
