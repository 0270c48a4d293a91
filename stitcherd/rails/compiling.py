"""From a file's words, which are known to hold together, to the rules that are in force."""

from collections import defaultdict
from collections.abc import Mapping

from shared.models import Check, Outcome, RailsFault
from stitcherd import units
from stitcherd.rails.nodes import Node
from stitcherd.rails.rulebook import (
    Gate,
    Group,
    GuardRule,
    JobType,
    Profile,
    Rulebook,
    TriggerRule,
    fold,
    glob,
)
from stitcherd.rails.schema import GuardWords, Job, Rails, TriggerWords
from stitcherd.rails.unenforced import unheld


def compiled(rails: Rails, root: Node, *, text: str, revision: str, warnings: tuple[RailsFault, ...]) -> Rulebook:
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
    return Rulebook(
        revision=revision,
        text=text,
        mode=rails.mode,
        warnings=warnings,
        groups=groups,
        profiles=profiles,
        gates=gates,
        jobs=jobs,
        triggers={event: tuple(rules) for event, rules in triggers.items()},
        guards=tuple(_guard(words, root.at(("guards", at)).line, groups) for at, words in enumerate(rails.guards)),
        limits_line=_line(root, "limits") if rails.limits.model_fields_set else None,
    )


def _line(root: Node, *path: str) -> int:
    return root.key_at(path)[0]


def _profiles(rails: Rails, root: Node) -> dict[str, Profile]:
    return {
        name: Profile(
            name=name,
            line=_line(root, "profiles", name),
            executor=profile.executor,
            capabilities=frozenset(profile.capabilities),
            tools=profile.tools,
            model=profile.model,
            timeout=units.duration(profile.timeout),
            env=profile.env,
            sandbox=profile.sandbox,
            unheld=unheld(profile),
        )
        for name, profile in rails.profiles.items()
    }


def _gates(rails: Rails, root: Node) -> dict[str, Gate]:
    return {
        name: Gate(
            name=name,
            line=_line(root, "gates", name),
            run=gate.run,
            builtin=gate.builtin,
            timeout=units.duration(gate.timeout),
            retries=gate.retries,
            required=gate.required,
            from_base=gate.from_base,
            env=gate.env,
            sandbox=gate.sandbox,
            unheld=unheld(gate),
        )
        for name, gate in rails.gates.items()
    }


def _job(name: str, job: Job, line: int, profiles: Mapping[str, Profile], gates: Mapping[str, Gate]) -> JobType:
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
            outcome=Outcome.PASS,
            line=line,
            seen=", ".join(sorted(profile.capabilities)) or "nothing",
            wanted=wanted,
            because=f"profile {profile.name}",
        ),
        unreached=Check(id=check, kind="capability", outcome=Outcome.UNREACHED, line=line, wanted=wanted),
    )


def _trigger(words: TriggerWords, line: int, groups: Mapping[str, Group], jobs: Mapping[str, JobType]) -> TriggerRule:
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
        repos=None if words.repos is None else glob(words.repos),
        wanted_repos=", ".join(words.repos or ()),
        labels_all={fold(label): label for label in words.labels.all},
        labels_none={fold(label): label for label in words.labels.none},
    )


def _guard(words: GuardWords, line: int, groups: Mapping[str, Group]) -> GuardRule:
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
        because=words.because or sentence,
        author_of=frozenset(condition.author_of or ()),
        not_in=tuple(groups[name] for name in condition.not_in or ()),
        outside=", ".join(condition.not_in or ()),
        from_fork=condition.change_from_fork is True,
        labels_any={fold(label): label for label in condition.labels_any or ()},
        wanted=sentence,
        unreached=Check(id=check, kind="guard", outcome=Outcome.UNREACHED, line=line, wanted=sentence),
    )
