"""A text of rails.yaml on trial: which file, and whether it is good at all."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shared.locations import RAILS
from tui.client import Daemon, NotText, Refused, Unintelligible, decode
from tui.plain import plain
from tui.screens.answering import Answer
from tui.screens.outcome import Outcome
from tui.screens.room import REFUSALS
from tui.simulated import Faulty, Simulation, simulate
from tui.widgets.paint import Line, folded

if TYPE_CHECKING:
    from tui.app import StitcherApp

FOLD = 54  # cells of a line in the box
MEANING = "The deliveries that came in last are decided again under it; nothing is stored, and nothing runs."


async def ask(app: "StitcherApp") -> None:
    """Ask for a file, and show what it would have decided; or what is wrong with it."""
    given = str(app.config / RAILS)
    question = Answer("Simulate which file?", [[(MEANING, "dim")]], hint="a path", needed=True, given=given)
    path = await app.push_screen_wait(question)
    if path is None:
        return
    try:
        simulation = await app.ask(_tried, app.daemon, path)
    except Refused as refused:
        faults = _faults(refused, path)
        if not faults:
            raise
        app.push_screen(Outcome("These rails are no good", faults))
    except OSError as error:
        app.say(f"{error.strerror}: {path}", wrong=True)
    except REFUSALS as said:
        app.say(str(said), wrong=True)
    else:
        app.action_open("simulation", simulation, path)


def _tried(daemon: Daemon, path: str) -> Simulation:
    try:
        text = Path(os.path.expanduser(path)).read_text("utf-8")  # noqa: PTH111 (Path.expanduser raises for ~stranger)
    except UnicodeDecodeError as error:
        raise NotText(f"{plain(path)} is not UTF-8") from error
    return simulate(daemon, text)


def _faults(refused: Refused, path: str) -> list[Line]:
    try:
        found = decode(refused.document, Faulty).faults
    except Unintelligible:
        return []
    lines: list[Line] = []
    for fault in found:
        lines.append([(f"{plain(Path(path).name)}:{fault.line}:{fault.column}", "dim")])
        lines += [[(f"  {part}", "red")] for part in folded(plain(fault.message), FOLD)]
    return lines
