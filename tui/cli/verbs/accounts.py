"""`stitcher accounts`: lists the ids that are kept for logins, and accepts another id."""

from argparse import ArgumentParser, Namespace

from shared.api import Account
from tui.cli import exits
from tui.cli.parser import add_actions, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.plain import plain
from tui.text.table import align_columns, join_cells

_NOTE = 2  # the column that is shortened
_ACTIONS = {
    "ls": "list the accounts of the rails that were seen, those with another id first; the default",
    "accept": "keep the other id that was seen: whoever has it gets the rights of the login",
}


def arguments(parser: ArgumentParser) -> None:
    """Add the two actions; without one it is ls."""
    accept = add_actions(parser, _ACTIONS, required=False)["accept"]
    accept.add_argument("account", metavar="SOURCE:LOGIN[#ID]", help="with an id, only if it was the last one seen")


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the chosen action."""
    return _accept(options, terminal) if options.action == "accept" else _ls(options, terminal)


def _ls(options: Namespace, terminal: Terminal) -> int:
    reply = api.list_accounts(daemon_client(options))
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    rows = [[plain(each.account), plain(f"#{each.id}"), plain(_note(each))] for each in reply.value.items]
    for cells in align_columns(rows, bends=_NOTE, columns=terminal.columns) if rows else []:
        terminal.data(join_cells(cells))
    if not rows:
        terminal.note("no ids are kept yet: the first one is, once a delivery of an account in the rails gives it")
    return exits.OK


def _note(account: Account) -> str:
    kept = f"accepted by {account.accepted_by}" if account.accepted_by else "the first seen"
    if account.changed_id is None:
        return f"{kept}, since {account.since}"
    return f"#{account.changed_id} was seen at {account.changed_at}, and has no rights until it is accepted"


def _accept(options: Namespace, terminal: Terminal) -> int:
    account, _, number = options.account.partition("#")
    reply = api.accept_account(daemon_client(options), account, number or None)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    accepted = reply.value
    terminal.data(plain(f"{accepted.account}#{accepted.id}"))
    terminal.note("it has the rights of this login from now on")
    return exits.OK
