"""The page of a job's result lists what was said at the forge."""

import msgspec

from shared.models import AnswerState, Failure, JobAnswer, JobChange, Result, RunnerJob
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


def test_the_result_tells_the_diff_and_the_change_that_was_opened_apart() -> None:
    job = msgspec.convert(documents.job(status="COMPLETED"), RunnerJob)
    result = msgspec.convert({"commit": "c" * 40, "files": 1, "additions": 2, "deletions": 3, "summary": ""}, Result)
    change = JobChange(12, "https://forge.example/octo-org/api/pulls/12")
    lines = page_lines("Result", msgspec.structs.replace(job, result=result, change=change), b"", 40)
    texts = ["".join(text for text, _ in line).rstrip() for line in lines]
    assert texts[2:5] == [
        "diff    +2 -3 in 1 file",
        "change  #12 https://forge.example/octo-o",
        "        rg/api/pulls/12",
    ]
    unsafe = msgspec.structs.replace(job, result=result, change=JobChange(12, "javascript:alert(1)"))
    assert [("change  ", "dim"), ("#12", "")] in page_lines("Result", unsafe, b"", 40)
