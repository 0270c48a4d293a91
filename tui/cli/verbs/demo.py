"""`stitcher demo`: the main job on real input, in a directory of its own that is gone afterwards."""

import shlex
import shutil
import signal
import subprocess
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from types import FrameType

import msgspec

from tui.cli import exits
from tui.cli.demo import daemon, environment, scenario
from tui.cli.demo.daemon import DemoFailed
from tui.cli.demo.environment import DemoEnvironment
from tui.cli.demo.scenario import DemoCheck, WriteLine
from tui.cli.terminal import Terminal
from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse
from tui.text.plain import plain

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def arguments(parser: ArgumentParser) -> None:
    """Add what is left behind."""
    parser.add_argument("--keep", action="store_true", help="leave the daemon and its directory, to look around")


def run(options: Namespace, terminal: Terminal) -> int:
    """Play the demo; exit 0 only if everything came out as told, and leave no process and no file."""
    say = terminal.note if options.json else terminal.data
    for number in _ENDINGS:
        signal.signal(number, _interrupt)
    began = time.monotonic()
    process: subprocess.Popen[bytes] | None = None
    kept = False
    root = environment.create_directory()
    try:
        _introduce(root, say)
        scene = environment.build_environment(root)
        process = daemon.start(scene)
        findings = _play(scene, process, say, terminal)
        kept = options.keep and process.poll() is None
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        findings = [_broken(error, say)]
    finally:
        for number in (*_ENDINGS, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if not kept:
            _clear(process, root, terminal)
    if kept and process:
        _look_around(scene, process.pid, say)
    _sum_up(findings, time.monotonic() - began, say, terminal)
    if not root.exists():
        say("The daemon has ended and its directory is gone.")
    ok = all(finding.ok for finding in findings)
    if options.json:
        terminal.document(msgspec.json.encode({"ok": ok, "checks": findings}))
    return exits.OK if ok else exits.FAILED


def _introduce(root: Path, say: WriteLine) -> None:
    say("A signed webhook becomes a tested commit, with nothing but this machine.")
    say("")
    say("1. The stage")
    say(f"   Everything is in {plain(str(root))}, and goes when the demo ends.")
    say("   octo-org/api is a git repository made there, with two bugs and the tests that show them.")
    say("   The rails let octocat say `@mosaic fix`, and no commit counts unless the gate `tests` passes.")
    say("   The agent is a scripted stand-in, not a model. At first it does half of the work, on purpose.")


def _play(
    scene: DemoEnvironment, process: subprocess.Popen[bytes], say: WriteLine, terminal: Terminal
) -> list[DemoCheck]:
    try:
        daemon.wait_until_ready(scene, process)
        if scene.boxed:
            say("   It and the gate run in a bubblewrap sandbox, without a network.")
        else:
            say("   bubblewrap cannot be used here, so it and the gate run without a sandbox.")
        say(f"   stitcherd is ready at 127.0.0.1:{scene.port}, as process {process.pid}.")
        return scenario.run_scenario(scene, say, terminal.paint)
    except (DemoFailed, ApiError, DaemonUnreachable, InvalidResponse, OSError) as failure:
        say("")
        say(f"   {failure}")
        say("   The end of the daemon's log:")
        for line in daemon.log_tail(scene):
            say(f"   | {plain(line)}")
        return [DemoCheck(f"the demo reached its end ({plain(str(failure))})", False)]


def _broken(error: FileNotFoundError | subprocess.CalledProcessError, say: WriteLine) -> DemoCheck:
    if isinstance(error, FileNotFoundError):
        what = f"{plain(str(error.filename))} is not on PATH"
    else:
        what = f"{plain(shlex.join(error.cmd))} failed: {plain(str(error.stderr).strip())}"
    say(f"   {what}")
    return DemoCheck(f"the stage was built ({what})", False)


def _clear(process: subprocess.Popen[bytes] | None, root: Path, terminal: Terminal) -> None:
    if process:
        daemon.stop(process)
    try:
        shutil.rmtree(root)
    except OSError as error:
        terminal.note(f"stitcher: {plain(str(root))} could not be removed whole: {plain(str(error))}")


def _look_around(scene: DemoEnvironment, pid: int, say: WriteLine) -> None:
    root = shlex.quote(str(scene.root))
    say("")
    say("Kept, as you asked. To look around:")
    say(f"   export STITCHER_SOCKET={shlex.quote(str(scene.socket))}")
    say("   stitcher ls")
    say("   stitcher show JOB        and why it ran: stitcher why JOB")
    say(f"   git --git-dir={shlex.quote(str(scene.bare))} log --all --stat")
    say("To end it:")
    say(f"   kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done; rm -r {root}")


def _sum_up(findings: list[DemoCheck], seconds: float, say: WriteLine, terminal: Terminal) -> None:
    say("")
    say("Summary")
    for finding in findings:
        say(f"   {terminal.paint('✓', 'green') if finding.ok else terminal.paint('✗', 'red')} {finding.name}")
    missing = [finding for finding in findings if not finding.ok]
    say("")
    if missing:
        say(f"{len(missing)} of {len(findings)} did not come out.")
    else:
        say(f"All {len(findings)} came out as told, in {seconds:.1f} s.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
