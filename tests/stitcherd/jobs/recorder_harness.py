"""A running job with the recorder of its steps, on a real store."""

from pathlib import Path

from msgspec import Struct

from shared.ids import now_ms
from shared.models import Decision, JobEvent, JobStep, Phase, RunnerJob, StepType, Verdict
from stitcherd.jobs.logs import log_path
from stitcherd.jobs.outputs import FileOutputs, Outputs
from stitcherd.jobs.redaction import Redaction
from stitcherd.jobs.step_recorder import RunningStep, StepRecorder
from stitcherd.jobs.stored_outputs import StoredOutputs
from stitcherd.store import jobs, steps, transitions
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import new_job
from tests.stores import open_store

SECRET = b"hunter2-is-the-secret"


class RecorderHarness(Struct):
    """A running job with its recorder."""

    store: Store
    state: Path
    job: RunnerJob
    fence: steps.Fence
    writes: DeferredWrites
    outputs: Outputs
    recorder: StepRecorder

    @classmethod
    async def build(cls, state: Path, log_max: int = 2**20, *, stored: bool = False) -> "RecorderHarness":
        """Return a new job; its outputs are copied to the store if they are to be `stored` there."""
        store = await open_store(state / "stitcher.db")
        new = new_job()
        await store.write(jobs.dispatch, new, Decision(Verdict.ALLOWED, "", "r1"), now_ms())
        claimed = await store.write(transitions.start, new.id, 1, "me", now_ms())
        assert claimed
        writes = DeferredWrites(store)
        outputs = StoredOutputs(store, state) if stored else FileOutputs(state)
        recorder = StepRecorder(store, writes, claimed[1], outputs, log_max, Redaction([SECRET]))
        return cls(store, state, claimed[0], claimed[1], writes, outputs, recorder)

    async def open(self, type_: StepType = StepType.GATE, start: steps.TryStart | None = None) -> RunningStep:
        return await self.recorder.open(Phase.VALIDATION, type_, "tests", 1, start=start)

    async def flush(self) -> None:
        """Return when all that was deferred is stored."""
        await self.writes.write(bool)

    async def look(self) -> tuple[list[JobStep], list[JobEvent]]:
        await self.flush()
        async with self.store.reading() as db:
            job = await jobs.get_job_detail(db, self.job.id, None)
        assert isinstance(job.steps, tuple)
        assert isinstance(job.events, tuple)
        return list(job.steps), [event for event in job.events if not event.type.startswith("job.")]

    def log(self, ordinal: int = 1) -> bytes:
        """Return the log of a step, empty where there is none."""
        path = log_path(self.state, self.job.id, 1, ordinal)
        return path.read_bytes() if path.exists() else b""


def outputs(events: list[JobEvent]) -> list[JobEvent]:
    return [event for event in events if event.type == "step.output"]
