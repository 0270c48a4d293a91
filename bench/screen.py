"""`stitcher` on a pseudo-terminal: what it draws, when, and what that costs."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pyte

SIZE = (120, 40)
QUIET = 0.06  # seconds without output after which nothing more is taken to come
FRAME = 0.005  # and after which one picture is taken to be whole


OURS = {"NO_COLOR", "COLUMNS", "LINES"}  # of the environment, which are not to change what is drawn


class Screen:
    """The program in a process of its own; times are of `time.perf_counter`."""

    def __init__(self, *argv: str) -> None:
        self.begun = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))  # before it is asked for
            os.chdir(Path(__file__).parents[1])
            environ = {name: value for name, value in os.environ.items() if name not in OURS}
            os.execve(sys.executable, [sys.executable, "-m", "tui", *argv], {**environ, "TERM": "xterm-256color"})
        self.raw = bytearray()

    def press(self, keys: str) -> float:
        """Press keys; returns when."""
        os.write(self._fd, keys.encode())
        return time.perf_counter()

    def until(self, text: str, limit: float = 20.0) -> float:
        """Read until a text is drawn, and return when that was."""
        start, wanted = max(len(self.raw) - 1, 0), text.encode()
        while self.raw.find(wanted, start) < 0:
            if time.perf_counter() - self.begun > 600 or not self._read(limit):
                raise SystemExit(f"{text!r} was not drawn within {limit:g} s; the screen:\n{self.picture()}")
        return time.perf_counter()

    def framed(self) -> float:
        """Read the first picture that comes, and return when the last of it came."""
        self._read(5.0)
        last = time.perf_counter()
        while self._read(FRAME):
            last = time.perf_counter()
        return last

    def settled(self) -> float:
        """Read until nothing more comes, and return when the last of it came."""
        last = time.perf_counter()
        while self._read(QUIET):
            last = time.perf_counter()
        return last

    def drain(self, seconds: float) -> None:
        """Read for a while."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def picture(self) -> str:
        """Return what is on the screen."""
        screen = pyte.Screen(*SIZE)
        pyte.ByteStream(screen).feed(bytes(self.raw))
        return "\n".join(line.rstrip() for line in screen.display)

    def cpu(self) -> float:
        """Seconds of processor time so far, of all threads."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def pss(self) -> float:
        """Proportional set size, in MB."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def end(self) -> None:
        """Leave; who does not go is made to."""
        self.press("q")
        deadline = time.perf_counter() + 5
        while self._read(0.2) or os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.perf_counter() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
        os.close(self._fd)

    def _read(self, wait: float) -> bool:
        """Read what has come; False where nothing came, or nothing will."""
        if not select.select([self._fd], [], [], wait)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says EIO once the other side is closed
            return False
        self.raw += data
        return bool(data)
