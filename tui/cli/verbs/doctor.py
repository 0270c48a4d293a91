"""`stitcher doctor`: checks everything that can keep Stitcher from working here, a line each, with a remedy."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec

from shared import locations
from shared.api import Meta
from shared.checks import CheckResult, CheckState, problem
from tui.cli import exits
from tui.cli.doctor import daemon, files, forges, machine, notify, repositories
from tui.cli.doctor.daemon_checks import run_check
from tui.cli.doctor.settings import read_settings
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse
from tui.text.jobs import counted
from tui.text.plain import plain
from tui.text.table import align_columns, join_cells

_STYLES = {
    CheckState.OK: ("✓", "green"),
    CheckState.INFO: ("·", "dim"),
    CheckState.WARNING: ("!", "yellow"),
    CheckState.PROBLEM: ("✗", "red"),
}


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Run all checks; exit 1 if there is a problem, such as a daemon that does not run."""
    results = []
    for result in _results(options):
        results.append(result)
        if not options.json:
            _print(result, terminal)
    problems = sum(result.state is CheckState.PROBLEM for result in results)
    warnings = sum(result.state is CheckState.WARNING for result in results)
    if options.json:
        terminal.document(msgspec.json.encode({"ok": not problems, "checks": results}))
    else:
        terminal.note(f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}")
    return exits.FAILED if problems else exits.OK


def _print(result: CheckResult, terminal: Terminal) -> None:
    glyph, colour = _STYLES[result.state]
    ((head, detail),) = align_columns([[f"{glyph} {result.state:8} {result.name:24}", result.detail]])
    terminal.data(join_cells([terminal.paint(head, colour), detail]))
    if result.remedy:
        terminal.data(join_cells([" " * len(head), terminal.paint(f"→ {result.remedy}", "dim")]))


def _results(options: Namespace) -> Iterator[CheckResult]:
    config = locations.config_dir(options.config)
    settings = read_settings(config)
    client, meta, results = _find_daemon(options.socket, config)
    runs = meta is not None
    checks: list[tuple[str, Iterator[CheckResult]]] = [
        ("configuration", chain(files.check_config_directory(config), files.check_files(config, settings))),
        ("secrets", files.check_secrets(config, settings, daemon_runs=runs)),
        ("state directory", machine.check_state_directory(locations.state_dir(config))),
        ("socket", daemon.check_socket(client.path, answers=runs) if client else iter(())),
        ("daemon", iter(results)),
        ("daemon", daemon.check_readiness(client, meta, config) if client and meta else iter(())),
        ("executors", machine.check_executors(settings, daemon_runs=runs)),
        ("git", machine.check_git()),
        ("repositories", repositories.check_repositories(settings)),
        ("sandbox", machine.check_sandbox(config)),
        ("sqlite", machine.check_sqlite()),
        ("clock", machine.check_clock()),
        ("public listener", daemon.check_listener(settings, daemon_runs=runs)),
        ("webhook", daemon.check_webhooks(settings)),
        ("executors", run_check("executor_check", "executors", config, settings) if settings.executors else iter(())),
        ("notify", notify.check_notify(settings)),
        ("forges", forges.check_forges(config, settings, client if runs else None)),
    ]
    for name, check in checks:
        yield from _guarded(name, check)


def _guarded(name: str, check: Iterator[CheckResult]) -> Iterator[CheckResult]:
    """Yield the results of a check; an error in it is a problem of its own, and does not stop the other checks."""
    try:
        yield from check
    except OSError as error:
        where = f"{plain(str(error.filename))}: " if error.filename else ""
        yield problem(name, f"{where}{error.strerror or plain(str(error))}", "run this as the user of stitcherd")
    except (ApiError, DaemonUnreachable, InvalidResponse) as error:
        yield problem(name, str(error), "compare both versions with: stitcher version")


def _find_daemon(socket: str | None, config: Path) -> tuple[DaemonClient | None, Meta | None, list[CheckResult]]:
    try:
        client = DaemonClient(locations.socket_path(socket, config))
    except locations.SocketPathTooLong as error:
        return None, None, [problem("socket", plain(str(error)), "the client and stitcherd must use the same path")]
    return client, *daemon.check_meta(client)
