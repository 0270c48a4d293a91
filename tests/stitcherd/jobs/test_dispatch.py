"""Manual dispatches on a real store, queue, settings and rails."""

from typing import Any

import pytest

from shared.models import Status
from stitcherd.errors import Refusal
from tests.stitcherd.jobs.intake_harness import IntakeHarness

DISPATCH: dict[str, Any] = {
    "job_type": "fix",
    "prompt": "Mend it.",
    "repository": "acme/roof",
    "ref": None,
    "agent_task_id": "t1",
    "workspace": "default",
    "priority": 9,
    "metadata": {"why": "it leaks"},
    "idempotency_key": "k1",
    "actor": "token:ci",
}


async def test_a_repeated_dispatch_returns_the_first_job(harness: IntakeHarness) -> None:
    job, new = await harness.dispatcher.dispatch(**DISPATCH)
    assert new
    assert (job.status, job.priority, job.agent_task_id, job.actor, job.ref) == (
        Status.QUEUED,
        9,
        "t1",
        "token:ci",
        "main",
    )
    assert await harness.dispatcher.dispatch(**DISPATCH) == (job, False)
    with pytest.raises(Refusal) as refused:
        await harness.dispatcher.dispatch(**DISPATCH | {"prompt": "Else."})
    assert refused.value.code == "invalid"
    await harness.expect_queued((job.id, 1))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"job_type": "fly"}, "invalid"),
        ({"repository": "nobody/roof"}, "denied"),
        ({"workspace": "lab"}, "denied"),
        ({"repository": "acme/../etc"}, "denied"),
    ],
)
async def test_a_refused_dispatch_stores_nothing(harness: IntakeHarness, more: dict[str, str], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        await harness.dispatcher.dispatch(**DISPATCH | more)
    assert refused.value.code == code
    assert await harness.stored() == (0, 0, 0, 0)
