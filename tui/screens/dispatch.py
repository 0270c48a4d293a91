"""The form that creates a job by hand, and the decision of the rails if they deny it."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from shared.api import JobRequest, Problem
from tui.client import api
from tui.client.http import ApiError
from tui.screens.session import DAEMON_ERRORS, Session
from tui.text import decisions
from tui.text.jobs import missing_task
from tui.text.plain import plain
from tui.widgets.paint import StyledLine, paint, parse_marks, to_content

_FIELDS = (
    ("type", "a job type of the rails"),
    ("repository", "owner/name"),
    ("ref", "a branch, a tag or a commit; empty: the base"),
)


class DispatchScreen(ModalScreen[None]):
    """A form, in a box over the current screen, that opens the job it creates."""

    CSS_PATH = "dispatch.tcss"
    AUTO_FOCUS = "#type"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "leave", priority=True),
        Binding("ctrl+s", "send", "dispatch", priority=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        """Lay out the fields in a box."""
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
            yield Static(id="result", markup=False)

    def action_send(self) -> None:
        """Request the job."""
        fields = {name: self.query_one(f"#{name}", Input).value.strip() for name, _ in _FIELDS}
        request = JobRequest(
            fields["type"],
            prompt=self.query_one("#prompt", TextArea).text or None,
            repository=fields["repository"] or None,
            ref=fields["ref"] or None,
        )
        missing = missing_task(request)
        if missing is None:
            self._show([[("…", "dim")]])
            self._send(request)
        else:
            self._show([[(missing, "red")]])

    @work(exclusive=True)
    async def _send(self, request: JobRequest) -> None:
        try:
            job = (await self._session.call(api.create_job, request)).value
        except ApiError as error:
            self._show([[(str(error), "red")], *_decision_lines(error.problem)])
        except DAEMON_ERRORS as error:
            self._show([[(plain(str(error)), "red")]])
        else:
            self.dismiss(None)
            self._session.open("job", job.id)

    def _show(self, lines: list[StyledLine]) -> None:
        text = [piece for line in lines for piece in (*line, ("\n", ""))]
        self.query_one("#result", Static).update(to_content(text))
        self.query_one("#box").scroll_end(animate=False)


def _decision_lines(problem: Problem) -> list[StyledLine]:
    """Return why the rails deny the job; nothing if the daemon refused it for another reason."""
    if not problem.decision:
        return []
    return [parse_marks(line) for line in decisions.decision_lines(problem.decision, paint)]
