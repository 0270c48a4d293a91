"""`stitcher doctor`: everything that can keep Stitcher from working here, a line each, with what helps."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from shared import locations
from shared.api import Meta
from tui.cli import exits
from tui.cli.doctor import daemon, files, machine
from tui.cli.doctor import settings as doctor_settings
from tui.cli.doctor.result import CheckResult, CheckState, problem
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse
from tui.text.jobs import counted
from tui.text.plain import plain
from tui.text.table import align_columns, join_cells

_LOOK = {
    CheckState.OK: ("✓", "green"),
    CheckState.INFO: ("·", "dim"),
    CheckState.WARNING: ("!", "yellow"),
    CheckState.PROBLEM: ("✗", "red"),
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
    problems = sum(finding.state is CheckState.PROBLEM for finding in findings)
    warnings = sum(finding.state is CheckState.WARNING for finding in findings)
    if options.json:
        terminal.document(msgspec.json.encode({"ok": not problems, "checks": findings}))
    else:
        terminal.note(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}")
    return exits.FAILED if problems else exits.OK


def _tell(finding: CheckResult, terminal: Terminal) -> None:
    glyph, colour = _LOOK[finding.state]
    ((head, detail),) = align_columns([[f"{glyph} {finding.state:8} {finding.name:24}", finding.detail]])
    terminal.data(join_cells([terminal.paint(head, colour), detail]))
    if finding.remedy:
        terminal.data(join_cells([" " * len(head), terminal.paint(f"→ {finding.remedy}", "dim")]))


def _findings(options: Namespace) -> Iterator[CheckResult]:
    config = locations.config_dir(options.config)
    settings = doctor_settings.read_settings(config)
    there, meta, said = _daemon(options.socket, config)
    runs = meta is not None
    rooms: list[tuple[str, Iterator[CheckResult]]] = [
        ("configuration", chain(files.check_config_directory(config), files.check_files(config, settings))),
        ("secrets", files.check_secrets(settings, daemon_runs=runs)),
        ("state directory", machine.check_state_directory(locations.state_dir(config))),
        ("socket", daemon.check_socket(there.path, answers=runs) if there else iter(())),
        ("daemon", iter(said)),
        ("daemon", daemon.check_readiness(there, meta, config) if there and meta else iter(())),
        ("executors", machine.check_executors(settings, daemon_runs=runs)),
        ("git", machine.check_git()),
        ("sandbox", machine.check_sandbox(config)),
        ("sqlite", machine.check_sqlite()),
        ("clock", machine.check_clock()),
        ("public door", daemon.check_listener(settings, daemon_runs=runs)),
        ("webhook", daemon.check_webhooks(settings)),
    ]
    for name, room in rooms:
        yield from _looked(name, room)


def _looked(name: str, room: Iterator[CheckResult]) -> Iterator[CheckResult]:
    """Go through one room; that it cannot be entered is found too, and the others are looked at all the same."""
    try:
        yield from room
    except OSError as error:
        where = f"{plain(str(error.filename))}: " if error.filename else ""
        yield problem(name, f"{where}{error.strerror or plain(str(error))}", "run this as the user of stitcherd")
    except (ApiError, DaemonUnreachable, InvalidResponse) as silence:
        yield problem(name, str(silence), "compare both sides with: stitcher version")


def _daemon(socket: str | None, config: Path) -> tuple[DaemonClient | None, Meta | None, list[CheckResult]]:
    try:
        there = DaemonClient(locations.socket_path(socket, config))
    except locations.SocketPathTooLong as fault:
        return None, None, [problem("socket", plain(str(fault)), "the client and stitcherd must mean the same path")]
    return there, *daemon.check_meta(there)
