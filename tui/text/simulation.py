"""What other rails would have said of the past: the daemon's answer, and the same in words."""

from msgspec import Struct

from shared.house import RailsFault
from shared.models import Decision, Thread, Verdict
from tui.client import Daemon, decode
from tui.plain import plain
from tui.wording import place

ARROW = "→"
PAST = 1000  # deliveries that are decided again
_NOW = {"allowed": "newly allowed", "waiting": "now waiting for an approval"}


class Change(Struct, rename="camel"):
    """One delivery of which the other rails say something else."""

    delivery_id: str
    before: Verdict
    after: Verdict
    decision: Decision
    event: str = ""
    sender: str | None = None
    repository: str | None = None
    thread: Thread | None = None


class Simulation(Struct, rename="camel"):
    """What would change."""

    deliveries: int
    changed: tuple[Change, ...]
    counts: dict[str, int]
    revision: str = ""
    warnings: tuple[RailsFault, ...] = ()
    skipped: dict[str, int] = {}


class Faulty(Struct):
    """What is wrong with a text of rails.yaml, as its refusal says it."""

    faults: tuple[RailsFault, ...] = ()


def simulate(daemon: Daemon, text: str, limit: int = PAST) -> Simulation:
    """Return what a text of rails.yaml would have said of the last deliveries; raises what the client raises."""
    return decode(daemon.post("/rails/simulate", {"text": text, "limit": limit}), Simulation)


def outcomes(simulation: Simulation) -> str:
    """Return what would change by outcome: `3 now denied, 1 newly allowed`; empty where nothing would."""
    by_outcome: dict[str, int] = {}
    for change, number in simulation.counts.items():
        after = change.partition(ARROW)[2]
        by_outcome[after] = by_outcome.get(after, 0) + number
    return ", ".join(f"{number:,} {_NOW.get(after, f'now {plain(after)}')}" for after, number in by_outcome.items())


def summary(simulation: Simulation) -> str:
    """Return the whole in one sentence."""
    missed = f"; {sum(simulation.skipped.values()):,} could not be decided again" if simulation.skipped else ""
    return f"{outcomes(simulation) or 'nothing would change'}, of {simulation.deliveries:,} deliveries{missed}"


def turn(change: Change) -> str:
    """Return what was decided, and what would be: `denied → allowed`."""
    return f"{change.before.value} {ARROW} {change.after.value}"


def subject(change: Change) -> str:
    """Return what came in: the event, its place and its sender."""
    return f"{plain(change.event)} on {place(change.repository, change.thread)} by {plain(change.sender or 'nobody')}"


def because(decision: Decision) -> str:
    """Return why, and what would allow it."""
    remedy = f" (to allow it: {plain(decision.remedy.text)})" if decision.remedy else ""
    return f"{plain(decision.reason)}{remedy}"
