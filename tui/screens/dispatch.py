"""A job by hand: what it is made of, and what the rails say to it."""

import asyncio
from typing import ClassVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from shared.models import Decision, RunnerJob
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, NotUtf8, decode
from tui.text import decisions
from tui.text.plain import plain
from tui.widgets.paint import StyledLine, paint, parse_marks, to_content

_FIELDS = (
    ("type", "a job type of the rails"),
    ("repository", "owner/name"),
    ("ref", "a branch, a tag or a commit; empty: the base"),
)


class _Denied(msgspec.Struct):
    decision: Decision | None = None


class DispatchScreen(ModalScreen[str | None]):
    """A form; dismissed with the id of the new job, or None."""

    CSS_PATH = "dispatch.tcss"
    AUTO_FOCUS = "#type"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave", priority=True),
        Binding("ctrl+s", "send", "dispatch", priority=True),
    ]

    def __init__(self, daemon: DaemonClient) -> None:
        super().__init__()
        self._daemon = daemon

    def compose(self) -> ComposeResult:
        """Put the fields in a box."""
        with VerticalScroll(id="box"):
            yield Static(to_content([("Dispatch a job", "bold")]))
            for name, hint in _FIELDS:
                yield Static(to_content([(name, "dim")]))
                field = Input(placeholder=hint, id=name)
                field.cursor_blink = False
                yield field
            yield Static(to_content([("prompt", "dim")]))
            prompt = TextArea(id="prompt")
            prompt.cursor_blink = False
            yield prompt
            yield Static(to_content([("^s", "accent"), (" dispatch   ", ""), ("tab", "accent"), (" next field   ", ""),
                                  ("esc", "accent"), (" leave", "")]))  # fmt: skip
            yield Static(id="said", markup=False)

    def action_send(self) -> None:
        """Ask for the job."""
        given = {name: value for name, _ in _FIELDS if (value := self.query_one(f"#{name}", Input).value.strip())}
        if prompt := self.query_one("#prompt", TextArea).text:
            given["prompt"] = prompt
        self._say([[("…", "dim")]])
        self._send(given)

    @work(exclusive=True)
    async def _send(self, given: dict[str, str]) -> None:
        try:
            document = await asyncio.to_thread(self._daemon.post, "/runner-jobs", given)
            self.dismiss(decode(document, RunnerJob).id)
        except ApiError as refused:
            self._say([[(str(refused), "red")], *_because(refused.document)])
        except (DaemonUnreachable, InvalidResponse, NotUtf8) as said:
            self._say([[(plain(str(said)), "red")]])

    def _say(self, lines: list[StyledLine]) -> None:
        text = [piece for line in lines for piece in (*line, ("\n", ""))]
        self.query_one("#said", Static).update(to_content(text))
        self.query_one("#box").scroll_end(animate=False)


def _because(document: bytes) -> list[StyledLine]:
    try:
        decision = decode(document, _Denied).decision
    except InvalidResponse:
        return []
    return [parse_marks(line) for line in decisions.decision_lines(decision, paint)] if decision else []
