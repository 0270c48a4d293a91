"""`stitcher demo`: shows the main use case on real input, in a temporary directory."""

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path
from types import FrameType

import msgspec

from tui.cli import daemon_process, exits
from tui.cli.daemon_process import NotReady
from tui.cli.demo.environment import (
    DemoEnvironment,
    DemoFailed,
    build_environment,
    create_directory,
    daemon_environment,
)
from tui.cli.demo.forge import DemoForge
from tui.cli.demo.forge_scenario import run_forge_scenario
from tui.cli.demo.scenario import DemoCheck, WriteLine, run_scenario
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse
from tui.text.plain import plain

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
SCREEN_END_SECONDS = 10.0  # that the full screen has for its end after an interrupt


def arguments(parser: ArgumentParser) -> None:
    """Add --forge and --keep, which exclude each other: the forge ends with the demo."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--forge", action="store_true", help="show it at a forge, which the demo itself serves")
    either.add_argument(
        "--keep", action="store_true", help="look around on the full screen; without a terminal, keep the daemon"
    )


def run(options: Namespace, terminal: Terminal) -> int:
    """Run the demo; exit 0 only if every check passes, and leave no process and no file.

    With --keep they are left until the full screen is left; where there is none, the last lines say how to end them.
    """
    write = terminal.note if options.json else terminal.data
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where it is ignored, the full screen would not see it
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    started = time.monotonic()
    process: subprocess.Popen[bytes] | None = None
    forge: DemoForge | None = None
    kept, on_screen = False, options.keep and terminal.full_screen and not options.json
    root = create_directory()
    try:
        _introduce(root, write, keep=options.keep and not on_screen, at_forge=options.forge)
        if options.forge:
            forge = DemoForge(root, secrets.token_hex(20))
        environment = build_environment(root, forge.address if forge else None)
        process = daemon_process.start(environment.config, environment.log, daemon_environment())
        checks = _run_scenario(environment, forge, process, write, terminal)
        _summarise(checks, time.monotonic() - started, write, terminal)
        kept = options.keep and not on_screen and process.poll() is None
        if on_screen:
            _open_screen(environment)
    except (FileNotFoundError, subprocess.CalledProcessError, DemoFailed) as error:
        checks = [_setup_failure(error, write)]
        _summarise(checks, time.monotonic() - started, write, terminal)
    finally:
        for number in (*_SIGNALS, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if forge:
            forge.stop()
        if not kept:
            _clean_up(process, root, terminal)
    if kept and process:
        _print_kept(environment, process.pid, write)
    else:
        _print_end(root, write, keep=options.keep)
    ok = all(check.ok for check in checks)
    if options.json:
        terminal.document(msgspec.json.encode({"ok": ok, "checks": checks}))
    return exits.OK if ok else exits.FAILED


def _introduce(root: Path, write: WriteLine, *, keep: bool, at_forge: bool) -> None:
    write("A signed webhook becomes a tested commit, with nothing but this machine.")
    write("")
    write("1. The setup")
    end = "is kept; the last lines say how to remove it" if keep else "is removed when the demo ends"
    write(f"   Everything is in {plain(str(root))}, which {end}.")
    write("   octo-org/api is a git repository created there, with two bugs and the tests that show them.")
    if at_forge:
        write("   The demo serves it over HTTP, with as much of Gitea's API as one job needs, on this machine only.")
    who = "everybody who may write there" if at_forge else "octocat"
    write(f"   The rails let {who} say `@mosaic fix`, and no commit counts unless")
    write("   the gates `scope` and `tests` pass: what it touches is checked, and its tests are run.")
    write("   The agent is a scripted stand-in, not a model. At first it does only half of the work, on purpose.")


def _run_scenario(
    environment: DemoEnvironment,
    forge: DemoForge | None,
    process: subprocess.Popen[bytes],
    write: WriteLine,
    terminal: Terminal,
) -> list[DemoCheck]:
    try:
        daemon_process.wait_until_ready("127.0.0.1", environment.port, process)
        if environment.sandboxed:
            write("   It and the gate run in a bubblewrap sandbox, without a network.")
        else:
            write("   bubblewrap does not work here, so it and the gate run without a sandbox.")
        write(f"   stitcherd is ready at 127.0.0.1:{environment.port}, as process {process.pid}.")
        if forge:
            return run_forge_scenario(environment, forge, write, terminal.paint)
        return run_scenario(environment, write, terminal.paint)
    except (DemoFailed, NotReady, ApiError, DaemonUnreachable, InvalidResponse, OSError) as error:
        write("")
        write(f"   {error}")
        write("   The end of the daemon's log:")
        for line in daemon_process.log_tail(environment.log):
            write(f"   | {plain(line)}")
        return [DemoCheck(f"the demo ran to its end ({plain(str(error))})", False)]


def _setup_failure(
    error: FileNotFoundError | subprocess.CalledProcessError | DemoFailed, write: WriteLine
) -> DemoCheck:
    match error:
        case FileNotFoundError():
            reason = f"{plain(str(error.filename))} is not on PATH"
        case subprocess.CalledProcessError():
            reason = f"{plain(shlex.join(error.cmd))} failed: {plain(str(error.stderr).strip())}"
        case DemoFailed():
            reason = str(error)
    write(f"   {reason}")
    return DemoCheck(f"the setup succeeded ({reason})", False)


def _clean_up(process: subprocess.Popen[bytes] | None, root: Path, terminal: Terminal) -> None:
    if process:
        daemon_process.stop(process)
    try:
        shutil.rmtree(root)
    except OSError as error:
        terminal.note(f"stitcher: {plain(str(root))} could not be removed completely: {plain(str(error))}")


def _open_screen(environment: DemoEnvironment) -> None:
    """Run the full screen until it is left; a signal ends it, and it restores the terminal."""
    program = [sys.executable, "-m", "tui", "--config", str(environment.config), "--socket", str(environment.socket)]
    with subprocess.Popen([*program, "tui"], cwd=daemon_process.PACKAGES) as screen:
        try:
            screen.wait()
        except KeyboardInterrupt:
            screen.send_signal(signal.SIGINT)  # by which it restores the terminal, unlike by SIGTERM
            with suppress(subprocess.TimeoutExpired):  # Popen itself would wait for a quarter of a second
                screen.wait(SCREEN_END_SECONDS)
            raise


def _own_command() -> str:
    """Return the command that started this program, as it can be typed again."""
    given = sys.argv[0]
    if os.path.basename(given) != "stitcher" or shutil.which("stitcher") == os.path.abspath(given):  # noqa: PTH100, PTH119
        return "stitcher"
    return shlex.quote(given)


def _print_end(root: Path, write: WriteLine, *, keep: bool) -> None:
    if not root.exists():
        write("The daemon was stopped and its directory removed.")
    if not keep:
        write(f"look around: {_own_command()} demo --keep")


def _print_kept(environment: DemoEnvironment, pid: int, write: WriteLine) -> None:
    root = shlex.quote(str(environment.root))
    write("")
    write("Kept, as requested. To look around:")
    write(f"   export STITCHER_SOCKET={shlex.quote(str(environment.socket))}")
    write("   stitcher ls")
    write("   stitcher show JOB        and why it ran: stitcher why JOB")
    write(f"   git --git-dir={shlex.quote(str(environment.bare))} log --all --stat")
    write("To stop and remove it:")
    write(f"   kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done; rm -r {root}")


def _summarise(checks: list[DemoCheck], seconds: float, write: WriteLine, terminal: Terminal) -> None:
    write("")
    write("Summary")
    for check in checks:
        write(f"   {terminal.paint('✓', 'green') if check.ok else terminal.paint('✗', 'red')} {check.name}")
    failed = [check for check in checks if not check.ok]
    write("")
    if failed:
        write(f"{len(failed)} of {len(checks)} checks failed.")
    else:
        write(f"All {len(checks)} checks passed, in {seconds:.1f} s.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
