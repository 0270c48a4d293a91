"""Text for simulations: which past deliveries other rails would decide differently."""

from shared.api import SimulationChange, SimulationResult
from shared.models import Decision
from tui.text.jobs import location
from tui.text.plain import plain

ARROW = "→"
SIMULATED_DELIVERIES = 1000
_NOW = {"allowed": "newly allowed", "waiting": "now waiting for an approval"}


def outcome_counts(simulation: SimulationResult) -> str:
    """Return the changes by outcome, like `3 now denied, 1 newly allowed`; empty if there are none."""
    by_outcome: dict[str, int] = {}
    for change, number in simulation.counts.items():
        after = change.partition(ARROW)[2]
        by_outcome[after] = by_outcome.get(after, 0) + number
    return ", ".join(f"{number:,} {_NOW.get(after, f'now {plain(after)}')}" for after, number in by_outcome.items())


def simulation_summary(simulation: SimulationResult) -> str:
    """Return the whole result in one sentence."""
    skipped = f"; {sum(simulation.skipped.values()):,} could not be decided again" if simulation.skipped else ""
    return f"{outcome_counts(simulation) or 'nothing would change'}, of {simulation.deliveries:,} deliveries{skipped}"


def verdict_change(change: SimulationChange) -> str:
    """Return the verdict before and after, like `denied → allowed`."""
    return f"{change.before.value} {ARROW} {change.after.value}"


def change_subject(change: SimulationChange) -> str:
    """Return the event, location and sender of the delivery."""
    return (
        f"{plain(change.event)} on {location(change.repository, change.thread)} by {plain(change.sender or 'nobody')}"
    )


def explain_decision(decision: Decision) -> str:
    """Return the reason of a decision, and the change that would allow it."""
    remedy = f" (to allow it: {plain(decision.remedy.text)})" if decision.remedy else ""
    return f"{plain(decision.reason)}{remedy}"
