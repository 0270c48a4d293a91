"""`stitcher rails`: shows the policy in force, checks, tests or simulates a file, and prints the schema."""

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from shared import ids, locations, units
from shared.api import RailsChange, RailsFault, RailsState, SimulationChange
from tui.cli import exits
from tui.cli.parser import add_actions, daemon_client
from tui.cli.rails_cases import run_cases
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import ApiError, DaemonUnreachable, NotUtf8
from tui.text.decisions import verdict_headline
from tui.text.jobs import counted
from tui.text.plain import plain
from tui.text.simulation import change_subject, explain_decision, simulation_summary, verdict_change
from tui.text.table import align_columns, join_cells

_REASON = 3  # the column that is shortened
_ACTIONS = {
    "check": "check whether a file is valid",
    "test": "decide the cases of a file, without a daemon; exit 1 if one is not decided as it expects",
    "show": "show the rails in force, and what is wrong with the file",
    "simulate": "show what a file would have changed",
    "schema": "print the JSON Schema of the file, for editors",
}


class _FileUnreadable(Exception):
    """The file to send cannot be read."""


def arguments(parser: ArgumentParser) -> None:
    """Add the actions and their arguments."""
    actions = add_actions(parser, _ACTIONS, required=True)
    check, show, simulate = actions["check"], actions["show"], actions["simulate"]
    show.add_argument("--effective", action="store_true", help="with all defaults filled in, as JSON")
    simulate.add_argument("--since", metavar="AGE", type=_age, help="only deliveries of the last 90m, 7d, …")
    simulate.add_argument("--limit", metavar="N", type=int, default=1000, help="at most so many (1000)")
    test = actions["test"]
    test.add_argument(
        "file", metavar="FILE", nargs="?", help="by default rails.test.yaml in the configuration directory"
    )
    test.add_argument("--rails", metavar="FILE", help="the rails, by default rails.yaml in the configuration directory")
    for action in (check, simulate):
        where = "by default rails.yaml in the configuration directory; - is stdin"
        action.add_argument("file", metavar="FILE", nargs="?", help=where)


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the chosen action; exit 2 if the file is not valid."""
    actions = {"check": _check, "test": run_cases, "show": _show, "simulate": _simulate, "schema": _schema}
    try:
        return actions[options.action](options, terminal)
    except _FileUnreadable as error:
        terminal.note(f"stitcher: {error}")
        return exits.USAGE
    except ApiError as error:
        if not error.problem.faults:
            raise
        if options.json:
            terminal.document(error.document)
        else:
            for fault in error.problem.faults:
                terminal.data(_fault_line(_file_name(options), fault))
        return exits.USAGE


def _check(options: Namespace, terminal: Terminal) -> int:
    text = _read_file(options, terminal)
    try:
        reply = api.simulate_rails(daemon_client(options), text, limit=0)
    except DaemonUnreachable:
        terminal.note("to check the configuration without a daemon: stitcherd --check")
        raise
    result = reply.value
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    for warning in result.warnings:
        terminal.data(_fault_line(_file_name(options), warning, "warning: "))
    terminal.note(f"the rails are valid: {plain(result.revision)}{_warning_count(result.warnings)}")
    return exits.OK


def _show(options: Namespace, terminal: Terminal) -> int:
    reply = api.get_rails(daemon_client(options), effective=options.effective)
    state = reply.value
    if options.json:
        terminal.document(reply.raw)
    elif options.effective:
        terminal.document(msgspec.json.format(reply.field("effective")))
    elif state.text is not None:
        for line in text_lines(state, terminal):
            terminal.data(line)
    if state.error is not None:
        since = f" (since {plain(state.error.at)})" if state.error.at else ""
        terminal.note(terminal.paint(f"✗ {_fault_line(plain(state.path), state.error)}{since}", "red"))
    if state.revision is None:
        terminal.note("no rails are in force: nothing runs")
        return exits.FAILED
    since = f"since {plain(state.loaded_at or '')}, mode {plain(state.mode or '')}"
    terminal.note(f"rails {plain(state.revision)} are in force {since}{_warning_count(state.warnings)}")
    if state.changes:
        terminal.note(f"changed from {plain(state.before or '')}: {', '.join(map(_change_text, state.changes))}")
    return exits.OK


def _simulate(options: Namespace, terminal: Terminal) -> int:
    since = None if options.since is None else datetime.now(UTC) - options.since
    text = _read_file(options, terminal)
    reply = api.simulate_rails(daemon_client(options), text, limit=options.limit, since=since)
    result = reply.value
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    for line in _simulation_lines(result.changed, terminal):
        terminal.data(line)
    terminal.note(simulation_summary(result))
    return exits.OK


def _schema(options: Namespace, terminal: Terminal) -> int:
    terminal.document(api.get_rails_schema(daemon_client(options)))
    return exits.OK


def text_lines(state: RailsState, terminal: Terminal) -> list[str]:
    """Return the text in force: unchanged for a file or a pipe, with line numbers and warnings on a terminal."""
    lines = (state.text or "").splitlines()
    if not terminal.stdout_is_terminal:
        return ["\t".join(map(plain, line.split("\t"))) for line in lines]
    shown = []
    for number, line in enumerate(lines, 1):
        shown.append(f"{terminal.paint(f'{number:5}', 'dim')}  {plain(line)}")
        shown += [
            terminal.paint(f"       {' ' * (warning.column - 1)}▲ {plain(warning.message)}", "yellow")
            for warning in state.warnings
            if warning.line == number
        ]
    return shown


def _simulation_lines(changes: tuple[SimulationChange, ...], terminal: Terminal) -> list[str]:
    if not changes:
        return []
    rows = [
        [ids.short_id(each.delivery_id), verdict_change(each), change_subject(each), explain_decision(each.decision)]
        for each in changes
    ]
    table = align_columns(rows, bends=_REASON, columns=terminal.columns)
    for cells, each in zip(table, changes, strict=True):
        cells[1] = terminal.paint(cells[1], verdict_headline(each.after)[1])
    return [join_cells(cells) for cells in table]


def _read_file(options: Namespace, terminal: Terminal) -> str:
    path = Path(options.file) if options.file else locations.config_dir(options.config) / locations.RAILS_FILE
    try:
        return terminal.read() if options.file == "-" else path.read_text("utf-8")
    except OSError as error:
        raise _FileUnreadable(f"{plain(str(path))} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NotUtf8(f"{plain(str(path))} is not UTF-8") from error


def _file_name(options: Namespace) -> str:
    return plain(options.file or locations.RAILS_FILE)


def _fault_line(name: str, fault: RailsFault, kind: str = "") -> str:
    return f"{name}:{fault.line}:{fault.column}: {kind}{plain(fault.message)}"


def _warning_count(warnings: tuple[RailsFault, ...]) -> str:
    return f", {counted(len(warnings), 'warning')}" if warnings else ""


def _change_text(change: RailsChange) -> str:
    keys = f" ({', '.join(map(plain, change.keys))})" if change.keys else ""
    return f"{plain(change.what)} {plain(change.change)}{keys}"


def _age(text: str) -> timedelta:
    return timedelta(seconds=units.parse_duration(text.lower()))
