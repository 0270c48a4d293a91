"""Whether executors can hold agents to what the rails say: what they cannot is an error, or, of budgets, a warning."""

from collections.abc import Iterator

from shared.house import RailsFault
from stitcherd.rails.feasible import Facts, nowhere, unfit
from stitcherd.rails.nodes import Node
from stitcherd.rails.rulebook import Rulebook


def unheld(rulebook: Rulebook, root: Node, facts: Facts) -> Iterator[RailsFault]:
    """Yield a fault for each profile that asks for what its executor cannot hold an agent to, whatever the machine."""
    if not facts.executors:  # nothing is set up yet: `idle` warns of that, and each decision says so
        return
    for name, profile in rulebook.profiles.items():
        found = unfit(profile, facts)
        if found is None:
            continue
        key, reason, remedy = found
        if key == "executor":
            node = root.at(("profiles", name, key))
            yield RailsFault(node.line, node.column, reason)
        else:
            yield RailsFault(*root.key_at(("profiles", name, key)), f"{reason}: {remedy.text}")


def idle(rulebook: Rulebook, root: Node, facts: Facts) -> Iterator[RailsFault]:
    """Yield a warning for each profile, as long as no executor at all is set up."""
    if facts.executors:
        return
    for name, profile in rulebook.profiles.items():
        node = root.at(("profiles", name, "executor"))
        said = f"{nowhere(profile.executor, facts)}: its jobs are denied until there is one"
        yield RailsFault(node.line, node.column, said)


def unmetered(rulebook: Rulebook, root: Node, facts: Facts) -> Iterator[RailsFault]:
    """Yield a warning for each budget that does not bind the agents of an executor which jobs are for."""
    used = dict.fromkeys(job.profile.executor for job in rulebook.jobs.values())
    mute = [name for name in used if name in facts.unmetered]
    if not mute:
        return
    for key, budget in (("per_job", rulebook.limits.per_job), ("per_day", rulebook.limits.per_day)):
        if budget.limits:
            said = f"{key} does not count what agents of executor {', '.join(mute)} use: it does not report that"
            yield RailsFault(*root.key_at(("limits", "budget", key)), said)
