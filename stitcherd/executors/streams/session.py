"""Lets the tries of an attempt be one session of an agent's program, which keeps its conversation in its home."""

from collections.abc import Callable, Sequence

from shared.models import Usage
from stitcherd.config.settings import PriceSettings
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.sessions import SavedReference, record_lost
from stitcherd.executors.streams.base import AgentStream
from stitcherd.executors.streams.run import StreamRun


class SessionReference(SavedReference, frozen=True):
    """A session, and the tokens told in all, where its streams count from the start of the session on."""

    session: str
    input: int = 0
    output: int = 0


class SessionRun:
    """One try of a program that keeps sessions: it goes on in that of the try before, if the program still knows it."""

    def __init__(
        self, stream: Callable[[Usage], AgentStream], task: Task, sink: OutputSink, prices: PriceSettings | None
    ) -> None:
        self._stream = stream
        self._task = task
        self._sink = sink
        self._prices = prices

    async def run(self, argv: Sequence[str]) -> ExecutionResult:
        """Run the program to its end, a second time, with the whole prompt, if it does not know the session."""
        previous = self._task.previous
        if previous is not None:
            known = SessionReference.from_saved(previous.reference)
            stream = self._stream(Usage(known.input, known.output))
            run = StreamRun(stream, self._task, self._sink, self._prices, resumed=known.session)
            result = await run.run(stream.resume(argv, known.session), previous.follow_up)
            if not run.is_session_unknown:
                return await self._ended(run, stream, result)
            reason = result.failure.detail if result.failure else ""
            await record_lost(self._sink, known.session, reason)
        stream = self._stream(Usage())
        run = StreamRun(stream, self._task, self._sink, self._prices)
        return await self._ended(run, stream, await run.run(argv, self._task.prompt))

    async def _ended(self, run: StreamRun, stream: AgentStream, result: ExecutionResult) -> ExecutionResult:
        if result.ok and run.session:
            told = stream.told
            reference = SessionReference(run.session, told.input_tokens, told.output_tokens)
            await self._sink.save_reference(reference.to_saved())
        return result
