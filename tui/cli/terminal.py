"""Standard streams: data on stdout, messages on stderr, colour only on a terminal."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from tui.text.links import hyperlink
from tui.text.plain import plain_json

_CODES = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "dim": 2, "bold": 1}


class OutputFailed(Exception):
    """Data could not be written, for another reason than that its reader is gone; the text says which."""


class Terminal:
    """The standard streams of this process; text written to them must be plain already (tui.text.plain)."""

    def __init__(self, stdin: TextIO, stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._term = environ.get("TERM", "")
        self._coloured = stdout.isatty() and not environ.get("NO_COLOR") and self._term != "dumb"

    @property
    def interactive(self) -> bool:
        """Whether the user can be asked a question."""
        return self._stdin.isatty() and self._stderr.isatty()

    @property
    def full_screen(self) -> bool:
        """Whether a full-screen application can run."""
        return self._stdin.isatty() and self._stdout.isatty() and self._term not in {"", "dumb"}

    @property
    def stdout_is_terminal(self) -> bool:
        """Whether data goes to a terminal, of any width, and not to a file or a program."""
        return self._stdout.isatty()

    @property
    def columns(self) -> int | None:
        """The width of the terminal that data goes to; None for a file, a pipe, or a terminal that does not tell it."""
        return (os.get_terminal_size(self._stdout.fileno()).columns or None) if self._stdout.isatty() else None

    def data(self, line: str = "") -> None:
        """Write a line to stdout and flush it; raises OutputFailed, BrokenPipeError."""
        with _output():
            self._stdout.write(f"{line}\n")
            self._stdout.flush()

    def raw(self, content: bytes) -> None:
        """Write bytes to stdout unchanged, for a program that reads them; raises as `data` does."""
        with _output():
            self._stdout.buffer.write(content)
            self._stdout.flush()

    def document(self, body: bytes) -> None:
        """Write a JSON document to stdout."""
        self.data(plain_json(body))

    def clear(self) -> None:
        """Clear the screen; where there is none, write an empty line."""
        self.data("\x1b[2J\x1b[H" if self.full_screen else "")

    def note(self, line: str) -> None:
        """Write a line to stderr and flush it."""
        self._stderr.write(f"{line}\n")
        self._stderr.flush()

    def paint(self, text: str, colour: str) -> str:
        """Return `text` in a colour of `red green yellow cyan dim bold` if data is coloured."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._coloured else text

    def link(self, text: str, url: str | None) -> str:
        """Return `text` as a link to a URL that `tui.text.links.web_url` returned, if data goes to a terminal."""
        linked = url and self._stdout.isatty() and self._term not in {"", "dumb", "linux"}
        return hyperlink(text, url) if url and linked else text

    def ask(self, question: str) -> bool:
        """Ask a yes/no question; anything but yes, and the end of input, is no."""
        self._stderr.write(f"{question} [y/N] ")
        self._stderr.flush()
        return self._stdin.readline().strip().lower() in {"y", "yes"}

    def prompt(self, question: str, *, secret: bool = False) -> str:
        """Ask for a line and return it without white space around it; the typed characters of a secret are not shown.

        The end of input raises KeyboardInterrupt, as ctrl-c does.
        """
        if secret:
            import getpass  # noqa: PLC0415 (needed by few)

            try:
                return getpass.getpass(question, self._stderr).strip()
            except EOFError:
                raise KeyboardInterrupt from None
        self._stderr.write(question)
        self._stderr.flush()
        line = self._stdin.readline()
        if not line:
            raise KeyboardInterrupt
        return line.strip()

    def read(self) -> str:
        """Return all of stdin; raises UnicodeDecodeError if it is not UTF-8."""
        if self._stdin.isatty():
            self.note("reading from the terminal; end with ctrl-d on a line of its own")
        return self._stdin.buffer.read().decode("utf-8")


@contextmanager
def _output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFailed(error.strerror or str(error)) from error
