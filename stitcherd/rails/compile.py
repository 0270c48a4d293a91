"""Compiles a validated rails file into the records that decisions use."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Literal

from shared import units
from shared.models import Check, CheckOutcome
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.accounts import known_accounts, split_account
from stitcherd.rails.compiled import (
    ApprovalRules,
    CompiledRails,
    GateRule,
    Group,
    GuardRule,
    JobType,
    PathRules,
    ProfileRule,
    ReportRules,
    TriggerRule,
)
from stitcherd.rails.diff import outline
from stitcherd.rails.globs import fold, name_pattern, path_pattern
from stitcherd.rails.limits import compile_limits
from stitcherd.rails.schema import (
    STATES,
    GuardCondition,
    GuardSpec,
    JobSpec,
    PathsSpec,
    RailsFile,
    ReportSpec,
    SandboxFields,
    TriggerSpec,
)
from stitcherd.sandbox.bubblewrap import SandboxSpec

_OUTCOMES = {"allow": CheckOutcome.PASS, "require-approval": CheckOutcome.ASK, "deny": CheckOutcome.FAIL}


def compile_rails(file: RailsFile, root: YamlNode, *, text: str, digest: str) -> CompiledRails:
    """Return the compiled rails of a file without faults; its warnings are added by the caller."""
    groups = {
        name: Group(
            name=name,
            line=_line(root, "people", name),
            users=frozenset(split_account(user)[0] for user in group.users),
            sources=frozenset(group.sources),
            permission=group.permission,
        )
        for name, group in file.people.items()
    }
    profiles = _profiles(file, root)
    gates = _gates(file, root)
    jobs = {name: _job(name, job, _line(root, "jobs", name), profiles, gates) for name, job in file.jobs.items()}
    triggers: dict[str, list[TriggerRule]] = defaultdict(list)
    for at, spec in enumerate(file.triggers):
        rule = _trigger(spec, root.at(("triggers", at)).line, groups, jobs)
        for event in dict.fromkeys(spec.on):
            triggers[event].append(rule)
    return CompiledRails(
        digest=digest,
        text=text,
        outline=outline(file, root),
        mode=file.mode,
        groups=groups,
        accounts=known_accounts(
            (user, root.at(("people", name, "users", at)).line)
            for name, group in file.people.items()
            for at, user in enumerate(group.users)
        ),
        profiles=profiles,
        gates=gates,
        jobs=jobs,
        triggers={event: tuple(rules) for event, rules in triggers.items()},
        guards=tuple(_guard(spec, root.at(("guards", at)).line, groups) for at, spec in enumerate(file.guards)),
        approvals=ApprovalRules(
            command=file.approvals.command,
            expires=file.approvals.expires,
            expires_ms=int(units.parse_duration(file.approvals.expires) * 1000),
            by_asker=file.approvals.self_,
            pins=file.approvals.pins,
        ),
        limits=compile_limits(file.limits, root),
        report=_report(file.report, groups),
    )


def _line(root: YamlNode, *path: str) -> int:
    return root.key_at(path)[0]


def _report(spec: ReportSpec, groups: Mapping[str, Group]) -> ReportRules:
    return ReportRules(
        acknowledge=spec.acknowledge is not None,
        comment=spec.thread is not None,
        status=spec.status,
        change=spec.change,
        explain_denials_to=tuple(groups[name] for name in spec.explain_denials_to),
    )


def _profiles(file: RailsFile, root: YamlNode) -> dict[str, ProfileRule]:
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
            sandbox=profile.sandbox or "none",
            sandbox_is_set=profile.sandbox is not None,
            box=_box(profile),
        )
        for name, profile in file.profiles.items()
    }


def _gates(file: RailsFile, root: YamlNode) -> dict[str, GateRule]:
    paths = _paths(file.paths, tuple(gate.run for gate in file.gates.values() if gate.run is not None))
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
            expect=None if gate.expect is None else gate.expect.output,
            env=gate.env,
            sandbox=gate.sandbox or "none",
            box=_box(gate),
        )
        for name, gate in file.gates.items()
    }


def _box(spec: SandboxFields) -> SandboxSpec | None:
    if spec.sandbox != "bwrap":
        return None
    return SandboxSpec(
        network=spec.network != "none",
        mounts=spec.mounts,
        memory=None if spec.memory is None else units.parse_size(spec.memory),
        processes=spec.processes,
        disk=units.parse_size(spec.disk),
    )


def _paths(spec: PathsSpec, commands: tuple[tuple[str, ...], ...]) -> PathRules:
    return PathRules(
        protected=path_pattern(spec.protected),
        tests=path_pattern(spec.tests.globs),
        may_add_tests=spec.tests.may == "add",
        on_edit=spec.tests.on_edit,
        gates=path_pattern(spec.gates.add),
        on_gate_edit=spec.gates.on_edit,
        commands=commands,
        max_files=spec.max_diff.files,
        max_lines=spec.max_diff.lines,
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
            because=f"profile {profile.name}{_sandbox_note(profile)}",
        ),
        unreached=Check(id=check, kind="capability", outcome=CheckOutcome.UNREACHED, line=line, wanted=wanted),
    )


def _sandbox_note(profile: ProfileRule) -> str:
    """Return what decisions show of the sandbox: how much an agent may write in it, or that the file sets none."""
    if not profile.sandbox_is_set:
        return ", which sets no sandbox: its agent runs without one"
    if profile.box is None or profile.box.disk is None:
        return ""
    return f", whose sandbox may write {units.format_size(profile.box.disk)}"


def _trigger(spec: TriggerSpec, line: int, groups: Mapping[str, Group], jobs: Mapping[str, JobType]) -> TriggerRule:
    return TriggerRule(
        id=spec.id,
        line=line,
        check=f"trigger:{spec.id}",
        job=jobs[spec.job],
        who=tuple(groups[name] for name in spec.from_),
        wanted_who=" or ".join(spec.from_),
        wanted_event=" or ".join(spec.on),
        command=spec.command,
        wanted_command=f"command {spec.command}",
        assignee=spec.assignee,
        repos=None if spec.repos is None else name_pattern(spec.repos),
        wanted_repos=", ".join(spec.repos or ()),
        labels_all={fold(label): label for label in spec.labels.all},
        labels_none={fold(label): label for label in spec.labels.none},
    )


def _sole(condition: GuardCondition) -> Literal["labels", "author"] | None:
    if (
        condition.change_from_fork
        or condition.hidden_text
        or _states(condition)
        or (condition.author_of is None) is (condition.labels_any is None)
    ):
        return None
    return "labels" if condition.author_of is None else "author"


def _states(condition: GuardCondition) -> tuple[str, ...]:
    return tuple(state for state in STATES if getattr(condition, state))


def _guard(spec: GuardSpec, line: int, groups: Mapping[str, Group]) -> GuardRule:
    condition = spec.if_
    wanted = []
    if condition.not_in is not None:
        wanted.append(f"not in {', '.join(condition.not_in)}")
    if condition.change_from_fork:
        wanted.append("from a fork")
    if condition.labels_any is not None:
        wanted.append(f"any label of {', '.join(condition.labels_any)}")
    if condition.hidden_text:
        wanted.append("hidden text")
    wanted += _states(condition)
    check, sentence = f"guard:{spec.id}", " and ".join(wanted)
    return GuardRule(
        id=spec.id,
        line=line,
        check=check,
        then=spec.then,
        outcome=_OUTCOMES[spec.then],
        by=spec.by,
        because=spec.because or sentence,
        author_of=frozenset(condition.author_of or ()),
        not_in=tuple(groups[name] for name in condition.not_in or ()),
        outside=", ".join(condition.not_in or ()),
        from_fork=condition.change_from_fork is True,
        labels_any={fold(label): label for label in condition.labels_any or ()},
        hidden_text=condition.hidden_text is True,
        states=_states(condition),
        wanted=sentence,
        unreached=Check(id=check, kind="guard", outcome=CheckOutcome.UNREACHED, line=line, wanted=sentence),
        sole=_sole(condition),
    )
