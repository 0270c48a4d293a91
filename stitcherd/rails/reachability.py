"""Finds triggers that can never fire, or not for some of their events, whatever is delivered."""

from collections.abc import Iterator

from shared.api import RailsFault
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.globs import fold
from stitcherd.rails.schema import RailsFile, TriggerSpec
from stitcherd.sources.text import COMMAND_EVENTS

_ASSIGNMENT_EVENTS = frozenset({"issue.assigned", "issue.opened"})
_THREADLESS_EVENTS = frozenset({"push", "check.completed"})  # they have no labels


def unreachable_triggers(file: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    """Yield a fault for each trigger whose conditions exclude every delivery."""
    for at, trigger in enumerate(file.triggers):
        reasons = [_exclusion(event, trigger) for event in trigger.on]
        contradiction = _contradiction(trigger)
        if all(reasons):
            node = root.at(("triggers", at, "on"))
            yield RailsFault(node.line, node.column, f"trigger {trigger.id} can never fire: {reasons[0]}")
        elif contradiction is not None:
            key, reason = contradiction
            line, column = root.key_at(("triggers", at, key))
            yield RailsFault(line, column, f"trigger {trigger.id} can never fire: {reason}")


def unreachable_events(file: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    """Yield a warning for each event for which a trigger never fires although it fires for others."""
    for at, trigger in enumerate(file.triggers):
        for index, event in enumerate(trigger.on):
            reason = _exclusion(event, trigger)
            if reason is not None:
                node = root.at(("triggers", at, "on", index))
                yield RailsFault(node.line, node.column, f"trigger {trigger.id} never fires for {event}: {reason}")


def _exclusion(event: str, trigger: TriggerSpec) -> str | None:
    """Return why no delivery of an event meets the conditions of a trigger, or None."""
    if trigger.command is not None and event not in COMMAND_EVENTS:
        return f"{event} brings no commands, which come with {', '.join(sorted(COMMAND_EVENTS))}"
    if trigger.assignee is not None and event not in _ASSIGNMENT_EVENTS:
        return f"{event} assigns nobody, as {' and '.join(sorted(_ASSIGNMENT_EVENTS))} do"
    if trigger.labels.all and event in _THREADLESS_EVENTS:
        return f"{event} has no labels"
    return None


def _contradiction(trigger: TriggerSpec) -> tuple[str, str] | None:
    """Return the key whose conditions exclude one another, and why, or None."""
    excluded = {fold(label) for label in trigger.labels.none}
    label = next((label for label in trigger.labels.all if fold(label) in excluded), None)
    if label is not None:
        return "labels", f"it wants the label {label}, and that there is none"
    if any(set(glob[1:]) == {"*"} for glob in trigger.repos or () if glob.startswith("!")):
        return "repos", "!* excludes every repository"
    return None
