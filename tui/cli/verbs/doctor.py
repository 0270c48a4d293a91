"""`stitcher doctor`: everything that can keep Stitcher from working here, a line each, with what helps."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from shared import locations
from shared.house import Meta
from tui import exits
from tui.client import Daemon, Refused, Unintelligible, Unreachable
from tui.columns import aligned, joined
from tui.doctor import daemon, door, files, machine, state, written
from tui.doctor.finding import Finding, State, problem
from tui.plain import plain
from tui.terminal import Terminal
from tui.wording import count

_LOOK = {
    State.OK: ("✓", "green"),
    State.INFO: ("·", "dim"),
    State.WARNING: ("!", "yellow"),
    State.PROBLEM: ("✗", "red"),
}


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Look at everything, whatever is found; exit 1 where something is a problem, as a daemon that does not run is."""
    findings = []
    for finding in _findings(options):
        findings.append(finding)
        if not options.json:
            _tell(finding, terminal)
    problems = sum(finding.state is State.PROBLEM for finding in findings)
    warnings = sum(finding.state is State.WARNING for finding in findings)
    if options.json:
        terminal.document(msgspec.json.encode({"ok": not problems, "checks": findings}))
    else:
        terminal.note(f"{count(problems, 'problem')}, {count(warnings, 'warning')}")
    return exits.FAILED if problems else exits.OK


def _tell(finding: Finding, terminal: Terminal) -> None:
    glyph, colour = _LOOK[finding.state]
    ((head, detail),) = aligned([[f"{glyph} {finding.state:8} {finding.name:24}", finding.detail]])
    terminal.data(joined([terminal.paint(head, colour), detail]))
    if finding.remedy:
        terminal.data(joined([" " * len(head), terminal.paint(f"→ {finding.remedy}", "dim")]))


def _findings(options: Namespace) -> Iterator[Finding]:
    config = locations.config_dir(options.config)
    settings = written.read(config)
    there, meta, said = _daemon(options.socket, config)
    runs = meta is not None
    rooms: list[tuple[str, Iterator[Finding]]] = [
        ("configuration", chain(files.directory(config), files.checked(config, settings))),
        ("secrets", files.secrets(settings, daemon_runs=runs)),
        ("state directory", state.directory(locations.state_dir(config))),
        ("socket", daemon.place(there.path, answers=runs) if there else iter(())),
        ("daemon", iter(said)),
        ("daemon", daemon.condition(there, meta, config) if there and meta else iter(())),
        ("executors", machine.executors(settings, daemon_runs=runs)),
        ("git", machine.git()),
        ("sandbox", machine.sandbox(config)),
        ("sqlite", machine.sqlite()),
        ("clock", machine.clock()),
        ("public door", door.public(settings, daemon_runs=runs)),
        ("webhook", door.webhooks(settings)),
    ]
    for name, room in rooms:
        yield from _looked(name, room)


def _looked(name: str, room: Iterator[Finding]) -> Iterator[Finding]:
    """Go through one room; that it cannot be entered is found too, and the others are looked at all the same."""
    try:
        yield from room
    except OSError as error:
        where = f"{plain(str(error.filename))}: " if error.filename else ""
        yield problem(name, f"{where}{error.strerror or plain(str(error))}", "run this as the user of stitcherd")
    except (Refused, Unreachable, Unintelligible) as silence:
        yield problem(name, str(silence), "compare both sides with: stitcher version")


def _daemon(socket: str | None, config: Path) -> tuple[Daemon | None, Meta | None, list[Finding]]:
    try:
        there = Daemon(locations.socket_path(socket, config))
    except locations.PathTooLong as fault:
        return None, None, [problem("socket", plain(str(fault)), "the client and stitcherd must mean the same path")]
    return there, *daemon.ask(there)
