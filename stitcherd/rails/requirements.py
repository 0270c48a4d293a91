"""Whether what a job needs is there: executor, sandbox, gates, repository, a place for its commit."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from shared.models import Check, CheckOutcome, Remedy
from shared.suggest import nearest
from stitcherd.rails.compiled import JobType, ProfileRule
from stitcherd.rails.verdicts import Objection, combine_remedies
from stitcherd.sandbox.bubblewrap import SandboxSpec

_COMMITTING = frozenset({"repo:write", "git:commit"})


class RuntimeFacts(Struct, frozen=True, kw_only=True):
    """What deciding must know besides the delivery and the rails; it asks nobody for more.

    The mappings are from a name to None where it can be used, or to the reason why not. `toolless` are the
    executors that cannot hold an agent to a list of tools, `objection` says what else of a profile its executor
    cannot hold an agent to, `unboxed` are those whom no sandbox of ours reaches, `unmetered` those who do not say what
    their agents use, and `unbinding` the limits of a sandbox that bind nobody here, with the reason. `repository` and
    `publish` are reasons why the delivery's repository cannot be used, and why a commit could not be put there. `bot`
    is the source's account.
    """

    executors: Mapping[str, str | None] = {}
    sandboxes: Mapping[str, str | None] = {}
    gates: Mapping[str, str | None] = {}
    toolless: frozenset[str] = frozenset()
    objection: Callable[[ProfileRule], str | None] = lambda _: None
    unboxed: frozenset[str] = frozenset()
    unmetered: frozenset[str] = frozenset()
    unbinding: Mapping[str, str] = {}
    repository: str | None = None
    publish: str | None = None
    bot: str | None = None


class _Lack(Struct, frozen=True):
    """Something that a job needs and that is not there."""

    what: str
    line: int
    seen: str
    because: str
    remedy: Remedy


def check_requirements(job: JobType, facts: RuntimeFacts) -> tuple[list[Check], Objection | None]:
    """Return a check that the profile holds what the job needs, and one for each thing that is lacking."""
    lacks = [*_profile(job, facts), *_gates(job, facts), *_repository(job, facts)]
    checks = [job.held]
    checks += [
        Check(f"capability:{lack.what}", "capability", CheckOutcome.FAIL, lack.line, lack.seen, None, lack.because)
        for lack in lacks
    ]
    if not lacks:
        return checks, None
    return checks, Objection(f"capability: {lacks[0].because}", combine_remedies([lack.remedy for lack in lacks]))


def unenforceable(profile: ProfileRule, facts: RuntimeFacts) -> tuple[str, str, Remedy] | None:
    """Return the key of a profile that asks more than its executor can hold an agent to, the reason and a remedy."""
    name = profile.executor
    reason = facts.executors[name] if name in facts.executors else no_such_executor(name, facts)
    if reason is not None:
        remedy = Remedy(f"give profile {profile.name} an executor that can be used", profile.line)
        return "executor", reason, remedy
    if profile.tools is not None and name in facts.toolless:
        reason = f"executor {name} cannot hold an agent to the tools of profile {profile.name}"
        return "tools", reason, Remedy(f"take tools out of profile {profile.name}", profile.line)
    if profile.box is not None and name in facts.unboxed:
        reason = f"executor {name} runs its agents where sandbox {profile.sandbox} does not reach"
        return "sandbox", reason, Remedy(f"take sandbox out of profile {profile.name}", profile.line)
    if (objection := facts.objection(profile)) is not None:
        reason = f"executor {name} cannot hold an agent to profile {profile.name}: {objection}"
        return "executor", reason, Remedy(f"change what profile {profile.name} gives its agent", profile.line)
    return None


def no_such_executor(name: str, facts: RuntimeFacts) -> str:
    """Return what to say of an executor that stitcherd.toml does not have."""
    near = nearest(name, facts.executors)
    instead = f" (did you mean {near}?)" if near else ""
    return f"executor {name} is in no [executors.{name}] of stitcherd.toml{instead}"


def _profile(job: JobType, facts: RuntimeFacts) -> list[_Lack]:
    profile = job.profile
    found = unenforceable(profile, facts)
    if found is not None:
        key, reason, remedy = found
        seen = profile.sandbox if key == "sandbox" else profile.executor
        return [_Lack("sandbox" if key == "sandbox" else "executor", profile.line, seen, reason, remedy)]
    missing, why = _place(facts, profile.sandbox, profile.box)
    if why is None:
        return []
    remedy = Remedy(f"take {missing} out of profile {profile.name}", profile.line)
    return [_Lack("sandbox", profile.line, profile.sandbox, why, remedy)]


def _gates(job: JobType, facts: RuntimeFacts) -> list[_Lack]:
    lacks = []
    for gate in job.gates:
        key, reason = _place(facts, gate.sandbox, gate.box)
        remedy = Remedy(f"take {key} out of gate {gate.name}", gate.line)
        if reason is None and gate.builtin is not None:
            reason = facts.gates.get(gate.builtin, f"there is no built-in gate {gate.builtin}")
            remedy = Remedy(f"take gate {gate.name} out of job {job.name}", job.line)
        if reason is not None:
            lacks.append(_Lack(f"gate:{gate.name}", gate.line, gate.builtin or gate.sandbox, reason, remedy))
    return lacks


def _repository(job: JobType, facts: RuntimeFacts) -> list[_Lack]:
    lacks = []
    if facts.repository is not None:
        remedy = Remedy("add a [repositories] entry that matches it to stitcherd.toml")
        lacks.append(_Lack("repository", job.line, "no entry", facts.repository, remedy))
    if facts.publish is not None and not job.needs.isdisjoint(_COMMITTING):
        remedy = Remedy("name a clone in stitcherd.toml that a commit can be put in")
        lacks.append(_Lack("publish", job.line, "no place for a commit", facts.publish, remedy))
    return lacks


def _place(facts: RuntimeFacts, sandbox: str, box: SandboxSpec | None) -> tuple[str, str | None]:
    """Return the key of the rails that asks for too much, and why it cannot be had; None where it can."""
    missing = None if sandbox == "none" else f"sandbox {sandbox} is not supported by this version"
    reason = facts.sandboxes.get(sandbox, missing)
    if reason is None and box is not None:
        for limit, why in facts.unbinding.items():
            if getattr(box, limit) is not None:
                return limit, f"{limit} cannot be limited here: {why}"
    return "sandbox", reason
