"""What is told of events: the summary, the arguments of a command, and the body of a webhook."""

import json
from typing import Any

import msgspec
import pytest

from shared.models import Thread
from stitcherd.config.notify import PLACEHOLDERS
from stitcherd.reporting.notices import Notice, body_of, fill_in, notice_of, summary_of
from stitcherd.store.events import FollowedEvent
from tests.stitcherd.reporting.reports import CREATED, JOB_ID, THREAD, make_job

JOB = "fix on octo-org/api#479 (7f3a1c9d)"


def event(type_: str, *, job: str | None = None, delivery: str | None = None, **payload: Any) -> FollowedEvent:
    encoded = msgspec.json.encode(payload).decode()
    return FollowedEvent(7, type_, "stitcherd", job, delivery, CREATED, "default", encoded, "hub", None, None)


def mask(text: str) -> str:
    return text.replace("hunter2hunter2", "[secret]")


def job_notice(type_: str = "job.failed", **payload: Any) -> Notice:
    return notice_of(event(type_, job=JOB_ID, **payload), make_job(thread=THREAD))


@pytest.mark.parametrize(
    ("notice", "summary"),
    [
        (job_notice(code="gate_failed", detail="tests ended with 1"), f"{JOB} failed: gate_failed: tests ended with 1"),
        (
            job_notice("job.waiting", guards=["outsider", "big"], by=["chiefs"], reason="the rails changed"),
            f"{JOB} waits for an approval: required by outsider, big; the rails changed",
        ),
        (job_notice("job.completed", summary="2 files changed"), f"{JOB} is done: 2 files changed"),
        (job_notice("job.started", attempt=1), f"{JOB} started"),
        (job_notice("gate.failed", name="tests"), f"{JOB} failed a gate: tests"),
        (
            notice_of(event("source.held", source="hub", reason="the token is not accepted", until="x"), None),
            "source hub is held: the token is not accepted",
        ),
        (
            notice_of(event("daemon.gone", role="worker", name="builder", reason="its lease is over"), None),
            "worker builder is gone: its lease is over",
        ),
        (
            notice_of(event("daemon.joined", role="worker", name="builder", workers=2), None),
            "worker builder joined: runs 2 jobs at a time",
        ),
        (
            notice_of(event("rails.rejected", line=3, column=1, message="unknown key"), None),
            "the rails were rejected: line 3: unknown key",
        ),
        (
            notice_of(event("delivery.received", delivery=JOB_ID, source="hub", verdict="denied", reason="who"), None),
            "delivery 7f3a1c9d from hub was received: denied: who",
        ),
        (
            notice_of(
                event("answer.failed", source="hub", repository="o/a", slot="slot", code="locked", detail="x"),
                make_job(),
            ),
            "slot in o/a at hub failed: locked: x",
        ),
        (notice_of(event("job.failed", job=JOB_ID, code="a", detail="b"), make_job(repository=None, thread=None)),
         "fix (7f3a1c9d) failed: a: b"),
    ],
)  # fmt: skip
def test_a_summary_says_what_happened(notice: Notice, summary: str) -> None:
    assert summary_of(notice, mask) == summary


def test_nothing_hidden_and_no_secret_is_in_a_summary() -> None:
    detail = "hunter2hunter2 \x1b]52;c;Zm9v\x07 a\x00b\u202ec\nd ghp_0123456789abcdefghij"
    notice = job_notice(code="x", detail=detail)
    assert summary_of(notice, mask) == f"{JOB} failed: x: [secret] abc d [secret]"
    told = json.loads(body_of(notice, mask))["data"]
    assert told["reason"] == "x: [secret] abc d [secret]"
    assert len(summary_of(job_notice(code="x", detail="y" * 1000), mask)) == 300


def test_placeholders_are_replaced_once_and_everything_else_stays() -> None:
    notice = job_notice(code="x", detail="{job} {type}")
    words = ("tell", '{"a": 1} {type}', "{summary}", "{repository} {job} {event} {time} {workspace}", "[{url}{source}]")
    assert fill_in(words, notice, mask) == [
        "tell",
        '{"a": 1} job.failed',
        f"{JOB} failed: x: {{job}} {{type}}",
        f"octo-org/api {JOB_ID} 7 2025-11-24T16:00:00.000Z default",
        "[hub]",
    ]
    assert fill_in(tuple(f"{{{each}}}" for each in PLACEHOLDERS), notice, mask)  # the two lists are the same


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("https://forge.example/o/a/issues/479", "https://forge.example/o/a/issues/479"),
        ("--help", None),
        ("javascript:alert(1)", None),
        ("https://a.example/\x1b[31m", None),
        ("https://a.example/" + "x" * 2000, None),
    ],
)
def test_the_url_of_a_thread_is_one_of_a_page(given: str, told: str | None) -> None:
    notice = notice_of(event("job.failed", job=JOB_ID), make_job(thread=Thread("issue", 1, "", given)))
    assert notice.url == told


def test_the_body_has_the_fields_by_name() -> None:
    told = json.loads(body_of(job_notice(code="x", detail="y"), mask))
    assert told == {
        "type": "job.failed",
        "timestamp": "2025-11-24T16:00:00.000Z",
        "data": {
            "summary": f"{JOB} failed: x: y",
            "eventId": 7,
            "workspaceId": "default",
            "jobId": JOB_ID,
            "jobType": "fix",
            "attempt": 1,
            "repository": "octo-org/api",
            "thread": {"kind": "issue", "number": 479},
            "url": None,
            "deliveryId": "delivery-1",
            "source": "hub",
            "reason": "x: y",
        },
    }
