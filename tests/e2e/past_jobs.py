"""Fill the SQLite file of a daemon that is stopped with past jobs of all kinds, and with outputs of some."""

import random
from collections.abc import Sequence
from pathlib import Path

from shared.ids import now_ms
from shared.models import Decision, Failure, Phase, Result, StepStatus, StepType, Usage, Verdict
from stitcherd.jobs.logs import diff_path, log_path, prompts_path, raw_log_path
from stitcherd.store import deliveries, retries, steps, transitions
from stitcherd.store.db import Db
from stitcherd.store.deliveries import NewDelivery
from stitcherd.store.jobs import NewJob
from stitcherd.store.sqlite import open_sqlite
from tests.e2e.webhooks import comment_body
from tests.stitcherd.store.factories import approval_request, new_delivery, new_job

BATCH = 250  # jobs, that are one transaction
MINUTE = 60_000
REPOSITORIES = 40
TYPES = ("fix", "free", "review")
OWNER = "me"
IGNORED = Decision(Verdict.IGNORED, "no trigger wants issue.opened", "r-1")


async def add_past_jobs(state: Path, count: int, samples: int) -> list[str]:
    """Add jobs to the store in a state directory; return the ids of the samples among them, which have outputs.

    Of ten one waits for an approval, and the others have ended: completed, failed, cancelled, or after a retry.
    """
    store = await open_sqlite(state / "stitcher.db")
    begin = now_ms() - count * MINUTE // 20
    pairs = [_new_pair(number, begin + number * MINUTE // 20) for number in range(count)]
    for first in range(0, count, BATCH):
        await store.write(_write, range(first, min(first + BATCH, count)), pairs)
    await store.close()
    chosen = random.Random(count).sample(pairs, samples)
    for number, (_, job) in enumerate(chosen):
        _write_outputs(state, job.id, number)
    return [job.id for _, job in chosen]


def _new_pair(number: int, now: int) -> tuple[NewDelivery, NewJob]:
    body, kind = b'{"n":"\0"}' * (number % 50), {"X-Odd": "\0"}
    if number % 3 == 0:
        body, kind = comment_body(f"@mosaic fix row {number}", issue=number + 1), {"X-GitHub-Event": "issue_comment"}
    delivery = new_delivery(
        source="github" if number % 3 == 0 else "forge",
        received_at=now,
        sender=f"forge:\0{number}",
        headers=kind,
        body=body,
    )
    job = new_job(
        type=TYPES[number % len(TYPES)],
        actor="source:forge",
        delivery_id=delivery.id,
        repository=f"acme/{'Roof' if number % 3 else 'cellar'}-{number % REPOSITORIES}",
        prompt=f"mend\0 the roof {number}",
        metadata={"number": number},
        approval=approval_request() if number % 10 == 0 else None,
    )
    return delivery, job


def _write(db: Db, numbers: Sequence[int], pairs: Sequence[tuple[NewDelivery, NewJob]]) -> None:
    for number in numbers:
        delivery, job = pairs[number]
        now = delivery.received_at
        other = new_delivery(received_at=now, decision=IGNORED, event="issues", action="opened")
        deliveries.add_deliveries(db, [(other, None)])
        deliveries.add_deliveries(db, [(delivery, job)])
        match number % 10:
            case 0:
                continue
            case 2:
                transitions.cancel(db, job.id, "uid:0", "not\0 wanted", now)
            case 3:
                _run(db, job, 1, now, Failure("executor_failed", "it broke\0 off", "look at its log"))
                retries.retry(db, job.id, "uid:0", now + 3000)
                _run(db, job, 2, now + 3000, Result("0" * 40, 3, 34, 6, "what was done"))
            case last if last % 4 == 0:
                _run(db, job, 1, now, Failure("gates_failed", "tests", None))
            case _:
                _run(db, job, 1, now, Result(None, 0, 0, 0, "done"))


def _run(db: Db, job: NewJob, attempt: int, now: int, result: Result | Failure) -> None:
    started = transitions.start(db, job.id, attempt, OWNER, now)
    assert started is not None
    fence = started[1]
    steps.begin_try(db, fence, 1, now, steps.TryStart())
    gate = StepStatus.FAILED if isinstance(result, Failure) else StepStatus.COMPLETED
    for phase, type_, name, status in (
        (Phase.EXECUTION, StepType.AI_ACTION, "agent", StepStatus.COMPLETED),
        (Phase.VALIDATION, StepType.GATE, "tests", gate),
    ):
        place = steps.open_step(db, fence, now, phase=phase, type_=type_, name=name, number=1)
        if type_ is StepType.AI_ACTION:
            payload = {"offset": 0, "length": 5, "text": "said\0"}
            steps.record_output(db, fence, now + 100, place.id, payload, "the last\0 line")
            steps.add_usage(db, fence, place, Usage(20_000, 1_000, 0.125, 12), now + 200)
        code = int(status is StepStatus.FAILED)
        steps.close_step(db, fence, place, now + 1000, status=status, exit_code=code, output="said\0", output_bytes=5)
    transitions.conclude(db, job.id, (attempt, OWNER), now + 2000, result)


def _write_outputs(state: Path, job_id: str, number: int) -> None:
    for ordinal in (1, 2):
        log = log_path(state, job_id, 1, ordinal)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"%d\0\xff\n" % number * (9000 if number % 20 == 0 else 10) * (number % 10))
    raw_log_path(state, job_id, 1, 1).write_bytes(b"{}\n")
    prompts_path(state, job_id, 1, 1).write_bytes(b'{"offset":0,"text":"do it"}\n')
    diff_path(state, job_id, 1).write_bytes(b"+line\n" * (number % 3))
