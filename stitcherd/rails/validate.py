"""Checks a rails file beyond its schema: references, sandboxes, secrets, executors; and what deserves a warning."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from shared.api import RailsFault
from shared.locations import NoHomeDirectory
from stitcherd.config.errors import KeyPath, unknown_name
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.accounts import split_account
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.job_warnings import BuiltinFacts, job_warnings
from stitcherd.rails.reachability import unreachable_events, unreachable_triggers
from stitcherd.rails.report import report_warnings
from stitcherd.rails.requirements import RuntimeFacts, missing_executor, unenforceable_part
from stitcherd.rails.schema import RailsFile, SandboxFields
from stitcherd.rails.sizes import oversized_globs
from stitcherd.sandbox.bubblewrap import find_exposed_path


class RailsContext(NamedTuple):
    """What a rails file is checked against besides itself.

    `builtins` are the gates that `builtin` may name, `secret_names` the environment variables that hold secrets, which
    no agent and no gate may be given, and `private` the paths that no sandbox may expose, besides those that none ever
    exposes. With `facts` it is also checked whether the executors can enforce the profiles. `sources` are those of
    stitcherd.toml, `silent_sources` those of them at whose forge nothing can be reported, and `asked` those whose forge
    can be asked for permissions.
    """

    builtins: Mapping[str, BuiltinFacts] = {}
    secret_names: frozenset[str] = frozenset()
    private: Collection[Path] = ()
    facts: RuntimeFacts | None = None
    sources: Collection[str] = ()
    silent_sources: Collection[str] = ()
    asked: Collection[str] = ()


def check_references(file: RailsFile, root: YamlNode, context: RailsContext) -> Iterator[RailsFault]:
    """Yield a fault for every name that is unknown, duplicate or a secret, and for every invalid sandbox."""
    yield from _unknown_groups(file, root)
    yield from _conflicting_ids(file, root)
    yield from _invalid_jobs(file, root)
    yield from _unknown_builtins(file, root, context.builtins)
    yield from unreachable_triggers(file, root)
    yield from oversized_globs(file, root)
    for section in ("triggers", "guards"):
        yield from _duplicate_ids(root, section)
    yield from _secrets_in_env(file, root, context.secret_names)
    yield from _invalid_sandboxes(file, root, context.private)


def check_executors(rails: CompiledRails, root: YamlNode, facts: RuntimeFacts) -> Iterator[RailsFault]:
    """Yield a fault for each profile that its executor cannot enforce on any machine."""
    if not facts.executors:  # nothing is set up yet: executor_warnings says so, and so does each decision
        return
    for name, profile in rails.profiles.items():
        found = unenforceable_part(profile, facts)
        if found is None:
            continue
        key, reason, remedy = found
        if key == "executor":
            yield _fault(root.at(("profiles", name, key)), reason)
        else:
            yield RailsFault(*root.key_at(("profiles", name, key)), f"{reason}: {remedy.text}")


def executor_warnings(rails: CompiledRails, root: YamlNode, facts: RuntimeFacts) -> Iterator[RailsFault]:
    """Yield a warning for each profile while no executor is set up, and for each budget that is not enforced."""
    if not facts.executors:
        for name, profile in rails.profiles.items():
            message = f"{missing_executor(profile.executor, facts)}: its jobs are denied until there is one"
            yield _fault(root.at(("profiles", name, "executor")), message)
    used = dict.fromkeys(job.profile.executor for job in rails.jobs.values())
    unmetered = ", ".join(name for name in used if name in facts.executors and not facts.executors[name].metered)
    if not unmetered:
        return
    for key, budget in (("per_job", rails.limits.per_job), ("per_day", rails.limits.per_day)):
        if budget.limits:
            message = f"{key} does not count what agents of executor {unmetered} use: it does not report that"
            yield RailsFault(*root.key_at(("limits", "budget", key)), message)


def file_warnings(file: RailsFile, root: YamlNode, builtins: Mapping[str, BuiltinFacts]) -> Iterator[RailsFault]:
    """Yield a warning for everything in a valid file that has no effect, and for jobs that could judge themselves."""
    for name, group in file.people.items():
        if not group.users and not group.sources and group.permission is None:
            message = f"{name} has no members yet: add an account to its users, like github:octocat"
            yield RailsFault(*root.key_at(("people", name)), message)
    yield from unreachable_events(file, root)
    yield from job_warnings(file, root, builtins)
    yield from report_warnings(file, root)


def unknown_source_warnings(file: RailsFile, root: YamlNode, known: Collection[str]) -> Iterator[RailsFault]:
    """Yield a warning for each member of a group that belongs to no source, while any source is set up."""
    for name, group in file.people.items() if known else ():
        members = [("users", at, user.partition(":")[0]) for at, user in enumerate(group.users)]
        members += [("sources", at, source) for at, source in enumerate(group.sources)]
        for key, at, source in members:
            if source not in known:
                message = f"{unknown_name('source', source, known)}: it matches nobody"
                yield _fault(root.at(("people", name, key, at)), message)


def silent_source_warnings(file: RailsFile, root: YamlNode, silent: Collection[str]) -> Iterator[RailsFault]:
    """Yield a warning if something is to be reported, and there are sources at whose forge nothing can be."""
    if silent and file.report.model_fields_set:
        message = f"nothing is reported for source {', '.join(silent)}: stitcherd.toml gives it no api with a token"
        yield RailsFault(*root.keys["report"], message)


def unasked_permission_warnings(file: RailsFile, root: YamlNode, asked: Collection[str]) -> Iterator[RailsFault]:
    """Yield a warning for each permission while no source has a forge that can be asked for it."""
    for name, group in file.people.items() if not asked else ():
        if group.permission is not None:
            others = "only its users and sources" if group.users or group.sources else "no members"
            message = f"no source has an api and a token to ask for this permission: {name} has {others}"
            yield RailsFault(*root.key_at(("people", name, "permission")), message)


def _unknown_groups(file: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    for at, trigger in enumerate(file.triggers):
        yield from _unknown_names(root, ("triggers", at, "from"), "group", trigger.from_, file.people)
    for at, guard in enumerate(file.guards):
        yield from _unknown_names(root, ("guards", at, "if", "not_in"), "group", guard.if_.not_in or (), file.people)
        yield from _unknown_names(root, ("guards", at, "by"), "group", guard.by, file.people)
    informed = file.report.explain_denials_to
    yield from _unknown_names(root, ("report", "explain_denials_to"), "group", informed, file.people)


def _conflicting_ids(file: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    bound: dict[str, tuple[str, int]] = {}
    for name, group in file.people.items():
        for at, user in enumerate(group.users):
            account, number = split_account(user)
            if number is None:
                continue
            node = root.at(("people", name, "users", at))
            other, line = bound.setdefault(account, (user, node.line))
            if split_account(other)[1] != number:
                message = f"{user} and {other} on line {line} are one login with two ids: it has one account at a time"
                yield _fault(node, message)


def _invalid_jobs(file: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    for at, trigger in enumerate(file.triggers):
        if trigger.job not in file.jobs:
            yield _fault(root.at(("triggers", at, "job")), unknown_name("job", trigger.job, file.jobs))
    for name, job in file.jobs.items():
        yield from _unknown_names(root, ("jobs", name, "gates"), "gate", job.gates, file.gates)
        profile = file.profiles.get(job.profile)
        if profile is None:
            message = unknown_name("profile", job.profile, file.profiles)
            yield _fault(root.at(("jobs", name, "profile")), message)
            continue
        for at, need in enumerate(job.needs):
            if need not in profile.capabilities:
                line, _ = root.key_at(("profiles", job.profile, "capabilities"))
                message = f"profile {job.profile!r} does not have {need}, which job {name} needs: add it on line {line}"
                yield _fault(root.at(("jobs", name, "needs", at)), message)


def _unknown_builtins(file: RailsFile, root: YamlNode, known: Collection[str]) -> Iterator[RailsFault]:
    for name, gate in file.gates.items():
        if gate.builtin is not None and gate.builtin not in known:
            yield _fault(root.at(("gates", name, "builtin")), unknown_name("built-in gate", gate.builtin, known))


def _unknown_names(
    root: YamlNode, path: KeyPath, noun: str, names: tuple[str, ...], known: Collection[str]
) -> Iterator[RailsFault]:
    for at, name in enumerate(names):
        if name not in known:
            yield _fault(root.at((*path, at)), unknown_name(noun, name, known))


def _duplicate_ids(root: YamlNode, section: str) -> Iterator[RailsFault]:
    rules = root.at((section,)).value
    seen: dict[object, int] = {}
    for at in range(len(rules) if isinstance(rules, list) else 0):
        node = root.at((section, at, "id"))
        if node.value in seen:
            yield _fault(node, f"two {section} have the id {node.value!r}: the first is on line {seen[node.value]}")
        seen.setdefault(node.value, node.line)


def _secrets_in_env(file: RailsFile, root: YamlNode, secret_names: frozenset[str]) -> Iterator[RailsFault]:
    users = [(("profiles", name), profile.env) for name, profile in file.profiles.items()]
    users += [(("gates", name), gate.env) for name, gate in file.gates.items()]
    for path, names in users:
        for at, name in enumerate(names):
            if name in secret_names:
                message = f"{name} is a secret of stitcherd.toml: no agent and no gate may have it"
                yield _fault(root.at((*path, "env", at)), message)


def _invalid_sandboxes(file: RailsFile, root: YamlNode, private: Collection[Path]) -> Iterator[RailsFault]:
    places: list[tuple[tuple[str, str], SandboxFields]]
    places = [(("profiles", name), profile) for name, profile in file.profiles.items()]
    places += [(("gates", name), gate) for name, gate in file.gates.items()]
    for path, fields in places:
        if fields.sandbox != "bwrap":
            for key in ("network", "mounts", "memory", "processes", "disk"):
                if key in fields.model_fields_set and getattr(fields, key) not in {None, "host", ()}:
                    message = f"{key} is enforced only in a sandbox: add sandbox: bwrap, or remove {key}"
                    yield RailsFault(*root.key_at((*path, key)), message)
        for at, mount in enumerate(fields.mounts):
            fault = _mount_fault(mount, private)
            if fault is not None:
                yield _fault(root.at((*path, "mounts", at)), fault)
    for name, gate in file.gates.items():
        if gate.builtin is not None and gate.sandbox == "bwrap":
            message = f"the built-in gate {gate.builtin} runs nothing from the commit and takes no sandbox"
            yield RailsFault(*root.key_at(("gates", name, "sandbox")), message)


def _mount_fault(mount: str, private: Collection[Path]) -> str | None:
    try:
        exposed = find_exposed_path(mount, private)
    except NoHomeDirectory as error:
        return f"{mount}: {error}"
    return None if exposed is None else f"{mount} would expose {exposed}, which no sandbox may see"


def _fault(node: YamlNode, message: str) -> RailsFault:
    return RailsFault(node.line, node.column, message)
