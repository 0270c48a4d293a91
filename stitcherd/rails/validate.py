"""What the parts of a rails file say of each other: names that must exist, and needs that must be held."""

from collections.abc import Collection, Iterator
from pathlib import Path

from shared.api import RailsFault
from stitcherd.config.errors import unknown_name
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.requirements import RuntimeFacts, no_such_executor, unenforceable
from stitcherd.rails.schema import RailsFile, SandboxSpec
from stitcherd.sandbox.bubblewrap import find_exposed_path

# merged from stitcherd.rails.closure: Whether executors can hold agents to what the rails say: what they
# cannot is an error, or, of budgets, a warning.
# merged from stitcherd.rails.unenforced: What a rails file asks for and this version does not do: a warning
# for each, at its place.


def unenforceable_profiles(rulebook: CompiledRails, root: YamlNode, facts: RuntimeFacts) -> Iterator[RailsFault]:
    """Yield a fault for each profile that asks for what its executor cannot hold an agent to, whatever the machine."""
    if not facts.executors:  # nothing is set up yet: `idle` warns of that, and each decision says so
        return
    for name, profile in rulebook.profiles.items():
        found = unenforceable(profile, facts)
        if found is None:
            continue
        key, reason, remedy = found
        if key == "executor":
            node = root.at(("profiles", name, key))
            yield RailsFault(node.line, node.column, reason)
        else:
            yield RailsFault(*root.key_at(("profiles", name, key)), f"{reason}: {remedy.text}")


def profiles_without_executor(rulebook: CompiledRails, root: YamlNode, facts: RuntimeFacts) -> Iterator[RailsFault]:
    """Yield a warning for each profile, as long as no executor at all is set up."""
    if facts.executors:
        return
    for name, profile in rulebook.profiles.items():
        node = root.at(("profiles", name, "executor"))
        said = f"{no_such_executor(profile.executor, facts)}: its jobs are denied until there is one"
        yield RailsFault(node.line, node.column, said)


def unmetered_budgets(rulebook: CompiledRails, root: YamlNode, facts: RuntimeFacts) -> Iterator[RailsFault]:
    """Yield a warning for each budget that does not bind the agents of an executor which jobs are for."""
    used = dict.fromkeys(job.profile.executor for job in rulebook.jobs.values())
    mute = [name for name in used if name in facts.unmetered]
    if not mute:
        return
    for key, budget in (("per_job", rulebook.limits.per_job), ("per_day", rulebook.limits.per_day)):
        if budget.limits:
            said = f"{key} does not count what agents of executor {', '.join(mute)} use: it does not report that"
            yield RailsFault(*root.key_at(("limits", "budget", key)), said)


def broken_references(
    rails: RailsFile, root: YamlNode, secret_names: frozenset[str], private: Collection[Path]
) -> Iterator[RailsFault]:
    """Yield a fault for every reference of the file that does not hold; `private` must be in no mount."""
    yield from _unknown_groups(rails, root)
    yield from _broken_jobs(rails, root)
    for section in ("triggers", "guards"):
        yield from _duplicate_ids(root, section)
    yield from _secrets_in_env(rails, root, secret_names)
    yield from _bad_sandboxes(rails, root, private)


