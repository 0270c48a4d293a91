"""Runs any program as an executor: the prompt on its stdin, the checkout as its working directory."""

import re
from collections.abc import Collection, Sequence
from typing import Self

from stitcherd import processes
from stitcherd.config.settings import ExecutorSettings, PriceSettings
from stitcherd.executors.base import (
    ExecutionResult,
    Executor,
    ExecutorHealth,
    OutputSink,
    ProfileConstraints,
    Task,
)
from stitcherd.executors.results import cannot_start, result_of_exit
from stitcherd.executors.streams import HOLD_TOOLS, STREAMS, TELL_DOLLARS
from stitcherd.executors.streams.run import StreamRun
from stitcherd.executors.streams.session import SessionRun

PLAIN = "plain"  # output that is nothing but text
_TOOL_NAME = re.compile(r"\w+")


class CommandExecutor(Executor):
    """Runs `argv` once for each try; with an `output` it follows the stream that the program writes.

    With `resume`, the tries of an attempt are one session of the program.
    """

    sandboxable = True
    required_keys = frozenset({"argv"})
    optional_keys = frozenset({"output", "prices", "resume"})

    def __init__(
        self, argv: Sequence[str], output: str = PLAIN, prices: PriceSettings | None = None, *, resume: bool = False
    ) -> None:
        self._argv = argv
        self._output = output
        self._prices = prices
        self._resume = resume

    @classmethod
    def from_settings(cls, settings: ExecutorSettings) -> Self:
        """Return the executor of an [executors.NAME] table."""
        return cls(settings.argv, settings.output, settings.prices, resume=settings.resume)

    @classmethod
    def is_metered(cls, settings: ExecutorSettings) -> bool:
        """Say whether turns and dollars are counted: not if the stream may tell tokens alone and they have no price."""
        return settings.output in TELL_DOLLARS or (settings.output in STREAMS and settings.prices is not None)

    @classmethod
    def can_hold_tools(cls, settings: ExecutorSettings) -> bool:
        """Say whether the program takes a list of tools and holds its agent to it."""
        return settings.output in HOLD_TOOLS

    @classmethod
    def objection(cls, profile: ProfileConstraints) -> str | None:
        """Return which tool of a profile is no name that a program takes, or None."""
        wrong = next((each for each in profile.tools or () if not _TOOL_NAME.fullmatch(each)), None)
        return None if wrong is None else f"its tools are named like Read, not {wrong}"

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Run the program.

        Failures are `executor_cannot_start`, `executor_timeout`, `executor_failed` and `budget_exceeded`.
        """
        if self._output in STREAMS:
            stream = STREAMS[self._output]
            if self._resume:
                return await SessionRun(stream, task, sink, self._prices).run(self._argv)
            return await StreamRun(stream(), task, sink, self._prices).run(self._argv, task.prompt)
        sink.record_prompt(task.prompt)
        try:
            ended = await task.run_command(
                self._argv, stdin=task.prompt.encode(errors="replace"), timeout=task.timeout, write=sink.write
            )
        except processes.CannotStart as error:
            return cannot_start(error)
        return result_of_exit(ended, task.timeout)

    async def health(self, _profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Return what the executor starts; whether the program exists is only known inside its sandbox."""
        return ExecutorHealth(ok=True, detail=f"starts {self._argv[0]}")
