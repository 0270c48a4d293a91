"""Manual dispatches on a real store, queue, settings and rails."""

from typing import Any

import pytest

from shared.models import RunnerJob, Status
from stitcherd.errors import Refusal
from stitcherd.jobs.dispatch import DispatchedJob
from tests.stitcherd.jobs.intake_harness import RAILS, IntakeHarness

DISPATCH: dict[str, Any] = {
    "type": "fix",
    "prompt": "Mend it.",
    "repository": "acme/roof",
    "ref": None,
    "agent_task_id": "t1",
    "workspace": "default",
    "priority": 9,
    "metadata": {"why": "it leaks"},
}


async def dispatch(harness: IntakeHarness, **more: Any) -> tuple[RunnerJob, bool]:
    request = DispatchedJob(**DISPATCH | more)
    return await harness.dispatcher.dispatch(request, actor="token:ci", idempotency_key="k1")


async def test_a_repeated_dispatch_returns_the_first_job(harness: IntakeHarness) -> None:
    job, new = await dispatch(harness)
    assert new
    assert (job.status, job.priority, job.agent_task_id, job.actor, job.ref) == (
        Status.QUEUED,
        9,
        "t1",
        "token:ci",
        "main",
    )
    assert await dispatch(harness) == (job, False)
    with pytest.raises(Refusal) as refused:
        await dispatch(harness, prompt="Else.")
    assert refused.value.code == "invalid"
    await harness.expect_queued((job.id, 1))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"type": "fly"}, "invalid"),
        ({"repository": "nobody/roof"}, "denied"),
        ({"workspace": "lab"}, "denied"),
        ({"repository": "acme/../etc"}, "denied"),
    ],
)
async def test_a_refused_dispatch_stores_nothing(harness: IntakeHarness, more: dict[str, str], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        await dispatch(harness, **more)
    assert refused.value.code == code
    assert await harness.stored() == (0, 0, 0, 0)


async def test_a_dispatch_is_decided_under_the_rails_that_another_daemon_has_put_in_force(
    harness: IntakeHarness,
) -> None:
    newer = await harness.put_in_force_elsewhere(RAILS.replace("tries: 2", "tries: 1"))
    job, _ = await dispatch(harness)
    assert (job.rails_digest, job.tries.max) == (newer.digest, 1)
    await harness.put_in_force_elsewhere(RAILS.replace("fix:", "mend:").replace("job: fix", "job: mend"))
    assert await dispatch(harness) == (job, False), "it was dispatched already"
    with pytest.raises(Refusal) as refused:
        await dispatch(harness, prompt="Else.", agent_task_id="t2")
    assert refused.value.code == "invalid"
