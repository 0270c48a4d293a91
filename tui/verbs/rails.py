"""`stitcher rails`: the policy in force, whether a file would do, and what it would have changed."""

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from shared import filters, ids, locations
from shared.models import Decision, RailsFault, RailsState, Thread, Verdict
from tui import exits
from tui.client import NotText, Refused, Unintelligible, Unreachable, decode, reach
from tui.columns import aligned, joined
from tui.options import Action
from tui.plain import plain
from tui.reasons import headline
from tui.terminal import Terminal
from tui.wording import place

_ARROW = "→"
_REASON = 3
_NOW = {"allowed": "newly allowed", "waiting": "now waiting for an approval"}


class _Refusal(Struct):
    """What is wrong with a text of rails.yaml."""

    faults: tuple[RailsFault, ...]


class _Changed(Struct, rename="camel"):
    """One delivery of which the other rails say something else."""

    delivery_id: str
    before: Verdict
    after: Verdict
    decision: Decision
    event: str = ""
    sender: str | None = None
    repository: str | None = None
    thread: Thread | None = None


class _Simulation(Struct, rename="camel"):
    """What would change."""

    deliveries: int
    changed: tuple[_Changed, ...]
    counts: dict[str, int]
    revision: str = ""
    warnings: tuple[RailsFault, ...] = ()
    skipped: dict[str, int] = {}


class _Unreadable(Exception):
    """The file is not there to be sent."""


def arguments(parser: ArgumentParser) -> None:
    """Add the four things to do, and what they take."""
    actions = parser.add_subparsers(
        dest="action", metavar="check|show|simulate|schema", required=True, parser_class=Action
    )
    check = actions.add_parser("check", help="is a file good")
    show = actions.add_parser("show", help="what is in force, and what is wrong with the file")
    show.add_argument("--effective", action="store_true", help="with every default written out, as JSON")
    simulate = actions.add_parser("simulate", help="what would a file have changed")
    simulate.add_argument("--since", metavar="AGE", type=age, help="only deliveries that young, as 90m or 7d")
    simulate.add_argument("--limit", metavar="N", type=int, default=1000, help="at most so many (1000)")
    actions.add_parser("schema", help="JSON Schema of the file, for editors")
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
    except Refused as refused:
        faults = _faults(refused)
        if not faults:
            raise
        if options.json:
            terminal.document(refused.document)
        name = plain(options.file or locations.RAILS)
        for fault in () if options.json else faults:
            terminal.data(_line(name, fault))
        return exits.USAGE


def _check(options: Namespace, terminal: Terminal) -> int:
    text = _text(options, terminal)
    try:
        document = reach(options).post("/rails/simulate", {"text": text, "limit": 0})
    except Unreachable:
        terminal.note("without a daemon the configuration's files are checked by: stitcherd --check")
        raise
    simulation = decode(document, _Simulation)
    if options.json:
        terminal.document(document)
        return exits.OK
    for warning in simulation.warnings:
        terminal.data(_line(plain(options.file or locations.RAILS), warning, "warning: "))
    terminal.note(f"the rails are good: {plain(simulation.revision)}{_warned(simulation.warnings)}")
    return exits.OK


def _show(options: Namespace, terminal: Terminal) -> int:
    document = reach(options).get("/rails", [("effective", "true")] if options.effective else [])
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
    return exits.OK


def _simulate(options: Namespace, terminal: Terminal) -> int:
    body: dict[str, object] = {"text": _text(options, terminal), "limit": options.limit}
    if options.since is not None:
        body["since"] = (datetime.now(UTC) - options.since).isoformat()
    document = reach(options).post("/rails/simulate", body)
    simulation = decode(document, _Simulation)
    if options.json:
        terminal.document(document)
        return exits.OK
    for line in _changes(simulation.changed, terminal):
        terminal.data(line)
    terminal.note(_summary(simulation))
    return exits.OK


def _schema(options: Namespace, terminal: Terminal) -> int:
    terminal.document(reach(options).get("/rails/schema"))
    return exits.OK


_ACTIONS = {"check": _check, "show": _show, "simulate": _simulate, "schema": _schema}


def _text(options: Namespace, terminal: Terminal) -> str:
    path = Path(options.file) if options.file else locations.config_dir(options.config) / locations.RAILS
    try:
        return terminal.read() if options.file == "-" else path.read_text("utf-8")
    except OSError as error:
        raise _Unreadable(f"{plain(str(path))} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NotText(f"{plain(str(path))} is not UTF-8") from error


def _faults(refused: Refused) -> tuple[RailsFault, ...]:
    try:
        return decode(refused.document, _Refusal).faults
    except Unintelligible:
        return ()


def _line(name: str, fault: RailsFault, kind: str = "") -> str:
    return f"{name}:{fault.line}:{fault.column}: {kind}{plain(fault.message)}"


def _warned(warnings: tuple[RailsFault, ...]) -> str:
    return f", {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""


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


def _changes(changed: tuple[_Changed, ...], terminal: Terminal) -> list[str]:
    if not changed:
        return []
    rows = [
        [
            ids.short(each.delivery_id),
            f"{each.before.value} {_ARROW} {each.after.value}",
            f"{plain(each.event)} on {place(each.repository, each.thread)} by {plain(each.sender or 'nobody')}",
            _why(each.decision),
        ]
        for each in changed
    ]
    table = aligned(rows, bends=_REASON, columns=terminal.columns)
    for cells, each in zip(table, changed, strict=True):
        cells[1] = terminal.paint(cells[1], headline(each.after)[1])
    return [joined(cells) for cells in table]


def _why(decision: Decision) -> str:
    remedy = f" (to allow it: {plain(decision.remedy.text)})" if decision.remedy else ""
    return f"{plain(decision.reason)}{remedy}"


def _summary(simulation: _Simulation) -> str:
    by_outcome: dict[str, int] = {}
    for change, number in simulation.counts.items():
        after = change.partition(_ARROW)[2]
        by_outcome[after] = by_outcome.get(after, 0) + number
    said = ", ".join(f"{number:,} {_NOW.get(after, f'now {plain(after)}')}" for after, number in by_outcome.items())
    missed = f"; {sum(simulation.skipped.values()):,} could not be decided again" if simulation.skipped else ""
    return f"{said or 'nothing would change'}, of {simulation.deliveries:,} deliveries{missed}"


def age(text: str) -> timedelta:
    """Return an age like `90m` or `7d`; raises ValueError."""
    return timedelta(milliseconds=filters.age(f"<{text}")[1])
