"""`stitcher why`: shows the decision behind a job or a delivery."""

from argparse import ArgumentParser, Namespace

from shared import ids
from shared.deliveries import Delivery
from shared.models import RunnerJob
from tui.cli import exits
from tui.cli.parser import ID_HELP, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import ApiError, DaemonClient
from tui.client.replies import Reply
from tui.text.decisions import decision_lines, verdict_headline
from tui.text.jobs import location
from tui.text.plain import plain


def arguments(parser: ArgumentParser) -> None:
    """Add the id."""
    parser.add_argument("subject", metavar="JOB|DELIVERY", help=ID_HELP)


def run(options: Namespace, terminal: Terminal) -> int:
    """Print one decision; exit 5 if the id names neither, 1 if nothing is decided yet."""
    reply, subject = _find(daemon_client(options), options.subject)
    if options.json:
        terminal.document(reply.field("decision"))
        return exits.OK
    decision = reply.value.decision
    if not decision:
        terminal.note(f"nothing is decided yet about {subject}")
        return exits.FAILED
    terminal.data(f"{terminal.paint(*verdict_headline(decision.verdict))}  {subject}")
    for line in decision_lines(decision, terminal.paint):
        terminal.data(line)
    return exits.OK


def _find(client: DaemonClient, subject: str) -> tuple[Reply[RunnerJob] | Reply[Delivery], str]:
    """Return the job or delivery that an id names, and a line that describes it."""
    try:
        job_reply = api.get_job(client, subject)
    except ApiError as error:
        if error.problem.status != 404:
            raise
    else:
        job = job_reply.value
        where = location(job.repository, job.thread)
        return job_reply, f"job {ids.short_id(job.id)}  {plain(job.type)} on {where} by {plain(job.actor)}"
    reply = api.get_delivery(client, subject)
    delivery = reply.value
    event = f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event
    where = location(delivery.repository, delivery.thread)
    sender = delivery.sender or "nobody"
    return reply, f"delivery {ids.short_id(delivery.id)}  {plain(event)} on {where} by {plain(sender)}"