def _unknown_groups(rails: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    for at, trigger in enumerate(rails.triggers):
        yield from _unknown_names(root, ("triggers", at, "from"), "group", trigger.from_, rails.people)
    for at, guard in enumerate(rails.guards):
        yield from _unknown_names(root, ("guards", at, "if", "not_in"), "group", guard.if_.not_in or (), rails.people)
        yield from _unknown_names(root, ("guards", at, "by"), "group", guard.by, rails.people)
    told = ("report", "explain_denials_to")
    yield from _unknown_names(root, told, "group", rails.report.explain_denials_to, rails.people)


def _broken_jobs(rails: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    for at, trigger in enumerate(rails.triggers):
        if trigger.job not in rails.jobs:
            node = root.at(("triggers", at, "job"))
            yield RailsFault(node.line, node.column, unknown_name("job", trigger.job, rails.jobs))
    for name, job in rails.jobs.items():
        yield from _unknown_names(root, ("jobs", name, "gates"), "gate", job.gates, rails.gates)
        profile = rails.profiles.get(job.profile)
        if profile is None:
            node = root.at(("jobs", name, "profile"))
            yield RailsFault(node.line, node.column, unknown_name("profile", job.profile, rails.profiles))
            continue
        for at, need in enumerate(job.needs):
            if need not in profile.capabilities:
                node = root.at(("jobs", name, "needs", at))
                where = root.key_at(("profiles", job.profile, "capabilities"))[0]
                lack = f"profile {job.profile!r} does not have {need}, which job {name} needs: add it on line {where}"
                yield RailsFault(node.line, node.column, lack)


def _unknown_names(
    root: YamlNode, path: tuple[int | str, ...], noun: str, names: tuple[str, ...], known: Collection[str]
) -> Iterator[RailsFault]:
    for at, name in enumerate(names):
        if name not in known:
            node = root.at((*path, at))
            yield RailsFault(node.line, node.column, unknown_name(noun, name, known))


def _duplicate_ids(root: YamlNode, section: str) -> Iterator[RailsFault]:
    rules = root.at((section,)).value
    seen: dict[object, int] = {}
    for at in range(len(rules) if isinstance(rules, list) else 0):
        node = root.at((section, at, "id"))
        if node.value in seen:
            again = f"two {section} have the id {node.value!r}: the first is on line {seen[node.value]}"
            yield RailsFault(node.line, node.column, again)
        seen.setdefault(node.value, node.line)


def _secrets_in_env(rails: RailsFile, root: YamlNode, secret_names: frozenset[str]) -> Iterator[RailsFault]:
    users = [(("profiles", name), profile.env) for name, profile in rails.profiles.items()]
    users += [(("gates", name), gate.env) for name, gate in rails.gates.items()]
    for path, names in users:
        for at, name in enumerate(names):
            if name in secret_names:
                node = root.at((*path, "env", at))
                message = f"{name} is a secret of stitcherd.toml: no agent and no gate may have it"
                yield RailsFault(node.line, node.column, message)


def _bad_sandboxes(rails: RailsFile, root: YamlNode, private: Collection[Path]) -> Iterator[RailsFault]:
    places: list[tuple[tuple[str, str], SandboxSpec]]
    places = [(("profiles", name), profile) for name, profile in rails.profiles.items()]
    places += [(("gates", name), gate) for name, gate in rails.gates.items()]
    for path, asked in places:
        if asked.sandbox == "none":
            for key in ("network", "mounts", "memory", "processes", "disk"):
                if key in asked.model_fields_set and getattr(asked, key) not in {None, "host", ()}:
                    message = f"{key} can only be held by a sandbox: add sandbox: bwrap, or take {key} out"
                    yield RailsFault(*root.key_at((*path, key)), message)
        for at, mount in enumerate(asked.mounts):
            shown = find_exposed_path(mount, private)
            if shown is not None:
                node = root.at((*path, "mounts", at))
                yield RailsFault(node.line, node.column, f"{mount} would show {shown}, which no sandbox may see")
    for name, gate in rails.gates.items():
        if gate.builtin is not None and gate.sandbox != "none":
            message = f"the built-in gate {gate.builtin} runs nothing of the commit, and takes no sandbox"
            yield RailsFault(*root.key_at(("gates", name, "sandbox")), message)


_SECTIONS = {
    "report": "nothing is reported on the thread by this version",
}
_COMMITTING = frozenset({"repo:write", "git:commit"})


def unsupported(rails: RailsFile, root: YamlNode) -> list[RailsFault]:
    """Return the warnings of a file without faults, in its order."""
    found = [*_unsupported_sections(rails, root), *_groups_without_members(rails, root), *_unbound_paths(rails, root)]
    return sorted(found, key=lambda fault: (fault.line, fault.column))


def _unsupported_sections(rails: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    for section, sentence in _SECTIONS.items():
        if getattr(rails, section).model_fields_set:
            yield RailsFault(*root.keys[section], sentence)


def _groups_without_members(rails: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    for name, group in rails.people.items():
        if group.permission is not None:
            nobody = f"permission is not asked by this version: {name} has only its users and sources"
            yield RailsFault(*root.key_at(("people", name, "permission")), nobody)
        elif not group.users and not group.sources:
            empty = f"nobody is in {name} yet: add an account to its users, like github:octocat"
            yield RailsFault(*root.key_at(("people", name)), empty)


def _unbound_paths(rails: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    if not rails.paths.model_fields_set:
        return
    for name, job in rails.jobs.items():
        if not _COMMITTING.isdisjoint(job.needs) and not any(rails.gates[gate].builtin for gate in job.gates):
            message = f"paths do not bind job {name}: it has no gate with builtin: diff-rules"
            yield RailsFault(*root.key_at(("jobs", name)), message)
