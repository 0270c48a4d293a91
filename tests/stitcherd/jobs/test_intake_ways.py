"""One event by several ways: webhooks, redeliveries, a second hook, pull and catch-up."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from shared.deliveries import Via, WebhookResponse
from shared.models import Verdict
from tests.stitcherd.jobs.intake_harness import IntakeHarness, open_harness

WAYS = ["webhook", "redelivery", "second hook", "pull", "catch-up"]


def comment_body(number: int, comment: int, **more: object) -> bytes:
    writer = {"login": "octocat", "id": 583231}
    return json.dumps(
        {
            "action": "created",
            "issue": {"number": number, "title": "It leaks", "user": writer, "state": "open"},
            "comment": {"id": comment, "body": "@mosaic fix", "user": writer},
            "repository": {"full_name": "octo-org/api"},
            "sender": writer,
            **more,
        }
    ).encode()


async def bring(harness: IntakeHarness, way: str, number: int) -> WebhookResponse:
    """Bring the comment on an issue by one of the ways."""
    headers = {"X-GitHub-Event": "issue_comment", "X-GitHub-Hook-ID": "1"}
    body = comment_body(number, number + 1000)
    match way:
        case "webhook" | "redelivery":
            return await harness.deliver("hub", body, headers | {"X-GitHub-Delivery": f"first-{number}"})
        case "second hook":
            second = {"X-GitHub-Delivery": f"second-{number}", "X-GitHub-Hook-ID": "2"}
            return await harness.deliver("hub", comment_body(number, number + 1000, installation=1), headers | second)
    via, external_id = (Via.PULL, None) if way == "pull" else (Via.CATCH_UP, f"third-{number}")
    body = comment_body(number, number + 1000, asked=way)
    return await harness.intake.take(harness.settings.sources["hub"], CIMultiDict(headers), body, external_id, via)


@pytest.mark.parametrize("first", WAYS)
async def test_the_ways_of_one_comment_are_one_job(harness: IntakeHarness, first: str) -> None:
    answers = [await bring(harness, way, 7) for way in [first, *(way for way in WAYS if way != first)]]
    assert [answer.verdict for answer in answers] == [Verdict.ALLOWED, *[Verdict.DUPLICATE] * 4]
    assert len({(answer.delivery_id, answer.job_id) for answer in answers}) == 1
    stored = await harness.delivery(answers[0])
    assert stored.subject == "comment:1007"
    told = first if first in {"pull", "catch-up"} else "webhook"
    assert (stored.via, stored.secret) == (told, 2 if told == "webhook" else 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=st.lists(st.lists(st.tuples(st.sampled_from(WAYS), st.integers(1, 3)), max_size=8), max_size=4))
def test_any_interleaving_of_ways_gives_each_event_one_job(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[list[tuple[str, int]]]
) -> None:
    async def run(directory: Path) -> None:
        async with open_harness(directory) as harness:
            answers: dict[int, list[WebhookResponse]] = {}
            for together in arrivals:  # those of one list share batches of the writer
                brought = await asyncio.gather(*(bring(harness, way, number) for way, number in together))
                for (_, number), answer in zip(together, brought, strict=True):
                    answers.setdefault(number, []).append(answer)
            for each in answers.values():
                assert sorted(answer.verdict for answer in each) == ["allowed", *["duplicate"] * (len(each) - 1)]
                assert len({(answer.delivery_id, answer.job_id) for answer in each}) == 1
            assert await harness.stored() == (len(answers),) * 4

    asyncio.run(run(tmp_path_factory.mktemp("ways")))


@pytest.mark.parametrize("hook", [{}, {"X-GitHub-Hook-ID": "1"}])
async def test_a_webhook_that_tells_something_else_is_decided_by_that(
    harness: IntakeHarness, hook: dict[str, str]
) -> None:
    headers = {"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": "a"} | hook
    assert (await harness.deliver("hub", comment_body(7, 991), headers)).verdict is Verdict.ALLOWED
    other = comment_body(7, 991, sender={"login": "drive-by", "id": 5})
    answer = await harness.deliver("hub", other, {**headers, "X-GitHub-Delivery": "b"})
    assert answer.verdict is Verdict.DENIED


async def test_the_same_comment_id_of_another_repository_is_another_event(harness: IntakeHarness) -> None:
    headers = CIMultiDict({"X-GitHub-Event": "issue_comment"})
    source = harness.settings.sources["hub"]
    for repository in ("octo-org/api", "octo-org/web"):
        body = comment_body(7, 991, repository={"full_name": repository})
        assert (await harness.intake.take(source, headers, body, None, Via.PULL)).verdict is Verdict.ALLOWED
