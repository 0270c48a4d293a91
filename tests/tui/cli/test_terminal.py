"""Colour and questions on a terminal."""

import io

import pytest

from tui.cli.terminal import Terminal


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "painted"),
    [
        ({}, "\x1b[31mx\x1b[0m"),
        ({"NO_COLOR": "1"}, "x"),
        ({"NO_COLOR": ""}, "\x1b[31mx\x1b[0m"),
        ({"TERM": "dumb"}, "x"),
    ],
)
def test_colour_depends_on_terminal_and_environment(environ: dict[str, str], painted: str) -> None:
    assert Terminal(Tty(), Tty(), Tty(), environ).paint("x", "red") == painted
    assert Terminal(Tty(), io.StringIO(), Tty(), environ).paint("x", "red") == "x"


@pytest.mark.parametrize(("term", "linked"), [("xterm-256color", True), ("dumb", False), ("linux", False), ("", False)])
def test_links_are_for_terminals_that_know_them(term: str, *, linked: bool) -> None:
    environ = {"TERM": term}
    shown = "\x1b]8;;https://x\x1b\\#7\x1b]8;;\x1b\\" if linked else "#7"
    assert Terminal(Tty(), Tty(), Tty(), environ).link("#7", "https://x") == shown
    assert Terminal(Tty(), Tty(), Tty(), environ).link("#7", None) == "#7"
    assert Terminal(Tty(), io.StringIO(), Tty(), environ).link("#7", "https://x") == "#7"


@pytest.mark.parametrize(
    ("answer", "yes"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_only_yes_confirms(answer: str, yes: bool) -> None:
    terminal = Terminal(Tty(answer), Tty(), err := Tty(), {})
    assert terminal.interactive
    assert terminal.ask("cancel 2 jobs?") is yes
    assert err.getvalue() == "cancel 2 jobs? [y/N] "
