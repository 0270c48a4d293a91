"""What other rails would have said of the past: the daemon's answer, and the same in words."""

from shared.api import SimulationChange, SimulationResult
from shared.models import Decision
from tui.client.http import DaemonClient, decode
from tui.text.jobs import location
from tui.text.plain import plain

ARROW = "→"
SIMULATED_DELIVERIES = 1000  # deliveries that are decided again
_NOW = {"allowed": "newly allowed", "waiting": "now waiting for an approval"}


def simulate(daemon: DaemonClient, text: str, limit: int = SIMULATED_DELIVERIES) -> SimulationResult:
    """Return what a text of rails.yaml would have said of the last deliveries; raises what the client raises."""
    return decode(daemon.post("/rails/simulate", {"text": text, "limit": limit}), SimulationResult)


def outcome_counts(simulation: SimulationResult) -> str:
    """Return what would change by outcome: `3 now denied, 1 newly allowed`; empty where nothing would."""
    by_outcome: dict[str, int] = {}
    for change, number in simulation.counts.items():
        after = change.partition(ARROW)[2]
        by_outcome[after] = by_outcome.get(after, 0) + number
    return ", ".join(f"{number:,} {_NOW.get(after, f'now {plain(after)}')}" for after, number in by_outcome.items())


def simulation_summary(simulation: SimulationResult) -> str:
    """Return the whole in one sentence."""
    missed = f"; {sum(simulation.skipped.values()):,} could not be decided again" if simulation.skipped else ""
    return f"{outcome_counts(simulation) or 'nothing would change'}, of {simulation.deliveries:,} deliveries{missed}"


def verdict_change(change: SimulationChange) -> str:
    """Return what was decided, and what would be: `denied → allowed`."""
    return f"{change.before.value} {ARROW} {change.after.value}"


def change_subject(change: SimulationChange) -> str:
    """Return what came in: the event, its place and its sender."""
    return (
        f"{plain(change.event)} on {location(change.repository, change.thread)} by {plain(change.sender or 'nobody')}"
    )


def explain_decision(decision: Decision) -> str:
    """Return why, and what would allow it."""
    remedy = f" (to allow it: {plain(decision.remedy.text)})" if decision.remedy else ""
    return f"{plain(decision.reason)}{remedy}"
