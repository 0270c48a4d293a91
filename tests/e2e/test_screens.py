"""`stitcher` on a pseudo-terminal with a real daemon: a webhook arrives, a job runs, the daemon crashes."""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pyte
import pytest

from bench.screen import start_on_terminal
from tui.cli import daemon_process
from tui.cli.demo import webhooks
from tui.cli.demo.environment import DemoEnvironment, build_environment, create_directory, daemon_environment
from tui.client.http import DaemonClient


class Terminal:
    """`stitcher` on a pseudo-terminal, and what it has drawn."""

    def __init__(self, argv: list[str], size: tuple[int, int] = (120, 40)) -> None:
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._fd = start_on_terminal(argv, size)
        self.raw = b""

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, holds: Callable[[str], object], limit: float = 60.0) -> str:
        deadline = time.monotonic() + limit
        while not holds(self.text()):
            assert time.monotonic() < deadline, self.text()
            self.read(0.05)
        return self.text()

    def read(self, wait: float) -> bool:
        """Process available output; return False at the end."""
        if not select.select([self._fd], [], [], wait)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def end(self) -> int:
        """Quit and return the exit code; kill the program if it does not exit within ten seconds."""
        self.press("q")
        deadline = time.monotonic() + 10
        while self.read(0.1):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def stage() -> Iterator[DemoEnvironment]:
    root = create_directory()
    yield build_environment(root)
    shutil.rmtree(root)


@pytest.fixture
def process(stage: DemoEnvironment) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The daemons that were started; the last one runs."""
    started = [daemon_process.start(stage.config, stage.log, daemon_environment())]
    daemon_process.wait_until_ready("127.0.0.1", stage.port, started[0])
    yield started
    for each in started:
        daemon_process.stop(each)


def look_at_statistics(terminal: Terminal) -> None:
    """Open the statistics, and the jobs that their bar counts."""
    terminal.press("i")
    terminal.until(lambda text: "1 job ended" in text and "tests" in text.partition("GATES")[2])
    terminal.press("\r")
    terminal.until(lambda text: "/ ended:2" in text and "1 of 1" in text and "api#7" in text)
    terminal.press("\x1b")
    terminal.until(lambda text: "no filter" in text and "1 of 1" in text)


def test_from_a_webhook_to_a_commit_on_one_screen(
    stage: DemoEnvironment, process: list[subprocess.Popen[bytes]]
) -> None:
    terminal = Terminal(["--socket", str(stage.socket)])
    try:
        terminal.until(lambda text: "no jobs yet" in text)
        webhooks.send_comment(stage, webhooks.IssueComment(7, "Pages end early", "octocat", "@mosaic fix"))
        terminal.until(lambda text: "▶ running" in text and "octo-org/api#7" in text)
        terminal.press("\r")
        terminal.until(lambda text: "I am a scripted stand-in" in text)
        terminal.until(lambda text: "✓ completed" in text.splitlines()[0] and "▾ try 2" in text)
        terminal.press("3")
        terminal.until(lambda text: "+    return rows[start : start + size]" in text)
        terminal.press("7")
        terminal.until(lambda text: "commit " in text)
        terminal.press("4")
        terminal.until(lambda text: "ALLOWED" in text)
        terminal.press("\x1b")
        terminal.until(lambda text: "1 All 1" in text)
        terminal.press("/state:complete")
        terminal.until(lambda text: "state:completed" in text)
        terminal.press("\t\r")
        terminal.until(lambda text: "/ state:completed" in text and "1 of 1" in text and "api#7" in text)
        terminal.press("/,nonsense\r")
        terminal.until(lambda text: "▲" in text and "nonsense" in text)
        terminal.press("\x1b")
        terminal.until(lambda text: "no filter" in text and "1 of 1" in text)
        look_at_statistics(terminal)
        terminal.press("D")
        terminal.until(lambda text: "✓ allowed" in text and "issue_comment.created" in text)
        terminal.press("R")
        terminal.until(lambda text: "fix-on-command" in text and "in force" in text)
        terminal.press("t")
        terminal.until(lambda text: "job.completed" in text)
        for title in ("rails", "deliveries", "stitcher ─ jobs"):
            terminal.press("\x1b")
            terminal.until(lambda text, title=title: title in text.splitlines()[0])  # type: ignore[misc]
        process[-1].send_signal(signal.SIGKILL)
        process[-1].wait()
        terminal.until(lambda text: "daemon not reachable for 00:0" in text)
        assert "octo-org/api#7" in terminal.text()
        process.append(daemon_process.start(stage.config, stage.log, daemon_environment()))
        terminal.until(lambda text: "● live" in text and "not reachable" not in text)
        webhooks.send_comment(stage, webhooks.IssueComment(8, "Again", "octocat", "@mosaic fix"))
        terminal.until(lambda text: "octo-org/api#8" in text)
        _cancel_and_retry(terminal)
    finally:
        code = terminal.end()
    assert code == 0
    assert b"\x1b[?1049l" in terminal.raw[-400:]  # the previous screen is restored
    assert DaemonClient(stage.socket).get("/meta")


def _cancel_and_retry(terminal: Terminal) -> None:
    terminal.press("c")
    terminal.until(lambda text: "Cancel 1 job?" in text)
    terminal.press("y")
    terminal.until(lambda text: "⊘ cancelled" in text)
    terminal.press("r")
    terminal.until(lambda text: "Retry 1 job?" in text)
    terminal.press("y")
    terminal.until(lambda text: "⊘" not in text and text.count("✓ completed") == 2)
