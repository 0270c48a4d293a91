"""Where words go: data to stdout, narration to stderr, colour only where a person looks on."""

import os
from collections.abc import Mapping
from typing import TextIO

from tui.text.plain import plain_json

_CODES = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "dim": 2, "bold": 1}


class Terminal:
    """The three streams of this process; what is written must be plain already (tui.text.plain)."""

    def __init__(self, stdin: TextIO, out: TextIO, err: TextIO, environ: Mapping[str, str]) -> None:
        self._stdin = stdin
        self._out = out
        self._err = err
        self._term = environ.get("TERM", "")
        self._colour = out.isatty() and not environ.get("NO_COLOR") and self._term != "dumb"

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to be asked."""
        return self._stdin.isatty() and self._err.isatty()

    @property
    def full_screen(self) -> bool:
        """Whether the whole screen can be drawn on."""
        return self._stdin.isatty() and self._out.isatty() and self._term not in {"", "dumb"}

    @property
    def watched(self) -> bool:
        """Whether data goes to a screen, however wide, and not to a file or a program."""
        return self._out.isatty()

    @property
    def columns(self) -> int | None:
        """How wide a line of data may be; None where it goes to a file or a pipe."""
        return (os.get_terminal_size(self._out.fileno()).columns or None) if self._out.isatty() else None

    def data(self, line: str = "") -> None:
        """Write one line of what was asked for, at once."""
        self._out.write(f"{line}\n")
        self._out.flush()

    def raw(self, content: bytes) -> None:
        """Write what was asked for as it is, for a program that reads it."""
        self._out.buffer.write(content)
        self._out.flush()

    def clear(self) -> None:
        """Begin at the top of an empty screen, where there is a screen; elsewhere leave a blank line."""
        self.data("\x1b[2J\x1b[H" if self.full_screen else "")

    def document(self, body: bytes) -> None:
        """Write a JSON document of the API as it is."""
        self.data(plain_json(body))

    def note(self, line: str) -> None:
        """Write one line of narration, at once."""
        self._err.write(f"{line}\n")
        self._err.flush()

    def paint(self, text: str, colour: str) -> str:
        """Return `text` in a colour of `red green yellow cyan dim bold` where data is coloured."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._colour else text

    def ask(self, question: str) -> bool:
        """Return whether the answer was yes; anything else, and the end of input, is no."""
        self._err.write(f"{question} [y/N] ")
        self._err.flush()
        return self._stdin.readline().strip().lower() in {"y", "yes"}

    def read(self) -> str:
        """Return all of stdin; raises UnicodeDecodeError where it is not UTF-8."""
        if self._stdin.isatty():
            self.note("reading from the terminal; end with ctrl-d on a line of its own")
        return self._stdin.buffer.read().decode("utf-8")
