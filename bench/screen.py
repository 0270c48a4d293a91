"""Run `stitcher` on a pseudo-terminal and measure what it draws, when, and at what cost."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

import pyte

from bench import usage

SIZE = (120, 40)
QUIET = 0.06  # seconds without output after which drawing counts as finished
FRAME = 0.005  # seconds without output after which one frame counts as complete
REMOVED = {"NO_COLOR", "COLUMNS", "LINES"}  # environment variables that would change what is drawn


def start_on_terminal(argv: Sequence[str], size: tuple[int, int]) -> tuple[int, int]:
    """Start `stitcher` on a pseudo-terminal of so many columns and rows; return its pid and the other side."""
    pid, terminal = pty.fork()
    if pid == 0:
        columns, rows = size
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))  # before the program asks for it
        os.chdir(Path(__file__).parents[1])
        environ = {name: value for name, value in os.environ.items() if name not in REMOVED}
        os.execve(sys.executable, [sys.executable, "-m", "tui", *argv], {**environ, "TERM": "xterm-256color"})
    return pid, terminal


class TerminalScreen:
    """`stitcher` as a process on a pseudo-terminal; times are those of `time.perf_counter`."""

    def __init__(self, *argv: str) -> None:
        self.started = time.perf_counter()
        self.pid, self._fd = start_on_terminal(argv, SIZE)
        self.raw = bytearray()

    def press(self, keys: str) -> float:
        """Press keys; return the time."""
        os.write(self._fd, keys.encode())
        return time.perf_counter()

    def until(self, text: str, limit: float = 20.0) -> float:
        """Read until a text is drawn; return the time."""
        start, wanted = max(len(self.raw) - 1, 0), text.encode()
        while self.raw.find(wanted, start) < 0:
            if time.perf_counter() - self.started > 600 or not self._read(limit):
                raise SystemExit(f"{text!r} was not drawn within {limit:g} s; the screen:\n{self.text()}")
        return time.perf_counter()

    def wait_for_frame(self) -> float:
        """Read one frame; return the time of its last output."""
        self._read(5.0)
        last = time.perf_counter()
        while self._read(FRAME):
            last = time.perf_counter()
        return last

    def wait_until_idle(self) -> float:
        """Read until drawing has finished; return the time of the last output."""
        last = time.perf_counter()
        while self._read(QUIET):
            last = time.perf_counter()
        return last

    def drain(self, seconds: float) -> None:
        """Read and discard output for some seconds."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def text(self) -> str:
        """Return the text on the screen."""
        screen = pyte.Screen(*SIZE)
        pyte.ByteStream(screen).feed(bytes(self.raw))
        return "\n".join(line.rstrip() for line in screen.display)

    def cpu(self) -> float:
        """Return the CPU time of all threads so far, in seconds."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def pss(self) -> float:
        """Return the proportional set size in MB."""
        return usage.pss((self.pid,))

    def quit(self) -> None:
        """Quit the program; kill it if it does not exit."""
        self.press("q")
        deadline = time.perf_counter() + 5
        while self._read(0.2) or os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.perf_counter() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
        os.close(self._fd)

    def _read(self, wait: float) -> bool:
        """Read available output; return False if there is none, or the program has closed it."""
        if not select.select([self._fd], [], [], wait)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.raw += data
        return bool(data)
