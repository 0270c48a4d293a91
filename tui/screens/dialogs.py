"""The question whether a waiting job may run: it tells what would happen, and takes a reason along."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET
from textual import events, on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from shared.models import Outcome, RunnerJob
from tui.client import decode, job_path
from tui.plain import plain
from tui.widgets.job_row import waiting
from tui.widgets.paint import Line, content
from tui.wording import place

if TYPE_CHECKING:
    from tui.app import StitcherApp

PROMPT = 8  # lines of a prompt that are shown


class Answer(ModalScreen[str | None]):
    """Asks, and takes a few words along; dismissed with them, empty where there are none, or with None for no.

    Where they are `needed` they are typed at once, and enter sends them. Else `y` is yes, and `tab` leads to them.
    """

    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = ""

    def __init__(
        self, title: str, lines: Sequence[Line], *, hint: str = "a reason", needed: bool = False, given: str = ""
    ) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._hint = hint
        self._needed = needed
        self._given = given

    def compose(self) -> ComposeResult:
        """Put the question in a box."""
        with VerticalScroll(id="box", can_focus=False):
            yield Static(content([(self._title, "bold")]), markup=False)
            yield Static(" ")
            for line in self._lines:
                yield Static(content(line or [(" ", "")]), markup=False)
            yield Static(" ")
            field = Input(self._given, placeholder=self._hint, select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Static(id="keys", markup=False)

    def on_mount(self) -> None:
        """Let a reason that is needed be typed at once."""
        if self._needed:
            self.query_one(Input).focus()
        self._say()

    def on_descendant_focus(self) -> None:
        """Say what the keys do now."""
        self._say()

    def _say(self) -> None:
        if self.focused:
            keys = [("enter", "accent"), (f" yes, with {self._hint}   ", ""), ("esc", "accent"), (" no", "")]
        else:
            keys = [("y", "accent"), (" yes   ", ""), ("tab", "accent"), (f" give {self._hint}   ", ""),
                    ("any other key", "accent"), (" no", "")]  # fmt: skip
        self.query_one("#keys", Static).update(content(keys))

    @on(Input.Submitted)
    def entered(self, message: Input.Submitted) -> None:
        """Take the reason for yes; an empty one is neither yes nor no."""
        if message.value.strip():
            self.dismiss(message.value.strip())
        else:
            self.query_one("#keys", Static).update(content([(f"{self._hint} is needed here; esc is no", "yellow")]))

    def on_key(self, event: events.Key) -> None:
        """Take the answer of who gives no reason."""
        if event.key == "escape" or self.focused is None:
            event.stop()
            event.prevent_default()
            if event.key == "tab":
                self.query_one(Input).focus()
            else:
                self.dismiss("" if event.key == "y" and not self.focused else None)


async def about(app: "StitcherApp", jobs: Sequence[RunnerJob]) -> list[Line]:
    """Return what would happen if it were let; of several jobs nothing but their names. Raises Refused."""
    if len(jobs) > 1:
        return []
    job = decode(await asyncio.to_thread(app.daemon.get, job_path(jobs[0].id)), RunnerJob)
    decision = job.decision or None
    facts = [
        ("asked", f"by {job.actor} on {place(job.repository, job.thread)}", ""),
        ("needs", waiting(job, app.clock()), "yellow"),
        ("then", _next(job, decision.sandbox if decision else None), ""),
    ]
    for check in decision.checks if decision else ():
        if check.outcome is Outcome.ASK:
            because = f" ({check.because})" if check.because else ""
            facts.append(("because", f"{check.id}: {check.seen or ''}{because}", ""))
    prompt = ("" if job.prompt is UNSET else job.prompt.strip()).splitlines()
    facts += [("" if at else "prompt", text, "") for at, text in enumerate(prompt[:PROMPT])]
    if len(prompt) > PROMPT:
        facts.append(("", "…", "dim"))
    return [*([(f"{name:9}", "dim"), (plain(text), style)] for name, text, style in facts), []]


def _next(job: RunnerJob, sandbox: str | None) -> str:
    """Return what comes next: a run, or where it ran already, publishing what passed."""
    if job.tries.used:
        return "what passed the gates is published; enter, then 3 shows it"
    return f"{job.profile} → {job.executor}, up to {job.tries.max} tries, sandbox {sandbox or 'none'}"
