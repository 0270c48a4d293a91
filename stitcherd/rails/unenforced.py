"""What a rails file asks for and this version does not do: a warning for each, at its place."""

from collections.abc import Iterator

from shared.house import RailsFault
from stitcherd.rails.nodes import Node
from stitcherd.rails.schema import Rails

_SECTIONS = {
    "report": "nothing is reported on the thread by this version",
}
_COMMITTING = frozenset({"repo:write", "git:commit"})


def warnings(rails: Rails, root: Node) -> list[RailsFault]:
    """Return the warnings of a file without faults, in its order."""
    found = [*_sections(rails, root), *_people(rails, root), *_rest(rails, root)]
    return sorted(found, key=lambda fault: (fault.line, fault.column))


def _sections(rails: Rails, root: Node) -> Iterator[RailsFault]:
    for section, sentence in _SECTIONS.items():
        if getattr(rails, section).model_fields_set:
            yield RailsFault(*root.keys[section], sentence)


def _people(rails: Rails, root: Node) -> Iterator[RailsFault]:
    for name, group in rails.people.items():
        if group.permission is not None:
            nobody = f"permission is not asked by this version: {name} has only its users and sources"
            yield RailsFault(*root.key_at(("people", name, "permission")), nobody)
        elif not group.users and not group.sources:
            empty = f"nobody is in {name} yet: add an account to its users, like github:octocat"
            yield RailsFault(*root.key_at(("people", name)), empty)


def _rest(rails: Rails, root: Node) -> Iterator[RailsFault]:
    if not rails.paths.model_fields_set:
        return
    for name, job in rails.jobs.items():
        if not _COMMITTING.isdisjoint(job.needs) and not any(rails.gates[gate].builtin for gate in job.gates):
            message = f"paths do not bind job {name}: it has no gate with builtin: diff-rules"
            yield RailsFault(*root.key_at(("jobs", name)), message)
