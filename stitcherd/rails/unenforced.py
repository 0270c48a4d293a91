"""What a rails file asks for and this version does not do: a warning for each, at its place."""

from collections.abc import Iterator

from shared.models import RailsFault
from stitcherd.rails.nodes import Node
from stitcherd.rails.schema import Rails, Sandbox

_SECTIONS = {
    "approvals": "approvals are not given by this version: what would wait for one is denied",
    "limits": "limits are not enforced by this version",
    "paths": "paths are not enforced by this version: a commit may touch any file",
    "report": "nothing is reported on the thread by this version",
}
_HELD_BY_SANDBOX = ("network", "memory", "processes", "disk")


def unheld(asked: Sandbox) -> tuple[str, ...]:
    """Return the limits, as they are written, that only a sandbox could hold and that are set without one."""
    if asked.sandbox != "none":
        return ()
    values = {key: getattr(asked, key) for key in _HELD_BY_SANDBOX}
    return tuple(f"{key}: {value}" for key, value in values.items() if value not in {None, "host"})


def warnings(rails: Rails, root: Node) -> list[RailsFault]:
    """Return the warnings of a file without faults, in its order."""
    found = [*_sections(rails, root), *_people(rails, root), *_guards(rails, root), *_sandboxes(rails, root)]
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


def _guards(rails: Rails, root: Node) -> Iterator[RailsFault]:
    for at, guard in enumerate(rails.guards):
        if guard.then == "require-approval":
            node = root.at(("guards", at, "then"))
            message = f"approvals are not given by this version: where guard {guard.id} applies, it denies"
            yield RailsFault(node.line, node.column, message)


def _sandboxes(rails: Rails, root: Node) -> Iterator[RailsFault]:
    for name, profile in rails.profiles.items():
        yield from _sandbox(("profiles", name), profile, root)
    for name, gate in rails.gates.items():
        yield from _sandbox(("gates", name), gate, root)
        if gate.builtin is not None:
            message = f"the built-in gate {gate.builtin} is not in this version: a job with gate {name} is denied"
            yield RailsFault(*root.key_at(("gates", name, "builtin")), message)


def _sandbox(path: tuple[str, str], asked: Sandbox, root: Node) -> Iterator[RailsFault]:
    if asked.sandbox != "none":
        message = f"the sandbox {asked.sandbox} is not in this version: a job that needs it is denied"
        yield RailsFault(*root.key_at((*path, "sandbox")), message)
    for key in (*_HELD_BY_SANDBOX, "mounts"):
        if key in asked.model_fields_set:
            idle = key == "mounts" or getattr(asked, key) == "host"
            outcome = "it changes nothing" if idle else "a job that needs it is denied"
            yield RailsFault(*root.key_at((*path, key)), f"{key} is not enforced by this version: {outcome}")
