"""`stitcher rails`: the policy in force, whether a file would do, and what it would have changed."""

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from shared import filters, ids, locations
from shared.api import RailsChange, RailsFault, RailsFaults, RailsState, SimulationChange, SimulationResult
from tui.cli import exits
from tui.cli.parser import add_actions, daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8, decode
from tui.text.decisions import verdict_headline
from tui.text.plain import plain
from tui.text.simulation import change_subject, explain_decision, simulation_summary, verdict_change
from tui.text.table import align_columns, join_cells

_REASON = 3
_WHAT = {
    "check": "say whether a file is good",
    "show": "what is in force, and what is wrong with the file",
    "simulate": "say what a file would have changed",
    "schema": "JSON Schema of the file, for editors",
}


class _Unreadable(Exception):
    """The file is not there to be sent."""


def arguments(parser: ArgumentParser) -> None:
    """Add the four things to do, and what they take."""
    actions = add_actions(parser, _WHAT, required=True)
    check, show, simulate = actions["check"], actions["show"], actions["simulate"]
    show.add_argument("--effective", action="store_true", help="with every default written out, as JSON")
    simulate.add_argument(
        "--since", metavar="AGE", type=parse_age_option, help="only deliveries that young, as 90m or 7d"
    )
    simulate.add_argument("--limit", metavar="N", type=int, default=1000, help="at most so many (1000)")
    for action in (check, simulate):
        said = "rails.yaml of the configuration, where none is named; - is stdin"
        action.add_argument("file", metavar="FILE", nargs="?", help=said)


def run(options: Namespace, terminal: Terminal) -> int:
    """Do one of the four; exit 2 for a file that is no good."""
    try:
        return _ACTIONS[options.action](options, terminal)
    except _Unreadable as why:
        terminal.note(f"stitcher: {why}")
        return exits.USAGE
    except ApiError as refused:
        faults = _faults(refused)
        if not faults:
            raise
        if options.json:
            terminal.document(refused.document)
        name = plain(options.file or locations.RAILS_FILE)
        for fault in () if options.json else faults:
            terminal.data(_line(name, fault))
        return exits.USAGE


def _check(options: Namespace, terminal: Terminal) -> int:
    text = _text(options, terminal)
    try:
        document = daemon_client(options).post("/rails/simulate", {"text": text, "limit": 0})
    except DaemonUnreachable:
        terminal.note("without a daemon the configuration's files are checked by: stitcherd --check")
        raise
    simulation = decode(document, SimulationResult)
    if options.json:
        terminal.document(document)
        return exits.OK
    for warning in simulation.warnings:
        terminal.data(_line(plain(options.file or locations.RAILS_FILE), warning, "warning: "))
    terminal.note(f"the rails are good: {plain(simulation.revision)}{_warned(simulation.warnings)}")
    return exits.OK


def _show(options: Namespace, terminal: Terminal) -> int:
    document = daemon_client(options).get("/rails", [("effective", "true")] if options.effective else [])
    state = decode(document, RailsState)
    if options.json:
        terminal.document(document)
    elif options.effective:
        terminal.document(msgspec.json.format(msgspec.json.encode(msgspec.json.decode(document)["effective"])))
    elif state.text is not None:
        for line in text_lines(state, terminal):
            terminal.data(line)
    if state.error is not None:
        since = f" (since {plain(state.error.at)})" if state.error.at else ""
        terminal.note(terminal.paint(f"✗ {_line(plain(state.path), state.error)}{since}", "red"))
    if state.revision is None:
        terminal.note("no rails are in force: nothing runs")
        return exits.FAILED
    since = f"since {plain(state.loaded_at or '')}, mode {plain(state.mode or '')}"
    terminal.note(f"rails {plain(state.revision)} are in force {since}{_warned(state.warnings)}")
    if state.changes:
        terminal.note(f"against {plain(state.before or '')} before: {', '.join(map(_changed, state.changes))}")
    return exits.OK


def _simulate(options: Namespace, terminal: Terminal) -> int:
    body: dict[str, object] = {"text": _text(options, terminal), "limit": options.limit}
    if options.since is not None:
        body["since"] = (datetime.now(UTC) - options.since).isoformat()
    document = daemon_client(options).post("/rails/simulate", body)
    simulation = decode(document, SimulationResult)
    if options.json:
        terminal.document(document)
        return exits.OK
    for line in _changes(simulation.changed, terminal):
        terminal.data(line)
    terminal.note(simulation_summary(simulation))
    return exits.OK


def _schema(options: Namespace, terminal: Terminal) -> int:
    terminal.document(daemon_client(options).get("/rails/schema"))
    return exits.OK


_ACTIONS = {"check": _check, "show": _show, "simulate": _simulate, "schema": _schema}


def _text(options: Namespace, terminal: Terminal) -> str:
    path = Path(options.file) if options.file else locations.config_dir(options.config) / locations.RAILS_FILE
    try:
        return terminal.read() if options.file == "-" else path.read_text("utf-8")
    except OSError as error:
        raise _Unreadable(f"{plain(str(path))} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NotUtf8(f"{plain(str(path))} is not UTF-8") from error


def _faults(refused: ApiError) -> tuple[RailsFault, ...]:
    try:
        return decode(refused.document, RailsFaults).faults
    except InvalidResponse:
        return ()


def _line(name: str, fault: RailsFault, kind: str = "") -> str:
    return f"{name}:{fault.line}:{fault.column}: {kind}{plain(fault.message)}"


def _warned(warnings: tuple[RailsFault, ...]) -> str:
    return f", {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""


def _changed(change: RailsChange) -> str:
    keys = f" ({', '.join(map(plain, change.keys))})" if change.keys else ""
    return f"{plain(change.what)} {plain(change.change)}{keys}"


def text_lines(state: RailsState, terminal: Terminal) -> list[str]:
    """Return the text in force: as it is for a file or a pipe, numbered and with its warnings for a person."""
    lines = (state.text or "").splitlines()
    if terminal.columns is None:
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


def _changes(changed: tuple[SimulationChange, ...], terminal: Terminal) -> list[str]:
    if not changed:
        return []
    rows = [
        [
            ids.short_id(each.delivery_id),
            verdict_change(each),
            change_subject(each),
            explain_decision(each.decision),
        ]
        for each in changed
    ]
    table = align_columns(rows, bends=_REASON, columns=terminal.columns)
    for cells, each in zip(table, changed, strict=True):
        cells[1] = terminal.paint(cells[1], verdict_headline(each.after)[1])
    return [join_cells(cells) for cells in table]


def parse_age_option(text: str) -> timedelta:
    """Return an age like `90m` or `7d`; raises ValueError."""
    return timedelta(milliseconds=filters.parse_age(f"<{text}")[1])
