"""The page of a job's result lists what was said at the forge."""

import msgspec

from shared.models import AnswerState, Failure, JobAnswer, RunnerJob
from tests.tui import documents
from tui.widgets.pages import page_lines


def test_the_result_lists_the_answers() -> None:
    job = msgspec.convert(documents.job(status="COMPLETED"), RunnerJob)
    failed = JobAnswer("comment", AnswerState.FAILED, None, Failure("locked", "the conversation is locked"))
    delivered = JobAnswer("reaction", AnswerState.DELIVERED, None, None)
    job = msgspec.structs.replace(job, answers=(failed, delivered))
    lines = page_lines("Result", job, b"", 40)
    texts = ["".join(text for text, _ in line).rstrip() for line in lines]
    assert "answer  comment failed: locked: the" in texts
    assert "        conversation is locked" in texts
    assert "answer  reaction delivered" in texts
