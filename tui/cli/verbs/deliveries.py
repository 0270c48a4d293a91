"""`stitcher deliveries`: the webhooks that came in, what was made of them, and one of them again."""

from argparse import ArgumentParser, Namespace

from msgspec import Struct

from shared import ids
from shared.api import DeliveryPage
from shared.models import Decision, Delivery, Verdict
from tui.cli import exits
from tui.cli.parser import add_actions, daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import decode, delivery_path
from tui.text.decisions import decision_lines, verdict_headline
from tui.text.jobs import DASH, location
from tui.text.plain import plain
from tui.text.table import align_columns, join_cells
from tui.text.times import age, milliseconds

_REASON = 5
_ACTIONS = {
    "ls": "newest first, which is also what no action means",
    "show": "one of them",
    "replay": "one of them again, through today's rails",
}


class _Replayed(Struct, rename="camel"):
    """The answer to a replay: an Answer, and after a dry run its decision."""

    verdict: Verdict
    reason: str
    job_id: str | None = None
    decision: Decision | None = None


def arguments(parser: ArgumentParser) -> None:
    """Add the three things to do; without one it is ls."""
    actions = add_actions(parser, _ACTIONS, required=False)
    ls, show, replay = actions["ls"], actions["show"], actions["replay"]
    ls.add_argument("--verdict", metavar="VERDICT", action="append", help="allowed, denied, ignored …; may repeat")
    ls.add_argument("--source", metavar="SOURCE", action="append", help="the source's name; may repeat")
    ls.add_argument("--limit", metavar="N", type=int, default=50, help="how many, at most 500 (50)")
    ls.add_argument("--before", metavar="DELIVERY", help="only those older than this one")
    show.add_argument("--body", action="store_true", help="its stored body instead, as it came")
    replay.add_argument("--dry-run", action="store_true", help="only say what would come of it")
    for action in (show, replay):
        action.add_argument("delivery", metavar="DELIVERY", help="its id, or the end of it from 6 characters on")


def run(options: Namespace, terminal: Terminal) -> int:
    """Do one of the three."""
    return {"show": _show, "replay": _replay}.get(options.action, _ls)(options, terminal)


def _ls(options: Namespace, terminal: Terminal) -> int:
    chosen = vars(options)
    query = [(name, value) for name in ("verdict", "source") for value in chosen.get(name) or ()]
    query.append(("limit", str(chosen.get("limit", 50))))
    if chosen.get("before"):
        query.append(("before", chosen["before"]))
    document = daemon_client(options).get("/deliveries", query)
    if options.json:
        terminal.document(document)
        return exits.OK
    page = decode(document, DeliveryPage)
    if not page.items:
        terminal.note("no deliveries yet: point a forge's webhook at /stitcher/webhook/NAME, see the README")
    rows = [_row(delivery, ids.now_ms()) for delivery in page.items]
    for cells in align_columns(rows, bends=_REASON, columns=terminal.columns) if rows else []:
        terminal.data(join_cells(cells))
    if page.next:
        terminal.note(f"more: stitcher deliveries ls --before {ids.short_id(page.next)}")
    return exits.OK


def _row(delivery: Delivery, now: int) -> list[str]:
    event = f"{delivery.event}/{delivery.action}" if delivery.action else delivery.event
    return [
        ids.short_id(delivery.id),
        delivery.verdict.value,
        plain(event),
        location(delivery.repository, delivery.thread),
        plain(delivery.sender or DASH),
        plain(delivery.reason),
        age(now - milliseconds(delivery.received_at)),
    ]


def _show(options: Namespace, terminal: Terminal) -> int:
    daemon = daemon_client(options)
    path = delivery_path(options.delivery)
    if options.body:
        body = daemon.get(f"{path}/body")
        if terminal.watched:
            terminal.document(body)
        else:
            terminal.raw(body)  # to the byte: somebody may check its signature
        return exits.OK
    document = daemon.get(path)
    if options.json:
        terminal.document(document)
        return exits.OK
    delivery = decode(document, Delivery)
    facts = [
        ("id", delivery.id),
        ("source", f"{delivery.source} ({delivery.kind}), secret {delivery.secret}"),
        ("sender's id", delivery.external_id or DASH),
        ("received", delivery.received_at),
        ("event", f"{delivery.event}/{delivery.action or DASH} = {delivery.trigger or 'no word of ours'}"),
        ("from", delivery.sender or DASH),
        ("about", location(delivery.repository, delivery.thread)),
        ("body", f"{delivery.body_bytes} bytes, sha256 {delivery.body_sha256}"),
        ("verdict", f"{delivery.verdict.value}: {delivery.reason}"),
        ("job", ids.short_id(delivery.job_id) if delivery.job_id else DASH),
    ]
    if delivery.replay_of:
        facts.append(("replay of", ids.short_id(delivery.replay_of)))
    for name, value in facts:
        terminal.data(f"{terminal.paint(f'{name:12}', 'dim')} {plain(value)}")
    return exits.OK


def _replay(options: Namespace, terminal: Terminal) -> int:
    document = daemon_client(options).post(f"{delivery_path(options.delivery)}/replay", {"dryRun": options.dry_run})
    if options.json:
        terminal.document(document)
        return exits.OK
    said = decode(document, _Replayed)
    job = f", job {ids.short_id(said.job_id)}" if said.job_id else ""
    would = "would be " if options.dry_run else ""
    terminal.data(f"{would}{terminal.paint(*verdict_headline(said.verdict))}{job}: {plain(said.reason)}")
    if said.decision:
        for line in decision_lines(said.decision, terminal.paint):
            terminal.data(line)
    return exits.OK
