"""What the parts of a rails file say of each other: names that must exist, and needs that must be held."""

from collections.abc import Collection, Iterator
from pathlib import Path

from shared.house import RailsFault
from stitcherd.rails.nodes import Node
from stitcherd.rails.schema import Rails, Sandbox
from stitcherd.rails.wording import unknown
from stitcherd.sandbox.mounts import exposed


def references(
    rails: Rails, root: Node, secret_names: frozenset[str], private: Collection[Path]
) -> Iterator[RailsFault]:
    """Yield a fault for every reference of the file that does not hold; `private` must be in no mount."""
    yield from _groups(rails, root)
    yield from _jobs(rails, root)
    for section in ("triggers", "guards"):
        yield from _ids(root, section)
    yield from _secrets(rails, root, secret_names)
    yield from _sandboxes(rails, root, private)


def _groups(rails: Rails, root: Node) -> Iterator[RailsFault]:
    for at, trigger in enumerate(rails.triggers):
        yield from _known(root, ("triggers", at, "from"), "group", trigger.from_, rails.people)
    for at, guard in enumerate(rails.guards):
        yield from _known(root, ("guards", at, "if", "not_in"), "group", guard.if_.not_in or (), rails.people)
        yield from _known(root, ("guards", at, "by"), "group", guard.by, rails.people)
    told = ("report", "explain_denials_to")
    yield from _known(root, told, "group", rails.report.explain_denials_to, rails.people)


def _jobs(rails: Rails, root: Node) -> Iterator[RailsFault]:
    for at, trigger in enumerate(rails.triggers):
        if trigger.job not in rails.jobs:
            node = root.at(("triggers", at, "job"))
            yield RailsFault(node.line, node.column, unknown("job", trigger.job, rails.jobs))
    for name, job in rails.jobs.items():
        yield from _known(root, ("jobs", name, "gates"), "gate", job.gates, rails.gates)
        profile = rails.profiles.get(job.profile)
        if profile is None:
            node = root.at(("jobs", name, "profile"))
            yield RailsFault(node.line, node.column, unknown("profile", job.profile, rails.profiles))
            continue
        for at, need in enumerate(job.needs):
            if need not in profile.capabilities:
                node = root.at(("jobs", name, "needs", at))
                where = root.key_at(("profiles", job.profile, "capabilities"))[0]
                lack = f"profile {job.profile!r} does not have {need}, which job {name} needs: add it on line {where}"
                yield RailsFault(node.line, node.column, lack)


def _known(
    root: Node, path: tuple[int | str, ...], noun: str, names: tuple[str, ...], known: Collection[str]
) -> Iterator[RailsFault]:
    for at, name in enumerate(names):
        if name not in known:
            node = root.at((*path, at))
            yield RailsFault(node.line, node.column, unknown(noun, name, known))


def _ids(root: Node, section: str) -> Iterator[RailsFault]:
    rules = root.at((section,)).value
    seen: dict[object, int] = {}
    for at in range(len(rules) if isinstance(rules, list) else 0):
        node = root.at((section, at, "id"))
        if node.value in seen:
            again = f"two {section} have the id {node.value!r}: the first is on line {seen[node.value]}"
            yield RailsFault(node.line, node.column, again)
        seen.setdefault(node.value, node.line)


def _secrets(rails: Rails, root: Node, secret_names: frozenset[str]) -> Iterator[RailsFault]:
    users = [(("profiles", name), profile.env) for name, profile in rails.profiles.items()]
    users += [(("gates", name), gate.env) for name, gate in rails.gates.items()]
    for path, names in users:
        for at, name in enumerate(names):
            if name in secret_names:
                node = root.at((*path, "env", at))
                message = f"{name} is a secret of stitcherd.toml: no agent and no gate may have it"
                yield RailsFault(node.line, node.column, message)


def _sandboxes(rails: Rails, root: Node, private: Collection[Path]) -> Iterator[RailsFault]:
    places: list[tuple[tuple[str, str], Sandbox]]
    places = [(("profiles", name), profile) for name, profile in rails.profiles.items()]
    places += [(("gates", name), gate) for name, gate in rails.gates.items()]
    for path, asked in places:
        if asked.sandbox == "none":
            for key in ("network", "mounts", "memory", "processes", "disk"):
                if key in asked.model_fields_set and getattr(asked, key) not in {None, "host", ()}:
                    message = f"{key} can only be held by a sandbox: add sandbox: bwrap, or take {key} out"
                    yield RailsFault(*root.key_at((*path, key)), message)
        for at, mount in enumerate(asked.mounts):
            shown = exposed(mount, private)
            if shown is not None:
                node = root.at((*path, "mounts", at))
                yield RailsFault(node.line, node.column, f"{mount} would show {shown}, which no sandbox may see")
    for name, gate in rails.gates.items():
        if gate.builtin is not None and gate.sandbox != "none":
            message = f"the built-in gate {gate.builtin} runs nothing of the commit, and takes no sandbox"
            yield RailsFault(*root.key_at(("gates", name, "sandbox")), message)
