"""`stitcher why`: the decision behind a job or a delivery."""

from argparse import ArgumentParser, Namespace

import msgspec

from shared import ids
from shared.models import Decision, Delivery, RunnerJob
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, DaemonClient, decode, delivery_path, job_path
from tui.text.decisions import decision_lines, verdict_headline
from tui.text.jobs import location
from tui.text.plain import plain


class _Decided(msgspec.Struct):
    decision: msgspec.Raw = msgspec.Raw(b"null")


def arguments(parser: ArgumentParser) -> None:
    """Add the subject."""
    parser.add_argument("subject", metavar="JOB|DELIVERY", help="its id, or the end of it from 6 characters on")


def run(options: Namespace, terminal: Terminal) -> int:
    """Print one decision; exit 5 where the id names neither, 1 where nothing was decided yet."""
    document, subject = _found(daemon_client(options), options.subject)
    raw = decode(document, _Decided).decision
    if options.json:
        terminal.document(bytes(raw))
        return exits.OK
    if bytes(raw) == b"null":
        terminal.note(f"nothing is decided yet of {subject}")
        return exits.FAILED
    decision = decode(bytes(raw), Decision)
    terminal.data(f"{terminal.paint(*verdict_headline(decision.verdict))}  {subject}")
    for line in decision_lines(decision, terminal.paint):
        terminal.data(line)
    return exits.OK


def _found(daemon: DaemonClient, subject: str) -> tuple[bytes, str]:
    try:
        document = daemon.get(job_path(subject))
    except ApiError as refused:
        if refused.problem.status != 404:
            raise
    else:
        job = decode(document, RunnerJob)
        return (
            document,
            (
                f"job {ids.short_id(job.id)}  {plain(job.type)} on {location(job.repository, job.thread)}"
                f" by {plain(job.actor)}"
            ),
        )
    document = daemon.get(delivery_path(subject))
    delivery = decode(document, Delivery)
    what = f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event
    where = location(delivery.repository, delivery.thread)
    who = delivery.sender or "nobody"
    return document, f"delivery {ids.short_id(delivery.id)}  {plain(what)} on {where} by {plain(who)}"
