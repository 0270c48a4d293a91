"""`stitcher deliveries`: lists received webhooks and their verdicts, shows one, or replays one."""

from argparse import ArgumentParser, Namespace

from shared import ids
from shared.deliveries import Delivery
from tui.cli import exits
from tui.cli.parser import ID_HELP, add_actions, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.decisions import decision_lines, verdict_headline
from tui.text.jobs import DASH, location
from tui.text.plain import plain
from tui.text.table import align_columns, join_cells
from tui.text.times import age, milliseconds

_REASON = 5  # the column that is shortened
_ACTIONS = {
    "ls": "list them, newest first; the default",
    "show": "show one of them",
    "replay": "decide one of them again, under the rails in force",
}


def arguments(parser: ArgumentParser) -> None:
    """Add the three actions; without one it is ls."""
    actions = add_actions(parser, _ACTIONS, required=False)
    ls, show, replay = actions["ls"], actions["show"], actions["replay"]
    ls.add_argument("--verdict", metavar="VERDICT", action="append", help="allowed, denied, ignored …; may repeat")
    ls.add_argument("--source", metavar="SOURCE", action="append", help="the source's name; may repeat")
    ls.add_argument("--limit", metavar="N", type=int, default=50, help="how many, at most 500 (50)")
    ls.add_argument("--before", metavar="DELIVERY", help="only those older than this one")
    show.add_argument("--body", action="store_true", help="print its stored body instead, byte for byte")
    replay.add_argument("--dry-run", action="store_true", help="only print what would happen")
    for action in (show, replay):
        action.add_argument("delivery", metavar="DELIVERY", help=ID_HELP)


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the chosen action."""
    return {"show": _show, "replay": _replay}.get(options.action, _ls)(options, terminal)


def _ls(options: Namespace, terminal: Terminal) -> int:
    given = vars(options)  # without an action, the options of ls are missing
    query = [(name, value) for name in ("verdict", "source") for value in given.get(name) or ()]
    limit, before = given.get("limit", 50), given.get("before") or None
    reply = api.list_deliveries(daemon_client(options), query, limit=limit, before=before)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    page = reply.value
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
    client = daemon_client(options)
    if options.body:
        body = api.get_delivery_body(client, options.delivery)
        if terminal.stdout_is_terminal:
            terminal.document(body)
        else:
            terminal.raw(body)  # unchanged, so that its signature can be verified
        return exits.OK
    reply = api.get_delivery(client, options.delivery)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    for name, value in _facts(reply.value):
        terminal.data(f"{terminal.paint(f'{name:12}', 'dim')} {plain(value)}")
    return exits.OK


def _facts(delivery: Delivery) -> list[tuple[str, str]]:
    facts = [
        ("id", delivery.id),
        ("source", f"{delivery.source} ({delivery.kind}), secret {delivery.secret}"),
        ("sender's id", delivery.external_id or DASH),
        ("received", delivery.received_at),
        ("event", f"{delivery.event}/{delivery.action or DASH} = {delivery.trigger or 'no event of the rails'}"),
        ("from", delivery.sender or DASH),
        ("about", location(delivery.repository, delivery.thread)),
        ("body", f"{delivery.body_bytes} bytes, sha256 {delivery.body_sha256}"),
        ("verdict", f"{delivery.verdict.value}: {delivery.reason}"),
        ("job", ids.short_id(delivery.job_id) if delivery.job_id else DASH),
    ]
    if delivery.replay_of:
        facts.append(("replay of", ids.short_id(delivery.replay_of)))
    return facts


def _replay(options: Namespace, terminal: Terminal) -> int:
    reply = api.replay_delivery(daemon_client(options), options.delivery, dry_run=options.dry_run)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    response = reply.value
    job = f", job {ids.short_id(response.job_id)}" if response.job_id else ""
    would = "would be " if options.dry_run else ""
    terminal.data(f"{would}{terminal.paint(*verdict_headline(response.verdict))}{job}: {plain(response.reason)}")
    if response.decision:
        for line in decision_lines(response.decision, terminal.paint):
            terminal.data(line)
    return exits.OK
