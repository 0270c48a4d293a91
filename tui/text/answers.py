"""What has become of answers, as text."""

from shared.models import AnswerState, Failure, JobAnswer
from tui.text.plain import plain


def answer_note(state: AnswerState, url: str | None, error: Failure | None, due_at: str | None = None) -> str:
    """Return what there is to know of an answer besides its state: why it failed, when it is sent, or where it is."""
    if state is AnswerState.FAILED and error is not None:
        hint = f" ({plain(error.hint)})" if error.hint else ""
        return f"{plain(error.code)}: {plain(error.detail)}{hint}"
    if state is AnswerState.PENDING and due_at is not None:
        return f"at {plain(due_at)}"
    return plain(url) if url else ""


def job_answer(answer: JobAnswer) -> str:
    """Return an answer about a job in a line."""
    note = answer_note(answer.state, answer.url, answer.error)
    return f"{plain(answer.kind)} {answer.state.value}{f': {note}' if note else ''}"
