"""`stitcher answers`: lists what is to be at the forges or told to targets, and what became of it; sends one again."""

from argparse import ArgumentParser, Namespace

from shared import ids
from shared.api import Answer
from tui.cli import exits
from tui.cli.parser import ID_HELP, add_actions, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.answers import answer_note
from tui.text.jobs import DASH
from tui.text.plain import plain
from tui.text.table import align_columns, join_cells

_NOTE = 6  # the column that is shortened
_ACTIONS = {
    "ls": "list them, newest first; the default",
    "retry": "send a failed or pending one at once, and end a hold of its source",
}


def arguments(parser: ArgumentParser) -> None:
    """Add the two actions; without one it is ls."""
    actions = add_actions(parser, _ACTIONS, required=False)
    ls, retry = actions["ls"], actions["retry"]
    ls.add_argument("--state", metavar="STATE", action="append", help="pending, sending, delivered, failed; may repeat")
    ls.add_argument("--limit", metavar="N", type=int, default=50, help="how many, at most 500 (50)")
    ls.add_argument("--before", metavar="ANSWER", help="only those older than this one")
    retry.add_argument("answer", metavar="ANSWER", help=ID_HELP)


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the chosen action."""
    return _retry(options, terminal) if options.action == "retry" else _ls(options, terminal)


def _ls(options: Namespace, terminal: Terminal) -> int:
    given = vars(options)  # without an action, the options of ls are missing
    query = [("state", value) for value in given.get("state") or ()]
    limit, before = given.get("limit", 50), given.get("before") or None
    reply = api.list_answers(daemon_client(options), query, limit=limit, before=before)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    page = reply.value
    if not page.items:
        terminal.note(
            "no answers: section report of rails.yaml says what is reported, for sources with an api, and [[notify]] in"
            " stitcherd.toml who is told of events"
        )
    rows = [_row(answer) for answer in page.items]
    for cells in align_columns(rows, bends=_NOTE, columns=terminal.columns) if rows else []:
        terminal.data(join_cells(cells))
    if page.next:
        terminal.note(f"more: stitcher answers ls --before {ids.short_id(page.next)}")
    return exits.OK


def _row(answer: Answer) -> list[str]:
    return [
        ids.short_id(answer.id),
        answer.state.value,
        plain(answer.source),
        plain(answer.repository) or DASH,
        plain(answer.slot),
        ids.short_id(answer.job_id) if answer.job_id else DASH,
        answer_note(answer.state, answer.url, answer.error, answer.due_at),
    ]


def _retry(options: Namespace, terminal: Terminal) -> int:
    reply = api.retry_answer(daemon_client(options), options.answer)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    terminal.data(f"{ids.short_id(reply.value.id)}  {plain(reply.value.slot)}")
    terminal.note("it is sent now: stitcher answers tells what becomes of it")
    return exits.OK
