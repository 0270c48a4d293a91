"""Checks that everything a job needs is available: executor, sandbox, gates, repository, a place to publish to."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from shared.models import Check, CheckOutcome, Remedy
from shared.suggest import did_you_mean
from stitcherd.policy import AccountAccess
from stitcherd.rails.compiled import JobType, ProfileRule
from stitcherd.rails.verdicts import Objection, combine_remedies
from stitcherd.sandbox.bubblewrap import SandboxSpec

COMMIT_CAPABILITIES = frozenset({"repo:write", "git:commit"})


class ExecutorFacts(Struct, frozen=True, kw_only=True):
    """What an executor can do; whatever is not declared, it cannot.

    `unusable` is the reason why it cannot be used at all. `holds_tools`: it restricts its agents to a list of tools.
    `sandboxable`: our sandboxes contain its agents. `metered`: it reports what its agents use.
    """

    unusable: str | None = None
    holds_tools: bool = False
    sandboxable: bool = False
    metered: bool = False


class RuntimeFacts(Struct, frozen=True, kw_only=True):
    """Everything that a decision depends on besides the delivery and the rails.

    `sandboxes` and `gates` map names to None, or to the reason why one cannot be used. `objection` returns what of a
    profile its executor cannot enforce, and `unenforceable_limits` are the sandbox limits that this machine does not
    enforce, with the reason. `repository` and `publish` are reasons why the repository of the delivery cannot be used,
    and why a commit could not be published to it. `bot` is the account of the source, and `account_ids` are the
    ids that are kept for accounts. `head_ref` is the ref of the head of the change that the delivery is about. `access`
    is what accounts, by id, may do on that repository, as far as it is known, and `cannot_ask` why the forge cannot be
    asked for the others, None where it can.
    """

    executors: Mapping[str, ExecutorFacts] = {}
    sandboxes: Mapping[str, str | None] = {}
    gates: Mapping[str, str | None] = {}
    objection: Callable[[ProfileRule], str | None] = lambda _: None
    unenforceable_limits: Mapping[str, str] = {}
    repository: str | None = None
    publish: str | None = None
    bot: str | None = None
    account_ids: Mapping[str, str] = {}
    head_ref: str | None = None
    access: Mapping[str, AccountAccess] = {}
    cannot_ask: str | None = "no forge can be asked"


class _Lack(Struct, frozen=True):
    """Something that a job needs and that is not available."""

    what: str
    line: int
    seen: str
    because: str
    remedy: Remedy


def check_requirements(job: JobType, facts: RuntimeFacts) -> tuple[list[Check], Objection | None]:
    """Return a check that the profile has what the job needs, and a failed one for each thing that is missing."""
    lacks = [*_profile_lacks(job, facts), *_gate_lacks(job, facts), *_repository_lacks(job, facts)]
    checks = [job.held]
    checks += [
        Check(f"capability:{lack.what}", "capability", CheckOutcome.FAIL, lack.line, lack.seen, None, lack.because)
        for lack in lacks
    ]
    if not lacks:
        return checks, None
    return checks, Objection(f"capability: {lacks[0].because}", combine_remedies([lack.remedy for lack in lacks]))


def unenforceable_part(profile: ProfileRule, facts: RuntimeFacts) -> tuple[str, str, Remedy] | None:
    """Return the key of a profile that its executor cannot enforce, the reason and a remedy; None if it can."""
    name = profile.executor
    executor = facts.executors.get(name)
    unusable = missing_executor(name, facts) if executor is None else executor.unusable
    if executor is None or unusable is not None:
        remedy = Remedy(f"give profile {profile.name} an executor that can be used", profile.line)
        return "executor", str(unusable), remedy
    if profile.tools is not None and not executor.holds_tools:
        reason = f"executor {name} cannot restrict an agent to the tools of profile {profile.name}"
        return "tools", reason, Remedy(f"remove tools from profile {profile.name}", profile.line)
    if profile.box is not None and not executor.sandboxable:
        reason = f"executor {name} runs its agents where sandbox {profile.sandbox} does not reach"
        return "sandbox", reason, Remedy(f"remove sandbox from profile {profile.name}", profile.line)
    if (objection := facts.objection(profile)) is not None:
        reason = f"executor {name} cannot enforce profile {profile.name}: {objection}"
        return "executor", reason, Remedy(f"change what profile {profile.name} allows its agent", profile.line)
    return None


def missing_executor(name: str, facts: RuntimeFacts) -> str:
    """Return the sentence for an executor that stitcherd.toml does not define."""
    return f"stitcherd.toml has no [executors.{name}]{did_you_mean(name, facts.executors)}"


def _profile_lacks(job: JobType, facts: RuntimeFacts) -> list[_Lack]:
    profile = job.profile
    found = unenforceable_part(profile, facts)
    if found is not None:
        key, reason, remedy = found
        seen = profile.sandbox if key == "sandbox" else profile.executor
        return [_Lack("sandbox" if key == "sandbox" else "executor", profile.line, seen, reason, remedy)]
    missing, why = _unavailable(facts, profile.sandbox, profile.box)
    if why is None:
        return []
    remedy = Remedy(f"remove {missing} from profile {profile.name}", profile.line)
    return [_Lack("sandbox", profile.line, profile.sandbox, why, remedy)]


def _gate_lacks(job: JobType, facts: RuntimeFacts) -> list[_Lack]:
    lacks = []
    for gate in job.gates:
        key, reason = _unavailable(facts, gate.sandbox, gate.box)
        remedy = Remedy(f"remove {key} from gate {gate.name}", gate.line)
        if reason is None and gate.builtin is not None:
            reason = facts.gates.get(gate.builtin, f"there is no built-in gate {gate.builtin}")
            remedy = Remedy(f"remove gate {gate.name} from job {job.name}", job.line)
        if reason is not None:
            lacks.append(_Lack(f"gate:{gate.name}", gate.line, gate.builtin or gate.sandbox, reason, remedy))
    return lacks


def _repository_lacks(job: JobType, facts: RuntimeFacts) -> list[_Lack]:
    lacks = []
    if facts.repository is not None:
        remedy = Remedy("add a [repositories] entry that matches it to stitcherd.toml")
        lacks.append(_Lack("repository", job.line, "no entry", facts.repository, remedy))
    if facts.publish is not None and not job.needs.isdisjoint(COMMIT_CAPABILITIES):
        remedy = Remedy("give it a clone in stitcherd.toml that a commit can be published to")
        lacks.append(_Lack("publish", job.line, "no place for a commit", facts.publish, remedy))
    return lacks


def _unavailable(facts: RuntimeFacts, sandbox: str, box: SandboxSpec | None) -> tuple[str, str | None]:
    """Return the key of the rails that asks for too much, and why it is not available; None if it is."""
    missing = None if sandbox == "none" else f"this version does not support sandbox {sandbox}"
    reason = facts.sandboxes.get(sandbox, missing)
    if reason is None and box is not None:
        for limit, why in facts.unenforceable_limits.items():
            if getattr(box, limit) is not None:
                return limit, f"{limit} cannot be limited here: {why}"
    return "sandbox", reason
