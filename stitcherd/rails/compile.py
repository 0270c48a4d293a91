"""From a file's words, which are known to hold together, to the rules that are in force."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

from shared import units
from shared.api import RailsFault
from shared.models import Check, CheckOutcome
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.compiled import (
    ApprovalRules,
    CompiledRails,
    GateRule,
    Group,
    GuardRule,
    JobType,
    PathRules,
    ProfileRule,
    TriggerRule,
)
from stitcherd.rails.diff import outline
from stitcherd.rails.globs import fold, name_pattern, path_pattern
from stitcherd.rails.limits import compile_limits
from stitcherd.rails.schema import GuardCondition, GuardSpec, JobSpec, PathsSpec, RailsFile, SandboxSpec, TriggerSpec
from stitcherd.sandbox.bubblewrap import SandboxSpec as BubblewrapSandboxSpec

_OUTCOMES = {"allow": CheckOutcome.PASS, "require-approval": CheckOutcome.ASK, "deny": CheckOutcome.FAIL}


def compile_rails(
    rails: RailsFile, root: YamlNode, *, text: str, revision: str, warnings: tuple[RailsFault, ...]
) -> CompiledRails:
    """Return the rulebook of a file that has no faults."""
    groups = {
        name: Group(
            name=name,
            line=_line(root, "people", name),
            users=frozenset(map(fold, group.users)),
            sources=frozenset(group.sources),
            by_permission=group.permission is not None,
        )
        for name, group in rails.people.items()
    }
    profiles = _profiles(rails, root)
    gates = _gates(rails, root)
    jobs = {name: _job(name, job, _line(root, "jobs", name), profiles, gates) for name, job in rails.jobs.items()}
    triggers: dict[str, list[TriggerRule]] = defaultdict(list)
    for at, words in enumerate(rails.triggers):
        rule = _trigger(words, root.at(("triggers", at)).line, groups, jobs)
        for event in dict.fromkeys(words.on):
            triggers[event].append(rule)
    return CompiledRails(
        revision=revision,
        text=text,
        outline=outline(rails, root),
        mode=rails.mode,
        warnings=warnings,
        groups=groups,
        profiles=profiles,
        gates=gates,
        jobs=jobs,
        triggers={event: tuple(rules) for event, rules in triggers.items()},
        guards=tuple(_guard(words, root.at(("guards", at)).line, groups) for at, words in enumerate(rails.guards)),
        approvals=ApprovalRules(
            command=rails.approvals.command,
            expires=rails.approvals.expires,
            milliseconds=int(units.parse_duration(rails.approvals.expires) * 1000),
            by_asker=rails.approvals.self_,
            pins=rails.approvals.pins,
        ),
        limits=compile_limits(rails.limits, root),
    )


def _line(root: YamlNode, *path: str) -> int:
    return root.key_at(path)[0]


def _profiles(rails: RailsFile, root: YamlNode) -> dict[str, ProfileRule]:
    return {
        name: ProfileRule(
            name=name,
            line=_line(root, "profiles", name),
            executor=profile.executor,
            capabilities=frozenset(profile.capabilities),
            tools=profile.tools,
            model=profile.model,
            timeout=units.parse_duration(profile.timeout),
            env=profile.env,
            sandbox=profile.sandbox,
            box=_box(profile),
        )
        for name, profile in rails.profiles.items()
    }


def _gates(rails: RailsFile, root: YamlNode) -> dict[str, GateRule]:
    paths = _paths(rails.paths)
    return {
        name: GateRule(
            name=name,
            line=_line(root, "gates", name),
            run=gate.run,
            builtin=gate.builtin,
            paths=paths,
            timeout=units.parse_duration(gate.timeout),
            retries=gate.retries,
            required=gate.required,
            from_base=gate.from_base,
            env=gate.env,
            sandbox=gate.sandbox,
            box=_box(gate),
        )
        for name, gate in rails.gates.items()
    }


def _box(words: SandboxSpec) -> BubblewrapSandboxSpec | None:
    if words.sandbox == "none":
        return None
    return BubblewrapSandboxSpec(
        network=words.network != "none",
        mounts=words.mounts,
        memory=None if words.memory is None else units.parse_size(words.memory),
        processes=words.processes,
        disk=None if words.disk is None else units.parse_size(words.disk),
    )


def _paths(words: PathsSpec) -> PathRules:
    return PathRules(
        protected=path_pattern(words.protected),
        tests=path_pattern(words.tests.globs),
        may_add_tests=words.tests.may == "add",
        on_edit=words.tests.on_edit,
        max_files=words.max_diff.files,
        max_lines=words.max_diff.lines,
    )


def _job(
    name: str, job: JobSpec, line: int, profiles: Mapping[str, ProfileRule], gates: Mapping[str, GateRule]
) -> JobType:
    profile = profiles[job.profile]
    check = f"capability:{name}"
    wanted = ", ".join(job.needs) or "nothing"
    return JobType(
        name=name,
        line=line,
        profile=profile,
        needs=frozenset(job.needs),
        gates=tuple(gates[gate] for gate in job.gates),
        tries=job.tries,
        on_interrupt=job.on_interrupt,
        held=Check(
            id=check,
            kind="capability",
            outcome=CheckOutcome.PASS,
            line=line,
            seen=", ".join(sorted(profile.capabilities)) or "nothing",
            wanted=wanted,
            because=f"profile {profile.name}",
        ),
        unreached=Check(id=check, kind="capability", outcome=CheckOutcome.UNREACHED, line=line, wanted=wanted),
    )


def _trigger(words: TriggerSpec, line: int, groups: Mapping[str, Group], jobs: Mapping[str, JobType]) -> TriggerRule:
    return TriggerRule(
        id=words.id,
        line=line,
        check=f"trigger:{words.id}",
        job=jobs[words.job],
        who=tuple(groups[name] for name in words.from_),
        wanted_who=" or ".join(words.from_),
        wanted_event=" or ".join(words.on),
        command=words.command,
        wanted_command=f"command {words.command}",
        assignee=words.assignee,
        repos=None if words.repos is None else name_pattern(words.repos),
        wanted_repos=", ".join(words.repos or ()),
        labels_all={fold(label): label for label in words.labels.all},
        labels_none={fold(label): label for label in words.labels.none},
    )


def _sole(condition: GuardCondition) -> Literal["labels", "author"] | None:
    if condition.change_from_fork or (condition.author_of is None) is (condition.labels_any is None):
        return None
    return "labels" if condition.author_of is None else "author"


def _guard(words: GuardSpec, line: int, groups: Mapping[str, Group]) -> GuardRule:
    condition = words.if_
    wanted = []
    if condition.not_in is not None:
        wanted.append(f"not in {', '.join(condition.not_in)}")
    if condition.change_from_fork:
        wanted.append("from a fork")
    if condition.labels_any is not None:
        wanted.append(f"any label of {', '.join(condition.labels_any)}")
    check, sentence = f"guard:{words.id}", " and ".join(wanted)
    return GuardRule(
        id=words.id,
        line=line,
        check=check,
        then=words.then,
        outcome=_OUTCOMES[words.then],
        by=words.by,
        because=words.because or sentence,
        author_of=frozenset(condition.author_of or ()),
        not_in=tuple(groups[name] for name in condition.not_in or ()),
        outside=", ".join(condition.not_in or ()),
        from_fork=condition.change_from_fork is True,
        labels_any={fold(label): label for label in condition.labels_any or ()},
        wanted=sentence,
        unreached=Check(id=check, kind="guard", outcome=CheckOutcome.UNREACHED, line=line, wanted=sentence),
        sole=_sole(condition),
    )
