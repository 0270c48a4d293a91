"""Injects a fault many times under load, and compares in the end what the client was told with what is stored."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

from msgspec import Struct

from tests.e2e.harness import DaemonHarness, wait_until
from tests.faults.history import Findings, compare
from tests.faults.load import RAILS, Load

DRAIN_SECONDS = 60.0  # for the jobs that are left when the load ends, and a second more for each DRAINED
DRAINED = 10
PER_SECOND = 300.0
LIFE_SECONDS = 0.6


class Options(Struct, frozen=True):
    """What the caller of the program chose; `scale` multiplies how often each fault is injected."""

    seed: int
    kills: int
    scale: float = 1.0
    per_second: float = PER_SECOND
    life: float = LIFE_SECONDS  # at most, of a daemon that is ready and then killed

    def times(self, number: int) -> int:
        return max(1, round(number * self.scale))


class Row(Struct):
    """What a fault has come to; `by_hand` counts repairs that the daemon neither made nor named."""

    fault: str
    times: int
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    by_hand: int = 0
    notes: Sequence[str] = ()

    @property
    def is_zero(self) -> bool:
        return not (self.lost or self.doubled or self.by_hand)


class NotTestedHere(Exception):
    """This machine lacks what is needed to inject a fault; the text says what."""


Inject = Callable[[DaemonHarness, random.Random], int]  # returns how often it was injected


def under_load(fault: str, inject: Inject, rounds: int, options: Options, daemon: DaemonHarness | None = None) -> Row:
    """Inject a fault `rounds` times while webhooks arrive; after each the daemon must go on by itself."""
    chance = random.Random(f"{options.seed} {fault}")
    times = 0
    with daemon or DaemonHarness(rails=RAILS) as running:
        if running.process is None:
            running.start()
        load = Load(running, options.seed, options.per_second)
        try:
            with load:
                for _ in range(rounds):
                    times += inject(running, chance)
                running.await_ready()
            return row_of(fault, times, finish(running, load))
        except AssertionError as error:  # it did not go on by itself
            return Row(fault, times, load.accepted, by_hand=1, notes=[str(error), running.log_tail()])


def finish(daemon: DaemonHarness, load: Load) -> Findings:
    """Wait until every job has ended, stop the daemon, and compare."""
    limit = DRAIN_SECONDS + load.accepted / DRAINED
    wait_until(lambda: not unfinished(daemon), "every job has ended", limit)
    assert daemon.stop() == 0, daemon.log_tail()
    wait_until(lambda: not daemon.processes(), "no process is left")
    with daemon.database() as db:
        findings = compare(db, daemon.root / "witness", load.deliveries)
    findings.broken += tracebacks(daemon.log.read_text())
    return findings


def tracebacks(log: str) -> list[str]:
    """Return the tracebacks of a log: of each the line before it, what was called last, and the error.

    SIGINT ends Python itself with one while it still imports the daemon.
    """
    found, parts = [], log.split("Traceback (most recent call last):\n")
    for before, part in pairwise(parts):
        lines = part.splitlines()
        end = next((number for number, line in enumerate(lines) if not line.startswith(" ")), len(lines) - 1)
        if lines[end] != "KeyboardInterrupt":
            said = (before.splitlines() or [""])[-1]
            found.append(" / ".join(line.strip() for line in [said, *lines[max(0, end - 3) : end + 1]]))
    return found


def row_of(fault: str, times: int, found: Findings) -> Row:
    notes = [*found.lost, *found.doubled, *found.broken]
    return Row(fault, times, found.acknowledged, len(found.lost), len(found.doubled), len(found.broken), notes)


def is_ready(daemon: DaemonHarness) -> bool:
    """Return whether a daemon becomes ready by itself."""
    try:
        daemon.await_ready()
    except AssertionError:
        return False
    return True


def unfinished(daemon: DaemonHarness) -> int:
    counts = daemon.get("/runner-jobs?limit=1")["counts"]
    return int(counts["pending"] + counts["queued"] + counts["running"])


@contextmanager
def heals(daemon: DaemonHarness, seconds: float = 5.0) -> Iterator[None]:
    """Expect the daemon to be ready again within `seconds` after the context, which ends a fault."""
    yield
    wait_until(lambda: _answers_ready(daemon), "the daemon has healed", seconds)


def _answers_ready(daemon: DaemonHarness) -> bool:
    try:
        return daemon.public("GET", "/readyz").status == 200
    except OSError:
        return False
